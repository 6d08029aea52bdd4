// Whatever becomes of state.json: its bytes are never lost, nothing is started on a guess, and `ralph doctor`
// leads out of it.
#include <doctest/doctest.h>

#include <filesystem>
#include <functional>

#include "core/supervisor/state_codec.h"
#include "daemon/store/state_store.h"
#include "tests/support/project.h"

using namespace ralph::daemon;
using ralph::core::Lifecycle;
using ralph::tests::Project;
using ralph::tests::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

// What stands in the place of the state; files are compared by their bytes, anything else by its type.
std::string content_at(const std::string& path) {
    const auto status = fs::symlink_status(path);
    if (fs::is_symlink(status)) {
        return "link to " + fs::read_symlink(path).string();
    }
    return fs::is_directory(status) ? "folder with " + Project::read(path + "/inside") : Project::read(path);
}

struct Corruption {
    const char* name;
    std::function<void(const std::string& path, const std::string& whole)> apply;
};

const std::vector<Corruption> corruptions{
    {"empty", [](auto& path, auto&) { Project::write(path, ""); }},
    {"cut in the middle",
     [](auto& path, auto& whole) { Project::write(path, whole.substr(0, whole.size() / 2)); }},
    {"cut by one byte",
     [](auto& path, auto& whole) { Project::write(path, whole.substr(0, whole.size() - 1)); }},
    {"a flipped bit",
     [](auto& path, auto& whole) {
         std::string flipped = whole;
         flipped[flipped.find("\"workers\"")] ^= 0x40;
         Project::write(path, flipped);
     }},
    {"wrong types",
     [](auto& path, auto&) { Project::write(path, R"({"schema_version": 3, "workers": {}})"); }},
    {"a newer version",
     [](auto& path, auto&) { Project::write(path, R"({"schema_version": 4, "workers": []})"); }},
    {"not JSON",
     [](auto& path, auto&) {
         Project::write(path, std::string("\x7f"
                                          "ELF\0\xff",
                                          6));
     }},
    {"a folder",
     [](auto& path, auto&) {
         fs::create_directory(path);
         Project::write(path + "/inside", "something");
     }},
    {"unreadable", [](auto& path, auto&) { fs::create_symlink(fs::path(path).filename(), path); }},
};

// One task landed, one is blocked, one is still to do.
class Matrix {
  public:
    Matrix() {
        project_.add("lands", "echo RQ-0001 >> '" + project_.outside("ledger") + "'; echo x > x.txt");
        project_.add("is blocked",
                     "echo RQ-0002 >> '" + project_.outside("ledger") +
                         "'; echo x > y.txt; git checkout -q -b side; git commit -q --allow-empty -m s; "
                         "git checkout -q main");
        project_.commit_and_push();
        REQUIRE(project_.ralph({"run", "--parallel", "2"}).status == 3);
        project_.add("is to do", "echo RQ-0003 >> '" + project_.outside("ledger") + "'; exit 1");
        project_.commit_and_push();
        whole_ = Project::read(project_.paths().state());
        previous_ = Project::read(project_.paths().previous_state());
        REQUIRE(!previous_.empty());
        fs::copy(project_.paths().cache(), project_.outside("cache"), fs::copy_options::recursive);
        fs::copy(project_.workspaces(), project_.outside("workspaces"),
                 fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    }

    // As it was before the corruption.
    void restore() {
        fs::remove_all(project_.paths().cache());
        fs::copy(project_.outside("cache"), project_.paths().cache(), fs::copy_options::recursive);
        fs::remove_all(project_.workspaces());
        fs::copy(project_.outside("workspaces"), project_.workspaces(),
                 fs::copy_options::recursive | fs::copy_options::copy_symlinks);
        Project::write(project_.outside("ledger"), "");
    }

    void corrupt(const Corruption& corruption) {
        const std::string path = project_.paths().state();
        fs::remove(path);
        corruption.apply(path, whole_);
        corrupt_ = content_at(path);
    }

    // What was there is there still, at its place or beside it.
    void check_kept() const {
        bool found = false;
        for (const auto& entry : fs::directory_iterator(project_.paths().parallel())) {
            found = found || (entry.path().filename().string().rfind("state.json", 0) == 0 &&
                              content_at(entry.path().string()) == corrupt_);
        }
        CHECK(found);
    }

    // Nothing that was done is done again; what was to do is done.
    void check_next_run() const {
        const auto end = project_.ralph({"run", "--parallel", "2"});
        CAPTURE(end.errors);
        CHECK(end.status == 3);
        CHECK(Project::read(project_.outside("ledger")) == "RQ-0003\n");
        CHECK(project_.record("RQ-0002")->lifecycle == Lifecycle::blocked_push);
        CHECK(project_.record("RQ-0003")->lifecycle == Lifecycle::failed);
        check_kept();
    }

    // Without a whole older one nothing starts until the doctor has been asked.
    void check_settled_by_doctor() const {
        const auto refused = project_.ralph({"run", "--parallel", "2"});
        CAPTURE(refused.errors);
        CHECK(refused.status == 1);
        CHECK(refused.errors.find("run `ralph doctor`") != std::string::npos);
        CHECK(Project::read(project_.outside("ledger")).empty());
        CHECK(content_at(project_.paths().state()) == corrupt_);
        CHECK(project_.ralph({"run", "parallel", "status"}).status == 1);
        CHECK(project_.ralph({"run", "parallel", "retry", "--task", "RQ-0002"}).status == 1);

        const auto told = project_.ralph({"doctor"});
        CHECK(told.status == 4);
        CHECK(told.output.find("The state cannot be read, and there is no whole older one") !=
              std::string::npos);
        CHECK(content_at(project_.paths().state()) == corrupt_);
        const auto fixed = project_.ralph({"doctor", "--fix"});
        CAPTURE(fixed.output);
        CHECK(fixed.status == 0);
        CHECK(project_.record("RQ-0001")->lifecycle == Lifecycle::completed);
        CHECK(project_.record("RQ-0002")->lifecycle == Lifecycle::blocked_push);
        check_kept();
        CHECK(project_.ralph({"doctor"}).status == 0);
        check_next_run();
    }

    [[nodiscard]] const Project& project() const { return project_; }
    [[nodiscard]] const std::string& previous() const { return previous_; }

  private:
    Project project_;
    std::string whole_;
    std::string previous_;
    std::string corrupt_;
};

}  // namespace

