#include "daemon/store/state_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "core/state_codec.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t state_limit = 64ULL << 20;

std::string folder_of(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

// The state is whole, or there is none yet; it stays as it is.
Result<LoadedState> with_previous_checked(const Paths& paths, std::optional<core::ParallelState> state) {
    const auto previous = read_state_file(paths.previous_state());
    if (previous) {
        return LoadedState{std::move(state), ""};
    }
    auto kept = quarantine(paths.previous_state());
    auto removed =
        kept && path_exists(paths.previous_state()) ? remove_file(paths.previous_state()) : Result<void>{};
    if (!kept || !removed) {
        return kept ? removed.error() : kept.error();
    }
    return LoadedState{std::move(state), fmt::format("{}; it is kept as {} and was not needed",
                                                     previous.error().message, *kept)};
}

}  // namespace

Result<std::string> quarantine(const std::string& path) {
    for (int number = 1; number < 1000; ++number) {
        std::string target = fmt::format("{}.quarantine-{}", path, number);
        if (path_exists(target)) {
            continue;
        }
        if (::link(path.c_str(), target.c_str()) == 0) {
            if (auto synced = sync_directory(folder_of(path)); !synced) {
                return synced.error();
            }
        } else if (auto renamed = rename_durably(path, target); !renamed) {  // no hard links there
            return renamed.error();
        }
        return target;
    }
    return Error{fmt::format("{}: a thousand unreadable states are kept here", path),
                 "remove the oldest ones"};
}

Result<std::optional<core::ParallelState>> read_state_file(const std::string& path) {
    auto text = read_file(path, state_limit);
    if (!text) {
        return text.error();
    }
    if (!*text) {
        return std::optional<core::ParallelState>{};
    }
    auto document = core::JsonDocument::parse(std::move(**text), path);
    if (!document) {
        return document.error();
    }
    auto state = core::read_state(*document);
    if (!state) {
        return state.error();
    }
    if (state->schema_version > core::state_schema_version) {
        return document->error_at(
            "schema_version",
            fmt::format("is {}, written by a newer version; this ralph knows versions up to {}",
                        state->schema_version, core::state_schema_version));
    }
    return std::optional(std::move(*state));
}

Result<LoadedState> load_state(const Paths& paths) {
    auto current = read_state_file(paths.state());
    if (current) {
        return with_previous_checked(paths, std::move(*current));
    }
    auto previous = read_state_file(paths.previous_state());
    if (!previous || !*previous) {
        return Error{fmt::format("{}; there is no whole previous generation, so nothing is started",
                                 current.error().message),
                     "run `ralph doctor`"};
    }
    auto kept = quarantine(paths.state());
    if (!kept) {
        return kept.error();
    }
    // At once: without a state the next start would take this for a new beginning.
    if (auto restored = write_file_durably(paths.state(), core::state_text(**previous)); !restored) {
        return restored.error();
    }
    return LoadedState{std::move(*previous),
                       fmt::format("{}; it is kept as {}, and the previous generation is used",
                                   current.error().message, *kept)};
}

Result<void> save_state(const Paths& paths, const std::string& text) {
    // A second link keeps the old generation whatever happens to the new one.
    const std::string spare = paths.previous_state() + ".new";
    if (auto removed = remove_file(spare); !removed) {
        return removed;
    }
    if (::link(paths.state().c_str(), spare.c_str()) == 0) {
        if (::rename(spare.c_str(), paths.previous_state().c_str()) != 0) {
            return system_error("rename", spare, errno);
        }
        static_cast<void>(remove_file(spare));  // rename() of two links to one file leaves both
    } else if (errno != ENOENT) {
        return system_error("link", paths.state(), errno);
    }
    return write_file_durably(paths.state(), text);
}

}  // namespace ralph::daemon
