#include "core/landing/partitions.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "core/base/check.h"
#include "core/queue/task.h"

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

// Which tasks have something in common, also by way of a third one.
class Scopes {
  public:
    explicit Scopes(std::size_t tasks) : first_(tasks) { std::iota(first_.begin(), first_.end(), 0); }

    // In the order of the paths, so that a folder comes before what is below it. Joins the task with those
    // that have named the path or a folder above it.
    void add(std::string_view path, std::size_t task) {
        for (std::size_t end = 0; end != std::string_view::npos && end <= path.size();) {
            const auto owner = owners_.find(path.substr(0, end));
            if (owner != owners_.end()) {
                join(owner->second, task);
            }
            end =
                end == path.size() ? std::string_view::npos : std::min(path.find('/', end + 1), path.size());
        }
        owners_.emplace(path, task);
    }
    void join(std::size_t left, std::size_t right) {
        const std::size_t one = of(left);
        const std::size_t other = of(right);
        first_[std::max(one, other)] = std::min(one, other);
    }
    // The first of those that the task belongs to.
    [[nodiscard]] std::size_t of(std::size_t task) const {
        while (first_[task] != task) {
            task = first_[task];
        }
        return task;
    }

  private:
    std::vector<std::size_t> first_;
    std::map<std::string_view, std::size_t> owners_;
};

std::vector<Positions> split_by_scope(const std::vector<Change>& changes, const Positions& tasks) {
    std::set<std::pair<std::string_view, std::size_t>> paths;
    std::optional<std::size_t> without_scope;
    Scopes scopes(changes.size());
    for (const std::size_t task : tasks) {
        for (const std::string& path : changes[task].scope) {
            paths.emplace(folder_of(path), task);
        }
        for (const std::string& path : changes[task].files) {
            paths.emplace(path, task);
        }
        if (changes[task].scope.empty()) {
            scopes.join(without_scope.value_or(task), task);
            without_scope = task;
        }
    }
    for (const auto& [path, task] : paths) {
        scopes.add(path, task);
    }
    std::map<std::size_t, Positions> partitions;
    for (const std::size_t task : tasks) {
        partitions[scopes.of(task)].push_back(task);
    }
    std::vector<Positions> split;
    for (auto& [first, partition] : partitions) {
        split.push_back(std::move(partition));
    }
    return split;
}

// Each goes to the partition that has the fewest so far.
std::vector<Positions> join_partitions(std::vector<Positions> partitions, std::size_t most) {
    std::vector<Positions> merged;
    for (Positions& partition : partitions) {
        if (merged.size() < most) {
            merged.push_back(std::move(partition));
            continue;
        }
        Positions& fewest = *std::min_element(
            merged.begin(), merged.end(),
            [](const Positions& left, const Positions& right) { return left.size() < right.size(); });
        fewest.insert(fewest.end(), partition.begin(), partition.end());
    }
    return merged;
}

}  // namespace

std::vector<std::vector<std::string>> group_changes(const std::vector<Change>& changes,
                                                    const PartitionRules& rules) {
    CHECK(rules.partitions > 0 && rules.max > 0);
    std::vector<Positions> groups;
    Positions others;
    for (std::size_t i = 0; i < changes.size(); ++i) {
        if (changes[i].is_barrier) {
            groups.push_back({i});
        } else {
            others.push_back(i);
        }
    }
    std::vector<Positions> partitions{others};
    if (rules.by_scope) {
        partitions = join_partitions(split_by_scope(changes, others), rules.partitions);
    }
    for (Positions& partition : partitions) {
        std::sort(partition.begin(), partition.end());
        for (std::size_t begin = 0; begin < partition.size(); begin += rules.max) {
            const auto first = partition.begin() + static_cast<std::ptrdiff_t>(begin);
            const auto count = static_cast<std::ptrdiff_t>(std::min(rules.max, partition.size() - begin));
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
