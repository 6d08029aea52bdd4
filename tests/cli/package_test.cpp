// What is installed, and the Debian package: made from this build into a temporary folder.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "daemon/os/program.h"
#include "daemon/service/systemd_unit.h"
#include "tests/support/git_fixture.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text.h"

using ralph::daemon::ProgramEnd;
using ralph::tests::contains;
using ralph::tests::GitFixture;
using ralph::tests::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

constexpr const char* highest_exposure = "--threshold=40";  // 4.0 of 10

ProgramEnd run(const std::string& program, const std::vector<std::string>& arguments,
               const TemporaryDirectory& folder) {
    ralph::daemon::ProgramRequest request;
    request.program = program;
    request.arguments = arguments;
    request.directory = folder.path();
    request.environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + folder.path(),
                           "XDG_RUNTIME_DIR=" + folder.path(), "LC_ALL=C.UTF-8", "TMPDIR=" + folder.path()};
    request.timeout = std::chrono::seconds(110);
    auto end = ralph::daemon::run_program(request);
    REQUIRE(end.has_value());
    CAPTURE(program);
    CAPTURE(end->output);
    CAPTURE(end->errors);
    CHECK(end->succeeded());
    return *end;
}

bool is_installed(const std::string& program) {
    const bool found = fs::exists("/usr/bin/" + program);
    if (!found) {
        MESSAGE("skipped: ", program, " is not installed");
    }
    return found;
}

// All that `make install` installs, below PREFIX.
std::string install(const TemporaryDirectory& folder) {
    std::string prefix = folder / "prefix";
    run("cmake", {"--install", RALPH_BUILD_DIR, "--prefix", prefix}, folder);
    return prefix;
}

}  // namespace

TEST_CASE("the units are what systemd understands, and start the program that was installed with them") {
    if (!is_installed("systemd-analyze")) {
        return;
    }
    const TemporaryDirectory folder;
    const std::string prefix = install(folder);
    for (const std::string scope : {"system", "user"}) {
        const std::string unit = prefix + "/lib/systemd/" + scope + "/ralph@.service";
        CHECK(contains(GitFixture::read(unit), "\nExecStart=" + prefix + "/bin/ralph run "));
        const auto end = run("systemd-analyze",
                             {"verify", "--" + scope, "--recursive-errors=yes", "--man=no", unit}, folder);
        CHECK(end.output.empty());
        CHECK(end.errors.empty());
    }
}

TEST_CASE("the system's unit is closed enough, with and without a drop-in") {
    if (!is_installed("systemd-analyze")) {
        return;
    }
    const TemporaryDirectory folder;
    const std::string units = install(folder) + "/lib/systemd/system";
    run("systemd-analyze",
        {"security", "--offline=true", "--no-pager", highest_exposure, units + "/ralph@.service"}, folder);
    const ralph::core::ServiceDropIn drop_in{
        ralph::core::ServiceAccount{"builder", "builder", "/home/builder", false}, {"/home/builder"}, 4};
    const std::string instance = units + "/ralph@srv-project.service";
    fs::copy_file(units + "/ralph@.service", instance);
    GitFixture::write(instance + ".d/50-ralph.conf", ralph::core::drop_in_text(drop_in).value());
    const auto end = run("systemd-analyze",
                         {"security", "--offline=true", "--no-pager", highest_exposure, instance}, folder);
    CHECK(!contains(end.output, "Service runs as root user"));  // the drop-in was read
    const auto verified =
        run("systemd-analyze", {"verify", "--recursive-errors=yes", "--man=no", instance}, folder);
    CHECK(verified.errors.empty());
}

TEST_CASE("the man pages tell of every command and setting, and roff understands them") {
    const TemporaryDirectory folder;
    const std::string pages = install(folder) + "/share/man";
    const std::string manual = run("gzip", {"-dc", pages + "/man1/ralph.1.gz"}, folder).output;
    for (const char* piece :
         {".SS \"ralph service install\"", "\\-\\-run\\-as USER", ".SS \"ralph run parallel retry\"",
          ".SS \"ralph kept show TASK[/N]\"", "\\-\\-log\\-level LEVEL", "wrong usage"}) {
        CAPTURE(piece);
        CHECK(contains(manual, piece));
    }
    CHECK(!contains(manual,
                    "@"
                    "COMMANDS"));
    const std::string settings =
        run("gzip", {"-dc", pages + "/man5/ralph-supervisor.jsonc.5.gz"}, folder).output;
    CHECK(contains(settings, "\n  \"kept_work_retention\": \"14d\",\n"));
    if (!is_installed("groff")) {
        return;
    }
    for (const char* page : {"man1/ralph.1", "man1/ralph-shim.1", "man5/ralph-supervisor.jsonc.5"}) {
        const auto end =
            run("sh", {"-c", "gzip -dc '" + pages + "/" + page + ".gz' | groff -man -ww -Tutf8 >/dev/null"},
                folder);
        CAPTURE(page);
        CHECK(end.errors.empty());
    }
}

