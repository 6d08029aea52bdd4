#include "daemon/store/state_store.h"

#include <fmt/format.h>

#include "core/state_codec.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t state_limit = 64ULL << 20;

Result<std::string> quarantine(const std::string& path) {
    for (int number = 1; number < 1000; ++number) {
        std::string target = fmt::format("{}.quarantine-{}", path, number);
        if (!path_exists(target)) {
            if (auto renamed = rename_durably(path, target); !renamed) {
                return renamed.error();
            }
            return target;
        }
    }
    return Error{fmt::format("{}: a thousand unreadable states are kept here", path),
                 "remove the oldest ones"};
}

Result<core::ParallelState> understand(std::string text, const std::string& path) {
    auto document = core::JsonDocument::parse(std::move(text), path);
    if (!document) {
        return document.error();
    }
    return core::read_state(*document);
}

}  // namespace

Result<std::optional<core::ParallelState>> read_state_file(const std::string& path) {
    auto text = read_file(path, state_limit);
    if (!text) {
        return text.error();
    }
    if (!*text) {
        return std::optional<core::ParallelState>{};
    }
    auto state = understand(std::move(**text), path);
    if (!state) {
        return state.error();
    }
    return std::optional(std::move(*state));
}

// A file that cannot be read now (no descriptor left, an I/O error) may well be whole: that is no reason to
// do without it.
Result<LoadedState> load_state(const Paths& paths) {
    auto text = read_file(paths.state(), state_limit);
    if (!text) {
        return text.error();
    }
    if (!*text) {
        return LoadedState{};
    }
    auto current = understand(std::move(**text), paths.state());
    if (current) {
        return LoadedState{std::move(*current), ""};
    }
    auto previous = read_state_file(paths.previous_state());
    if (!previous || !*previous) {
        return Error{fmt::format("{}; there is no whole previous generation", current.error().message),
                     "mend the file, or move it away if you are sure that no worker runs"};
    }
    auto kept = quarantine(paths.state());
    if (!kept) {
        return kept.error();
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
    auto linked = link_file(paths.state(), spare);
    if (!linked) {
        return linked.error();
    }
    if (*linked) {
        if (auto moved = move(spare, paths.previous_state()); !moved) {
            return moved.error();
        }
        static_cast<void>(remove_file(spare));  // rename() of two links to one file leaves both
    }
    return write_file_durably(paths.state(), text);
}

}  // namespace ralph::daemon
