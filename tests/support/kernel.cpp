#include "tests/support/kernel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "daemon/os/cgroup.h"
#include "daemon/os/file_descriptor.h"
#include "daemon/os/identity.h"

namespace ralph::tests {
namespace {

namespace fs = std::filesystem;

// As the lists of options and controllers have it; of cgroup v2 there is nothing in them.
std::string listed_as(TestCgroup::Hierarchy hierarchy) {
    switch (hierarchy) {
        case TestCgroup::Hierarchy::unified:
            return ",,";
        case TestCgroup::Hierarchy::legacy_memory:
            return ",memory,";
        case TestCgroup::Hierarchy::legacy_systemd:
            return ",name=systemd,";
    }
    return {};
}

// The mount point of cgroup v2, or of the v1 hierarchy.
std::string mount_point(TestCgroup::Hierarchy hierarchy) {
    const bool unified = hierarchy == TestCgroup::Hierarchy::unified;
    std::ifstream table("/proc/self/mountinfo");
    for (std::string line; std::getline(table, line);) {
        std::istringstream front(line);
        std::string point;
        for (int field = 0; field < 5; ++field) {
            front >> point;
        }
        const std::size_t dash = line.find(" - ");
        std::istringstream back(line.substr(dash + 3));
        std::string type;
        std::string source;
        std::string options;
        back >> type >> source >> options;
        if (unified
                ? type == "cgroup2"
                : type == "cgroup" && ("," + options + ",").find(listed_as(hierarchy)) != std::string::npos) {
            return point;
        }
    }
    return {};
}

// Own cgroup in that hierarchy: the line "0::PATH", or "N:...memory...:PATH".
std::string own_path(TestCgroup::Hierarchy hierarchy) {
    std::ifstream table("/proc/self/cgroup");
    for (std::string line; std::getline(table, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        if (controllers.find(listed_as(hierarchy)) != std::string::npos) {
            const std::string path = line.substr(second + 1);
            return path == "/" ? "" : path;
        }
    }
    return {};
}

void wait_until_empty(const std::string& path) {
    const daemon::FileDescriptor events(::open((path + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
    std::string text(512, '\0');
    while (events && ::pread(events.get(), text.data(), text.size(), 0) > 0 &&
           text.find("populated 1") != std::string::npos) {
        pollfd change{events.get(), POLLPRI, 0};
        static_cast<void>(::poll(&change, 1, 1000));
    }
}

void remove_with_children(const fs::path& path) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(path, ignored)) {
        if (entry.is_directory(ignored)) {
            remove_with_children(entry.path());
        }
    }
    ::rmdir(path.c_str());
}

const std::string name_prefix = "test-of-ralph-";

// Of owners that are gone. One in which something runs cannot be removed, whoever has its owner's number now.
void remove_partial_file(const std::string& parent) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(parent, ignored)) {
        const std::string name = entry.path().filename().string();
        if (name.rfind(name_prefix, 0) != 0) {
            continue;
        }
        const long owner = std::strtol(name.c_str() + name_prefix.size(), nullptr, 10);
        if (owner > 0 && !daemon::process_exists(static_cast<pid_t>(owner))) {
            remove_with_children(entry.path());
        }
    }
}

}  // namespace

TestCgroup::TestCgroup(Hierarchy hierarchy, const std::string& parent) {
    static std::atomic<int> made{0};
    const std::string mount = mount_point(hierarchy);
    if (mount.empty()) {
        refusal_ = "no such cgroup hierarchy is mounted";
        return;
    }
    const std::string above = parent.empty() ? mount + own_path(hierarchy) : parent;
    remove_partial_file(above);
    path_ = above + "/" + name_prefix + std::to_string(::getpid()) + "-" + std::to_string(++made);
    if (::mkdir(path_.c_str(), 0755) != 0) {
        refusal_ = "a cgroup cannot be made: " + std::string(std::strerror(errno));
        path_.clear();
    }
}

bool TestCgroup::enable(const std::string& controller) const {
    std::ofstream(fs::path(path_).parent_path() / "cgroup.subtree_control") << "+" << controller;
    return write("cgroup.subtree_control", "+" + controller);
}

TestCgroup::~TestCgroup() {
    if (!path_.empty()) {
        static_cast<void>(write("cgroup.kill", "1"));
        wait_until_empty(path_);
        remove_with_children(path_);
    }
}

bool TestCgroup::write(const std::string& file, const std::string& text) const {
    const daemon::FileDescriptor descriptor(::open((path_ + "/" + file).c_str(), O_WRONLY | O_CLOEXEC));
    return descriptor &&
           ::write(descriptor.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool TestCgroup::mark(const std::string& attribute, const std::string& value) const {
    return ::setxattr(path_.c_str(), attribute.c_str(), value.data(), value.size(), 0) == 0;
}

SmallDisk::SmallDisk(std::string where, const std::string& size) : where_(std::move(where)) {
    fs::create_directories(where_);
    if (::mount("tmpfs", where_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, ("size=" + size).c_str()) != 0) {
        refusal_ = "a file system cannot be mounted: " + std::string(std::strerror(errno));
    }
}

SmallDisk::~SmallDisk() {
    if (refusal_.empty()) {
        ::umount2(where_.c_str(), MNT_DETACH);
    }
}

}  // namespace ralph::tests
