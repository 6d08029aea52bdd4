#include "config/webhook_config.h"

#include <doctest/doctest.h>

#include "config/project_config.h"

using namespace ralph;
using config::Layer;
using config::WebhookConfig;
using config::WebhookQueuePolicy;

namespace {

core::Result<config::ProjectConfig> load(const std::string& webhook) {
    return config::load_project_config(std::nullopt,
                                       Layer{"c.jsonc", "{agent: {webhook: {" + webhook + "}}}"}, false);
}

std::string error_of(const std::string& webhook) {
    const auto result = load(webhook);
    return result.has_error() ? result.error().line() : "no error";
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string error_of_url(const std::string& url, const std::string& more = "") {
    return error_of("enabled: true, url: \"" + url + "\"" + more);
}

}  // namespace

TEST_CASE("webhook: defaults and every value") {
    const WebhookConfig defaults = load("").value().webhook;
    CHECK(defaults == WebhookConfig{});
    CHECK_FALSE(defaults.enabled);
    CHECK(defaults.timeout == std::chrono::seconds{30});
    CHECK(defaults.retry_count == 3);
    CHECK(defaults.retry_backoff == std::chrono::seconds{1});
    CHECK(defaults.queue_capacity == 500);
    CHECK(defaults.parallel_queue_multiplier == doctest::Approx(2.0));
    CHECK(defaults.queue_policy == WebhookQueuePolicy::drop_oldest);

    const WebhookConfig all = load(R"(enabled: true, url: "https://example.org/x", allow_insecure_http: true,
        allow_private_targets: true, secret: "s", events: ["*"], timeout_secs: 4, retry_count: 5,
        retry_backoff_ms: 600, queue_capacity: 70, parallel_queue_multiplier: 2.5,
        queue_policy: "block_with_timeout")")
                                  .value()
                                  .webhook;
    WebhookConfig expected;
    expected.enabled = true;
    expected.url = "https://example.org/x";
    expected.allow_insecure_http = true;
    expected.allow_private_targets = true;
    expected.secret = "s";
    expected.events = {"*"};
    expected.timeout = std::chrono::seconds{4};
    expected.retry_count = 5;
    expected.retry_backoff = core::Milliseconds{600};
    expected.queue_capacity = 70;
    expected.parallel_queue_multiplier = 2.5;
    expected.queue_policy = WebhookQueuePolicy::block_with_timeout;
    CHECK(all == expected);
}

TEST_CASE("webhook: bounds, on both sides") {
    struct Bound {
        std::string key, low, below, high, above;
    };
    const std::vector<Bound> bounds{
        {"timeout_secs", "1", "0", "300", "301"},
        {"retry_count", "0", "-1", "10", "11"},
        {"retry_backoff_ms", "100", "99", "30000", "30001"},
        {"queue_capacity", "10", "9", "10000", "10001"},
        {"parallel_queue_multiplier", "1", "0.99", "10.0", "10.01"},
    };
    for (const Bound& bound : bounds) {
        CAPTURE(bound.key);
        CHECK(load(bound.key + ": " + bound.low).has_value());
        CHECK(load(bound.key + ": " + bound.high).has_value());
        CHECK(has(error_of(bound.key + ": " + bound.below), bound.key + "` must be a "));
        CHECK(has(error_of(bound.key + ": " + bound.above), bound.key + "` must be a "));
        CHECK(has(error_of(bound.key + ": true"), bound.key + "` must be a "));
    }
    CHECK(has(error_of("queue_policy: \"drop\""),
              "must be drop_oldest, drop_new or block_with_timeout, not \"drop\""));
    CHECK(load("queue_policy: \"drop_new\"").value().webhook.queue_policy == WebhookQueuePolicy::drop_new);
}

TEST_CASE("webhook: events") {
    const WebhookConfig defaults;
    CHECK(defaults.wants("task_failed"));
    CHECK_FALSE(defaults.wants("loop_started"));
    CHECK(load("events: [\"*\"]").value().webhook.wants("loop_started"));
    CHECK_FALSE(load("events: []").value().webhook.wants("task_failed"));
    for (const std::string event :
         {"task_created", "task_started", "task_completed", "task_failed", "task_status_changed",
          "loop_started", "loop_stopped", "phase_started", "phase_completed", "queue_unblocked"}) {
        CAPTURE(event);
        const auto one = load("events: [\"" + event + "\"]");
        REQUIRE(one.has_value());
        CHECK(one->webhook.wants(event));
    }
    CHECK(has(error_of("events: [\"*\", \"task_done\"]"), "key `agent.webhook.events[1]` must be one of "));
    CHECK(has(error_of("events: [\"task_start\"]"), "did you mean \"task_started\"?"));
}

TEST_CASE("webhook: what is enabled has a URL that may be called") {
    CHECK(error_of("enabled: true") == "c.jsonc:1:20: key `agent.webhook.enabled` needs agent.webhook.url");
    CHECK(has(error_of("enabled: true, url: \" \""), "needs agent.webhook.url"));
    CHECK(error_of("enabled: false, url: \"nonsense\"") == "no error");
    for (const std::string url :
         {"nonsense", "ftp://example.org", "https://", "https:///x", "https://a b/", "https://%31/",
          "https://[::1", "https://example.org:x", "//example.org", "https://ex\xC3\xA4mple.org"}) {
        CAPTURE(url);
        CHECK(has(error_of_url(url), "key `agent.webhook.url` must be a URL such as"));
    }
    CHECK(error_of_url("HTTPS://user:pw@Example.org:8443/x?y#z") == "no error");
    CHECK(has(error_of_url("http://example.org"),
              "must start with https://; set agent.webhook.allow_insecure_http"));
    CHECK(error_of_url("http://example.org", ", allow_insecure_http: true") == "no error");
    CHECK(error_of_url("https://10.0.0.1/") == "no error");
    CHECK(error_of_url("https://[2001:db8::1]:443/") == "no error");
    CHECK(error_of_url("https://[fe00::1]/") == "no error");
}

TEST_CASE("webhook: this machine and metadata services need leave") {
    for (const std::string host : {"localhost",
                                   "LocalHost.",
                                   "a.localhost",
                                   "127.0.0.1",
                                   "127.9.9.9:80",
                                   "127.1",
                                   "0x7f000001",
                                   "2130706433",
                                   "0.0.0.0",
                                   "169.254.169.254",
                                   "100.100.100.200",
                                   "metadata.google.internal",
                                   "metadata",
                                   "user@localhost",
                                   "example.org@127.0.0.1",
                                   "[::1]",
                                   "[::]",
                                   "[fe80::1]",
                                   "[febf::1]",
                                   "[::ffff:127.0.0.1]",
                                   "[64:ff9b::7f00:1]",
                                   "[fd00:ec2::254]",
                                   "localhost\\\\@example.org"}) {
        CAPTURE(host);
        CHECK(has(error_of_url("https://" + host + "/x"), "key `agent.webhook.url` must not call "));
        CHECK(error_of_url("https://" + host + "/x", ", allow_private_targets: true") == "no error");
    }
    CHECK(error_of_url("https://mylocalhost/x") == "no error");
    CHECK(error_of_url("https://[::ffff:9.9.9.9]/x") == "no error");
}

TEST_CASE("webhook: a combination of layers is blamed on the layer that sets the URL") {
    const Layer global{"g.jsonc", "{agent: {webhook: {\n url: \"http://example.org\"}}}"};
    const Layer project{"p.jsonc", "{agent: {webhook: {enabled: true}}}"};
    const auto result = config::load_project_config(global, project, false);
    REQUIRE(result.has_error());
    CHECK(has(result.error().line(), "g.jsonc:2:2: key `agent.webhook.url` must start with https://"));

    const Layer both{"b.jsonc", "{agent: {webhook: {enabled: true, url: \"ftp://example.org\"}}}"};
    const auto overridden = config::load_project_config(global, both, false);
    REQUIRE(overridden.has_error());
    CHECK(has(overridden.error().line(), "b.jsonc:1:35: key `agent.webhook.url` must be a URL"));
}
