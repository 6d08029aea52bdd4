#include "daemon/store/queue_lock.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/queue/task.h"
#include "daemon/os/identity.h"

namespace ralph::daemon {
namespace {

constexpr std::string_view shared_label = "task";

std::string command_line() {
    const auto text = read_file("/proc/self/cmdline", 1ULL << 16);
    std::string command = text && *text ? **text : std::string("ralph");
    while (!command.empty() && command.back() == '\0') {
        command.pop_back();
    }
    for (char& c : command) {
        c = c == '\0' || c == '\n' ? ' ' : c;
    }
    return command;
}

std::string owner_text(const std::string& label, const std::string& now) {
    return fmt::format("pid: {}\nstarted_at: {}\ncommand: {}\nlabel: {}\n", own_pid(), now, command_line(),
                       label);
}

std::optional<QueueLockOwner> read_owner(const std::string& directory) {
    const auto text = read_file(directory + "/owner", 1ULL << 16);
    return text && *text ? parse_queue_lock_owner(**text) : std::nullopt;
}

bool is_dead(const QueueLockOwner& owner) {
    return !process_exists(owner.pid);
}

bool is_predecessor(const QueueLockOwner& owner, const std::optional<QueueLockOwner>& predecessor) {
    return predecessor && owner.pid == predecessor->pid && owner.started_at == predecessor->started_at &&
           owner.label == "run loop";
}

Error held(const std::string& directory, const std::optional<QueueLockOwner>& owner) {
    if (!owner) {
        return Error{
            fmt::format("Queue lock already held at: {}; its owner file is missing or unreadable", directory),
            "if no ralph runs in this repository, remove that folder"};
    }
    return Error{fmt::format("Queue lock already held at: {} by pid {} ({}) since {}", directory, owner->pid,
                             owner->label, owner->started_at),
                 "wait for it to end, or end it"};
}

// Lock directories are made and taken apart beside the others' sight, in the cache folder: queue-lock.<pid>.
constexpr std::string_view staging_prefix = "queue-lock.";

// Removes what processes that died on the way left there.
void clear_staging(const std::string& cache) {
    const auto names = list_directory(cache);
    if (!names) {
        return;
    }
    for (const std::string& name : *names) {
        int pid = 0;
        const char* const end = name.data() + name.size();
        if (name.rfind(staging_prefix, 0) == 0 &&
            std::from_chars(name.data() + staging_prefix.size(), end, pid).ptr == end && pid > 0 &&
            (pid == own_pid() || !process_exists(pid))) {
            static_cast<void>(remove_tree(cache, name));
        }
    }
}

// A lock directory appears with its owner file in it, in one step, so that no crash leaves one without an
// owner.
Result<bool> place(const Paths& paths, const std::string& text) {
    const std::string directory = paths.queue_lock();
    TRY(make_directories(paths.cache()));
    clear_staging(paths.cache());
    const std::string prepared = fmt::format("{}/{}{}", paths.cache(), staging_prefix, own_pid());
    TRY(make_directories(prepared));
    if (auto written = write_file_durably(prepared + "/owner", text); !written) {
        clear_staging(paths.cache());
        return written.error();
    }
    auto placed = move_without_replacing(prepared, directory);
    if (!placed || !*placed) {
        clear_staging(paths.cache());
    }
    return placed;
}

// Sharers that died leave their files in a directory whose owner has gone. Nobody holds it when all of them
// are dead.
bool only_dead_sharers(const std::string& directory) {
    const auto names = list_directory(directory);
    if (!names || names->empty()) {
        return false;
    }
    return std::all_of(names->begin(), names->end(), [&directory](const std::string& name) {
        const auto text = read_file(directory + "/" + name, 1ULL << 16);
        const auto sharer = text && *text ? parse_queue_lock_owner(**text) : std::nullopt;
        return name.rfind("owner_task_", 0) == 0 && sharer && is_dead(*sharer);
    });
}

// Takes the directory out of sight, for good before anything in it is removed: no crash brings back a lock
// without an owner. False: it is not there.
Result<bool> put_aside(const Paths& paths, const std::string& aside) {
    auto moved = move(paths.queue_lock(), aside);
    if (moved && *moved) {
        TRY(sync_directory(paths.ralph()));
    }
    return moved;
}

// Moves the stale directory aside and looks again at what was moved: a lock that somebody took in between
// goes back.
Result<void> clear_stale(const Paths& paths, const QueueLockOwner& stale) {
    const std::string directory = paths.queue_lock();
    const std::string aside = fmt::format("{}/{}{}", paths.cache(), staging_prefix, own_pid());
    if (const auto moved = put_aside(paths, aside); !moved || !*moved) {
        return moved ? Result<void>{} : Result<void>{moved.error()};
    }
    const auto found = read_owner(aside);
    if (!found || found->pid != stale.pid || found->started_at != stale.started_at) {
        static_cast<void>(move_without_replacing(aside, directory));
        return {};
    }
    clear_staging(paths.cache());
    return {};
}

// As clear_stale: moved aside first, looked at again, and put back if it is somebody's after all.
void clear_dead_sharers(const Paths& paths) {
    const std::string directory = paths.queue_lock();
    const std::string aside = fmt::format("{}/{}{}", paths.cache(), staging_prefix, own_pid());
    if (const auto moved = put_aside(paths, aside); !moved || !*moved) {
        return;
    }
    if (!only_dead_sharers(aside)) {
        static_cast<void>(move_without_replacing(aside, directory));
        return;
    }
    clear_staging(paths.cache());
}

}  // namespace

std::optional<QueueLockOwner> parse_queue_lock_owner(std::string_view text) {
    QueueLockOwner owner{0, "unknown", "unknown", "unknown"};
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) {
            continue;
        }
        const std::string_view key = core::trimmed(line.substr(0, colon));
        const std::string_view value = core::trimmed(line.substr(colon + 1));
        if (key == "pid") {
            const auto [rest, problem] =
                std::from_chars(value.data(), value.data() + value.size(), owner.pid);
            if (problem != std::errc{} || rest != value.data() + value.size()) {
                owner.pid = 0;
            }
        } else if (key == "started_at") {
            owner.started_at = value;
        } else if (key == "command") {
            owner.command = value;
        } else if (key == "label") {
            owner.label = value;
        }
    }
    return owner.pid > 0 ? std::optional(owner) : std::nullopt;
}

