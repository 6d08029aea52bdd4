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

TEST_CASE("include directions: core knows nobody, config knows core, daemon knows both") {
    const std::map<std::string, std::vector<std::string>> refused{
        {"core",
         {"\"config/", "\"daemon/", "\"tests/", "<boost/asio", "<boost/process", "<spdlog", "<unistd.h>",
          "<sys/", "<fcntl.h>", "<fstream>", "<filesystem>", "<thread>", "<iostream>", "<random>"}},
        {"config",
         {"\"daemon/", "\"tests/", "<boost/asio", "<boost/process", "<spdlog", "<unistd.h>", "<sys/",
          "<fcntl.h>", "<fstream>", "<filesystem>", "<thread>", "<iostream>", "<random>"}},
        {"daemon", {"\"tests/", "<boost/asio.hpp>", "<boost/beast.hpp>", "<iostream>"}},
        {"daemon/shim",
         {"\"core/", "\"config/", "\"daemon/process", "\"daemon/store", "\"daemon/steps", "\"daemon/runtime",
          "\"daemon/cli", "<boost/", "<spdlog", "<fmt", "<iostream>", "<sstream>"}},
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
    // The lane's own folder is no worker's, and it opens each workspace before it uses it.
    const std::set<std::string> others{"integration_workspace.cpp", "kept_work.cpp", "lane_member.cpp"};
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
            for (const char* name : {"keep_work", "prune_set_aside", "open_plain", "open_workspace"}) {
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
