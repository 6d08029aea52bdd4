// Nothing that is kept is removed because a clock was wrong for once.
#include "core/base/expiry.h"

#include <doctest/doctest.h>

using namespace ralph::core;
using std::chrono::hours;

namespace {

constexpr Milliseconds two_weeks = hours{24 * 14};

// A host, its clocks, and what one look after another leaves to the next process.
struct Host {
    Instant wall = parse_rfc3339("2026-02-20T00:00:00Z")->instant;
    Instant monotonic{hours{5}};
    std::string boot = "one";
    std::string file = "{}";

    [[nodiscard]] Moment now() const { return {monotonic, wall}; }

    void pass(Milliseconds time) {
        monotonic += time;
        wall += time;
    }

    void reboot() {
        boot += " and another";
        monotonic = Instant{hours{1}};
    }

    [[nodiscard]] ExpiryNotes noted() const {
        const auto document = JsonDocument::parse(file, "notes");
        REQUIRE(document.has_value());
        auto notes = read_expiry_notes(*document, now(), boot);
        return notes ? *notes : ExpiryNotes{};
    }

    bool look(const std::string& name = "one", Milliseconds retention = two_weeks) {
        const ExpiryNotes before = noted();
        ExpiryLook at(before, monotonic);
        const bool confirmed = at.is_confirmed(name, retention);
        file = expiry_notes_text(at.notes(), now(), boot);
        return confirmed;
    }
};

}  // namespace

TEST_CASE("expiry: what seems expired is confirmed a day later, or after a shorter retention") {
    Host host;
    CHECK_FALSE(host.look());
    host.pass(hours{23});
    CHECK_FALSE(host.look());
    host.pass(hours{1});
    CHECK(host.look());
    CHECK_FALSE(host.look("another"));
    CHECK_FALSE(host.look());  // forgotten by the look that did not find it
    Host brief;
    CHECK_FALSE(brief.look("one", Milliseconds{1000}));
    brief.pass(Milliseconds{999});
    CHECK_FALSE(brief.look("one", Milliseconds{1000}));
    brief.pass(Milliseconds{1});
    CHECK(brief.look("one", Milliseconds{1000}));
    Host none;
    CHECK_FALSE(none.look("one", Milliseconds{0}));  // two looks, whatever the retention
    CHECK(none.look("one", Milliseconds{0}));
}

TEST_CASE("expiry: a wall clock that is wrong, however often, does not make a day") {
    for (const hours error : {hours{24 * 400}, hours{-24 * 400}, hours{24 * 365 * 200}}) {
        CAPTURE(error.count());
        Host host;
        CHECK_FALSE(host.look());
        for (int look = 0; look < 3; ++look) {
            host.wall += look % 2 == 0 ? error : -error;
            host.pass(hours{7});
            CHECK_FALSE(host.look());
        }
        host.pass(hours{3});
        CHECK(host.look());
    }
}

TEST_CASE(
    "expiry: a boot later the wall clock is the measure, and a note of a time to come counts from now") {
    Host host;
    CHECK_FALSE(host.look());
    host.pass(hours{12});
    CHECK_FALSE(host.look());
    host.reboot();
    host.pass(hours{11});
    CHECK_FALSE(host.look());
    host.pass(hours{1});
    CHECK(host.look());
    Host ahead;
    ahead.wall += hours{24 * 400};
    CHECK_FALSE(ahead.look());
    ahead.reboot();
    ahead.wall -= hours{24 * 400};
    CHECK_FALSE(ahead.look());
    ahead.pass(hours{23});
    CHECK_FALSE(ahead.look());
    ahead.pass(hours{1});
    CHECK(ahead.look());
}

TEST_CASE("expiry: the next look that can confirm anything") {
    const Instant now{hours{50}};
    const ExpiryNotes before{{"a", now - hours{20}}, {"b", now - hours{23}}, {"c", now - hours{30}}};
    ExpiryLook look(before, now);
    CHECK_FALSE(look.next().has_value());
    CHECK(look.is_confirmed("c", two_weeks));
    CHECK_FALSE(look.next().has_value());
    CHECK_FALSE(look.is_confirmed("a", two_weeks));
    CHECK(look.next() == now + hours{4});
    CHECK_FALSE(look.is_confirmed("b", two_weeks));
    CHECK_FALSE(look.is_confirmed("d", two_weeks));
    CHECK(look.next() == now + hours{1});
    CHECK(look.notes() ==
          ExpiryNotes{{"a", now - hours{20}}, {"b", now - hours{23}}, {"c", now - hours{30}}, {"d", now}});
}

TEST_CASE("expiry: notes that cannot be read, or come from the ends of time, confirm nothing too early") {
    for (const char* text :
         {"", "{", "[]", R"({"boot": "one"})", R"({"boot": "one", "seen": 3})",
          R"({"boot": "one", "written": "2026-02-20T00:00:00Z", "seen": {"one": "yesterday"}})",
          R"({"boot": "one", "written": "0001-01-01T00:00:00Z", "seen": {"one": "9999-01-01T00:00:00Z"}})",
          R"({"boot": "one", "written": "2026-02-20T00:00:00Z", "monotonic_ns": 9223372036854775808,
              "seen": {"one": "2026-02-19T23:00:00Z"}})",
          R"({"version": 2, "boot": "one", "written": "2026-02-20T00:00:00Z",
              "seen": {"one": "2026-02-10T00:00:00Z"}})",
          R"({"boot": "two", "seen": {"one": "9999-01-01T00:00:00Z"}})",
          R"({"boot": "one", "written": "2026-02-20T00:00:00Z", "monotonic_ns": 18446744073709551615,
              "seen": {"one": "2026-02-20T00:00:00Z"}})"}) {
        CAPTURE(text);
        Host host;
        const auto document = JsonDocument::parse(text, "notes");
        const auto notes = document ? read_expiry_notes(*document, host.now(), host.boot)
                                    : Result<ExpiryNotes>{document.error()};
        const ExpiryNotes before = notes ? *notes : ExpiryNotes{};
        ExpiryLook look(before, host.monotonic);
        CHECK_FALSE(look.is_confirmed("one", two_weeks));
    }
}
