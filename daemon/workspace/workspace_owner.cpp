#include "daemon/workspace/workspace_owner.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <ctime>

#include "core/base/canonical_json.h"
#include "core/base/jsonc.h"
#include "core/queue/task.h"
#include "daemon/git/plain_git.h"
#include "daemon/os/identity.h"
#include "daemon/store/queue_lock.h"
#include "daemon/store/repository_folder.h"
#include "daemon/store/run_directory.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;
using core::Error;
using core::Result;

constexpr const char* owner_file = "ralph-owner";
constexpr const char* root_file = ".ralph-repository";
constexpr std::size_t longest_owner = 1U << 16U;

std::string text_in(const json::object& object, std::string_view key) {
    const json::value* const value = object.if_contains(key);
    const json::string* const text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? std::string{} : std::string(text->data(), text->size());
}

std::optional<WorkspaceOwner> parse_owner(std::string text) {
    const auto document = core::JsonDocument::parse(std::move(text), owner_file);
    const json::object* const object = document ? document->root().if_object() : nullptr;
    if (object == nullptr) {
        return std::nullopt;
    }
    WorkspaceOwner owner{text_in(*object, "repository"), text_in(*object, "task_id"),
                         text_in(*object, "task_created")};
    return owner.repository.empty() || owner.task_id.empty() ? std::nullopt : std::optional(std::move(owner));
}

Error of_other_repository(const std::string& path, const std::string& theirs, const std::string& ours) {
    return Error{
        fmt::format("{} belongs to the repository {}, not to {}", path, core::printable(theirs), ours),
        "give each repository a parallel.workspace_root of its own"};
}

// When the process began, as the wall clock has it now; nothing if there is no such process.
std::optional<std::time_t> beginning_of(pid_t pid) {
    const auto ticks = start_ticks(pid);
    timespec now{};
    timespec since_boot{};
    if (!ticks || ::clock_gettime(CLOCK_REALTIME, &now) != 0 ||
        ::clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0) {
        return std::nullopt;
    }
    const auto per_second = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
    return now.tv_sec - since_boot.tv_sec + static_cast<std::time_t>(*ticks / per_second);
}

// Whether the process is the one that wrote the lock: one that began after that has only its number.
bool is_writer(pid_t pid, const std::string& lock) {
    constexpr std::time_t clocks_differ = 60;
    struct stat written {};
    const auto began = beginning_of(pid);
    return process_exists(pid) && (!began || ::lstat(lock.c_str(), &written) != 0 ||
                                   *began <= written.st_mtim.tv_sec + clocks_differ);
}

Result<Git> open_as(const Settings& settings, const std::string& path, std::string_view task_id,
                    const WorkspaceUse& use, bool any_task) {
    auto git = open_plain(settings, path);
    TRY_ASSIGN(auto written, git ? read_owner(*git) : Result<std::optional<WorkspaceOwner>>{git.error()});
    const WorkspaceOwner now = owner_now(settings, task_id);
    const Belonging belonging = belonging_of(written, now);
    if (belonging == Belonging::other_repository) {
        return of_other_repository(path, written->repository, now.repository);
    }
    if (belonging == Belonging::other_task && !any_task) {
        return Error{fmt::format("{} is the workspace of another task {}, which was made at {}", path,
                                 core::printable(written->task_id), core::printable(written->task_created)),
                     "see what it holds, then move it away"};
    }
    auto ready = configure_workspace(settings, *git, use);
    if (ready && !any_task) {
        ready = write_owner(*git, now);
    }
    return ready ? git : Result<Git>{ready.error()};
}

}  // namespace

WorkspaceOwner owner_now(const Settings& settings, std::string_view task_id) {
    WorkspaceOwner owner{common_git_folder(settings.paths.root), std::string(task_id), {}};
    if (const auto task = read_kept_task(settings.paths, owner.task_id); task) {
        owner.task_created = task->created_at.value_or(std::string{});
    }
    return owner;
}

Result<std::optional<WorkspaceOwner>> read_owner(const Git& workspace) {
    auto git = git_folder_of(workspace);
    TRY_ASSIGN(auto text,
               git ? git->read(owner_file, longest_owner) : Result<std::optional<std::string>>{git.error()});
    return text ? parse_owner(std::move(*text)) : std::nullopt;
}

