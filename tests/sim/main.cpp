// ralph-sim --seeds A..B [--single] [--trace]: simulates the seeds A to B, and stops at the first that goes
// wrong. With --single no two tasks are landed together.
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "tests/sim/simulation.h"

namespace {

std::uint64_t seed_under_way = 0;

// What the supervisor tells is told only with a trace, and without the time of the day.
void set_up_log(bool trace) {
    auto logger = spdlog::stdout_color_mt("ralph");
    logger->set_pattern("                log: %v");
    logger->set_level(trace ? spdlog::level::debug : spdlog::level::off);
    spdlog::set_default_logger(std::move(logger));
}

// A failed CHECK aborts: say which seed it was.
extern "C" void on_abort(int) {
    std::fprintf(stderr, "aborted in seed %llu\n", static_cast<unsigned long long>(seed_under_way));
}

struct Arguments {
    std::uint64_t first = 1;
    std::uint64_t last = 1000;
    bool batches = true;
    bool trace = false;
};

std::optional<Arguments> parse_arguments(int count, char** values) {
    Arguments arguments;
    for (int i = 1; i < count; ++i) {
        const std::string_view value = values[i];
        if (value == "--trace") {
            arguments.trace = true;
        } else if (value == "--single") {
            arguments.batches = false;
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
        std::fprintf(stderr, "usage: ralph-sim [--seeds A..B] [--single] [--trace]\n");
        return 2;
    }
    std::signal(SIGABRT, on_abort);
    // What the supervisor would hand to its workers: the same everywhere, and short.
    ::clearenv();
    ::setenv("PATH", "/usr/bin:/bin", 1);
    set_up_log(arguments->trace);
    const auto begun = std::chrono::steady_clock::now();
    std::uint64_t turns = 0;
    std::uint64_t lives = 0;
    std::uint64_t crashes = 0;
    std::uint64_t file_calls = 0;
    std::uint64_t batches = 0;
    for (std::uint64_t seed = arguments->first; seed <= arguments->last; ++seed) {
        seed_under_way = seed;
        const ralph::sim::Report report =
            ralph::sim::Simulation(seed, arguments->trace, arguments->batches).run();
        turns += report.turns;
        lives += report.lives;
        crashes += report.crashes;
        file_calls += report.file_calls;
        batches += report.batches;
        if (!report.violation.empty()) {
            fmt::print("seed {}: {}\n", seed, report.violation);
            return 1;
        }
    }
    const auto seeds = arguments->last - arguments->first + 1;
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begun;
    fmt::print(
        "{} seeds, {} lives of supervisors, {} crashes, {} batches, {} turns, {} file calls, {:.0f} seeds "
        "per "
        "second: all promises kept\n",
        seeds, lives, crashes, batches, turns, file_calls, static_cast<double>(seeds) / time.count());
    return 0;
}
