// account list, account resume: agents' accounts that are paused.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "core/queue/queue_validation.h"
#include "daemon/cli/common.h"
#include "daemon/os/clock.h"
#include "daemon/store/accounts.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;

json::object object_of(const core::AccountPause& pause, core::Instant now) {
    json::object object;
    object["account"] = pause.account;
    object["needs_person"] = pause.needs_person;
    object["reason"] = pause.reason;
    object["since"] = core::format_rfc3339(pause.since);
    object["until"] =
        pause.needs_person ? json::value(nullptr) : json::value(core::format_rfc3339(pause.until));
    object["holds"] = core::holds(pause, now);
    object["tries"] = pause.tries;
    return object;
}

}  // namespace

int account_list(const CommonArguments& common, bool as_json) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    const auto pauses = read_pauses(settings->accounts_folder);
    if (!pauses) {
        return report_error(pauses.error());
    }
    const core::Instant now = wall_clock();
    if (as_json) {
        json::object document;
        document["version"] = 1;
        json::array accounts;
        for (const core::AccountPause& pause : *pauses) {
            accounts.push_back(object_of(pause, now));
        }
        document["paused"] = std::move(accounts);
        return print(core::canonical_json(document) + "\n");
    }
    std::string text;
    for (const core::AccountPause& pause : *pauses) {
        text += fmt::format("{}{}\n", core::describe(pause),
                            core::holds(pause, now) ? "" : " (over; the next task tries)");
        if (pause.needs_person) {
            text +=
                fmt::format("  log in or set the key, then run `ralph account resume {}`\n", pause.account);
        }
    }
    return print(text.empty() ? "no account is paused\n" : text);
}

int account_resume(const CommonArguments& common, const std::string& name) {
    const auto settings = open_repository(common);
    if (!settings) {
        return report_error(settings.error());
    }
    if (!core::is_safe_task_id(name)) {
        return report_error(core::Error{fmt::format("\"{}\" is no account", core::printable(name)),
                                        "see `ralph account list`"});
    }
    const auto pause = read_pause(settings->accounts_folder, name);
    if (!pause) {
        return report_error(pause.error());
    }
    if (!*pause) {
        return print(fmt::format("the account {} is not paused\n", name));
    }
    if (const auto ended = end_pause(settings->accounts_folder, **pause); !ended) {
        return report_error(ended.error());
    }
    return print(fmt::format("the account {} goes on; running supervisors see that by themselves\n", name));
}

}  // namespace ralph::daemon
