#include "core/landing/landing_run.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace ralph::core::landing;
namespace action = ralph::core::landing::action;
namespace event = ralph::core::landing::event;
using ralph::core::LandingRun;

// Answers what nobody cares about in a test, and remembers what was decided.
class Driver {
  public:
    explicit Driver(Tasks tasks, Rules rules = {{false, 1, 100}, 0, 0, true, "origin/main"})
        : tasks_(tasks), run_(tasks, std::move(rules)) {
        take(event::Begun{});
    }

    // Performs all that is decided, until an action of this kind is next.
    template <typename Wanted>
    const Wanted& until() {
        while (!std::holds_alternative<Wanted>(next_)) {
            REQUIRE_FALSE(std::holds_alternative<action::Finish>(next_));
            std::visit([&](const auto& what) { answer(what); }, next_);
        }
        return std::get<Wanted>(next_);
    }
    template <typename Event>
    void take(Event event) {
        for (Action& each : run_.step(event)) {
            ends(each);
            next_ = std::move(each);
        }
    }
    bool finish() { return until<action::Finish>().target_is_red; }

    Tasks bad;  // red, wherever they are
    bool tip_is_red = false;
    std::vector<Tasks> gated;
    std::vector<Tasks> pushed;
    std::map<std::string, Conclusion> ended;  // without having landed
    std::set<std::string> landed;
    std::map<std::string, std::string> why;
    Tasks red_alone;
    Tasks run_again;
    int forgotten = 0;

  private:
    bool is_green(const Tasks& tasks) {
        gated.push_back(tasks);
        return !tip_is_red && std::none_of(tasks.begin(), tasks.end(), [this](const std::string& task) {
            return std::find(bad.begin(), bad.end(), task) != bad.end();
        });
    }
    void ends(const Action& each) {
        if (const auto* const end = std::get_if<action::End>(&each)) {
            CHECK(ended.emplace(end->task_id, end->conclusion).second);
            why[end->task_id] = end->why;
            if (end->red_alone) {
                red_alone.push_back(end->task_id);
            }
        } else if (const auto* const settle = std::get_if<action::Landed>(&each)) {
            for (const std::string& task : settle->candidate) {
                CHECK(ended.count(task) == 0);
                CHECK(landed.insert(task).second);
            }
        } else if (const auto* const again = std::get_if<action::RunAgain>(&each)) {
            run_again.push_back(again->task_id);
        } else if (std::holds_alternative<action::ForgetAhead>(each)) {
            ++forgotten;
        }
    }

    void answer(const action::Open&) { take(event::Opened{}); }
    void answer(const action::Prepare& prepare) {
        event::Prepared prepared;
        for (const std::string& task : prepare.tasks) {
            prepared.changes.push_back({task, {}, {}, false});
        }
        take(prepared);
    }
    void answer(const action::Build& build) { take(event::Built{build.tasks, {}, {}}); }
    void answer(const action::Recall&) { take(event::Recalled{}); }
    void answer(const action::TakeAhead&) { take(event::TakenAhead{}); }
    void answer(const action::Gate& gate) {
        take(event::Gated{Verdict{is_green(gate.candidate), false, true, "red"}});
    }
    void answer(const action::Push& push) {
        pushed.push_back(push.candidate);
        take(event::Pushed{});
    }
    void answer(const action::FindMakers&) { take(event::TipMadeBy{}); }
    void answer(const action::AskRemote&) { take(event::RemoteAsked{true}); }
    void answer(const action::Renew&) { take(event::Renewed{}); }
    void answer(const action::BringForward&) { take(event::BroughtForward{}); }
    template <typename Other>
    void answer(const Other&) {
        FAIL("the last action wants no answer");
    }

    Tasks tasks_;
    LandingRun run_;
    Action next_;
};

const Tasks four{"A", "B", "C", "D"};

}  // namespace

TEST_CASE("landing run: what is green lands behind one run of the gate, and the checkout follows") {
    Driver run(four);
    CHECK(run.until<action::Push>().candidate == four);
    CHECK(run.until<action::BringForward>().task_id == "A");
    CHECK_FALSE(run.finish());
    CHECK(run.gated == std::vector<Tasks>{four});
    CHECK(run.landed.size() == 4);
    CHECK(run.landed.count("D") == 1);
}

