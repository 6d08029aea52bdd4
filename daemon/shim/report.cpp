#include "daemon/shim/report.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "daemon/shim/files.h"

namespace ralph::shim {
namespace {

constexpr std::size_t exit_record_size = 4096;
constexpr const char* reserved_name = "exit.json.reserved";
constexpr int first_pause_ms = 100;
constexpr int longest_pause_ms = 5000;

// Field 22 of /proc/<pid>/stat; the command name before it may hold anything, so counting starts at its last
// ')'.
unsigned long long start_ticks(pid_t pid) {
    const std::string stat = read_small_file(("/proc/" + std::to_string(pid) + "/stat").c_str());
    std::size_t at = stat.rfind(')');
    for (int field = 2; field < 22 && at != std::string::npos; ++field) {
        at = stat.find(' ', at + 1);
    }
    return at == std::string::npos ? 0 : strtoull(stat.c_str() + at + 1, nullptr, 10);
}

// As a JSON string. Names of cgroups hold the backslashes with which systemd escapes.
std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char character : text) {
        if (character == '"' || character == '\\') {
            result += '\\';
        }
        if (static_cast<unsigned char>(character) < 0x20) {
            std::array<char, 8> escape{};
            snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(character));
            result += escape.data();
        } else {
            result += character;
        }
    }
    return result + "\"";
}

const char* boolean(bool value) {
    return value ? "true" : "false";
}

}  // namespace

bool write_durably(const char* name, std::string_view text) {
    const std::string temporary = std::string(name) + ".new";
    // Always a new file: one whose sync failed once may hide that it failed.
    unlinkat(run_directory, temporary.c_str(), 0);
    const int fd = openat(run_directory, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    const bool written = write_all(fd, text) && fsync(fd) == 0;
    close(fd);
    return written && renameat(run_directory, temporary.c_str(), run_directory, name) == 0 &&
           fsync(run_directory) == 0;
}

std::string process_document(pid_t pid, const std::string& cgroup) {
    std::string boot_id = read_small_file("/proc/sys/kernel/random/boot_id");
    while (!boot_id.empty() && boot_id.back() == '\n') {
        boot_id.pop_back();
    }
    return "{\n  \"version\": 1,\n  \"pid\": " + std::to_string(pid) +
           ",\n  \"start_ticks\": " + std::to_string(start_ticks(pid)) + ",\n  \"boot_id\": \"" + boot_id +
           "\"" + (cgroup.empty() ? "" : ",\n  \"cgroup\": " + quoted(cgroup)) + "\n}";
}

std::string exit_document(const Ending& ending) {
    const int status = ending.wait_status;
    const bool signalled = WIFSIGNALED(status);
    const std::string exec_error =
        ending.exec_error == 0 ? "" : ",\n  \"exec_error\": " + std::to_string(ending.exec_error);
    std::array<char, 1024> text{};
    snprintf(text.data(), text.size(),
             "{\n  \"version\": 1,\n  \"kind\": \"%s\",\n  \"value\": %d,\n  \"core_dumped\": %s,\n"
             "  \"timed_out\": %s,\n  \"stopped\": %s,\n  \"out_of_memory\": %s,\n  \"started_at\": \"%s\",\n"
             "  \"ended_at\": \"%s\",\n  \"user_cpu_microseconds\": %lld,\n"
             "  \"system_cpu_microseconds\": %lld,\n  \"peak_memory_kib\": %lld%s\n}",
             signalled ? "signalled" : "exited", signalled ? WTERMSIG(status) : WEXITSTATUS(status),
             boolean(signalled && WCOREDUMP(status)), boolean(ending.timed_out), boolean(ending.stopped),
             boolean(ending.out_of_memory), ending.started_at.c_str(), ending.ended_at.c_str(),
             ending.usage.user_microseconds, ending.usage.system_microseconds, ending.usage.peak_memory_kib,
             exec_error.c_str());
    return text.data();
}

bool ExitRecord::reserve() {
    reserved_ =
        openat(run_directory, reserved_name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return reserved_ >= 0 && posix_fallocate(reserved_, 0, exit_record_size) == 0;
}

void ExitRecord::cancel() {
    unlinkat(run_directory, reserved_name, 0);
}

void ExitRecord::deliver(const std::string& document) {
    const auto size = static_cast<off_t>(document.size());
    bool durable = pwrite(reserved_, document.data(), document.size(), 0) == size &&
                   ftruncate(reserved_, size) == 0 && fsync(reserved_) == 0 &&
                   renameat(run_directory, reserved_name, run_directory, "exit.json") == 0 &&
                   fsync(run_directory) == 0;
    if (!durable) {
        // After a failure never again into the same file; its space is for the next one.
        unlinkat(run_directory, reserved_name, 0);
        close(reserved_);
    }
    struct stat directory {};
    for (int pause_ms = first_pause_ms;
         !durable && fstat(run_directory, &directory) == 0 && directory.st_nlink > 0;
         pause_ms = pause_ms < longest_pause_ms ? pause_ms * 2 : longest_pause_ms) {
        durable = write_durably("exit.json", document);
        if (!durable) {
            poll(nullptr, 0, pause_ms);
        }
    }
}

}  // namespace ralph::shim
