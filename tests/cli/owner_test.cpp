// Whose the files are that ralph writes, and who may read them.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "daemon/os/files.h"
#include "tests/support/project.h"

using ralph::tests::Project;
namespace fs = std::filesystem;

namespace {

constexpr unsigned nobody_has = 04321;  // a user without a name, as in a container
constexpr unsigned private_bits = 0077;

void give_to(const std::string& path, unsigned user, unsigned group) {
    REQUIRE(::lchown(path.c_str(), user, group) == 0);
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
        REQUIRE(::lchown(entry.path().c_str(), user, group) == 0);
    }
}

struct stat status_of(const std::string& path) {
    struct stat info {};
    CAPTURE(path);
    REQUIRE(::lstat(path.c_str(), &info) == 0);
    return info;
}

std::string foreign_files(const std::string& path, unsigned user) {
    std::string found;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
        if (status_of(entry.path().string()).st_uid != user) {
            found += entry.path().string() + "\n";
        }
    }
    return found;
}

}  // namespace

TEST_CASE("root leaves nothing of its own in the repository of another user") {
    if (::geteuid() != 0) {
        MESSAGE("needs root");
        return;
    }
    Project project;
    project.add("one", "true");
    project.commit_and_push();
    REQUIRE(::chmod(project.folder().path().c_str(), 0755) == 0);
    give_to(project.root(), nobody_has, nobody_has);
    give_to(project.remote(), nobody_has, nobody_has);
    fs::permissions(project.root() + "/.ralph/queue.jsonc", fs::perms::owner_read | fs::perms::owner_write);
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"task", "add", "two", "--run", "true"},
          {"queue", "stop"},
          {"queue", "list"},
          {"run", "parallel", "stop", "--now"},
          {"run", "parallel", "status"},
          {"run", "parallel", "retry", "--task", "RQ-0009"},
          {"kept", "list"},
          {"kept", "prune"},
          {"gate"},
          {"doctor"},
          {"doctor", "--fix"},
          {"init", "--trust"}}) {
        const auto end = project.ralph(command);
        CAPTURE(command.front());
        CAPTURE(end.errors);
        CHECK(end.errors.find("Permission denied") == std::string::npos);
        CHECK(end.errors.find("dubious") == std::string::npos);
        CHECK(foreign_files(project.root(), nobody_has).empty());
    }
    CHECK(Project::read(project.root() + "/.ralph/queue.jsonc").find("two") != std::string::npos);
    // Nothing of that repository runs as root.
    fs::create_directory(project.outside("for-all"));
    fs::permissions(project.outside("for-all"), fs::perms::all);
    std::ofstream(project.root() + "/.git/config", std::ios::app)
        << "[core]\n\tfsmonitor = \"id -u > " + project.outside("for-all/who") + "; false\"\n";
    static_cast<void>(project.ralph({"doctor"}));
    if (fs::exists(project.outside("for-all/who"))) {
        CHECK(Project::read(project.outside("for-all/who")) == std::to_string(nobody_has) + "\n");
    }
}

TEST_CASE("a file of the user's that root rewrites keeps its owner and its group") {
    if (::geteuid() != 0) {
        MESSAGE("needs root");
        return;
    }
    const ralph::tests::TemporaryDirectory folder;
    const std::string file = folder / "file";
    Project::write(file, "old");
    REQUIRE(::chown(file.c_str(), nobody_has, nobody_has + 1) == 0);
    REQUIRE(::chmod(file.c_str(), 0640) == 0);
    REQUIRE(ralph::daemon::rewrite_file_durably(file, "new", folder.path()).has_value());
    CHECK(Project::read(file) == "new");
    CHECK(status_of(file).st_uid == nobody_has);
    CHECK(status_of(file).st_gid == nobody_has + 1);
    CHECK((status_of(file).st_mode & 0777U) == 0640);
}

TEST_CASE("what ralph keeps for itself is private, and what git writes is as the user's umask wants it") {
    Project project;
    project.add("one", "echo 1 > one");
    Project::write(project.paths().config(),
                   R"({"agent": {"ci_gate": {"enabled": true, "argv": ["true"]}}})");
    project.commit_and_push();
    CHECK(project.ralph({"run", "--parallel", "2"}).status == 0);
    for (const std::string& folder : {project.paths().cache(), project.paths().ralph() + "/logs"}) {
        CHECK((status_of(folder).st_mode & private_bits) == 0);
        for (auto entry = fs::recursive_directory_iterator(folder);
             entry != fs::recursive_directory_iterator(); ++entry) {
            if (entry->path().extension() == ".git") {
                entry.disable_recursion_pending();  // nobody else gets into the merge queue's git folder
            }
            CAPTURE(entry->path().string());
            CHECK((status_of(entry->path().string()).st_mode & private_bits) == 0);
        }
    }
    CHECK((status_of(project.workspaces()).st_mode & private_bits) == 0);
    // The remote is others', too.
    for (const auto& entry : fs::recursive_directory_iterator(project.remote() + "/objects")) {
        CAPTURE(entry.path().string());
        CHECK((status_of(entry.path().string()).st_mode & S_IROTH) != 0);
    }
    CHECK((status_of(project.root() + "/one").st_mode & S_IROTH) != 0);
}

TEST_CASE("no unit takes the rights of others from what git writes") {
    for (const char* unit : {"system", "user"}) {
        const std::string text =
            Project::read(std::string(RALPH_SOURCE_DIR) + "/systemd/" + unit + "/ralph@.service.in");
        REQUIRE(!text.empty());
        CHECK(text.find("UMask") == std::string::npos);
    }
}
