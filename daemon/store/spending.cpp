#include "daemon/store/spending.h"

#include <fmt/format.h>

#include <utility>

#include "daemon/os/clock.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t file_limit = std::size_t{4} << 20U;

Result<FileLock> lock_file(const Paths& paths) {
    TRY_ASSIGN(auto lock, FileLock::acquire(paths.spending_lock(), FileLock::Wait::yes));
    return std::move(*lock);
}

template <class Change>
Result<void> change(const Paths& paths, Change&& made) {
    TRY_ASSIGN(const auto lock, lock_file(paths));
    TRY_ASSIGN(auto spending, read_spending(paths));
    const core::Spending before = spending;
    made(spending);
    return spending == before ? Result<void>{}
                              : write_file_durably(paths.spending(), core::spending_text(spending));
}

}  // namespace

Result<core::Spending> read_spending(const Paths& paths) {
    TRY_ASSIGN(auto text, read_file(paths.spending(), file_limit));
    if (!text) {
        return core::Spending{};
    }
    const auto document = core::JsonDocument::parse(std::move(*text), paths.spending());
    auto spending = document ? core::read_spending(*document) : Result<core::Spending>{document.error()};
    if (!spending) {
        return core::Error{spending.error().message, "remove the file, and counting begins anew"};
    }
    return spending;
}

Result<core::Spending> count_usage(const Paths& paths, const std::string& run_directory,
                                   const core::Usage& total, core::Instant now) {
    TRY_ASSIGN(const auto lock, lock_file(paths));
    TRY_ASSIGN(auto spending, read_spending(paths));
    core::count_usage(spending, run_directory, total, core::local_day(now, utc_offset_minutes(now)));
    TRY(write_file_durably(paths.spending(), core::spending_text(spending)));
    return spending;
}

Result<void> end_counting(const Paths& paths, const std::string& run_directory) {
    return change(paths, [&](core::Spending& spending) { core::end_counting(spending, run_directory); });
}

Result<void> begin_run(const Paths& paths, const std::string& began) {
    return change(paths, [&](core::Spending& spending) { core::begin_run(spending, began); });
}

Result<void> end_run(const Paths& paths) {
    return change(paths, [](core::Spending& spending) { core::end_run(spending); });
}

std::optional<core::AccountPause> budget_pause(const core::Budgets& budgets,
                                               const Result<core::Spending>& spending, core::Instant now) {
    if (spending) {
        return core::budget_pause(budgets, *spending, now, utc_offset_minutes(now));
    }
    if (!budgets.run.any() && !budgets.day.any()) {
        return std::nullopt;
    }
    core::AccountPause pause;
    pause.account = core::budget_of_run;
    pause.needs_person = true;
    pause.reason = fmt::format("it is not known what agents have used ({}): {}", core::budget_of_run,
                               spending.error().line());
    return pause;
}

}  // namespace ralph::daemon
