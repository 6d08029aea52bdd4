#include "core/queue/queue_validation.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <functional>
#include <string>
#include <vector>

using namespace ralph::core;

namespace {

Task task(std::string id, TaskStatus status = TaskStatus::todo) {
    Task out;
    out.id = std::move(id);
    out.title = "title";
    out.status = status;
    out.created_at = "2026-02-20T00:00:00Z";
    out.updated_at = "2026-02-20T00:00:00Z";
    if (is_terminal(status)) {
        out.completed_at = "2026-02-20T00:00:00Z";
    }
    return out;
}

// RQ-0001 to RQ-0003 are todo, RQ-0004 is done and RQ-0005 rejected.
struct Files {
    TaskFile queue{1, {task("RQ-0001"), task("RQ-0002"), task("RQ-0003")}};
    TaskFile done{1, {task("RQ-0004", TaskStatus::done), task("RQ-0005", TaskStatus::rejected)}};
    QueueRules rules;

    [[nodiscard]] std::string error() const {
        const auto warnings = validate_queue(queue, done, rules);
        return warnings ? "valid" : warnings.error().line();
    }
    [[nodiscard]] std::vector<std::string> warnings() const {
        auto warnings = validate_queue(queue, done, rules);
        REQUIRE(warnings.has_value());
        return *warnings;
    }
};

struct Row {
    std::function<void(Files&)> change;
    std::string line;
};

void check_errors(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        Files files;
        row.change(files);
        CHECK(files.error() == row.line);
    }
}

// One chain through all tasks: RQ-00001 depends on RQ-00002 and so on.
TaskFile chain(std::size_t length) {
    TaskFile file;
    for (std::size_t i = 1; i <= length; ++i) {
        file.tasks.push_back(task(fmt::format("RQ-{:05}", i)));
        if (i < length) {
            file.tasks.back().depends_on = {fmt::format("RQ-{:05}", i + 1)};
        }
    }
    return file;
}

}  // namespace

TEST_CASE("queue_validation: sound files have neither errors nor warnings") {
    CHECK(Files{}.warnings().empty());
    CHECK(validate_queue({}, {}, {}).has_value());
}

TEST_CASE("queue_validation: rules and versions") {
    check_errors({
        {[](Files& f) { f.queue.version = 2; },
         "queue.jsonc has version 2; only version 1 is known; restore the file or update ralph"},
        {[](Files& f) { f.done.version = 0; },
         "done.jsonc has version 0; only version 1 is known; restore the file or update ralph"},
        {[](Files& f) { f.rules.id_width = 0; },
         "the id width is 0; set queue.id_width to a number from 1 to 90"},
        {[](Files& f) { f.rules.id_prefix = " "; },
         "the id prefix is blank; set queue.id_prefix, for example to RQ"},
    });
}

TEST_CASE("queue_validation: ids") {
    const auto id = [](const char* text) { return [text](Files& f) { f.queue.tasks[1].id = text; }; };
    check_errors({
        {id(" "), "task number 2 in queue.jsonc has a blank id; give it a free id of the form RQ-0001"},
        {id("RQ0009"),
         "\"RQ0009\" is not a task id of the form RQ-0001: it has no '-'; correct the id in queue.jsonc"},
        {id("XX-0009"),
         "\"XX-0009\" is not a task id of the form RQ-0001: the prefix is another; correct the id in "
         "queue.jsonc"},
        {id("RQ-1-0009"),
         "\"RQ-1-0009\" is not a task id of the form RQ-0001: after the '-' only digits may stand; correct "
         "the id "
         "in queue.jsonc"},
        {id("RQ-00a9"),
         "\"RQ-00a9\" is not a task id of the form RQ-0001: after the '-' only digits may stand; correct the "
         "id in "
         "queue.jsonc"},
        {id("RQ-009"),
         "\"RQ-009\" is not a task id of the form RQ-0001: it has 3 digits instead of 4; correct the id in "
         "queue.jsonc"},
        {id("RQ-00009"),
         "\"RQ-00009\" is not a task id of the form RQ-0001: it has 5 digits instead of 4; correct the id in "
         "queue.jsonc"},
        {id("RQ-10009"), "valid"},
        {id("RQ-010009"),
         "\"RQ-010009\" is not a task id of the form RQ-0001: it has 6 digits instead of 4; correct the id "
         "in "
         "queue.jsonc"},
        {id("rq-0009"), "valid"},
        {id(" RQ-0009 "), "valid"},
        {id("RQ-0001"),
         "RQ-0001 in queue.jsonc stands there twice; remove one of the two or give it a free id"},
    });
    const QueueRules wide{"RQ", 10, 10};
    CHECK(task_number("RQ-4294967295", wide).value() == 4294967295U);
    CHECK(task_number("RQ-4294967296", wide).error().message ==
          "\"RQ-4294967296\" is not a task id of the form RQ-0000000001: the number is too large");
    // Split at the first '-': such a prefix can never match (contract section 1.4).
    CHECK_FALSE(task_number("A-B-0001", QueueRules{"A-B", 4, 10}).has_value());
}

