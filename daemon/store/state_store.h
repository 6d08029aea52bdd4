// state.json and its previous generation on disk.
#pragma once

#include <optional>
#include <string>

#include "core/supervisor/state.h"
#include "daemon/os/files.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {

struct LoadedState {
    std::optional<core::ParallelState> state;  // nothing: there is no state yet
    std::string warning;                       // what had to be quarantined, if anything
};

// Reads state.json; a missing file is no state, whatever the previous generation says, since removing it is
// how the Rust tools' users start over. If it cannot be read or understood it is kept as
// state.json.quarantine-<n> for a person to look at, and the previous generation takes its place if that is
// whole. If neither is, an error that changes nothing: nothing may start until `ralph doctor --fix`, or a
// person, has resolved it. A previous generation that cannot be understood is quarantined, too, once the
// state itself is whole: the next save must not write over it. A caller must hold the supervisor's lock.
[[nodiscard]] Result<LoadedState> load_state(const Paths& paths);

// The same without setting anything aside: for readers that hold no lock. A state of a newer version is an
// error, although the Rust tools would take it: what we do not know we would lose with the next save.
[[nodiscard]] Result<std::optional<core::ParallelState>> read_state_file(const std::string& path);

// Keeps what is at `path` as <path>.quarantine-<n> and returns that name. A file stays at its old place, too,
// until something is written over it, so that no crash leaves a moment without it; anything else is renamed.
[[nodiscard]] Result<std::string> quarantine(const std::string& path);

// Makes `text` the durable state; what was the state becomes the previous generation. At every instant one of
// the two is a complete document. Runs on the helper thread: it waits for the disk.
[[nodiscard]] Result<void> save_state(const Paths& paths, const std::string& text);

}  // namespace ralph::daemon
