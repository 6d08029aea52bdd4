#include "core/queue/queue_edit.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace ralph::core;
using namespace std::chrono_literals;

namespace {

constexpr Instant now{1'771'545'600s};
const std::string now_text = "2026-02-20T00:00:00.000000000Z";
const std::string before = "2026-01-01T00:00:00Z";

Task task(std::string id, TaskStatus status = TaskStatus::todo) {
    Task out;
    out.id = std::move(id);
    out.title = "title";
    out.status = status;
    out.created_at = before;
    out.updated_at = before;
    if (is_terminal(status)) {
        out.completed_at = before;
    }
    return out;
}

std::vector<std::string> ids(const TaskFile& file) {
    std::vector<std::string> out;
    for (const Task& entry : file.tasks) {
        out.push_back(entry.id + " " + std::string(to_string(entry.status)));
    }
    return out;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("queue_edit: set_status stamps as contract section 1.7 says") {
    TaskFile file{1, {task("RQ-0001"), task(" RQ-0002 ", TaskStatus::done)}};

    REQUIRE(set_status(file, " RQ-0001", TaskStatus::doing, now, "  begun \n").has_value());
    CHECK(file.tasks[0].status == TaskStatus::doing);
    CHECK(file.tasks[0].created_at == before);
    CHECK(file.tasks[0].updated_at == now_text);
    CHECK(file.tasks[0].started_at == now_text);
    CHECK_FALSE(file.tasks[0].completed_at.has_value());
    CHECK(file.tasks[0].notes == Lines{"begun"});

    file.tasks[0].started_at = before;
    REQUIRE(set_status(file, "RQ-0001", TaskStatus::doing, now, " \n").has_value());
    CHECK(file.tasks[0].started_at == before);
    CHECK(file.tasks[0].notes.size() == 1);

    REQUIRE(set_status(file, "RQ-0001", TaskStatus::rejected, now).has_value());
    CHECK(file.tasks[0].completed_at == now_text);

    REQUIRE(set_status(file, "RQ-0002", TaskStatus::done, now).has_value());
    CHECK(file.tasks[1].completed_at == before);
    file.tasks[1].completed_at = " ";
    REQUIRE(set_status(file, "RQ-0002", TaskStatus::done, now).has_value());
    CHECK(file.tasks[1].completed_at == now_text);
    REQUIRE(set_status(file, "RQ-0002", TaskStatus::todo, now).has_value());
    CHECK_FALSE(file.tasks[1].completed_at.has_value());
    CHECK_FALSE(file.tasks[1].started_at.has_value());

    const auto missing = set_status(file, "rq-0001", TaskStatus::done, now);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().line() == "there is no task rq-0001 in queue.jsonc; name a task of the queue");
}

TEST_CASE("queue_edit: archive_terminal moves finished tasks in order") {
    TaskFile queue{1,
                   {task("RQ-0001", TaskStatus::done), task("RQ-0002"), task("RQ-0003", TaskStatus::rejected),
                    task("RQ-0004", TaskStatus::doing), task("RQ-0005", TaskStatus::draft)}};
    queue.tasks[2].completed_at = "";
    TaskFile done{1, {task("RQ-0009", TaskStatus::done)}};
    CHECK(archive_terminal(queue, done, now) == 2);
    CHECK(ids(queue) == Lines{"RQ-0002 todo", "RQ-0004 doing", "RQ-0005 draft"});
    CHECK(ids(done) == Lines{"RQ-0009 done", "RQ-0001 done", "RQ-0003 rejected"});
    CHECK(done.tasks[0].updated_at == before);
    CHECK(done.tasks[1].completed_at == before);
    CHECK(done.tasks[1].updated_at == now_text);
    CHECK(done.tasks[2].completed_at == now_text);
    CHECK(queue.tasks[0].updated_at == before);
    CHECK(archive_terminal(queue, done, now) == 0);
    CHECK(done.tasks.size() == 3);
}

TEST_CASE("queue_edit: archive_finished_task follows step 3c of contract section 9") {
    TaskFile queue{1, {task("RQ-0001"), task("RQ-0002", TaskStatus::done), task("RQ-0003")}};
    TaskFile done;

    SUBCASE("in the queue: set done, and everything finished is archived; again changes nothing") {
        for (int times = 0; times < 2; ++times) {
            REQUIRE(archive_finished_task(queue, done, "RQ-0003", now).has_value());
            CHECK(ids(queue) == Lines{"RQ-0001 todo"});
            CHECK(ids(done) == Lines{"RQ-0002 done", "RQ-0003 done"});
            CHECK(done.tasks[1].completed_at == now_text);
        }
    }
    SUBCASE("in the archive with status done: only dropped from the queue") {
        done.tasks = {task("RQ-0003", TaskStatus::done)};
        REQUIRE(archive_finished_task(queue, done, "RQ-0003", now).has_value());
        CHECK(ids(queue) == Lines{"RQ-0001 todo", "RQ-0002 done"});
        CHECK(ids(done) == Lines{"RQ-0003 done"});
        CHECK(done.tasks[0].updated_at == before);
    }
    SUBCASE("rejected in the archive") {
        done.tasks = {task("RQ-0007", TaskStatus::rejected)};
        const auto result = archive_finished_task(queue, done, "RQ-0007", now);
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().line() ==
              "RQ-0007 stands in done.jsonc with the status rejected, though its work is complete; set its "
              "status "
              "there to done, or give the work up");
        CHECK(queue.tasks.size() == 3);
    }
    SUBCASE("an older rejected task of the same id in the archive does not stand in the way") {
        done.tasks = {task("RQ-0003", TaskStatus::rejected)};
        REQUIRE(archive_finished_task(queue, done, "RQ-0003", now).has_value());
        CHECK(ids(queue) == Lines{"RQ-0001 todo"});
        CHECK(ids(done) == Lines{"RQ-0003 rejected", "RQ-0002 done", "RQ-0003 done"});
        CHECK(validate_queue(queue, done, {}).has_value());
    }
    SUBCASE("in neither") {
        const auto result = archive_finished_task(queue, done, "RQ-0008", now);
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().line() ==
              "RQ-0008 stands neither in queue.jsonc nor in done.jsonc, though its work is complete; put the "
              "task "
              "back into queue.jsonc, or give the work up");
    }
}

