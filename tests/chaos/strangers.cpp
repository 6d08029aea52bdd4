#include "tests/chaos/strangers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>

#include "tests/support/project.h"

namespace ralph::chaos {

Strangers::Strangers(const std::string& program, const std::string& folder, const std::string& directory)
    : book_(folder + "/strangers") {
    for (const char* name : {"ralph", "ralph-shim", "sh", "git", "sleep"}) {
        const std::string path = fmt::format("{}/bin/{}", folder, name);
        std::filesystem::create_directories(folder + "/bin");
        std::filesystem::copy_file(program, path);
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) {
            throw std::runtime_error("pipe2");
        }
        const daemon::FileDescriptor theirs(ends[0]);
        daemon::FileDescriptor ours(ends[1]);
        const char* const argv[] = {name, "--stranger", book_.c_str(), nullptr};
        const char* const envp[] = {"RALPH_TASK_ID=STRANGER", "RALPH_RUN_ID=00000000000000000000000000000000",
                                    nullptr};
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::setsid();
            ::dup2(theirs.get(), 0);
            ::syscall(SYS_close_range, 3U, ~0U, 0U);
            if (::chdir(directory.c_str()) == 0) {
                ::execve(path.c_str(), const_cast<char**>(argv), const_cast<char**>(envp));
            }
            ::_exit(127);
        }
        strangers_.push_back({name, pid, std::move(ours)});
    }
}

Strangers::~Strangers() {
    dismiss();
}

void Strangers::dismiss() {
    for (Stranger& stranger : strangers_) {
        stranger.input.reset();
        int status = 0;
        while (::waitpid(stranger.pid, &status, 0) < 0 && errno == EINTR) {
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            harm_.push_back(
                fmt::format("the stranger {} ended with wait status {:#x}", stranger.name, status));
        }
    }
    strangers_.clear();
    if (const std::string told = tests::Project::read(book_); !told.empty()) {
        harm_.push_back("a stranger got a " + told);
    }
}

std::vector<std::string> Strangers::harm() {
    dismiss();
    return harm_;
}

}  // namespace ralph::chaos
