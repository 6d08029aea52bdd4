#include "daemon/steps/look.h"

#include <fmt/format.h>

#include "daemon/git/checkout.h"
#include "daemon/git/git.h"
#include "daemon/os/clock.h"
#include "daemon/store/remote_view.h"

namespace ralph::daemon {
namespace {

constexpr core::Milliseconds patience = std::chrono::seconds{60};

Result<std::string> tip_on_remote(const Git& repository, const std::string& branch) {
    const std::vector<std::string> arguments{"ls-remote", "--quiet", "origin", "refs/heads/" + branch};
    TRY_ASSIGN(auto answer, repository.run(arguments, patience));
    if (answer.status != 0) {
        return repository.failure(arguments, answer);
    }
    std::string tip = answer.output.substr(0, answer.output.find('\t'));
    return is_object_name(tip) ? Result<std::string>{std::move(tip)}
                               : Error{fmt::format("branch {} is not on origin", branch)};
}

Result<bool> is_tracked(const Git& repository, const std::string& path) {
    TRY_ASSIGN(auto end, repository.run({"ls-files", "--error-unmatch", "-z", "--", path}));
    return end.status == 0;
}

Result<bool> is_at(const Git& repository, const std::string& branch, const std::string& tip) {
    for (const std::string& name : {origin_ref(branch), std::string("HEAD")}) {
        TRY_ASSIGN(const auto there, repository.resolve(name));
        if (!there || *there != tip) {
            return false;
        }
    }
    return true;
}

Result<RemoteView> look(const Settings& settings, const std::string& branch, const RemoteView& before) {
    const Git repository(settings.paths.root);
    RemoteView now = before;
    const auto tip = tip_on_remote(repository, branch);
    if (!tip) {
        now.reason = tip.error().line();
        if (now.unreachable_since.empty()) {
            now.unreachable_since = core::format_rfc3339(wall_clock());
        }
        return now;
    }
    now.tip = *tip;
    now.reason.clear();
    now.unreachable_since.clear();
    TRY_ASSIGN(const auto there, is_at(repository, branch, *tip));
    now.left_behind = there ? std::string{} : bring_checkout_forward(settings, branch).note;
    return now;
}

}  // namespace

core::Result<int> look_at_remote(const Settings& settings, const std::string& branch) {
    TRY_ASSIGN(const auto tracked, is_tracked(Git(settings.paths.root), settings.queue_relative));
    if (!tracked) {  // nothing that is pushed changes what is to be done here
        return 0;
    }
    const RemoteView before = read_remote_view(settings.paths);
    TRY_ASSIGN(const auto now, look(settings, branch, before));
    if (now != before) {
        TRY(save_remote_view(settings.paths, now));
    }
    return !now.unreachable_since.empty() ? look_not_reached : now.tip != before.tip ? look_found_news : 0;
}

}  // namespace ralph::daemon
