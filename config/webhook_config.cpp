#include "config/webhook_config.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/value.hpp>
#include <cstring>

#include "config/layering.h"
#include "core/check.h"
#include "core/task.h"

namespace ralph::config {

using core::JsonFault;
using core::ObjectReader;

namespace {

struct Target {
    std::string scheme;  // lower case
    std::string host;    // lower case, without brackets and final dot
};

std::optional<Target> parse_target(std::string_view url) {
    const std::size_t colon = url.find("://");
    const bool foreign = !std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < '\x7f'; });
    if (foreign || colon == std::string_view::npos) {
        return std::nullopt;
    }
    // A backslash ends the host too, since some clients take it for a slash.
    std::string_view authority = url.substr(colon + 3);
    authority = authority.substr(0, authority.find_first_of("/?#\\"));
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
        authority.remove_prefix(at + 1);
    }
    const bool bracketed = authority.substr(0, 1) == "[";
    const std::size_t end = bracketed ? authority.find(']') : std::min(authority.find(':'), authority.size());
    if (end == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view host = authority.substr(bracketed ? 1 : 0, bracketed ? end - 1 : end);
    const std::string_view port = authority.substr(bracketed ? end + 1 : end);
    const bool port_fits =
        port.empty() || (port[0] == ':' && port.size() <= 6 &&
                         port.find_first_not_of("0123456789", 1) == std::string_view::npos);
    if (!bracketed && !host.empty() && host.back() == '.') {
        host.remove_suffix(1);
    }
    if (host.empty() || host.find('%') != std::string_view::npos || !port_fits) {
        return std::nullopt;
    }
    return Target{lower_case(url.substr(0, colon)), lower_case(host)};
}

bool is_private_ipv4(std::uint32_t address) {
    constexpr std::uint32_t alibaba_metadata = 0x64'64'64'C8;  // 100.100.100.200
    const std::uint32_t net = address >> 24U;
    return net == 0 || net == 127 || (address >> 16U) == 0xA9'FE || address == alibaba_metadata;
}

bool is_private_ipv6(const std::array<unsigned char, 16>& address) {
    // The IPv4 address inside compatible, mapped and NAT64 addresses; :: and ::1 are "compatible" with 0/8.
    static constexpr std::array<std::array<unsigned char, 12>, 3> carriers{
        {{}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, {0, 0x64, 0xFF, 0x9B}}};
    static constexpr std::array<unsigned char, 16> amazon_metadata{0xFD, 0, 0x0E, 0xC2, 0, 0, 0,    0,
                                                                   0,    0, 0,    0,    0, 0, 0x02, 0x54};
    for (const auto& carrier : carriers) {
        if (std::equal(carrier.begin(), carrier.end(), address.begin())) {
            std::uint32_t inner = 0;
            std::memcpy(&inner, address.data() + carrier.size(), sizeof inner);
            return is_private_ipv4(ntohl(inner));
        }
    }
    return (address[0] == 0xFE && (address[1] & 0xC0U) == 0x80U) || address == amazon_metadata;
}

bool is_private_host(const std::string& host) {
    static constexpr std::array<std::string_view, 4> names{"localhost", "metadata",
                                                           "metadata.google.internal", "instance-data"};
    if (std::find(names.begin(), names.end(), host) != names.end() ||
        (host.size() > 10 && host.substr(host.size() - 10) == ".localhost")) {
        return true;
    }
    // inet_aton reads "127.1" and "0x7f000001" too, as those who connect do.
    in_addr ipv4{};
    if (inet_aton(host.c_str(), &ipv4) != 0) {
        return is_private_ipv4(ntohl(ipv4.s_addr));
    }
    std::array<unsigned char, 16> ipv6{};
    return inet_pton(AF_INET6, host.c_str(), ipv6.data()) == 1 && is_private_ipv6(ipv6);
}

std::optional<WebhookQueuePolicy> parse_policy(std::string_view text) {
    for (const auto policy : {WebhookQueuePolicy::drop_oldest, WebhookQueuePolicy::drop_new,
                              WebhookQueuePolicy::block_with_timeout}) {
        if (to_string(policy) == text) {
            return policy;
        }
    }
    return std::nullopt;
}

