#include "core/queue/undo.h"

#include <algorithm>
#include <cstddef>

namespace ralph::core {
namespace {

constexpr std::size_t shortest_id = 7;
constexpr std::size_t least_change = 4;  // characters

bool is_missing(std::string_view id) {
    return id.find_first_not_of('0') == std::string_view::npos;
}

std::string content_of(std::string_view mode, std::string_view id) {
    return is_missing(id) ? std::string{} : std::string(id) + (mode == "100755" ? "+x" : "");
}

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return words;
}

bool holds(const std::vector<std::string>& lines, const std::vector<std::string>& part) {
    return part.empty() || std::search(lines.begin(), lines.end(), part.begin(), part.end()) != lines.end();
}

// Without white space at the ends of lines.
std::size_t size_of(const std::vector<std::string>& lines) {
    std::size_t size = 0;
    for (const std::string& line : lines) {
        const std::size_t begin = line.find_first_not_of(" \t\r");
        size += begin == std::string::npos ? 0 : line.find_last_not_of(" \t\r") + 1 - begin;
    }
    return size;
}

}  // namespace

// ":<old mode> <new mode> <old id> <new id> <status>", then the path; of a rename both paths.
std::vector<FileEdit> parse_raw_diff(const std::vector<std::string>& entries) {
    std::vector<FileEdit> edits;
    for (std::size_t i = 0; i + 1 < entries.size(); ++i) {
        const std::string_view entry = entries[i];
        const std::size_t colon = entry.find_first_not_of('\n');
        if (colon == std::string_view::npos || entry[colon] != ':') {
            continue;
        }
        const auto fields = words_of(entry.substr(colon + 1));
        constexpr std::size_t field_count = 5;
        if (fields.size() != field_count || fields[4].empty()) {
            continue;
        }
        const bool has_two_paths = fields[4].front() == 'R' || fields[4].front() == 'C';
        if (!has_two_paths) {
            edits.push_back(
                {entries[i + 1], content_of(fields[0], fields[2]), content_of(fields[1], fields[3])});
        }
        i += has_two_paths ? 2 : 1;
    }
    return edits;
}

bool restores(const FileEdits& task, const FileEdit& landing) {
    const auto own = task.find(landing.path);
    if (own == task.end() || own->second.before == own->second.after || landing.before == landing.after) {
        return false;
    }
    const auto is_added_elsewhere = [&task](const std::string& content) {
        return !content.empty() && std::any_of(task.begin(), task.end(), [&content](const auto& each) {
            return each.second.before.empty() && each.second.after == content;
        });
    };
    const bool is_removed = own->second.after.empty();
    if (is_removed && is_added_elsewhere(own->second.before)) {
        return false;  // moved, with what has landed in it
    }
    return own->second.after == landing.before || (is_removed && is_added_elsewhere(landing.before));
}

std::vector<Hunk> parse_hunks(std::string_view diff) {
    std::vector<Hunk> hunks;
    while (!diff.empty()) {
        const std::size_t end = std::min(diff.find('\n'), diff.size());
        const std::string_view line = diff.substr(0, end);
        diff.remove_prefix(std::min(end + 1, diff.size()));
        if (line.substr(0, 3) == "@@ ") {
            hunks.emplace_back();
        } else if (!hunks.empty() && !line.empty() && line.front() == '-') {
            hunks.back().removed.emplace_back(line.substr(1));
        } else if (!hunks.empty() && !line.empty() && line.front() == '+') {
            hunks.back().added.emplace_back(line.substr(1));
        }
    }
    return hunks;
}

bool reverses(const std::vector<Hunk>& task, const std::vector<Hunk>& landing) {
    const auto is_reversed = [&task](const Hunk& change) {
        return std::any_of(task.begin(), task.end(), [&change](const Hunk& own) {
            return holds(own.removed, change.added) && holds(own.added, change.removed);
        });
    };
    return !landing.empty() && std::all_of(landing.begin(), landing.end(), [&](const Hunk& change) {
        return size_of(change.removed) + size_of(change.added) >= least_change && is_reversed(change);
    });
}

std::vector<std::string> reverted_commits(std::string_view message) {
    constexpr std::string_view phrase = "This reverts commit ";
    std::vector<std::string> commits;
    for (std::size_t at = message.find(phrase); at != std::string_view::npos; at = message.find(phrase, at)) {
        at += phrase.size();
        const std::string_view rest = message.substr(at);
        const std::size_t length = std::min(rest.find_first_not_of("0123456789abcdef"), rest.size());
        if (length >= shortest_id) {
            commits.emplace_back(rest.substr(0, length));
        }
    }
    return commits;
}

}  // namespace ralph::core
