#include "daemon/landing/integration_workspace.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "daemon/git/large_files.h"
#include "daemon/git/plain_git.h"
#include "daemon/os/files.h"
#include "daemon/workspace/kept_work.h"
#include "daemon/workspace/seeding.h"
#include "daemon/workspace/unfinished_operation.h"
#include "daemon/workspace/workspace.h"
#include "daemon/workspace/workspace_settings.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

// Of git alone; the gates have their own.
constexpr core::Milliseconds patience = std::chrono::minutes{30};
constexpr const char* synced = "core.fsync=all";
constexpr unsigned shared_mode = 0644;
constexpr std::string_view aside_suffix = ".broken";
constexpr const char* incoming_ref = "refs/ralph/incoming";

}  // namespace

IntegrationWorkspace::IntegrationWorkspace(const StepContext& context, std::string_view name)
    : context_(&context), name_(name), git_(integration_git(context.settings, name).within(patience)) {}

core::Result<IntegrationWorkspace> IntegrationWorkspace::open(const StepContext& context) {
    IntegrationWorkspace made(context, integration_workspace_name);
    TRY(made.make_sound());
    TRY(made.fetch());
    TRY(made.forget_the_gone());
    return made;
}

Result<IntegrationWorkspace> IntegrationWorkspace::open_beside(const StepContext& context,
                                                               const std::string& name) {
    const IntegrationWorkspace first(context, integration_workspace_name);
    IntegrationWorkspace made(context, name);
    auto ready = made.make_sound();
    const std::string branch = origin_ref(context.target_branch);
    // Refs of tasks that are gone would be in the way of nobody, but they would keep their objects.
    ready = ready ? made.git_.between_our_folders().expect(
                        {"fetch", "--quiet", "--no-tags", "--prune", "--no-recurse-submodules",
                         "--no-write-fetch-head", first.git_.folder(), fmt::format("+{0}*:{0}*", work_prefix),
                         fmt::format("+{0}:{0}", branch)},
                        Git::fetch_timeout)
                  : ready;
    auto fetched =
        ready ? made.git_.resolve(branch + "^{commit}") : Result<std::optional<std::string>>{ready.error()};
    if (!fetched) {
        return fetched.error();
    }
    TRY(bring_large_files(first.git_, LargeFilesOf::us, made.git_));
    made.tip_ = fetched->value_or(std::string{});
    return made;
}

Result<void> IntegrationWorkspace::remove(const Settings& settings, const std::string& name) {
    auto removed = remove_tree(settings.paths.parallel(), integration_git_name(name));
    removed = removed ? remove_tree(settings.paths.parallel(),
                                    integration_git_name(name) + std::string(aside_suffix))
                      : removed;
    if (removed) {
        const std::string path = settings.workspace_root + "/" + name;
        removed = is_directory(path) ? remove_tree(settings.workspace_root, name) : remove_file(path);
    }
    return removed;
}

Result<void> IntegrationWorkspace::renew(const StepContext& context) {
    const IntegrationWorkspace old(context, integration_workspace_name);
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
        // What is here alone does not go with it.
        if (work && !work->empty() && !path_exists(context.settings.workspace(task_id))) {
            TRY(keep_commit(context.settings, old.git_, task_id, *work));
        }
    }
    const std::string& root = context.settings.workspace_root;
    const std::string aside = fmt::format("{}.old", integration_workspace_name);
    static_cast<void>(remove_tree(root, aside));
    if (is_directory(old.git_.directory())) {
        TRY(rename_durably(old.git_.directory(), root + "/" + aside));
    }
    static_cast<void>(remove_tree(root, aside));  // what cannot be removed lies there until it can be
    if (auto removed =
            remove_tree(context.settings.paths.parallel(), integration_git_name(integration_workspace_name));
        !removed) {
        return removed;
    }
    TRY_ASSIGN(auto made, open(context));
    for (const Noted& each : noted) {
        // The landing is on origin if there was one, and the work is in its workspace.
        const auto landed = made.git_.resolve(each.landing + "^{commit}");
        const std::string workspace = context.settings.workspace(each.task_id);
        if (!landed || !*landed || !is_directory(workspace)) {
            continue;
        }
        auto plain = open_plain(context.settings, workspace);
        auto taken = plain ? made.take_over(*plain, each.task_id) : Result<Work>{plain.error()};
        if (taken && taken->head == each.work && made.note_work(each.task_id, *taken)) {
            auto set = made.git_.expect({"update-ref", landing_ref(each.task_id), each.landing});
            if (!set) {
                return set;
            }
        }
    }
    return {};
}

