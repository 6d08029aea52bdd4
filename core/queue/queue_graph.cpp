#include "core/queue/queue_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace ralph::core {
namespace {

struct Node {
    const Task* task;
    bool archived;

    [[nodiscard]] std::string_view id() const { return trimmed(task->id); }
    [[nodiscard]] std::string_view file() const { return archived ? "done.jsonc" : "queue.jsonc"; }
};

// For every node the nodes it refers to.
using Edges = std::vector<std::vector<std::size_t>>;

// All tasks of both files, queue first, and for every id the task it means: a copy that is not rejected, if
// there is one (contract section 1.5 allows rejected copies).
class Tasks {
  public:
    Tasks(const TaskFile& queue, const TaskFile& done) {
        nodes_.reserve(queue.tasks.size() + done.tasks.size());
        for (const Task& task : queue.tasks) {
            add(Node{&task, false});
        }
        for (const Task& task : done.tasks) {
            add(Node{&task, true});
        }
    }

    [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }

    [[nodiscard]] std::optional<std::size_t> find(std::string_view id) const {
        const auto found = by_id_.find(trimmed(id));
        return found == by_id_.end() ? std::nullopt : std::optional(found->second);
    }

    // References of a task to itself and to nothing are left out.
    template <class References>
    [[nodiscard]] Edges edges(References references) const {
        Edges all(nodes_.size());
        for (std::size_t from = 0; from < nodes_.size(); ++from) {
            references(*nodes_[from].task, [&](std::string_view id) {
                if (const auto to = find(id); to && nodes_[*to].id() != nodes_[from].id()) {
                    all[from].push_back(*to);
                }
            });
        }
        return all;
    }

  private:
    void add(Node node) {
        const auto [place, is_new] = by_id_.try_emplace(node.id(), nodes_.size());
        if (!is_new && nodes_[place->second].task->status == TaskStatus::rejected) {
            place->second = nodes_.size();
        }
        nodes_.push_back(node);
    }

