#include "core/base/json_reader.h"

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <string>
#include <vector>

using namespace ralph::core;
namespace json = boost::json;

namespace {

// Runs `read` over an object and returns "path: message" of the fault, or "".
template <class Read>
std::string fault_of(const std::string& text, Read read) {
    const json::value value = json::parse(text);
    std::optional<JsonFault> fault;
    ObjectReader reader(value, "root", fault);
    read(reader);
    reader.finish();
    return fault ? fault->path + ": " + fault->message : "";
}

template <class T>
std::string read_fault(const std::string& text) {
    return fault_of(text, [](ObjectReader& reader) {
        T out{};
        reader.read("k", out);
    });
}

}  // namespace

TEST_CASE("json_reader: values of the right type are read") {
    const json::value value = json::parse(
        R"({"s":"x","b":true,"n":4294967295,"w":18446744073709551615,"l":["a","b"],"os":"y","on":7,"ob":false,"z":null})");
    std::optional<JsonFault> fault;
    ObjectReader reader(value, "", fault);
    std::string s;
    bool b = false;
    std::uint32_t n = 0;
    std::uint64_t w = 0;
    std::vector<std::string> l;
    std::optional<std::string> os;
    std::optional<std::uint32_t> on;
    std::optional<bool> ob;
    std::optional<std::string> z;
    reader.require("s", s);
    reader.read("b", b);
    reader.require("n", n);
    reader.read("w", w);
    reader.read("l", l);
    reader.read("os", os);
    reader.read("on", on);
    reader.read("ob", ob);
    reader.read("z", z);
    reader.finish();
    CHECK(reader.ok());
    CHECK(s == "x");
    CHECK(b);
    CHECK(n == 4294967295U);
    CHECK(w == 18446744073709551615U);
    CHECK(l == std::vector<std::string>{"a", "b"});
    CHECK(os == "y");
    CHECK(on == 7U);
    CHECK(ob == false);
    CHECK_FALSE(z.has_value());
}

TEST_CASE("json_reader: absent keys leave the value as it was") {
    const json::value value = json::parse("{}");
    std::optional<JsonFault> fault;
    ObjectReader reader(value, "", fault);
    std::string s = "before";
    std::vector<std::string> l{"before"};
    std::optional<std::uint32_t> n = 3;
    reader.read("s", s);
    reader.read("l", l);
    reader.read("n", n);
    reader.finish();
    CHECK(reader.ok());
    CHECK(s == "before");
    CHECK(l.front() == "before");
    CHECK(n == 3U);
}

TEST_CASE("json_reader: wrong types and nulls are faults that name the key") {
    CHECK(read_fault<std::string>(R"({"k":1})") == "root.k: must be a string");
    CHECK(read_fault<std::string>(R"({"k":null})") == "root.k: must be a string");
    CHECK(read_fault<bool>(R"({"k":"true"})") == "root.k: must be true or false");
    CHECK(read_fault<bool>(R"({"k":null})") == "root.k: must be true or false");
    const std::string number = "root.k: must be a whole number from 0 to 4294967295";
    for (const std::string text :
         {R"({"k":-1})", R"({"k":1.0})", R"({"k":"1"})", R"({"k":4294967296})", R"({"k":null})"}) {
        CAPTURE(text);
        CHECK(read_fault<std::uint32_t>(text) == number);
    }
    CHECK(read_fault<std::optional<std::uint32_t>>(R"({"k":1.5})") == number);
    CHECK(read_fault<std::optional<std::uint32_t>>(R"({"k":null})").empty());
    CHECK(read_fault<std::optional<std::string>>(R"({"k":[]})") == "root.k: must be a string");
    CHECK(read_fault<std::optional<bool>>(R"({"k":0})") == "root.k: must be true or false");
    CHECK(read_fault<std::vector<std::string>>(R"({"k":null})") == "root.k: must be an array of strings");
    CHECK(read_fault<std::vector<std::string>>(R"({"k":["a",2]})") == "root.k[1]: must be a string");
}

TEST_CASE("json_reader: missing keys, unknown keys and non-objects are faults") {
    CHECK(fault_of("{}", [](ObjectReader& reader) {
              std::string out;
              reader.require("id", out);
          }) == "root: lacks the key \"id\"");
    CHECK(fault_of("{}", [](ObjectReader& reader) { reader.require("id"); }) == "root: lacks the key \"id\"");
    CHECK(fault_of(R"({"titel":1})", [](ObjectReader& reader) { reader.ignore("title"); }) ==
          "root.titel: is not known; did you mean \"title\"?");
    CHECK(fault_of(R"({"zebra":1})", [](ObjectReader& reader) { reader.ignore("id"); }) ==
          "root.zebra: is not known");
    CHECK(fault_of("[]", [](ObjectReader& reader) { CHECK(reader.find("k") == nullptr); }) ==
          "root: must be an object");
}

TEST_CASE("json_reader: only the first fault is kept") {
    CHECK(fault_of(R"({"a":1,"b":2,"c":3})", [](ObjectReader& reader) {
              std::string out = "before";
              reader.read("b", out);
              reader.read("a", out);
              CHECK(out == "before");
          }) == "root.b: must be a string");
}

TEST_CASE("json_reader: read_as lists what is accepted") {
    const auto parse = [](std::string_view text) {
        return text == "one" ? std::optional<int>(1) : std::nullopt;
    };
    int out = 0;
    CHECK(fault_of(R"({"k":"one"})", [&](ObjectReader& reader) { reader.read_as("k", out, parse, "one"); }) ==
          "");
    CHECK(out == 1);
    CHECK(fault_of(R"({"k":"two"})", [&](ObjectReader& reader) { reader.read_as("k", out, parse, "one"); }) ==
          "root.k: must be one, not \"two\"");
}

TEST_CASE("json_reader: nearest_name finds near names only") {
    const std::vector<std::string> known{"depends_on", "status", "tags"};
    CHECK(nearest_name("dependson", known) == "depends_on");
    CHECK(nearest_name("Status", known) == "status");
    CHECK(nearest_name("tag", known) == "tags");
    CHECK_FALSE(nearest_name("workers", known).has_value());
    CHECK_FALSE(nearest_name("x", {}).has_value());
}
