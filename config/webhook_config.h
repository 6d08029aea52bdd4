// agent.webhook: where and how transitions are reported over HTTP (contract section 3.3).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_reader.h"
#include "core/time.h"

namespace ralph::config {

// What happens to an event while the queue is full. The Rust tools treat drop_oldest like drop_new.
enum class WebhookQueuePolicy { drop_oldest, drop_new, block_with_timeout };

[[nodiscard]] std::string_view to_string(WebhookQueuePolicy policy);

struct WebhookConfig {
    bool enabled = false;
    std::optional<std::string> url;  // set if enabled, and then fit to be called
    bool allow_insecure_http = false;
    bool allow_private_targets = false;
    std::optional<std::string> secret;  // key of the HMAC-SHA256 signature
    std::vector<std::string> events{"task_created", "task_started", "task_completed", "task_failed",
                                    "task_status_changed"};  // names, or "*" for all
    core::Milliseconds timeout{30'000};                      // 1 s to 300 s
    std::uint32_t retry_count = 3;                           // 0 to 10
    core::Milliseconds retry_backoff{1'000};                 // 100 ms to 30 s
    std::uint32_t queue_capacity = 500;                      // 10 to 10,000 events
    double parallel_queue_multiplier = 2.0;                  // 1 to 10, times the workers
    WebhookQueuePolicy queue_policy = WebhookQueuePolicy::drop_oldest;

    [[nodiscard]] bool wants(std::string_view event) const;
    bool operator==(const WebhookConfig&) const = default;
};

// Reads one layer's agent.webhook. Whether the URL may be called depends on all layers: webhook_fault.
void read_webhook(core::ObjectReader& webhook, WebhookConfig& out);

// Why an enabled webhook could not be used: it has no URL, the scheme is not allowed, or the host is one of
// this machine or network (a name that merely resolves to such an address is for the sender to refuse).
[[nodiscard]] std::optional<core::JsonFault> webhook_fault(const WebhookConfig& webhook);

}  // namespace ralph::config
