// One round of ralph-chaos: a fresh project, its faults, its verdict.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ralph::chaos {

struct Options {
    std::uint64_t seed = 1;
    unsigned workers = 16;
    std::size_t tasks = 200;
    int pause_ms = 2000;  // the longest between two faults
    bool disk = true;     // a small disk of its own that is filled and emptied, where that is permitted
    bool keep = false;
    int kills = 0;        // more than 0: nothing but this many kills of the supervisor
    std::string program;  // ralph-chaos itself
};

// Prints what happened. What should not have happened; nothing if all is well.
[[nodiscard]] std::vector<std::string> chaos_round(const Options& options);

// The same tasks once in peace and once while the supervisor is killed `kills` times, then compared.
[[nodiscard]] std::vector<std::string> kills_round(const Options& options);

}  // namespace ralph::chaos
