// Errors of the world are values. A Result<T> holds either a T or an Error that is ready to be shown:
// one line that names the place, and, where there is one, the command or edit that fixes it.
#pragma once

#include <boost/assert/source_location.hpp>
#include <boost/system/result.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace ralph::core {

// What can be expected of trying again. Set where errno or git's own words are seen, and nowhere else.
enum class Fault {
    permanent,  // it stays until somebody does something about it
    passing,    // a bad minute of the host or of the remote: no room, no descriptors, a lock, a kill
};

struct ErrorText {
    std::string message;
    std::string remedy = {};
    Fault fault = Fault::permanent;
};

// Written Error{message}, Error{message, remedy} or Error{message, remedy, fault}. The texts are in a base so
// that a string alone does not convert to an Error, which would make Result<std::string> ambiguous.
struct Error : ErrorText {
    // "message; remedy" on one line (control characters of foreign text are escaped).
    [[nodiscard]] std::string line() const;
    [[nodiscard]] bool is_passing() const { return fault == Fault::passing; }
    // The same error in other words.
    [[nodiscard]] Error told_as(std::string text) const { return Error{{std::move(text), remedy, fault}}; }
};

template <class T>
using Result = boost::system::result<T, Error>;

// Hand an error on: TRY(call()) for what has no value, TRY_ASSIGN(auto value, call()) for what has one. Each
// returns the error from the function that it stands in.
#define TRY(...)                                  \
    do {                                          \
        if (auto tried = (__VA_ARGS__); !tried) { \
            return tried.error();                 \
        }                                         \
    } while (false)
#define TRY_ASSIGN(declaration, ...) \
    TRY_ASSIGN_NAMED(RALPH_JOINED(tried_, __LINE__), declaration, __VA_ARGS__)
#define TRY_ASSIGN_NAMED(name, declaration, ...) \
    auto name = (__VA_ARGS__);                   \
    if (!name) {                                 \
        return name.error();                     \
    }                                            \
    declaration = std::move(*name)  // NOLINT(bugprone-macro-parentheses)
#define RALPH_JOINED(left, right) RALPH_JOINED_NOW(left, right)
#define RALPH_JOINED_NOW(left, right) left##right

// Boost.System's hook for result::value() on an error: reaching it is our own mistake, so it aborts.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

// Makes foreign text fit for one line of a terminal or log: control characters, and bytes that are not
// UTF-8, become \xNN.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace ralph::core
