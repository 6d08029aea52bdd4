// The system calls for files that the supervisor makes, one function each, and nothing else in the store
// makes any. They behave like their namesakes: -1 and errno on failure. The simulation and the fault tests
// link an implementation of their own in the place of file_calls.cpp: files in memory, which fail on demand
// and forget in a crash what was not synced.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

namespace ralph::daemon::file_calls {

enum class Kind { regular, directory, link, other };

struct Status {
    Kind kind = Kind::other;
    unsigned long long size = 0;
    std::size_t links = 0;
    unsigned permissions = 0;  // as for chmod
    unsigned owner = 0;
    unsigned group = 0;
    unsigned long long device = 0;
    unsigned long long inode = 0;
};

[[nodiscard]] int open(const std::string& path, int flags, unsigned mode = 0);
// A directory below `parent`: no symbolic link is followed, and the file system is not left; ELOOP or ENOTDIR
// and EXDEV then. Also where the kernel or a sandbox has no openat2.
[[nodiscard]] int open_below(int parent, const std::string& name);
// What is called so in the directory; a symbolic link is not followed (ELOOP).
[[nodiscard]] int open_in(int directory, const std::string& name, int flags, unsigned mode = 0);
[[nodiscard]] ssize_t read(int file, char* buffer, std::size_t size);
[[nodiscard]] ssize_t write(int file, const char* data, std::size_t size);
[[nodiscard]] ssize_t write_at_start(int file, const char* data, std::size_t size);
[[nodiscard]] int sync(int file);
[[nodiscard]] int status(int file, Status& result);
[[nodiscard]] int status_of_link(const std::string& path, Status& result);
[[nodiscard]] int status(const std::string& path, Status& result);
[[nodiscard]] int status_in(int directory, const std::string& name, Status& result);  // of a link itself
// 0 if we may list the directory `name` and reach what is in it.
[[nodiscard]] int may_enter_in(int directory, const std::string& name);
// Without "." and "..", in no order.
[[nodiscard]] int list(int directory, std::vector<std::string>& names);

[[nodiscard]] int make_directory(const std::string& path);
[[nodiscard]] int make_directory_in(int directory, const std::string& name);
[[nodiscard]] int rename(const std::string& from, const std::string& to);
[[nodiscard]] int rename_in(int directory, const std::string& from, const std::string& to);
[[nodiscard]] int rename_without_replacing(const std::string& from, const std::string& to);
[[nodiscard]] int link(const std::string& from, const std::string& to);
[[nodiscard]] int unlink(const std::string& path);
[[nodiscard]] int unlink_in(int directory, const std::string& name);
[[nodiscard]] int remove_directory(const std::string& path);
[[nodiscard]] int remove_directory_in(int directory, const std::string& name);
int allow_owner_everything(int directory);
[[nodiscard]] int set_permissions(int file, unsigned permissions);
[[nodiscard]] int set_owner(int file, unsigned owner, unsigned group);
// Absolute, with all symbolic links followed.
[[nodiscard]] int real_path(const std::string& path, std::string& result);

// flock: exclusive, not inherited, let go with the last descriptor of this opening.
[[nodiscard]] int lock(int file, bool wait);
// An open file description lock (F_OFD_SETLK) for writing on the whole file; fails if somebody else has one.
[[nodiscard]] int lock_record(int file);
// Whether such a lock of somebody else is on the file: 1, 0, or -1.
[[nodiscard]] int is_locked_by_another(int file);

}  // namespace ralph::daemon::file_calls
