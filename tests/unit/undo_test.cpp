#include <doctest/doctest.h>

#include "core/queue/undo.h"

using namespace ralph::core;

namespace {
const std::string none(40, '0');
const std::string first(40, 'a');
const std::string second(40, 'b');
const std::string third(64, 'c');
}  // namespace

TEST_CASE("undo: the raw form of a difference, with ids of any length") {
    const std::vector<std::string> entries{"\n:100644 100644 " + first + " " + second + " M",
                                           "a b.txt",
                                           ":000000 100644 " + none + " " + third + " A",
                                           ":odd name",
                                           ":100644 000000 " + first + " " + none + " D",
                                           "gone",
                                           ":100644 100644 " + first + " " + first + " R100",
                                           "from",
                                           "to",
                                           "something else"};
    const std::vector<FileEdit> edits{
        {"a b.txt", first, second}, {":odd name", "", third}, {"gone", first, ""}};
    CHECK(parse_raw_diff(entries) == edits);
    CHECK(parse_raw_diff({}).empty());
    CHECK(parse_raw_diff({":100644 100644 " + first + " M", "too few"}).empty());
}

TEST_CASE("undo: what a landing has replaced is there again") {
    const FileEdit landing{"f", first, second};
    const auto one = [](const FileEdit& edit) { return FileEdits{{edit.path, edit}}; };
    CHECK(restores(one({"f", second, first}), landing));
    CHECK(restores(one({"f", third, first}), landing));  // also after another landing
    CHECK_FALSE(restores(one({"f", second, third}), landing));
    CHECK_FALSE(restores(one({"g", second, first}), landing));
    CHECK_FALSE(restores(one({"f", first, first}), landing));
    CHECK(restores(one({"new", second, ""}), {"new", "", second}));
    CHECK(restores(one({"old", "", first}), {"old", first, ""}));
    CHECK_FALSE(restores(one({"f", second, first}), {"f", first, first}));
    CHECK(restores(one({"f", first + "+x", first}), {"f", first, first + "+x"}));
    // Moved: with what has landed in it, or as it was before.
    CHECK_FALSE(
        restores({{"new", {"new", second, ""}}, {"moved", {"moved", "", second}}}, {"new", "", second}));
    CHECK(restores({{"f", {"f", second, ""}}, {"moved", {"moved", "", first}}}, landing));
    CHECK_FALSE(restores({{"f", {"f", second, ""}}, {"moved", {"moved", "", second}}}, landing));
    CHECK_FALSE(restores(one({"f", second, ""}), landing));
}

TEST_CASE("undo: the places of a difference") {
    const std::string diff =
        "diff --git a/f b/f\nindex aaa..bbb 100644\n--- a/f\n+++ b/f\n@@ -2 +2,2 @@ "
        "context\n-old\n+new\n+more\n"
        "@@ -9,0 +11 @@\n+last\n\\ No newline at end of file\n";
    const std::vector<Hunk> hunks{{{"old"}, {"new", "more"}}, {{}, {"last"}}};
    CHECK(parse_hunks(diff) == hunks);
    CHECK(parse_hunks("Binary files a/f and b/f differ\n").empty());
}

TEST_CASE("undo: each change of a landing stands reversed") {
    const std::vector<Hunk> landing{{{"old line"}, {"new line"}}, {{}, {"added line"}}};
    CHECK(reverses({{{"new line"}, {"old line"}}, {{"added line"}, {}}}, landing));
    // With work of its own beside it.
    CHECK(reverses({{{"new line"}, {"mine", "old line"}}, {{"x", "added line", "y"}, {"z"}}}, landing));
    CHECK_FALSE(reverses({{{"new line"}, {"old line"}}}, landing));  // not all of it
    CHECK_FALSE(reverses({{{"new line"}, {"newer line"}}, {{"added line"}, {}}}, landing));
    CHECK_FALSE(reverses({}, landing));
    CHECK_FALSE(reverses({{{"new line"}, {"old line"}}}, {}));
    CHECK(reverses({{{}, {"removed line"}}}, {{{"removed line"}, {}}}));
    CHECK_FALSE(reverses({{{}, {"  }"}}}, {{{"  }"}, {}}}));  // a brace proves nothing
    CHECK_FALSE(reverses({{{"}"}, {}}}, {{{}, {"}"}}}));
}

TEST_CASE("undo: who is meant to be reverted is said in the words of git") {
    using Ids = std::vector<std::string>;
    CHECK(reverted_commits("Revert \"x\"\n\nThis reverts commit 0123456789abcdef.\n") ==
          Ids{"0123456789abcdef"});
    CHECK(reverted_commits("This reverts commit 0123456, reversing\nchanges made to abcdef0.") ==
          Ids{"0123456"});
    CHECK(reverted_commits("This reverts commit abc.").empty());  // too short to mean one
    CHECK(reverted_commits("this is a revert of commit 0123456789").empty());
    CHECK(reverted_commits("This reverts commit 0123456 and This reverts commit 789abcd") ==
          Ids{"0123456", "789abcd"});
}
