#include "tests/systemd/mount_namespace.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <boost/process/search_path.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "tests/support/kernel.h"

namespace ralph::tests {
namespace {

namespace fs = std::filesystem;

std::string because(const std::string& what) {
    return what + ": " + std::strerror(errno);
}

bool mount_memory(const std::string& where) {
    return ::mount("tmpfs", where.c_str(), "tmpfs", 0, "mode=0755") == 0;
}

// One that every Debian has, and that holds nothing we need.
std::string folder_for_projects() {
    for (const char* const folder : {"/srv", "/opt", "/mnt", "/media"}) {
        const std::string below = std::string(folder) + "/";
        if (fs::is_directory(folder) && std::string(RALPH_SOURCE_DIR).rfind(below, 0) != 0 &&
            std::string(RALPH_BINARY_DIR).rfind(below, 0) != 0) {
            return folder;
        }
    }
    return {};
}

// The disks of the boxes are overlays, which not every root may make.
bool can_lay_overlays() {
    const std::string here = boxes_folder + "/probe";
    for (const char* const folder : {"/upper", "/work", "/all"}) {
        fs::create_directories(here + folder);
    }
    const std::string layers = "lowerdir=/,upperdir=" + here + "/upper,workdir=" + here + "/work";
    return ::setxattr((here + "/upper").c_str(), "trusted.probe", "y", 1, 0) == 0 &&
           ::mount("overlay", (here + "/all").c_str(), "overlay", 0, layers.c_str()) == 0 &&
           ::umount2((here + "/all").c_str(), MNT_DETACH) == 0;
}

}  // namespace

std::string enter_mount_namespace() {
    if (::geteuid() != 0) {
        return "only root can boot a systemd; run `sudo make test`";
    }
    for (const char* const program : {"systemd-nspawn", "systemctl", "nsenter", "unshare", "setpriv"}) {
        if (boost::process::search_path(program).empty()) {
            return std::string(program) + " is not installed; run `tools/install-dependencies`";
        }
    }
    if (const TestCgroup probe(TestCgroup::Hierarchy::unified); !probe.refusal().empty()) {
        return probe.refusal() + "; run the tests on a machine (or in a container) that may make cgroups";
    }
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        return because("a mount namespace cannot be made") + "; run the tests outside of a container";
    }
    const std::string projects = folder_for_projects();
    if (projects.empty()) {
        return "there is none of /srv, /opt, /mnt, /media to mount on; make one with `mkdir /srv`";
    }
    if (!mount_memory("/run") || !mount_memory(projects)) {
        return because("a file system cannot be mounted") + "; run the tests outside of a container";
    }
    fs::create_directories("/run/systemd");  // where systemd-nspawn keeps its own affairs
    fs::create_directories(boxes_folder);
    if (!can_lay_overlays()) {
        return because("an overlay cannot be mounted") + "; run the tests outside of a container";
    }
    ::setenv("TMPDIR", projects.c_str(), 1);
    return {};
}

}  // namespace ralph::tests
