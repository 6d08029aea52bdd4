#include "core/landing/merge_queue.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "tests/sim/random.h"

using ralph::core::MergeQueue;
using ralph::sim::Random;

namespace {

using Tasks = std::vector<std::string>;

Tasks numbered(std::size_t count) {
    Tasks tasks;
    for (std::size_t i = 1; i <= count; ++i) {
        tasks.push_back("T" + std::to_string(i));
    }
    return tasks;
}

// A target, a gate and what they know. It judges by what it holds, not by how the queue decides.
struct World {
    std::set<std::string> bad;          // red wherever they are
    std::set<std::string> unmergeable;  // conflict with the target
    std::set<std::pair<std::string, std::string>> conflicts;
    bool tip_is_red = false;
    std::string fixes;       // makes a red tip green
    bool overtaken = false;  // somebody puts something red on top of what lands

    std::set<std::string> landed;
    std::set<std::string> conflicted;
    std::set<std::set<std::string>> known_red;
    std::set<std::set<std::string>> known_green;
    std::size_t runs = 0;
    std::size_t pushes = 0;
    std::vector<Tasks> attempts;

    bool gate(const std::set<std::string>& content) {
        if (known_red.count(content) != 0 || known_green.count(content) != 0) {
            return known_green.count(content) != 0;
        }
        ++runs;
        const bool red = (tip_is_red && content.count(fixes) == 0) ||
                         std::any_of(content.begin(), content.end(),
                                     [&](const auto& task) { return bad.count(task) != 0; });
        (red ? known_red : known_green).insert(content);
        return !red;
    }
    bool collides(const std::string& task, const std::set<std::string>& with) const {
        return std::any_of(with.begin(), with.end(), [&](const auto& other) {
            return conflicts.count({task, other}) != 0 || conflicts.count({other, task}) != 0;
        });
    }
    void attempt(MergeQueue& queue, const Tasks& tasks) {
        attempts.push_back(tasks);
        Tasks candidate;
        Tasks decided;
        std::set<std::string> content = landed;
        for (const std::string& task : tasks) {
            if (unmergeable.count(task) != 0 || collides(task, landed)) {
                decided.push_back(task);
                conflicted.insert(task);
            } else if (!collides(task, content)) {
                candidate.push_back(task);
                content.insert(task);
            }
        }
        if (candidate.empty()) {
            queue.probed({}, decided, MergeQueue::Result::empty);
        } else if (gate(content)) {
            landed = content;
            ++pushes;
            queue.probed(candidate, decided,
                         overtaken ? MergeQueue::Result::unproven : MergeQueue::Result::landed);
            if (overtaken) {
                tip_is_red = true;
                known_green.clear();
            }
        } else {
            queue.probed(candidate, decided, MergeQueue::Result::red);
        }
    }
    void run(MergeQueue& queue) {
        for (int i = 0; i < 10'000; ++i) {
            const auto next = queue.next();
            if (const auto* const set = std::get_if<MergeQueue::Probe>(&next)) {
                REQUIRE(!set->tasks.empty());
                attempt(queue, set->tasks);
            } else if (std::holds_alternative<MergeQueue::GateTip>(next)) {
                queue.tip_gated(gate(landed));
            } else {
                return;
            }
        }
        FAIL("the queue does not come to an end");
    }
};

}  // namespace

TEST_CASE("merge queue: what is green together is gated once and pushed once") {
    World world;
    MergeQueue queue({numbered(16)});
    world.run(queue);
    CHECK(world.landed.size() == 16);
    CHECK(world.runs == 1);
    CHECK(world.pushes == 1);
}

TEST_CASE("merge queue: one bad task among 16 costs at most 6 runs of the gate, wherever it stands") {
    for (std::size_t at = 1; at <= 16; ++at) {
        World world;
        world.bad.insert("T" + std::to_string(at));
        MergeQueue queue({numbered(16)});
        world.run(queue);
        CAPTURE(at);
        CHECK(world.runs <= 6);
        CHECK(world.landed.size() == 15);
        CHECK(queue.culprits() == Tasks(world.bad.begin(), world.bad.end()));
    }
}

TEST_CASE("merge queue: a task that is red alone is blamed only when the tip is green") {
    World world;
    world.bad = {"T1"};
    MergeQueue queue({numbered(1)});
    world.run(queue);
    CHECK(queue.culprits() == Tasks{"T1"});
    CHECK(world.runs == 2);  // itself, and the tip
}

TEST_CASE("merge queue: nobody is blamed for a tip that itself fails the gate") {
    for (const std::size_t count : {1U, 2U, 3U, 16U}) {
        World world;
        world.tip_is_red = true;
        MergeQueue queue({numbered(count)});
        world.run(queue);
        CHECK(queue.tip_is_red());
        CHECK(queue.culprits().empty());
        CHECK(world.landed.empty());
        CHECK(world.runs <= 8);  // with the one task that might have fixed it
    }
}

TEST_CASE("merge queue: nobody is blamed for what somebody else has put on top of a landing") {
    World world;
    world.bad = {"T2"};
    world.overtaken = true;
    MergeQueue queue({numbered(2)});
    // T2 is red, T1 lands, and then the tip is red.
    world.run(queue);
    CHECK(queue.culprits().empty());
    CHECK(queue.tip_is_red());
}

