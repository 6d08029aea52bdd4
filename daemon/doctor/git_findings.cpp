// The repository as git sees it, and index locks that nobody holds any more.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>

#include "core/queue/queue_validation.h"
#include "daemon/doctor/diagnosis.h"
#include "daemon/doctor/preflight.h"
#include "daemon/git/checkout.h"
#include "daemon/git/filter_programs.h"
#include "daemon/git/git.h"
#include "daemon/git/own_places.h"
#include "daemon/os/identity.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

// Between the start of a process and the lock it makes; the kernel counts starts in hundredths of a second.
constexpr std::chrono::seconds clocks_differ{2};

core::Instant boot_time() {
    const auto text = read_file("/proc/stat", 1ULL << 22);
    constexpr std::string_view key = "\nbtime ";
    const std::string content = text && *text ? **text : std::string{};
    const std::size_t at = content.find(key);
    long long seconds = 0;
    if (at != std::string::npos) {
        std::from_chars(content.data() + at + key.size(), content.data() + content.size(), seconds);
    }
    return core::Instant{std::chrono::seconds{seconds}};
}

// A process that is gone by now holds nothing.
bool was_there(pid_t pid, core::Instant then) {
    const auto ticks = start_ticks(pid);
    if (!ticks) {
        return path_exists("/proc/" + std::to_string(pid));
    }
    const auto per_second = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
    return boot_time() + std::chrono::seconds{*ticks / per_second} <= then + clocks_differ;
}

bool has_open(const fs::path& process, const std::string& path) {
    std::error_code problem;
    for (const auto& entry : fs::directory_iterator(process / "fd", problem)) {
        if (fs::read_symlink(entry.path(), problem) == path) {
            return true;
        }
    }
    return false;
}

// Whether a living process may have made the lock: a git that is older than it, or whoever has it open. git
// holds a lock for as long as it runs, so one that began after the lock was made is not its holder.
bool may_be_held(const std::string& path, core::Instant made) {
    std::error_code problem;
    for (const auto& entry : fs::directory_iterator("/proc", problem)) {
        const std::string name = entry.path().filename().string();
        pid_t pid = 0;
        if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr != name.data() + name.size()) {
            continue;
        }
        const auto command = read_file("/proc/" + name + "/comm", 4096);
        const bool is_git =
            command && *command && (**command == "git\n" || (*command)->rfind("git-", 0) == 0);
        if ((is_git && was_there(pid, made)) || has_open(entry.path(), path)) {
            return true;
        }
    }
    return problem.operator bool();
}

std::optional<core::Instant> made_at(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
        return std::nullopt;
    }
    return core::Instant{std::chrono::seconds{info.st_mtim.tv_sec}};
}

void check_index_lock(Diagnosis& diagnosis, const std::string& path) {
    const auto made = made_at(path);
    if (!made || may_be_held(path, *made)) {
        return;
    }
    diagnosis.add(
        {"index_lock_stale", Severity::wrong, "git was killed in the repository and left its lock", path,
         "No git that was there when the lock was made still runs. Until it goes, git refuses to "
         "commit here, and ralph cannot bring the checkout forward.",
         "run `ralph doctor --fix`, or remove the file",
         "looks again whether nobody holds the lock, then removes it", [path]() -> Result<std::string> {
             const auto again = made_at(path);
             if (!again || may_be_held(path, *again)) {
                 return Error{path + ": somebody uses it now", "wait, then look again"};
             }
             auto removed = remove_file(path);
             return removed ? Result<std::string>{boost::system::in_place_value, "removed"}
                            : Result<std::string>{removed.error()};
         }});
}

void check_checkout(Diagnosis& diagnosis) {
    const std::string path = diagnosis.paths.checkout_move();
    if (!diagnosis.settings || !path_exists(path)) {
        return;
    }
    const Settings& settings = *diagnosis.settings;
    diagnosis.add({"checkout_halfway", Severity::wrong, "The checkout was cut off on its way forward", path,
                   "A landing was killed, or had no room, while it wrote files; some are as before, some as "
                   "after. The next start or landing fixes that, too.",
                   "run `ralph doctor --fix`", "ends the move; what you changed yourself stays",
                   [settings, path]() -> Result<std::string> {
                       const CheckoutEnd end = fix_checkout(settings, FileLock::Wait::no);
                       if (!end.note.empty() || path_exists(path)) {
                           return Error{end.note.empty() ? path + ": a landing is at it" : end.note,
                                        "then run `ralph doctor` again"};
                       }
                       return {boost::system::in_place_value, "brought to its end"};
                   }});
}

void check_workspace_locks(Diagnosis& diagnosis) {
    const auto names = diagnosis.settings ? list_directory(diagnosis.settings->workspace_root)
                                          : Result<std::vector<std::string>>{std::vector<std::string>{}};
    for (const std::string& name : names ? *names : std::vector<std::string>{}) {
        const std::string path = diagnosis.settings->workspace(name) + "/.git/index.lock";
        const auto made = made_at(path);
        if (core::is_safe_task_id(name) && made && !may_be_held(path, *made)) {
            diagnosis.add({"workspace_lock_stale", Severity::notice,
                           "git was killed in a workspace and left its lock", path,
                           "The next step of the task removes it.", "nothing", "", nullptr});
        }
    }
}

