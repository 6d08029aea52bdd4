#include "daemon/workspace/bookkeeping.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "core/queue/followups.h"
#include "core/queue/queue_edit.h"
#include "core/queue/queue_validation.h"
#include "core/queue/task_codec.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/os/folder.h"
#include "daemon/store/queue_files.h"
#include "daemon/workspace/known_ids.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t proposal_limit = std::size_t{1} << 20U;

Result<core::TaskFile> parse_task_file(std::string text, std::string name) {
    TRY_ASSIGN(auto document, core::JsonDocument::parse(std::move(text), std::move(name)));
    return core::read_task_file(document);
}

Error mixed_bookkeeping(const std::string& tracked, const std::string& other, const std::string& target) {
    return Error{fmt::format("{} is tracked on {}, but {} is not", tracked, target, other),
                 "commit and push both files, or let git ignore both"};
}

// A copy of the task to be archived: from the queue, else from where it may still be found.
std::optional<core::Task> find_landed_task(const Settings& settings, const std::string& workspace,
                                           std::string_view task_id, const core::TaskFile& queue,
                                           const core::TaskFile& done) {
    for (const core::TaskFile* file : {&queue, &done}) {
        if (const core::Task* task = file->find(task_id)) {
            return *task;
        }
    }
    // The user took it out of the queue while it ran; the workspace has the copy of before.
    const auto place = Folder::find(workspace, settings.queue_relative);
    auto text =
        place && *place ? (*place)->folder.read((*place)->name) : Result<std::optional<std::string>>{};
    const auto seeded = text && *text ? parse_task_file(std::move(**text), settings.queue_relative)
                                      : Result<core::TaskFile>{Error{}};
    const core::Task* task = seeded ? seeded->find(task_id) : nullptr;
    return task == nullptr ? std::nullopt : std::optional(*task);
}

// Nothing if there is no folder for them.
Result<std::optional<Folder::Place>> place_of_followups(const Paths& workspace, std::string_view task_id) {
    return Folder::find(workspace.root, workspace.relative(workspace.followups(task_id)));
}

void erase_task(core::TaskFile& file, std::string_view task_id) {
    const auto is_it = [task_id](const core::Task& task) { return core::trimmed(task.id) == task_id; };
    file.tasks.erase(std::remove_if(file.tasks.begin(), file.tasks.end(), is_it), file.tasks.end());
}

Result<std::optional<std::string>> read_proposal(const Paths& workspace, std::string_view task_id) {
    TRY_ASSIGN(auto place, place_of_followups(workspace, task_id));
    return place ? place->folder.read(place->name, proposal_limit)
                 : Result<std::optional<std::string>>{std::nullopt};
}

Result<core::FollowupProposal> parse_proposal(std::string text, const Paths& workspace,
                                              std::string_view task_id) {
    const auto document = core::JsonDocument::parse(std::move(text), workspace.followups(task_id));
    return document ? core::read_followups(*document, task_id)
                    : Result<core::FollowupProposal>{document.error()};
}

}  // namespace

Result<BookkeepingTexts> fetch_bookkeeping(const Settings& settings, const Git& git,
                                           const std::string& branch) {
    return bookkeeping_at(settings, git, origin_ref(branch), "origin/" + branch);
}

Result<BookkeepingTexts> bookkeeping_at(const Settings& settings, const Git& git, const std::string& commit,
                                        std::string target) {
    auto queue = git.file_at(commit, settings.queue_relative);
    auto done = git.file_at(commit, settings.done_relative);
    if (!queue || !done) {
        return queue ? done.error() : queue.error();
    }
    BookkeepingTexts texts{std::move(target), std::move(*queue), std::move(*done), false};
    if (texts.queue && !texts.done) {
        // Not there yet, or never to be there: the repository's ignore rules tell.
        TRY_ASSIGN(texts.done_is_ignored, Git(settings.paths.root).is_ignored(settings.done_relative));
    }
    return texts;
}

