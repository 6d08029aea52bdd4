#include "daemon/steps/gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <cstdio>
#include <utility>

#include "core/json_reader.h"
#include "core/jsonc.h"
#include "daemon/clock.h"
#include "daemon/steps/gate_log.h"
#include "daemon/steps/program.h"
#include "daemon/steps/workspace.h"
#include "daemon/store/files.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;
using core::Error;
using core::Result;

constexpr core::Milliseconds green_lasts = std::chrono::hours{24};
constexpr std::size_t most_remembered = 500;
constexpr std::size_t memory_limit = std::size_t{1} << 20U;

// Only a help: what cannot be read is not remembered.
std::map<std::string, core::Instant> read_green(const std::string& path, const std::string& commands) {
    std::map<std::string, core::Instant> green;
    auto text = read_file(path, memory_limit);
    const auto document = text && *text ? core::JsonDocument::parse(std::move(**text), path)
                                        : Result<core::JsonDocument>{Error{}};
    if (!document) {
        return green;
    }
    std::optional<core::JsonFault> fault;
    core::ObjectReader reader(document->root(), "", fault);
    std::string known;
    reader.read("commands", known);
    if (known != commands) {
        return green;
    }
    reader.read_object("green", [&green](core::ObjectReader& files) {
        for (const std::string& name : files.keys()) {
            std::string when;
            files.read(name, when);
            const auto passed = core::parse_rfc3339(when);
            if (passed && passed->instant <= wall_clock() && passed->instant > wall_clock() - green_lasts) {
                green.emplace(name, passed->instant);
            }
        }
    });
    return fault ? std::map<std::string, core::Instant>{} : green;
}

}  // namespace

std::vector<NamedGate> gates_of(const Settings& settings) {
    std::vector<NamedGate> gates;
    const config::CiGateConfig& ci = settings.project.ci_gate;
    if (ci.enabled && !ci.argv.empty()) {
        gates.push_back({"ci", ci.argv, settings.supervisor.gate.timeout});
    }
    for (const config::NamedGateSettings& gate : settings.supervisor.gates) {
        gates.push_back({gate.name, gate.command, gate.timeout.value_or(settings.supervisor.gate.timeout)});
    }
    return gates;
}

Gates::Gates(const StepContext& context, const IntegrationWorkspace& integration)
    : context_(context),
      integration_(integration),
      git_(integration.git()),
      gates_(gates_of(context.settings)) {
    for (const NamedGate& gate : gates_) {
        commands_ += fmt::format("{}: {}\n", gate.name, fmt::join(gate.command, " "));
    }
    const std::string memory = context.settings.paths.green_gates();
    static_cast<void>(remove_file(memory + std::string(beginning_suffix)));  // of a run that was killed
    green_ = read_green(memory, commands_);
}

// The tree without queue and done, which are ours and validated by us; made with an index of its own.
Result<std::string> Gates::files_of(const std::string& commit) const {
    const std::string index = git_.directory() + "/.git/ralph-gate-index";
    if (auto removed = remove_file(index + ".lock"); !removed) {
        return removed.error();
    }
    const Git git = git_.with_environment("GIT_INDEX_FILE", index);
    if (auto read = git.expect({"read-tree", commit}); !read) {
        return read.error();
    }
    auto removed = git.expect({"rm", "--quiet", "--cached", "--force", "--ignore-unmatch", "--",
                               ":(top,literal)" + context_.settings.queue_relative,
                               ":(top,literal)" + context_.settings.done_relative});
    return removed ? git.line({"write-tree"}) : Result<std::string>{removed.error()};
}

