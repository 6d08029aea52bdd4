#include "daemon/landing/gate_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "core/queue/queue_validation.h"
#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t half = std::size_t{16} << 20U;
constexpr std::size_t tail_size = 8'192;
constexpr std::size_t most_logs = 100;

bool is_made_of(std::string_view text, std::string_view characters) {
    return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

void remove_oldest(const std::string& folder) {
    std::error_code problem;
    std::vector<std::pair<fs::file_time_type, fs::path>> logs;
    for (const auto& entry : fs::directory_iterator(folder, problem)) {
        if (is_gate_log(entry.path().filename().string()) &&
            entry.symlink_status(problem).type() == fs::file_type::regular) {
            logs.emplace_back(entry.last_write_time(problem), entry.path());
        }
    }
    std::sort(logs.begin(), logs.end());
    for (std::size_t i = 0; i + most_logs <= logs.size(); ++i) {
        fs::remove(logs[i].second, problem);
    }
}

}  // namespace

bool is_gate_log(std::string_view name) {
    constexpr std::string_view older = ".1";
    constexpr std::string_view ending = ".log";
    constexpr std::size_t digits_of_commit = 12;
    constexpr std::size_t most_digits = 3;
    if (name.ends_with(".log.1")) {
        name.remove_suffix(older.size());
    }
    if (!name.ends_with(ending)) {
        return false;
    }
    name.remove_suffix(ending.size());
    const std::size_t last = name.rfind('-');
    if (last != std::string_view::npos && name.size() - last - 1 <= most_digits &&
        is_made_of(name.substr(last + 1), "0123456789")) {
        name = name.substr(0, last);
    }
    const std::size_t dash = name.rfind('-');
    return dash != std::string_view::npos && name.size() - dash - 1 == digits_of_commit &&
           is_made_of(name.substr(dash + 1), "0123456789abcdef") &&
           core::is_safe_task_id(name.substr(0, dash));
}

GateLog::GateLog(const std::string& folder, const std::string& name) {
    static_cast<void>(make_directories(folder));  // then it cannot be opened either
    remove_oldest(folder);
    for (int number = 1; !file_ && number < 1000; ++number) {
        path_ = number == 1 ? fmt::format("{}/{}.log", folder, name)
                            : fmt::format("{}/{}-{}.log", folder, name, number);
        open();
        if (!file_ && errno != EEXIST) {
            return;
        }
    }
}

void GateLog::open() {
    file_ = FileDescriptor(
        ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    size_ = 0;
}

void GateLog::write(std::string_view text) {
    tail_.append(text.substr(text.size() - std::min(text.size(), tail_size)));
    if (tail_.size() > 2 * tail_size) {
        tail_.erase(0, tail_.size() - tail_size);
    }
    if (size_ >= half && file_) {
        if (std::rename(path_.c_str(), (path_ + ".1").c_str()) == 0) {
            open();
        }
    }
    while (file_ && !text.empty()) {
        const ssize_t written = ::write(file_.get(), text.data(), text.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return;
        }
        size_ += static_cast<std::size_t>(written);
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

}  // namespace ralph::daemon
