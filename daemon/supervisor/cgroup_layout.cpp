#include "daemon/supervisor/cgroup_layout.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "daemon/os/file_descriptor.h"
#include "daemon/shim/delegation.h"
#include "daemon/shim/files.h"
#include "daemon/supervisor/cgroup_limits.h"

namespace ralph::daemon {
namespace {

// The kernel takes what is written in one call, and answers it.
Result<void> tell(const std::string& path, std::string_view text) {
    const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        return system_error("write", path, errno);
    }
    return {};
}

std::vector<std::string> words_in(const std::string& path) {
    std::istringstream text(shim::read_small_file(path.c_str()));
    std::vector<std::string> words;
    for (std::string word; text >> word;) {
        words.push_back(word);
    }
    return words;
}

Result<void> enter_leaf(const std::string& place) {
    const std::string leaf = fmt::format("{}/{}", place, shim::supervisor_leaf);
    if (::mkdir(leaf.c_str(), 0755) != 0 && errno != EEXIST) {
        return system_error("mkdir", leaf, errno);
    }
    return tell(leaf + "/cgroup.procs", "0");
}

// Why the limits of the controller cannot be had; empty if they can.
std::string enable(const std::string& place, const std::string& controller) {
    const auto available = words_in(place + "/cgroup.controllers");
    if (std::find(available.begin(), available.end(), controller) == available.end()) {
        return fmt::format("the controller {} is not delegated", controller);
    }
    const auto told = tell(place + "/cgroup.subtree_control", "+" + controller);
    return told ? "" : told.error().message;
}

// Depth first, and on after an error: what can be released is.
Result<void> release(const std::string& cgroup) {
    Result<void> result;
    const auto note = [&result](Result<void> done) {
        if (result && !done) {
            result = std::move(done);
        }
    };
    const auto names = list_directory(cgroup);
    note(names ? Result<void>{} : Result<void>{names.error()});
    for (const std::string& name : names ? *names : std::vector<std::string>{}) {
        if (is_directory(cgroup + "/" + name)) {
            note(release(cgroup + "/" + name));
        }
    }
    for (const std::string& controller : words_in(cgroup + "/cgroup.subtree_control")) {
        note(tell(cgroup + "/cgroup.subtree_control", "-" + controller));
    }
    return result;
}

}  // namespace

void arrange_cgroups(const std::vector<CgroupLimit>& limits) {
    const std::string place = shim::delegated_cgroup();
    std::vector<std::string> refused;
    const auto refuse = [&](const CgroupLimit& limit, const std::string& why) {
        std::string text = fmt::format("{} ({})", limit.setting, why);
        if (refused.empty() || refused.back() != text) {  // a setting may have several files
            refused.push_back(std::move(text));
        }
    };
    const auto refuse_all = [&](const std::string& why) {
        for (const CgroupLimit& limit : limits) {
            refuse(limit, why);
        }
    };
    if (place.empty()) {
        refuse_all("no cgroup is delegated to this process, as Delegate=yes of a unit does");
    } else if (auto entered = enter_leaf(place); !entered) {
        refuse_all(entered.error().message);
    } else if (const char* const releases = std::getenv("RALPH_RELEASES_CGROUP");
               releases == nullptr || std::string_view(releases) != "1") {
        refuse_all("the unit does not release its cgroup, see docs/service.md");
    } else {
        for (const CgroupLimit& limit : limits) {
            if (const std::string why = enable(place, limit.controller); !why.empty()) {
                refuse(limit, why);
            }
        }
    }
    if (!refused.empty()) {
        spdlog::warn("workers run without {}", fmt::join(refused, ", "));
    }
}

Result<void> release_controllers() {
    const std::string place = shim::delegated_cgroup();
    return place.empty() ? Result<void>{Error{"no cgroup is delegated to this process"}} : release(place);
}

}  // namespace ralph::daemon