void Gates::remember_green(const std::string& files) {
    green_[files] = wall_clock();
    while (green_.size() > most_remembered) {
        green_.erase(std::min_element(green_.begin(), green_.end(), [](const auto& left, const auto& right) {
            return left.second < right.second;
        }));
    }
    json::object green;
    for (const auto& [name, when] : green_) {
        green[name] = core::format_rfc3339(when);
    }
    json::object root;
    root["version"] = 1;
    root["commands"] = commands_;
    root["green"] = std::move(green);
    const std::string path = context_.settings.paths.green_gates();
    if (const auto written = write_file_durably(path, core::canonical_json(root)); !written) {
        static_cast<void>(std::fprintf(stderr, "ralph: %s\n", written.error().line().c_str()));
    }
}

Result<GateVerdict> Gates::judge(const std::string& commit, const std::string& base,
                                 const std::vector<std::string>& tasks, Memory memory) {
    if (gates_.empty()) {
        return GateVerdict{};
    }
    auto files = files_of(commit);
    if (!files) {
        return files.error();
    }
    const auto red = red_.find(*files);
    if (memory == Memory::use && red != red_.end()) {
        return red->second;
    }
    if (memory == Memory::use && green_.count(*files) != 0) {
        return GateVerdict{};
    }
    GateVerdict all;
    for (const NamedGate& gate : gates_) {
        auto one = run(gate, commit, base, tasks);
        if (!one) {
            return one.error();
        }
        if (!one->green) {
            if (one->ran) {
                red_[*files] = *one;
            }
            return one;
        }
        all.note += (all.note.empty() || one->note.empty() ? "" : "; ") + one->note;
    }
    remember_green(*files);
    return all;
}

Result<GateVerdict> Gates::run(const NamedGate& gate, const std::string& commit, const std::string& base,
                               const std::vector<std::string>& tasks) {
    const Paths& paths = context_.settings.paths;
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
    request.timeout = gate.timeout;
    const std::string shown = core::printable(fmt::format("{}", fmt::join(gate.command, " ")));
    const std::uint32_t tries = 1 + context_.settings.supervisor.gate.retries;
    for (std::uint32_t number = 1;; ++number) {
        GateLog log(paths.gate_logs(), fmt::format("{}-{}", gate.name, commit.substr(0, 12)));
        request.on_output = [&log](std::string_view text) { log.write(text); };
        static_cast<void>(std::fprintf(
            stderr, "ralph: gate `%s` on %s of %s, its log is %s\n", shown.c_str(),
            commit.substr(0, 12).c_str(),
            tasks.empty() ? context_.target().c_str() : fmt::format("{}", fmt::join(tasks, ", ")).c_str(),
            log.path().c_str()));
        if (about_to_run) {
            about_to_run(gate.name);
        }
        const auto end = run_program(request);
        // Whatever it has done to locks of git, to HEAD or to the working tree.
        remove_left_overs(context_.settings, git_);
        if (auto restored = integration_.go_to(commit); !restored) {
            return restored.error();
        }
        if (!end && end.error().message.find("cannot be started") != std::string::npos) {
            return end.error();  // no room for a process, for example
        }
        if (!end) {
            // A program within the candidate is the candidate's affair, any other is the machine's.
            const bool is_of_candidate =
                gate.command.front().front() != '/' && gate.command.front().find('/') != std::string::npos;
            return GateVerdict{
                false, is_of_candidate, fmt::format("gate `{}`: {}", shown, end.error().line()),
                "",    shown,           ""};
        }
        if (end->succeeded()) {
            return GateVerdict{true, true, "",
                               number == 1 ? ""
                                           : fmt::format("gate `{}` was red {} times on the same commit "
                                                         "before it was green",
                                                         shown, number - 1)};
        }
        if (number == tries) {
            const std::string words = last_words(log.tail());
            return GateVerdict{false,
                               true,
                               fmt::format("gate `{}` {}{}{}; see {}", shown, end->describe(),
                                           tries > 1 ? fmt::format(", {} times", tries) : "",
                                           words.empty() ? "" : ": " + words, log.path()),
                               "",
                               shown,
                               log.tail()};
        }
    }
}

}  // namespace ralph::daemon
