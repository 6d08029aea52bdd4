#include "daemon/steps/integration_workspace.h"

#include <fmt/format.h>

#include <utility>

#include "daemon/steps/large_files.h"
#include "daemon/steps/seeding.h"
#include "daemon/steps/workspace.h"
#include "daemon/steps/workspace_settings.h"
#include "daemon/store/files.h"

namespace ralph::daemon {
namespace {

constexpr std::string_view work_prefix = "refs/ralph/work/";
constexpr std::string_view landing_prefix = "refs/ralph/landing/";
// Of git alone; the gates have their own.
constexpr core::Milliseconds patience = std::chrono::minutes{30};
constexpr const char* synced = "core.fsync=all";
constexpr const char* incoming_ref = "refs/ralph/incoming";

}  // namespace

std::string work_ref(std::string_view task_id) {
    return std::string(work_prefix) + std::string(task_id);
}

std::string landing_ref(std::string_view task_id) {
    return std::string(landing_prefix) + std::string(task_id);
}

IntegrationWorkspace::IntegrationWorkspace(const StepContext& context, std::string name)
    : context_(&context),
      name_(std::move(name)),
      git_(Git(context.settings.workspace_root + "/" + name_).within(patience)) {}

core::Result<IntegrationWorkspace> IntegrationWorkspace::open(const StepContext& context) {
    IntegrationWorkspace made(context, std::string(integration_workspace_name));
    if (auto sound = made.make_sound(); !sound) {
        return sound.error();
    }
    if (auto configured =
            configure_workspace(context.settings, made.git_, {Purpose::landing, context.target_branch});
        !configured) {
        return configured.error();
    }
    if (auto fetched = made.fetch(); !fetched) {
        return fetched.error();
    }
    if (auto forgotten = made.forget_the_gone(); !forgotten) {
        return forgotten.error();
    }
    return made;
}

Result<IntegrationWorkspace> IntegrationWorkspace::open_beside(const StepContext& context,
                                                               const std::string& name) {
    const IntegrationWorkspace first(context, std::string(integration_workspace_name));
    IntegrationWorkspace made(context, name);
    auto ready = made.make_sound();
    ready = ready
                ? configure_workspace(context.settings, made.git_, {Purpose::landing, context.target_branch})
                : ready;
    const std::string branch = origin_ref(context.target_branch);
    // Refs of tasks that are gone would be in the way of nobody, but they would keep their objects.
    ready = ready ? made.git_.between_our_folders().expect(
                        {"fetch", "--quiet", "--no-tags", "--prune", "--no-recurse-submodules",
                         "--no-write-fetch-head", first.git_.directory(),
                         fmt::format("+{0}*:{0}*", work_prefix), fmt::format("+{0}:{0}", branch)},
                        Git::fetch_timeout)
                  : ready;
    auto fetched =
        ready ? made.git_.resolve(branch + "^{commit}") : Result<std::optional<std::string>>{ready.error()};
    if (!fetched) {
        return fetched.error();
    }
    bring_large_files(first.git_, made.git_);
    made.tip_ = fetched->value_or(std::string{});
    return made;
}

Result<void> IntegrationWorkspace::renew(const StepContext& context) {
    const IntegrationWorkspace old(context, std::string(integration_workspace_name));
    struct Noted {
        std::string task_id;
        std::string work;
        std::string landing;
    };
    std::vector<Noted> noted;
    std::vector<std::string> tasks = context.batch;
    tasks.push_back(context.task_id);
    for (const std::string& task_id : tasks) {
        const auto work = old.git_.line({"rev-parse", "--verify", "--quiet", work_ref(task_id)});
        const auto landing = old.git_.line({"rev-parse", "--verify", "--quiet", landing_ref(task_id)});
        if (work && landing && !work->empty() && !landing->empty()) {
            noted.push_back({task_id, *work, *landing});
        }
    }
    const std::string& root = context.settings.workspace_root;
    const std::string aside = fmt::format("{}.old", integration_workspace_name);
    static_cast<void>(remove_tree(root, aside));
    if (auto moved = rename_durably(old.git_.directory(), root + "/" + aside); !moved) {
        return moved;
    }
    static_cast<void>(remove_tree(root, aside));  // what cannot be removed lies there until it can be
    auto made = open(context);
    if (!made) {
        return made.error();
    }
    for (const Noted& each : noted) {
        // The landing is on origin if there was one, and the work is in its workspace.
        const auto landed = made->git_.resolve(each.landing + "^{commit}");
        if (!landed || !*landed || !is_directory(context.settings.workspace(each.task_id))) {
            continue;
        }
        auto taken = made->take_over(context.settings.workspace(each.task_id), each.task_id);
        if (taken && taken->head == each.work) {
            auto set = made->git_.expect({"update-ref", landing_ref(each.task_id), each.landing});
            if (!set) {
                return set;
            }
        }
    }
    return {};
}

Result<void> IntegrationWorkspace::make_sound() const {
    const std::string& root = context_->settings.workspace_root;
    if (auto made = make_directories(root); !made) {
        return made;
    }
    remove_left_overs(context_->settings, git_);
    auto usable = is_usable_workspace(git_);
    if (!usable) {
        return usable.error();
    }
    if (*usable) {
        return forget_unfinished_operation(git_);
    }
    const std::string beginning = name_ + ".new";
    if (auto cloned = clone_repository(context_->settings, beginning); !cloned) {
        return cloned;
    }
    if (auto removed = remove_tree(root, name_); !removed) {
        return removed;
    }
    return rename_durably(root + "/" + beginning, git_.directory());
}

Result<void> IntegrationWorkspace::fetch() {
    if (auto fetched = git_.fetch_origin(); !fetched) {
        return fetched;
    }
    auto tip = git_.resolve(origin_ref(context_->target_branch) + "^{commit}");
    if (!tip) {
        return tip.error();
    }
    tip_ = tip->value_or(std::string{});
    return {};
}

// Tasks whose workspace was removed.
Result<void> IntegrationWorkspace::forget_the_gone() const {
    auto refs = git_.refs({std::string(work_prefix)});
    if (!refs) {
        return refs.error();
    }
    for (const std::string& ref : *refs) {
        const std::string task_id = ref.substr(work_prefix.size());
        if (is_directory(context_->settings.workspace(task_id))) {
            continue;
        }
        if (auto forgotten = forget(task_id); !forgotten) {
            return forgotten;
        }
    }
    return {};
}

Result<void> IntegrationWorkspace::go_to(const std::string& commit) const {
    auto moved = git_.expect({"checkout", "--quiet", "--force", "--detach", commit});
    // Twice -f: repositories within it, too, such as a submodule that a gate has fetched.
    return moved ? git_.expect({"clean", "-ffdq"}) : moved;
}

Result<void> IntegrationWorkspace::restore(const std::string& commit) const {
    remove_left_overs(context_->settings, git_);
    return go_to(commit);
}

Result<void> IntegrationWorkspace::seed(bool tracked) const {
    auto removed = remove_listed_copies(git_);
    auto left_out = removed ? seed_workspace(context_->settings, git_, "HEAD", tracked)
                            : Result<std::vector<std::string>>{removed.error()};
    return left_out ? Result<void>{} : Result<void>{left_out.error()};
}

Result<IntegrationWorkspace::Work> IntegrationWorkspace::take_over(const std::string& workspace,
                                                                   std::string_view task_id) const {
    auto before = git_.resolve(work_ref(task_id));
    if (!before) {
        return before.error();
    }
    // With syncs, since a power failure must not leave refs here that lead to nothing.
    auto fetched = git_.between_our_folders().expect(
        {"-c", synced, "fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules",
         "--no-write-fetch-head", "--force", workspace, "HEAD:" + std::string(incoming_ref)},
        Git::fetch_timeout);
    auto work = fetched ? git_.resolve(incoming_ref) : Result<std::optional<std::string>>{fetched.error()};
    if (!work) {
        return work.error();
    }
    bring_large_files(Git(workspace, workspace + "/.git"), git_);
    Work found{work->value_or(std::string{}), false, {}};
    auto contained = git_.is_ancestor(found.head, tip_);
    if (!contained) {
        return contained.error();
    }
    found.has_landed = *contained;
    found.landed_as = found.head;
    if (!found.has_landed && *before == *work) {
        auto landing = git_.resolve(landing_ref(task_id));
        auto landed = landing && *landing ? git_.is_ancestor(**landing, tip_) : Result<bool>{false};
        if (!landing || !landed) {
            return landing ? landed.error() : landing.error();
        }
        found.has_landed = *landed;
        found.landed_as = landing->value_or(found.head);
    }
    // In this order: a landing that is noted is always one of the work that is noted.
    if (*before != *work) {
        for (const std::vector<std::string>& change :
             {std::vector<std::string>{"-c", synced, "update-ref", "-d", landing_ref(task_id)},
              std::vector<std::string>{"-c", synced, "update-ref", work_ref(task_id), found.head}}) {
            if (auto changed = git_.expect(change); !changed) {
                return changed.error();
            }
        }
    }
    return found;
}

Result<void> IntegrationWorkspace::note_landings(const std::vector<Landing>& landings) const {
    for (const Landing& landing : landings) {
        auto set = git_.expect({"update-ref", landing_ref(landing.task_id), landing.commit});
        if (!set) {
            return set;
        }
    }
    return sync_workspace(git_.directory());
}

Result<void> IntegrationWorkspace::forget(std::string_view task_id) const {
    for (const std::string& ref : {landing_ref(task_id), work_ref(task_id)}) {
        if (auto deleted = git_.expect({"update-ref", "-d", ref}); !deleted) {
            return deleted;
        }
    }
    return {};
}

}  // namespace ralph::daemon
