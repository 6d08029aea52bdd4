#include "daemon/workspace/queue_push.h"

#include <fmt/format.h>

#include "core/queue/task_codec.h"
#include "daemon/git/checkout.h"
#include "daemon/git/git_words.h"

namespace ralph::daemon {

using core::Result;

namespace {

constexpr core::Milliseconds patience = std::chrono::seconds{60};  // somebody waits at a terminal
constexpr int tries = 10;                                          // each time somebody else was faster

struct NewFile {
    std::string path;  // in the repository
    std::string text;
};

// As the landing does it: somebody who has set no name is no reason to refuse.
Result<std::vector<std::string>> identity_options(const Git& repository) {
    TRY_ASSIGN(auto known, repository.run({"var", "GIT_COMMITTER_IDENT"}));
    return known.status == 0
               ? std::vector<std::string>{}
               : std::vector<std::string>{"-c", "user.name=ralph", "-c", "user.email=ralph@localhost"};
}

// In an index of its own, so that what the user has staged is not in it.
Result<std::string> make_commit(const Settings& settings, const std::string& parent,
                                const std::vector<NewFile>& files, const std::string& subject) {
    const std::string index = settings.paths.parallel() + "/queue-push.index";
    const std::string content = settings.paths.parallel() + "/queue-push.new";
    const Git repository = Git(settings.paths.root).with_environment("GIT_INDEX_FILE", index);
    for (const std::string& left : {index, index + ".lock"}) {
        TRY(remove_file(left));
    }
    TRY(repository.expect({"read-tree", parent}));
    for (const NewFile& file : files) {
        TRY(write_file_durably(content, file.text));
        TRY_ASSIGN(auto blob, repository.line({"hash-object", "-w", "--no-filters", "--", content}));
        TRY(repository.expect(
            {"update-index", "--add", "--cacheinfo", fmt::format("100644,{},{}", blob, file.path)}));
    }
    TRY_ASSIGN(auto tree, repository.line({"write-tree"}));
    TRY_ASSIGN(auto arguments, identity_options(repository));
    arguments.insert(arguments.end(), {"commit-tree", tree, "-p", parent, "-m", subject});
    auto commit = repository.line(arguments);
    for (const std::string& left : {index, content}) {
        TRY(remove_file(left));
    }
    return commit;
}

Result<std::vector<NewFile>> edited_files(const Settings& settings, const QueueChange& change,
                                          Bookkeeping target) {
    const std::string queue = core::task_file_text(target.queue);
    const std::string done = core::task_file_text(target.done);
    TRY(change.edit(target));
    std::vector<NewFile> files;
    if (std::string text = core::task_file_text(target.done); text != done) {
        files.push_back({settings.done_relative, std::move(text)});
    }
    if (std::string text = core::task_file_text(target.queue); text != queue) {
        files.push_back({settings.queue_relative, std::move(text)});
    }
    return files;
}

QueuePushEnd not_pushed(std::string why) {
    return {false, std::move(why)};
}

// Whether the files here, committed or not, say more than the target did when this checkout was there last.
// Then the user publishes them, and a change from beside them would be in the way of that.
Result<bool> has_changes_of_its_own(const Settings& settings, const std::string& tip) {
    const Git repository(settings.paths.root);
    TRY_ASSIGN(const auto base, repository.run({"merge-base", "HEAD", tip}));
    if (base.status != 0) {
        return true;
    }
    TRY_ASSIGN(const auto difference,
               repository.run({"diff", "--quiet", base.output.substr(0, base.output.find('\n')), "--",
                               settings.queue_relative, settings.done_relative}));
    return difference.status != 0;
}

// Nothing: somebody else was faster.
Result<std::optional<QueuePushEnd>> push_commit(const Settings& settings, const FileLock& lock,
                                                const std::string& branch, const std::string& tip,
                                                const std::string& commit) {
    const Git repository(settings.paths.root);
    const std::string ref = "refs/heads/" + branch;
    auto push = repository.run(
        {"push", "--porcelain", "--no-follow-tags", "--no-recurse-submodules",
         fmt::format("--force-with-lease={}:{}", ref, tip), "origin", fmt::format("{}:{}", commit, ref)},
        patience);
    const bool said_yes = push && push->status == 0;
    const std::string words =
        said_yes ? std::string{}
                 : (push ? last_lines(push->errors + "\n" + push->output) : push.error().line());
    const auto now = fetch_target(settings, branch, lock, patience);
    if (!now) {
        return std::optional(
            not_pushed(fmt::format("it is not known whether the push arrived: {}", now.error().line())));
    }
    TRY_ASSIGN(auto arrived, repository.is_ancestor(commit, *now));
    if (arrived) {
        return std::optional(QueuePushEnd{true, {}});
    }
    return *now == tip ? std::optional(
                             not_pushed(fmt::format("the push to origin/{} was refused: {}", branch, words)))
                       : std::nullopt;
}

}  // namespace

Result<QueuePushEnd> push_queue_change(const Settings& settings, const FileLock& lock,
                                       const QueueChange& change) {
    const Git repository(settings.paths.root);
    TRY_ASSIGN(auto url, repository.origin_url(Git::Direction::push));
    if (!url) {
        return QueuePushEnd{};
    }
    for (int i = 0; i < tries; ++i) {
        const auto tip = fetch_target(settings, change.branch, lock, patience);
        if (!tip) {
            TRY_ASSIGN(auto known, repository.ref_exists(origin_ref(change.branch)));
            return known ? not_pushed(fmt::format("origin cannot be reached: {}", tip.error().line()))
                         : QueuePushEnd{};
        }
        TRY_ASSIGN(auto texts, bookkeeping_at(settings, repository, *tip, "origin/" + change.branch));
        if (!texts.queue) {
            return QueuePushEnd{};
        }
        TRY_ASSIGN(const auto is_ahead, has_changes_of_its_own(settings, *tip));
        if (is_ahead) {
            return not_pushed(fmt::format("{} has changes here that are not there", settings.queue_relative));
        }
        auto target = parse_bookkeeping(settings, std::move(texts));
        if (!target) {
            return not_pushed(target.error().line());
        }
        TRY_ASSIGN(auto files, edited_files(settings, change, std::move(*target)));
        if (files.empty()) {
            return QueuePushEnd{true, {}};
        }
        TRY_ASSIGN(auto commit, make_commit(settings, *tip, files, change.subject));
        TRY_ASSIGN(auto end, push_commit(settings, lock, change.branch, *tip, commit));
        if (end) {
            return std::move(*end);
        }
    }
    return not_pushed(fmt::format("somebody else pushed to origin/{} each time", change.branch));
}

}  // namespace ralph::daemon
