// The five lifecycles of a worker record (contract section 6.1).
#pragma once

#include <optional>
#include <string_view>

namespace ralph::core {

enum class Lifecycle { running, integrating, completed, failed, blocked_push };

[[nodiscard]] std::string_view to_string(Lifecycle lifecycle);
[[nodiscard]] std::optional<Lifecycle> parse_lifecycle(std::string_view text);
[[nodiscard]] bool is_terminal(Lifecycle lifecycle);

}  // namespace ralph::core
