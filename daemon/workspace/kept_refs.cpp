#include "daemon/workspace/kept_refs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <tuple>

#include "core/queue/queue_validation.h"
#include "daemon/store/expiry_notes.h"
#include "daemon/workspace/bookkeeping.h"

namespace ralph::daemon {
namespace {

using core::Error;
using core::Result;

constexpr std::string_view all_kept = "refs/ralph/kept/";
constexpr std::string_view all_landed = "refs/ralph/landed/";
constexpr const char* list_command = "see `ralph kept list`";

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
    Number value{};
    const char* const end = text.data() + text.size();
    const auto [rest, problem] = std::from_chars(text.data(), end, value);
    return problem == std::errc{} && rest == end ? std::optional(value) : std::nullopt;
}

struct KeptName {
    std::string_view task_id;
    std::optional<std::uint32_t> number;  // nothing: the newest
};

// "<task>/<n>". A task id is never more than a plain name, so that it cannot lead to another ref.
std::optional<KeptName> parse_kept_name(std::string_view text) {
    const std::size_t slash = text.rfind('/');
    KeptName name{text.substr(0, slash), std::nullopt};
    if (slash != std::string_view::npos) {
        name.number = parse_number<std::uint32_t>(text.substr(slash + 1));
        if (!name.number || *name.number == 0) {
            return std::nullopt;
        }
    }
    return core::is_safe_task_id(name.task_id) ? std::optional(name) : std::nullopt;
}

std::string landed_name(std::string_view task_id, std::uint32_t number) {
    return fmt::format("{}{}/{}", all_landed, task_id, number);
}

// The rest of the line of the message that begins so.
std::string line_of(std::string_view message, std::string_view begin) {
    const std::string wanted = "\n" + std::string(begin);
    const std::size_t at = message.find(wanted);
    if (at == std::string_view::npos) {
        return {};
    }
    const std::string_view rest = message.substr(at + wanted.size());
    return std::string(rest.substr(0, rest.find('\n')));
}

Result<std::map<std::string, std::string>> list_landed(const Git& repository) {
    TRY_ASSIGN(auto text, repository.output({"for-each-ref", "--format=%(refname)%00%(objectname)%00",
                                             std::string(all_landed)}));
    std::map<std::string, std::string> landed;
    const auto fields = split_at_nul(text);
    for (std::size_t i = 0; i + 2 <= fields.size(); i += 2) {
        landed.emplace(fields[i].substr(fields[i].find_first_not_of('\n')), fields[i + 1]);
    }
    return landed;
}

}  // namespace

std::string kept_prefix(std::string_view task_id) {
    return fmt::format("{}{}/", all_kept, task_id);
}

Result<std::vector<KeptRef>> list_kept(const Git& repository, std::string_view task_id) {
    auto text = repository.output({"for-each-ref",
                                   "--format=%(refname)%00%(objectname)%00%(tree)%00%(parent)%00"
                                   "%(committerdate:unix)%00%(contents)%00",
                                   task_id.empty() ? std::string(all_kept) : kept_prefix(task_id)});
    auto landed = list_landed(repository);
    if (!text || !landed) {
        return text ? landed.error() : text.error();
    }
    std::vector<KeptRef> refs;
    const auto fields = split_at_nul(*text);
    for (std::size_t i = 0; i + 6 <= fields.size(); i += 6) {
        KeptRef ref;
        ref.name = fields[i].substr(fields[i].find_first_not_of('\n'));
        const auto name = parse_kept_name(std::string_view(ref.name).substr(all_kept.size()));
        if (!name || !name->number) {
            continue;
        }
        ref.task_id = name->task_id;
        ref.number = *name->number;
        ref.object = fields[i + 1];
        ref.tree = fields[i + 2];
        ref.parents = fields[i + 3];
        ref.committed = parse_number<std::int64_t>(fields[i + 4]).value_or(0);
        ref.message = fields[i + 5];
        ref.base = line_of(ref.message, kept_base_line);
        if (!is_object_name(ref.base)) {
            ref.base.clear();
        }
        ref.task_created = line_of(ref.message, kept_created_line);
        ref.is_side = ref.message.find(kept_side_line) != std::string::npos;
        const auto mark = landed->find(landed_name(ref.task_id, ref.number));
        ref.is_landed = mark != landed->end() && mark->second == ref.object;
        refs.push_back(std::move(ref));
    }
    std::sort(refs.begin(), refs.end(), [](const KeptRef& left, const KeptRef& right) {
        return std::tie(left.task_id, left.number) < std::tie(right.task_id, right.number);
    });
    return refs;
}

Result<KeptRef> find_kept(const Git& repository, const std::string& name) {
    const auto wanted = parse_kept_name(name);
    if (!wanted) {
        return Error{fmt::format("\"{}\" names no kept work; write TASK, or TASK/N", name), list_command};
    }
    TRY_ASSIGN(auto refs, list_kept(repository, wanted->task_id));
    if (refs.empty()) {
        return Error{fmt::format("nothing is kept of {}", wanted->task_id), list_command};
    }
    if (!wanted->number) {
        return std::move(refs.back());
    }
    for (KeptRef& ref : refs) {
        if (ref.number == *wanted->number) {
            return std::move(ref);
        }
    }
    return Error{fmt::format("there is no kept work {} of {}; the newest is {}", *wanted->number,
                             wanted->task_id, refs.back().number),
                 list_command};
}