TEST_CASE("landing run: one bad task is isolated, judged on a green tip, and alone to blame") {
    Driver run(four);
    run.bad = {"C"};
    CHECK_FALSE(run.finish());
    CHECK(run.red_alone == Tasks{"C"});
    CHECK(run.ended["C"] == Conclusion::fixable);
    CHECK(run.why["C"] == "red");
    for (const char* const good : {"A", "B", "D"}) {
        CHECK(run.landed.count(good) == 1);
    }
}

TEST_CASE("landing run: a broken base is nobody's fault, but of the worker who has pushed it") {
    Driver run({"A", "B"});
    run.tip_is_red = true;
    run.until<action::FindMakers>();
    run.take(event::TipMadeBy{"0123456789abcdef", {"B"}});
    CHECK(run.finish());
    CHECK(run.red_alone.empty());
    CHECK(run.ended["A"] == Conclusion::try_again);
    CHECK(run.ended["B"] == Conclusion::fixable);
    CHECK(run.why["B"] ==
          "origin/main is red since 0123456789ab, which the worker of B has pushed by itself: red");
}

TEST_CASE("landing run: an obstacle for everybody blocks all, before anything is built") {
    Driver run({"A", "B"});
    run.take(event::Opened{"queue.jsonc is not valid"});
    CHECK_FALSE(run.finish());
    CHECK(run.ended["A"] == Conclusion::blocked);
    CHECK(run.why["B"] == "queue.jsonc is not valid");
}

TEST_CASE("landing run: who has ended while work was taken over or built is not tried") {
    Driver run({"A", "B", "C"});
    run.until<action::Prepare>();
    run.take(event::Prepared{{{"B", {}, {}, false}, {"C", {}, {}, false}}, {"A"}});
    CHECK(run.until<action::Build>().tasks == Tasks{"B", "C"});
    run.take(event::Built{{}, {"B", "C"}, {}});
    CHECK(run.until<action::BringForward>().task_id == "A");
    CHECK_FALSE(run.finish());
    CHECK(run.ended.empty());  // by this run
}

TEST_CASE("landing run: a red verdict from another place blames nobody") {
    SUBCASE("alone: the gate runs here") {
        Driver run({"A"});
        run.until<action::TakeAhead>();
        run.take(event::TakenAhead{Verdict{false, false, true, "red elsewhere"}});
        CHECK(run.until<action::Gate>().candidate == Tasks{"A"});
        CHECK_FALSE(run.finish());
        CHECK(run.landed.count("A") == 1);
    }
    SUBCASE("of several: they are halved") {
        Driver run({"A", "B"});
        run.until<action::TakeAhead>();
        run.take(event::TakenAhead{Verdict{false, false, true, "red elsewhere"}});
        CHECK(run.until<action::Build>().tasks == Tasks{"B"});
        CHECK_FALSE(run.finish());
        CHECK(run.landed.count("A") == 1);
    }
    SUBCASE("a green one is pushed as it is") {
        Driver run({"A", "B"});
        CHECK(run.until<action::TakeAhead>().content == Tasks{"A", "B"});
        run.take(event::TakenAhead{Verdict{}});
        CHECK(run.until<action::Push>().candidate == Tasks{"A", "B"});
        CHECK(run.gated.empty());
    }
}

TEST_CASE("landing run: what is likely next is gated ahead, on top of what has landed") {
    Driver run({"A", "B"}, {{false, 3, 1}, 2, 0, true, "origin/main"});
    const action::Gate first = run.until<action::Gate>();
    CHECK(first.candidate == Tasks{"A"});
    REQUIRE(!first.likely.empty());
    CHECK(first.likely.front() == Tasks{"A", "B"});
    CHECK(first.landed.empty());
    run.take(event::Gated{});
    run.take(event::Pushed{});
    CHECK(run.until<action::TakeAhead>().content == Tasks{"A", "B"});
    CHECK(run.until<action::Gate>().landed == Tasks{"A"});
}

