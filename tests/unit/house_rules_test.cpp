// Rules of the house that a compiler does not know.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

const fs::path source = RALPH_SOURCE_DIR;

std::vector<fs::path> sources_in(const std::string& folder) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(source / folder)) {
        const std::string extension = entry.path().extension().string();
        if (entry.is_regular_file() && (extension == ".h" || extension == ".cpp")) {
            files.push_back(entry.path());
        }
    }
    return files;
}

std::vector<std::string> lines_of(const fs::path& file) {
    std::vector<std::string> lines;
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

bool starts_with(const std::string& text, const std::string& prefix) {
    return text.rfind(prefix, 0) == 0;
}

}  // namespace

namespace {

using Arrows = std::set<std::pair<std::string, std::string>>;

// The rooms as docs/architecture.md lists them, the highest first.
std::vector<std::string> listed_rooms() {
    std::vector<std::string> rooms;
    const std::regex item(R"(- `([a-z/]+)`: .*)");
    for (const std::string& line : lines_of(source / "docs/architecture.md")) {
        std::smatch found;
        if (std::regex_match(line, found, item)) {
            rooms.push_back(found[1]);
        }
    }
    return rooms;
}

Arrows drawn_arrows() {
    Arrows arrows;
    const std::regex arrow(R"( +([a-z/]+) --> ([a-z/]+))");
    for (const std::string& line : lines_of(source / "docs/architecture.md")) {
        std::smatch found;
        if (std::regex_match(line, found, arrow)) {
            arrows.emplace(found[1], found[2]);
        }
    }
    return arrows;
}

std::string room_of(const fs::path& file) {
    return fs::relative(file.parent_path(), source).generic_string();
}

// Which room includes which other one.
Arrows arrows_of_includes() {
    Arrows arrows;
    const std::regex include(R"re(#include "((core|config|daemon)[^"]*)/[^"/]+")re");
    for (const char* folder : {"core", "config", "daemon"}) {
        for (const fs::path& file : sources_in(folder)) {
            for (const std::string& line : lines_of(file)) {
                std::smatch found;
                if (std::regex_match(line, found, include) && found[1] != room_of(file)) {
                    arrows.emplace(room_of(file), found[1]);
                }
            }
        }
    }
    return arrows;
}

bool leads(const Arrows& arrows, const std::string& from, const std::string& to) {
    return std::any_of(arrows.begin(), arrows.end(), [&](const auto& arrow) {
        return arrow.first == from && (arrow.second == to || leads(arrows, arrow.second, to));
    });
}

}  // namespace

TEST_CASE("rooms: every file is in one that docs/architecture.md lists, and includes go down the list") {
    const auto rooms = listed_rooms();
    std::map<std::string, std::size_t> height;
    for (std::size_t at = 0; at < rooms.size(); ++at) {
        height[rooms[at]] = at;
    }
    CHECK(height.size() == rooms.size());
    std::set<std::string> in_use;
    for (const char* folder : {"core", "config", "daemon"}) {
        for (const fs::path& file : sources_in(folder)) {
            CAPTURE(file.string());
            CHECK(height.count(room_of(file)) == 1);
            in_use.insert(room_of(file));
        }
    }
    CHECK(in_use.size() == rooms.size());
    for (const auto& arrow : arrows_of_includes()) {
        CAPTURE(arrow.first);
        CAPTURE(arrow.second);
        CHECK(height[arrow.first] < height[arrow.second]);
    }
}

TEST_CASE("rooms: the picture shows the arrows that there are, but for those that follow from others") {
    const Arrows included = arrows_of_includes();
    const Arrows drawn = drawn_arrows();
    REQUIRE(!included.empty());
    for (const auto& arrow : drawn) {
        CAPTURE(arrow.first);
        CAPTURE(arrow.second);
        CHECK(included.count(arrow) == 1);
    }
    for (const auto& arrow : included) {
        CAPTURE(arrow.first);
        CAPTURE(arrow.second);
        CHECK(leads(drawn, arrow.first, arrow.second));
    }
}

TEST_CASE("docs/architecture.md names files that are there") {
    std::set<std::string> names;
    for (const char* folder : {"core", "config", "daemon"}) {
        for (const fs::path& file : sources_in(folder)) {
            names.insert(file.filename().string());
            names.insert(fs::relative(file, source).generic_string());
        }
    }
    const std::regex named("`([a-z_/]+\\.(cpp|h))`");
    std::size_t found = 0;
    for (const std::string& line : lines_of(source / "docs/architecture.md")) {
        for (std::sregex_iterator each(line.begin(), line.end(), named), end; each != end; ++each) {
            CAPTURE((*each)[1].str());
            CHECK(names.count((*each)[1]) == 1);
            ++found;
        }
    }
    CHECK(found > 20);
}

// Whoever decides by the words of an error is wrong as soon as somebody words it better. What git says is
// understood in one place; an error of ours has a kind (core::Fault).
TEST_CASE("nothing is decided on the text of an error" * doctest::test_suite("as-built")) {
    const std::regex decides(
        R"re((message|remedy|summary|reason|why|errors?|last_error|note|words|said)(\(\)|\.line\(\)|\.value_or\(""\))?(\.|->)(find|rfind|compare|starts_with|ends_with|substr)\(|regex_(search|match)\([^)]*(message|errors?|reason)|(message|summary|reason|last_error) [=!]= "[^"])re");
    // Messages of commits are a format of their own, and what agents print is all that is known of their
    // ends.
    const std::set<std::string> others{"undo.cpp", "kept_refs.cpp", "reset_time.cpp", "verdict.cpp",
                                       "agent_output.cpp"};
    int in_git_words = 0;
    for (const char* folder : {"core", "config", "daemon"}) {
        for (const fs::path& file : sources_in(folder)) {
            for (const std::string& line : lines_of(file)) {
                const std::string name = file.filename().string();
                if (std::regex_search(line, decides) && others.count(name) == 0) {
                    CAPTURE(file.string());
                    CAPTURE(line);
                    CHECK(name == "git_words.cpp");
                    ++in_git_words;
                }
            }
        }
    }
    CHECK(in_git_words > 0);  // else the pattern finds nothing any more
}

// TRY keeps nothing of what it is given: a lock would be let go before the next line.
TEST_CASE("no lock is let go where it is taken" * doctest::test_suite("as-built")) {
    const std::regex dropped(R"(TRY\((FileLock|QueueLock|SupervisorLock)::)");
    CHECK(std::regex_search("TRY(FileLock::acquire(path, FileLock::Wait::yes));", dropped));
    for (const fs::path& file : sources_in("daemon")) {
        for (const std::string& line : lines_of(file)) {
            CAPTURE(file.string());
            CHECK_FALSE(std::regex_search(line, dropped));
        }
    }
}

TEST_CASE("core and config include nothing that touches the world, and nothing includes what costs seconds") {
    const std::map<std::string, std::vector<std::string>> refused{
        {"core",
         {"\"tests/", "<boost/asio", "<boost/process", "<spdlog", "<unistd.h>", "<sys/", "<fcntl.h>",
          "<fstream>", "<filesystem>", "<thread>", "<iostream>", "<random>"}},
        {"config",
         {"\"tests/", "<boost/asio", "<boost/process", "<spdlog", "<unistd.h>", "<sys/", "<fcntl.h>",
          "<fstream>", "<filesystem>", "<thread>", "<iostream>", "<random>"}},
        {"daemon", {"\"tests/", "<boost/asio.hpp>", "<boost/beast.hpp>", "<iostream>"}},
        {"daemon/shim", {"<boost/", "<spdlog", "<fmt", "<iostream>", "<sstream>"}},
    };
    for (const auto& [folder, patterns] : refused) {
        const auto files = sources_in(folder);
        CHECK(!files.empty());
        for (const fs::path& file : files) {
            for (const std::string& line : lines_of(file)) {
                for (const std::string& pattern : patterns) {
                    CAPTURE(file.string());
                    CHECK_FALSE(starts_with(line, "#include " + pattern));
                }
            }
        }
    }
}

TEST_CASE("core reads no clock") {
    for (const char* folder : {"core", "config"}) {
        for (const fs::path& file : sources_in(folder)) {
            for (const std::string& line : lines_of(file)) {
                CAPTURE(file.string());
                CHECK(line.find("_clock::now") == std::string::npos);
                CHECK(line.find("std::time(") == std::string::npos);
            }
        }
    }
}

TEST_CASE("every header is included once and no file grows without end") {
    for (const char* folder : {"core", "config", "daemon", "tests"}) {
        for (const fs::path& file : sources_in(folder)) {
            const auto lines = lines_of(file);
            CAPTURE(file.string());
            CHECK(lines.size() <= 600);
            if (file.extension() == ".h") {
                CHECK(std::find(lines.begin(), lines.end(), "#pragma once") != lines.end());
            }
        }
    }
}

TEST_CASE("no test is lost on its way to ctest, which splits names at semicolons") {
    for (const fs::path& file : sources_in("tests")) {
        for (const std::string& line : lines_of(file)) {
            CAPTURE(file.string());
            CAPTURE(line);
            const bool names_test = starts_with(line, "TEST_CASE(\"");
            CHECK_FALSE((names_test && line.substr(0, line.rfind('"')).find(';') != std::string::npos));
        }
    }
}

TEST_CASE("git in a workspace is made in one place, which proves the workspace plain") {
    // The merge queue's own folder is no worker's, and it opens each workspace before it uses it.
    const std::set<std::string> others{"integration_workspace.cpp", "kept_work.cpp", "batch_member.cpp"};
    const std::regex made(R"(\bGit(\s+\w+)?[({][^)]*([wW]orkspace|directory\(\)|tree\.path))");
    int places = 0;
    for (const fs::path& file : sources_in("daemon")) {
        for (const std::string& line : lines_of(file)) {
            if (std::regex_search(line, made)) {
                CAPTURE(file.string());
                CAPTURE(line);
                places += file.filename() == "plain_git.cpp" ? 1 : 0;
                CHECK((file.filename() == "plain_git.cpp" || others.count(file.filename().string()) != 0));
            }
        }
    }
    CHECK(places > 0);  // else the pattern finds nothing any more
}

TEST_CASE("the doctor runs nothing of a workspace") {
    for (const fs::path& file : sources_in("daemon/doctor")) {
        for (const std::string& line : lines_of(file)) {
            CAPTURE(file.string());
            for (const char* name : {"keep_work", "prune_quarantined", "open_plain", "open_workspace"}) {
                CHECK(line.find(name) == std::string::npos);
            }
        }
    }
}

TEST_CASE("no name of a process is ever signalled") {
    for (const char* folder : {"core", "config", "daemon", "tests", "tools", "systemd"}) {
        for (const auto& entry : fs::recursive_directory_iterator(source / folder)) {
            if (!entry.is_regular_file() || entry.path().filename() == "house_rules_test.cpp") {
                continue;
            }
            for (const std::string& line : lines_of(entry.path())) {
                CAPTURE(entry.path().string());
                CHECK(line.find("pkill") == std::string::npos);
                CHECK(line.find("killall") == std::string::npos);
            }
        }
    }
}

// doctest runs each of them once, and not each of the one group with each of the other.
TEST_CASE("a test has one group of subcases on a level") {
    for (const fs::path& file : sources_in("tests")) {
        int groups = 0;
        bool in_group = false;
        for (const std::string& line : lines_of(file)) {
            const std::size_t depth = line.find_first_not_of(' ');
            if (depth == 0) {
                groups = 0;
                in_group = false;
            }
            if (depth != 4 || line.compare(4, 1, "}") == 0 || line.compare(4, 2, "//") == 0) {
                continue;
            }
            const bool is_subcase = line.compare(4, 8, "SUBCASE(") == 0;
            groups += is_subcase && !in_group ? 1 : 0;
            in_group = is_subcase;
            CHECK_MESSAGE((!is_subcase || groups <= 1), file.string() << ": " << line);
        }
    }
}
