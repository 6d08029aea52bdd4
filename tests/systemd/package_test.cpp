// The Debian package on a machine that is supervised by systemd, and what the README says of it.
#include <doctest/doctest.h>

#include <filesystem>

#include "daemon/os/program.h"
#include "tests/systemd/service.h"

using namespace ralph::tests;
namespace fs = std::filesystem;
using ralph::core::Lifecycle;

namespace {

constexpr std::chrono::seconds patience{100};

// Of this build, under another version; returns its path.
std::string make_package(const std::string& folder, const std::string& version) {
    ralph::daemon::ProgramRequest request;
    request.program = "cpack";
    request.arguments = {"-G",       "DEB",
                         "-R",       version,
                         "-B",       folder + "/of-" + version,
                         "--config", RALPH_BUILD_DIR "/CPackConfig.cmake"};
    request.directory = folder;
    request.environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C.UTF-8",
                           "TMPDIR=" + folder};
    request.timeout = patience;
    const auto end = ralph::daemon::run_program(request);
    REQUIRE(end.has_value());
    CAPTURE(end->errors);
    REQUIRE(end->succeeded());
    for (const auto& entry : fs::directory_iterator(folder + "/of-" + version)) {
        if (entry.path().extension() == ".deb") {
            fs::copy_file(entry.path(), folder + "/" + entry.path().filename().string());
            return folder + "/" + entry.path().filename().string();
        }
    }
    FAIL("cpack made no package");
    return {};
}

// All that packages need is on the machine's own disk; there is no network in a box. And services may be
// started, which containers often forbid.
void make_apt_work_offline(const Box& box) {
    box.output_of(
        {"sh", "-c", "rm -rf /etc/apt/sources.list.d/* /usr/sbin/policy-rc.d; : > /etc/apt/sources.list"});
}

void must_succeed(const Box& box, const std::string& script) {
    const auto end = box.run({"sh", "-e", "-c", script}, patience);
    CAPTURE(script);
    CAPTURE(end.output);
    CAPTURE(end.errors);
    REQUIRE(end.succeeded());
}

std::string installed_version(const Box& box) {
    return box.run({"dpkg-query", "-W", "-f=${db:Status-Status} ${Version}", "ralph"}).output;
}

// The commands below the heading.
std::string commands_after(const std::string& heading) {
    const std::string readme = Project::read(RALPH_SOURCE_DIR "/README.md");
    const std::size_t section = readme.find("\n" + heading + "\n");
    REQUIRE(section != std::string::npos);
    const std::string fence = "```sh\n";
    const std::size_t begin = readme.find(fence, section) + fence.size();
    return readme.substr(begin, readme.find("```", begin) - begin);
}

}  // namespace

TEST_CASE("the package: installed, upgraded with workers alive, removed, and installed again") {
    Service service(2, Box::Bus::no, Service::Programs::packaged);
    const Box& box = service.box;
    const std::string folder = service.project.outside("packages");
    fs::create_directories(folder);
    const std::string older = make_package(folder, "0.0.9");
    const std::string newer = make_package(folder, "0.1.0");
    make_apt_work_offline(box);
    Project::write(service.project.paths().supervisor_config(), R"({"stop_timeout": "1s"})");
    service.drop_in("test",
                    "[Service]\nReadWritePaths=" + service.project.folder().path() + "\n");  // for the gates
    const std::string fails = service.add_worker("fails", "exit 7");
    const std::string lands = service.add_worker("lands", "echo done > done.txt");
    service.project.commit_and_push();

    must_succeed(box, "apt-get install -y " + older);
    CHECK(installed_version(box) == "installed 0.0.9");
    must_succeed(box, "ralph service install --repo " + service.project.root());
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    const auto living = service.living();
    REQUIRE(living.size() == 2);
    const pid_t old = service.main_process();

    must_succeed(box, "apt-get install -y " + newer);
    CHECK(installed_version(box) == "installed 0.1.0");
    CHECK(service.next_main_process(old) != old);
    REQUIRE(service.wait_until("ActiveState", "active"));
    CHECK(service.living() == living);
    service.let_go("fails");
    REQUIRE(Project::eventually([&] { return service.is_terminal(fails); }));
    CHECK(service.project.record(fails)->last_error->find("status 7") != std::string::npos);

    must_succeed(box, "apt-get remove -y ralph");
    CHECK(installed_version(box).rfind("config-files", 0) == 0);
    CHECK(service.property("ActiveState") == "inactive");
    CHECK(service.living().empty());
    CHECK(!box.run({"test", "-e", "/usr/bin/ralph"}).succeeded());
    CHECK(service.project.record(lands)->lifecycle == Lifecycle::running);
    CHECK(fs::exists(service.project.workspaces() + "/" + lands));
    CHECK(Project::read(service.project.paths().ralph() + "/queue.jsonc").find(lands) != std::string::npos);

    must_succeed(box, "apt-get install -y " + newer + "; systemctl start '" + service.unit() + "'");
    service.let_go("lands");
    REQUIRE(Project::eventually([&] { return service.is_terminal(lands); }));
    CHECK(service.project.record(lands)->lifecycle == Lifecycle::completed);
    CHECK(service.project.remote_done() == std::vector<std::string>{lands});

    const std::string drop_in = "/etc/systemd/system/" + service.unit() + ".d/50-ralph.conf";
    CHECK(box.run({"test", "-e", drop_in}).succeeded());
    must_succeed(box, "apt-get purge -y ralph");
    CHECK(!box.run({"test", "-e", drop_in}).succeeded());
    CHECK(service.project.remote_done() == std::vector<std::string>{lands});
}

