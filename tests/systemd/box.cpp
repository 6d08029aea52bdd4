#include "tests/systemd/box.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "daemon/os/identity.h"
#include "daemon/os/spawn.h"
#include "tests/support/kernel.h"

namespace ralph::tests {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds patience{30};
constexpr std::chrono::seconds patience_with_boot{60};
constexpr std::chrono::seconds patience_with_shutdown{110};
constexpr std::chrono::milliseconds pause_between_questions{30};
constexpr const char* search_path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what);
}

void require(bool condition, const std::string& what) {
    if (!condition) {
        fail(fmt::format("{}: {}", what, ::strerrordesc_np(errno)));
    }
}

int milliseconds_until(Clock::time_point deadline) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    return static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0));
}

bool is_readable(const daemon::FileDescriptor& descriptor, Clock::time_point deadline) {
    pollfd asked{descriptor.get(), POLLIN, 0};
    while (true) {
        const int ready = ::poll(&asked, 1, milliseconds_until(deadline));
        if (ready >= 0 || errno != EINTR) {
            return ready == 1;
        }
    }
}

std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

void put(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    require(text_of(path) == text, "write " + path);
}

std::vector<pid_t> children_of(pid_t pid) {
    std::istringstream text(text_of(fmt::format("/proc/{0}/task/{0}/children", pid)));
    std::vector<pid_t> children;
    for (pid_t child = 0; text >> child;) {
        children.push_back(child);
    }
    return children;
}

// Its number in its own pid namespace; nothing if it is gone.
std::string own_number(const std::string& pid) {
    std::istringstream status(text_of("/proc/" + pid + "/status"));
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("NSpid:", 0) == 0) {
            return line.substr(line.rfind('\t') + 1);
        }
    }
    return {};
}

std::string random_machine_id() {
    std::random_device device;
    return fmt::format("{:08x}{:08x}{:08x}{:08x}\n", device(), device(), device(), device());
}

// With the modes that the rest of the system expects, whatever our own umask is.
void make_folder(const std::string& path, mode_t mode = 0755) {
    fs::create_directories(path);
    require(::chmod(path.c_str(), mode) == 0, "set the mode of " + path);
}

// In the upper folder of an overlay: what the machine has there is not seen.
void make_opaque(const std::string& upper, const std::string& path, mode_t mode = 0755) {
    for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        make_folder(upper + path.substr(0, slash));
    }
    make_folder(upper + path, mode);
    require(::setxattr((upper + path).c_str(), "trusted.overlay.opaque", "y", 1, 0) == 0,
            "make an overlay's folder opaque");
}

// Where systemd-nspawn tells that the box is up.
class NotifySocket {
  public:
    explicit NotifySocket(const std::string& path)
        : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        fs::remove(path);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        require(path.size() < sizeof(address.sun_path), "the name of a socket is too long");
        path.copy(address.sun_path, path.size());
        require(socket_ &&
                    ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0,
                "bind " + path);
    }

    // False if the process ends first, or too much time passes.
    [[nodiscard]] bool await_ready(const daemon::FileDescriptor& process) const {
        const auto deadline = Clock::now() + patience_with_boot;
        while (true) {
            std::array<pollfd, 2> asked{{{socket_.get(), POLLIN, 0}, {process.get(), POLLIN, 0}}};
            const int ready = ::poll(asked.data(), asked.size(), milliseconds_until(deadline));
            if ((ready < 0 && errno != EINTR) || ready == 0 || asked[1].revents != 0) {
                return false;
            }
            std::string text(4096, '\0');
            const ssize_t got = ::recv(socket_.get(), text.data(), text.size(), MSG_DONTWAIT);
            text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
            if (("\n" + text).find("\nREADY=1") != std::string::npos) {
                return true;
            }
        }
    }

  private:
    daemon::FileDescriptor socket_;
};

// Takes a console file, our own number, cgroups, "--" and a command: runs it in the cgroups, and not beyond
// our death.
constexpr const char* launcher =
    "exec >\"$1\" 2>&1; parent=$2; shift 2; "
    "while [ \"$1\" != -- ]; do echo $$ > \"$1/cgroup.procs\" || exit 1; shift; done; shift; "
    "exec setpriv --pdeathsig KILL -- /bin/sh -c '[ \"$PPID\" = \"$0\" ] && exec \"$@\"' \"$parent\" \"$@\"";

}  // namespace

