#include "daemon/store/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/check.h"

namespace ralph::daemon {
namespace {

template <class Call>
auto retry_interrupted(Call call) {
    decltype(call()) result;
    do {
        result = call();
    } while (result < 0 && errno == EINTR);
    return result;
}

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) {
        return ".";
    }
    return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> write_all(int fd, std::string_view content, const std::string& path) {
    while (!content.empty()) {
        const ssize_t written =
            retry_interrupted([&] { return ::write(fd, content.data(), content.size()); });
        if (written < 0) {
            return system_error("write", path, errno);
        }
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;

// Opens a directory below `parent` without following any link and without leaving the file system.
FileDescriptor open_below(int parent, const char* name) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    return FileDescriptor(static_cast<int>(::syscall(SYS_openat2, parent, name, &how, sizeof how)));
}

std::vector<std::string> names_in(int directory) {
    std::vector<std::string> names;
    const int copy = ::fcntl(directory, F_DUPFD_CLOEXEC, 0);
    const DirectoryStream stream(copy < 0 ? nullptr : ::fdopendir(copy));
    if (!stream) {
        return names;
    }
    ::rewinddir(stream.get());
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            names.emplace_back(name);
        }
    }
    return names;
}

// Empties the directory, bottom up. The depth of the recursion is that of the tree, bounded by PATH_MAX / 2
// for trees that path-based tools can make; each level keeps one descriptor.
Result<void> empty_directory(int directory, const std::string& path) {
    for (const std::string& name : names_in(directory)) {
        if (::unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) {
            continue;
        }
        if (errno != EISDIR && errno != EPERM) {
            return system_error("remove", path + "/" + name, errno);
        }
        const FileDescriptor child = open_below(directory, name.c_str());
        if (!child) {
            return system_error("open for removal", path + "/" + name, errno);
        }
        static_cast<void>(
            ::fchmod(child.get(), 0700));  // read-only directories (module caches) hold files, too
        if (auto emptied = empty_directory(child.get(), path + "/" + name); !emptied) {
            return emptied;
        }
        if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
            return system_error("remove", path + "/" + name, errno);
        }
    }
    return {};
}

}  // namespace

Error system_error(std::string_view what, const std::string& path, int error_number) {
    return Error{fmt::format("{}: {} failed: {}", path, what, ::strerrordesc_np(error_number))};
}

Result<std::optional<std::string>> read_file(const std::string& path, std::size_t limit) {
    const FileDescriptor file(
        retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
    if (!file) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return std::optional<std::string>{};
        }
        return system_error("open", path, errno);
    }
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) {
        return system_error("stat", path, errno);
    }
    if (!S_ISREG(info.st_mode)) {
        return Error{fmt::format("{}: is not a regular file", path)};
    }
    std::string content;
    std::array<char, 65536> buffer{};
    while (true) {
        const ssize_t got =
            retry_interrupted([&] { return ::read(file.get(), buffer.data(), buffer.size()); });
        if (got < 0) {
            return system_error("read", path, errno);
        }
        if (got == 0) {
            return std::optional<std::string>{std::move(content)};
        }
        content.append(buffer.data(), static_cast<std::size_t>(got));
        if (content.size() > limit) {
            return Error{fmt::format("{}: is larger than {} bytes", path, limit)};
        }
    }
}

Result<void> write_file_durably(const std::string& path, std::string_view content, unsigned mode) {
    // One name per target: what a crash leaves behind is replaced by the next write. Always a new file, since
    // after a failed sync nothing more can be known about the old one.
    const std::string temporary = path + ".new";
    static_cast<void>(::unlink(temporary.c_str()));
    const FileDescriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!file) {
        return system_error("create", temporary, errno);
    }
    auto written = write_all(file.get(), content, temporary);
    if (written && retry_interrupted([&] { return ::fsync(file.get()); }) != 0) {
        written = system_error("sync", temporary, errno);
    }
    if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
        written = system_error("rename", path, errno);
    }
    if (!written) {
        static_cast<void>(::unlink(temporary.c_str()));
        return written;
    }
    return sync_directory(parent_of(path));
}

