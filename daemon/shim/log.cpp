#include "daemon/shim/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "daemon/shim/files.h"

namespace ralph::shim {

Log::Log(std::string name, long long limit) : name_(std::move(name)), limit_(limit) {
    open_file();
}

void Log::write(std::string_view text) {
    if (size_ + static_cast<long long>(text.size()) > limit_ && size_ > 0) {
        const std::string older = name_ + ".1";
        if (renameat(log_directory, name_.c_str(), log_directory, older.c_str()) == 0) {
            close(fd_);
            open_file();
        }
    }
    if (fd_ < 0) {
        open_file();
    }
    if (dropped_ > 0) {
        const std::string gap =
            "\n[ralph: " + std::to_string(dropped_) + " bytes of output could not be written]\n";
        if (fd_ < 0 || !write_all(fd_, gap)) {
            dropped_ += static_cast<long long>(text.size());
            return;
        }
        dropped_ = 0;
    }
    if (fd_ < 0 || !write_all(fd_, text)) {
        dropped_ += static_cast<long long>(text.size());
    }
    size_ += static_cast<long long>(text.size());
}

void Log::open_file() {
    fd_ = openat(log_directory, name_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat info {};
    size_ = fd_ >= 0 && fstat(fd_, &info) == 0 ? info.st_size : 0;
}

}  // namespace ralph::shim