TEST_CASE("queue_validation: texts, times and agent bounds") {
    check_errors({
        {[](Files& f) { f.queue.tasks[0].title = " \t"; },
         "RQ-0001 in queue.jsonc has a blank title; give it one"},
        {[](Files& f) {
             f.queue.tasks[0].tags = {"a", " "};
         },
         "RQ-0001 in queue.jsonc has a blank item tags[1]; fill it in or remove it"},
        {[](Files& f) { f.queue.tasks[0].scope = {""}; },
         "RQ-0001 in queue.jsonc has a blank item scope[0]; fill it in or remove it"},
        {[](Files& f) { f.done.tasks[0].evidence = {""}; },
         "RQ-0004 in done.jsonc has a blank item evidence[0]; fill it in or remove it"},
        {[](Files& f) { f.queue.tasks[0].plan = {""}; },
         "RQ-0001 in queue.jsonc has a blank item plan[0]; fill it in or remove it"},
        {[](Files& f) { f.queue.tasks[0].notes = {""}; }, "valid"},
        {[](Files& f) {
             f.queue.tasks[0].custom_fields = {{" ", "x"}};
         },
         "RQ-0001 in queue.jsonc has a custom field with a blank key; name it or remove it"},
        {[](Files& f) {
             f.queue.tasks[0].custom_fields = {{"a b", ""}};
         },
         "RQ-0001 in queue.jsonc has the custom field \"a b\", whose key contains white space; rename it, "
         "for "
         "example with underscores"},
        {[](Files& f) { f.queue.tasks[0].created_at.reset(); },
         "RQ-0001 in queue.jsonc has no created_at; add \"created_at\", a UTC time such as "
         "2026-02-20T12:30:00Z"},
        {[](Files& f) { f.queue.tasks[0].updated_at.reset(); },
         "RQ-0001 in queue.jsonc has no updated_at; add \"updated_at\", a UTC time such as "
         "2026-02-20T12:30:00Z"},
        {[](Files& f) { f.queue.tasks[0].created_at = "yesterday"; },
         "RQ-0001 in queue.jsonc has the created_at \"yesterday\", which is no UTC time; write it as "
         "2026-02-20T12:30:00Z"},
        {[](Files& f) { f.queue.tasks[0].updated_at = "2026-02-20T00:00:00+01:00"; },
         "RQ-0001 in queue.jsonc has the updated_at \"2026-02-20T00:00:00+01:00\", which is no UTC time; "
         "write it "
         "as 2026-02-20T12:30:00Z"},
        {[](Files& f) { f.queue.tasks[0].updated_at = "2026-02-20T00:00:00+00:00"; }, "valid"},
        {[](Files& f) { f.done.tasks[0].completed_at.reset(); },
         "RQ-0004 in done.jsonc has no completed_at; add \"completed_at\", a UTC time such as "
         "2026-02-20T12:30:00Z"},
        {[](Files& f) { f.queue.tasks[0].completed_at = ""; },
         "RQ-0001 in queue.jsonc has the completed_at \"\", which is no UTC time; write it as "
         "2026-02-20T12:30:00Z"},
        {[](Files& f) { f.queue.tasks[0].started_at = "x"; }, "valid"},
        {[](Files& f) { f.queue.tasks[0].scheduled_start = "x"; }, "valid"},
        {[](Files& f) { f.queue.tasks[0].agent = boost::json::parse(R"({"iterations":0})"); },
         "RQ-0001 in queue.jsonc has agent.iterations 0; set it to 1 or more"},
        {[](Files& f) { f.queue.tasks[0].agent = boost::json::parse(R"({"phases":4})"); },
         "RQ-0001 in queue.jsonc has agent.phases 4; set it to 1, 2 or 3"},
    });
}

