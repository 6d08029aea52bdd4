#include "daemon/shim/tree.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "daemon/shim/files.h"

namespace ralph::shim {
namespace {

bool contains(const std::vector<pid_t>& pids, pid_t pid) {
    for (const pid_t candidate : pids) {
        if (candidate == pid) {
            return true;
        }
    }
    return false;
}

}  // namespace

std::vector<pid_t> children_of(pid_t parent) {
    std::vector<pid_t> children;
    const std::string tasks = "/proc/" + std::to_string(parent) + "/task";
    DIR* const directory = opendir(tasks.c_str());
    if (directory == nullptr) {
        return children;
    }
    while (const dirent* entry = readdir(directory)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        const std::string list = read_small_file((tasks + "/" + entry->d_name + "/children").c_str());
        const char* at = list.c_str();
        char* end = nullptr;
        for (long pid = strtol(at, &end, 10); end != at; pid = strtol(at, &end, 10)) {
            children.push_back(static_cast<pid_t>(pid));
            at = end;
        }
    }
    closedir(directory);
    return children;
}

void signal_descendants(int signal) {
    std::vector<pid_t> parents{getpid()};
    for (std::size_t next = 0; next < parents.size() && parents.size() < 100'000; ++next) {
        const pid_t parent = parents[next];
        for (const pid_t child : children_of(parent)) {
            const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
            if (pidfd < 0) {
                continue;
            }
            if (contains(children_of(parent), child) && !contains(parents, child)) {
                syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0);
                parents.push_back(child);
            }
            close(pidfd);
        }
    }
}

}  // namespace ralph::shim
