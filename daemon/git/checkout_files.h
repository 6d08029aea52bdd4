// Which files differ between two commits, and how far each of them has come in the working tree.
#pragma once

#include <string>
#include <vector>

#include "daemon/git/checkout_move.h"

namespace ralph::daemon {

struct FileChange {
    std::string path;
    std::string from_mode;  // "100644"; "000000": not there
    std::string to_mode;
    std::string from;  // the object
    std::string to;
};

[[nodiscard]] Result<std::vector<FileChange>> changes_of(const Git& git, const Move& move);

struct Progress {
    std::vector<FileChange> arrived;   // as the later commit has them
    std::vector<std::string> torn;     // beginnings of that, to be removed; missing ones are not named
    std::vector<std::string> foreign;  // neither, nor as the earlier commit has them: the user's
    bool begun = false;                // any of them is not as the earlier commit has it
};

[[nodiscard]] Result<Progress> progress_of(const Git& git, const Move& move,
                                           const std::vector<FileChange>& changes);

}  // namespace ralph::daemon
