// Budgets that all agents of a repository share: of a run of ralph, and of a day.
#include <doctest/doctest.h>

#include "core/agents/spending.h"

using namespace ralph::core;

namespace {

Instant at(const char* text) {
    return parse_rfc3339(text).value().instant;
}

Usage usage(std::uint64_t turns, std::uint64_t tokens, std::optional<double> cost = {}) {
    Usage used;
    used.turns = turns;
    used.input_tokens = tokens;
    used.cost_usd = cost;
    return used;
}

}  // namespace

TEST_CASE("spending: what is told twice is counted once, and what grows by what it grew") {
    Spending spending;
    begin_run(spending, "first");
    count_usage(spending, "T1/2-work", usage(1, 100, 0.5), "2026-11-29");
    count_usage(spending, "T1/2-work", usage(1, 100, 0.5), "2026-11-29");
    count_usage(spending, "T1/2-work", usage(3, 250, 0.75), "2026-11-29");
    count_usage(spending, "T2/2-work", usage(1, 10), "2026-11-29");
    CHECK(spending.on_day == usage(4, 260, 0.75));
    CHECK(spending.in_run == spending.on_day);
    // A new run directory begins at nothing; one that has ended is not remembered.
    end_counting(spending, "T1/2-work");
    count_usage(spending, "T1/3-work", usage(1, 100), "2026-11-29");
    CHECK(spending.on_day == usage(5, 360, 0.75));
    CHECK(spending.counted.size() == 2);
    // An agent that tells less than before has used nothing in between.
    count_usage(spending, "T1/3-work", usage(0, 50), "2026-11-29");
    CHECK(spending.on_day == usage(5, 360, 0.75));
}

TEST_CASE("spending: a day ends at its midnight, a run with the next one") {
    Spending spending;
    begin_run(spending, "first");
    count_usage(spending, "T1/2-work", usage(2, 100), "2026-11-29");
    count_usage(spending, "T1/2-work", usage(3, 150), "2026-11-30");
    CHECK(used_on(spending, "2026-11-30") == usage(1, 50));
    CHECK(used_on(spending, "2026-12-01") == Usage{});
    CHECK(spending.in_run == usage(3, 150));
    begin_run(spending, "first");  // after a crash
    CHECK(spending.in_run == usage(3, 150));
    end_run(spending);
    CHECK(spending.in_run == usage(3, 150));  // for people to see
    begin_run(spending, "first");
    CHECK(spending.in_run == Usage{});
    CHECK(used_on(spending, "2026-11-30") == usage(1, 50));

    CHECK(local_day(at("2026-11-29T22:59:59Z"), 60) == "2026-11-29");
    CHECK(local_day(at("2026-11-29T23:00:00Z"), 60) == "2026-11-30");
    CHECK(end_of_local_day(at("2026-11-29T22:59:59Z"), 60) == at("2026-11-29T23:00:00Z"));
    CHECK(end_of_local_day(at("2026-11-29T23:00:00Z"), 60) == at("2026-11-30T23:00:00Z"));
    CHECK(end_of_local_day(at("2026-11-29T03:00:00Z"), -300) == at("2026-11-29T05:00:00Z"));
}

TEST_CASE("spending: a budget that is spent is a pause of all agents") {
    const Instant noon = at("2026-11-29T12:00:00Z");
    Spending spending;
    begin_run(spending, "first");
    count_usage(spending, "T1/2-work", usage(3, 150, 2.0), "2026-11-29");
    Budgets budgets;
    CHECK_FALSE(budget_pause(budgets, spending, noon, 0));
    budgets.day.cost_cents = 201;
    budgets.run.turns = 4;
    CHECK_FALSE(budget_pause(budgets, spending, noon, 0));
    budgets.day.cost_cents = 200;
    const auto day = budget_pause(budgets, spending, noon, 0);
    REQUIRE(day);
    CHECK(
        describe(*day) ==
        "the budget of the day (limits.day) is spent until 2026-11-30T00:00:00Z: 3 turns, 150 tokens, $2.00");
    CHECK(holds(*day, noon));
    CHECK(holds(*day, at("2026-11-29T23:59:59Z")));
    CHECK_FALSE(holds(*day, at("2026-11-30T00:00:00Z")));
    CHECK_FALSE(budget_pause(budgets, spending, at("2026-11-30T00:00:00Z"), 0));
    budgets.run.turns = 3;
    const auto run = budget_pause(budgets, spending, at("2026-11-30T00:00:00Z"), 0);
    REQUIRE(run);
    CHECK(run->account == budget_of_run);
    CHECK(holds(*run, at("2027-11-30T00:00:00Z")));
    budgets = {};
    budgets.day.tokens = 150;
    CHECK(budget_pause(budgets, spending, noon, 0));
}

TEST_CASE("spending: what is left in dollars") {
    Budget budget;
    CHECK_FALSE(budget.left_usd(usage(1, 1, 1.0)));
    budget.cost_cents = 250;
    CHECK(budget.left_usd(usage(1, 1)).value() == doctest::Approx(2.5));
    CHECK(budget.left_usd(usage(1, 1, 1.0)).value() == doctest::Approx(1.5));
    CHECK(budget.left_usd(usage(1, 1, 3.0)).value() == 0);
}

TEST_CASE("spending: the file says all of it, and what is no such file is none") {
    Spending spending;
    begin_run(spending, "2026-11-29T12:00:00Z");
    count_usage(spending, "T1/2-work", usage(3, 150, 2.0), "2026-11-29");
    count_usage(spending, "T2/2-work", usage(1, 1), "2026-11-29");
    const auto read = read_spending(JsonDocument::parse(spending_text(spending), "spending.json").value());
    REQUIRE(read.has_value());
    CHECK(*read == spending);
    for (const char* bad : {"[]", "{}", R"({"version": 2})", R"({"version": 1, "on_day": {"turns": -1}})",
                            R"({"version": 1, "in_run": {"cost_usd": "much"}})"}) {
        CAPTURE(bad);
        CHECK_FALSE(read_spending(JsonDocument::parse(bad, "spending.json").value()).has_value());
    }
}