Result<void> IntegrationWorkspace::make_sound() const {
    TRY(make_folder());
    remove_stale_files(context_->settings, git_);
    TRY_ASSIGN(auto usable, is_usable());
    if (!usable) {
        auto made = make_git();
        made =
            made ? configure_workspace(context_->settings, git_, {Purpose::landing, context_->target_branch})
                 : made;
        if (!made) {
            return made;
        }
    }
    return forget_unfinished_operation(git_);
}

// Also what a gate has left in its place, and the `.git` that it was lent.
Result<void> IntegrationWorkspace::make_folder() const {
    const std::string& folder = git_.directory();
    if (!is_directory(folder)) {
        TRY(remove_file(folder));
        TRY(make_directories(folder));
    }
    if (const auto checked = check_blocking_files(folder); !checked && !checked.error().is_passing()) {
        auto removed = remove_tree(context_->settings.workspace_root, name_);
        return removed ? make_directories(folder) : removed;
    }
    return is_directory(folder + "/.git") ? remove_tree(folder, ".git") : remove_file(folder + "/.git");
}

Result<bool> IntegrationWorkspace::is_usable() const {
    if (!is_directory(git_.folder())) {
        return false;
    }
    // It may have come with the repository, and a gate may have been there: no git runs before it is known
    // to be ours, with our settings.
    if (auto plain = check_git_folder(git_); !plain) {
        return plain.error().is_passing() ? Result<bool>{plain.error()} : Result<bool>{false};
    }
    const WorkspaceUse use{Purpose::landing, context_->target_branch};
    if (auto configured = configure_workspace(context_->settings, git_, use); !configured) {
        return configured.error();  // that says nothing of the folder
    }
    const auto tree = git_.resolve("HEAD^{tree}");
    const auto dirty = tree && *tree ? git_.dirty_paths(Git::Untracked::no)
                                     : Result<std::vector<std::string>>{tree ? Error{} : tree.error()};
    if (!dirty && dirty.error().is_passing()) {
        return dirty.error();
    }
    return dirty.has_value();
}

// Without any ref, so that the first fetch believes nothing to be there that may be missing.
Result<void> IntegrationWorkspace::make_git() const {
    const std::string cache = context_->settings.paths.parallel();
    const std::string beginning = integration_git_name(name_) + ".new";
    const Git begun(git_.directory(), cache + "/" + beginning);
    const Git repository(context_->settings.paths.root);
    Result<void> cloned;
    // By hard links. Should somebody be packing the repository at this moment, git is asked for the objects.
    for (const char* const way : {"--local", "--no-local"}) {
        TRY(remove_tree(cache, beginning));
        cloned = repository.between_our_folders().expect({"clone", "--quiet", "--bare", "--single-branch",
                                                          "--no-tags", way, repository.directory(),
                                                          begun.folder()});
        if (cloned) {
            break;
        }
    }
    if (!cloned) {
        return cloned;
    }
    TRY(begun.expect({"symbolic-ref", "HEAD", "refs/heads/lane"}));
    TRY_ASSIGN(auto refs, begun.refs({"refs/"}));
    for (const std::string& ref : refs) {
        TRY(begun.expect({"update-ref", "--no-deref", "-d", ref}));
    }
    std::error_code problem;
    fs::permissions(begun.folder(), fs::perms::owner_all, problem);
    if (problem) {
        return system_error("chmod", begun.folder(), problem.value());
    }
    // What it replaces may hold what is nowhere else.
    const std::string aside = integration_git_name(name_) + std::string(aside_suffix);
    if (is_directory(git_.folder())) {
        TRY(remove_tree(cache, aside));
        TRY(rename_durably(git_.folder(), cache + "/" + aside));
    }
    return rename_durably(begun.folder(), git_.folder());
}

