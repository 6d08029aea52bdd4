// Text that others wrote, on its way to a person: nothing in it may steer the terminal, turn the direction of
// what is read, or be longer than anybody wants to read. What is stored keeps its text; only what is shown
// goes through here.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ralph::core {

// Whether a character does something instead of standing for itself: C0 and C1 controls, DEL, marks,
// embeddings, overrides and isolates of a direction, separators of lines, and what has no width and no use.
// Joiners (U+200C, U+200D) are part of ordinary words and stay.
[[nodiscard]] bool steers(char32_t character);

// The first such character as an escape, "\x0a" or "\u202e"; "\xff" for a byte that is not UTF-8. Nothing:
// the text is plain, and may become a path, a name or a line of a file.
[[nodiscard]] std::optional<std::string> first_steering(std::string_view text);

// What is printed as a whole, text or JSON: line ends and tabs stay, every other such character becomes
// \uNNNN, which is the same text for a reader of JSON. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string terminal_text(std::string_view text);

// printable(), and at most `most` characters of it, the last of which is "…" if there were more.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t most);

// The first few paths, for a message.
[[nodiscard]] std::string named(const std::vector<std::string>& paths);

// On one line, at most 100 bytes, cut between characters: for the subject of a commit.
[[nodiscard]] std::string subject_line(const std::string& text);

}  // namespace ralph::core
