// ralph service: what it writes and what it runs. systemctl is a script here that notes how it was called;
// that the units do what they are meant to is seen under a real systemd.
#include <doctest/doctest.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "daemon/service/systemd_unit.h"
#include "tests/support/project.h"
#include "tests/support/text.h"

using ralph::daemon::ProgramEnd;
using ralph::daemon::ProgramRequest;
using ralph::tests::contains;
using ralph::tests::Project;
namespace fs = std::filesystem;

namespace {

bool is_one_line(const std::string& text) {
    return std::count(text.begin(), text.end(), '\n') == 1 && text.back() == '\n';
}

ProgramEnd run(const std::string& program, const std::vector<std::string>& arguments,
               const std::vector<std::string>& environment, const std::string& directory = "/") {
    ProgramRequest request;
    request.program = program;
    request.arguments = arguments;
    request.directory = directory;
    request.environment = environment;
    request.timeout = std::chrono::seconds(100);
    auto end = ralph::daemon::run_program(request);
    REQUIRE(end.has_value());
    return *end;
}

bool machine_runs_systemd() {
    return fs::exists("/run/systemd/system");
}

// A home with a unit, a systemd of the user that seems to run, and a systemctl that notes its arguments and
// does what the file `systemctl-does` says.
class UserSystemd {
  public:
    explicit UserSystemd(const Project& project) : project_(project) {
        fs::create_directories(project.outside("run/systemd"));
        Project::write(units() + "/ralph@.service", "[Service]\nExecStart=/bin/true\n");
        Project::write(project.outside("bin/systemctl"), "#!/bin/sh\necho \"$@\" >> '" +
                                                             project.outside("calls") + "'\n. '" +
                                                             project.outside("systemctl-does") + "'\n");
        fs::permissions(project.outside("bin/systemctl"), fs::perms::owner_all);
        does("");
    }
    void does(const std::string& script) const { Project::write(project_.outside("systemctl-does"), script); }
    [[nodiscard]] std::string units() const { return project_.outside("home/.config/systemd/user"); }
    [[nodiscard]] std::string unit() const { return *ralph::core::service_unit_name(project_.root()); }
    [[nodiscard]] std::string drop_in() const { return units() + "/" + unit() + ".d/50-ralph.conf"; }
    // What systemctl was called with since the last time.
    [[nodiscard]] std::string calls() const {
        const std::string noted = Project::read(project_.outside("calls"));
        fs::remove(project_.outside("calls"));
        return noted;
    }
    ProgramEnd ralph(const std::vector<std::string>& arguments) const {
        std::vector<std::string> environment = project_.environment();
        environment.front() = "PATH=" + project_.outside("bin") + ":/usr/bin:/bin";
        environment.push_back("XDG_RUNTIME_DIR=" + project_.outside("run"));
        return run(RALPH_BINARY_DIR "/ralph", arguments, environment, project_.root());
    }

  private:
    const Project& project_;
};

std::string name_of(uid_t uid) {
    const passwd* const entry = ::getpwuid(uid);
    return entry == nullptr ? std::string{} : entry->pw_name;
}

}  // namespace

TEST_CASE("paths are escaped as systemd-escape does it") {
    if (!fs::exists("/usr/bin/systemd-escape")) {
        MESSAGE("skipped: systemd-escape is not installed");
        return;
    }
    std::string bytes = "/every";
    for (int byte = 1; byte < 256; ++byte) {
        bytes += static_cast<char>(byte);
    }
    for (const std::string path : {"/srv/project", "/", "/.hidden/.too", "/a b/c-d/100%/münchen",
                                   "/x@y/:._/\"'$*?[]\\", bytes.c_str()}) {
        CAPTURE(path);
        const auto end = run("systemd-escape", {"--path", path}, {"PATH=/usr/bin:/bin"});
        CHECK(end.output == ralph::core::escape_unit_path(path) + "\n");
    }
}

