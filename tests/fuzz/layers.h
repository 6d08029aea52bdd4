// Settings of two layers: what a repository without trust may set, it may set with trust, to the same effect.
#pragma once

#include "config/layer.h"
#include "tests/fuzz/fuzz.h"

namespace ralph::fuzz {

// The settings as a trusted repository has them, or nothing if they are refused.
template <class Settings>
std::optional<Settings> load_layers(const std::uint8_t* data, std::size_t size,
                                    core::Result<Settings> (*load)(const std::optional<config::Layer>&,
                                                                   const std::optional<config::Layer>&,
                                                                   bool)) {
    auto [first, second] = two_texts(data, size);
    const config::Layer project{"project.jsonc", std::move(first)};
    const auto global = second ? std::optional(config::Layer{"global.jsonc", std::move(*second)})
                               : std::optional<config::Layer>{};
    auto trusted = load(global, project, true);
    const auto untrusted = load(global, project, false);
    CHECK(trusted || !untrusted);
    if (untrusted) {
        CHECK(*untrusted == *trusted);
    } else {
        check_error(untrusted.error(), ".jsonc");
    }
    if (!trusted) {
        check_error(trusted.error(), ".jsonc");
        return std::nullopt;
    }
    return std::move(*trusted);
}

}  // namespace ralph::fuzz