Result<void> append_file(const std::string& path, std::string_view content) {
    const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    if (!file) {
        return system_error("open", path, errno);
    }
    return write_all(file.get(), content, path);
}

Result<void> make_directories(const std::string& path) {
    if (is_directory(path)) {
        return {};
    }
    const std::string parent = parent_of(path);
    if (parent != path && parent != "." && !path_exists(parent)) {
        if (auto made = make_directories(parent); !made) {
            return made;
        }
    }
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        return system_error("mkdir", path, errno);
    }
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return Error{fmt::format("{}: is not a directory", path)};
    }
    return sync_directory(parent);
}

Result<void> sync_directory(const std::string& path) {
    const FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) {
        return system_error("open", path, errno);
    }
    if (retry_interrupted([&] { return ::fsync(directory.get()); }) != 0) {
        return system_error("sync", path, errno);
    }
    return {};
}

Result<void> rename_durably(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) {
        return system_error("rename to " + to, from, errno);
    }
    return sync_directory(parent_of(to));
}

Result<void> remove_file(const std::string& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
        return system_error("remove", path, errno);
    }
    return {};
}

bool path_exists(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
}

bool is_directory(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
    const FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) {
        if (errno == ENOENT) {
            return std::vector<std::string>{};
        }
        return system_error("open", path, errno);
    }
    std::vector<std::string> names = names_in(directory.get());
    std::sort(names.begin(), names.end());
    return names;
}

Result<void> remove_tree(const std::string& parent, const std::string& name) {
    CHECK(!name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos);
    const std::string path = parent + "/" + name;
    const FileDescriptor directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) {
        return errno == ENOENT ? Result<void>{} : Result<void>{system_error("open", parent, errno)};
    }
    const FileDescriptor tree = open_below(directory.get(), name.c_str());
    if (!tree) {
        return errno == ENOENT ? Result<void>{} : Result<void>{system_error("open for removal", path, errno)};
    }
    static_cast<void>(::fchmod(tree.get(), 0700));
    if (auto emptied = empty_directory(tree.get(), path); !emptied) {
        return emptied;
    }
    if (::unlinkat(directory.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
        return system_error("remove", path, errno);
    }
    return {};
}

Result<std::optional<FileLock>> FileLock::acquire(const std::string& path, Wait wait) {
    FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) {
        return system_error("open", path, errno);
    }
    const int operation = LOCK_EX | (wait == Wait::no ? LOCK_NB : 0);
    if (retry_interrupted([&] { return ::flock(file.get(), operation); }) != 0) {
        if (errno == EWOULDBLOCK) {
            return std::optional<FileLock>{};
        }
        return system_error("lock", path, errno);
    }
    return std::optional<FileLock>{FileLock(std::move(file), path)};
}

Result<void> FileLock::write(std::string_view content) const {
    // Always the same length, written over what is there: needs no new space on a full disk.
    constexpr std::size_t length = 512;
    CHECK(content.size() <= length);
    std::string padded(content);
    padded.resize(length, '\n');
    const ssize_t written =
        retry_interrupted([&] { return ::pwrite(descriptor_.get(), padded.data(), padded.size(), 0); });
    if (written != static_cast<ssize_t>(length)) {
        return system_error("write", path_, errno);
    }
    if (retry_interrupted([&] { return ::fsync(descriptor_.get()); }) != 0) {
        return system_error("sync", path_, errno);
    }
    return {};
}

Result<void> FileLock::show() const {
    struct flock mark {};
    mark.l_type = F_WRLCK;
    mark.l_whence = SEEK_SET;
    if (::fcntl(descriptor_.get(), F_OFD_SETLK, &mark) != 0) {
        return system_error("lock", path_, errno);
    }
    return {};
}

Result<bool> is_locked(const std::string& path) {
    const FileDescriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file) {
        return errno == ENOENT ? Result<bool>{false} : Result<bool>{system_error("open", path, errno)};
    }
    struct flock query {};
    query.l_type = F_WRLCK;
    query.l_whence = SEEK_SET;
    if (::fcntl(file.get(), F_OFD_GETLK, &query) != 0) {
        return system_error("ask for the lock of", path, errno);
    }
    return query.l_type != F_UNLCK;
}

}  // namespace ralph::daemon
