#include "daemon/shim/options.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace ralph::shim {

bool parse(int argc, char** argv, Options& options) {
    int at = 1;
    for (; at + 1 < argc && strcmp(argv[at], "--") != 0; at += 2) {
        const std::string_view name = argv[at];
        const char* const value = argv[at + 1];
        if (name == "--grace") {
            options.grace_ms = strtol(value, nullptr, 10);
        } else if (name == "--timeout") {
            options.timeout_ms = strtol(value, nullptr, 10);
        } else if (name == "--silence") {
            options.silence_ms = strtol(value, nullptr, 10);
        } else if (name == "--log") {
            options.log_name = value;
        } else if (name == "--log-limit") {
            options.log_limit = strtoll(value, nullptr, 10);
        } else if (name == "--descriptors") {
            options.descriptors = strtol(value, nullptr, 10);
        } else if (name == "--cwd") {
            options.directory = value;
        } else if (name == "--banner") {
            options.banner = value;
        } else if (const char* const equals = strchr(value, '='); name == "--limit" && equals != nullptr) {
            options.limits.emplace_back(std::string(value, equals), equals + 1);
        } else {
            return false;
        }
    }
    options.command = argv + at + 1;
    return at + 1 < argc && !options.log_name.empty();
}

}  // namespace ralph::shim
