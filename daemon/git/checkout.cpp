#include "daemon/git/checkout.h"

#include <fmt/format.h>

#include "daemon/git/checkout_move.h"
#include "daemon/git/git.h"
#include "daemon/git/git_lock.h"

namespace ralph::daemon {
namespace {

// Brings refs/remotes/origin/<branch> up to date and returns it. git itself writes only a ref below
// refs/ralph/, so that no lock which it may leave behind is in anybody's way.
Result<std::string> fetch_branch(const Git& repository, const GitFolders& folders,
                                 const std::string& branch) {
    const std::string ours = "refs/ralph/fetched/" + branch;
    TRY(remove_file(fmt::format("{}/{}.lock", folders.common, ours)));
    TRY(repository.expect({"-c", "fetch.writeCommitGraph=false", "fetch", "--quiet", "--no-tags",
                           "--no-prune", "--no-recurse-submodules", "--no-write-fetch-head",
                           "--refmap=", "origin", fmt::format("+refs/heads/{}:{}", branch, ours)},
                          Git::fetch_timeout));
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
    const auto dirty = repository.dirty_paths(Git::Untracked::no);
    if (!dirty) {
        return dirty.error().line();
    }
    if (!dirty->empty()) {
        return fmt::format("it has uncommitted changes in {}", core::printable(dirty->front()));
    }
    const auto head = repository.head();
    if (!head) {
        return head.error().line();
    }
    const auto behind = repository.is_ancestor(*head, to);
    if (!behind) {
        return behind.error().line();
    }
    from = *head;
    return *behind ? std::string{} : std::string("it has commits that are not there");
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

Result<void> fetch_into_repository(const Settings& settings, const std::string& branch) {
    TRY(make_directories(settings.paths.parallel()));
    TRY(FileLock::acquire(settings.paths.repository_lock(), FileLock::Wait::yes));
    const Git repository(settings.paths.root);
    TRY_ASSIGN(auto folders, find_git_folders(repository));
    TRY(clear_locks(folders));
    auto tip = fetch_branch(repository, folders, branch);
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