TEST_CASE("merge queue: whatever is bad or in conflict, the others land within the bound") {
    for (std::uint64_t seed = 1; seed <= 1'500; ++seed) {
        Random random(seed);
        const std::size_t count = 1 + random.below(40);
        const Tasks tasks = numbered(count);
        World world;
        for (std::size_t i = random.below(5); i > 0; --i) {
            world.bad.insert(tasks[random.below(count)]);
        }
        for (std::size_t i = random.below(3); i > 0; --i) {
            world.unmergeable.insert(tasks[random.below(count)]);
        }
        for (std::size_t i = random.below(4); i > 0; --i) {
            const std::string& one = tasks[random.below(count)];
            const std::string& other = tasks[random.below(count)];
            if (one != other) {
                world.conflicts.insert({one, other});
            }
        }
        std::vector<Tasks> groups;
        for (std::size_t begin = 0; begin < count;) {
            const std::size_t size =
                std::min(count - begin, std::size_t{1} + random.below(random.chance(50) ? 40 : 8));
            groups.emplace_back(tasks.begin() + static_cast<std::ptrdiff_t>(begin),
                                tasks.begin() + static_cast<std::ptrdiff_t>(begin + size));
            begin += size;
        }
        MergeQueue queue(groups);
        world.run(queue);
        CAPTURE(seed);
        const std::set<std::string> blamed(queue.culprits().begin(), queue.culprits().end());
        for (const std::string& task : tasks) {
            const bool is_bad = world.bad.count(task) != 0;
            CHECK(static_cast<int>(world.landed.count(task)) + static_cast<int>(blamed.count(task)) +
                      static_cast<int>(world.conflicted.count(task)) ==
                  1);
            CHECK((blamed.count(task) == 0 || is_bad));
            CHECK((world.landed.count(task) == 0 || !is_bad));
        }
        const auto depth = static_cast<std::size_t>(std::ceil(std::log2(static_cast<double>(count)))) + 1;
        const std::size_t k = world.bad.size() + world.conflicts.size();
        CHECK(world.runs <= 1 + groups.size() + k * (depth + 3));
        CHECK(world.pushes <= world.runs);
    }
}

TEST_CASE("merge queue: on a red tip one task is tried alone, another one at each turn, and may fix it") {
    std::set<std::string> tried_alone;
    for (std::size_t turn = 0; turn < 3; ++turn) {
        World world;
        world.tip_is_red = true;
        MergeQueue queue({numbered(3)}, turn);
        world.run(queue);
        const auto alone = std::find_if(world.attempts.rbegin(), world.attempts.rend(),
                                        [](const Tasks& tasks) { return tasks.size() == 1; });
        REQUIRE(alone != world.attempts.rend());
        tried_alone.insert(alone->front());
        CHECK(alone == world.attempts.rbegin());  // the last thing that is tried
    }
    CHECK(tried_alone.size() == 3);
    // T2 fixes the tip, but T1 and T3 are bad: it lands at its turn, and they are blamed.
    World world;
    world.tip_is_red = true;
    world.fixes = "T2";
    world.bad = {"T1", "T3"};
    MergeQueue queue({numbered(3)}, 1);
    world.run(queue);
    CHECK(world.landed == std::set<std::string>{"T2"});
    CHECK_FALSE(queue.tip_is_red());
    CHECK(queue.culprits().size() == 2);
}

TEST_CASE("merge queue: a red group is halved after the others have been tried") {
    World world;
    world.bad = {"T1"};
    MergeQueue queue({{"T1", "T2"}, {"T3", "T4"}, {"T5"}});
    world.run(queue);
    REQUIRE(world.attempts.size() >= 3);
    CHECK(world.attempts[0] == Tasks{"T1", "T2"});
    CHECK(world.attempts[1] == Tasks{"T3", "T4"});
    CHECK(world.attempts[2] == Tasks{"T5"});
    CHECK(queue.culprits() == Tasks{"T1"});
    CHECK(world.landed.size() == 4);
}

TEST_CASE("merge queue: what may be asked for next is predicted, the most likely first") {
    MergeQueue queue({numbered(4), {"T5"}});
    // The successor on top of it; what comes if it is red; and the halves of both.
    auto likely = queue.predict(2);
    REQUIRE(likely.size() == 2);
    CHECK(likely[0] == Tasks{"T1", "T2", "T3", "T4", "T5"});
    CHECK(likely[1] == Tasks{"T5"});

    MergeQueue red({numbered(4)});
    red.probed(numbered(4), {}, MergeQueue::Result::red);
    REQUIRE(red.next() == MergeQueue::Next{MergeQueue::Probe{{"T3", "T4"}}});
    likely = red.predict(2);
    // If it is green, the later half of the rest on top of it; if it is red, its own later half.
    CHECK(std::set<Tasks>(likely.begin(), likely.end()) == std::set<Tasks>{{"T3", "T4", "T2"}, {"T4"}});
    CHECK(MergeQueue({}).predict(3).empty());
}

TEST_CASE("merge queue: whatever comes, what is asked for next was predicted") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        Random random(seed);
        MergeQueue queue({numbered(1 + random.below(20))});
        while (true) {
            const auto next = queue.next();
            const auto* const now = std::get_if<MergeQueue::Probe>(&next);
            if (now == nullptr) {
                if (!std::holds_alternative<MergeQueue::GateTip>(next)) {
                    break;
                }
                queue.tip_gated(true);
                continue;
            }
            const auto likely = queue.predict(50);
            const bool green = random.chance(50);
            queue.probed(now->tasks, {}, green ? MergeQueue::Result::landed : MergeQueue::Result::red);
            const auto after = queue.next();
            if (const auto* const then = std::get_if<MergeQueue::Probe>(&after)) {
                Tasks content = green ? now->tasks : Tasks{};
                content.insert(content.end(), then->tasks.begin(), then->tasks.end());
                CAPTURE(seed);
                CHECK((content == now->tasks ||
                       std::find(likely.begin(), likely.end(), content) != likely.end()));
            }
        }
    }
}