TEST_CASE("shells complete what ralph says that there is") {
    const TemporaryDirectory folder;
    const std::string prefix = install(folder);
    const std::string bash = R"(. share/bash-completion/completions/ralph; compopt() { :; }
        t() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _ralph; echo "${COMPREPLY[*]}"; }
        t bin/ralph serv; t bin/ralph service uninst; t bin/ralph --repo . run parallel ""; t bin/ralph task add --prio
        t bin/ralph task add title --priority h)";
    CHECK(run("bash", {"-c", "cd '" + prefix + "'\n" + bash}, folder).output ==
          "service\nuninstall\nstatus stop retry\n--priority\nhigh\n");
    if (is_installed("fish")) {
        const std::string fish =
            "cd '" + prefix +
            "'; set -x PATH $PWD/bin $PATH; source "
            "share/fish/vendor_completions.d/ralph.fish; complete -C 'ralph run parallel '; "
            "complete -C 'ralph task add x --priority h'";
        const auto end = run("fish", {"--no-config", "-c", fish}, folder);
        CHECK(contains(end.output, "retry\t"));
        CHECK(contains(end.output, "\nhigh\n"));
    }
    if (is_installed("zsh")) {
        const std::string zsh =
            R"(cd "$1"; compadd() { shift; print -l -- "$@"; }; _describe() { print -l -- ${(P)2}; }
            t() { words=("$@"); CURRENT=$#; PREFIX=${words[-1]}; source share/zsh/vendor-completions/_ralph; }
            t bin/ralph service ""; t bin/ralph task add --priority "")";
        const auto end = run("zsh", {"-f", "-c", zsh, "zsh", prefix}, folder);
        CHECK(contains(end.output, "uninstall:Stop"));
        CHECK(contains(end.output, "critical\nhigh\n"));
    }
}

TEST_CASE("the Debian package holds what it should, where it should" * doctest::test_suite("as-built")) {
    if (!is_installed("dpkg-shlibdeps")) {
        return;
    }
    const TemporaryDirectory folder;
    run("cpack", {"-G", "DEB", "-B", folder / "package", "--config", RALPH_BUILD_DIR "/CPackConfig.cmake"},
        folder);
    std::string package;
    for (const auto& entry : fs::directory_iterator(folder / "package")) {
        if (entry.path().extension() == ".deb") {
            package = entry.path().string();
        }
    }
    REQUIRE(!package.empty());
    const std::string list = run("dpkg-deb", {"-c", package}, folder).output;
    for (const char* path :
         {"bin/ralph", "bin/ralph-shim", "lib/systemd/system/ralph@.service",
          "lib/systemd/user/ralph@.service", "share/man/man1/ralph.1.gz", "share/man/man1/ralph-shim.1.gz",
          "share/man/man5/ralph-supervisor.jsonc.5.gz", "share/bash-completion/completions/ralph",
          "share/zsh/vendor-completions/_ralph", "share/fish/vendor_completions.d/ralph.fish",
          "share/doc/ralph/copyright", "share/doc/ralph/changelog.gz", "share/doc/ralph/docs/service.md"}) {
        CAPTURE(path);
        CHECK(contains(list, std::string(" ./usr/") + path + "\n"));
    }
    std::istringstream lines(list);
    for (std::string line; std::getline(lines, line);) {
        CAPTURE(line);
        CHECK(contains(line, " root/root "));
        CHECK((line.rfind("drwxr-xr-x", 0) == 0 || line.rfind("-rwxr-xr-x", 0) == 0 ||
               line.rfind("-rw-r--r--", 0) == 0));
    }
    run("dpkg-deb", {"-R", package, folder / "tree"}, folder);
    for (const char* unit : {"system", "user"}) {
        CHECK(contains(GitFixture::read(folder / "tree/usr/lib/systemd/" + unit + "/ralph@.service"),
                       "\nExecStart=/usr/bin/ralph run "));
    }
    for (const char* script : {"postinst", "prerm", "postrm"}) {
        run("sh", {"-n", folder / "tree/DEBIAN/" + script}, folder);
    }
    const std::string control = GitFixture::read(folder / "tree/DEBIAN/control");
    CHECK(contains(control, "libboost-json1."));
    CHECK(contains(control, "libc6 (>="));
    CHECK(contains(control, "git, procps"));
    if (is_installed("lintian")) {
        run("lintian", {"--no-cfg", "--fail-on", "error", "--allow-root", package}, folder);
    }
}
