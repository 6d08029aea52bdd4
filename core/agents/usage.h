// What agents use, and how much of it they may.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/json_reader.h"

namespace ralph::core {

// What was used, as far as the agent told. Nothing is invented: an agent that tells no cost has none.
struct Usage {
    std::uint64_t turns = 0;
    std::uint64_t input_tokens = 0;  // all that was sent, what came from a cache included
    std::uint64_t output_tokens = 0;
    std::uint64_t cached_tokens = 0;
    std::optional<double> cost_usd = {};

    void add(const Usage& other);
    // What came on top of an earlier sum; nothing less than nothing.
    [[nodiscard]] Usage since(const Usage& earlier) const;
    [[nodiscard]] std::uint64_t tokens() const { return input_tokens + output_tokens; }
    bool operator==(const Usage&) const = default;
};

// The members turns, tokens and cost_usd of a document.
void add_usage(boost::json::object& object, const Usage& usage);
void read_usage(ObjectReader& reader, Usage& usage);

// "3 turns, 1200 tokens, $0.42"
[[nodiscard]] std::string describe(const Usage& usage);

// How much may be used; 0 means no limit.
struct Budget {
    std::uint32_t cost_cents = 0;  // written as dollars: 2.5
    std::uint64_t tokens = 0;
    std::uint32_t turns = 0;

    [[nodiscard]] bool any() const { return cost_cents != 0 || tokens != 0 || turns != 0; }
    [[nodiscard]] bool is_spent(const Usage& used) const;
    // Dollars that are left, never below zero; nothing if there is no limit.
    [[nodiscard]] std::optional<double> left_usd(const Usage& used) const;
    bool operator==(const Budget&) const = default;
};

}  // namespace ralph::core