// From the first process to the last; ends in the reverse order, cgroups last.
struct Box::Running {
    Running() = default;
    ~Running() {
        if (keeper.pid > 0) {
            daemon::signal_process(keeper.pidfd, SIGKILL);
            ::waitpid(keeper.pid, nullptr, 0);
        }
        if (leader_pidfd) {
            static_cast<void>(is_readable(leader_pidfd, Clock::now() + patience));
        }
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    TestCgroup unified{TestCgroup::Hierarchy::unified};
    TestCgroup legacy{TestCgroup::Hierarchy::legacy_systemd};  // none on a machine with cgroup v2 alone
    daemon::Child keeper;
    pid_t leader = -1;
    daemon::FileDescriptor leader_pidfd;
};

Box::Box(std::vector<Share> shares, Bus bus) : shares_(std::move(shares)), bus_(bus) {
    static std::atomic<int> made{0};
    name_ = fmt::format("ralph-box-{}-{}", ::getpid(), ++made);
    folder_ = boxes_folder + "/" + name_;
    make_disk();
    boot();
}

Box::~Box() {
    running_.reset();
    ::umount2(on_disk("").c_str(), MNT_DETACH);
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

void Box::make_disk() const {
    const std::string upper = folder_ + "/written";
    for (const std::string& path : {upper, folder_ + "/work", on_disk("")}) {
        make_folder(path);
    }
    make_opaque(upper, "/etc/systemd/system");
    make_opaque(upper, "/etc/systemd/user");
    make_opaque(upper, "/var/log/journal");
    make_opaque(upper, "/home");
    make_opaque(upper, "/root", 0700);
    require(::mknod((upper + "/etc/gitconfig").c_str(), S_IFCHR, makedev(0, 0)) == 0, "hide /etc/gitconfig");
    put(upper + "/etc/machine-id", random_machine_id());
    // Of no use in a box, and slow.
    std::vector<std::string> masked{"systemd-sysctl.service", "systemd-remount-fs.service",
                                    "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
                                    "dev-hugepages.mount"};
    if (bus_ == Bus::no) {
        masked.insert(masked.end(), {"dbus.service", "dbus.socket", "systemd-logind.service"});
    }
    for (const std::string& unit : masked) {
        fs::create_symlink("/dev/null", upper + "/etc/systemd/system/" + unit);
    }
    const std::string layers = fmt::format("lowerdir=/,upperdir={0}/written,workdir={0}/work", folder_);
    require(::mount("overlay", on_disk("").c_str(), "overlay", 0, layers.c_str()) == 0, "mount an overlay");
}

std::vector<std::string> Box::nspawn_arguments() const {
    std::vector<std::string> arguments{"--quiet",
                                       "--boot",
                                       "--register=no",
                                       "--keep-unit",
                                       "--link-journal=no",
                                       "--private-network",
                                       "--console=pipe",
                                       "--notify-ready=yes",
                                       "--machine=" + name_,
                                       "--directory=" + on_disk("")};
    for (const Share& share : shares_) {
        arguments.push_back(fmt::format("--bind{}={}:{}", share.writable ? "" : "-ro", share.path,
                                        share.seen_as.empty() ? share.path : share.seen_as));
    }
    return arguments;
}

void Box::boot() {
    require(!running_, "boot a box that is up");
    auto running = std::make_unique<Running>();
    require(running->unified.refusal().empty(), running->unified.refusal());
    const NotifySocket socket(folder_ + "/notify");

    daemon::SpawnRequest request;
    request.program = "/bin/sh";
    request.arguments = {
        "-c", launcher, "sh", folder_ + "/console", std::to_string(::getpid()), running->unified.path()};
    if (running->legacy.refusal().empty()) {
        request.arguments.push_back(running->legacy.path());
    }
    request.arguments.insert(request.arguments.end(), {"--", "unshare", "--mount", "--pid", "--fork",
                                                       "--kill-child", "--mount-proc", "systemd-nspawn"});
    const auto more = nspawn_arguments();
    request.arguments.insert(request.arguments.end(), more.begin(), more.end());
    // Inside there is cgroup v2 alone, as on a Debian 12 as it is installed, whatever the machine has.
    request.environment = {search_path, "LANG=C.UTF-8", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1",
                           "NOTIFY_SOCKET=" + folder_ + "/notify"};
    auto keeper = daemon::spawn(request);
    if (!keeper) {
        fail(keeper.error().line());
    }
    running->keeper = std::move(*keeper);
    if (!socket.await_ready(running->keeper.pidfd)) {
        running.reset();
        fail("the box did not come up:\n" + console());
    }
    for (const pid_t nspawn : children_of(running->keeper.pid)) {
        for (const pid_t child : children_of(nspawn)) {
            if (own_number(std::to_string(child)) == "1") {
                running->leader = child;
            }
        }
    }
    const auto ticks = daemon::start_ticks(running->leader);
    auto pidfd = ticks ? daemon::open_process({running->leader, *ticks, daemon::boot_id()})
                       : std::optional<daemon::FileDescriptor>{};
    require(pidfd.has_value(), "find the first process of the box");
    running->leader_pidfd = std::move(*pidfd);
    running_ = std::move(running);
}

bool Box::delegate(const std::string& controller) const {
    require(is_up(), "give a controller to a box that is not up");
    // Processes are in leaves only, or the kernel refuses; systemd-nspawn has seen to its own.
    const std::string leaf = running_->unified.path() + "/keeper";
    fs::create_directory(leaf);
    std::ofstream(leaf + "/cgroup.procs") << running_->keeper.pid;
    return running_->unified.enable(controller);
}

void Box::go_down(Down how) {
    require(is_up(), "end a box that is not up");
    if (how == Down::shutdown) {
        static_cast<void>(run({"systemctl", "poweroff"}));
        if (!is_readable(running_->keeper.pidfd, Clock::now() + patience_with_shutdown)) {
            fail("the box did not shut down:\n" + console());
        }
    }
    running_.reset();
}

pid_t Box::leader() const {
    return is_up() ? running_->leader : -1;
}

pid_t Box::number_outside(pid_t number) const {
    std::error_code gone;
    const fs::path name_space = fs::read_symlink(fmt::format("/proc/{}/ns/pid", leader()), gone);
    for (const auto& entry : fs::directory_iterator("/proc")) {
        const std::string pid = entry.path().filename().string();
        if (pid.find_first_not_of("0123456789") == std::string::npos &&
            own_number(pid) == std::to_string(number) &&
            fs::read_symlink(entry.path() / "ns/pid", gone) == name_space) {
            return static_cast<pid_t>(std::stol(pid));
        }
    }
    return -1;
}

daemon::ProgramEnd Box::run(const std::vector<std::string>& command, std::chrono::seconds limit) const {
    require(is_up() && !is_readable(running_->leader_pidfd, Clock::now()), "run in a box that is not up");
    daemon::ProgramRequest request;
    request.program = "nsenter";
    request.arguments = {
        "--target", std::to_string(leader()), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
        "--"};
    request.arguments.insert(request.arguments.end(), command.begin(), command.end());
    request.directory = "/";
    request.environment = {search_path, "HOME=/root", "LANG=C.UTF-8", "TERM=dumb"};
    request.timeout = limit;
    auto end = daemon::run_program(request);
    if (!end) {
        fail(end.error().line());
    }
    return std::move(*end);
}

std::string Box::output_of(const std::vector<std::string>& command) const {
    const auto end = run(command);
    if (!end.succeeded()) {
        fail(fmt::format("in the box: {} {}: {}{}", fmt::join(command, " "), end.describe(), end.output,
                         end.errors));
    }
    return end.output;
}

std::string Box::property(const std::string& unit, const std::string& name) const {
    std::string value = output_of({"systemctl", "show", "--value", "--property=" + name, "--", unit});
    value.resize(value.empty() ? 0 : value.size() - 1);
    return value;
}

bool Box::wait_until(const std::string& unit, const std::string& name,
                     const std::function<bool(const std::string&)>& wanted) const {
    const auto deadline = Clock::now() + patience;
    while (!wanted(property(unit, name))) {
        if (Clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(pause_between_questions);
    }
    return true;
}

bool Box::wait_until(const std::string& unit, const std::string& name, const std::string& wanted) const {
    return wait_until(unit, name, [&](const std::string& value) { return value == wanted; });
}

std::string Box::read(const std::string& path) const {
    return text_of(fmt::format("/proc/{}/root{}", leader(), path));
}

void Box::write(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(on_disk(path)).parent_path());
    put(on_disk(path), text);
}

std::string Box::console() const {
    return text_of(folder_ + "/console");
}

}  // namespace ralph::tests
