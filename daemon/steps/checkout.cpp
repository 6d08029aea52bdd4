#include "daemon/steps/checkout.h"

#include <fmt/format.h>

#include "daemon/steps/git.h"
#include "daemon/store/files.h"

namespace ralph::daemon {

std::string bring_checkout_forward(const Settings& settings, const std::string& branch) {
    const auto left_alone = [&settings, &branch](const std::string& why) {
        return fmt::format("the checkout {} was not brought forward to origin/{}: {}", settings.paths.root,
                           branch, why);
    };
    auto made = make_directories(settings.paths.parallel());
    if (!made) {
        return left_alone(made.error().line());
    }
    const auto lock = FileLock::acquire(settings.paths.repository_lock(), FileLock::Wait::yes);
    if (!lock) {
        return left_alone(lock.error().line());
    }
    const Git repository(settings.paths.root);
    // Only changes what is known of the remote, so it is done in any case: the next prepare step starts from
    // there.
    if (auto fetched = repository.fetch_origin(); !fetched) {
        return left_alone(fetched.error().line());
    }
    const auto current = repository.current_branch();
    if (!current) {
        return left_alone(current.error().line());
    }
    if (!*current || **current != branch) {
        return left_alone(*current ? fmt::format("its branch is {}", **current)
                                   : std::string("it is on no branch"));
    }
    const auto dirty = repository.dirty_paths(Git::Untracked::no);
    if (!dirty) {
        return left_alone(dirty.error().line());
    }
    if (!dirty->empty()) {
        return left_alone(fmt::format("it has uncommitted changes in {}", core::printable(dirty->front())));
    }
    auto merged = repository.expect({"merge", "--quiet", "--ff-only", origin_ref(branch)});
    return merged ? std::string{} : left_alone(merged.error().line());
}

}  // namespace ralph::daemon