TEST_CASE("service install --dry-run shows what it would do and does nothing") {
    const Project project;
    const std::string repository = project.outside("a 100% - ü");
    project.git(project.folder().path(), {"clone", "-q", project.remote(), repository});
    REQUIRE(project.ralph({"init", "--trust", "--repo", repository}).succeeded());
    const std::string before = project.snapshot();
    const auto end =
        project.ralph({"service", "install", "--dry-run", "--workers", "7", "--repo", repository});
    CAPTURE(end.output);
    CAPTURE(end.errors);
    CHECK(end.status == 0);
    const std::string unit = *ralph::core::service_unit_name(repository);
    CHECK(contains(unit, R"(-a\x20100\x25\x20\x2d\x20\xc3\xbc.service)"));
    CHECK(contains(end.output, "would write /etc/systemd/system/" + unit + ".d/50-ralph.conf\n"));
    CHECK(contains(end.output, "    User=" + name_of(::geteuid()) + "\n"));
    CHECK(contains(end.output, "\"" + project.folder().path() + "/.workspaces/a 100%% - ü/parallel\""));
    CHECK(contains(end.output, "\"" + project.remote() + "\""));
    CHECK(contains(end.output, "    Environment=RALPH_WORKERS=7\n"));
    CHECK(
        contains(end.output, "would run systemctl daemon-reload\nwould run systemctl enable --now '" + unit));
    CHECK(project.snapshot() == before);
    CHECK(!fs::exists("/etc/systemd/system/" + unit + ".d"));
    CHECK(!fs::exists(project.outside(".workspaces/a 100% - ü")));
}