TEST_CASE("a state that cannot be read, with a whole previous generation" * doctest::test_suite("as-built")) {
    Matrix matrix;
    for (const Corruption& corruption : corruptions) {
        CAPTURE(corruption.name);
        matrix.restore();
        matrix.corrupt(corruption);
        const auto told = matrix.project().ralph({"doctor"});
        CHECK(told.status == 4);
        CHECK(told.output.find("Its previous generation is whole") != std::string::npos);
        matrix.check_next_run();
    }
    // The doctor does the same as a start.
    matrix.restore();
    matrix.corrupt(corruptions.front());
    CHECK(matrix.project().ralph({"doctor", "--fix"}).status == 0);
    CHECK(Project::read(matrix.project().paths().state()) == matrix.previous());
    matrix.check_next_run();
}

TEST_CASE("a state that cannot be read, with a previous generation that cannot be read either" *
          doctest::test_suite("as-built")) {
    Matrix matrix;
    for (const Corruption& corruption : corruptions) {
        CAPTURE(corruption.name);
        matrix.restore();
        matrix.corrupt(corruption);
        Project::write(matrix.project().paths().previous_state(), "[1, 2");
        matrix.check_settled_by_doctor();
        CHECK(Project::read(matrix.project().paths().previous_state() + ".quarantine-1") == "[1, 2");
    }
}

TEST_CASE("a state that cannot be read, without a previous generation" * doctest::test_suite("as-built")) {
    Matrix matrix;
    for (const Corruption& corruption : corruptions) {
        CAPTURE(corruption.name);
        matrix.restore();
        matrix.corrupt(corruption);
        fs::remove(matrix.project().paths().previous_state());
        matrix.check_settled_by_doctor();
    }
}

// Cut off anywhere, any bit flipped. What is still a document is outside of what can be detected, and
// counted.
TEST_CASE("every length and every flipped bit of a state is found out, or is a document still" *
          doctest::test_suite("as-built")) {
    const TemporaryDirectory folder;
    const Paths paths{folder.path()};
    fs::create_directories(paths.parallel());
    ralph::core::ParallelState state;
    state.started_at = "2026-01-01T00:00:00.000000000Z";
    state.target_branch = "main";
    state.workers.push_back({"RQ-0001", "/w/RQ-0001", Lifecycle::failed, state.started_at, {}, 1, "why"});
    const std::string whole = ralph::core::state_text(state);
    std::vector<std::string> spoiled;
    for (std::size_t length = 0; length < whole.size(); ++length) {
        spoiled.push_back(whole.substr(0, length));
    }
    const std::size_t cut = spoiled.size();
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        spoiled.push_back(whole);
        spoiled.back()[bit / 8] =
            static_cast<char>(static_cast<unsigned char>(whole[bit / 8]) ^ (1U << (bit % 8)));
    }
    std::size_t documents = 0;
    for (std::size_t i = 0; i < spoiled.size(); ++i) {
        CAPTURE(i);
        Project::write(paths.state(), spoiled[i]);
        auto parsed = ralph::core::JsonDocument::parse(spoiled[i], "spoiled");
        const auto understood = parsed ? ralph::core::read_state(*parsed)
                                       : ralph::core::Result<ralph::core::ParallelState>{parsed.error()};
        const bool is_document = understood && understood->schema_version <= 3;
        documents += is_document ? 1 : 0;
        CHECK((i >= cut || !is_document));
        const auto loaded = load_state(paths);
        CHECK(loaded.has_value() == is_document);
        CHECK(Project::read(paths.state()) == spoiled[i]);
    }
    CHECK(*list_directory(paths.parallel()) == std::vector<std::string>{"state.json"});
    MESSAGE(documents << " of " << spoiled.size() << " are documents still");
}
