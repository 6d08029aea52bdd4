#include "daemon/store/ralph_folder.h"

#include <fmt/format.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "daemon/os/file_calls.h"
#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

Result<void> check_no_link(const std::string& path) {
    file_calls::Status status;
    if (file_calls::status_of_link(path, status) != 0) {
        return errno == ENOENT || errno == ENOTDIR ? Result<void>{}
                                                   : Result<void>{system_error("stat", path, errno)};
    }
    if (status.kind != file_calls::Kind::link) {
        return {};
    }
    return Error{fmt::format("{}: is a symbolic link, and ralph writes and removes nothing through a link of "
                             "the repository",
                             path),
                 fmt::format("look where it leads, then `rm {0}`; if git tracks it, `git rm {0}`", path)};
}

// A state is only ever replaced by a rename, never written in place; a link there is no state, and is put
// aside as such.
constexpr std::string_view state_names = "state.";

}  // namespace

Result<void> check_no_links_in(const std::string& folder) {
    TRY_ASSIGN(const auto names, list_directory(folder));
    for (const std::string& name : names) {
        if (name.rfind(state_names, 0) == 0) {
            continue;
        }
        TRY(check_no_link(folder + "/" + name));
    }
    return {};
}

core::Result<void> check_ralph_folder(const Paths& paths) {
    // From the outside in: what lies behind a link is not looked at.
    for (const std::string& path :
         {paths.ralph(), paths.config(), paths.supervisor_config(), paths.trust(), paths.queue_lock(),
          paths.cache(), paths.stop_file(), paths.steering(), paths.parallel(), paths.ralph() + "/logs",
          paths.logs(), paths.gate_logs()}) {
        TRY(check_no_link(path));
    }
    for (const std::string& folder : {paths.parallel(), paths.runs(), paths.retry_requests(),
                                      paths.cancel_requests(), paths.queue_lock()}) {
        TRY(check_no_links_in(folder));
    }
    return {};
}

}  // namespace ralph::daemon
