// What a supervisor tells the service manager, as any datagram socket can hear it.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include "daemon/os/file_descriptor.h"
#include "daemon/os/identity.h"
#include "tests/support/project.h"

using ralph::tests::Project;
namespace fs = std::filesystem;

namespace {

class NotifySocket {
  public:
    explicit NotifySocket(const std::string& path)
        : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        REQUIRE(path.size() < sizeof(address.sun_path));
        path.copy(address.sun_path, path.size());
        REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
        const timeval patience{0, 50'000};
        REQUIRE(::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
    }

    // Takes what is there, and waits a moment when there is nothing.
    void listen() {
        std::array<char, 4096> buffer{};
        const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        REQUIRE((size >= 0 || errno == EAGAIN));
        if (size >= 0) {
            heard_.emplace_back(buffer.data(), static_cast<std::size_t>(size));
        }
    }
    void forget() { heard_.clear(); }
    [[nodiscard]] auto count(const std::string& text) const {
        return std::count_if(heard_.begin(), heard_.end(), [&](const std::string& each) {
            return ("\n" + each + "\n").find("\n" + text) != std::string::npos;
        });
    }

  private:
    ralph::daemon::FileDescriptor socket_;
    std::vector<std::string> heard_;
};

}  // namespace

TEST_CASE("the watchdog is fed until the last worker has ended, whatever the supervisor ends for") {
    Project project;
    NotifySocket manager(project.outside("notify"));
    project.add_to_environment({"NOTIFY_SOCKET=" + project.outside("notify"), "WATCHDOG_USEC=150000"});
    Project::write(project.paths().supervisor_config(), R"({"worker": {"kill_grace": "2s"}})");
    project.add("stubborn",
                "trap '' TERM; echo $$ > '" + project.outside("pid") + "'; while :; do sleep 0.1; done");
    project.commit_and_push();
    project.start({"run", "--parallel"});
    REQUIRE(Project::eventually([&] {
        manager.listen();
        return !Project::read(project.outside("pid")).empty();
    }));
    CHECK(manager.count("READY=1") == 1);
    CHECK(manager.count("STATUS=1 running, 0 integrating, 0 queued; merge queue 0\n") == 1);
    CHECK(manager.count("WATCHDOG=1") > 0);

    fs::remove_all(project.paths().parallel());
    REQUIRE(Project::eventually([&] {
        manager.listen();
        return project.log().find("was removed while the supervisor ran") != std::string::npos;
    }));
    manager.forget();
    while (ralph::daemon::process_exists(project.supervisor())) {
        manager.listen();
    }
    CHECK(project.wait() == 1);
    CHECK(manager.count("WATCHDOG=1") > 5);
}

TEST_CASE(
    "a service that is told to end, and cannot find out why, ends nothing: the next start adopts what runs") {
    Project project;
    const NotifySocket manager(project.outside("notify"));  // whose unit we are in nobody can tell
    project.add_to_environment({"NOTIFY_SOCKET=" + project.outside("notify")});
    project.add("waits", "echo $$ >> '" + project.outside("pid") + "'; until [ -e '" + project.outside("go") +
                             "' ]; do sleep 0.02; done; exit 7");
    project.commit_and_push();
    project.start({"run", "--parallel"});
    REQUIRE(Project::eventually([&] { return !Project::read(project.outside("pid")).empty(); }));
    project.signal(SIGTERM);
    CHECK(project.wait() == 0);
    CHECK(project.log().find("it is not known why the service is to end; what runs goes on") !=
          std::string::npos);
    CHECK(
        ralph::daemon::process_exists(static_cast<pid_t>(std::stol(Project::read(project.outside("pid"))))));
    project.start({"run", "--parallel"});
    Project::write(project.outside("go"), "");
    CHECK(project.wait() == 3);
    CHECK(project.record("RQ-0001")->last_error->find("status 7") != std::string::npos);
    CHECK(Project::read(project.outside("pid")).find('\n') ==
          Project::read(project.outside("pid")).size() - 1);
}
