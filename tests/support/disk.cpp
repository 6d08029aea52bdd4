#include "tests/support/disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "daemon/os/file_descriptor.h"

namespace ralph::tests {

std::unique_ptr<Disk> Disk::mount(const std::string& folder, std::uint64_t mebibytes, std::string& why) {
    static bool separated = false;
    if (!separated) {
        if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
            why = std::strerror(errno);
            return nullptr;
        }
        separated = true;
    }
    const std::string options = fmt::format("size={}m,mode=0700", mebibytes);
    if (::mount("ralph-chaos", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
        why = std::strerror(errno);
        return nullptr;
    }
    return std::unique_ptr<Disk>(new Disk(folder));
}

Disk::~Disk() {
    static_cast<void>(::umount2(folder_.c_str(), MNT_DETACH));
}

void Disk::fill() {
    filled_ = true;
    const daemon::FileDescriptor file(
        ::open((folder_ + "/ballast").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const std::vector<char> much(1U << 20U);
    for (std::size_t chunk = much.size(); file && chunk >= 512; chunk /= 16) {
        while (::write(file.get(), much.data(), chunk) > 0) {
        }
    }
}

void Disk::empty() {
    filled_ = false;
    static_cast<void>(::unlink((folder_ + "/ballast").c_str()));
}

}  // namespace ralph::tests
