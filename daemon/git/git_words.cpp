#include "daemon/git/git_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <deque>
#include <initializer_list>

#include "core/queue/task.h"

namespace ralph::daemon {
namespace {

constexpr std::size_t words_lines = 6;
constexpr std::size_t words_length = 700;

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [text](std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; });
}

bool holds_any(std::string_view text, std::initializer_list<std::string_view> signs) {
    return std::any_of(signs.begin(), signs.end(),
                       [text](std::string_view sign) { return text.find(sign) != std::string_view::npos; });
}

// The shell's word for a program of git's that somebody has killed, such as the other side of a fetch.
bool says_killed(std::string_view all_words) {
    while (!all_words.empty()) {
        const std::size_t end = all_words.find('\n');
        const std::string_view line = core::trimmed(all_words.substr(0, end));
        if (line == "Killed" || line == "remote: Killed") {
            return true;
        }
        all_words = end == std::string_view::npos ? std::string_view{} : all_words.substr(end + 1);
    }
    return false;
}

}  // namespace

std::string last_lines(std::string_view text) {
    std::deque<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = text.find_first_of("\r\n");
        const std::string_view line = core::trimmed(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (line.empty() || line == "remote:" ||
            starts_with_any(line, {"hint:", "To ", "remote: hint:", "error: failed to push some refs"})) {
            continue;
        }
        lines.push_back(line);
        if (lines.size() > words_lines) {
            lines.pop_front();
        }
    }
    std::string words = fmt::format("{}", fmt::join(lines, " | "));
    if (words.size() > words_length) {
        const auto begins_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; };
        const auto cut = words.end() - static_cast<std::ptrdiff_t>(words_length);
        words = "..." + std::string(std::find_if(cut, words.end(), begins_character), words.end());
    }
    std::replace(words.begin(), words.end(), '\t', ' ');
    return core::printable(words);
}

core::Fault fault_in(std::string_view all_words) {
    // LC_ALL is C for every git of ours, and a local remote's.
    const bool passes = holds_any(
        all_words, {"No space left on device", "annot fork", "unable to fork", "Disk quota exceeded",
                    "Input/output error", "Too many open files", "Cannot allocate memory", "out of memory",
                    "Resource temporarily unavailable", "Read-only file system", "died of signal",
                    "Text file busy", "Stale file handle"});
    return passes || says_killed(all_words) ? core::Fault::passing : core::Fault::permanent;
}

PushRefusal push_refusal(const ProgramEnd& end) {
    const std::string all = end.errors + end.output;
    // Another push, or a packing of refs, holds the ref on the remote.
    if (fault_in(all) == core::Fault::passing ||
        holds_any(all, {"cannot lock ref", "failed to update ref", ".lock': File exists"})) {
        return PushRefusal::passing;
    }
    if (holds_any(all, {"(unpacker error)", "remote unpack failed"})) {
        return PushRefusal::unpacked;
    }
    return holds_any(end.output, {"[remote rejected]"}) ? PushRefusal::refused : PushRefusal::shut_out;
}

}  // namespace ralph::daemon
