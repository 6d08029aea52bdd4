#include "daemon/store/state_store.h"

#include <fmt/format.h>

#include "core/supervisor/state_codec.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t state_limit = 64ULL << 20;

std::string folder_of(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

Result<core::ParallelState> understand(std::string text, const std::string& path) {
    TRY_ASSIGN(auto document, core::JsonDocument::parse(std::move(text), path));
    auto state = core::read_state(document);
    if (state && state->schema_version > core::state_schema_version) {
        return document.error_at(
            "schema_version",
            fmt::format("is {}, written by a newer version; this ralph knows versions up to {}",
                        state->schema_version, core::state_schema_version));
    }
    return state;
}

// What is under a state's name. A file that cannot be read now (no descriptor left, an I/O error) may well be
// whole: that is an error, and no reason to do without it. A folder or a link that leads nowhere is broken.
struct Generation {
    std::optional<core::ParallelState> state;
    std::optional<Error> broken;  // neither: there is none
};

Result<Generation> look_at(const std::string& path) {
    auto text = read_file(path, state_limit);
    if (!text) {
        const auto regular = is_regular_file_there(path);
        return regular && !*regular ? Result<Generation>{Generation{std::nullopt, text.error()}}
                                    : Result<Generation>{text.error()};
    }
    if (!*text) {
        return Generation{};
    }
    auto state = understand(std::move(**text), path);
    return state ? Generation{std::move(*state), std::nullopt} : Generation{std::nullopt, state.error()};
}

// The state is whole, or there is none yet; it stays as it is.
Result<LoadedState> with_previous_checked(const Paths& paths, std::optional<core::ParallelState> state) {
    const auto previous = look_at(paths.previous_state());
    if (!previous || !previous->broken) {
        return previous ? Result<LoadedState>{LoadedState{std::move(state), ""}} : previous.error();
    }
    auto kept = quarantine(paths.previous_state());
    auto removed =
        kept && path_exists(paths.previous_state()) ? remove_file(paths.previous_state()) : Result<void>{};
    if (!kept || !removed) {
        return kept ? removed.error() : kept.error();
    }
    return LoadedState{std::move(state), fmt::format("{}; it is kept as {} and was not needed",
                                                     previous->broken->message, *kept)};
}

}  // namespace

Result<std::string> quarantine(const std::string& path) {
    for (int number = 1; number < 1000; ++number) {
        std::string target = fmt::format("{}.quarantine-{}", path, number);
        TRY_ASSIGN(const auto taken, is_there(target));
        if (taken) {
            continue;
        }
        if (const auto linked = link_file(path, target); linked && *linked) {
            TRY(sync_directory(folder_of(path)));
        } else if (auto renamed = rename_durably(path, target); !renamed) {  // no hard links there
            return renamed.error();
        }
        return target;
    }
    return Error{fmt::format("{}: a thousand unreadable states are kept here", path),
                 "remove the oldest ones"};
}

Result<std::optional<core::ParallelState>> read_state_file(const std::string& path) {
    TRY_ASSIGN(auto text, read_file(path, state_limit));
    if (!text) {
        return std::optional<core::ParallelState>{};
    }
    TRY_ASSIGN(auto state, understand(std::move(*text), path));
    return std::optional(std::move(state));
}

Result<LoadedState> load_state(const Paths& paths) {
    TRY_ASSIGN(auto current, look_at(paths.state()));
    if (!current.broken) {
        return with_previous_checked(paths, std::move(current.state));
    }
    auto previous = look_at(paths.previous_state());
    if (!previous) {
        return previous.error();
    }
    if (!previous->state) {
        return Error{fmt::format("{}; there is no whole previous generation, so nothing is started",
                                 current.broken->message),
                     "run `ralph doctor`"};
    }
    auto kept = quarantine(paths.state());
    if (!kept) {
        return kept.error();
    }
    // At once: without a state the next start would take this for a new beginning.
    TRY(write_file_durably(paths.state(), core::state_text(*previous->state)));
    return LoadedState{std::move(*previous->state),
                       fmt::format("{}; it is kept as {}, and the previous generation is used",
                                   current.broken->message, *kept)};
}

Result<void> save_state(const Paths& paths, const std::string& text) {
    // A second link keeps the old generation whatever happens to the new one.
    const std::string spare = paths.previous_state() + ".new";
    TRY(remove_file(spare));
    TRY_ASSIGN(auto linked, link_file(paths.state(), spare));
    if (linked) {
        TRY(move(spare, paths.previous_state()));
        static_cast<void>(remove_file(spare));  // rename() of two links to one file leaves both
    }
    return write_file_durably(paths.state(), text);
}

}  // namespace ralph::daemon
