#include "core/base/time.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>

namespace ralph::core {
namespace {

using std::chrono::days;
using std::chrono::nanoseconds;

// Reads exactly `count` digits at the front of `rest` and moves past them.
std::optional<int> take_digits(std::string_view& rest, std::size_t count) {
    if (rest.size() < count) {
        return std::nullopt;
    }
    int value = 0;
    for (const char c : rest.substr(0, count)) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        value = value * 10 + (c - '0');
    }
    rest.remove_prefix(count);
    return value;
}

bool take(std::string_view& rest, std::string_view accepted) {
    if (rest.empty() || accepted.find(rest.front()) == std::string_view::npos) {
        return false;
    }
    rest.remove_prefix(1);
    return true;
}

// The fraction after a '.', cut at nanoseconds; nullopt if no digit follows.
std::optional<std::int64_t> take_fraction(std::string_view& rest) {
    std::int64_t value = 0;
    int digits = 0;
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
        if (digits < 9) {
            value = value * 10 + (rest.front() - '0');
        }
        ++digits;
        rest.remove_prefix(1);
    }
    if (digits == 0) {
        return std::nullopt;
    }
    for (int i = digits; i < 9; ++i) {
        value *= 10;
    }
    return value;
}

std::optional<int> take_offset(std::string_view& rest) {
    if (take(rest, "Zz")) {
        return 0;
    }
    const bool negative = !rest.empty() && rest.front() == '-';
    if (!take(rest, "+-")) {
        return std::nullopt;
    }
    const auto hours = take_digits(rest, 2);
    if (!hours || !take(rest, ":")) {
        return std::nullopt;
    }
    const auto minutes = take_digits(rest, 2);
    if (!minutes || *hours > 23 || *minutes > 59) {
        return std::nullopt;
    }
    const int total = *hours * 60 + *minutes;
    return negative ? -total : total;
}

Instant saturated(std::int64_t seconds, std::int64_t fraction) {
    constexpr std::int64_t giga = 1'000'000'000;
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / giga - 1;
    if (seconds > most) {
        return Instant::max();
    }
    if (seconds < -most) {
        return Instant::min();
    }
    return Instant{nanoseconds{seconds * giga + fraction}};
}

std::optional<Timestamp> parse(std::string_view rest) {
    const auto year = take_digits(rest, 4);
    if (!year || !take(rest, "-")) {
        return std::nullopt;
    }
    const auto month = take_digits(rest, 2);
    if (!month || !take(rest, "-")) {
        return std::nullopt;
    }
    const auto day = take_digits(rest, 2);
    if (!day || !take(rest, "Tt ")) {
        return std::nullopt;
    }
    const auto hour = take_digits(rest, 2);
    if (!hour || !take(rest, ":")) {
        return std::nullopt;
    }
    const auto minute = take_digits(rest, 2);
    if (!minute || !take(rest, ":")) {
        return std::nullopt;
    }
    const auto second = take_digits(rest, 2);
    if (!second) {
        return std::nullopt;
    }
    std::int64_t fraction = 0;
    if (take(rest, ".")) {
        const auto digits = take_fraction(rest);
        if (!digits) {
            return std::nullopt;
        }
        fraction = *digits;
    }
    const auto offset = take_offset(rest);
    const std::chrono::year_month_day date{std::chrono::year{*year},
                                           std::chrono::month{static_cast<unsigned>(*month)},
                                           std::chrono::day{static_cast<unsigned>(*day)}};
    if (!offset || !rest.empty() || !date.ok() || *hour > 23 || *minute > 59 || *second > 60) {
        return std::nullopt;
    }
    const std::int64_t day_number = std::chrono::sys_days{date}.time_since_epoch().count();
    const std::int64_t seconds = day_number * 86'400 + *hour * 3'600LL + *minute * 60LL +
                                 (*second == 60 ? 59 : *second) - *offset * 60LL;
    return Timestamp{saturated(seconds, fraction), *offset};
}

struct Unit {
    std::string_view suffix;
    std::int64_t milliseconds;
};
constexpr std::array<Unit, 5> units{
    {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

}  // namespace

Result<Timestamp> parse_rfc3339(std::string_view text) {
    if (const auto parsed = parse(text)) {
        return *parsed;
    }
    return Error{fmt::format("\"{}\" is not an RFC 3339 time such as 2026-02-20T12:30:00Z", text)};
}

std::string format_rfc3339(Instant instant) {
    // Rounding down in nanoseconds would overflow at the low end of what an Instant holds.
    constexpr std::int64_t giga = 1'000'000'000;
    const std::int64_t count = instant.time_since_epoch().count();
    const std::int64_t fraction = (count % giga + giga) % giga;
    const std::chrono::sys_seconds second{std::chrono::seconds{count / giga - (count % giga < 0 ? 1 : 0)}};
    const auto day = std::chrono::floor<days>(second);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss time{second - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       time.hours().count(), time.minutes().count(), time.seconds().count(), fraction);
}

std::string format_rfc3339_seconds(Instant instant) {
    const std::string text = format_rfc3339(instant);
    return text.substr(0, text.find('.')) + "Z";
}

Result<Milliseconds> parse_duration(std::string_view text) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, problem] = std::from_chars(text.data(), end, number);
    const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
    const bool unsigned_number = problem == std::errc{} && text.front() != '-';
    if (unsigned_number && number == 0 && suffix.empty()) {
        return Milliseconds{0};
    }
    if (unsigned_number) {
        for (const Unit& unit : units) {
            // A hundred years bounds every duration, so that adding one to an instant cannot overflow.
            if (unit.suffix == suffix && number <= 36'500 * std::int64_t{86'400'000} / unit.milliseconds) {
                return Milliseconds{number * unit.milliseconds};
            }
        }
    }
    return Error{fmt::format(
        "\"{}\" is not a duration such as \"90s\", \"15m\" or \"2h\" (units: ms, s, m, h, d)", text)};
}

std::string format_duration(Milliseconds duration) {
    const std::int64_t count = duration.count();
    const Unit* best = units.data();
    for (const Unit& unit : units) {
        if (count != 0 && count % unit.milliseconds == 0) {
            best = &unit;
        }
    }
    return count == 0 ? "0" : fmt::format("{}{}", count / best->milliseconds, best->suffix);
}

}  // namespace ralph::core
