// What others wrote, as it is shown.
#include "core/base/shown_text.h"

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "core/base/error.h"

using namespace ralph::core;

TEST_CASE("controls of both ranges, directions and invisible characters are escaped on one line") {
    CHECK(printable("plain, \u00e4, \u4e2d, \U0001f600") == "plain, \u00e4, \u4e2d, \U0001f600");
    CHECK(printable("a\x1b[31m\x7f\r\t\u009b1m\u0085") == "a\\x1b[31m\\x7f\\x0d\\x09\\u009b1m\\u0085");
    CHECK(printable("one\ntwo") == "one | two");
    CHECK(printable("\u202egpj.exe\u2066\u2069\u061c\u200e\u200f") ==
          "\\u202egpj.exe\\u2066\\u2069\\u061c\\u200e\\u200f");
    CHECK(printable("\u2028\u2029\ufeff\u200b\u2060") == "\\u2028\\u2029\\ufeff\\u200b\\u2060");
    CHECK(printable("\xff\x9b") == "\\xff\\x9b");
    CHECK(printable("\xc2") == "\\xc2");
}

TEST_CASE("joiners are part of words and of emoji, and stay") {
    const std::string family = "\U0001f468\u200d\U0001f469";
    CHECK(printable(family) == family);
    CHECK(printable("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645") ==
          "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645");
    CHECK_FALSE(first_steering(family).has_value());
}

TEST_CASE("no character of the steering ranges is printed raw, and its neighbours are") {
    for (char32_t code = 0; code < 0x10000; ++code) {
        if (code >= 0xD800 && code < 0xE000) {
            continue;
        }
        const bool wanted = code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x61C || code == 0x200B ||
                            code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
                            (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF ||
                            (code >= 0xFFF9 && code <= 0xFFFB);
        REQUIRE(steers(code) == wanted);
    }
    CHECK_FALSE(steers(U'\U0001f600'));
}

TEST_CASE("text that is printed as a whole keeps its lines, and JSON stays the same JSON") {
    CHECK(terminal_text("a\n\tb\x1b[1m\u009b\n") == "a\n\tb\\u001b[1m\\u009b\n");
    CHECK(terminal_text("\x9b") == "\xEF\xBF\xBD");
    namespace json = boost::json;
    const json::value value = {{"title", "x\u009b31m\u202e\u2028\ufeff\x7f"}, {"\u202ekey", 1}};
    const std::string text = terminal_text(json::serialize(value));
    CHECK_FALSE(first_steering(text).has_value());
    CHECK(json::parse(text) == value);
}

TEST_CASE("a long text is cut by characters, escaped ones and those of several bytes as well") {
    CHECK(shortened("four", 4) == "four");
    CHECK(shortened("fives", 4) == "fiv\u2026");
    CHECK(shortened("\u00e4\u00f6\u00fc\u00df", 4) == "\u00e4\u00f6\u00fc\u00df");
    CHECK(shortened("\u00e4\u00f6\u00fc\u00df\u00df", 4) == "\u00e4\u00f6\u00fc\u2026");
    CHECK(shortened("\U0001f600\U0001f600\U0001f600", 2) == "\U0001f600\u2026");
    CHECK(shortened(std::string(200'000, '\x1b'), 100).size() < 110);
    CHECK(shortened("", 4).empty());
}

TEST_CASE("what may become a path or a name is plain") {
    CHECK_FALSE(first_steering("/srv/a b/\u00e4/100%").has_value());
    CHECK(first_steering("/srv/a\n[Service]") == "\\x0a");
    CHECK(first_steering("a\u009b") == "\\u009b");
    CHECK(first_steering("a\u202e") == "\\u202e");
    CHECK(first_steering("a\xff") == "\\xff");
}
