#include "core/landing/partitions.h"

#include <doctest/doctest.h>

using ralph::core::Change;
using ralph::core::group_changes;
using ralph::core::PartitionRules;

namespace {

using Groups = std::vector<std::vector<std::string>>;

std::vector<Change> plain(int count) {
    std::vector<Change> changes;
    for (int i = 1; i <= count; ++i) {
        changes.push_back({"T" + std::to_string(i), {}, {"file-" + std::to_string(i)}, false});
    }
    return changes;
}

}  // namespace

TEST_CASE("partitions: paths overlap if one is or contains the other, and patterns stand for their folder") {
    const auto overlap = [](const std::string& left, const std::string& right) {
        const std::vector<Change> changes{{"T1", {left}, {}, false}, {"T2", {right}, {}, false}};
        return group_changes(changes, PartitionRules{true, 2, 2}).size() == 1;
    };
    for (const auto& paths : std::vector<std::pair<const char*, const char*>>{{"src", "src"},
                                                                              {"src/", "src/main.cpp"},
                                                                              {"./src/**", "src/deep/file"},
                                                                              {"src/*.cpp", "src/main.h"},
                                                                              {"src/{a,b}/x", "src/c"},
                                                                              {"", "anything"},
                                                                              {".", "anything"},
                                                                              {"*", "anything"},
                                                                              {" docs ", "docs/page.md"}}) {
        const std::string left = paths.first;
        const std::string right = paths.second;
        CAPTURE(left);
        CAPTURE(right);
        CHECK(overlap(left, right));
        CHECK(overlap(right, left));
    }
    for (const auto& paths : std::vector<std::pair<const char*, const char*>>{
             {"src", "srcs"}, {"src/a", "src/b"}, {"docs/**", "src/docs"}, {"a/b", "b"}}) {
        const std::string left = paths.first;
        const std::string right = paths.second;
        CAPTURE(left);
        CAPTURE(right);
        CHECK_FALSE(overlap(left, right));
        CHECK_FALSE(overlap(right, left));
    }
}

TEST_CASE("partitions: all in one group, in their order, at most so many") {
    CHECK(group_changes(plain(3), PartitionRules{false, 4, 8}) == Groups{{"T1", "T2", "T3"}});
    CHECK(group_changes(plain(5), PartitionRules{false, 1, 2}) == Groups{{"T1", "T2"}, {"T3", "T4"}, {"T5"}});
    CHECK(group_changes({}, PartitionRules{false, 1, 2}).empty());
    CHECK(group_changes({}, PartitionRules{true, 2, 2}).empty());
}

TEST_CASE("partitions: a change of a barrier goes alone, where it stands") {
    auto changes = plain(4);
    changes[1].is_barrier = true;
    CHECK(group_changes(changes, PartitionRules{false, 1, 8}) == Groups{{"T1", "T3", "T4"}, {"T2"}});
    changes[0].is_barrier = true;
    CHECK(group_changes(changes, PartitionRules{true, 3, 8}) == Groups{{"T1"}, {"T2"}, {"T3", "T4"}});
}

TEST_CASE("partitions: by scope, who has a path in common is together, also by way of a third one") {
    std::vector<Change> changes = plain(6);
    changes[0].scope = {"src/a"};
    changes[1].scope = {"docs/**"};
    changes[2].scope = {"src/b"};
    changes[3].scope = {"docs/page.md", "tools"};
    changes[4].scope = {"src"};  // joins the first and the third
    changes[5].scope = {"elsewhere"};
    CHECK(group_changes(changes, PartitionRules{true, 8, 8}) ==
          Groups{{"T1", "T3", "T5"}, {"T2", "T4"}, {"T6"}});
    // What it changes counts, whatever it declares.
    changes[5].files = {"tools/script"};
    CHECK(group_changes(changes, PartitionRules{true, 8, 8}) ==
          Groups{{"T1", "T3", "T5"}, {"T2", "T4", "T6"}});
    // Who declares nothing is together with all others who do not.
    changes[0].scope.clear();
    changes[1].scope.clear();
    CHECK(group_changes(changes, PartitionRules{true, 8, 8}) ==
          Groups{{"T1", "T2"}, {"T3", "T5"}, {"T4", "T6"}});
}

TEST_CASE("partitions: by scope, no more of them than there are gates at the same time") {
    std::vector<Change> changes = plain(5);
    for (std::size_t i = 0; i < changes.size(); ++i) {
        changes[i].scope = {"part-" + std::to_string(i)};
    }
    CHECK(group_changes(changes, PartitionRules{true, 2, 8}) == Groups{{"T1", "T3", "T5"}, {"T2", "T4"}});
    CHECK(group_changes(changes, PartitionRules{true, 1, 8}).size() == 1);
    CHECK(group_changes(changes, PartitionRules{true, 2, 2}) == Groups{{"T1", "T3"}, {"T2", "T4"}, {"T5"}});
}

TEST_CASE("partitions: many tasks with many files are grouped at once") {
    std::vector<Change> changes;
    for (int task = 0; task < 200; ++task) {
        changes.push_back({std::to_string(task), {"part-" + std::to_string(task)}, {}, false});
        for (int file = 0; file < 1'000; ++file) {
            changes.back().files.push_back("part-" + std::to_string(task) + "/file-" + std::to_string(file));
        }
    }
    CHECK(group_changes(changes, PartitionRules{true, 200, 8}).size() == 200);
}
