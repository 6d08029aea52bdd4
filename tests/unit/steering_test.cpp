// The text of steering.json.
#include <doctest/doctest.h>

#include "core/supervisor/steering.h"

using namespace ralph::core;

namespace {

Result<Steering> read(std::string text) {
    const auto document = JsonDocument::parse(std::move(text), "steering.json");
    return document ? read_steering(*document) : Result<Steering>{document.error()};
}

}  // namespace

TEST_CASE("steering: what is written is read") {
    const Instant time{std::chrono::seconds{1'771'545'600}};
    for (const Steering& steering :
         {Steering{}, Steering{Pause{time, {}, "why"}, {}},
          Steering{Pause{time, time + std::chrono::hours{1}, ""}, 7U}, Steering{{}, 255U}}) {
        const auto again = read(steering_text(steering));
        REQUIRE(again.has_value());
        CHECK(*again == steering);
    }
}

TEST_CASE("steering: what cannot be meant is refused, and said where") {
    for (const auto& each : std::initializer_list<std::pair<std::string, std::string>>{
             {R"({"version": 1, "workers": 0})", "workers"},
             {R"({"version": 1, "workers": 256})", "workers"},
             {R"({"version": 2})", "version"},
             {R"({"version": 1, "pause": {}})", "since"},
             {R"({"version": 1, "pause": {"since": "soon"}})", "pause.since"},
             {R"({"version": 1, "pause": {"since": "2026-02-20T00:00:00Z", "until": 5}})", "until"}}) {
        CAPTURE(each.first);
        const auto refused = read(each.first);
        REQUIRE(!refused.has_value());
        CHECK(refused.error().message.find(each.second) != std::string::npos);
    }
}

TEST_CASE("steering: a pause holds until its time") {
    const Instant time{std::chrono::seconds{1'771'545'600}};
    const Steering steering{Pause{time, time + std::chrono::seconds{5}, ""}, {}};
    CHECK(is_paused(steering, time));
    CHECK(!is_paused(steering, time + std::chrono::seconds{5}));
    CHECK(is_paused(Steering{Pause{time, {}, ""}, {}}, time + std::chrono::hours{10'000}));
    CHECK(!is_paused(Steering{}, time));
}
