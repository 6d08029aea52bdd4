#include "daemon/service/systemd_unit.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/shown_text.h"
#include "core/base/utf8.h"

namespace ralph::core {
namespace {

// A folder has the unit's name and ".d".
constexpr std::size_t longest_unit_name = 253;

bool stands_for_itself(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ':' ||
           c == '_' || c == '.';
}

bool is_text(std::string_view path) {
    while (!path.empty()) {
        const std::size_t length = utf8_length(path);
        if (length == 0 || static_cast<unsigned char>(path.front()) < 0x20U || path.front() == '\x7f') {
            return false;
        }
        path.remove_prefix(length);
    }
    return true;
}

bool is_below(const std::string& path, const std::string& folder) {
    return folder == "/" || path == folder || path.rfind(folder + "/", 0) == 0;
}

std::string words(const std::vector<std::string>& texts) {
    std::string line;
    for (const std::string& text : texts) {
        line += (line.empty() ? "" : " ") + unit_word(text);
    }
    return line;
}

std::string account_lines(const ServiceAccount& account) {
    std::string text = fmt::format("User={}\nGroup={}\n", account.user, account.group);
    if (!account.home.empty()) {
        text += "# Agents are often installed below the home.\n";
        text += fmt::format("Environment={}\n",
                            unit_word(fmt::format("PATH={0}/.local/bin:{0}/bin:/usr/local/bin:/usr/bin:/bin",
                                                  account.home == "/" ? "" : account.home)));
    }
    if (!account.is_root) {
        text +=
            "# These cover parts of /proc, after which no sandbox of an agent can have a /proc of its own.\n"
            "ProtectKernelTunables=no\nProtectKernelLogs=no\nProtectHostname=no\n";
    }
    if (account.home == "/root") {
        text += "# It hides the home of root, too.\nProtectHome=no\n";
    }
    return text;
}

// Whoever writes a unit for root lets nobody else choose a line of it.
Result<void> check_values(const ServiceDropIn& drop_in) {
    std::vector<std::pair<std::string_view, std::string_view>> values;
    if (drop_in.account) {
        values.emplace_back("the account", drop_in.account->user);
        values.emplace_back("the group", drop_in.account->group);
        values.emplace_back("the home", drop_in.account->home);
    }
    for (const std::string& path : drop_in.writable) {
        values.emplace_back("the folder", path);
    }
    for (const auto& [what, value] : values) {
        if (const auto found = first_steering(value)) {
            return Error{fmt::format("{} \"{}\" has the character {} in it, and cannot stand in a unit", what,
                                     printable(value), *found),
                         "choose another name for it"};
        }
    }
    return {};
}

}  // namespace

std::string escape_unit_path(std::string_view path) {
    std::string escaped;
    bool separates = false;
    for (const char c : path) {
        if (c == '/') {
            separates = !escaped.empty();
            continue;
        }
        if (separates) {
            escaped += '-';
            separates = false;
        }
        const bool hides = c == '.' && escaped.empty();
        if (stands_for_itself(c) && !hides) {
            escaped += c;
        } else {
            escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
    return escaped.empty() ? "-" : escaped;
}

std::string unit_word(std::string_view text) {
    std::string word = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            word += '\\';
        } else if (c == '%') {
            word += '%';
        }
        word += c;
    }
    return word + "\"";
}

Result<std::string> service_unit_name(std::string_view repository) {
    if (!is_text(repository)) {
        return Error{
            fmt::format("{}: systemd takes no path with control characters or bytes that are not UTF-8",
                        printable(repository)),
            "rename the folder with mv"};
    }
    std::string name = fmt::format("ralph@{}.service", escape_unit_path(repository));
    if (name.size() > longest_unit_name) {
        return Error{fmt::format("{}: the name of its unit would have {} characters, and systemd takes {}",
                                 repository, name.size(), longest_unit_name),
                     "move the repository to a shorter path with mv"};
    }
    return name;
}

std::vector<std::string> outermost_paths(std::vector<std::string> paths) {
    std::sort(paths.begin(), paths.end());
    std::vector<std::string> outermost;
    for (std::string& path : paths) {
        const bool covered = std::any_of(outermost.begin(), outermost.end(),
                                         [&](const std::string& folder) { return is_below(path, folder); });
        if (!covered) {
            outermost.push_back(std::move(path));
        }
    }
    return outermost;
}

Result<std::string> drop_in_text(const ServiceDropIn& drop_in) {
    TRY(check_values(drop_in));
    std::string text =
        "# Written by `ralph service install`, which writes it anew; changes of your own belong into a file "
        "beside "
        "it.\n";
    if (!drop_in.writable.empty()) {
        text += fmt::format("[Unit]\nRequiresMountsFor={}\n\n", words(drop_in.writable));
    }
    text += "[Service]\n";
    if (drop_in.account) {
        text += account_lines(*drop_in.account);
    }
    if (!drop_in.writable.empty()) {
        text += fmt::format("ReadWritePaths={}\n", words(drop_in.writable));
    }
    if (drop_in.workers) {
        text += fmt::format("Environment=RALPH_WORKERS={}\n", *drop_in.workers);
    }
    return text;
}

}  // namespace ralph::core
