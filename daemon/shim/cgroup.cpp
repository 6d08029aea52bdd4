#include "daemon/shim/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "daemon/shim/delegation.h"
#include "daemon/shim/files.h"
#include "daemon/shim/splitter.h"

namespace ralph::shim {
namespace {

constexpr int look_again_ms = 1000;  // should something have been moved in meanwhile

bool is_run_id(std::string_view text) {
    for (const char character : text) {
        const bool letter = (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
        if (!letter && !(character >= '0' && character <= '9') && character != '-' && character != '_') {
            return false;
        }
    }
    return !text.empty();
}

// The number in the line "name number"; -1 if there is none.
long long counter(const std::string& text, std::string_view name) {
    Splitter lines(text, '\n');
    for (std::string_view line; lines.next(line);) {
        if (line.size() > name.size() && line.substr(0, name.size()) == name && line[name.size()] == ' ') {
            return strtoll(line.data() + name.size() + 1, nullptr, 10);
        }
    }
    return -1;
}

void write_to(const std::string& path, std::string_view text) {
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        static_cast<void>(write_all(fd, text));
        close(fd);
    }
}

void remove_with_children(const std::string& path) {
    if (DIR* const directory = opendir(path.c_str())) {
        while (const dirent* entry = readdir(directory)) {
            if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
                remove_with_children(path + "/" + entry->d_name);
            }
        }
        closedir(directory);
    }
    rmdir(path.c_str());
}

long long larger(long long left, long long right) {
    return left > right ? left : right;
}

}  // namespace

Cgroup::Cgroup(const char* run_id) {
    const std::string place = delegated_cgroup();
    if (run_id != nullptr && is_run_id(run_id) && !place.empty()) {
        path_ = place + "/" + std::string(step_prefix) + run_id;
    }
}

void Cgroup::create() {
    if (path_.empty()) {
        return;
    }
    // One that is there already is not ours, since the ids of runs are random.
    const bool made = mkdir(path_.c_str(), 0755) == 0;
    if (made && access((path_ + "/cgroup.kill").c_str(), W_OK) == 0) {
        processes_ = open((path_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
    }
    if (processes_ < 0) {
        if (made) {
            rmdir(path_.c_str());
        }
        path_.clear();
    }
}

bool Cgroup::limit(const std::string& file, std::string_view value) const {
    if (processes_ < 0) {
        return true;
    }
    const int fd = open((path_ + "/" + file).c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT;  // without the controller; the supervisor has said so
    }
    const bool written = write_all(fd, value);
    close(fd);
    return written;
}

void Cgroup::enter() const {
    if (processes_ >= 0) {
        static_cast<void>(write_all(processes_, "0"));
    }
}

void Cgroup::end() const {
    if (processes_ < 0) {
        return;
    }
    const int events = open((path_ + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC);
    std::array<char, 512> buffer{};
    ssize_t got = 0;
    while (events >= 0 && (got = pread(events, buffer.data(), buffer.size(), 0)) > 0 &&
           counter({buffer.data(), static_cast<std::size_t>(got)}, "populated") > 0) {
        write_to(path_ + "/cgroup.kill", "1");
        pollfd change{events, POLLPRI, 0};
        poll(&change, 1, look_again_ms);
    }
    close(events);
}

void Cgroup::measure(Usage& usage) const {
    if (processes_ < 0) {
        return;
    }
    const std::string text = read_small_file((path_ + "/cpu.stat").c_str());
    usage.user_microseconds = larger(usage.user_microseconds, counter(text, "user_usec"));
    usage.system_microseconds = larger(usage.system_microseconds, counter(text, "system_usec"));
    const std::string peak = read_small_file((path_ + "/memory.peak").c_str());
    usage.peak_memory_kib = larger(usage.peak_memory_kib, strtoll(peak.c_str(), nullptr, 10) / 1024);
}

void Cgroup::remove() {
    if (processes_ >= 0) {
        close(processes_);
        processes_ = -1;
        remove_with_children(path_);
    }
}

OutOfMemoryKills::OutOfMemoryKills(const Cgroup& step) {
    const Mount unified = hierarchy("");
    std::string path = step.path().empty() ? own_cgroup(unified, "") : step.path();
    for (; !path.empty() && path.size() >= unified.point.size(); path.resize(path.rfind('/'))) {
        if (access((path + "/memory.events").c_str(), R_OK) == 0) {
            file_ = path + "/memory.events";
            break;
        }
    }
    if (file_.empty()) {
        const std::string legacy = own_cgroup(hierarchy("memory"), "memory");
        if (!legacy.empty()) {
            file_ = legacy + "/memory.oom_control";
        }
    }
    before_ = count();
}

long long OutOfMemoryKills::count() const {
    const long long kills = file_.empty() ? 0 : counter(read_small_file(file_.c_str()), "oom_kill");
    return kills > 0 ? kills : 0;
}

}  // namespace ralph::shim
