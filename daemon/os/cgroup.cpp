#include "daemon/os/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string_view>

#include "daemon/os/wait.h"

namespace ralph::daemon {
namespace {

bool is_cgroup(const FileDescriptor& directory) {
    struct statfs info {};
    return directory && ::fstatfs(directory.get(), &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC;
}

// The cgroup's parent and itself, both held open, so that what is checked is what is ended.
struct Cgroup {
    FileDescriptor parent;
    std::string name;
    FileDescriptor itself;
};

std::optional<Cgroup> open_cgroup(const std::string& path, const std::string& run_id) {
    const std::size_t slash = path.rfind('/');
    const std::string name = "ralph-" + run_id;
    if (run_id.empty() || path.empty() || path.front() != '/' || path.substr(slash + 1) != name ||
        path.find("/../") != std::string::npos) {
        return std::nullopt;
    }
    Cgroup cgroup;
    cgroup.name = name;
    cgroup.parent = FileDescriptor(::open(path.substr(0, slash).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!is_cgroup(cgroup.parent)) {
        return std::nullopt;
    }
    cgroup.itself = FileDescriptor(
        ::openat(cgroup.parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    return is_cgroup(cgroup.itself) ? std::optional(std::move(cgroup)) : std::nullopt;
}

bool is_populated(int events) {
    std::array<char, 512> buffer{};
    const ssize_t got = ::pread(events, buffer.data(), buffer.size(), 0);
    return got > 0 && std::string_view(buffer.data(), static_cast<std::size_t>(got)).find("populated 1") !=
                          std::string_view::npos;
}

// Cgroups hold no files that could be removed, only further cgroups.
bool remove_with_children(int parent, const char* name) {
    const int descriptor = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (DIR* const directory = descriptor < 0 ? nullptr : ::fdopendir(descriptor)) {
        while (const dirent* entry = ::readdir(directory)) {
            if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
                static_cast<void>(remove_with_children(descriptor, entry->d_name));
            }
        }
        ::closedir(directory);
    }
    return ::unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

}  // namespace

Result<void> end_orphaned_cgroup(const std::string& path, const std::string& run_id,
                                 int patience_milliseconds) {
    const auto cgroup = open_cgroup(path, run_id);
    if (!cgroup) {
        return {};
    }
    const int directory = cgroup->itself.get();
    const FileDescriptor kill(::openat(directory, "cgroup.kill", O_WRONLY | O_CLOEXEC));
    const FileDescriptor events(::openat(directory, "cgroup.events", O_RDONLY | O_CLOEXEC));
    if (!kill || !events || ::write(kill.get(), "1", 1) != 1) {
        return system_error("end the processes of", path, errno);
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_milliseconds);
    while (is_populated(events.get())) {
        if (!wait_until(deadline, events.get(), POLLPRI)) {
            return Error{fmt::format("the processes in {} do not end", path)};
        }
    }
    if (!remove_with_children(cgroup->parent.get(), cgroup->name.c_str())) {
        return system_error("remove", path, errno);
    }
    return {};
}

}  // namespace ralph::daemon
