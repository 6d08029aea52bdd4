// What the agents of a repository have used today, and since this run of ralph began: spending.json.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/agents/account.h"
#include "core/agents/usage.h"
#include "core/base/error.h"
#include "core/base/jsonc.h"
#include "core/base/time.h"

namespace ralph::core {

struct Budgets {
    Budget task;
    Budget run;  // of ralph: from its start to its end, whatever crashes in between
    Budget day;

    bool operator==(const Budgets&) const = default;
};

struct Spending {
    std::string run;  // when it began
    std::string day;  // "2026-11-29", of the host's clock
    Usage in_run;
    Usage on_day;
    // Of each run directory whose agent is at work, what of its usage is in the sums.
    std::map<std::string, Usage, std::less<>> counted;

    bool operator==(const Spending&) const = default;
};

// The day that the clock of a host shows which is so many minutes ahead of UTC, and when that day ends.
[[nodiscard]] std::string local_day(Instant now, int utc_offset_minutes);
[[nodiscard]] Instant end_of_local_day(Instant now, int utc_offset_minutes);

// `total` is what the run directory's agent has used since it began. To count the same twice changes nothing.
void count_usage(Spending& spending, std::string_view run_directory, const Usage& total,
                 std::string_view day);
// Its agent has ended.
void end_counting(Spending& spending, std::string_view run_directory);
// Nothing if that run is under way already: a start after a crash goes on with it.
void begin_run(Spending& spending, std::string_view run);
// The next one begins at nothing, whatever its name.
void end_run(Spending& spending);

// What was used on this day; nothing yet if the sums are of another one.
[[nodiscard]] Usage used_on(const Spending& spending, std::string_view day);

// The budget that is spent, as a pause of all agents whose reason is a whole sentence: of the day until it
// ends, of the run until somebody acts.
[[nodiscard]] std::optional<AccountPause> budget_pause(const Budgets& budgets, const Spending& spending,
                                                       Instant now, int utc_offset_minutes);

[[nodiscard]] std::string spending_text(const Spending& spending);
[[nodiscard]] Result<Spending> read_spending(const JsonDocument& document);

}  // namespace ralph::core