TEST_CASE("queue_validation: the archive and both files together") {
    check_errors({
        {[](Files& f) { f.done.tasks.push_back(task("RQ-0006", TaskStatus::doing)); },
         "RQ-0006 in done.jsonc has the status doing; move it to queue.jsonc or set its status to done or "
         "rejected"},
        {[](Files& f) { f.done.tasks.push_back(task("RQ-0001", TaskStatus::done)); },
         "RQ-0001 stands both in queue.jsonc and in done.jsonc; remove the copy that is out of date"},
        {[](Files& f) { f.done.tasks.push_back(task("RQ-0001", TaskStatus::rejected)); }, "valid"},
        {[](Files& f) { f.queue.tasks.push_back(task("RQ-0004", TaskStatus::rejected)); }, "valid"},
        {[](Files& f) { f.queue.tasks.push_back(task("RQ-0001", TaskStatus::rejected)); }, "valid"},
        {[](Files& f) { f.done.tasks.push_back(task("RQ-0005", TaskStatus::rejected)); }, "valid"},
    });
}

TEST_CASE("queue_validation: references to oneself, to nothing and in circles") {
    check_errors({
        {[](Files& f) { f.queue.tasks[0].depends_on = {"RQ-0001"}; },
         "RQ-0001 names itself in depends_on; remove it there in queue.jsonc"},
        {[](Files& f) { f.queue.tasks[0].depends_on = {"RQ-0099"}; },
         "RQ-0001 names \"RQ-0099\" in depends_on, a task neither in queue.jsonc nor in done.jsonc; remove "
         "it there "
         "in queue.jsonc or correct it"},
        {[](Files& f) { f.done.tasks[0].depends_on = {"RQ-0099"}; },
         "RQ-0004 names \"RQ-0099\" in depends_on, a task neither in queue.jsonc nor in done.jsonc; remove "
         "it there "
         "in done.jsonc or correct it"},
        {[](Files& f) {
             f.queue.tasks[0].depends_on = {"", " RQ-0004 "};
         },
         "valid"},
        {[](Files& f) {
             f.queue.tasks[1].depends_on = {"RQ-0003"};
             f.queue.tasks[2].depends_on = {"RQ-0002"};
         },
         "RQ-0002 and RQ-0003 depend on each other in a circle: RQ-0002 -> RQ-0003 -> RQ-0002; remove one of "
         "the "
         "dependencies in queue.jsonc"},
        {[](Files& f) {
             f.queue.tasks[0].depends_on = {"RQ-0002"};
             f.queue.tasks[1].depends_on = {"RQ-0004"};
             f.done.tasks[0].depends_on = {"RQ-0001"};
         },
         "RQ-0001, RQ-0002 and 1 more depend on each other in a circle: RQ-0001 -> RQ-0002 -> RQ-0004 -> "
         "RQ-0001; "
         "remove one of the dependencies in queue.jsonc"},
        {[](Files& f) { f.queue.tasks[0].blocks = {"RQ-0001"}; },
         "RQ-0001 names itself in blocks; remove it there in queue.jsonc"},
        {[](Files& f) { f.queue.tasks[0].blocks = {"x"}; },
         "RQ-0001 names \"x\" in blocks, a task neither in queue.jsonc nor in done.jsonc; remove it there in "
         "queue.jsonc or correct it"},
        {[](Files& f) {
             f.queue.tasks[0].blocks = {"RQ-0002"};
             f.queue.tasks[1].blocks = {"RQ-0001"};
         },
         "RQ-0001 and RQ-0002 block each other in a circle: RQ-0001 -> RQ-0002 -> RQ-0001; remove one of the "
         "blocks "
         "entries in queue.jsonc"},
        {[](Files& f) { f.queue.tasks[0].relates_to = {"RQ-0001"}; },
         "RQ-0001 names itself in relates_to; remove it there in queue.jsonc"},
        {[](Files& f) { f.queue.tasks[0].relates_to = {"x"}; },
         "RQ-0001 names \"x\" in relates_to, a task neither in queue.jsonc nor in done.jsonc; remove it "
         "there in "
         "queue.jsonc or correct it"},
        {[](Files& f) {
             f.queue.tasks[0].relates_to = {"RQ-0002"};
             f.queue.tasks[1].relates_to = {"RQ-0001"};
         },
         "valid"},
        {[](Files& f) { f.queue.tasks[0].duplicates = "RQ-0001"; },
         "RQ-0001 names itself in duplicates; remove it there in queue.jsonc"},
        {[](Files& f) { f.queue.tasks[0].duplicates = " "; },
         "RQ-0001 names \"\" in duplicates, a task neither in queue.jsonc nor in done.jsonc; remove it there "
         "in "
         "queue.jsonc or correct it"},
        {[](Files& f) {
             f.queue.tasks[0].parent_id = "RQ-0002";
             f.queue.tasks[1].parent_id = "RQ-0001";
         },
         "RQ-0001 and RQ-0002 are each other's parents in a circle: RQ-0001 -> RQ-0002 -> RQ-0001; remove "
         "one of the "
         "parent_id entries in queue.jsonc"},
    });
}

