// ralph-sim --seeds A..B [--trace]: simulates the seeds A to B, and stops at the first that goes wrong.
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>

#include "tests/sim/simulation.h"

namespace {

std::uint64_t seed_under_way = 0;

// A failed CHECK aborts: say which seed it was.
extern "C" void on_abort(int) {
    std::fprintf(stderr, "aborted in seed %llu\n", static_cast<unsigned long long>(seed_under_way));
}

struct Arguments {
    std::uint64_t first = 1;
    std::uint64_t last = 1000;
    bool trace = false;
};

std::optional<Arguments> parse_arguments(int count, char** values) {
    Arguments arguments;
    for (int i = 1; i < count; ++i) {
        const std::string_view value = values[i];
        if (value == "--trace") {
            arguments.trace = true;
        } else if (value == "--seeds" && i + 1 < count) {
            const std::string_view range = values[++i];
            const char* const end = range.data() + range.size();
            const auto [rest, problem] = std::from_chars(range.data(), end, arguments.first);
            arguments.last = arguments.first;
            if (problem != std::errc{}) {
                return std::nullopt;
            }
            if (rest != end && (end - rest < 3 || rest[0] != '.' || rest[1] != '.' ||
                                std::from_chars(rest + 2, end, arguments.last).ptr != end)) {
                return std::nullopt;
            }
        } else {
            return std::nullopt;
        }
    }
    return arguments;
}

}  // namespace

int main(int count, char** values) {
    const auto arguments = parse_arguments(count, values);
    if (!arguments) {
        std::fprintf(stderr, "usage: ralph-sim [--seeds A..B] [--trace]\n");
        return 2;
    }
    std::signal(SIGABRT, on_abort);
    std::uint64_t steps = 0;
    std::uint64_t crashes = 0;
    for (std::uint64_t seed = arguments->first; seed <= arguments->last; ++seed) {
        seed_under_way = seed;
        const ralph::sim::Report report = ralph::sim::Simulation(seed, arguments->trace).run();
        steps += report.steps;
        crashes += report.crashes;
        for (const auto& line : report.trace) {
            std::printf("%s\n", line.c_str());
        }
        if (!report.violation.empty()) {
            std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), report.violation.c_str());
            return 1;
        }
    }
    std::printf("%llu seeds, %llu turns, %llu crashes: all promises kept\n",
                static_cast<unsigned long long>(arguments->last - arguments->first + 1),
                static_cast<unsigned long long>(steps), static_cast<unsigned long long>(crashes));
    return 0;
}
