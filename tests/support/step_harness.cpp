#include "tests/support/step_harness.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <chrono>
#include <fstream>
#include <thread>
#include <utility>

#include "daemon/os/files.h"
#include "daemon/os/identity.h"

namespace ralph::tests {
namespace {

namespace asio = boost::asio;
using daemon::Launch;
using daemon::StepRun;

constexpr std::chrono::seconds patience{30};
constexpr std::chrono::seconds patience_with_many{90};
constexpr std::size_t most_at_a_time = 24;

std::string text_of(const std::string& path) {
    const auto text = daemon::read_file(path);
    return text && *text ? **text : "";
}

}  // namespace

Bench::Bench(core::Milliseconds grace, const std::string& root)
    : paths_{root.empty() ? folder_.path() : root}, grace_(grace) {}

Bench::~Bench() {
    for (const std::string& run_id : run_ids_) {
        static_cast<void>(daemon::end_orphaned_tree(run_id, 5000));
    }
}

Launch Bench::shell(const std::string& script, core::Milliseconds timeout, long long log_limit) {
    Launch launch;
    launch.spec.task_id = "RQ-0001";
    launch.spec.run = bench_run;
    launch.spec.run_id = "bench" + std::to_string(::getpid()) + "-" +
                         folder_.path().substr(folder_.path().size() - 6) + "-" +
                         std::to_string(run_ids_.size());
    run_ids_.push_back(launch.spec.run_id);
    launch.spec.command = {"sh", "-c", script};
    launch.spec.working_directory = folder_.path();
    launch.environment = {"PATH=/usr/bin:/bin", "RALPH_RUN_ID=" + launch.spec.run_id};
    launch.timeout = timeout;
    launch.kill_grace = grace_;
    launch.log_limit_bytes = log_limit;
    launch.shim = std::string(RALPH_BINARY_DIR) + "/ralph-shim";
    return launch;
}

std::string Bench::shim_after(const std::string& lines) const {
    const std::string path = folder_ / "shim";
    std::ofstream(path) << "#!/bin/sh\n" + lines + "\nexec '" + RALPH_BINARY_DIR + "/ralph-shim' \"$@\"\n";
    REQUIRE(::chmod(path.c_str(), 0700) == 0);
    return path;
}

core::RunEnd Bench::run(Launch launch, const std::function<void(StepRun&)>& when_started) {
    const auto started = [&] {
        if (when_started) {
            when_started(*step_);
        }
    };
    step_ = make(bench_run, started, nullptr);
    step_->launch(std::move(launch));
    return wait();
}

std::vector<core::RunEnd> Bench::run_all(const std::vector<Launch>& launches) {
    std::vector<std::optional<core::RunEnd>> ends(launches.size());
    std::size_t begun = 0;
    std::size_t over = 0;
    std::function<void()> begin_next = [&] {
        if (begun == launches.size()) {
            return;
        }
        const std::size_t number = begun++;
        Launch launch = launches[number];
        launch.spec.run.number = static_cast<std::uint32_t>(number + 1);
        const core::Run run = launch.spec.run;
        make(
            run, [] {},
            [&, number](core::RunEnd end) {
                ends[number] = std::move(end);
                begin_next();
                if (++over == launches.size()) {
                    context().stop();
                }
            })
            ->launch(std::move(launch));
    };
    for (std::size_t i = 0; i < most_at_a_time; ++i) {
        begin_next();
    }
    const asio::executor_work_guard<asio::io_context::executor_type> guard(context().get_executor());
    context().run_for(patience_with_many);
    REQUIRE(over == launches.size());
    std::vector<core::RunEnd> result;
    std::transform(ends.begin(), ends.end(), std::back_inserter(result),
                   [](const auto& end) { return *end; });
    return result;
}

core::RunEnd Bench::adopt(const std::function<void(StepRun&)>& when_begun) {
    step_ = make(
        bench_run, [] {}, nullptr);
    if (when_begun) {
        when_begun(*step_);
    }
    step_->adopt();
    return wait();
}

void Bench::launch_and_leave(Launch launch) {
    step_ = make(
        bench_run, [this] { context().stop(); }, nullptr);
    step_->launch(std::move(launch));
    const asio::executor_work_guard<asio::io_context::executor_type> guard(context().get_executor());
    context().run_for(patience);
    step_.reset();
}

std::string Bench::log() const {
    return text_of(paths_.log("RQ-0001"));
}

std::string Bench::file(const std::string& name) const {
    return text_of(folder_ / name);
}

std::string Bench::record(const std::string& name) const {
    return text_of(run_directory() + "/" + name);
}

void Bench::write_record(const std::string& name, const std::string& text) const {
    REQUIRE(daemon::write_file_durably(run_directory() + "/" + name, text).has_value());
}

daemon::RunView Bench::view() const {
    const auto view = daemon::view_run(run_directory(), bench_run);
    REQUIRE(view.has_value());
    return *view;
}

std::shared_ptr<StepRun> Bench::make(core::Run run, std::function<void()> started,
                                     std::function<void(core::RunEnd)> ended) {
    daemon::RunCallbacks callbacks;
    callbacks.started = std::move(started);
    callbacks.ended = [this, ended = std::move(ended)](core::RunEnd end, const core::Outcome&, const auto&) {
        if (ended) {
            ended(std::move(end));
            return;
        }
        end_ = std::move(end);
        context().stop();
    };
    return std::make_shared<StepRun>(loop_, paths_, "RQ-0001", folder_ / "workspace", run, grace_,
                                     std::move(callbacks));
}

core::RunEnd Bench::wait() {
    context().restart();
    const asio::executor_work_guard<asio::io_context::executor_type> guard(context().get_executor());
    context().run_for(patience);
    REQUIRE(end_.has_value());
    return *std::exchange(end_, std::nullopt);
}

core::ExitRecord exit_of(const core::RunEnd& end) {
    if (const auto* const lost = std::get_if<core::LostRun>(&end)) {
        CAPTURE(lost->reason);
        REQUIRE(std::holds_alternative<core::ExitRecord>(end));
    }
    if (const auto* const start_failed = std::get_if<core::StartFailed>(&end)) {
        CAPTURE(start_failed->reason);
        REQUIRE(std::holds_alternative<core::ExitRecord>(end));
    }
    return std::get<core::ExitRecord>(end);
}

pid_t pid_in(const std::string& text) {
    return static_cast<pid_t>(std::stol(text));
}

bool is_over(pid_t pid) {
    const std::string stat = text_of("/proc/" + std::to_string(pid) + "/stat");
    return stat.empty() || stat.find(") Z ") != std::string::npos || stat.find(") X ") != std::string::npos;
}

bool eventually(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
}

}  // namespace ralph::tests