    std::vector<Node> nodes_;
    std::unordered_map<std::string_view, std::size_t> by_id_;
};

struct Walk {
    std::vector<std::size_t> cycle;  // empty if there is none; otherwise each refers to the next
    std::vector<std::size_t> order;  // what a node refers to stands before it; complete only without a cycle
};

// Depth first with a stack of its own, since chains may be as long as the files.
Walk walk(const Edges& edges) {
    enum class Mark : unsigned char { unseen, open, closed };
    std::vector<Mark> marks(edges.size(), Mark::unseen);
    Walk result;
    std::vector<std::pair<std::size_t, std::size_t>> path;  // a node and its next edge
    for (std::size_t start = 0; start < edges.size(); ++start) {
        if (marks[start] != Mark::unseen) {
            continue;
        }
        marks[start] = Mark::open;
        path.emplace_back(start, 0);
        while (!path.empty()) {
            auto& [node, next] = path.back();
            if (next == edges[node].size()) {
                marks[node] = Mark::closed;
                result.order.push_back(node);
                path.pop_back();
                continue;
            }
            const std::size_t to = edges[node][next++];
            if (marks[to] == Mark::unseen) {
                marks[to] = Mark::open;
                path.emplace_back(to, 0);
            } else if (marks[to] == Mark::open) {
                auto entry = std::find_if(path.begin(), path.end(),
                                          [to](const auto& step) { return step.first == to; });
                for (; entry != path.end(); ++entry) {
                    result.cycle.push_back(entry->first);
                }
                return result;
            }
        }
    }
    return result;
}

// "RQ-0002 and RQ-0003 <relation> in a circle: RQ-0002 -> RQ-0003 -> RQ-0002"; long circles are shortened.
Error cycle_error(const std::vector<Node>& nodes, const std::vector<std::size_t>& cycle,
                  std::string_view relation, std::string_view key) {
    constexpr std::size_t shown = 6;
    const auto id = [&](std::size_t i) { return nodes[cycle[i]].id(); };
    std::string who = cycle.size() == 2 ? fmt::format("{} and {}", id(0), id(1))
                                        : fmt::format("{}, {} and {} more", id(0), id(1), cycle.size() - 2);
    std::string circle;
    for (std::size_t i = 0; i < std::min(shown, cycle.size()); ++i) {
        circle += fmt::format("{} -> ", id(i));
    }
    if (cycle.size() > shown) {
        circle += fmt::format("({} more) -> ", cycle.size() - shown);
    }
    const bool in_queue =
        std::any_of(cycle.begin(), cycle.end(), [&](std::size_t i) { return !nodes[i].archived; });
    return Error{fmt::format("{} {} in a circle: {}{}", who, relation, circle, id(0)),
                 fmt::format("remove one of the {} in {}", key, in_queue ? "queue.jsonc" : "done.jsonc")};
}

Error self_error(const Node& node, std::string_view key) {
    return Error{fmt::format("{} names itself in {}", node.id(), key),
                 fmt::format("remove it there in {}", node.file())};
}

Error unknown_error(const Node& node, std::string_view key, std::string_view id) {
    return Error{fmt::format("{} names \"{}\" in {}, a task neither in queue.jsonc nor in done.jsonc",
                             node.id(), trimmed(id), key),
                 fmt::format("remove it there in {} or correct it", node.file())};
}

// Blank entries are passed over, as the Rust tools pass over them.
Result<void> check_references(const Tasks& tasks, const Node& node, std::string_view key,
                              const std::vector<std::string>& ids) {
    for (const std::string& id : ids) {
        if (trimmed(id).empty()) {
            continue;
        }
        if (trimmed(id) == node.id()) {
            return self_error(node, key);
        }
        if (!tasks.find(id)) {
            return unknown_error(node, key, id);
        }
    }
    return {};
}

void warn(std::vector<std::string>& warnings, std::string message, std::string remedy) {
    warnings.push_back(Error{std::move(message), std::move(remedy)}.line());
}

// One line for the deepest chain, however many are too deep: a chain of thousands has thousands of tails.
void warn_about_depth(const Tasks& tasks, const Edges& edges, const std::vector<std::size_t>& order,
                      std::uint32_t most, std::vector<std::string>& warnings) {
    const std::vector<Node>& nodes = tasks.nodes();
    std::vector<std::size_t> depths(nodes.size(), 0);
    std::size_t too_deep = 0;
    std::size_t deepest = 0;
    for (const std::size_t node : order) {
        if (nodes[node].archived) {
            continue;
        }
        for (const std::size_t to : edges[node]) {
            if (!nodes[to].archived) {
                depths[node] = std::max(depths[node], depths[to] + 1);
            }
        }
        too_deep += depths[node] > most ? 1 : 0;
        deepest = depths[node] > depths[deepest] ? node : deepest;
    }
    if (too_deep > 0) {
        warn(warnings,
             fmt::format("{} stands at the end of a chain of {} dependencies, more than {}{}",
                         nodes[deepest].id(), depths[deepest], most,
                         too_deep > 1 ? fmt::format(" ({} more tasks have such a chain)", too_deep - 1) : ""),
             "shorten the chain or raise queue.max_dependency_depth");
    }
}

Result<void> check_dependencies(const Tasks& tasks, std::uint32_t max_depth,
                                std::vector<std::string>& warnings) {
    for (const Node& node : tasks.nodes()) {
        TRY(check_references(tasks, node, "depends_on", node.task->depends_on));
    }
    const Edges edges = tasks.edges([](const Task& task, const auto& add) {
        std::for_each(task.depends_on.begin(), task.depends_on.end(), add);
    });
    const Walk walked = walk(edges);
    if (!walked.cycle.empty()) {
        return cycle_error(tasks.nodes(), walked.cycle, "depend on each other", "dependencies");
    }
    for (std::size_t from = 0; from < edges.size(); ++from) {
        const Node& node = tasks.nodes()[from];
        for (const std::size_t to : edges[from]) {
            const Node& target = tasks.nodes()[to];
            if (target.task->status == TaskStatus::rejected && !is_terminal(node.task->status)) {
                warn(warnings, fmt::format("{} depends on {}, which was rejected", node.id(), target.id()),
                     "remove the dependency if the task no longer needs it, or reject the task too");
            }
        }
    }
    warn_about_depth(tasks, edges, walked.order, max_depth, warnings);
    return {};
}

Result<void> check_blocks(const Tasks& tasks) {
    for (const Node& node : tasks.nodes()) {
        TRY(check_references(tasks, node, "blocks", node.task->blocks));
    }
    const Walk walked = walk(tasks.edges([](const Task& task, const auto& add) {
        std::for_each(task.blocks.begin(), task.blocks.end(), add);
    }));
    if (!walked.cycle.empty()) {
        return cycle_error(tasks.nodes(), walked.cycle, "block each other", "blocks entries");
    }
    return {};
}

Result<void> check_relationships(const Tasks& tasks, std::vector<std::string>& warnings) {
    TRY(check_blocks(tasks));
    for (const Node& node : tasks.nodes()) {
        TRY(check_references(tasks, node, "relates_to", node.task->relates_to));
    }
    for (const Node& node : tasks.nodes()) {
        if (!node.task->duplicates) {
            continue;
        }
        if (trimmed(*node.task->duplicates) == node.id()) {
            return self_error(node, "duplicates");
        }
        const auto original = tasks.find(*node.task->duplicates);
        if (!original) {
            return unknown_error(node, "duplicates", *node.task->duplicates);
        }
        const Node& target = tasks.nodes()[*original];
        if (is_terminal(target.task->status) && !is_terminal(node.task->status)) {
            warn(warnings,
                 fmt::format("{} duplicates {}, which is {}", node.id(), target.id(),
                             to_string(target.task->status)),
                 "reject the duplicate if nothing of it is left to do");
        }
    }
    return {};
}

Result<void> check_parents(const Tasks& tasks, std::vector<std::string>& warnings) {
    for (const Node& node : tasks.nodes()) {
        if (!node.task->parent_id || is_terminal(node.task->status)) {
            continue;
        }
        const std::string_view parent = trimmed(*node.task->parent_id);
        if (parent == node.id()) {
            warn(warnings, fmt::format("{} is its own parent", node.id()), "remove its parent_id");
        } else if (!parent.empty() && !tasks.find(parent)) {
            warn(warnings,
                 fmt::format("{} has the parent \"{}\", a task neither in queue.jsonc nor in done.jsonc",
                             node.id(), parent),
                 "remove its parent_id or correct it");
        }
    }
    const Walk walked = walk(tasks.edges([](const Task& task, const auto& add) {
        if (task.parent_id) {
            add(*task.parent_id);
        }
    }));
    if (!walked.cycle.empty()) {
        return cycle_error(tasks.nodes(), walked.cycle, "are each other's parents", "parent_id entries");
    }
    return {};
}

}  // namespace

Result<std::vector<std::string>> check_relations(const TaskFile& queue, const TaskFile& done,
                                                 std::uint32_t max_dependency_depth) {
    const Tasks tasks(queue, done);
    std::vector<std::string> warnings;
    TRY(check_dependencies(tasks, max_dependency_depth, warnings));
    TRY(check_relationships(tasks, warnings));
    TRY(check_parents(tasks, warnings));
    return warnings;
}

}  // namespace ralph::core
