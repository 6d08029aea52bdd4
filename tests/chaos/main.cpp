// ralph-chaos: everything goes wrong at once, for as long as you like, and nothing may be lost, run twice or
// land twice.
//
//   ralph-chaos [--seed S] [--rounds N | --seconds N] [--workers N] [--tasks N] [--pause MS] [--disk yes|no]
//   [--keep] ralph-chaos --only supervisor-kills [--kills N] [--tasks N] [--workers N] [--seed S]
//
// Each round makes a remote and a repository in a temporary folder, on a small disk of their own where that
// is permitted (as root), and a queue of short tasks that land, fail, block, conflict, leave processes behind
// and more. `ralph run` works on them and is started again whenever it dies, while supervisors, shims,
// workers and steps are killed and frozen, the disk is filled, other supervisors are started, others push. A
// ledger that the tasks write outside of the repository is the witness. When the queue is drained, what the
// faults left undone is asked for again in peace; then every task must be at its one right end. --pause is
// the longest between two faults. The seed decides the tasks and the plan of faults; whom they hit depends on
// the machine. Two other modes are parts of the program: see witness.h.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "tests/chaos/clock.h"
#include "tests/chaos/round.h"
#include "tests/chaos/witness.h"

namespace {

using ralph::chaos::boot_clock;
using ralph::chaos::millisecond;
using ralph::chaos::Options;

constexpr const char* usage =
    "usage: ralph-chaos [--seed S] [--rounds N | --seconds N] [--workers N] [--tasks N] [--disk yes|no] "
    "[--keep]\n"
    "       ralph-chaos --only supervisor-kills [--kills N] [--tasks N] [--workers N] [--seed S]\n";

struct Arguments {
    Options options;
    long long rounds = 1;
    long long seconds = 0;
    bool only_kills = false;
    bool understood = true;
};

Arguments parse(int argc, char** argv) {
    Arguments arguments;
    Options& options = arguments.options;
    options.kills = 100;
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--keep") {
            options.keep = true;
            continue;
        }
        if (i + 1 >= argc) {
            arguments.understood = false;
            break;
        }
        const std::string_view text = argv[++i];
        const long long number = std::strtoll(argv[i], nullptr, 10);
        if (name == "--only" && text == "supervisor-kills") {
            arguments.only_kills = true;
        } else if (name == "--disk" && (text == "yes" || text == "no")) {
            options.disk = text == "yes";
        } else if (number <= 0) {
            arguments.understood = false;
        } else if (name == "--seed") {
            options.seed = static_cast<std::uint64_t>(number);
        } else if (name == "--rounds") {
            arguments.rounds = number;
        } else if (name == "--seconds") {
            arguments.seconds = number;
        } else if (name == "--workers" && number >= 2 && number <= 255) {
            options.workers = static_cast<unsigned>(number);
        } else if (name == "--tasks") {
            options.tasks = static_cast<std::size_t>(number);
        } else if (name == "--pause" && number >= 100) {
            options.pause_ms = static_cast<int>(number);
        } else if (name == "--kills") {
            options.kills = static_cast<int>(number);
        } else {
            arguments.understood = false;
        }
    }
    return arguments;
}

bool play(const Arguments& arguments, const Options& options) {
    const auto found = arguments.only_kills ? kills_round(options) : chaos_round(options);
    for (const std::string& line : found) {
        std::printf("WRONG: %s\n", line.c_str());
    }
    if (!found.empty()) {
        std::printf(
            "replay: ralph-chaos %s--seed %llu --tasks %zu --workers %u --pause %d\n",
            arguments.only_kills ? fmt::format("--only supervisor-kills --kills {} ", options.kills).c_str()
                                 : "",
            static_cast<unsigned long long>(options.seed), options.tasks, options.workers, options.pause_ms);
    }
    std::fflush(stdout);
    return found.empty();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 4 && std::string_view(argv[1]) == "--witness" && std::string_view(argv[3]) == "--") {
        return ralph::chaos::witness(argv[2], argv + 4);
    }
    if (argc == 3 && std::string_view(argv[1]) == "--stranger") {
        return ralph::chaos::stranger(argv[2]);
    }
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    Arguments arguments = parse(argc, argv);
    if (!arguments.understood) {
        static_cast<void>(std::fputs(usage, stderr));
        return 2;
    }
    Options& options = arguments.options;
    options.program = std::filesystem::read_symlink("/proc/self/exe").string();
    const auto end = boot_clock() + arguments.seconds * 1000 * millisecond;
    int failures = 0;
    int rounds = 0;
    try {
        while (arguments.seconds > 0 ? boot_clock() < end || rounds == 0 : rounds < arguments.rounds) {
            failures += play(arguments, options) ? 0 : 1;
            ++rounds;
            ++options.seed;
        }
    } catch (const std::exception& problem) {
        std::printf("the round with seed %llu could not be played: %s\n",
                    static_cast<unsigned long long>(options.seed), problem.what());
        return 1;
    }
    std::printf("%d rounds, %d of them went wrong\n", rounds, failures);
    return failures == 0 ? 0 : 1;
}
