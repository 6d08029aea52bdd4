#include "core/agents/spending.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"

namespace ralph::core {
namespace {

constexpr std::uint32_t format_version = 1;
// A run whose step was killed is never ended here; so many are remembered.
constexpr std::size_t most_counted = 1'000;

}  // namespace

std::string local_day(Instant now, int utc_offset_minutes) {
    return format_rfc3339(now + std::chrono::minutes(utc_offset_minutes)).substr(0, 10);
}

Instant end_of_local_day(Instant now, int utc_offset_minutes) {
    const auto offset = std::chrono::minutes(utc_offset_minutes);
    return std::chrono::floor<std::chrono::days>(now + offset) + std::chrono::days(1) - offset;
}

void count_usage(Spending& spending, std::string_view run_directory, const Usage& total,
                 std::string_view day) {
    auto counted = spending.counted.find(run_directory);
    if (counted == spending.counted.end()) {
        if (spending.counted.size() >= most_counted) {
            spending.counted.erase(spending.counted.begin());
        }
        counted = spending.counted.emplace(run_directory, Usage{}).first;
    }
    const Usage used = total.since(counted->second);
    counted->second = total;
    if (spending.day != day) {
        spending.day = day;
        spending.on_day = {};
    }
    spending.on_day.add(used);
    spending.in_run.add(used);
}

void end_counting(Spending& spending, std::string_view run_directory) {
    if (const auto counted = spending.counted.find(run_directory); counted != spending.counted.end()) {
        spending.counted.erase(counted);
    }
}

void begin_run(Spending& spending, std::string_view run) {
    if (std::exchange(spending.run, run) != run) {
        spending.in_run = {};
    }
}

void end_run(Spending& spending) {
    spending.run.clear();
}

Usage used_on(const Spending& spending, std::string_view day) {
    return spending.day == day ? spending.on_day : Usage{};
}

std::optional<AccountPause> budget_pause(const Budgets& budgets, const Spending& spending, Instant now,
                                         int utc_offset_minutes) {
    if (budgets.run.is_spent(spending.in_run)) {
        AccountPause pause;
        pause.account = budget_of_run;
        pause.reason =
            fmt::format("the budget of this run ({}) is spent: {}", budget_of_run, describe(spending.in_run));
        pause.needs_person = true;
        return pause;
    }
    const Usage today = used_on(spending, local_day(now, utc_offset_minutes));
    if (budgets.day.is_spent(today)) {
        AccountPause pause;
        pause.account = budget_of_day;
        pause.until = end_of_local_day(now, utc_offset_minutes);
        pause.reason = fmt::format("the budget of the day ({}) is spent until {}: {}", budget_of_day,
                                   format_rfc3339_seconds(pause.until), describe(today));
        return pause;
    }
    return std::nullopt;
}

std::string spending_text(const Spending& spending) {
    boost::json::object root;
    root["version"] = format_version;
    root["run"] = spending.run;
    root["day"] = spending.day;
    add_usage(root["in_run"].emplace_object(), spending.in_run);
    add_usage(root["on_day"].emplace_object(), spending.on_day);
    boost::json::array& counted = root["counted"].emplace_array();
    for (const auto& [directory, usage] : spending.counted) {
        boost::json::object& run = counted.emplace_back(boost::json::object{}).get_object();
        run["run_directory"] = directory;
        add_usage(run, usage);
    }
    return canonical_json(root);
}

Result<Spending> read_spending(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    Spending spending;
    ObjectReader reader(document.root(), "", fault);
    reader.require_version(format_version);
    reader.read("run", spending.run);
    reader.read("day", spending.day);
    reader.read_object("in_run", [&](ObjectReader& usage) { read_usage(usage, spending.in_run); });
    reader.read_object("on_day", [&](ObjectReader& usage) { read_usage(usage, spending.on_day); });
    reader.read_objects("counted", [&](ObjectReader& run) {
        std::string directory;
        Usage usage;
        run.require("run_directory", directory);
        read_usage(run, usage);
        spending.counted.insert_or_assign(std::move(directory), usage);
    });
    if (fault) {
        return document.error_at(fault->path, fault->message);
    }
    return spending;
}

}  // namespace ralph::core
