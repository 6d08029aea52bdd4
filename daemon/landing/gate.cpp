#include "daemon/landing/gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"
#include "core/base/jsonc.h"
#include "daemon/landing/gate_log.h"
#include "daemon/os/clock.h"
#include "daemon/os/files.h"
#include "daemon/os/program.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using core::Error;
using core::Result;

constexpr core::Milliseconds green_lasts = std::chrono::hours{24};
constexpr std::size_t most_remembered = 500;
constexpr std::size_t memory_limit = std::size_t{1} << 20U;

// Only a help: what cannot be read is not remembered.
bool was_green(const std::string& path, const std::string& commands) {
    auto text = read_file(path, memory_limit);
    const auto document = text && *text ? core::JsonDocument::parse(std::move(**text), path)
                                        : Result<core::JsonDocument>{Error{}};
    if (!document) {
        return false;
    }
    std::optional<core::JsonFault> fault;
    core::ObjectReader reader(document->root(), "", fault);
    std::string known;
    std::string when;
    reader.read("commands", known);
    reader.read("passed_at", when);
    const auto passed = core::parse_rfc3339(when);
    return !fault && known == commands && passed && passed->instant <= wall_clock() &&
           passed->instant > wall_clock() - green_lasts;
}

// The name of a tree, or of a beginning of such a file.
bool is_verdict(std::string_view name) {
    if (name.ends_with(partial_suffix)) {
        name.remove_suffix(partial_suffix.size());
    }
    return name.size() >= 40 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Also what a run that was killed has left of one that it was writing; the caller holds the lock.
void remove_oldest(const std::string& folder) {
    std::error_code problem;
    std::vector<std::pair<fs::file_time_type, fs::path>> verdicts;
    for (const auto& entry : fs::directory_iterator(folder, problem)) {
        if (!is_verdict(entry.path().filename().string()) ||
            entry.symlink_status(problem).type() != fs::file_type::regular) {
            continue;
        }
        verdicts.emplace_back(entry.last_write_time(problem), entry.path());
    }
    std::sort(verdicts.begin(), verdicts.end());
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
        if (i + most_remembered <= verdicts.size() || verdicts[i].second.extension() == partial_suffix) {
            fs::remove(verdicts[i].second, problem);
        }
    }
}

}  // namespace

Gates::Gates(const Settings& settings, Git git, GateGround ground)
    : settings_(settings), git_(std::move(git)), ground_(std::move(ground)), gates_(gates_of(settings)) {
    for (const NamedGate& gate : gates_) {
        commands_ += fmt::format("{}: {}\n", gate.name, fmt::join(gate.command, " "));
    }
}

// The tree without queue and done, which are ours and validated by us; made with an index of its own.
Result<std::string> Gates::files_of(const std::string& commit) const {
    TRY_ASSIGN(auto folder, git_.line({"rev-parse", "--absolute-git-dir"}));
    const std::string index = folder + "/ralph-gate-index";
    TRY(remove_file(index + ".lock"));
    const Git git = git_.with_environment("GIT_INDEX_FILE", index);
    TRY(git.expect({"read-tree", commit}));
    auto removed =
        git.expect({"rm", "--quiet", "--cached", "--force", "--ignore-unmatch", "--",
                    ":(top,literal)" + settings_.queue_relative, ":(top,literal)" + settings_.done_relative});
    return removed ? git.line({"write-tree"}) : Result<std::string>{removed.error()};
}

void Gates::remember(const std::string& files, const GateVerdict& verdict) {
    known_[files] = verdict;
    if (!verdict.green) {
        return;
    }
    const std::string folder = settings_.paths.green_gates();
    auto written = make_directories(folder);
    // One at a time. It is only a help, so that nobody waits for anybody.
    auto lock =
        written ? FileLock::acquire_existing(folder) : Result<std::optional<FileLock>>{written.error()};
    if (lock && *lock) {
        remove_oldest(folder);
        json::object root;
        root["version"] = 1;
        root["commands"] = commands_;
        root["passed_at"] = core::format_rfc3339(wall_clock());
        written = write_file_durably(folder + "/" + files, core::canonical_json(root));
    }
    if (!lock || !written) {
        const std::string why = lock ? written.error().line() : lock.error().line();
        static_cast<void>(std::fprintf(stderr, "ralph: %s\n", why.c_str()));
    }
}