void check_branch(Diagnosis& diagnosis, const Git& git) {
    const auto branch = git.current_branch();
    if (!branch || !*branch) {
        diagnosis.add({"head_detached", Severity::wrong, "No branch is checked out",
                       branch ? diagnosis.paths.root + "/.git/HEAD" : branch.error().message,
                       "Work is landed on the branch that is checked out, so `ralph run` does not start.",
                       "check out a branch, for example `git checkout main`", "", nullptr});
    }
    const auto url = git.origin_url(Git::Direction::push);
    if (!url || !*url) {
        diagnosis.add({"no_origin", Severity::wrong, "There is no remote named origin",
                       url ? diagnosis.paths.root + "/.git/config" : url.error().message,
                       "Work is landed on that remote, so `ralph run` does not start.",
                       "add it with `git remote add origin URL`", "", nullptr});
    }
}

void check_rewritten_target(Diagnosis& diagnosis) {
    const std::string path = diagnosis.paths.rewritten_target();
    const auto text = read_file(path, 1U << 16U);
    if (!text || !*text) {
        return;
    }
    diagnosis.add({"target_rewritten", Severity::wrong, "The target was rewritten by force", path,
                   core::printable(core::trimmed(**text)),
                   "see whether those commits are missed, then run `ralph doctor --fix`", "forgets it",
                   [path]() -> Result<std::string> {
                       auto removed = remove_file(path);
                       return removed ? Result<std::string>{boost::system::in_place_value, "forgotten"}
                                      : Result<std::string>{removed.error()};
                   }});
}

void check_own_places_in_git(Diagnosis& diagnosis, const Git& git) {
    const std::string& root = diagnosis.paths.root;
    if (const auto checked = check_own_places(root); !checked) {
        if (!checked.error().is_passing()) {
            diagnosis.add({"own_place_tracked", Severity::wrong, "Git tracks what is a supervisor's own",
                           checked.error().message, "`ralph run` refuses to begin.", checked.error().remedy,
                           "", nullptr});
        }
        return;
    }
    const auto branch = git.current_branch();
    if (!branch || !*branch) {
        return;
    }
    const std::string target = "refs/remotes/origin/" + **branch;
    if (const auto places = own_places_in(root, target); places && !places->empty()) {
        diagnosis.add({"own_place_on_target", Severity::wrong, "The target holds what is a supervisor's own",
                       fmt::format("{} of {}", fmt::join(*places, ", "), target),
                       "The checkout is not brought forward to it.", take_off_elsewhere(places->front()), "",
                       nullptr});
    }
}

void check_filters(Diagnosis& diagnosis) {
    const auto missing = missing_filters(diagnosis.paths.root);
    for (const MissingFilter& each : missing ? *missing : std::vector<MissingFilter>{}) {
        diagnosis.add({"filter_missing", Severity::wrong, "A filter of git's has no program",
                       core::printable(fmt::format("{} names {}", each.setting, each.program)),
                       "Files of the repository go through it. Without it they would be read and published "
                       "as they are, so `ralph run` does not start.",
                       "install it, or fix the setting", "", nullptr});
    }
}

// What else `ralph run` refuses. A supervisor that runs is not kept from its work by either.
void check_refusals(Diagnosis& diagnosis) {
    if (!diagnosis.settings) {
        return;
    }
    const Severity severity = diagnosis.supervisor ? Severity::notice : Severity::wrong;
    if (const auto root = check_workspace_root(*diagnosis.settings); !root) {
        diagnosis.add({"workspace_root_unusable", severity, "The workspaces' folder is in the wrong place",
                       root.error().message, "`ralph run` refuses to begin.", root.error().remedy, "",
                       nullptr});
    }
    if (const auto clean = check_clean(*diagnosis.settings); !clean) {
        diagnosis.add({"checkout_dirty", severity, "The checkout has uncommitted changes",
                       clean.error().message,
                       "`ralph run` refuses to begin. A checkout stays behind what lands in these files.",
                       clean.error().remedy, "", nullptr});
    }
}

}  // namespace

void check_git(Diagnosis& diagnosis) {
    const std::string& root = diagnosis.paths.root;
    const Git git(root);
    if (const auto version = git.run({"--version"}); !version) {
        diagnosis.add({"git_missing", Severity::wrong, "git cannot be run", version.error().message,
                       "No step works without it.", "install git", "", nullptr});
        return;
    }
    const auto folder = git.line({"rev-parse", "--absolute-git-dir"});
    if (!folder) {
        diagnosis.add({"no_repository", Severity::wrong, "This is no git repository that git can read", root,
                       folder.error().message, "run `git init` there, or fix the repository", "", nullptr});
        return;
    }
    check_branch(diagnosis, git);
    check_refusals(diagnosis);
    check_rewritten_target(diagnosis);
    check_own_places_in_git(diagnosis, git);
    check_filters(diagnosis);
    check_checkout(diagnosis);
    check_index_lock(diagnosis, *folder + "/index.lock");
    check_workspace_locks(diagnosis);
}

}  // namespace ralph::daemon
