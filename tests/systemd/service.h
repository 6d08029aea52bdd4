// ralph as a service: a project, a box, and the unit from systemd/ for it, with the programs of this build.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/support/project.h"
#include "tests/systemd/box.h"

namespace ralph::tests {

class Service {
  public:
    // packaged: the box has neither programs nor unit before a package brings them.
    enum class Programs { of_this_build, packaged };

    explicit Service(unsigned workers = 8, Box::Bus bus = Box::Bus::no,
                     Programs programs = Programs::of_this_build);

    [[nodiscard]] const std::string& unit() const { return unit_; }
    // Adds settings to the unit, and has systemd read them.
    void drop_in(const std::string& name, const std::string& text);
    void set_workers(unsigned workers);
    // From now on its main process waits at the gate "start" before it becomes the supervisor.
    void hold_before_start();
    void log_everything();
    [[nodiscard]] std::string program() const;  // where the unit expects it

    // systemctl VERB of the unit, which must succeed.
    void control(const std::string& verb, const std::vector<std::string>& options = {}) const;
    // Starts it, and returns when its supervisor watches over the queue.
    void start() const;
    [[nodiscard]] std::string property(const std::string& name) const { return box.property(unit_, name); }
    [[nodiscard]] bool wait_until(const std::string& name, const std::string& wanted) const {
        return box.wait_until(unit_, name, wanted);
    }
    [[nodiscard]] pid_t main_process() const { return static_cast<pid_t>(std::stol(property("MainPID"))); }
    // SIGKILL to the main process alone, and no waiting.
    void kill_main_process() const;
    // Until there is a main process other than that one; its number.
    [[nodiscard]] pid_t next_main_process(pid_t after) const;
    [[nodiscard]] std::string journal() const;

    // Queues a worker that writes down who it is, waits at a gate of its name until it is let go, and ends as
    // `ending` says (a line of shell). Returns its task.
    std::string add_worker(const std::string& name, const std::string& ending);
    // A pipe: who reads a line of it waits for let_go. Returns its path.
    std::string make_gate(const std::string& name) const;
    void let_go(const std::string& name);
    void let_all_go();  // the workers
    [[nodiscard]] bool all_have_begun() const;
    // What identifies the workers' processes: name, number in the box, start time. One line for each begin
    // that there ever was, so that a second one would show.
    [[nodiscard]] std::vector<std::string> beginnings() const;
    // The same of those that live, in the same order.
    [[nodiscard]] std::vector<std::string> living() const;
    [[nodiscard]] bool is_terminal(const std::string& task) const;

    Project project;
    Box box;

  private:
    [[nodiscard]] std::string identity(const std::string& name, const std::string& pid) const;

    std::string unit_;
    std::vector<std::string> names_;
    std::vector<daemon::FileDescriptor> gates_;
};

}  // namespace ralph::tests