void read_events(ObjectReader& webhook, std::vector<std::string>& out) {
    static const std::vector<std::string> known{"task_created",
                                                "task_started",
                                                "task_completed",
                                                "task_failed",
                                                "task_status_changed",
                                                "loop_started",
                                                "loop_stopped",
                                                "phase_started",
                                                "phase_completed",
                                                "queue_unblocked",
                                                "*"};
    if (!is_set(webhook, "events")) {
        return;
    }
    read_list(webhook, "events", out);
    for (std::size_t i = 0; i < out.size(); ++i) {
        check_choice(webhook, fmt::format("events[{}]", i), out[i], known);
    }
}

void read_multiplier(ObjectReader& webhook, double& out) {
    constexpr std::string_view key = "parallel_queue_multiplier";
    if (!is_set(webhook, key)) {
        return;
    }
    const boost::json::value& value = *webhook.find(key);
    const double number = value.is_number() ? value.to_number<double>() : 0;
    if (number < 1 || number > 10) {
        webhook.fail(key, "must be a number from 1 to 10");
        return;
    }
    out = number;
}

}  // namespace

std::string_view to_string(WebhookQueuePolicy policy) {
    switch (policy) {
        case WebhookQueuePolicy::drop_oldest:
            return "drop_oldest";
        case WebhookQueuePolicy::drop_new:
            return "drop_new";
        case WebhookQueuePolicy::block_with_timeout:
            return "block_with_timeout";
    }
    CHECK(false);
    return {};
}

bool WebhookConfig::wants(std::string_view event) const {
    return std::any_of(events.begin(), events.end(),
                       [event](const std::string& one) { return one == "*" || one == event; });
}

void read_webhook(ObjectReader& webhook, WebhookConfig& out) {
    read_flag(webhook, "enabled", out.enabled);
    webhook.read("url", out.url);
    read_flag(webhook, "allow_insecure_http", out.allow_insecure_http);
    read_flag(webhook, "allow_private_targets", out.allow_private_targets);
    webhook.read("secret", out.secret);
    read_events(webhook, out.events);
    if (const auto seconds = whole_number(webhook, "timeout_secs", 1, 300)) {
        out.timeout = std::chrono::seconds(*seconds);
    }
    read_whole(webhook, "retry_count", 0, 10, out.retry_count);
    if (const auto milliseconds = whole_number(webhook, "retry_backoff_ms", 100, 30'000)) {
        out.retry_backoff = core::Milliseconds(*milliseconds);
    }
    read_whole(webhook, "queue_capacity", 10, 10'000, out.queue_capacity);
    read_multiplier(webhook, out.parallel_queue_multiplier);
    if (is_set(webhook, "queue_policy")) {
        webhook.read_as("queue_policy", out.queue_policy, parse_policy,
                        "drop_oldest, drop_new or block_with_timeout");
    }
}

std::optional<JsonFault> webhook_fault(const WebhookConfig& webhook) {
    if (!webhook.enabled) {
        return std::nullopt;
    }
    if (!webhook.url || core::trimmed(*webhook.url).empty()) {
        return JsonFault{"agent.webhook.enabled", "needs agent.webhook.url"};
    }
    const auto target = parse_target(*webhook.url);
    if (!target || (target->scheme != "https" && target->scheme != "http")) {
        return JsonFault{"agent.webhook.url", "must be a URL such as \"https://example.org/hook\""};
    }
    if (target->scheme == "http" && !webhook.allow_insecure_http) {
        return JsonFault{"agent.webhook.url",
                         "must start with https://; set agent.webhook.allow_insecure_http to use plain http"};
    }
    if (!webhook.allow_private_targets && is_private_host(target->host)) {
        return JsonFault{"agent.webhook.url",
                         fmt::format("must not call {}, which is this machine or a local "
                                     "service; set agent.webhook.allow_private_targets to "
                                     "call it all the same",
                                     target->host)};
    }
    return std::nullopt;
}

}  // namespace ralph::config