Result<void> write_owner(const Git& workspace, const WorkspaceOwner& owner) {
    json::object object;
    object["repository"] = owner.repository;
    object["task_id"] = owner.task_id;
    object["task_created"] = owner.task_created;
    const std::string text = core::canonical_json(object) + "\n";
    auto git = git_folder_of(workspace);
    TRY_ASSIGN(auto there,
               git ? git->read(owner_file, longest_owner) : Result<std::optional<std::string>>{git.error()});
    return there && *there == text ? Result<void>{} : git->write(owner_file, text);
}

Belonging belonging_of(const std::optional<WorkspaceOwner>& written, const WorkspaceOwner& now) {
    if (!written) {
        return Belonging::ours;
    }
    if (written->repository != now.repository && path_exists(written->repository) &&
        !is_same_folder(written->repository, now.repository)) {
        return Belonging::other_repository;
    }
    const bool is_same_task =
        written->task_id == now.task_id && (written->task_created == now.task_created ||
                                            written->task_created.empty() || now.task_created.empty());
    return is_same_task ? Belonging::ours : Belonging::other_task;
}

Result<Git> open_workspace(const Settings& settings, const std::string& path, std::string_view task_id,
                           const WorkspaceUse& use) {
    return open_as(settings, path, task_id, use, false);
}

Result<Git> open_workspace_of_any_task(const Settings& settings, const std::string& path,
                                       std::string_view task_id, const WorkspaceUse& use) {
    return open_as(settings, path, task_id, use, true);
}

namespace {

// Of the lock in one of the Rust tools' folders.
Result<std::optional<WorkspaceUser>> user_of_lock(const Folder& workspace, const std::string& folder) {
    auto lock = workspace.below(folder + "/lock");
    auto text = lock && *lock ? (*lock)->read("owner", longest_owner)
                              : Result<std::optional<std::string>>{std::nullopt};
    if (!lock || !text) {
        Error error = lock ? text.error() : lock.error();
        // What is no plain folder or file is no lock.
        return error.is_passing() ? Result<std::optional<WorkspaceUser>>{std::move(error)}
                                  : Result<std::optional<WorkspaceUser>>{std::nullopt};
    }
    const auto owner = *text ? parse_queue_lock_owner(**text) : std::nullopt;
    if (!owner || !is_writer(owner->pid, (*lock)->path() + "/owner")) {
        return std::optional<WorkspaceUser>{};
    }
    return std::optional(WorkspaceUser{owner->pid, core::printable(owner->command)});
}

}  // namespace

Result<std::optional<WorkspaceUser>> user_of_workspace(const std::string& path) {
    auto folder = Folder::open(path);
    if (!folder) {
        return folder.error().is_passing() ? Result<std::optional<WorkspaceUser>>{folder.error()}
                                           : Result<std::optional<WorkspaceUser>>{std::nullopt};
    }
    for (const std::string_view tools : {ralph_folder, cueloop_folder}) {
        if (!*folder) {
            break;
        }
        auto user = user_of_lock(**folder, std::string(tools));
        if (!user || *user) {
            return user;
        }
    }
    return std::optional<WorkspaceUser>{};
}

Result<void> claim_workspace_root(const Settings& settings) {
    const std::string& root = settings.workspace_root;
    const std::string file = root + "/" + root_file;
    const std::string ours = common_git_folder(settings.paths.root);
    TRY(make_directories(root));
    // This repository's own, and its lock is held: the next start takes over what a kill leaves.
    const std::string beginning = fmt::format("{}.{:016x}", file, std::hash<std::string>{}(ours));
    constexpr int tries = 3;
    for (int i = 0; i < tries; ++i) {
        TRY_ASSIGN(auto text, read_file(file, longest_owner));
        const std::string theirs(core::trimmed(std::string_view(text.value_or(std::string{}))));
        if (theirs == ours || (!theirs.empty() && is_same_folder(theirs, ours))) {
            return {};
        }
        if (!theirs.empty() && path_exists(theirs)) {
            static_cast<void>(remove_file(beginning));
            return of_other_repository(root, theirs, ours);
        }
        if (text) {  // its repository is gone, or it was never written to its end
            return write_file_durably(file, ours + "\n");
        }
        TRY(write_file_durably(beginning, ours + "\n"));
        const auto placed = move_without_replacing(beginning, file);
        if (!placed || !*placed) {
            static_cast<void>(remove_file(beginning));
        }
        if (!placed) {
            return placed.error();
        }
    }
    return Error{file + ": somebody else writes it again and again"};
}

}  // namespace ralph::daemon
