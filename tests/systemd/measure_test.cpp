// Measurements, which assert nothing: systemd_tests --no-skip -tc='measured: *'
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <ctime>
#include <sstream>

#include "tests/systemd/service.h"

using namespace ralph::tests;

namespace {

// As systemd counts, on the clock that the machine and the box share.
long long microseconds_now() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
}

long long moment(const Service& service, const std::string& name) {
    return std::stoll(service.property(name + "TimestampMonotonic"));
}

void print(const std::string& what, std::vector<long long> microseconds) {
    std::sort(microseconds.begin(), microseconds.end());
    MESSAGE(fmt::format("{}: median {:.1f} ms, least {:.1f} ms, most {:.1f} ms, of {}", what,
                        static_cast<double>(microseconds[microseconds.size() / 2]) / 1000,
                        static_cast<double>(microseconds.front()) / 1000,
                        static_cast<double>(microseconds.back()) / 1000, microseconds.size()));
}

// Kills it, and waits until it is active again: from the kill, and from the start of the new process.
struct Latency {
    std::vector<long long> from_kill;
    std::vector<long long> from_start;
};
Latency kill_and_wait(const Service& service, int times) {
    Latency latency;
    for (int i = 0; i < times; ++i) {
        const pid_t old = service.main_process();
        const long long killed = microseconds_now();
        service.kill_main_process();
        static_cast<void>(service.next_main_process(old));
        REQUIRE(service.wait_until("ActiveState", "active"));
        latency.from_kill.push_back(moment(service, "ActiveEnter") - killed);
        latency.from_start.push_back(moment(service, "ActiveEnter") - moment(service, "ExecMainStart"));
    }
    return latency;
}

void add_workers(Service& service, int count) {
    for (int i = 0; i < count; ++i) {
        service.add_worker("worker" + std::to_string(i), "exit 0");
    }
    service.project.commit_and_push();
    service.start();
    for (int patience = 0; patience < 10 && !service.all_have_begun(); ++patience) {
        static_cast<void>(Project::eventually([&] { return service.all_have_begun(); }));
    }
    REQUIRE(service.all_have_begun());
}

}  // namespace

TEST_CASE("measured: from kill to READY with eight workers" * doctest::skip()) {
    Service service(8);
    add_workers(service, 8);
    const Latency latency = kill_and_wait(service, 10);
    print("kill to READY, RestartSec=" + service.property("RestartUSec") + " included", latency.from_kill);
    print("start of the process to READY", latency.from_start);
}

TEST_CASE("measured: adopting a hundred workers" * doctest::skip()) {
    Service service(100);
    service.log_everything();
    add_workers(service, 100);
    std::vector<long long> times;
    for (int i = 0; i < 5; ++i) {
        const pid_t old = service.main_process();
        service.kill_main_process();
        const pid_t next = service.next_main_process(old);
        long long last = 0;
        REQUIRE(Project::eventually([&] {
            // One line for each adopted worker, at level debug; __MONOTONIC_TIMESTAMP is when the journal got
            // it.
            std::istringstream lines(service.box.output_of(
                {"journalctl", "--no-pager", "--output=json", "_PID=" + std::to_string(next)}));
            int adopted = 0;
            for (std::string line; std::getline(lines, line);) {
                const auto entry = boost::json::parse(line).as_object();
                if (entry.at("MESSAGE").as_string().find("is adopted as run") != std::string::npos) {
                    last = std::stoll(std::string(entry.at("__MONOTONIC_TIMESTAMP").as_string()));
                    ++adopted;
                }
            }
            return adopted == 100;
        }));
        times.push_back(last - moment(service, "ExecMainStart"));
    }
    print("start of the process to the adoption of the last of 100 workers", times);
}
