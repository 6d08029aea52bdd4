#include "core/base/jsonc.h"
#include "core/base/canonical_json.h"

#include <doctest/doctest.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <string>
#include <vector>

using namespace ralph::core;
namespace json = boost::json;

namespace {

Result<JsonDocument> parse(std::string text, DuplicateKeys duplicates = DuplicateKeys::last_wins) {
    return JsonDocument::parse(std::move(text), "f.jsonc", duplicates);
}

std::string error_of(const std::string& text) {
    const auto document = parse(text);
    return document ? "accepted" : document.error().line();
}

}  // namespace

TEST_CASE("jsonc: the grammar of contract section 1.3 is accepted") {
    struct Row {
        std::string text;
        std::string plain;  // the same value in plain JSON
    };
    const std::vector<Row> rows{
        {"", "null"},
        {" \t\r\n", "null"},
        {"// only a comment", "null"},
        {"{}", "{}"},
        {"[]", "[]"},
        {"[1, // one\n 2]", "[1,2]"},
        {"[1, /* one, [ */ 2]", "[1,2]"},
        {"/**/[/***/]", "[]"},
        {"[1,2,]", "[1,2]"},
        {"{\"a\":1,}", R"({"a":1})"},
        {"[1 2\n3]", "[1,2,3]"},
        {"{\"a\":1 \"b\":2}", R"({"a":1,"b":2})"},
        {"{'a':'it \"is\"'}", R"({"a":"it \"is\""})"},
        {"{a:1, b_c-d$:2, 7:3}", R"({"a":1,"b_c-d$":2,"7":3})"},
        {"[0x1F, 0Xff]", "[31,255]"},
        {"[-0x10]", "[-16]"},
        {"[+5, +1.5, -0, 1e2, 1E-1]", "[5,1.5,0,100.0,0.1]"},
        {"[9223372036854775807, 18446744073709551615]", "[9223372036854775807,18446744073709551615]"},
        {"[\"a\nb\tc\x01\"]", R"(["a\nb\tc\u0001"])"},
        {"[\"\\\"\\'\\\\\\/\\b\\f\\n\\r\\t\"]", R"(["\"'\\/\b\f\n\r\t"])"},
        {"[\"\\u00e9\\u20ac\\ud83d\\ude00\"]", "[\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"]"},
        {"[1,\xC2\xA0\xE3\x80\x80\xE2\x80\xA8 2]", "[1,2]"},
        {"{\"a\":1,\"a\":2}", R"({"a":2})"},
        {"[true,false,null]", "[true,false,null]"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        const auto document = parse(row.text);
        REQUIRE_MESSAGE(document.has_value(), error_of(row.text));
        CHECK(document->root() == json::parse(row.plain));
    }
}