std::optional<GateVerdict> Gates::recall(const std::string& files) const {
    const auto known = known_.find(files);
    if (known != known_.end()) {
        return known->second;
    }
    if (!was_green(settings_.paths.green_gates() + "/" + files, commands_)) {
        return std::nullopt;
    }
    GateVerdict verdict;
    verdict.recalled = true;
    return verdict;
}

Result<GateVerdict> Gates::judge(const std::string& commit, const std::string& files, const std::string& base,
                                 const std::vector<std::string>& tasks) {
    if (gates_.empty()) {
        return GateVerdict{};
    }
    GateVerdict all;
    for (const NamedGate& gate : gates_) {
        auto one = run(gate, commit, base, tasks);
        if (!one || !one->ran) {
            return one;
        }
        if (!one->green) {
            all = std::move(*one);
            break;
        }
        all.note += (all.note.empty() || one->note.empty() ? "" : "; ") + one->note;
    }
    remember(files, all);
    return all;
}

Result<GateVerdict> Gates::run(const NamedGate& gate, const std::string& commit, const std::string& base,
                               const std::vector<std::string>& tasks) {
    const Paths& paths = settings_.paths;
    ProgramRequest request;
    request.program = gate.command.front();
    request.arguments.assign(gate.command.begin() + 1, gate.command.end());
    request.directory = git_.directory();
    request.environment = environment_without_git();
    request.environment.insert(
        request.environment.end(),
        {"RALPH_GATE=" + gate.name, "RALPH_BASE_SHA=" + base, "RALPH_CANDIDATE_SHA=" + commit,
         fmt::format("RALPH_BATCH={}", fmt::join(tasks, ",")), "RALPH_WORKSPACE=" + git_.directory(),
         "PWD=" + git_.directory()});
    request.whole_tree = true;
    request.until_end_of = until_end_of;
    request.timeout = gate.timeout;
    const std::string shown = core::printable(fmt::format("{}", fmt::join(gate.command, " ")));
    const std::uint32_t tries = 1 + settings_.supervisor.gate.retries;
    for (std::uint32_t number = 1;; ++number) {
        GateLog log(paths.gate_logs(), fmt::format("{}-{}", gate.name, commit.substr(0, 12)));
        request.on_output = [&log](std::string_view text) { log.write(text); };
        static_cast<void>(
            std::fprintf(stderr, "ralph: gate `%s` on %s of %s, its log is %s\n", shown.c_str(),
                         commit.substr(0, 12).c_str(),
                         tasks.empty() ? "the target" : fmt::format("{}", fmt::join(tasks, ", ")).c_str(),
                         core::printable(log.path()).c_str()));
        if (about_to_run) {
            about_to_run(gate.name);
        }
        TRY(ground_.make_ready());
        const auto end = run_program(request);
        // Whatever it has done to locks of git, to HEAD or to the working tree.
        TRY_ASSIGN(const auto harm, ground_.restore(commit));
        if (!end && end.error().is_passing()) {
            return end.error();  // no room for a process, for example
        }
        if (!end || !harm.empty()) {
            // A program within the candidate is the candidate's responsibility, any other is the machine's.
            const std::string& program = gate.command.front();
            GateVerdict verdict;
            verdict.green = false;
            verdict.ran = end || (program.front() != '/' && program.find('/') != std::string::npos);
            verdict.reason = end ? fmt::format("gate `{}` {}; see {}", shown, harm, log.path())
                                 : fmt::format("gate `{}`: {}", shown, end.error().line());
            verdict.command = shown;
            verdict.output = log.tail();
            return verdict;
        }
        if (until_end_of >= 0 && is_at_end(until_end_of)) {
            return Error{fmt::format("gate `{}` was ended, since nobody wants to know any more", shown)};
        }
        GateVerdict verdict;
        if (end->succeeded()) {
            if (number > 1) {
                verdict.note =
                    fmt::format("gate `{}` was red {} on the same commit before it was green", shown,
                                number == 2 ? std::string("once") : fmt::format("{} times", number - 1));
            }
            return verdict;
        }
        if (number == tries) {
            const std::string words = last_lines(log.tail());
            verdict.green = false;
            verdict.reason = fmt::format("gate `{}` {}{}{}; see {}", shown, end->describe(),
                                         tries > 1 ? fmt::format(", {} times", tries) : "",
                                         words.empty() ? "" : ": " + words, log.path());
            verdict.command = shown;
            verdict.output = log.tail();
            return verdict;
        }
    }
}

}  // namespace ralph::daemon
