#include "daemon/supervisor/step_run.h"

#include <fmt/format.h>

#include <csignal>
#include <utility>

#include "core/base/check.h"
#include "daemon/store/block_marker.h"
#include "daemon/store/run_directory.h"

namespace ralph::daemon {
namespace {

constexpr std::chrono::seconds ready_patience{30};
constexpr std::chrono::seconds deaf_shim_patience{10};
constexpr std::chrono::milliseconds adoption_pause{50};
constexpr int adoption_tries = 200;
constexpr std::chrono::milliseconds look_again_pause{500};

}  // namespace

StepRun::StepRun(Loop& loop, Paths paths, std::string task_id, std::string workspace, core::Run run,
                 core::Milliseconds kill_grace, RunCallbacks callbacks)
    : loop_(loop),
      paths_(std::move(paths)),
      task_id_(std::move(task_id)),
      workspace_(std::move(workspace)),
      run_(run),
      kill_grace_(kill_grace),
      callbacks_(std::move(callbacks)),
      directory_(paths_.run(task_id_, run_)),
      timer_(loop) {}

void StepRun::launch(Launch launch) {
    auto request = std::make_shared<const Launch>(std::move(launch));
    loop_.post_to_helper([self = shared_from_this(), request] {
        // One that was lost may have left its marker, which is none of the next one's.
        auto made = self->run_.step == core::StepKind::work ? remove_marker(self->paths_.in(self->workspace_))
                                                            : Result<void>{};
        if (made) {
            made = make_run_directory(self->paths_, request->spec);
        }
        if (made) {
            made = make_directories(self->paths_.logs());
        }
        self->loop_.post([self, request, made = std::move(made)] {
            if (made) {
                self->spawn_shim(*request);
            } else {
                self->start_failed(made.error().message);
            }
        });
    });
}

void StepRun::spawn_shim(const Launch& launch) {
    ShimRequest request;
    request.program = launch.shim;
    request.environment = launch.environment;
    request.run_directory = directory_;
    request.log_directory = paths_.logs();
    request.arguments = {
        "--grace",
        std::to_string(launch.kill_grace.count()),
        "--timeout",
        std::to_string(launch.timeout.count()),
        "--silence",
        std::to_string(launch.silence.count()),
        "--log",
        task_id_ + ".log",
        "--log-limit",
        std::to_string(launch.log_limit_bytes),
        "--descriptors",
        std::to_string(launch.descriptors),
        "--cwd",
        launch.spec.working_directory,
        "--banner",
        fmt::format("{} {} run {} attempt {}", task_id_, to_string(run_.step), run_.number, run_.attempt)};
    for (const CgroupLimit& limit : launch.limits) {
        request.arguments.insert(request.arguments.end(), {"--limit", limit.file + "=" + limit.value});
    }
    request.arguments.emplace_back("--");
    request.arguments.insert(request.arguments.end(), launch.spec.command.begin(), launch.spec.command.end());
    auto shim = ShimProcess::start(loop_, request);
    if (!shim) {
        start_failed(shim.error().message);
        return;
    }
    shim_ = std::move(*shim);
    timer_.arm(ready_patience, [self = shared_from_this()] {
        // Nothing has been started: without its socket the shim gives up, and if it is deaf, it is ours to
        // end.
        self->shim_->withdraw();
        self->shim_->signal(SIGKILL);
    });
    shim_->await_ready([self = shared_from_this()](bool ready) { self->on_ready(ready); });
}

void StepRun::on_ready(bool ready) {
    timer_.cancel();
    answered_ = true;
    const bool go = ready && !end_requested_ && shim_->let_go();
    if (go) {
        callbacks_.started();
    } else {
        shim_->withdraw();
    }
    watch();
}

void StepRun::adopt() {
    try_adopt();
}

void StepRun::try_adopt() {
    const auto view = view_run(directory_, run_);
    if (view && !view->shim_alive) {
        on_gone();
        return;
    }
    if (view && view->shim) {
        if ((shim_ = ShimProcess::adopt(loop_, *view->shim)) != nullptr) {
            answered_ = true;
            shim_->signal(SIGUSR1);  // its limits were off while no supervisor ran
            watch();
            return;
        }
    }
    // The lock is held, but by whom is not written yet, or it is let go this very moment. Either is over
    // soon; a holder that never becomes known is left alone, since a process is only signalled when its
    // identity is proven.
    if (++adoptions_tried_ >= adoption_tries) {
        adoptions_tried_ = adoption_tries;
    }
    timer_.arm(adoption_pause * (adoptions_tried_ == adoption_tries ? 100 : 1),
               [self = shared_from_this()] { self->try_adopt(); });
}

void StepRun::watch() {
    if (end_requested_) {
        end();
    }
    shim_->await_end([self = shared_from_this()] { self->on_gone(); });
}

void StepRun::end() {
    end_requested_ = true;
    if (!shim_ || !answered_) {
        return;  // not started yet: on_ready or watch will see the request
    }
    shim_->signal(SIGTERM);
    timer_.arm(kill_grace_ + deaf_shim_patience, [self = shared_from_this()] {
        if (self->shim_) {
            self->shim_->signal(SIGKILL);
        }
    });
}

void StepRun::on_gone() {
    timer_.cancel();
    shim_.reset();
    look_at_end();
}

// What cannot be read now (no descriptor left, an I/O error), or has processes left that do not end, is not
// an outcome: it is looked at again until it is.
void StepRun::look_at_end() {
    loop_.post_to_helper([self = shared_from_this()] {
        auto view = view_run(self->directory_, self->run_);
        if (!view) {
            self->loop_.post([self] { self->look_again(); });
            return;
        }
        auto end = end_of(*view, OrphanPolicy::kill);
        auto marker = self->run_.step == core::StepKind::work ? read_marker(self->paths_.in(self->workspace_))
                                                              : Result<std::optional<core::BlockMarker>>{};
        if (!end || !marker) {
            self->loop_.post([self] { self->look_again(); });
            return;
        }
        self->loop_.post([self, end = std::move(*end), outcome = std::move(view->outcome),
                          marker = std::move(*marker)] { self->finish(end, outcome, marker); });
    });
}

void StepRun::look_again() {
    timer_.arm(look_again_pause, [self = shared_from_this()] { self->look_at_end(); });
}

void StepRun::start_failed(std::string reason) {
    finish(core::StartFailed{std::move(reason)}, {}, std::nullopt);
}

void StepRun::finish(core::RunEnd end, core::Outcome outcome, std::optional<core::BlockMarker> marker) {
    CHECK(callbacks_.ended);
    const auto ended = std::exchange(callbacks_.ended, nullptr);
    ended(std::move(end), std::move(outcome), std::move(marker));
}

}  // namespace ralph::daemon
