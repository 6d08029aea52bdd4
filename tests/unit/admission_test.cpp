// The host stays alive: when workers may start, and which one is put back.
#include <doctest/doctest.h>

#include "core/supervisor/admission.h"
#include "tests/unit/step_driver.h"

using namespace ralph::core;
using namespace ralph::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t mebibyte = 1ULL << 20U;

SupervisorSettings careful(std::uint32_t workers) {
    SupervisorSettings settings = StepDriver::defaults();
    settings.workers = workers;
    settings.host = {512 * mebibyte, 100 * mebibyte, 40};
    return settings;
}

HostState host(std::uint64_t memory_mib, std::uint64_t disk_mib = 1000, double stall = 0) {
    return {memory_mib * mebibyte, disk_mib * mebibyte, stall};
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("admission: what is short, and when it is critical") {
    const HostLimits limits{512 * mebibyte, 100 * mebibyte, 40};
    CHECK_FALSE(pressure_of(host(512), limits));
    CHECK(pressure_of(host(511), limits)->reason ==
          "memory: 511 MiB are available, and 512 MiB must stay free");
    CHECK_FALSE(pressure_of(host(256), limits)->is_critical);
    CHECK(pressure_of(host(255), limits)->is_critical);
    CHECK(has(pressure_of(host(9999, 99), limits)->reason, "disk: 99 MiB"));
    CHECK_FALSE(pressure_of(host(9999, 1), limits)->is_critical);  // no worker gives disk back by ending
    CHECK_FALSE(pressure_of(host(9999, 999, 39.9), limits));
    CHECK(has(pressure_of(host(9999, 999, 40), limits)->reason, "40 % of the time"));
    CHECK(pressure_of(host(9999, 999, 70), limits)->is_critical);
    // What cannot be measured, or is not looked at, is not short.
    CHECK_FALSE(pressure_of(HostState{}, limits));
    CHECK_FALSE(pressure_of(host(1, 1, 100), HostLimits{}));
}

TEST_CASE(
    "admission: nothing is selected before the host was measured, nor under pressure, and the run waits") {
    StepDriver driver(careful(1));
    CHECK(driver.queue({"T1"}) == lines({"measure"}));
    CHECK(driver.pass(1'000ms).empty());  // it was asked for
    CHECK(driver.take(event::HostMeasured{host(100)}) ==
          lines({"warn: no worker starts until this is over: memory: 100 MiB are available, and 512 MiB must "
                 "stay free",
                 "wake +5000ms"}));
    CHECK(driver.pass(5'000ms) == lines({"measure"}));
    const std::string begun = driver.take(event::HostMeasured{host(600)});
    CHECK(has(begun, "note: what held back workers is over"));
    CHECK(has(begun, "read T1 and keep"));
}

TEST_CASE("admission: a workspace that is ready waits, and is worked on when there is room") {
    StepDriver driver(careful(1));
    driver.queue({"T1"});
    driver.take(event::HostMeasured{host(600)});
    CHECK(has(driver.recovered("T1"), "start T1 1-prepare"));
    driver.started("T1", 1);
    driver.pass(6'000ms);
    CHECK(driver.ended("T1", 1, 0) == lines({"measure"}));
    CHECK_FALSE(has(driver.take(event::HostMeasured{host(100)}), "start T1"));
    driver.pass(5'000ms);
    CHECK(has(driver.take(event::HostMeasured{host(600)}), "start T1 2-work"));
}

TEST_CASE("admission: before the kernel chooses, the youngest worker is put back, and goes on later") {
    StepDriver driver(careful(2));
    driver.queue({"T1", "T2"});
    driver.take(event::HostMeasured{host(600)});
    for (const char* id : {"T1", "T2"}) {
        driver.recovered(id);
        driver.started(id, 1);
        driver.ended(id, 1, 0);
        driver.started(id, 2);
        driver.pass(100ms);
    }
    CHECK(has(driver.pass(5'000ms), "measure"));  // while workers run
    const std::string said = driver.take(event::HostMeasured{host(200)});
    CHECK(has(said, "warn T2: work is put back, what it did is kept: memory: 200 MiB"));
    CHECK(has(said, "end T2 2-work"));
    CHECK_FALSE(has(said, "end T1"));
    // One at a time, and never the last.
    driver.pass(5'000ms);
    CHECK_FALSE(has(driver.take(event::HostMeasured{host(200)}), "end T"));
    CHECK_FALSE(has(driver.ended("T2", 2, stopped()), "start"));
    CHECK(driver.lifecycle("T2") == "running");
    driver.pass(5'000ms);
    CHECK_FALSE(has(driver.take(event::HostMeasured{host(200)}), "end T1"));
    driver.pass(5'000ms);
    // What a command left is kept by its preparation.
    CHECK(has(driver.take(event::HostMeasured{host(600)}), "start T2 3-prepare attempt=2"));
}

TEST_CASE("admission: who is put back and ends by itself before that has ended") {
    StepDriver driver(careful(2));
    driver.queue({"T1", "T2"});
    driver.take(event::HostMeasured{host(600)});
    for (const char* id : {"T1", "T2"}) {
        driver.recovered(id);
        driver.started(id, 1);
        driver.ended(id, 1, 0);
        driver.started(id, 2);
    }
    driver.pass(5'000ms);
    driver.take(event::HostMeasured{host(200)});
    CHECK(has(driver.ended("T2", 2, 0), "announce T2 running -> integrating"));
}

TEST_CASE("admission: without limits nobody measures") {
    StepDriver driver;
    CHECK_FALSE(has(driver.queue({"T1"}), "measure"));
    CHECK(driver.lifecycle("T1") == "running");
}
