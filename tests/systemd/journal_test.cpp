// The log as systemd's journal has it.
#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <map>
#include <sstream>

#include "tests/systemd/service.h"

using namespace ralph::tests;
namespace json = boost::json;

namespace {

using Entry = std::map<std::string, std::string>;

std::vector<Entry> entries(const Service& service, const std::vector<std::string>& matches) {
    std::vector<std::string> command{"journalctl", "--no-pager", "--output=json", "--unit=" + service.unit()};
    command.insert(command.end(), matches.begin(), matches.end());
    std::istringstream lines(service.box.output_of(command));
    std::vector<Entry> found;
    for (std::string line; std::getline(lines, line);) {
        Entry entry;
        const json::value document = json::parse(line);
        for (const auto& [name, value] : document.as_object()) {
            entry[name] = value.is_string() ? std::string(value.as_string()) : "(not text)";
        }
        found.push_back(std::move(entry));
    }
    return found;
}

// The one that tells of it.
Entry about(const Service& service, const std::string& task, const std::string& lifecycle) {
    std::vector<Entry> found;
    REQUIRE(Project::eventually([&] {
        found = entries(service, {"TASK_ID=" + task, "LIFECYCLE=" + lifecycle});
        return !found.empty();
    }));
    return found.back();
}

}  // namespace

TEST_CASE("entries of the journal carry task, lifecycle, attempt, step, exit status and repository") {
    Service service(2);
    const std::string good = service.add_worker("good", "echo done > good.txt");
    const std::string bad = service.add_worker("bad", "exit 7");
    service.project.commit_and_push();
    service.start();
    service.let_all_go();
    const Entry failed = about(service, bad, "failed");
    CHECK(failed.at("TASK_ID") == bad);
    CHECK(failed.at("ATTEMPT") == "1");
    CHECK(failed.at("STEP") == "work");
    CHECK(failed.at("EXIT_STATUS") == "7");
    CHECK(failed.at("RALPH_REPO") == service.project.root());
    CHECK(failed.at("PRIORITY") == "4");
    CHECK(failed.at("_SYSTEMD_UNIT") == service.unit());

    const Entry completed = about(service, good, "completed");
    CHECK(completed.at("STEP") == "integrate");
    CHECK(completed.at("EXIT_STATUS") == "0");
    CHECK(completed.at("PRIORITY") == "6");
    for (const Entry& entry : entries(service, {"RALPH_REPO=" + service.project.root()})) {
        CAPTURE(entry.at("MESSAGE"));
        CHECK(entry.at("_TRANSPORT") == "journal");
        CHECK(entry.at("MESSAGE").find("T") != 10);  // a time of its own would begin like 2026-01-31T
    }
}
