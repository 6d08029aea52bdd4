#include "core/supervisor/lifecycle.h"

#include <array>

namespace ralph::core {

std::string_view to_string(Lifecycle lifecycle) {
    switch (lifecycle) {
        case Lifecycle::running:
            return "running";
        case Lifecycle::integrating:
            return "integrating";
        case Lifecycle::completed:
            return "completed";
        case Lifecycle::failed:
            return "failed";
        case Lifecycle::blocked_push:
            return "blocked_push";
    }
    return "";
}

std::optional<Lifecycle> parse_lifecycle(std::string_view text) {
    for (const Lifecycle candidate : {Lifecycle::running, Lifecycle::integrating, Lifecycle::completed,
                                      Lifecycle::failed, Lifecycle::blocked_push}) {
        if (to_string(candidate) == text) {
            return candidate;
        }
    }
    return std::nullopt;
}

bool is_terminal(Lifecycle lifecycle) {
    switch (lifecycle) {
        case Lifecycle::running:
        case Lifecycle::integrating:
            return false;
        case Lifecycle::completed:
        case Lifecycle::failed:
        case Lifecycle::blocked_push:
            return true;
    }
    return false;
}

}  // namespace ralph::core