TEST_CASE("queue_validation: the first error wins in the order of contract section 1.5") {
    Files files;
    files.queue.tasks[0].parent_id = "RQ-0002";
    files.queue.tasks[1].parent_id = "RQ-0001";
    CHECK(files.error().find("parents") != std::string::npos);
    files.queue.tasks[0].duplicates = "x";
    CHECK(files.error().find("in duplicates") != std::string::npos);
    files.queue.tasks[2].relates_to = {"x"};
    CHECK(files.error().find("in relates_to") != std::string::npos);
    files.queue.tasks[2].blocks = {"x"};
    CHECK(files.error().find("in blocks") != std::string::npos);
    files.done.tasks[0].depends_on = {"x"};
    CHECK(files.error().find("in depends_on") != std::string::npos);
    files.done.tasks.push_back(task("RQ-0001", TaskStatus::done));
    CHECK(files.error().find("stands both") != std::string::npos);
    files.done.tasks.push_back(task("RQ-0009", TaskStatus::todo));
    CHECK(files.error().find("has the status todo") != std::string::npos);
    files.queue.tasks[2].title = "";
    CHECK(files.error().find("blank title") != std::string::npos);
    files.queue.version = 3;
    CHECK(files.error().find("version") != std::string::npos);
}

TEST_CASE("queue_validation: warnings") {
    using Lines = std::vector<std::string>;
    Files files;
    files.queue.tasks[0].depends_on = {"RQ-0005"};
    files.queue.tasks[1].duplicates = "RQ-0004";
    files.queue.tasks[1].parent_id = "RQ-0002";
    files.queue.tasks[2].parent_id = "RQ-0077";
    CHECK(
        files.warnings() ==
        Lines{
            "RQ-0001 depends on RQ-0005, which was rejected; remove the dependency if the task no longer "
            "needs "
            "it, or reject the task too",
            "RQ-0002 duplicates RQ-0004, which is done; reject the duplicate if nothing of it is left to do",
            "RQ-0002 is its own parent; remove its parent_id",
            "RQ-0003 has the parent \"RQ-0077\", a task neither in queue.jsonc nor in done.jsonc; remove its "
            "parent_id or correct it"});

    Files finished;
    finished.done.tasks[0].depends_on = {"RQ-0005"};
    finished.done.tasks[0].duplicates = "RQ-0005";
    finished.done.tasks[0].parent_id = "gone";
    CHECK(finished.warnings().empty());

    // A dependency that is not done yet is what dependencies are for.
    Files waiting;
    waiting.queue.tasks[0].depends_on = {"RQ-0002"};
    waiting.queue.tasks[2].depends_on = {"RQ-0002", "RQ-0004"};
    CHECK(waiting.warnings().empty());
}

