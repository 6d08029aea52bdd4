// How the tasks of an integrate run are grouped before any of them is tried: those of a group share one run
// of the gate.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace ralph::core {

struct Change {
    std::string task_id;
    std::vector<std::string> scope;  // as the task declares it: paths, folders or patterns
    std::vector<std::string> files;  // that it changes
    bool is_barrier = false;         // passes the gate with nobody else
};

struct PartitionRules {
    bool by_scope = false;
    std::size_t partitions = 1;  // the most of them, barriers apart
    std::size_t max = 1;         // the most tasks of a group
};

// `changes` in the order of the queue, which is kept within each group, and in which the groups begin.
// By scope: who has a path in common with another one, declared or changed, is in one partition with it, and
// all that declare nothing share one. A folder holds what is below it, and a pattern stands for the folder
// that it begins in.
[[nodiscard]] std::vector<std::vector<std::string>> group_changes(const std::vector<Change>& changes,
                                                                  const PartitionRules& rules);

}  // namespace ralph::core
