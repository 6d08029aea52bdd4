#include "core/lanes.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/task.h"

namespace ralph::core {
namespace {

using Positions = std::vector<std::size_t>;  // in `changes`, ascending

// "./src/**" is "src"; the whole repository is empty.
std::string_view folder_of(std::string_view path) {
    path = trimmed(path);
    const std::size_t pattern = path.find_first_of("*?[{");
    if (pattern != std::string_view::npos) {
        const std::size_t slash = path.substr(0, pattern).rfind('/');
        path = path.substr(0, slash == std::string_view::npos ? 0 : slash);
    }
    while (!path.empty() && path.back() == '/') {
        path.remove_suffix(1);
    }
    while (path.substr(0, 2) == "./" || path.substr(0, 1) == "/") {
        path.remove_prefix(path.front() == '/' ? 1 : 2);
    }
    return path == "." ? std::string_view{} : path;
}

bool contains(std::string_view folder, std::string_view path) {
    return folder.empty() || (path.substr(0, folder.size()) == folder &&
                              (path.size() == folder.size() || path[folder.size()] == '/'));
}

bool belong_together(const Change& left, const Change& right) {
    if (left.scope.empty() && right.scope.empty()) {
        return true;
    }
    for (const auto* const mine : {&left.scope, &left.files}) {
        for (const auto* const theirs : {&right.scope, &right.files}) {
            for (const std::string& path : *mine) {
                if (std::any_of(theirs->begin(), theirs->end(),
                                [&path](const std::string& other) { return paths_overlap(path, other); })) {
                    return true;
                }
            }
        }
    }
    return false;
}

// Who belongs together, also by way of a third one.
std::vector<Positions> split_by_scope(const std::vector<Change>& changes, const Positions& tasks) {
    std::vector<Positions> lanes;
    for (const std::size_t task : tasks) {
        Positions joined{task};
        for (auto lane = lanes.begin(); lane != lanes.end();) {
            const bool joins = std::any_of(lane->begin(), lane->end(), [&](std::size_t other) {
                return belong_together(changes[task], changes[other]);
            });
            if (joins) {
                joined.insert(joined.end(), lane->begin(), lane->end());
                lane = lanes.erase(lane);
            } else {
                ++lane;
            }
        }
        lanes.push_back(std::move(joined));
    }
    return lanes;
}

// Each goes to the lane that has the fewest so far.
std::vector<Positions> merge_lanes(std::vector<Positions> lanes, std::size_t most) {
    std::vector<Positions> merged;
    for (Positions& lane : lanes) {
        if (merged.size() < most) {
            merged.push_back(std::move(lane));
            continue;
        }
        Positions& fewest = *std::min_element(
            merged.begin(), merged.end(),
            [](const Positions& left, const Positions& right) { return left.size() < right.size(); });
        fewest.insert(fewest.end(), lane.begin(), lane.end());
    }
    return merged;
}

}  // namespace

bool paths_overlap(std::string_view left, std::string_view right) {
    const std::string_view one = folder_of(left);
    const std::string_view other = folder_of(right);
    return contains(one, other) || contains(other, one);
}

std::vector<std::vector<std::string>> group_changes(const std::vector<Change>& changes,
                                                    const LaneRules& rules) {
    CHECK(rules.lanes > 0 && rules.max > 0);
    std::vector<Positions> groups;
    Positions others;
    for (std::size_t i = 0; i < changes.size(); ++i) {
        if (changes[i].is_barrier) {
            groups.push_back({i});
        } else {
            others.push_back(i);
        }
    }
    std::vector<Positions> lanes{others};
    if (rules.by_scope) {
        lanes = merge_lanes(split_by_scope(changes, others), rules.lanes);
    }
    for (Positions& lane : lanes) {
        std::sort(lane.begin(), lane.end());
        for (std::size_t begin = 0; begin < lane.size(); begin += rules.max) {
            const auto first = lane.begin() + static_cast<std::ptrdiff_t>(begin);
            const auto count = static_cast<std::ptrdiff_t>(std::min(rules.max, lane.size() - begin));
            groups.emplace_back(first, first + count);
        }
    }
    std::sort(groups.begin(), groups.end());
    std::vector<std::vector<std::string>> named;
    for (const Positions& group : groups) {
        std::vector<std::string>& tasks = named.emplace_back();
        for (const std::size_t position : group) {
            tasks.push_back(changes[position].task_id);
        }
    }
    return named;
}

}  // namespace ralph::core