TEST_CASE("queue_validation: a dependency names the copy that is not rejected") {
    Files files;
    files.done.tasks.push_back(task("RQ-0002", TaskStatus::rejected));
    files.queue.tasks[2].depends_on = {"RQ-0002"};
    CHECK(files.warnings().empty());

    Files earlier;
    earlier.queue.tasks[1].status = TaskStatus::rejected;
    earlier.queue.tasks[1].completed_at = earlier.queue.tasks[1].created_at;
    earlier.queue.tasks[0].depends_on = {"RQ-0002"};
    REQUIRE(earlier.warnings().size() == 1);
    CHECK(earlier.warnings()[0].find("RQ-0001 depends on RQ-0002, which was rejected") == 0);
    earlier.done.tasks.push_back(task("RQ-0002", TaskStatus::done));
    CHECK(earlier.warnings().empty());
}

TEST_CASE("queue_validation: chains deeper than allowed are warned about once") {
    const QueueRules rules{"RQ", 5, 10};
    const auto depth_warning = [&](const TaskFile& queue) {
        const auto warnings = validate_queue(queue, {}, rules);
        REQUIRE(warnings.has_value());
        REQUIRE(!warnings->empty());
        return warnings->front();
    };
    CHECK(validate_queue(chain(11), {}, rules)->empty());
    CHECK(
        depth_warning(chain(12)) ==
        "RQ-00001 stands at the end of a chain of 11 dependencies, more than 10; shorten the chain or raise "
        "queue.max_dependency_depth");
    CHECK(depth_warning(chain(10'000)) ==
          "RQ-00001 stands at the end of a chain of 9999 dependencies, more than 10 (9988 more tasks have "
          "such a "
          "chain); shorten the chain or raise queue.max_dependency_depth");
    // Archived tasks do not count.
    TaskFile queue = chain(12);
    TaskFile done;
    Task last = queue.tasks.back();
    queue.tasks.pop_back();
    last.status = TaskStatus::done;
    last.completed_at = last.created_at;
    done.tasks.push_back(last);
    CHECK(validate_queue(queue, done, rules)->empty());
}

TEST_CASE("queue_validation: a circle of 10,000 tasks is found and shown in short") {
    TaskFile queue = chain(10'000);
    queue.tasks.back().depends_on = {"RQ-00001"};
    const auto result = validate_queue(queue, {}, QueueRules{"RQ", 5, 10});
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().line() ==
          "RQ-00001, RQ-00002 and 9998 more depend on each other in a circle: RQ-00001 -> RQ-00002 -> "
          "RQ-00003 -> "
          "RQ-00004 -> RQ-00005 -> RQ-00006 -> (9994 more) -> RQ-00001; remove one of the dependencies in "
          "queue.jsonc");
}

TEST_CASE("queue_validation: ids that are safe in paths") {
    for (const std::string id : {"RQ-0001", "a", "A.b_c-9", "0"}) {
        CAPTURE(id);
        CHECK(is_safe_task_id(id));
    }
    for (const std::string id : {"", ".", "..", ".a", "-a", "a/b", "a b", "a\n", "\xC3\xA9", "a\\b", "a:b"}) {
        CAPTURE(id);
        CHECK_FALSE(is_safe_task_id(id));
    }
    CHECK(is_safe_task_id(std::string(100, 'a')));
    CHECK_FALSE(is_safe_task_id(std::string(101, 'a')));
    CHECK_FALSE(is_safe_task_id(std::string_view("a\0b", 3)));
}