Result<void> IntegrationWorkspace::fetch() {
    const std::string ref = origin_ref(context_->target_branch) + "^{commit}";
    TRY_ASSIGN(auto before, git_.resolve(ref));
    TRY(git_.fetch_origin());
    TRY_ASSIGN(auto tip, git_.resolve(ref));
    tip_ = tip.value_or(std::string{});
    if (!before || tip_.empty()) {
        return {};
    }
    auto kept = git_.is_ancestor(*before, tip_);
    auto gone = kept && !*kept ? git_.line({"rev-list", "--count", *before, "--not", tip_})
                               : Result<std::string>{boost::system::in_place_value, ""};
    if (!kept || !gone) {
        return kept ? gone.error() : kept.error();
    }
    if (!gone->empty()) {
        rewrite_ = fmt::format(
            "{} was rewritten by force, from {} to {}: {} of its commits were taken off, and "
            "do not come back with what lands now (see them with `git log {}..{}`)",
            context_->target(), before->substr(0, 12), tip_.substr(0, 12), *gone, tip_.substr(0, 12),
            before->substr(0, 12));
    }
    return {};
}

std::optional<std::string> IntegrationWorkspace::take_rewrite() {
    return std::exchange(rewrite_, std::nullopt);
}

// Tasks whose workspace was removed, but for those of this run: their work may be here alone.
Result<void> IntegrationWorkspace::forget_the_gone() const {
    TRY_ASSIGN(auto refs, git_.refs({std::string(work_prefix)}));
    for (const std::string& ref : refs) {
        const std::string task_id = ref.substr(work_prefix.size());
        const std::vector<std::string>& batch = context_->batch;
        if (is_directory(context_->settings.workspace(task_id)) || task_id == context_->task_id ||
            std::find(batch.begin(), batch.end(), task_id) != batch.end()) {
            continue;
        }
        // Somebody has removed it, a gate for one: what has not landed is kept first.
        auto work = git_.resolve(ref + "^{commit}");
        auto kept = work && *work ? keep_commit(context_->settings, git_, task_id, **work)
                                  : Result<KeptWork>{work ? Result<KeptWork>{KeptWork{}} : work.error()};
        auto forgotten = kept ? forget(task_id) : Result<void>{kept.error()};
        if (!forgotten) {
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

Result<void> IntegrationWorkspace::lend_git(const std::string& settings) const {
    const std::string lent = git_.directory() + "/.git";
    auto refs = git_.output(
        {"for-each-ref", "--format=%(objectname) %(refname)", "refs/remotes/origin", "refs/tags"});
    auto head = git_.head();
    if (!refs || !head) {
        return refs ? head.error() : refs.error();
    }
    for (const char* const folder :
         {"/objects/info", "/objects/pack", "/refs/heads", "/refs/tags", "/info"}) {
        TRY(make_directories(lent + folder));
    }
    std::error_code problem;
    fs::copy_file(git_.folder() + "/index", lent + "/index", problem);
    if (problem) {
        return Error{
            {fmt::format("{}: cannot be made: {}", lent, problem.message()), {}, fault_of(problem.value())}};
    }
    fs::copy_file(git_.folder() + "/info/exclude", lent + "/info/exclude", problem);  // if there is one
    const std::pair<const char*, std::string> files[] = {
        {"/objects/info/alternates", git_.folder() + "/objects\n"},
        {"/packed-refs", *refs},
        {"/config", settings},
        {"/HEAD", *head + "\n"}};  // last: git takes it for a repository from then on
    for (const auto& [name, text] : files) {
        TRY(write_file_durably(lent + name, text, shared_mode));
    }
    return {};
}

// Not with git_, whose git hands its folder on to the hooks, and so to whatever they call elsewhere.
Result<ProgramEnd> IntegrationWorkspace::push(const std::string& commit) const {
    const Git repository(context_->settings.paths.root);
    auto hooks = repository.line({"rev-parse", "--path-format=absolute", "--git-path", "hooks"});
    auto settings =
        hooks ? workspace_settings(context_->settings, {Purpose::landing, context_->target_branch}) : hooks;
    auto lent = settings ? make_folder() : Result<void>{settings.error()};
    if (lent) {
        // In its settings, and not on the command line, which hooks would hand on to every git of theirs.
        *settings +=
            setting_text("core.hooksPath", *hooks) + setting_text("lfs.storage", git_.folder() + "/lfs");
        lent = lend_git(*settings);
    }
    if (!lent) {
        return lent.error();
    }
    const std::string branch = "refs/heads/" + context_->target_branch;
    auto end = Git(git_.directory())
                   .run({"push", "--porcelain", "--no-follow-tags", "--no-recurse-submodules",
                         fmt::format("--force-with-lease={}:{}", branch, tip_), "origin",
                         fmt::format("{}:{}", commit, branch)},
                        Git::push_timeout);
    auto taken_back = make_folder();
    return end && !taken_back ? Result<ProgramEnd>{taken_back.error()} : end;
}

Result<std::string> IntegrationWorkspace::restore(const std::string& commit) const {
    std::string harm;
    if (!is_directory(git_.directory())) {
        harm = "removed the folder that it ran in";
    } else if (!is_directory(git_.directory() + "/.git")) {
        harm = "removed the .git of the folder that it ran in";
    } else if (const auto checked = check_blocking_files(git_.directory()); !checked) {
        harm = fmt::format("left what git cannot work beside ({})", checked.error().message);
    }
    // It may have found out where that is.
    auto restored =
        configure_workspace(context_->settings, git_, {Purpose::landing, context_->target_branch});
    restored = restored ? make_folder() : restored;
    restored = restored ? go_to(commit) : restored;
    if (!restored && !restored.error().is_passing()) {
        harm = fmt::format("left its folder as git cannot clean it ({})", restored.error().line());
        remove_stale_files(context_->settings, git_);
        restored = remove_tree(context_->settings.workspace_root, name_);
        restored = restored ? make_folder() : restored;
        restored = restored ? go_to(commit) : restored;
    }
    return restored ? Result<std::string>{boost::system::in_place_value, std::move(harm)}
                    : Result<std::string>{restored.error()};
}

GateGround IntegrationWorkspace::ground() const {
    return {
        [this] {
            auto settings = workspace_settings(context_->settings, {Purpose::work, context_->target_branch});
            return settings ? lend_git(*settings) : Result<void>{settings.error()};
        },
        [this](const std::string& commit) { return restore(commit); }};
}

Result<void> IntegrationWorkspace::seed(bool tracked) const {
    auto removed = remove_listed_copies(git_);
    auto left_out = removed ? seed_workspace(context_->settings, git_, "HEAD", tracked, "")
                            : Result<std::vector<std::string>>{removed.error()};
    return left_out ? Result<void>{} : Result<void>{left_out.error()};
}

Result<IntegrationWorkspace::Work> IntegrationWorkspace::take_over(const Git& workspace,
                                                                   std::string_view task_id) const {
    TRY_ASSIGN(auto before, git_.resolve(work_ref(task_id)));
    // With syncs, since a power failure must not leave refs here that lead to nothing.
    auto fetched = git_.between_our_folders().expect(
        {"-c", synced, "fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules",
         "--no-write-fetch-head", "--force", workspace.folder(), "HEAD:" + std::string(incoming_ref)},
        Git::fetch_timeout);
    TRY_ASSIGN(auto work,
               fetched ? git_.resolve(incoming_ref) : Result<std::optional<std::string>>{fetched.error()});
    TRY(bring_large_files(workspace, LargeFilesOf::worker, git_));
    Work found;
    found.head = work.value_or(std::string{});
    found.was_noted = before == work;
    TRY_ASSIGN(found.has_landed, git_.is_ancestor(found.head, tip_));
    found.landed_as = found.head;
    if (!found.has_landed && found.was_noted) {
        auto landing = git_.resolve(landing_ref(task_id));
        auto landed = landing && *landing ? git_.is_ancestor(**landing, tip_) : Result<bool>{false};
        if (!landing || !landed) {
            return landing ? landed.error() : landing.error();
        }
        found.has_landed = *landed;
        found.landed_as = landing->value_or(found.head);
    }
    return found;
}

// In this order: a landing that is noted is always one of the work that is noted.
Result<void> IntegrationWorkspace::note_work(std::string_view task_id, const Work& work) const {
    if (work.was_noted) {
        return {};
    }
    for (const std::vector<std::string>& change :
         {std::vector<std::string>{"-c", synced, "update-ref", "-d", landing_ref(task_id)},
          std::vector<std::string>{"-c", synced, "update-ref", work_ref(task_id), work.head}}) {
        TRY(git_.expect(change));
    }
    return {};
}

Result<void> IntegrationWorkspace::note_landings(const std::vector<Landing>& landings) const {
    for (const Landing& landing : landings) {
        auto set = git_.expect({"update-ref", landing_ref(landing.task_id), landing.commit});
        if (!set) {
            return set;
        }
    }
    return sync_file_system(git_.folder());
}

Result<void> IntegrationWorkspace::forget(std::string_view task_id) const {
    for (const std::string& ref : {landing_ref(task_id), work_ref(task_id)}) {
        TRY(git_.expect({"update-ref", "-d", ref}));
    }
    return {};
}

}  // namespace ralph::daemon
