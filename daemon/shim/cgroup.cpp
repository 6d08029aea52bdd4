#include "daemon/shim/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "daemon/shim/files.h"

namespace ralph::shim {
namespace {

constexpr int look_again_ms = 1000;  // should something have been moved in meanwhile

// The words of a line, or the lines of a text.
class Pieces {
  public:
    Pieces(std::string_view text, char separator) : rest_(text), separator_(separator) {}
    [[nodiscard]] bool next(std::string_view& piece) {
        if (rest_.empty()) {
            return false;
        }
        const std::size_t end = rest_.find(separator_);
        piece = rest_.substr(0, end);
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
        return true;
    }

  private:
    std::string_view rest_;
    char separator_;
};

bool lists(std::string_view comma_separated, std::string_view word) {
    Pieces words(comma_separated, ',');
    for (std::string_view each; words.next(each);) {
        if (each == word) {
            return true;
        }
    }
    return false;
}

// The mount table writes blanks and backslashes of a path as three octal digits.
std::string unescaped(std::string_view text) {
    std::string result;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '\\' && at + 3 < text.size()) {
            result += static_cast<char>(strtol(std::string(text.substr(at + 1, 3)).c_str(), nullptr, 8));
            at += 3;
        } else {
            result += text[at];
        }
    }
    return result;
}

// A mounted hierarchy: `root` is the cgroup that is seen at `point`.
struct Mount {
    std::string root;
    std::string point;
};

// The cgroup v2 hierarchy, or with a `controller` the v1 hierarchy that has it. Fields of a line: id, parent,
// device, root, mount point, options, any number of tags, "-", type, source, options of the super block.
Mount hierarchy(std::string_view controller) {
    const std::string table = read_small_file("/proc/self/mountinfo");
    Pieces lines(table, '\n');
    for (std::string_view line; lines.next(line);) {
        std::array<std::string_view, 5> front;
        std::array<std::string_view, 3> back;
        const std::size_t dash = line.find(" - ");
        if (dash == std::string_view::npos) {
            continue;
        }
        Pieces first(line.substr(0, dash), ' ');
        for (std::string_view& field : front) {
            static_cast<void>(first.next(field));
        }
        Pieces second(line.substr(dash + 3), ' ');
        for (std::string_view& field : back) {
            static_cast<void>(second.next(field));
        }
        if (controller.empty() ? back[0] == "cgroup2" : back[0] == "cgroup" && lists(back[2], controller)) {
            return {unescaped(front[3]), unescaped(front[4])};
        }
    }
    return {};
}

// Where our own cgroup of that hierarchy is seen; empty if it is not.
std::string own_cgroup(const Mount& mount, std::string_view controller) {
    const std::string text = read_small_file("/proc/self/cgroup");
    Pieces lines(text, '\n');
    for (std::string_view line; !mount.point.empty() && lines.next(line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (second == std::string_view::npos) {
            continue;
        }
        const std::string_view controllers = line.substr(first + 1, second - first - 1);
        if (controller.empty() ? !controllers.empty() : !lists(controllers, controller)) {
            continue;
        }
        std::string_view path = line.substr(second + 1);
        if (path.find("/..") != std::string_view::npos) {
            return {};  // outside of what we may see
        }
        if (mount.root != "/") {
            if (path.substr(0, mount.root.size()) != mount.root ||
                (path.size() > mount.root.size() && path[mount.root.size()] != '/')) {
                return {};
            }
            path.remove_prefix(mount.root.size());
        }
        return mount.point + (path == "/" ? "" : std::string(path));
    }
    return {};
}

bool has_attribute(const std::string& path, const char* name, std::string_view value) {
    std::array<char, 64> buffer{};
    const ssize_t got = getxattr(path.c_str(), name, buffer.data(), buffer.size());
    return got >= 0 &&
           (value.empty() || std::string_view(buffer.data(), static_cast<std::size_t>(got)) == value);
}

bool is_ours(const std::string& path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 && info.st_uid == geteuid();
}

// systemd marks the cgroup of a unit that it delegates; what the unit's processes have made below it belongs
// to them. A unit without the mark ends the search: what is further up is delegated to its manager, not to
// us.
bool is_delegated(std::string path, const std::string& top) {
    while (path.size() >= top.size() && is_ours(path)) {
        if (has_attribute(path, "user.delegate", "1") || has_attribute(path, "trusted.delegate", "1")) {
            return true;
        }
        if (has_attribute(path, "user.invocation_id", "") ||
            has_attribute(path, "trusted.invocation_id", "")) {
            return false;
        }
        path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
    return false;
}

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
    Pieces lines(text, '\n');
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
    const Mount mount = hierarchy("");
    const std::string own = own_cgroup(mount, "");
    if (run_id != nullptr && is_run_id(run_id) && !own.empty() && is_delegated(own, mount.point)) {
        path_ = own + "/ralph-" + run_id;
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
