// Which variables must not reach other programs.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace ralph::daemon {

// Variables that bind git to one repository (`git rev-parse --local-env-vars`, without those that carry
// configuration). A git hook or alias that starts ralph sets them; a worker that inherited them would work in
// the wrong repository.
[[nodiscard]] inline bool names_git_repository(std::string_view name) {
    static constexpr std::array<std::string_view, 15> names{"GIT_DIR",
                                                            "GIT_WORK_TREE",
                                                            "GIT_INDEX_FILE",
                                                            "GIT_OBJECT_DIRECTORY",
                                                            "GIT_COMMON_DIR",
                                                            "GIT_NAMESPACE",
                                                            "GIT_PREFIX",
                                                            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                                                            "GIT_GRAFT_FILE",
                                                            "GIT_REPLACE_REF_BASE",
                                                            "GIT_SHALLOW_FILE",
                                                            "GIT_INTERNAL_SUPER_PREFIX",
                                                            "GIT_QUARANTINE_PATH",
                                                            "GIT_NO_REPLACE_OBJECTS",
                                                            "GIT_IMPLICIT_WORK_TREE"};
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace ralph::daemon
