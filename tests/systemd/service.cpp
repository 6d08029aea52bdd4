#include "tests/systemd/service.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace ralph::tests {
namespace {

namespace fs = std::filesystem;

const std::string unit_file = std::string(RALPH_SOURCE_DIR) + "/systemd/system/ralph@.service.in";

// As it is installed below /usr/local.
std::string unit_text() {
    std::string text = Project::read(unit_file);
    const std::string place = "@RALPH_BINDIR@";
    for (std::size_t at = text.find(place); at != std::string::npos; at = text.find(place)) {
        text.replace(at, place.size(), "/usr/local/bin");
    }
    return text;
}

// The unit's command line.
std::string command_line() {
    std::istringstream lines(unit_text());
    for (std::string line; std::getline(lines, line);) {
        if (line.rfind("ExecStart=", 0) == 0) {
            return line.substr(10);
        }
    }
    throw std::runtime_error(unit_file + " has no ExecStart=");
}

std::string program_of(const std::string& command) {
    return command.substr(0, command.find(' '));
}

std::vector<Box::Share> shares(const Project& project, Service::Programs which) {
    if (which == Service::Programs::packaged) {
        return {{project.folder().path()}};
    }
    const std::string programs = RALPH_BINARY_DIR;
    const std::string program = program_of(command_line());
    return {{project.folder().path()},
            {programs + "/ralph", program, false},
            {programs + "/ralph-shim", program + "-shim", false}};
}

// What tells one process from all others of the box: field 22 of /proc/<pid>/stat, or nothing if it is gone.
std::string start_time(const std::string& stat) {
    const std::size_t after_name = stat.rfind(") ");
    if (after_name == std::string::npos || stat[after_name + 2] == 'Z') {
        return {};
    }
    std::istringstream fields(stat.substr(after_name + 2));
    std::string field;
    for (int number = 3; number <= 22; ++number) {
        fields >> field;
    }
    return field;
}

}  // namespace

Service::Service(unsigned workers, Box::Bus bus, Programs programs) : box(shares(project, programs), bus) {
    unit_ = box.output_of({"systemd-escape", "--path", "--template=ralph@.service", project.root()});
    unit_.pop_back();
    set_workers(workers);
    if (programs == Programs::packaged) {
        return;
    }
    box.write("/etc/systemd/system/ralph@.service", unit_text());
    // What `ralph service install` finds out; and no pauses to wait for.
    drop_in("test", "[Service]\nReadWritePaths=" + project.folder().path() + "\nRestartSec=100ms\n");
}

std::string Service::program() const {
    return program_of(command_line());
}

void Service::hold_before_start() {
    drop_in("held", fmt::format("[Service]\nExecStart=\nExecStart=/bin/sh -c 'read -r line < {} && exec "
                                "\"$$0\" \"$$@\"' {}\n",
                                make_gate("start"), command_line()));
}

void Service::log_everything() {
    drop_in("everything",
            fmt::format("[Service]\nExecStart=\nExecStart={} --log-level debug\n", command_line()));
}

void Service::drop_in(const std::string& name, const std::string& text) {
    // The unit's own folder for drop-ins; its name is escaped, and a path all the same.
    box.write("/etc/systemd/system/" + unit_ + ".d/" + name + ".conf", text);
    box.output_of({"systemctl", "daemon-reload"});
}

void Service::set_workers(unsigned workers) {
    Project::write(project.paths().config(),
                   fmt::format(R"({{"version": 2, "parallel": {{"workers": {}}}, "agent": {{"ci_gate": )"
                               R"({{"enabled": false}}}}}})",
                               workers));
}

void Service::control(const std::string& verb, const std::vector<std::string>& options) const {
    std::vector<std::string> command{"systemctl", verb};
    command.insert(command.end(), options.begin(), options.end());
    command.push_back(unit_);
    box.output_of(command);
}

void Service::start() const {
    control("start");
    if (!wait_until("ActiveState", "active")) {
        throw std::runtime_error("the service does not become active:\n" + journal());
    }
}

void Service::kill_main_process() const {
    control("kill", {"--kill-whom=main", "--signal=KILL"});
}

pid_t Service::next_main_process(pid_t after) const {
    const bool is_there = box.wait_until(
        unit_, "MainPID", [&](const std::string& pid) { return pid != "0" && pid != std::to_string(after); });
    if (!is_there) {
        throw std::runtime_error("there is no new main process:\n" + journal());
    }
    return main_process();
}

std::string Service::journal() const {
    return box.output_of({"journalctl", "--no-pager", "--output=short-precise", "--unit=" + unit_});
}

std::string Service::add_worker(const std::string& name, const std::string& ending) {
    names_.push_back(name);
    return project.add(name, fmt::format("echo $$ >> '{}'; read -r line < '{}'; {}",
                                         project.outside(name + ".began"), make_gate(name), ending));
}

std::string Service::make_gate(const std::string& name) const {
    std::string path = project.outside(name + ".go");
    if (::mkfifo(path.c_str(), 0600) != 0) {
        throw std::runtime_error("cannot make the gate " + path);
    }
    return path;
}

// The pipe stays open, and full of permissions, for who has not come that far yet, or comes again.
void Service::let_go(const std::string& name) {
    constexpr std::string_view permissions = "go\ngo\ngo\ngo\n";
    gates_.emplace_back(::open(project.outside(name + ".go").c_str(), O_RDWR | O_CLOEXEC));
    if (::write(gates_.back().get(), permissions.data(), permissions.size()) < 0) {
        throw std::runtime_error("cannot let go " + name);
    }
}

void Service::let_all_go() {
    for (const std::string& name : names_) {
        let_go(name);
    }
}

bool Service::all_have_begun() const {
    return std::all_of(names_.begin(), names_.end(), [&](const std::string& name) {
        return Project::read(project.outside(name + ".began")).find('\n') != std::string::npos;
    });
}

std::string Service::identity(const std::string& name, const std::string& pid) const {
    return fmt::format("{} {} {}", name, pid, start_time(box.read("/proc/" + pid + "/stat")));
}

std::vector<std::string> Service::beginnings() const {
    std::vector<std::string> found;
    for (const std::string& name : names_) {
        std::istringstream began(Project::read(project.outside(name + ".began")));
        for (std::string pid; std::getline(began, pid);) {
            found.push_back(fmt::format("{} {}", name, pid));
        }
    }
    return found;
}

std::vector<std::string> Service::living() const {
    std::vector<std::string> found;
    for (const std::string& beginning : beginnings()) {
        const std::size_t space = beginning.rfind(' ');
        const std::string pid = beginning.substr(space + 1);
        if (!start_time(box.read("/proc/" + pid + "/stat")).empty()) {
            found.push_back(identity(beginning.substr(0, space), pid));
        }
    }
    return found;
}

bool Service::is_terminal(const std::string& task) const {
    const auto record = project.record(task);
    return record && record->is_terminal();
}

}  // namespace ralph::tests
