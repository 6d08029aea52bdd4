#include "daemon/cli/owner.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <vector>

#include "daemon/os/files.h"
#include "daemon/os/program.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t account_buffer = 1U << 16U;

struct Owner {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string name;  // empty if there is none
    std::string home;  // empty if there is none
};

// Nothing: all of it is root's.
std::optional<Owner> owner_of_repository(const std::string& root) {
    for (const char* part : {"", "/.git", "/.ralph", "/.cueloop"}) {
        struct stat info {};
        if (::lstat((root + part).c_str(), &info) == 0 && info.st_uid != 0) {
            Owner owner{info.st_uid, info.st_gid, "", ""};
            std::vector<char> buffer(account_buffer);
            passwd entry{};
            passwd* found = nullptr;
            static_cast<void>(::getpwuid_r(owner.uid, &entry, buffer.data(), buffer.size(), &found));
            if (found != nullptr) {
                owner.gid = entry.pw_gid;
                owner.name = entry.pw_name;
                owner.home = entry.pw_dir;
            }
            return owner;
        }
    }
    return std::nullopt;
}

// root's settings, agents and keys are not that user's. One thread, and nobody has read the environment yet.
bool change_environment(const Owner& owner) {
    std::vector<std::pair<std::string, std::string>> kept;
    for (const char* name : {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TZ"}) {
        if (std::string value = our_variable(name); !value.empty()) {
            kept.emplace_back(name, std::move(value));
        }
    }
    kept.emplace_back("USER", owner.name);
    kept.emplace_back("LOGNAME", owner.name);
    kept.emplace_back("HOME", owner.home);
    bool done = ::clearenv() == 0;
    for (const auto& [name, value] : kept) {
        done = (value.empty() || ::setenv(name.c_str(), value.c_str(), 1) == 0) && done;
    }
    return done;
}

bool change_user(const Owner& owner) {
    const bool grouped = owner.name.empty() ? ::setgroups(1, &owner.gid) == 0
                                            : ::initgroups(owner.name.c_str(), owner.gid) == 0;
    return grouped && ::setresgid(owner.gid, owner.gid, owner.gid) == 0 &&
           ::setresuid(owner.uid, owner.uid, owner.uid) == 0;
}

}  // namespace

core::Result<void> become_owner(const CommonArguments& common) {
    // A worker that runs as root works for the one that started it.
    if (::geteuid() != 0 || !our_variable("RALPH_ROOT").empty()) {
        return {};
    }
    const auto root = find_repository(common.repository);
    const auto owner = root ? owner_of_repository(*root) : std::nullopt;
    if (!owner) {
        return {};  // or no repository, which the command says itself
    }
    if (!change_environment(*owner) || !change_user(*owner)) {
        return Error{fmt::format("{} belongs to user {}, who root cannot become: {}", *root,
                                 owner->name.empty() ? std::to_string(owner->uid) : owner->name,
                                 ::strerrordesc_np(errno)),
                     "run this as that user"};
    }
    return {};
}

}  // namespace ralph::daemon
