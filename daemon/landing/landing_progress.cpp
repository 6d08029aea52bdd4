#include "daemon/landing/landing_progress.h"

#include <cstdio>
#include <utility>

#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/store/run_directory.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t progress_limit = std::size_t{1} << 20U;

std::string path_in(const std::string& run_directory) {
    return run_directory + "/lane.json";
}

std::optional<core::LandingProgress> read_progress(const std::string& run_directory) {
    const std::string path = path_in(run_directory);
    auto text = read_file(path, progress_limit);
    if (!text || !*text) {
        return std::nullopt;
    }
    const auto document = core::JsonDocument::parse(std::move(**text), path);
    auto progress = document ? core::read_landing_progress(*document)
                             : core::Result<core::LandingProgress>{core::Error{}};
    return progress ? std::optional(std::move(*progress)) : std::nullopt;
}

}  // namespace

void note_landing_progress(const std::string& run_directory, core::LandingProgress progress) {
    progress.since = core::format_rfc3339(wall_clock());
    const auto written = write_file_durably(path_in(run_directory), core::landing_progress_text(progress));
    if (!written) {
        static_cast<void>(std::fprintf(stderr, "ralph: %s\n", written.error().line().c_str()));
    }
}

std::optional<LandingView> view_landing(const Paths& paths, const std::vector<std::string>& tasks) {
    for (const std::string& task_id : tasks) {
        const auto run = view_newest_run(paths, task_id);
        if (!run || !*run || (*run)->run.step != core::StepKind::integrate || !(*run)->shim_alive ||
            (*run)->exit) {
            continue;
        }
        LandingView lane{task_id, {task_id}, read_progress((*run)->directory)};
        if ((*run)->spec) {
            lane.batch.insert(lane.batch.end(), (*run)->spec->batch.begin(), (*run)->spec->batch.end());
        }
        return lane;
    }
    return std::nullopt;
}

}  // namespace ralph::daemon
