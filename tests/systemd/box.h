// A throw-away, real systemd. It is booted in a container from the machine's own file system, over which an
// overlay is laid: what it writes goes to a disk of its own, which outlives its reboots and ends with its
// owner. Of the machine's settings it has none: no units in /etc/systemd, no journal, no homes.
//
//   test process
//     └ unshare   killed with the test process (parent-death signal), and with the owner of the box
//         └ systemd-nspawn   process 1 of a pid namespace: when unshare dies, the kernel ends all of it
//             └ systemd      process 1 of the box
//
// Any number of boxes may be up at once.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/os/program.h"
#include "tests/systemd/mount_namespace.h"

namespace ralph::tests {

class Box {
  public:
    // A file or folder of the test's that the box sees, under its own or another name.
    struct Share {
        std::string path;
        std::string seen_as = {};  // empty: under its own
        bool writable = true;
    };
    // Without one, systemd is spoken to through its private socket alone, as root.
    enum class Bus { no, yes };
    // How it goes down. power_loss: everything is killed at once. shutdown: as `systemctl poweroff` does it.
    enum class Down { power_loss, shutdown };

    // Boots it; throws what its console says if it does not come up.
    explicit Box(std::vector<Share> shares, Bus bus = Bus::no);
    ~Box();
    Box(const Box&) = delete;
    Box& operator=(const Box&) = delete;

    [[nodiscard]] const std::string& name() const { return name_; }
    // Process 1 of the box, as it is numbered outside.
    [[nodiscard]] pid_t leader() const;
    // How one of its processes is numbered outside; -1 if there is none of that number.
    [[nodiscard]] pid_t number_outside(pid_t number) const;
    [[nodiscard]] bool is_up() const { return running_ != nullptr; }

    // Gives a cgroup controller of the machine's to the box that is up. False if the kernel refuses it.
    [[nodiscard]] bool delegate(const std::string& controller) const;

    void boot();
    void go_down(Down how);
    void reboot(Down how) {
        go_down(how);
        boot();
    }

    // Runs it in the box as root, in the root folder, to its end.
    [[nodiscard]] daemon::ProgramEnd run(const std::vector<std::string>& command,
                                         std::chrono::seconds limit = std::chrono::seconds{60}) const;
    // The same, with its output; throws if it does not succeed.
    std::string output_of(const std::vector<std::string>& command) const;
    [[nodiscard]] std::string property(const std::string& unit, const std::string& name) const;
    // Asks until the unit's property is as wanted, for half a minute at most.
    [[nodiscard]] bool wait_until(const std::string& unit, const std::string& name,
                                  const std::function<bool(const std::string&)>& wanted) const;
    [[nodiscard]] bool wait_until(const std::string& unit, const std::string& name,
                                  const std::string& wanted) const;

    // Files of the box: as its processes see them while it is up, /run, /tmp and /proc included ("" if
    // missing), and its disk, up or down.
    [[nodiscard]] std::string read(const std::string& path) const;
    [[nodiscard]] std::string on_disk(const std::string& path) const { return folder_ + "/root" + path; }
    void write(const std::string& path, const std::string& text) const;
    [[nodiscard]] std::string console() const;

  private:
    struct Running;
    void make_disk() const;
    [[nodiscard]] std::vector<std::string> nspawn_arguments() const;

    std::string name_;
    std::string folder_;
    std::vector<Share> shares_;
    Bus bus_;
    std::unique_ptr<Running> running_;
};

}  // namespace ralph::tests