TEST_CASE("the service of somebody else's repository runs as that user, who is asked for its settings") {
    const Project project;
    if (::geteuid() != 0 || name_of(65534).empty() ||
        !run("/sbin/runuser", {"-u", name_of(65534), "--", RALPH_BINARY_DIR "/ralph", "--version"},
             {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"})
             .succeeded()) {
        MESSAGE("skipped: needs root, and a user 65534 who can run what was built");
        return;
    }
    const std::string folder = project.folder().path();
    run("chown", {"-R", "65534:65534", folder}, {"PATH=/usr/bin:/bin"});
    fs::permissions(folder, fs::perms::others_read | fs::perms::others_exec, fs::perm_options::add);
    auto end = project.ralph({"service", "install", "--dry-run"});
    CAPTURE(end.output);
    CAPTURE(end.errors);
    CHECK(end.status == 0);
    CHECK(contains(end.output, "    User=" + name_of(65534) + "\n"));
    CHECK(contains(end.output, "    ProtectKernelTunables=no\n"));
    CHECK(contains(end.output,
                   "would run /sbin/runuser -u " + name_of(65534) + " -- mkdir -p " + project.workspaces()));
    CHECK(contains(end.output, "\"" + project.remote() + "\""));
    // Its settings are refused as they would be refused to the service.
    Project::write(project.paths().config(), "{\"version\": 2, \"nonsense\": 1}");
    end = project.ralph({"service", "install", "--dry-run"});
    CHECK(end.status == 1);
    CHECK(is_one_line(end.errors));
    CHECK(contains(end.errors, "as " + name_of(65534) + ": "));
    CHECK(contains(end.errors, "nonsense"));
}

TEST_CASE(
    "service install --user writes its drop-in, enables the unit, and restarts it only when something "
    "changed") {
    const Project project;
    const UserSystemd systemd(project);
    auto end = systemd.ralph({"service", "install", "--user", "--workers", "3"});
    CAPTURE(end.errors);
    CHECK(end.status == 0);
    CHECK(contains(Project::read(systemd.drop_in()), "\n[Service]\nEnvironment=RALPH_WORKERS=3\n"));
    CHECK(contains(end.output, "write " + systemd.drop_in() + "\n"));
    const std::string first = "--user daemon-reload\n--user enable --now " + systemd.unit() + "\n";
    CHECK(systemd.calls() == first);
    systemd.ralph({"service", "install", "--user", "--workers", "3"});
    CHECK(systemd.calls() == first);
    systemd.ralph({"service", "install", "--user"});
    CHECK(systemd.calls() == first + "--user try-restart " + systemd.unit() + "\n");
    CHECK(!contains(Project::read(systemd.drop_in()), "RALPH_WORKERS"));
}

TEST_CASE("service uninstall takes away what install wrote and nothing else") {
    const Project project;
    const UserSystemd systemd(project);
    systemd.ralph({"service", "install", "--user"});
    const std::string own = fs::path(systemd.drop_in()).parent_path().string() + "/override.conf";
    Project::write(own, "[Service]\n");
    static_cast<void>(systemd.calls());
    const std::string before = project.snapshot();
    auto end = systemd.ralph({"service", "uninstall", "--user", "--dry-run"});
    CHECK(contains(end.output, "would remove " + systemd.drop_in() + "\n"));
    CHECK(systemd.calls().empty());
    end = systemd.ralph({"service", "uninstall", "--user"});
    CHECK(end.status == 0);
    CHECK(systemd.calls() == "--user disable --now " + systemd.unit() + "\n--user daemon-reload\n");
    CHECK(!fs::exists(systemd.drop_in()));
    CHECK(fs::exists(own));
    CHECK(project.snapshot() == before);
    end = systemd.ralph({"service", "uninstall", "--user"});
    CHECK(end.status == 0);
    CHECK(contains(end.output, "is not installed"));
    CHECK(systemd.calls().empty());
    fs::remove(own);
    systemd.ralph({"service", "install", "--user"});
    systemd.ralph({"service", "uninstall", "--user"});
    CHECK(!fs::exists(fs::path(own).parent_path()));
}

TEST_CASE("the service of a repository that is gone can be removed") {
    const Project project;
    const UserSystemd systemd(project);
    systemd.ralph({"service", "install", "--user"});
    fs::remove_all(project.root());
    fs::create_directories(project.outside("elsewhere"));
    std::vector<std::string> environment = project.environment();
    environment.front() = "PATH=" + project.outside("bin") + ":/usr/bin:/bin";
    environment.push_back("XDG_RUNTIME_DIR=" + project.outside("run"));
    const auto end =
        run(RALPH_BINARY_DIR "/ralph", {"service", "uninstall", "--user", "--repo", project.root()},
            environment, project.outside("elsewhere"));
    CAPTURE(end.errors);
    CHECK(end.status == 0);
    CHECK(!fs::exists(systemd.drop_in()));
}

TEST_CASE("service status and logs end as systemctl and journalctl do") {
    const Project project;
    const UserSystemd systemd(project);
    systemd.does("echo it rests; exit 3");
    auto end = systemd.ralph({"service", "status", "--user"});
    CHECK(end.status == 3);
    CHECK(end.output == "it rests\n");
    CHECK(systemd.calls() == "--user status " + systemd.unit() + "\n");
    end = systemd.ralph({"service", "logs", "--user", "--follow", "--dry-run"});
    CHECK(contains(end.output, "would run journalctl --user --follow --unit "));
}

TEST_CASE("what keeps a service from being installed is told in one line") {
    const Project project;
    const UserSystemd systemd(project);
    SUBCASE("systemctl refuses") {
        systemd.does("echo 'Failed to enable unit: no' >&2; exit 1");
        const auto end = systemd.ralph({"service", "install", "--user"});
        CHECK(end.status == 1);
        CHECK(is_one_line(end.errors));
        CHECK(contains(end.errors, "systemctl --user daemon-reload: Failed to enable unit: no"));
        CHECK(contains(end.errors, "ralph service"));
    }
    SUBCASE("no unit") {
        fs::remove(systemd.units() + "/ralph@.service");
        const auto end = systemd.ralph({"service", "install", "--user"});
        CHECK((end.status == 0 || contains(end.errors, "make install")));  // 0 where ralph is installed
    }
    SUBCASE("no systemd of the user") {
        fs::remove_all(project.outside("run/systemd"));
        const auto end = systemd.ralph({"service", "install", "--user"});
        CHECK(end.status == 1);
        CHECK(is_one_line(end.errors));
        CHECK(contains(end.errors, "enable-linger"));
    }
    SUBCASE("no systemd at all") {
        if (machine_runs_systemd() || ::geteuid() != 0) {
            MESSAGE("skipped: needs root on a machine without systemd");
            return;
        }
        const auto end = systemd.ralph({"service", "install"});
        CHECK(end.status == 1);
        CHECK(is_one_line(end.errors));
        CHECK(contains(end.errors, "does not run systemd"));
    }
    SUBCASE("no remote") {
        project.git(project.root(), {"remote", "remove", "origin"});
        const auto end = systemd.ralph({"service", "install", "--user"});
        CHECK(end.status == 1);
        CHECK(contains(end.errors, "git remote add origin"));
    }
    SUBCASE("no queue") {
        fs::remove(project.root() + "/.ralph/queue.jsonc");
        const auto end = systemd.ralph({"service", "install", "--user"});
        CHECK(end.status == 1);
        CHECK(contains(end.errors, "git tracks it"));
    }
    SUBCASE("nobody of that name") {
        const auto end = systemd.ralph({"service", "install", "--dry-run", "--run-as", "nobody-at-all"});
        CHECK(end.status == 1);
        CHECK(contains(end.errors, "there is no user nobody-at-all"));
    }
    SUBCASE("wrong usage") {
        CHECK(systemd.ralph({"service", "install", "--user", "--run-as", "root"}).status == 2);
        CHECK(systemd.ralph({"service", "install", "--user", "--workers", "1"}).status == 2);
        CHECK(systemd.ralph({"service"}).status == 2);
    }
    if (!fs::exists(systemd.drop_in())) {
        CHECK(systemd.calls().empty());
    }
}
