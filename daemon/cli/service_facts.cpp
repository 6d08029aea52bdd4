#include "daemon/cli/service_facts.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"
#include "daemon/git/git.h"
#include "daemon/git/tracked_files.h"
#include "daemon/git/trust.h"
#include "daemon/os/files.h"
#include "daemon/store/settings.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t account_buffer = 1U << 16U;
constexpr const char* unit_file = "ralph@.service";

std::string environment(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? std::string{} : value;
}

std::string group_name(gid_t gid) {
    std::vector<char> buffer(account_buffer);
    group entry{};
    group* found = nullptr;
    static_cast<void>(::getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found));
    return found == nullptr ? std::to_string(gid) : found->gr_name;
}

Account account_from(const passwd& entry) {
    Account account;
    account.uid = entry.pw_uid;
    account.names = {entry.pw_name, group_name(entry.pw_gid), entry.pw_dir, entry.pw_uid == 0};
    if (!is_directory(real_path(account.names.home))) {
        account.names.home.clear();
    }
    return account;
}

std::string configuration_home() {
    const std::string folder = environment("XDG_CONFIG_HOME");
    return folder.empty() ? environment("HOME") + "/.config" : folder;
}

std::vector<std::string> folders_that_systemd_reads(ServiceScope scope) {
    switch (scope) {
        case ServiceScope::system:
            return {"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system",
                    "/usr/lib/systemd/system", "/lib/systemd/system"};
        case ServiceScope::user:
            return {unit_folder(scope),
                    environment("HOME") + "/.local/share/systemd/user",
                    "/etc/systemd/user",
                    "/run/systemd/user",
                    "/usr/local/lib/systemd/user",
                    "/usr/lib/systemd/user"};
    }
    return {};
}

// "file:///srv/a%20b" is what git makes "/srv/a b" of.
std::string path_of_url(const std::string& url) {
    constexpr std::string_view scheme = "file://";
    if (url.rfind(scheme, 0) != 0) {
        return url;
    }
    std::string path;
    for (std::size_t at = scheme.size(); at < url.size(); ++at) {
        const std::string digits = url[at] == '%' ? url.substr(at + 1, 2) : "";
        if (digits.size() == 2 && digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos) {
            path += static_cast<char>(std::stoi(digits, nullptr, 16));
            at += 2;
        } else {
            path += url[at];
        }
    }
    return path;
}

Result<RepositoryFacts> facts_from(const std::string& text) {
    TRY_ASSIGN(auto document, core::JsonDocument::parse(text, "ralph service describe"));
    RepositoryFacts facts;
    std::optional<core::JsonFault> fault;
    core::ObjectReader reader(document.root(), "", fault);
    reader.read("workspace_root", facts.workspace_root);
    reader.read("remotes", facts.remotes);
    if (fault) {
        return document.error_at(fault->path, fault->message);
    }
    return facts;
}

// Not every root has /sbin in PATH.
constexpr const char* runuser = "/sbin/runuser";

// Not through our own name: whoever looks does so with the same program that asks.
constexpr const char* ourselves = "/proc/self/exe";

}  // namespace

Result<Account> account_of(const std::string& user) {
    std::vector<char> buffer(account_buffer);
    passwd entry{};
    passwd* found = nullptr;
    static_cast<void>(::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found));
    if (found == nullptr) {
        return Error{fmt::format("there is no user {}", user),
                     "make one with `adduser`, or name another with --run-as"};
    }
    return account_from(*found);
}

Result<Account> account_of(uid_t uid) {
    std::vector<char> buffer(account_buffer);
    passwd entry{};
    passwd* found = nullptr;
    static_cast<void>(::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found));
    if (found == nullptr) {
        return Error{fmt::format("no user has the number {}", uid), "name one with --run-as USER"};
    }
    return account_from(*found);
}

Result<uid_t> owner_of(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
        return system_error("stat", path, errno);
    }
    return info.st_uid;
}

std::string unit_folder(ServiceScope scope) {
    switch (scope) {
        case ServiceScope::system:
            return "/etc/systemd/system";
        case ServiceScope::user:
            return configuration_home() + "/systemd/user";
    }
    return {};
}

std::optional<Error> missing_unit(ServiceScope scope) {
    const auto folders = folders_that_systemd_reads(scope);
    for (const std::string& folder : folders) {
        if (path_exists(folder + "/" + unit_file)) {
            return std::nullopt;
        }
    }
    const bool is_user = scope == ServiceScope::user;
    const fs::path beside = fs::path(real_path(ourselves)).parent_path().parent_path() /
                            (is_user ? "lib/systemd/user" : "lib/systemd/system") / unit_file;
    Error error{fmt::format("{} is not installed where systemd looks for it", unit_file),
                "install ralph first: its package with apt, or a build with `sudo make install`"};
    if (path_exists(beside.string())) {
        error.remedy =
            fmt::format("run `systemctl {}link {}` first", is_user ? "--user " : "", beside.string());
    }
    return error;
}

