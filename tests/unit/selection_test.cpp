#include "core/queue/selection.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

using namespace ralph::core;
using namespace std::chrono_literals;

namespace {

using Ids = std::set<std::string, std::less<>>;

constexpr Instant now{1'771'545'600s};  // 2026-02-20T00:00:00Z

Task task(std::string id, TaskStatus status = TaskStatus::todo, std::vector<std::string> depends_on = {}) {
    Task out;
    out.id = std::move(id);
    out.title = "title";
    out.status = status;
    out.depends_on = std::move(depends_on);
    return out;
}

Task scheduled(std::string id, std::string start) {
    Task out = task(std::move(id));
    out.scheduled_start = std::move(start);
    return out;
}

struct World {
    TaskFile queue = {};
    TaskFile done = {};
    Ids excluded = {};
    Ids landed = {};
    bool include_draft = false;

    [[nodiscard]] Selection select() const {
        return select_task(SelectionInput{queue, done, excluded, landed, include_draft, now});
    }
    // The id, "none", or "blocked dependencies/schedule".
    [[nodiscard]] std::string text() const {
        const Selection selection = select();
        if (const auto* const* chosen = std::get_if<const Task*>(&selection)) {
            return (*chosen)->id;
        }
        if (const auto* blocked = std::get_if<Blocked>(&selection)) {
            return fmt::format("blocked {}/{}", blocked->by_dependencies, blocked->by_schedule);
        }
        return "none";
    }
};

}  // namespace

TEST_CASE("selection: doing before todo before draft, by priority, then in file order") {
    World world;
    CHECK(world.text() == "none");
    world.queue.tasks = {task("D", TaskStatus::draft), task("A"), task("B"),
                         task("C", TaskStatus::doing, {"A"})};
    CHECK(world.text() == "C");  // without a look at its dependencies or its time
    world.queue.tasks[3].scheduled_start = "2099-01-01T00:00:00Z";
    CHECK(world.text() == "C");
    world.excluded = {"C"};
    CHECK(world.text() == "A");
    world.queue.tasks[2].priority = TaskPriority::critical;
    CHECK(world.text() == "B");  // priority comes before the order of the file
    world.queue.tasks[1].priority = TaskPriority::critical;
    CHECK(world.text() == "A");
    world.excluded = {"A", "C"};
    CHECK(world.text() == "B");
    world.excluded = {"A", "B", "C"};
    CHECK(world.text() == "none");
    world.include_draft = true;
    CHECK(world.text() == "D");
    world.excluded.insert("D");
    CHECK(world.text() == "none");
}

TEST_CASE("selection: the pointer is into the queue, and ids are trimmed") {
    World world;
    world.queue.tasks = {task(" A "), task("B")};
    CHECK(std::get<const Task*>(world.select()) == &world.queue.tasks[0]);
    world.excluded = {"A"};
    CHECK(std::get<const Task*>(world.select()) == &world.queue.tasks[1]);
}

TEST_CASE("selection: finished tasks and groups are never candidates") {
    World world;
    world.queue.tasks = {task("A", TaskStatus::done), task("B", TaskStatus::rejected), task("C"),
                         task("D", TaskStatus::doing)};
    world.queue.tasks[2].kind = TaskKind::group;
    world.queue.tasks[3].kind = TaskKind::group;
    CHECK(world.text() == "none");
}

TEST_CASE("selection: a dependency is met by a done or rejected task of either file") {
    struct Row {
        std::vector<std::string> depends_on;
        std::string expected;
    };
    const std::vector<Row> rows{
        {{}, "X"},
        {{"queue-done"}, "X"},
        {{"queue-rejected", " archive-done "}, "X"},
        {{"archive-rejected"}, "X"},
        {{"draft"}, "blocked 1/0"},
        {{"archive-done", "draft"}, "blocked 1/0"},
        {{"nowhere"}, "blocked 1/0"},
        {{""}, "blocked 1/0"},
        {{"archive-DONE"}, "blocked 1/0"},
        {{"reused"}, "blocked 1/0"},  // rejected in the archive, but a draft in the queue
    };
    for (const Row& row : rows) {
        CAPTURE(row.depends_on.size());
        World world;
        world.queue.tasks = {task("queue-done", TaskStatus::done),
                             task("queue-rejected", TaskStatus::rejected), task("draft", TaskStatus::draft),
                             task("reused", TaskStatus::draft), task("X", TaskStatus::todo, row.depends_on)};
        world.done.tasks = {task("archive-done", TaskStatus::done),
                            task("archive-rejected", TaskStatus::rejected),
                            task("reused", TaskStatus::rejected)};
        CHECK(world.text() == row.expected);
    }
}

TEST_CASE("selection: of an id held twice the copy that is not rejected decides, wherever it stands") {
    World world;
    world.queue.tasks = {task("twice", TaskStatus::rejected), task("X", TaskStatus::todo, {"twice"}),
                         task("twice", TaskStatus::draft)};
    CHECK(world.text() == "blocked 1/0");
    world.queue.tasks[2].status = TaskStatus::done;
    CHECK(world.text() == "X");
}

TEST_CASE("selection: landed tasks count as done and are not started again") {
    World world;
    world.queue.tasks = {task("A", TaskStatus::doing), task("B", TaskStatus::todo, {"A"})};
    world.excluded = {"A"};
    CHECK(world.text() == "blocked 1/0");
    world.excluded = {};
    world.landed = {"A"};
    CHECK(world.text() == "B");
    world.landed = {"A", "B"};
    CHECK(world.text() == "none");
}

TEST_CASE("selection: an open task keeps those from starting that it blocks") {
    struct Row {
        const char* what;
        TaskStatus status;
        std::string expected;
    };
    for (const TaskStatus blocked : {TaskStatus::todo, TaskStatus::doing}) {
        for (const Row& row :
             {Row{"open", TaskStatus::todo, "blocker"}, Row{"at work", TaskStatus::doing, "blocker"},
              Row{"draft", TaskStatus::draft, "blocked 1/0"}, Row{"done", TaskStatus::done, "X"},
              Row{"rejected", TaskStatus::rejected, "X"}}) {
            CAPTURE(row.what);
            World world;
            world.queue.tasks = {task("X", blocked), task("blocker", row.status)};
            world.queue.tasks[1].blocks = {"nowhere", " X "};
            CHECK(world.text() == row.expected);
        }
    }
    World world;
    world.queue.tasks = {task("X"), task("blocker")};
    world.queue.tasks[1].blocks = {"X"};
    world.excluded = {"blocker"};  // failed, or at work
    CHECK(world.text() == "blocked 1/0");
    world.landed = {"blocker"};
    CHECK(world.text() == "X");
    world.landed = {};
    world.queue.tasks[1].kind = TaskKind::group;  // never executed, so it would block for ever
    CHECK(world.text() == "X");
    world.queue.tasks.pop_back();
    world.done.tasks = {task("blocker", TaskStatus::done)};
    world.done.tasks[0].blocks = {"X"};
    CHECK(world.text() == "X");
}

TEST_CASE("selection: a start in the future blocks, with any offset, and an unreadable one does not") {
    struct Row {
        std::string start;
        std::string expected;
    };
    for (const Row& row : std::vector<Row>{{"2026-02-20T00:00:00Z", "A"},
                                           {"2026-02-20T00:00:00.000000001Z", "blocked 0/1"},
                                           {"2026-02-20T01:00:00+01:00", "A"},
                                           {"2026-02-20T00:00:00-00:01", "blocked 0/1"},
                                           {"9999-12-31T23:59:59Z", "blocked 0/1"},
                                           {"tomorrow", "A"},
                                           {"", "A"}}) {
        CAPTURE(row.start);
        World world;
        world.queue.tasks = {scheduled("A", row.start)};
        CHECK(world.text() == row.expected);
    }
}

TEST_CASE("selection: blocked tasks are counted, with the earliest start") {
    World world;
    world.queue.tasks = {scheduled("A", "2026-02-20T03:00:00Z"), scheduled("B", "2026-02-20T02:00:00Z"),
                         scheduled("C", "2026-02-20T01:00:00Z"), task("D", TaskStatus::todo, {"A"}),
                         scheduled("E", "2026-02-20T00:30:00Z"), task("F", TaskStatus::draft, {"A"})};
    world.queue.tasks[2].depends_on = {"A"};
    world.excluded = {"E"};
    const auto blocked = std::get<Blocked>(world.select());
    CHECK(blocked.by_dependencies == 2);
    CHECK(blocked.by_schedule == 2);
    CHECK(blocked.earliest_start == now + 2h);
    world.include_draft = true;
    CHECK(world.text() == "blocked 3/2");
    world.queue.tasks.push_back(task("G", TaskStatus::draft));
    CHECK(world.text() == "G");
    world.include_draft = false;
    world.queue.tasks = {task("D", TaskStatus::todo, {"A"})};
    CHECK_FALSE(std::get<Blocked>(world.select()).earliest_start.has_value());
}

TEST_CASE("selection: 10,000 tasks in a chain") {
    World world;
    for (int i = 0; i < 10'000; ++i) {
        world.queue.tasks.push_back(
            task(fmt::format("T{}", i), TaskStatus::todo, {fmt::format("T{}", i + 1)}));
    }
    CHECK(world.text() == "blocked 10000/0");
    world.landed = {"T10000"};
    CHECK(world.text() == "T9999");
}
