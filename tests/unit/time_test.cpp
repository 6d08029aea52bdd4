#include "core/base/time.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace ralph::core;
using namespace std::chrono_literals;

TEST_CASE("time: RFC 3339 times are read") {
    struct Row {
        std::string text;
        std::string utc;
        int offset_minutes;
    };
    const std::vector<Row> rows{
        {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z", 0},
        {"2026-02-20T12:30:00.25+01:00", "2026-02-20T11:30:00.250000000Z", 60},
        {"2026-02-20T23:30:00-01:30", "2026-02-21T01:00:00.000000000Z", -90},
        {"2026-02-20t12:30:00z", "2026-02-20T12:30:00.000000000Z", 0},
        {"2026-02-20 12:30:00+00:00", "2026-02-20T12:30:00.000000000Z", 0},
        {"2026-02-20T12:30:00.1234567899Z", "2026-02-20T12:30:00.123456789Z", 0},
        {"2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000000000Z", 0},
        {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000000Z", 0},
        {"2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000000Z", 0},
        {"1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999999Z", 0},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        const auto time = parse_rfc3339(row.text);
        REQUIRE(time.has_value());
        CHECK(format_rfc3339(time->instant) == row.utc);
        CHECK(time->offset_minutes == row.offset_minutes);
    }
    CHECK(parse_rfc3339("2001-09-09T01:46:40Z")->instant == Instant{1'000'000'000s});
}

TEST_CASE("time: anything else is refused") {
    for (const std::string text : {"",
                                   "2026",
                                   "2026-02-20",
                                   "2026-02-20T12:30Z",
                                   "2026-02-20T12:30:00",
                                   "2026-02-20T12:30:00.Z",
                                   "2026-02-20T12:30:00+0100",
                                   "2026-02-20T12:30:00+1:00",
                                   "2026-02-20T12:30:00+24:00",
                                   "2026-02-20T12:30:00+01:60",
                                   "2026-13-01T00:00:00Z",
                                   "2026-00-01T00:00:00Z",
                                   "2026-01-00T00:00:00Z",
                                   "2026-02-29T00:00:00Z",
                                   "1900-02-29T00:00:00Z",
                                   "2026-04-31T00:00:00Z",
                                   "2026-02-20T24:00:00Z",
                                   "2026-02-20T12:60:00Z",
                                   "2026-02-20T12:30:61Z",
                                   "2026-02-20T12:30:00Zx",
                                   " 2026-02-20T12:30:00Z",
                                   "2026-2-20T12:30:00Z",
                                   "+2026-02-20T12:30:00Z",
                                   "2026-02-20_12:30:00Z",
                                   "20260220T123000Z"}) {
        CAPTURE(text);
        const auto time = parse_rfc3339(text);
        REQUIRE_FALSE(time.has_value());
        CHECK(time.error().line() == "\"" + text + "\" is not an RFC 3339 time such as 2026-02-20T12:30:00Z");
    }
}

TEST_CASE("time: instants saturate, and the ends can be written") {
    CHECK(parse_rfc3339("9999-12-31T23:59:59Z")->instant == Instant::max());
    CHECK(parse_rfc3339("0001-01-01T00:00:00Z")->instant == Instant::min());
    CHECK(format_rfc3339(Instant::max()) == "2262-04-11T23:47:16.854775807Z");
    CHECK(format_rfc3339(Instant::min()) == "1677-09-21T00:12:43.145224192Z");
}

TEST_CASE("time: durations") {
    struct Row {
        std::string text;
        Milliseconds duration;
        std::string shortest;
    };
    const std::vector<Row> rows{
        {"0", 0ms, "0"},
        {"0s", 0ms, "0"},
        {"250ms", 250ms, "250ms"},
        {"90s", 90s, "90s"},
        {"120s", 2min, "2m"},
        {"15m", 15min, "15m"},
        {"2h", 2h, "2h"},
        {"48h", 48h, "2d"},
        {"7d", 168h, "7d"},
        {"1000ms", 1s, "1s"},
        {"1500ms", 1500ms, "1500ms"},
        {"36500d", 876000h, "36500d"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        const auto duration = parse_duration(row.text);
        REQUIRE(duration.has_value());
        CHECK(*duration == row.duration);
        CHECK(format_duration(*duration) == row.shortest);
    }
    for (const std::string text : {"", "5", "s", "-1s", "-0", "-0s", "+1s", "1.5h", "1 s", "1S", "1w", " 1s",
                                   "1s ", "36501d", "9223372036854775808ms", "99999999999999999999s"}) {
        CAPTURE(text);
        const auto duration = parse_duration(text);
        REQUIRE_FALSE(duration.has_value());
        CHECK(duration.error().line() ==
              "\"" + text +
                  "\" is not a duration such as \"90s\", \"15m\" or \"2h\" (units: ms, s, m, h, d)");
    }
}
