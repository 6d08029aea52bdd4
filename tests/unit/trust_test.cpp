#include "config/trust.h"

#include <doctest/doctest.h>

using namespace ralph;

namespace {

core::Result<bool> read(std::string text) {
    return config::read_trust({"trust.jsonc", std::move(text)});
}

std::string error_of(std::string text) {
    const auto result = read(std::move(text));
    return result.has_error() ? result.error().line() : "no error";
}

}  // namespace

TEST_CASE("trust is given only by allow_project_commands") {
    CHECK(read(R"({"allow_project_commands": true})").value());
    CHECK_FALSE(read(R"({"allow_project_commands": false})").value());
    CHECK_FALSE(read("{}").value());
    CHECK_FALSE(read(R"({"trusted_at": "2026-02-20T00:00:00Z"})").value());
    CHECK(read("// by hand\n{allow_project_commands: true, trusted_at: null,}").value());
}

TEST_CASE("a trust file that cannot be understood is an error, never trust") {
    CHECK(error_of("") == "trust.jsonc:1:1: must be an object");
    CHECK(error_of("{\"allow_project_commands\": \"yes\"}") ==
          "trust.jsonc:1:2: key `allow_project_commands` must be true or false");
    CHECK(error_of("{\"allow_project_commands\": null}") ==
          "trust.jsonc:1:2: key `allow_project_commands` must be true or false");
    CHECK(error_of("{\n  \"allow_project_comands\": true\n}") ==
          "trust.jsonc:2:3: key `allow_project_comands` is not known; did you mean "
          "\"allow_project_commands\"?");
    CHECK(error_of("{\"allow_project_commands\": true, \"trusted_at\": \"yesterday\"}") ==
          "trust.jsonc:1:34: key `trusted_at` must be a time such as \"2026-02-20T00:00:00Z\", not "
          "\"yesterday\"");
    CHECK(error_of("{").substr(0, 16) == "trust.jsonc:1:1:");
}

TEST_CASE("the text that trust_text writes is canonical and trusting") {
    const core::Instant now = core::parse_rfc3339("2026-02-20T12:30:00.25Z").value().instant;
    const std::string text = config::trust_text(now);
    CHECK(text ==
          "{\n  \"allow_project_commands\": true,\n  \"trusted_at\": \"2026-02-20T12:30:00.250000000Z\"\n}");
    CHECK(read(text).value());
}
