#include "core/base/glob.h"

#include <algorithm>
#include <cstddef>
#include <string>

namespace ralph::daemon {
namespace {

// One past the class that begins at `pattern[0]`, and whether `c` is in it.
struct ClassMatch {
    std::size_t length;
    bool matches;
};

ClassMatch match_class(std::string_view pattern, char c) {
    std::size_t i = 1;
    const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
    if (negated) {
        ++i;
    }
    bool found = false;
    for (const std::size_t first = i; i < pattern.size() && (pattern[i] != ']' || i == first); ++i) {
        if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
            found = found || (pattern[i] <= c && c <= pattern[i + 2]);
            i += 2;
        } else {
            found = found || pattern[i] == c;
        }
    }
    return {i + 1, found != negated && c != '/'};
}

// Tries each alternative of the braces at `pattern[0]`, followed by what comes after them.
bool match_braces(std::string_view pattern, std::string_view path) {
    std::size_t depth = 0;
    std::size_t close = 0;
    for (; close < pattern.size(); ++close) {
        depth += pattern[close] == '{' ? 1U : 0U;
        if (pattern[close] == '}' && --depth == 0) {
            break;
        }
    }
    if (close == pattern.size()) {
        return false;
    }
    std::size_t begin = 1;
    depth = 0;
    for (std::size_t i = 1; i <= close; ++i) {
        if (depth == 0 && (pattern[i] == ',' || i == close)) {
            const std::string rest =
                std::string(pattern.substr(begin, i - begin)) + std::string(pattern.substr(close + 1));
            if (glob_matches(rest, path)) {
                return true;
            }
            begin = i + 1;
        } else if (pattern[i] == '{') {
            ++depth;
        } else if (pattern[i] == '}') {
            --depth;
        }
    }
    return false;
}

// `pattern` begins with a star.
bool match_stars(std::string_view pattern, std::string_view path, bool at_component) {
    const std::size_t stars = std::min(pattern.find_first_not_of('*'), pattern.size());
    const std::string_view rest = pattern.substr(stars);
    const bool crosses = stars == 2 && at_component && (rest.empty() || rest.front() == '/');
    if (crosses && rest.empty()) {
        return true;
    }
    if (crosses) {
        for (std::size_t i = 0;; ++i) {  // the rest at the beginning of any component
            if (glob_matches(rest.substr(1), path.substr(i))) {
                return true;
            }
            i = path.find('/', i);
            if (i == std::string_view::npos) {
                return false;
            }
        }
    }
    for (std::size_t i = 0; i <= path.size(); ++i) {
        if (glob_matches(rest, path.substr(i))) {
            return true;
        }
        if (i < path.size() && path[i] == '/') {
            break;
        }
    }
    return false;
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view path) {
    for (bool at_component = true; !pattern.empty();) {
        const char c = pattern.front();
        if (c == '*') {
            return match_stars(pattern, path, at_component);
        }
        if (c == '{') {
            return match_braces(pattern, path);
        }
        if (path.empty()) {
            return false;
        }
        std::size_t length = 1;
        if (c == '[') {
            const ClassMatch match = match_class(pattern, path.front());
            if (!match.matches) {
                return false;
            }
            length = match.length;
        } else if (c == '?' ? path.front() == '/' : path.front() != c) {
            return false;
        }
        at_component = path.front() == '/';
        pattern.remove_prefix(std::min(length, pattern.size()));
        path.remove_prefix(1);
    }
    return path.empty();
}

}  // namespace ralph::daemon