TEST_CASE("queue_edit: the next id is one above the largest of both files") {
    TaskFile queue{1, {task("RQ-0003"), task("rq-0001")}};
    TaskFile done{1, {task("RQ-0007", TaskStatus::done), task("RQ-0009", TaskStatus::rejected)}};
    CHECK(next_task_id(queue, done, {}).value() == "RQ-0008");
    CHECK(next_task_ids(queue, done, {}, 3).value() == Lines{"RQ-0008", "RQ-0009", "RQ-0010"});
    CHECK(next_task_id({}, {}, {}).value() == "RQ-0001");
    CHECK(next_task_id({}, {}, QueueRules{" ab ", 2, 10}).value() == "AB-01");

    queue.tasks[0].id = "RQ-9998";
    CHECK(next_task_id(queue, done, {}).value() == "RQ-9999");
    CHECK(next_task_ids(queue, done, {}, 2).value() == Lines{"RQ-9999", "RQ-10000"});
    CHECK(next_task_ids(queue, done, {}, 3, {"RQ-9999", "rq-10001", "RQ-1", "no id"}).value() ==
          Lines{"RQ-10000", "RQ-10002", "RQ-10003"});
    queue.tasks[0].id = "RQ-10000";
    CHECK(next_task_id(queue, done, {}).value() == "RQ-10001");

    TaskFile last{1, {task("RQ-4294967295")}};
    CHECK(next_task_id(last, {}, QueueRules{"RQ", 10, 10}).error().line() ==
          "no task id is free after RQ-4294967295; renumber the tasks, or use another queue.id_prefix");

    queue.tasks[0].id = "RQ-9998";
    queue.tasks[0].title = "";
    CHECK(next_task_id(queue, done, {}).error().line() ==
          "RQ-9998 in queue.jsonc has a blank title; give it one");
}

TEST_CASE("queue_edit: make_task gives a task that validates") {
    const Task made = make_task(" RQ-0001", "title ", now);
    CHECK(made.id == "RQ-0001");
    CHECK(made.title == "title");
    CHECK(made.status == TaskStatus::todo);
    CHECK(made.created_at == now_text);
    CHECK(made.updated_at == now_text);
    CHECK(validate_queue(TaskFile{1, {made}}, {}, {}).has_value());
}
