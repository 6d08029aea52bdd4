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

std::uint64_t since(std::uint64_t total, std::uint64_t before) {
    return total - std::min(total, before);
}

Usage since(const Usage& total, const Usage& before) {
    Usage used;
    used.turns = since(total.turns, before.turns);
    used.input_tokens = since(total.input_tokens, before.input_tokens);
    used.output_tokens = since(total.output_tokens, before.output_tokens);
    used.cached_tokens = since(total.cached_tokens, before.cached_tokens);
    if (total.cost_usd) {
        used.cost_usd = std::max(0.0, *total.cost_usd - before.cost_usd.value_or(0));
    }
    return used;
}

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
    const Usage used = since(total, counted->second);
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
        pause.reason = describe(spending.in_run);
        pause.needs_person = true;
        return pause;
    }
    const Usage today = used_on(spending, local_day(now, utc_offset_minutes));
    if (budgets.day.is_spent(today)) {
        AccountPause pause;
        pause.account = budget_of_day;
        pause.reason = describe(today);
        pause.until = end_of_local_day(now, utc_offset_minutes);
        return pause;
    }
    return std::nullopt;
}

std::string spending_text(const Spending& spending) {
    boost::json::object root;
    root["version"] = format_version;
    root["run"] = spending.run;
    root["day"] = spending.day;
    boost::json::object in_run;
    add_usage(in_run, spending.in_run);
    root["in_run"] = std::move(in_run);
    boost::json::object on_day;
    add_usage(on_day, spending.on_day);
    root["on_day"] = std::move(on_day);
    boost::json::array counted;
    for (const auto& [directory, usage] : spending.counted) {
        boost::json::object object;
        object["run_directory"] = directory;
        add_usage(object, usage);
        counted.push_back(std::move(object));
    }
    root["counted"] = std::move(counted);
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
