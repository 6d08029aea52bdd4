#include "core/queue/queue_merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <optional>
#include <set>
#include <string>

#include "core/queue/task_codec.h"

namespace ralph::core {
namespace {

namespace json = boost::json;

// Times of which the later one is true of both.
constexpr std::array<std::string_view, 3> times{"updated_at", "completed_at", "started_at"};

const json::value* find(const json::object& object, std::string_view key) {
    return object.if_contains({key.data(), key.size()});
}

bool same(const json::value* left, const json::value* right) {
    return left == nullptr || right == nullptr ? left == right : *left == *right;
}

bool contains(const json::array& items, const json::value& item) {
    return std::find(items.begin(), items.end(), item) != items.end();
}

// What is in either, but for what one of them has taken out.
json::array merge_lists(const json::array& base, const json::array& ours, const json::array& theirs) {
    json::array merged;
    for (const json::value& item : ours) {
        if (contains(theirs, item) || !contains(base, item)) {
            merged.push_back(item);
        }
    }
    for (const json::value& item : theirs) {
        if (!contains(ours, item) && !contains(base, item)) {
            merged.push_back(item);
        }
    }
    return merged;
}

// Nothing: the sides mean different things.
std::optional<json::value> merge_values(std::string_view key, const json::value* base,
                                        const json::value& ours, const json::value& theirs) {
    if (std::find(times.begin(), times.end(), key) != times.end() && ours.is_string() && theirs.is_string()) {
        return std::max(ours.get_string(), theirs.get_string());
    }
    if (ours.is_array() && theirs.is_array()) {
        return merge_lists(base != nullptr && base->is_array() ? base->get_array() : json::array{},
                           ours.get_array(), theirs.get_array());
    }
    return std::nullopt;
}

Result<Task> merge_task(const Task* base_task, const Task& our_task, const Task& their_task) {
    const json::object base = base_task == nullptr ? json::object{} : write_task(*base_task);
    const json::object ours = write_task(our_task);
    const json::object theirs = write_task(their_task);
    json::object merged;
    const auto merge = [&](std::string_view key) -> Result<void> {
        const json::value* const before = find(base, key);
        const json::value* const our = find(ours, key);
        const json::value* const their = find(theirs, key);
        const bool is_ours = same(our, their) || same(their, before);
        if (is_ours || same(our, before)) {
            if (const json::value* const chosen = is_ours ? our : their; chosen != nullptr) {
                merged[{key.data(), key.size()}] = *chosen;
            }
            return {};
        }
        auto both =
            our != nullptr && their != nullptr ? merge_values(key, before, *our, *their) : std::nullopt;
        if (!both) {
            return Error{fmt::format("{}: both sides have changed its `{}`", our_task.id, key),
                         "edit the file by hand"};
        }
        merged[{key.data(), key.size()}] = std::move(*both);
        return {};
    };
    std::set<std::string, std::less<>> keys;
    for (const json::object* const side : {&ours, &theirs}) {
        for (const auto& member : *side) {
            if (keys.emplace(member.key()).second) {
                TRY(merge({member.key().data(), member.key().size()}));
            }
        }
    }
    TRY_ASSIGN(const auto document, JsonDocument::parse(json::serialize(merged), "merged task"));
    return read_task(document);
}

// Where a task that only the other side has belongs: after the one that it follows there.
std::vector<Task>::iterator place_of(std::vector<Task>& merged, const TaskFile& theirs, std::size_t index) {
    for (std::size_t before = index; before-- > 0;) {
        const auto found = std::find_if(merged.begin(), merged.end(),
                                        [&](const Task& task) { return task.id == theirs.tasks[before].id; });
        if (found != merged.end()) {
            return found + 1;
        }
    }
    return index == 0 ? merged.begin() : merged.end();
}

Result<void> check_unique(const TaskFile& file) {
    std::set<std::string_view> ids;
    for (const Task& task : file.tasks) {
        if (!ids.insert(trimmed(task.id)).second) {
            return Error{fmt::format("{}: is held twice", task.id), "merge the file by hand"};
        }
    }
    return {};
}

}  // namespace

Result<TaskFile> merge_task_files(const TaskFile& base, const TaskFile& ours, const TaskFile& theirs) {
    for (const TaskFile* const file : {&base, &ours, &theirs}) {
        TRY(check_unique(*file));
    }
    TaskFile merged;
    for (const Task& our : ours.tasks) {
        const Task* const before = base.find(our.id);
        const Task* const their = theirs.find(our.id);
        if (their == nullptr && before != nullptr) {
            continue;  // they have removed or archived it
        }
        if (their == nullptr) {
            merged.tasks.push_back(our);
            continue;
        }
        if (before == nullptr && our.created_at != their->created_at) {
            return Error{fmt::format("{}: two tasks were added under this id", our.id),
                         "give one of them another id by hand"};
        }
        TRY_ASSIGN(auto task, merge_task(before, our, *their));
        merged.tasks.push_back(std::move(task));
    }
    for (std::size_t i = 0; i < theirs.tasks.size(); ++i) {
        const Task& their = theirs.tasks[i];
        if (ours.find(their.id) == nullptr && base.find(their.id) == nullptr) {
            merged.tasks.insert(place_of(merged.tasks, theirs, i), their);
        }
    }
    return merged;
}

}  // namespace ralph::core