std::optional<Error> missing_systemd(ServiceScope scope) {
    switch (scope) {
        case ServiceScope::system:
            if (!is_directory("/run/systemd/system")) {
                return Error{
                    "this machine does not run systemd",
                    "start `ralph run --parallel --continuous` in your own way, or look at what would be "
                    "done with --dry-run"};
            }
            return std::nullopt;
        case ServiceScope::user:
            if (environment("XDG_RUNTIME_DIR").empty() ||
                !is_directory(environment("XDG_RUNTIME_DIR") + "/systemd")) {
                return Error{"no systemd of this user is running",
                             "log in again, run `loginctl enable-linger`, or look at what would be done with "
                             "--dry-run"};
            }
            return std::nullopt;
    }
    return std::nullopt;
}

Result<RepositoryFacts> repository_facts(const std::string& root) {
    TRY_ASSIGN(auto settings, load_settings(root));
    if (!path_exists(settings.queue_file)) {
        if (auto absent = not_checked_out(root, {settings.queue_relative})) {
            return std::move(*absent);
        }
        return Error{fmt::format("{}: there is no such file", settings.queue_file),
                     fmt::format("make one with `ralph init --repo {}`", root)};
    }
    RepositoryFacts facts;
    facts.workspace_root = settings.workspace_root;
    const Git git(root);
    for (const Git::Direction direction : {Git::Direction::fetch, Git::Direction::push}) {
        TRY_ASSIGN(const auto url, git.origin_url(direction));
        if (!url) {
            return Error{fmt::format("{} has no remote named origin to land on", root),
                         "add one with `git remote add origin URL`"};
        }
        const std::string path = real_path(path_of_url(*url));
        if (path.front() == '/' && is_directory(path)) {
            facts.remotes.push_back(path);
        }
    }
    return facts;
}

std::string facts_text(const RepositoryFacts& facts) {
    boost::json::object document;
    document["workspace_root"] = facts.workspace_root;
    document["remotes"] = boost::json::array(facts.remotes.begin(), facts.remotes.end());
    return core::canonical_json(document) + "\n";
}

Result<RepositoryFacts> repository_facts_as(const Account& account, const std::string& root) {
    if (::geteuid() == account.uid) {
        return repository_facts(root);
    }
    const std::string& user = account.names.user;
    ProgramRequest request;
    request.program = runuser;
    request.arguments = {"-u", user, "--", real_path(ourselves), "service", "describe", "--repo", root};
    request.directory = "/";
    request.environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "USER=" + user,
                           "LOGNAME=" + user, "HOME=" + account.names.home};
    TRY_ASSIGN(const auto end, run_program(request));
    if (!end.succeeded()) {
        return Error{
            fmt::format("as {}: {}", user, end.errors.empty() ? end.describe() : last_lines(end.errors))};
    }
    return facts_from(end.output);
}

Result<Commands> commands_to_make(const std::string& folder, const Account& account) {
    std::vector<std::string> missing;
    fs::path at(folder);
    struct stat info {};
    while (::stat(at.c_str(), &info) != 0) {
        if (errno != ENOENT || at == at.root_path()) {
            return system_error("stat", at.string(), errno);
        }
        missing.insert(missing.begin(), at.string());
        at = at.parent_path();
    }
    if (missing.empty()) {
        return Commands{};
    }
    const std::string& user = account.names.user;
    if (::geteuid() == account.uid) {
        return Commands{{"mkdir", "-p", folder}};
    }
    // Root changes no owner below a folder in which somebody else could put a link in the way.
    if (info.st_uid == account.uid || (info.st_mode & S_IWOTH) != 0) {
        return Commands{{runuser, "-u", user, "--", "mkdir", "-p", folder}};
    }
    if (info.st_uid != 0 || (info.st_mode & S_IWGRP) != 0) {
        return Error{
            fmt::format("{}: it is not there, and {} is neither root's nor {}'s", folder, at.string(), user),
            fmt::format("make it with `sudo -u {} mkdir -p`, or set parallel.workspace_root", user)};
    }
    // Workspaces of other users' repositories may come to stand beside.
    Commands commands;
    missing.pop_back();
    if (!missing.empty()) {
        commands.push_back({"install", "-d", "-m", "0755"});
        commands.back().insert(commands.back().end(), missing.begin(), missing.end());
    }
    commands.push_back({"install", "-d", "-m", "0700", "-o", user, "-g", account.names.group, folder});
    return commands;
}

}  // namespace ralph::daemon
