// Three people, each with a clone of one remote, add, edit and run tasks at once.
#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "tests/support/project.h"

using ralph::daemon::ProgramEnd;
using ralph::tests::Project;

namespace {

// RALPH_CLONES_SECONDS=600 is what the promise is about.
std::chrono::seconds duration() {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets the environment.
    const char* const wanted = std::getenv("RALPH_CLONES_SECONDS");
    return std::chrono::seconds(wanted == nullptr ? 8 : std::strtol(wanted, nullptr, 10));
}

struct Person {
    std::string place;
    std::vector<std::string> added;
    std::string complaints;
};

// Whatever is not the way it should be is remembered; threads must not judge.
void work(const Project& project, Person& person, std::chrono::steady_clock::time_point until) {
    const auto ralph = [&](std::vector<std::string> arguments, std::initializer_list<int> expected) {
        arguments.insert(arguments.begin(), {"--repo", person.place});
        ProgramEnd end = project.ralph(arguments);
        if (std::find(expected.begin(), expected.end(), end.status) == expected.end()) {
            std::ostringstream text;
            for (const std::string& word : arguments) {
                text << word << " ";
            }
            person.complaints += text.str() + "ended with " + std::to_string(end.status) + ": " + end.errors;
        }
        return end;
    };
    for (int i = 0; std::chrono::steady_clock::now() < until; ++i) {
        const std::string file = person.place.substr(person.place.rfind('/') + 1) + "-" + std::to_string(i);
        const ProgramEnd added = ralph({"task", "add", file, "--run", "echo x > " + file}, {0});
        if (added.status != 0) {
            continue;
        }
        const std::string id = added.output.substr(0, added.output.find('\n'));
        person.added.push_back(id);
        // It may have begun elsewhere, or have landed.
        ralph({"task", "edit", id, "--description", "edited by who added it"}, {0, 1});
        ralph({"run", "--parallel", "2"}, {0});
    }
}

}  // namespace

TEST_CASE(
    "clones: three people add, edit and run tasks at once, and nothing conflicts, is lost or lands twice" *
    doctest::test_suite("as-built")) {
    const Project project;
    project.commit_and_push("ralph");
    std::array<Person, 3> people{Person{project.root(), {}, {}}, Person{project.outside("second"), {}, {}},
                                 Person{project.outside("third"), {}, {}}};
    for (const Person& person : people) {
        if (person.place != project.root()) {
            project.git(project.root(), {"clone", "-q", project.remote(), person.place});
            REQUIRE(project.ralph({"--repo", person.place, "init", "--trust"}).succeeded());
        }
    }
    const auto until = std::chrono::steady_clock::now() + duration();
    std::vector<std::thread> threads;
    for (Person& person : people) {
        threads.emplace_back([&project, &person, until] { work(project, person, until); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    std::size_t added = 0;
    for (const Person& person : people) {
        CHECK(person.complaints == "");
        added += person.added.size();
    }
    CHECK(added >= 3);
    CHECK(project.ralph({"run", "--parallel", "4"}).status == 0);
    std::map<std::string, int> landed;
    for (const std::string& subject : project.remote_subjects()) {
        ++landed[subject.substr(0, subject.find(':'))];
    }
    const std::vector<std::string> done = project.remote_done();
    CHECK(done.size() == added);
    for (const Person& person : people) {
        for (const std::string& id : person.added) {
            CAPTURE(id);
            CHECK(std::count(done.begin(), done.end(), id) == 1);
            CHECK(landed[id] == 1);
        }
    }
}
