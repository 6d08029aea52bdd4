#include "config/allowlist.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "config/layering.h"
#include "core/queue/task.h"

namespace ralph::config {

using core::Error;

namespace {

// Build results, caches and our own run-time files are never copied.
constexpr std::array<std::string_view, 16> denied{
    "target/",         "node_modules/",        ".venv/",         ".ralph/cache/",
    ".ralph/lock/",    ".ralph/workspaces/",   ".ralph/logs/",   "__pycache__/",
    ".cueloop/cache/", ".cueloop/workspaces/", ".cueloop/logs/", ".cueloop/lock/",
    ".ruff_cache/",    ".pytest_cache/",       ".ty_cache/",     ".git/"};

// What makes a pattern impossible to compile: a class or an alternation that does not end, or ends only.
std::optional<std::string> glob_fault(std::string_view pattern) {
    int open_braces = 0;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '{') {
            ++open_braces;
        } else if (pattern[i] == '}' && --open_braces < 0) {
            return "has a \"}\" without \"{\"";
        } else if (pattern[i] == '[') {
            std::size_t first = i + 1;
            if (first < pattern.size() && (pattern[first] == '!' || pattern[first] == '^')) {
                ++first;
            }
            const std::size_t close = first < pattern.size() ? pattern.find(']', first + 1) : first;
            if (close >= pattern.size()) {
                return "has a \"[\" without \"]\"";
            }
            i = close;
        }
    }
    return open_braces > 0 ? std::optional<std::string>("has a \"{\" without \"}\"") : std::nullopt;
}

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

core::Result<std::string> parse_allowlist_entry(std::string_view text) {
    std::string entry(core::trimmed(text));
    std::replace(entry.begin(), entry.end(), '\\', '/');
    if (entry.substr(0, 2) == "./") {
        entry.erase(0, 2);
    }
    if (entry.empty()) {
        return Error{"must not be empty"};
    }
    if (entry.find('\0') != std::string::npos) {
        return Error{"must not contain a NUL character"};
    }
    if (entry.front() == '/' || (entry.size() > 1 && is_letter(entry[0]) && entry[1] == ':')) {
        return Error{"must be relative to the repository root"};
    }
    if (entry.back() == '/') {
        return Error{"must name files, not a directory"};
    }
    const std::string framed = "/" + entry + "/";
    if (framed.find("/./") != std::string::npos || framed.find("/../") != std::string::npos) {
        return Error{"must not have a \".\" or \"..\" component"};
    }
    for (const std::string_view prefix : denied) {
        if (("/" + entry).find("/" + std::string(prefix)) != std::string::npos) {
            return Error{fmt::format("must not reach into {}, which is never copied", prefix)};
        }
    }
    if (auto fault = glob_fault(entry)) {
        return Error{std::move(*fault)};
    }
    return {boost::system::in_place_value, std::move(entry)};
}

void read_patterns(core::ObjectReader& reader, std::string_view key, std::vector<std::string>& out) {
    std::vector<std::string> texts;
    read_list(reader, key, texts);
    std::vector<std::string> entries;
    for (const std::string& text : texts) {
        auto entry = parse_allowlist_entry(text);
        if (entry.has_error()) {
            reader.fail(fmt::format("{}[{}]", key, entries.size()), entry.error().message);
            return;
        }
        entries.push_back(std::move(*entry));
    }
    if (is_set(reader, key)) {
        out = std::move(entries);
    }
}

}  // namespace ralph::config
