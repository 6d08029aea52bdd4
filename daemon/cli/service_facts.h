// What `ralph service` has to know of a machine, an account and a repository before it writes anything.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "daemon/service/systemd_unit.h"

namespace ralph::daemon {

// Of the whole machine, or of one user.
enum class ServiceScope { system, user };

struct Account {
    core::ServiceAccount names;
    uid_t uid = 0;
};

[[nodiscard]] core::Result<Account> account_of(const std::string& user);
[[nodiscard]] core::Result<Account> account_of(uid_t uid);
[[nodiscard]] core::Result<uid_t> owner_of(const std::string& path);

// Where drop-ins of the scope are: /etc/systemd/system, or below our home.
[[nodiscard]] std::string unit_folder(ServiceScope scope);
// Nothing if there is a ralph@.service where systemd looks for it; else how to bring it there.
[[nodiscard]] std::optional<core::Error> missing_unit(ServiceScope scope);
// Nothing if a systemd of that scope is running.
[[nodiscard]] std::optional<core::Error> missing_systemd(ServiceScope scope);

// What the settings of a repository, as its service reads them, and its git say about where it writes.
struct RepositoryFacts {
    std::string workspace_root;
    std::vector<std::string> remotes;  // local folders that origin is in
};
// As ourselves.
[[nodiscard]] core::Result<RepositoryFacts> repository_facts(const std::string& root);
// As that account, by another process of ours: settings and git see its home, and root runs nothing that the
// repository could name.
[[nodiscard]] core::Result<RepositoryFacts> repository_facts_as(const Account& account,
                                                                const std::string& root);
[[nodiscard]] std::string facts_text(const RepositoryFacts& facts);

// The commands that make a folder that belongs to the account, if it is not there.
using Commands = std::vector<std::vector<std::string>>;
[[nodiscard]] core::Result<Commands> commands_to_make(const std::string& folder, const Account& account);

}  // namespace ralph::daemon
