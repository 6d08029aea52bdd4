#include "core/agents/account.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <chrono>
#include <utility>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"

namespace ralph::core {
namespace {

constexpr std::uint32_t format_version = 1;
constexpr std::chrono::minutes first_pause{1};
constexpr std::chrono::minutes longest_pause{60};
constexpr std::uint32_t most_doublings = 6;
// A told end is kept to the letter; the rest is so that all hosts of an account do not try in one second.
constexpr double told_jitter_seconds = 2;

}  // namespace

AccountPause next_pause(const std::optional<AccountPause>& before, std::string account, Verdict verdict,
                        std::string reason, const std::optional<Instant>& resets_at, Instant now,
                        double jitter) {
    AccountPause pause;
    pause.account = std::move(account);
    pause.reason = std::move(reason);
    pause.since = now;
    pause.needs_person = verdict == Verdict::unauthorized;
    // A run that began before the pause and met the same limit adds no information.
    const bool is_news = !before || before->until <= now || before->since > now;
    pause.tries = before ? before->tries + (is_news ? 1 : 0) : 0;
    if (resets_at && *resets_at > now) {
        pause.until = *resets_at + std::chrono::duration_cast<std::chrono::nanoseconds>(
                                       std::chrono::duration<double>(told_jitter_seconds * jitter));
    } else {
        const auto whole =
            std::min(longest_pause, first_pause * (1 << std::min(pause.tries, most_doublings)));
        pause.until = now + std::chrono::duration_cast<std::chrono::nanoseconds>(
                                std::chrono::duration<double>(whole) * (0.8 + 0.4 * jitter));
    }
    if (before && !is_news) {
        pause.until = std::max(pause.until, before->until);
        pause.needs_person = pause.needs_person || before->needs_person;
    }
    return pause;
}

bool holds(const AccountPause& pause, Instant now) {
    return pause.since <= now && (pause.needs_person || now < pause.until);
}

bool is_budget(std::string_view account) {
    return account == budget_of_run || account == budget_of_day;
}

std::string describe(const AccountPause& pause) {
    if (is_budget(pause.account)) {
        return pause.reason;
    }
    if (pause.needs_person) {
        return fmt::format("the account {} is refused: {}", pause.account, pause.reason);
    }
    return fmt::format("the account {} is at its limit until {}: {}", pause.account,
                       format_rfc3339_seconds(pause.until), pause.reason);
}

std::string describe_end(std::string_view account) {
    return is_budget(account) ? fmt::format("{} lets agents start again", account)
                              : fmt::format("the account {} is not paused any more", account);
}

std::string account_pause_text(const AccountPause& pause) {
    boost::json::object root;
    root["version"] = format_version;
    root["account"] = pause.account;
    root["needs_person"] = pause.needs_person;
    root["reason"] = pause.reason;
    root["tries"] = pause.tries;
    root["since"] = format_rfc3339(pause.since);
    root["until"] = format_rfc3339(pause.until);
    return canonical_json(root);
}

Result<AccountPause> read_account_pause(const JsonDocument& document) {
    std::optional<JsonFault> fault;
    AccountPause pause;
    std::string since;
    std::string until;
    ObjectReader reader(document.root(), "", fault);
    reader.require_version(format_version);
    reader.require("account", pause.account);
    reader.read("needs_person", pause.needs_person);
    reader.read("reason", pause.reason);
    reader.read("tries", pause.tries);
    reader.require("since", since);
    reader.require("until", until);
    if (fault) {
        return document.error_at(fault->path, fault->message);
    }
    const auto began = parse_rfc3339(since);
    const auto ends = parse_rfc3339(until);
    if (!began || !ends) {
        return document.error_at(began ? "until" : "since", (began ? ends : began).error().message);
    }
    pause.since = began->instant;
    pause.until = ends->instant;
    pause.account = printable(pause.account);
    pause.reason = printable(pause.reason);
    return pause;
}

}  // namespace ralph::core