TEST_CASE("the README's way from a bare machine to a running service") {
    const Project project;
    const std::string task = project.add("hello", "id -un > hello.txt");
    project.commit_and_push();
    const std::string folder = project.outside("packages");
    fs::create_directories(folder);
    make_package(folder, "0.1.0");
    const Box box({{project.folder().path()}});
    make_apt_work_offline(box);
    // The reader's git server is the project's remote, which everybody may write.
    must_succeed(
        box, "chmod -R a+rwX " + project.remote() + "; chmod a+x " + project.folder().path() +
                 "; git config --system url." + project.remote() +
                 ".insteadOf https://git.example.org/project.git; git config --system safe.directory '*'");

    must_succeed(box, "cd " + folder + "\n" + commands_after("## On a build host"));

    const std::string unit = "ralph@home-builder-project.service";
    CHECK(box.property(unit, "ActiveState") == "active");
    CHECK(box.property(unit, "UnitFileState") == "enabled");
    REQUIRE(Project::eventually([&] { return project.remote_done() == std::vector<std::string>{task}; }));
    CHECK(project.git(project.remote(), {"show", "main:hello.txt"}) == "builder\n");
}

TEST_CASE("a service of a user's own, which is killed, restarted and removed without root") {
    const Project project;
    const std::string task = project.add("waits", "id -un > who.txt; echo $$ >> began; read -r line < ~/go");
    project.commit_and_push();
    const std::string folder = project.outside("packages");
    fs::create_directories(folder);
    const std::string package = make_package(folder, "0.1.0");
    const Box box({{project.folder().path()}}, Box::Bus::yes);
    make_apt_work_offline(box);
    must_succeed(box, "chmod -R a+rwX " + project.remote() + "; chmod a+x " + project.folder().path() +
                          "; git config --system safe.directory '*'; dpkg -i " + package +
                          "; adduser --disabled-password --gecos '' builder; loginctl enable-linger builder");
    const auto as_builder = [&](const std::string& script) {
        must_succeed(box, "su - builder -c 'export XDG_RUNTIME_DIR=/run/user/$(id -u); " + script + "'");
    };
    as_builder("git clone -q " + project.remote() + " project; mkfifo go; ralph init --trust --repo project");
    const std::string unit = "ralph@home-builder-project.service";
    const auto property = [&](const std::string& name) {
        return box
            .run({"su", "-", "builder", "-c",
                  "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user show --value --property=" + name +
                      " " + unit})
            .output;
    };
    const std::string uid = box.output_of({"id", "-u", "builder"});
    REQUIRE(box.wait_until("user@" + uid.substr(0, uid.size() - 1) + ".service", "ActiveState", "active"));
    as_builder("ralph service install --user --repo project");
    CHECK(property("ActiveState") == "active\n");
    const std::string workspace = "/home/builder/.workspaces/project/parallel/" + task;
    REQUIRE(Project::eventually([&] { return !box.read(workspace + "/began").empty(); }));
    const std::string first = property("MainPID");
    as_builder("kill -9 " + first.substr(0, first.size() - 1));
    REQUIRE(Project::eventually(
        [&] { return property("ActiveState") == "active\n" && property("MainPID") != first; }));
    as_builder("systemctl --user restart " + unit);
    CHECK(property("ActiveState") == "active\n");
    as_builder("echo go > go");
    REQUIRE(Project::eventually([&] { return project.remote_done() == std::vector<std::string>{task}; }));
    CHECK(project.git(project.remote(), {"show", "main:who.txt"}) == "builder\n");
    CHECK(project.git(project.remote(), {"show", "main:began"}).find('\n') ==
          project.git(project.remote(), {"show", "main:began"}).size() - 1);
    as_builder("ralph service uninstall --user --repo project");
    CHECK(property("ActiveState") == "inactive\n");
}
