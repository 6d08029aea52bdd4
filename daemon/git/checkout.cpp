#include "daemon/git/checkout.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/git/checkout_files.h"
#include "daemon/git/checkout_move.h"
#include "daemon/git/git.h"
#include "daemon/git/git_lock.h"

namespace ralph::daemon {
namespace {

// Brings refs/remotes/origin/<branch> up to date and returns it. git itself writes only a ref below
// refs/ralph/, so that no lock which it may leave behind is in anybody's way.
Result<std::string> fetch_branch(const Git& repository, const GitFolders& folders, const std::string& branch,
                                 core::Milliseconds patience = Git::fetch_timeout) {
    const std::string ours = "refs/ralph/fetched/" + branch;
    TRY(remove_file(fmt::format("{}/{}.lock", folders.common, ours)));
    TRY(repository.expect({"-c", "fetch.writeCommitGraph=false", "fetch", "--quiet", "--no-tags",
                           "--no-prune", "--no-recurse-submodules", "--no-write-fetch-head",
                           "--refmap=", "origin", fmt::format("+refs/heads/{}:{}", branch, ours)},
                          patience));
    auto tip = repository.resolve(ours + "^{commit}");
    if (!tip || !*tip) {
        return tip ? Error{fmt::format("{} is not there after the fetch", ours)} : tip.error();
    }
    TRY(move_ref(repository, folders, origin_ref(branch), {}, **tip, "ralph: fetch"));
    return std::move(**tip);
}

Result<void> clear_locks(const GitFolders& folders) {
    TRY(clear_stale_locks(folders.common));
    return clear_stale_locks(folders.own);
}

CheckoutEnd fix_under_lock(const Settings& settings, const FileLock& lock) {
    const auto halfway = [&settings](const Error& error) {
        return CheckoutEnd{fmt::format("the checkout {} is half-way: {}", settings.paths.root, error.line()),
                           true};
    };
    auto folders = find_git_folders(Git(settings.paths.root));
    if (!folders) {
        return halfway(folders.error());
    }
    if (auto cleared = clear_locks(*folders); !cleared) {
        return halfway(cleared.error());
    }
    const auto move = read_move(settings.paths);
    if (!move) {
        return {move.error().line(), false};
    }
    return *move ? end_move(settings, lock, **move) : CheckoutEnd{};
}

// A change of the user's in a file that the move changes, or anything that is staged: whether the index has
// moved is told by its being different.
std::string in_the_way(const Git& repository, const Move& move) {
    const auto dirty = repository.dirty_paths(Git::Untracked::no);
    if (!dirty) {
        return dirty.error().line();
    }
    if (dirty->empty()) {
        return {};
    }
    const auto staged = repository.run({"diff-index", "--cached", "--quiet", move.from});
    const auto changes = changes_of(repository, move);
    if (!staged || !changes) {
        return staged ? changes.error().line() : staged.error().line();
    }
    for (const std::string& path : *dirty) {
        const bool changes_it =
            std::any_of(changes->begin(), changes->end(),
                        [&path](const FileChange& change) { return change.path == path; });
        if (changes_it || staged->status != 0) {
            return fmt::format("it has uncommitted changes in {}", core::printable(path));
        }
    }
    return {};
}

// Nothing: it may be brought forward from the commit that `from` is set to.
std::string why_not(const Git& repository, const std::string& branch, const std::string& to,
                    std::string& from) {
    const auto current = repository.current_branch();
    if (!current) {
        return current.error().line();
    }
    if (!*current || **current != branch) {
        return *current ? fmt::format("its branch is {}", **current) : std::string("it is on no branch");
    }
    const auto head = repository.head();
    if (!head) {
        return head.error().line();
    }
    const auto behind = repository.is_ancestor(*head, to);
    if (!behind) {
        return behind.error().line();
    }
    if (!*behind) {
        return "it has commits that are not there";
    }
    from = *head;
    return in_the_way(repository, Move{branch, from, to});
}

}  // namespace

CheckoutEnd bring_checkout_forward(const Settings& settings, const std::string& branch) {
    const auto left_alone = [&settings, &branch](const std::string& why) {
        return CheckoutEnd{fmt::format("the checkout {} was not brought forward to origin/{}: {}",
                                       settings.paths.root, branch, why),
                           false};
    };
    if (auto made = make_directories(settings.paths.parallel()); !made) {
        return left_alone(made.error().line());
    }
    const auto lock = FileLock::acquire(settings.paths.repository_lock(), FileLock::Wait::yes);
    if (!lock) {
        return left_alone(lock.error().line());
    }
    if (CheckoutEnd fixed = fix_under_lock(settings, **lock); !fixed.note.empty()) {
        return fixed;
    }
    const Git repository(settings.paths.root);
    auto folders = find_git_folders(repository);
    if (!folders) {
        return left_alone(folders.error().line());
    }
    // Only changes what is known of the remote, so it is done in any case: the next prepare step starts from
    // there.
    auto to = fetch_branch(repository, *folders, branch);
    if (!to) {
        return left_alone(to.error().line());
    }
    Move move{branch, {}, std::move(*to)};
    if (const std::string why = why_not(repository, branch, move.to, move.from); !why.empty()) {
        return left_alone(why);
    }
    return move.from == move.to ? CheckoutEnd{} : begin_move(settings, **lock, move);
}

Result<std::string> fetch_target(const Settings& settings, const std::string& branch, const FileLock& lock,
                                 core::Milliseconds patience) {
    const Git repository = Git(settings.paths.root).holding(lock);
    TRY_ASSIGN(auto folders, find_git_folders(repository));
    TRY(clear_locks(folders));
    return fetch_branch(repository, folders, branch, patience);
}

Result<void> fetch_into_repository(const Settings& settings, const std::string& branch) {
    TRY(make_directories(settings.paths.parallel()));
    TRY_ASSIGN(auto lock, FileLock::acquire(settings.paths.repository_lock(), FileLock::Wait::yes));
    auto tip = fetch_target(settings, branch, *lock, Git::fetch_timeout);
    return tip ? Result<void>{} : tip.error();
}

CheckoutEnd fix_checkout(const Settings& settings, FileLock::Wait wait) {
    if (!path_exists(settings.paths.checkout_move()) && !has_stale_locks(settings.paths.root + "/.git")) {
        return {};
    }
    auto lock = make_directories(settings.paths.parallel())
                    ? FileLock::acquire(settings.paths.repository_lock(), wait)
                    : Result<std::optional<FileLock>>{Error{settings.paths.parallel() + " cannot be made"}};
    if (!lock) {
        return {lock.error().line(), true};
    }
    return *lock ? fix_under_lock(settings, **lock) : CheckoutEnd{};
}

}  // namespace ralph::daemon