TEST_CASE("jsonc: what the Rust tools refuse is refused, with the position") {
    struct Row {
        std::string text;
        std::string error;
    };
    const std::vector<Row> rows{
        {"\xEF\xBB\xBF{}", "f.jsonc:1:1: unexpected '\\ufeff'"},
        {"{\"a\": word}", "f.jsonc:1:7: \"word\" is not a value; text needs quotes"},
        {"[NaN]", "f.jsonc:1:2: \"NaN\" is not a value; text needs quotes"},
        {"[Infinity]", "f.jsonc:1:2: \"Infinity\" is not a value; text needs quotes"},
        {"[-Infinity]", "f.jsonc:1:2: \"-Infinity\" is not a number"},
        {"[\n  # no\n]", "f.jsonc:2:3: unexpected '#'"},
        {"[\"\\ud83d\"]", "f.jsonc:1:3: lone surrogate in a string"},
        {"[\"\\ude00\"]", "f.jsonc:1:3: lone surrogate in a string"},
        {"[\"\\ud83d\\u0041\"]", "f.jsonc:1:3: lone surrogate in a string"},
        {"{} {}", "f.jsonc:1:4: unexpected text after the end of the document"},
        {"1 2", "f.jsonc:1:3: unexpected text after the end of the document"},
        {"[1,,2]", "f.jsonc:1:4: unexpected ','"},
        {"[,1]", "f.jsonc:1:2: unexpected ','"},
        {"{,}", "f.jsonc:1:2: expected a key or '}'"},
        {"{\"a\" 1}", "f.jsonc:1:6: expected ':' after key \"a\""},
        {"{\"a\":}", "f.jsonc:1:6: unexpected '}'"},
        {"[1}", "f.jsonc:1:3: unexpected '}'"},
        {"{\"a\":1]", "f.jsonc:1:7: expected a key or '}'"},
        {"[1", "f.jsonc:1:1: array is not closed by ']'"},
        {"\n{\"a\":1", "f.jsonc:2:1: object is not closed by '}'"},
        {"{\"a\":", "f.jsonc:1:6: the document ends where a value is expected"},
        {"[\"abc", "f.jsonc:1:2: string is not closed"},
        {"['abc\"]", "f.jsonc:1:2: string is not closed"},
        {"[ /* x", "f.jsonc:1:3: comment is not closed"},
        {"[\"\\x\"]", "f.jsonc:1:3: unknown escape in a string"},
        {"[\"\\u12g4\"]", "f.jsonc:1:5: \\u needs four hexadecimal digits"},
        {"[01]", "f.jsonc:1:2: \"01\" is not a number"},
        {"[1.]", "f.jsonc:1:2: \"1.\" is not a number"},
        {"[.5]", "f.jsonc:1:2: unexpected '.'"},
        {"[0x]", "f.jsonc:1:2: \"0x\" is not a number"},
        {"[1e]", "f.jsonc:1:2: \"1e\" is not a number"},
        {"[+-1]", "f.jsonc:1:2: \"+-1\" is not a number"},
        {"[1e999]", "f.jsonc:1:2: \"1e999\" is not a number"},
        {"[\"\xC3(\"]", "f.jsonc:1:3: invalid UTF-8"},
        {"[\"\xED\xA0\x80\"]", "f.jsonc:1:3: invalid UTF-8"},
        {"[\"\xC0\x80\"]", "f.jsonc:1:3: invalid UTF-8"},
        {"\xFF", "f.jsonc:1:1: invalid UTF-8"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(error_of(row.text) == row.error);
    }
}

TEST_CASE("jsonc: nesting is bounded at 512 levels") {
    const auto nested = [](std::size_t depth) {
        return std::string(depth, '[') + "1" + std::string(depth, ']');
    };
    CHECK(parse(nested(512)).has_value());
    CHECK(error_of(nested(513)) == "f.jsonc:1:513: nesting is deeper than 512 levels");
    CHECK(error_of(std::string(100'000, '[')) == "f.jsonc:1:513: nesting is deeper than 512 levels");
}

TEST_CASE("jsonc: our own settings refuse a key given twice") {
    const auto document = parse("{\"a\": 1,\n \"a\": 2}", DuplicateKeys::refuse);
    REQUIRE_FALSE(document.has_value());
    CHECK(document.error().line() == "f.jsonc:2:2: key \"a\" is given twice");
}

TEST_CASE("jsonc: error_at names line, column and key, or the nearest ancestor's position") {
    const auto document = parse(
        "{\n"
        "  \"\xC3\xA9t\xC3\xA9\": 1, tasks: [\n"
        "    {\"id\": \"x\"},\n"
        "    {\"agent\": {\"phases\": 9}}\n"
        "  ]\n"
        "}");
    REQUIRE(document.has_value());
    CHECK(document->error_at("", "is wrong").line() == "f.jsonc:1:1: is wrong");
    CHECK(document->error_at("tasks", "is wrong").line() == "f.jsonc:2:13: key `tasks` is wrong");
    CHECK(document->error_at("tasks[1].agent.phases", "is wrong").line() ==
          "f.jsonc:4:16: key `tasks[1].agent.phases` is wrong");
    CHECK(document->error_at("tasks[1].agent.model", "is wrong").line() ==
          "f.jsonc:4:6: key `tasks[1].agent.model` is wrong");
    CHECK(document->error_at("tasks[7].id", "is wrong").line() == "f.jsonc:2:13: key `tasks[7].id` is wrong");
    CHECK(document->error_at("task", "is wrong").line() == "f.jsonc:1:1: key `task` is wrong");
}

TEST_CASE("jsonc: canonical text is that of contract section 1.6") {
    const auto document = parse(
        R"({"b":[],"a":{},"list":[1,"two",[3]],"o":{"k":null},"t":true,"f":1.5,"u":18446744073709551615})");
    REQUIRE(document.has_value());
    CHECK(canonical_json(document->root()) ==
          "{\n"
          "  \"b\": [],\n"
          "  \"a\": {},\n"
          "  \"list\": [\n"
          "    1,\n"
          "    \"two\",\n"
          "    [\n"
          "      3\n"
          "    ]\n"
          "  ],\n"
          "  \"o\": {\n"
          "    \"k\": null\n"
          "  },\n"
          "  \"t\": true,\n"
          "  \"f\": 1.5,\n"
          "  \"u\": 18446744073709551615\n"
          "}");
}

TEST_CASE("jsonc: canonical strings escape only what must be escaped") {
    CHECK(canonical_json(json::value("\"\\/\b\f\n\r\t\x01\x1f\x7f\xC3\xA9")) ==
          "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xC3\xA9\"");
}

TEST_CASE("jsonc: canonical real numbers stay real numbers") {
    for (const std::string text : {"1.0", "-2.0", "0.1", "100000.0", "1e+300", "-0.0"}) {
        CAPTURE(text);
        const auto document = parse(text);
        REQUIRE(document.has_value());
        CHECK(canonical_json(document->root()) == text);
    }
}