std::optional<QueueLockOwner> living_lock_owner(const Paths& paths) {
    auto owner = read_owner(paths.queue_lock());
    return owner && !is_dead(*owner) ? owner : std::nullopt;
}

Result<QueueLock> QueueLock::acquire(const Paths& paths, const std::string& label, const std::string& now,
                                     const std::optional<QueueLockOwner>& predecessor) {
    const std::string directory = paths.queue_lock();
    constexpr int tries = 3;
    for (int i = 0; i < tries; ++i) {
        TRY_ASSIGN(auto placed, place(paths, owner_text(label, now)));
        if (placed) {
            return QueueLock(paths.cache(), directory, directory + "/owner");
        }
        const auto owner = read_owner(directory);
        if (!owner && !path_exists(directory)) {
            continue;
        }
        if (!owner && only_dead_sharers(directory)) {
            clear_dead_sharers(paths);
            continue;
        }
        if (!owner || (!is_dead(*owner) && !is_predecessor(*owner, predecessor))) {
            return held(directory, owner);
        }
        TRY(clear_stale(paths, *owner));
    }
    return held(directory, read_owner(directory));
}

Result<QueueLock> QueueLock::acquire_shared(const Paths& paths, const std::string& now) {
    const std::string directory = paths.queue_lock();
    const auto owner = read_owner(directory);
    if (owner && !is_dead(*owner) && (owner->label == "run one" || owner->label == "run loop")) {
        const std::string sidecar = fmt::format("{}/owner_task_{}_0", directory, own_pid());
        if (auto written = write_file_durably(sidecar, owner_text(std::string(shared_label), now));
            !written) {
            return written.error();
        }
        return QueueLock(paths.cache(), directory, sidecar);
    }
    return acquire(paths, std::string(shared_label), now, std::nullopt);
}

// In one step as well: at no instant is there a lock directory without an owner, which nobody could clear.
// What cannot be done so is left for the next one, who finds its owner dead. While sharers hold the lock,
// too, only our own file goes.
QueueLock::~QueueLock() {
    if (cache_.empty()) {
        return;
    }
    const auto names = list_directory(directory_);
    if (!names) {
        return;
    }
    if (names->size() > 1) {
        static_cast<void>(remove_file(owner_));
        return;
    }
    const std::string aside = fmt::format("{}/{}{}", cache_, staging_prefix, own_pid());
    const auto put_aside = move_without_replacing(directory_, aside);
    if (!put_aside || !*put_aside || !sync_directory(directory_.substr(0, directory_.rfind('/')))) {
        return;
    }
    const auto moved = list_directory(aside);
    if (moved && moved->size() > 1) {  // somebody has come to share it in between
        static_cast<void>(remove_file(aside + owner_.substr(directory_.size())));
        static_cast<void>(move_without_replacing(aside, directory_));
    }
    clear_staging(cache_);
}

}  // namespace ralph::daemon
