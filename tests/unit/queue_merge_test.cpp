// The merge of a task file that two sides have changed.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

#include "core/queue/queue_edit.h"
#include "core/queue/queue_merge.h"
#include "core/queue/task_codec.h"

using namespace ralph::core;

namespace {

constexpr Instant time_0{std::chrono::seconds{1'771'545'600}};

Task task(const std::string& id, const std::string& title = "a task") {
    return make_task(id, title, time_0);
}

TaskFile file(std::initializer_list<std::string> ids) {
    TaskFile made;
    for (const std::string& id : ids) {
        made.tasks.push_back(task(id));
    }
    return made;
}

std::string ids(const TaskFile& file) {
    std::string text;
    for (const Task& each : file.tasks) {
        text += each.id + " ";
    }
    return text;
}

}  // namespace

TEST_CASE("merge: what both have added is there, in both orders") {
    const auto merged =
        merge_task_files(file({"A", "B"}), file({"A", "B", "C", "D"}), file({"X", "A", "E", "B", "F"}));
    REQUIRE(merged.has_value());
    CHECK(ids(*merged) == "X A E B F C D ");
}

TEST_CASE("merge: what one side has archived is gone, whatever the other one did to it") {
    TaskFile theirs = file({"A", "B", "C"});
    theirs.find("A")->title = "edited";
    const auto merged = merge_task_files(file({"A", "B"}), file({"B"}), theirs);
    REQUIRE(merged.has_value());
    CHECK(ids(*merged) == "B C ");
    const auto other = merge_task_files(file({"A", "B"}), theirs, file({"B"}));
    REQUIRE(other.has_value());
    CHECK(ids(*other) == "B C ");
}

TEST_CASE("merge: of a task that both have changed each field is the changed one") {
    TaskFile base = file({"A"});
    base.tasks[0].notes = {"old"};
    base.tasks[0].updated_at = "2026-02-20T00:00:00Z";
    TaskFile ours = base;
    ours.tasks[0].title = "ours";
    ours.tasks[0].notes = {"old", "from us"};
    ours.tasks[0].updated_at = "2026-02-20T00:00:05Z";
    TaskFile theirs = base;
    theirs.tasks[0].description = "theirs";
    theirs.tasks[0].notes = {"from them"};
    theirs.tasks[0].updated_at = "2026-02-20T00:00:09Z";
    const auto merged = merge_task_files(base, ours, theirs);
    REQUIRE(merged.has_value());
    CHECK(merged->tasks[0].title == "ours");
    CHECK(merged->tasks[0].description == "theirs");
    CHECK(merged->tasks[0].notes == std::vector<std::string>{"from us", "from them"});
    CHECK(merged->tasks[0].updated_at == "2026-02-20T00:00:09Z");
}

TEST_CASE("merge: what both mean differently is refused, with its place") {
    const TaskFile base = file({"A"});
    TaskFile ours = base;
    TaskFile theirs = base;
    SUBCASE("one field") {
        ours.tasks[0].title = "ours";
        theirs.tasks[0].title = "theirs";
        const auto merged = merge_task_files(base, ours, theirs);
        REQUIRE(!merged.has_value());
        CHECK(merged.error().message == "A: both sides have changed its `title`");
    }
    SUBCASE("two tasks under one id") {
        ours.tasks.push_back(make_task("B", "ours", time_0));
        theirs.tasks.push_back(make_task("B", "theirs", time_0 + std::chrono::seconds{1}));
        const auto merged = merge_task_files(base, ours, theirs);
        REQUIRE(!merged.has_value());
        CHECK(merged.error().message == "B: two tasks were added under this id");
    }
    SUBCASE("an id that is held twice") {
        ours.tasks.push_back(task("A"));
        CHECK(!merge_task_files(base, ours, theirs).has_value());
    }
}

TEST_CASE("merge: two sides that change different tasks lose nothing, whoever merges") {
    std::mt19937 random(20260220);  // NOLINT: the same tests every time
    const auto below = [&random](unsigned limit) { return static_cast<unsigned>(random() % limit); };
    for (int round = 0; round < 500; ++round) {
        TaskFile base;
        for (unsigned i = 0; i < below(8); ++i) {
            base.tasks.push_back(task("T" + std::to_string(i)));
        }
        TaskFile ours = base;
        TaskFile theirs = base;
        std::set<std::string> expected;
        for (const Task& each : base.tasks) {
            TaskFile& side = below(2) == 0 ? ours : theirs;
            switch (below(3)) {
                case 0:
                    side.tasks.erase(std::find(side.tasks.begin(), side.tasks.end(), *side.find(each.id)));
                    break;
                case 1:
                    side.find(each.id)->title = "edited " + std::to_string(round);
                    [[fallthrough]];
                default:
                    expected.insert(each.id);
                    break;
            }
        }
        for (unsigned i = 0; i < below(4); ++i) {
            const std::string id = "N" + std::to_string(i);
            TaskFile& side = below(2) == 0 ? ours : theirs;
            side.tasks.insert(side.tasks.begin() + below(static_cast<unsigned>(side.tasks.size()) + 1),
                              task(id));
            expected.insert(id);
        }
        const auto one = merge_task_files(base, ours, theirs);
        const auto other = merge_task_files(base, theirs, ours);
        REQUIRE(one.has_value());
        REQUIRE(other.has_value());
        std::set<std::string> found;
        for (const Task& each : one->tasks) {
            found.insert(each.id);
            const Task* const edited = ours.find(each.id) == nullptr || ours.find(each.id)->title == "a task"
                                           ? theirs.find(each.id)
                                           : ours.find(each.id);
            CHECK(each.title == (edited == nullptr ? "a task" : edited->title));
            REQUIRE(other->find(each.id) != nullptr);
            CHECK(*other->find(each.id) == each);
        }
        CHECK(found == expected);
        CHECK(one->tasks.size() == expected.size());
        CHECK(other->tasks.size() == expected.size());
        CHECK(*merge_task_files(base, ours, base) == ours);
        CHECK(ids(*merge_task_files(base, base, theirs)).size() == ids(theirs).size());
    }
}
