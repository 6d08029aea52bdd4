#include "tests/chaos/victims.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "daemon/os/identity.h"
#include "daemon/store/run_directory.h"

namespace ralph::chaos {
namespace {

std::vector<pid_t> children_of(pid_t parent) {
    std::vector<pid_t> children;
    std::error_code gone;
    const std::string tasks = fmt::format("/proc/{}/task", parent);
    for (auto entry = std::filesystem::directory_iterator(tasks, gone);
         !gone && entry != std::filesystem::directory_iterator(); entry.increment(gone)) {
        std::ifstream list(entry->path() / "children");
        for (pid_t child = 0; list >> child;) {
            children.push_back(child);
        }
    }
    return children;
}

bool is_alive(const daemon::FileDescriptor& pidfd) {
    pollfd wait{pidfd.get(), POLLIN, 0};
    return ::poll(&wait, 1, 0) == 0;
}

bool is_in(pid_t pid, const std::string& folder) {
    std::error_code gone;
    const std::string place = std::filesystem::read_symlink(fmt::format("/proc/{}/cwd", pid), gone).string();
    return gone || place == folder || place.rfind(folder + "/", 0) == 0;
}

std::string name_of(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/comm", pid));
    std::string name;
    std::getline(file, name);
    return name;
}

struct Descendant {
    pid_t pid;
    daemon::FileDescriptor pidfd;
};

// A child is known to be one when it is seen as one after its pidfd was opened, and its parent lives then.
void collect(pid_t parent, const daemon::FileDescriptor& parent_pidfd, const std::string& remote,
             std::vector<Descendant>& found) {
    for (const pid_t child : children_of(parent)) {
        daemon::FileDescriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
        const auto now = children_of(parent);
        if (!pidfd || std::find(now.begin(), now.end(), child) == now.end() || !is_alive(parent_pidfd) ||
            is_in(child, remote)) {
            continue;
        }
        collect(child, pidfd, remote, found);
        found.push_back({child, std::move(pidfd)});
    }
}

}  // namespace

std::vector<LiveRun> live_runs(const daemon::Paths& paths) {
    std::vector<LiveRun> found;
    const auto tasks = daemon::tasks_with_runs(paths);
    for (const std::string& task : tasks ? *tasks : std::vector<std::string>{}) {
        const auto names = daemon::list_directory(paths.runs_of(task));
        for (const std::string& name : names ? *names : std::vector<std::string>{}) {
            const auto parsed = core::parse_run_directory_name(name);
            const std::string directory = paths.runs_of(task) + "/" + name;
            const auto locked = daemon::is_locked(directory + "/lock");
            if (!parsed || !locked || !*locked) {
                continue;
            }
            const auto view = daemon::view_run(directory, core::Run{parsed->step, parsed->number, 1});
            if (!view || !view->shim_alive || !view->shim || !view->spec) {
                continue;
            }
            LiveRun run{task, view->run, view->spec->run_id, *view->shim, view->worker};
            found.push_back(std::move(run));
        }
    }
    return found;
}

std::optional<Victim> open_victim(const LiveRun& run, Part part, const std::string& remote, Random& random) {
    if (part == Part::shim) {
        auto pidfd = daemon::open_process(run.shim);
        return pidfd ? std::optional(Victim{run, part, std::move(*pidfd), "its shim"}) : std::nullopt;
    }
    auto leader = run.leader ? daemon::open_process(*run.leader) : std::nullopt;
    if (!leader || part == Part::leader) {
        return leader ? std::optional(Victim{run, part, std::move(*leader), "its process"}) : std::nullopt;
    }
    std::vector<Descendant> descendants;
    collect(run.leader->pid, *leader, remote, descendants);
    if (descendants.empty()) {
        return std::nullopt;
    }
    Descendant& chosen = descendants[random() % descendants.size()];
    return Victim{run, part, std::move(chosen.pidfd), "its descendant " + name_of(chosen.pid)};
}

}  // namespace ralph::chaos