namespace {

// One that does not tell its task is another's if it was kept before this one was made.
bool is_of_task(const KeptRef& ref, const std::string& task_created) {
    if (task_created.empty() || !ref.task_created.empty()) {
        return task_created.empty() || ref.task_created == task_created;
    }
    const auto created = core::parse_rfc3339(task_created);
    return !created || ref.kept_at() + std::chrono::seconds{1} > created->instant;
}

}  // namespace

Result<std::optional<KeptRef>> kept_to_go_on_from(const Git& repository, std::string_view task_id,
                                                  const std::string& task_created) {
    TRY_ASSIGN(auto refs, list_kept(repository, task_id));
    for (auto ref = refs.rbegin(); ref != refs.rend(); ++ref) {
        if (!ref->is_side && !ref->is_landed && is_object_name(ref->parents) &&
            is_of_task(*ref, task_created)) {
            return std::optional(std::move(*ref));
        }
    }
    return std::optional<KeptRef>{};
}

Result<void> mark_kept_landed(const Git& repository, std::string_view task_id) {
    TRY_ASSIGN(auto refs, list_kept(repository, task_id));
    for (const KeptRef& ref : refs) {
        if (ref.is_landed) {
            continue;
        }
        auto set = repository.expect({"update-ref", landed_name(ref.task_id, ref.number), ref.object});
        if (!set) {
            return set;
        }
    }
    return {};
}

core::Instant kept_until(const Settings& settings, const KeptRef& ref) {
    return ref.kept_at() + settings.supervisor.kept_work_retention;
}

Result<void> delete_kept(const Git& repository, const KeptRef& ref) {
    TRY(repository.expect({"update-ref", "-d", ref.name, ref.object}));
    return repository.expect({"update-ref", "-d", landed_name(ref.task_id, ref.number)});
}

Result<PrunedKept> prune_kept_work(const Settings& settings, core::Moment now) {
    const Git repository(settings.paths.root);
    auto landed = list_landed(repository);
    auto kept = list_kept(repository, "");
    if (!landed || !kept) {
        return landed ? kept.error() : landed.error();
    }
    PrunedKept pruned;
    std::set<std::string> marks;
    const core::Milliseconds retention = settings.supervisor.kept_work_retention;
    const core::ExpiryNotes before = load_expiry_notes(settings.paths, Kept::refs, now);
    core::ExpiryLook look(before, now.monotonic);
    for (KeptRef& ref : *kept) {
        const bool is_expired = kept_until(settings, ref) < now.wall;
        const std::string name = ref.name + " " + ref.object;
        if (is_expired && look.is_confirmed(name, retention)) {
            TRY(delete_kept(repository, ref));
            pruned.removed.push_back(std::move(ref));
            continue;
        }
        marks.insert(landed_name(ref.task_id, ref.number));
        if (is_expired) {
            pruned.noted.push_back(std::move(ref));
        }
    }
    if (look.notes() != before) {
        TRY(save_expiry_notes(settings.paths, Kept::refs, look.notes(), now));
    }
    // Marks whose kept work is gone, deleted by hand or by a prune that was killed.
    for (const auto& [name, object] : *landed) {
        if (marks.count(name) == 0) {
            TRY(repository.expect({"update-ref", "-d", name, object}));
        }
    }
    return pruned;
}

Result<KeptSummary> summarize_kept(const Git& repository, const KeptRef& ref) {
    const std::string parent = ref.object + "^";
    KeptSummary summary;
    auto base = ref.base.empty() ? Result<bool>{false} : repository.is_ancestor(ref.base, parent);
    if (base && *base) {
        summary.base = ref.base;
    } else {
        // "-<commit>": where what origin does not have begins.
        TRY_ASSIGN(auto boundary,
                   repository.output({"rev-list", "--boundary", parent, "--not", "--remotes=origin"}));
        const std::size_t at = boundary.rfind('-');
        TRY_ASSIGN(auto tip, repository.line({"rev-parse", "--verify", "--end-of-options", parent}));
        summary.base = at == std::string::npos ? tip : boundary.substr(at + 1, tip.size());
    }
    auto commits = repository.line({"rev-list", "--count", fmt::format("{}..{}", summary.base, parent)});
    auto tree = repository.line({"rev-parse", "--verify", "--end-of-options", parent + "^{tree}"});
    auto files =
        repository.output({"diff-tree", "-r", "-z", "--name-only", "--no-renames", summary.base, ref.object});
    if (!commits || !tree || !files) {
        return !commits ? commits.error() : (tree ? files.error() : tree.error());
    }
    summary.commits = parse_number<std::uint32_t>(*commits).value_or(0);
    summary.has_uncommitted = *tree != ref.tree;
    summary.files = static_cast<std::uint32_t>(split_at_nul(*files).size());
    return summary;
}

}  // namespace ralph::daemon
