#include "daemon/store/accounts.h"

#include <cstdlib>
#include <utility>

#include "core/base/jsonc.h"
#include "core/queue/queue_validation.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t file_limit = std::size_t{64} << 10U;
constexpr std::size_t most_accounts = 1'000;
constexpr std::string_view suffix = ".json";

std::string path_of(const std::string& folder, const std::string& account) {
    return folder + "/" + account + std::string(suffix);
}

std::string variable(const char* name) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets the environment.
    const char* const value = std::getenv(name);
    return value == nullptr ? std::string{} : value;
}

// Held for the moments in which an account's file is read and written.
Result<FileLock> lock_files(const std::string& folder) {
    TRY_ASSIGN(auto lock, FileLock::acquire(folder + "/lock", FileLock::Wait::yes));
    return std::move(*lock);
}

}  // namespace

std::string users_accounts_folder() {
    // A step is told, since the worker's environment may have another home.
    if (std::string folder = variable("RALPH_ACCOUNTS"); folder.substr(0, 1) == "/") {
        return folder;
    }
    // A relative one would depend on where one is (XDG Base Directory Specification).
    if (const std::string folder = variable("XDG_STATE_HOME"); folder.substr(0, 1) == "/") {
        return folder + "/ralph/accounts";
    }
    const std::string home = variable("HOME");
    return home.substr(0, 1) == "/" ? home + "/.local/state/ralph/accounts" : std::string{};
}

Result<std::optional<core::AccountPause>> read_pause(const std::string& folder, const std::string& account) {
    const std::string path = path_of(folder, account);
    TRY_ASSIGN(auto text, read_file(path, file_limit));
    if (!text) {
        return std::optional<core::AccountPause>{};
    }
    const auto document = core::JsonDocument::parse(std::move(*text), path);
    auto pause =
        document ? core::read_account_pause(*document) : Result<core::AccountPause>{document.error()};
    if (!pause || pause->account != account) {
        return std::optional<core::AccountPause>{};
    }
    return std::optional(std::move(*pause));
}

Result<std::vector<core::AccountPause>> read_pauses(const std::string& folder) {
    std::vector<core::AccountPause> pauses;
    TRY_ASSIGN(const auto names, list_directory(folder));
    for (const std::string& name : names) {
        if (pauses.size() == most_accounts || !name.ends_with(suffix)) {
            continue;
        }
        const std::string account = name.substr(0, name.size() - suffix.size());
        if (core::is_safe_task_id(account)) {
            TRY_ASSIGN(auto pause, read_pause(folder, account));
            if (pause) {
                pauses.push_back(std::move(*pause));
            }
        }
    }
    return pauses;
}

Result<core::AccountPause> pause_account(const std::string& folder, const std::string& account,
                                         core::Verdict verdict, const std::string& reason,
                                         const std::optional<core::Instant>& resets_at, core::Instant now,
                                         double jitter) {
    TRY(make_directories(folder));
    TRY_ASSIGN(const auto lock, lock_files(folder));
    TRY_ASSIGN(const auto before, read_pause(folder, account));
    core::AccountPause pause = core::next_pause(before, account, verdict, reason, resets_at, now, jitter);
    TRY(write_file_durably(path_of(folder, account), core::account_pause_text(pause)));
    return pause;
}

Result<void> end_pause(const std::string& folder, const core::AccountPause& pause) {
    TRY_ASSIGN(const auto exists, is_directory_there(folder));
    if (!exists) {
        return {};
    }
    TRY_ASSIGN(const auto lock, lock_files(folder));
    TRY_ASSIGN(const auto present, read_pause(folder, pause.account));
    if (!present || *present != pause) {
        return {};
    }
    TRY(remove_file(path_of(folder, pause.account)));
    return sync_directory(folder);
}

Result<std::optional<FileLock>> claim_try(const std::string& folder, const std::string& account) {
    return FileLock::acquire(folder + "/" + account + ".try", FileLock::Wait::no);
}

}  // namespace ralph::daemon