TEST_CASE("landing run: somebody else's push makes void what was gated ahead") {
    Driver run({"A", "B", "C"}, {{false, 3, 1}, 2, 0, true, "origin/main"});
    run.until<action::Push>();
    run.take(event::Pushed{});
    run.until<action::Push>();
    const int forgotten = run.forgotten;
    run.take(event::Pushed{PushEnd::landed, false});
    CHECK(run.forgotten == forgotten + 1);
    CHECK(run.until<action::TakeAhead>().content == Tasks{"C"});
}

TEST_CASE("landing run: a gate that cannot be run at all blocks everybody") {
    Driver run({"A", "B"});
    run.until<action::Gate>();
    run.take(event::Gated{Verdict{false, false, false, "no such program"}});
    CHECK_FALSE(run.finish());
    CHECK(run.ended["A"] == Conclusion::blocked);
    CHECK(run.ended["B"] == Conclusion::blocked);
    CHECK(run.red_alone.empty());
}

TEST_CASE("landing run: what a remote refuses is found by halving, and blocked alone") {
    Driver run({"A", "B"});
    run.until<action::Push>();
    run.take(event::Pushed{PushEnd::refused, false, false, "too large"});
    CHECK(run.until<action::Push>().candidate == Tasks{"B"});
    run.take(event::Pushed{PushEnd::refused, false, false, "too large"});
    CHECK(run.ended["B"] == Conclusion::blocked);
    CHECK_FALSE(run.finish());
    CHECK(run.landed.count("A") == 1);
    CHECK(run.red_alone.empty());
}

TEST_CASE("landing run: a push that comes to nothing ends the run for all that wait") {
    struct Row {
        PushEnd end;
        Conclusion conclusion;
    };
    for (const Row& row :
         {Row{PushEnd::shut_out, Conclusion::blocked}, Row{PushEnd::deferred, Conclusion::try_again},
          Row{PushEnd::unavailable, Conclusion::unavailable}}) {
        Driver run({"A", "B"}, {{false, 1, 1}, 0, 0, true, "origin/main"});
        run.until<action::Push>();
        run.take(event::Pushed{});  // A has landed
        run.until<action::Push>();
        run.take(event::Pushed{row.end, false, false, "why"});
        CHECK(run.until<action::BringForward>().task_id == "A");
        CHECK_FALSE(run.finish());
        CHECK(run.landed.count("A") == 1);
        CHECK(run.ended["B"] == row.conclusion);
    }
}

TEST_CASE("landing run: a place that cannot be used is made anew, once, if the remote answers") {
    Driver run({"A", "B"});
    SUBCASE("and the run goes on there") {
        run.until<action::Build>();
        run.take(event::Failed{false, "a broken folder"});
        run.until<action::AskRemote>();
        CHECK(run.until<action::Renew>().why == "a broken folder");
        CHECK_FALSE(run.finish());
        CHECK(run.landed.count("A") == 1);
    }
    SUBCASE("a second fault ends it") {
        run.take(event::Failed{false, "a broken folder"});
        run.until<action::Renew>();
        run.take(event::Failed{false, "another one"});
        CHECK_FALSE(run.finish());
        CHECK(run.ended["A"] == Conclusion::try_again);
        CHECK(run.why["B"] == "another one");
    }
    SUBCASE("a remote that does not answer is waited for") {
        run.take(event::Failed{false, "a broken folder"});
        run.until<action::AskRemote>();
        run.take(event::RemoteAsked{false});
        CHECK_FALSE(run.finish());
        CHECK(run.ended["A"] == Conclusion::unavailable);
    }
    SUBCASE("a bad minute is waited for") {
        run.take(event::Failed{true, "no memory"});
        CHECK_FALSE(run.finish());
        CHECK(run.ended["B"] == Conclusion::unavailable);
    }
}

TEST_CASE("landing run: a checkout that was left half-way is tried again while there are attempts") {
    for (const bool may_run_again : {true, false}) {
        Driver run({"A"}, {{false, 1, 1}, 0, 0, may_run_again, "origin/main"});
        run.until<action::BringForward>();
        run.take(event::BroughtForward{true, "the disk was full"});
        CHECK_FALSE(run.finish());
        CHECK(run.run_again == (may_run_again ? Tasks{"A"} : Tasks{}));
        CHECK(run.landed.count("A") == 1);
    }
}
