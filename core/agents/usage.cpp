#include "core/agents/usage.h"

#include <fmt/format.h>

#include <algorithm>

namespace ralph::core {
namespace {

std::uint64_t difference(std::uint64_t now, std::uint64_t earlier) {
    return now - std::min(now, earlier);
}

}  // namespace

void Usage::add(const Usage& other) {
    turns += other.turns;
    input_tokens += other.input_tokens;
    output_tokens += other.output_tokens;
    cached_tokens += other.cached_tokens;
    if (other.cost_usd) {
        cost_usd = cost_usd.value_or(0) + *other.cost_usd;
    }
}

Usage Usage::since(const Usage& earlier) const {
    Usage used;
    used.turns = difference(turns, earlier.turns);
    used.input_tokens = difference(input_tokens, earlier.input_tokens);
    used.output_tokens = difference(output_tokens, earlier.output_tokens);
    used.cached_tokens = difference(cached_tokens, earlier.cached_tokens);
    if (cost_usd) {
        used.cost_usd = std::max(0.0, *cost_usd - earlier.cost_usd.value_or(0));
    }
    return used;
}

void add_usage(boost::json::object& object, const Usage& usage) {
    object["turns"] = usage.turns;
    object["tokens"] = boost::json::object{
        {"input", usage.input_tokens}, {"output", usage.output_tokens}, {"cached", usage.cached_tokens}};
    object["cost_usd"] = usage.cost_usd ? boost::json::value(*usage.cost_usd) : nullptr;
}

void read_usage(ObjectReader& reader, Usage& usage) {
    reader.read("turns", usage.turns);
    reader.read_object("tokens", [&usage](ObjectReader& tokens) {
        tokens.read("input", usage.input_tokens);
        tokens.read("output", usage.output_tokens);
        tokens.read("cached", usage.cached_tokens);
    });
    if (const boost::json::value* const cost = reader.find("cost_usd"); cost != nullptr && !cost->is_null()) {
        if (cost->is_number()) {
            usage.cost_usd = cost->to_number<double>();
        } else {
            reader.fail("cost_usd", "must be a number");
        }
    }
}

std::string describe(const Usage& usage) {
    return fmt::format("{} turns, {} tokens{}", usage.turns, usage.tokens(),
                       usage.cost_usd ? fmt::format(", ${:.2f}", *usage.cost_usd) : "");
}

bool Budget::is_spent(const Usage& used) const {
    return (cost_cents != 0 && used.cost_usd.value_or(0) * 100 >= cost_cents) ||
           (tokens != 0 && used.tokens() >= tokens) || (turns != 0 && used.turns >= turns);
}

std::optional<double> Budget::left_usd(const Usage& used) const {
    if (cost_cents == 0) {
        return std::nullopt;
    }
    return std::max(0.0, cost_cents / 100.0 - used.cost_usd.value_or(0));
}

}  // namespace ralph::core