Result<Bookkeeping> parse_bookkeeping(const Settings& settings, BookkeepingTexts texts) {
    Bookkeeping found;
    found.tracked = texts.queue.has_value();
    found.has_done_file = texts.done.has_value();
    if (!found.tracked && found.has_done_file) {
        return mixed_bookkeeping(settings.done_relative, settings.queue_relative, texts.target);
    }
    if (texts.done_is_ignored) {
        return mixed_bookkeeping(settings.queue_relative, settings.done_relative, texts.target);
    }
    auto queue_file =
        found.tracked ? parse_task_file(std::move(*texts.queue), texts.target + ":" + settings.queue_relative)
                      : load_task_file(settings.queue_file, true);
    auto done_file = found.has_done_file ? parse_task_file(std::move(*texts.done),
                                                           texts.target + ":" + settings.done_relative)
                                         : (found.tracked ? Result<core::TaskFile>{core::TaskFile{}}
                                                          : load_task_file(settings.done_file, true));
    if (!queue_file || !done_file) {
        return queue_file ? done_file.error() : queue_file.error();
    }
    found.queue = std::move(*queue_file);
    found.done = std::move(*done_file);
    return found;
}

Result<Bookkeeping> read_bookkeeping(const Settings& settings, const Git& git, const std::string& branch) {
    auto texts = fetch_bookkeeping(settings, git, branch);
    return texts ? parse_bookkeeping(settings, std::move(*texts)) : texts.error();
}

bool is_done(const core::TaskFile& done, std::string_view task_id) {
    const core::Task* task = done.find(task_id);
    return task != nullptr && task->status == core::TaskStatus::done;
}

Result<void> remove_followups(const Paths& workspace, std::string_view task_id) {
    TRY_ASSIGN(auto place, place_of_followups(workspace, task_id));
    return place ? place->folder.remove(place->name) : Result<void>{};
}

Result<bool> proposes_tasks(const Paths& workspace, std::string_view task_id) {
    auto text = read_proposal(workspace, task_id);
    if (!text || !*text) {
        return text ? Result<bool>{false} : text.error();
    }
    const auto proposal = parse_proposal(std::move(**text), workspace, task_id);
    return !proposal || !proposal->tasks.empty();
}

Result<void> add_followups(const Settings& settings, const Paths& workspace, std::string_view task_id,
                           core::TaskFile& queue, const core::TaskFile& done) {
    const std::string path = workspace.followups(task_id);
    auto text = read_proposal(workspace, task_id);
    if (!text || !*text) {
        return text ? Result<void>{} : text.error();
    }
    TRY_ASSIGN(const auto proposal, parse_proposal(std::move(**text), workspace, task_id));
    const core::Task* source = done.find(task_id);
    if (source == nullptr) {
        return Error{fmt::format("{}: {} is not archived", path, task_id)};
    }
    TRY_ASSIGN(auto taken, known_task_ids(settings));
    auto ids =
        core::apply_followups(queue, done, *source, proposal, settings.queue_rules(), wall_clock(), taken);
    if (!ids) {
        return Error{fmt::format("{}: {}", path, ids.error().message), ids.error().remedy};
    }
    return {};
}

Result<void> reconcile_repository(const Settings& settings, const std::string& workspace,
                                  std::string_view task_id) {
    auto queue = load_task_file(settings.queue_file, false);
    auto done = load_task_file(settings.done_file, true);
    if (!queue || !done) {
        return queue ? done.error() : queue.error();
    }
    if (queue->find(task_id) == nullptr && is_done(*done, task_id)) {
        return {};
    }
    const auto task = find_landed_task(settings, workspace, task_id, *queue, *done);
    if (!task) {
        return Error{
            fmt::format("{} is neither in {} nor in {}", task_id, settings.queue_file, settings.done_file),
            "nothing to do if the task was removed on purpose"};
    }
    core::TaskFile archived{1, {is_done(*done, task_id) ? *done->find(task_id) : *task}};
    if (!is_done(archived, task_id)) {
        TRY(core::set_status(archived, task_id, core::TaskStatus::done, wall_clock()));
    }
    erase_task(*queue, task_id);
    erase_task(*done, task_id);
    done->tasks.push_back(std::move(archived.tasks.front()));
    TRY(add_followups(settings, settings.paths.in(workspace), task_id, *queue, *done));
    TRY(core::validate_queue(*queue, *done, settings.queue_rules()));
    return save_bookkeeping(settings.queue_file, *queue, settings.done_file, *done, settings.paths.root);
}

Result<void> save_bookkeeping(const std::string& queue_path, const core::TaskFile& queue,
                              const std::string& done_path, const core::TaskFile& done,
                              const std::string& links_within) {
    for (const auto& [path, file] : {std::pair(&done_path, &done), std::pair(&queue_path, &queue)}) {
        const std::string folder = std::filesystem::path(*path).parent_path().string();
        TRY(make_directories(folder));
        TRY(rewrite_file_durably(*path, core::task_file_text(*file), links_within));
    }
    return {};
}

}  // namespace ralph::daemon
