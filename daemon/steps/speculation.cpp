#include "daemon/steps/speculation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/json_reader.h"
#include "core/jsonc.h"
#include "daemon/steps/bookkeeping.h"
#include "daemon/steps/candidate.h"
#include "daemon/steps/integration_workspace.h"
#include "daemon/steps/lane_member.h"
#include "daemon/store/files.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;
using core::Error;
using core::Result;

constexpr int held_descriptor = 3;
constexpr std::size_t verdict_limit = std::size_t{1} << 20U;
constexpr int no_verdict = 75;

// Within the place's own folder, which nobody else looks into.
std::string verdict_path(const StepContext& context, const std::string& place) {
    return IntegrationWorkspace::directory_of(context, place) + "/.git/ralph-verdict.json";
}

std::string verdict_text(const GateVerdict& verdict) {
    json::object root;
    root["version"] = 1;
    root["green"] = verdict.green;
    root["reason"] = verdict.reason;
    root["note"] = verdict.note;
    root["command"] = verdict.command;
    root["output"] = core::printable(verdict.output);
    return core::canonical_json(root);
}

std::optional<GateVerdict> read_verdict(const std::string& path) {
    auto text = read_file(path, verdict_limit);
    const auto document = text && *text ? core::JsonDocument::parse(std::move(**text), path)
                                        : Result<core::JsonDocument>{Error{}};
    if (!document) {
        return std::nullopt;
    }
    GateVerdict verdict;
    std::optional<core::JsonFault> fault;
    core::ObjectReader reader(document->root(), "", fault);
    reader.require("green");
    reader.read("green", verdict.green);
    reader.read("reason", verdict.reason);
    reader.read("note", verdict.note);
    reader.read("command", verdict.command);
    reader.read("output", verdict.output);
    return fault ? std::nullopt : std::optional(std::move(verdict));
}

std::string variable(const char* name) {
    const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): a step has one thread
    return value == nullptr ? std::string{} : value;
}

}  // namespace

Speculation::Speculation(const StepContext& context) : context_(context) {
    for (unsigned number = 2; number <= context.settings.supervisor.lane.parallel_gates; ++number) {
        places_.emplace_back().number = number;
    }
}

Speculation::~Speculation() {
    forget();
}

// It is killed, and its folder is nobody's: that takes no longer than its last command of git.
void Speculation::end(Place& place) {
    place.held.reset();
    reap(place, true);
}

void Speculation::aim(const std::vector<Tasks>& likely, const std::string& tip, const Tasks& landed) {
    std::vector<Tasks> contents;
    for (const Tasks& tasks : likely) {
        contents.push_back(landed);
        contents.back().insert(contents.back().end(), tasks.begin(), tasks.end());
    }
    for (Place& place : places_) {
        if (!reap(place, false) &&
            std::find(contents.begin(), contents.end(), place.content) == contents.end()) {
            end(place);
        }
    }
    for (std::size_t i = 0; i < likely.size(); ++i) {
        const bool is_there = verdicts_.count(contents[i]) != 0 ||
                              std::any_of(places_.begin(), places_.end(), [&](const Place& place) {
                                  return !place.is_free() && place.held && place.content == contents[i];
                              });
        const auto free =
            std::find_if(places_.begin(), places_.end(), [](const Place& place) { return place.is_free(); });
        if (free == places_.end()) {
            return;
        }
        if (!is_there) {
            start(*free, likely[i], tip, contents[i]);
        }
    }
}

// Whatever goes wrong here costs nothing but the time that would have been gained.
void Speculation::start(Place& place, const Tasks& tasks, const std::string& tip, Tasks content) {
    std::array<int, 2> ends{};
    if (!remove_file(verdict_path(context_, std::to_string(place.number))) ||
        ::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return;
    }
    const FileDescriptor read_end(ends[0]);
    FileDescriptor write_end(ends[1]);
    SpawnRequest request;
    request.program = "/proc/self/exe";  // this very program, even if its file was replaced
    request.arguments = {"step", "gate"};
    request.environment = our_environment();
    request.environment.push_back(fmt::format("RALPH_GATE_PLACE={}", place.number));
    request.environment.push_back("RALPH_GATE_TIP=" + tip);
    request.environment.push_back(fmt::format("RALPH_GATE_TASKS={}", fmt::join(tasks, ",")));
    request.descriptors = {{read_end.get(), held_descriptor}};
    request.shares_terminal = true;
    auto child = spawn(request);
    if (!child) {
        static_cast<void>(std::fprintf(stderr, "ralph: %s\n", child.error().line().c_str()));
        return;
    }
    place.child = std::move(*child);
    place.held = std::move(write_end);
    place.content = std::move(content);
}

bool Speculation::reap(Place& place, bool wait) {
    if (place.is_free()) {
        return true;
    }
    pollfd ended{place.child.pidfd.get(), POLLIN, 0};
    int ready = ::poll(&ended, 1, wait ? -1 : 0);
    while (ready < 0 && errno == EINTR) {
        ready = ::poll(&ended, 1, wait ? -1 : 0);
    }
    if (ready == 0) {
        return false;
    }
    int status = 0;
    while (::waitpid(place.child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (place.held && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        if (auto verdict = read_verdict(verdict_path(context_, std::to_string(place.number)))) {
            verdicts_.insert_or_assign(place.content, std::move(*verdict));
        }
    }
    place.child = Child{};
    place.held.reset();
    return true;
}

std::optional<GateVerdict> Speculation::take(const Tasks& content) {
    for (Place& place : places_) {
        const bool is_wanted = !place.is_free() && place.held && place.content == content;
        reap(place, is_wanted);
    }
    const auto found = verdicts_.find(content);
    return found == verdicts_.end() ? std::nullopt : std::optional(found->second);
}

void Speculation::forget() {
    verdicts_.clear();
    for (Place& place : places_) {
        end(place);
    }
}

std::vector<int> Speculation::children() const {
    std::vector<int> pids;
    for (const Place& place : places_) {
        if (!place.is_free()) {
            pids.push_back(place.child.pid);
        }
    }
    return pids;
}

std::vector<std::string> Speculation::under_way() const {
    std::vector<std::string> contents;
    for (const Place& place : places_) {
        if (!place.is_free() && place.held) {
            contents.push_back(fmt::format("{}", fmt::join(place.content, ",")));
        }
    }
    return contents;
}

// --- the other side
// -----------------------------------------------------------------------------------------------

namespace {

// Our descriptor 3 is the pipe that the lane holds.
bool is_unwanted() {
    pollfd held{held_descriptor, 0, 0};
    return ::poll(&held, 1, 0) > 0 && (held.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

// Nothing: there is no candidate that could be judged.
Result<std::optional<GateVerdict>> gate_candidate(const StepContext& context,
                                                  const IntegrationWorkspace& integration,
                                                  const std::vector<std::string>& tasks) {
    auto texts = fetch_bookkeeping(context.settings, integration.git(), context.target_branch);
    auto bookkeeping =
        texts ? parse_bookkeeping(context.settings, std::move(*texts)) : Result<Bookkeeping>{texts.error()};
    auto gone = bookkeeping ? integration.go_to(integration.tip()) : Result<void>{bookkeeping.error()};
    if (!gone) {
        return gone.error();
    }
    for (const std::string& task_id : tasks) {
        if (is_unwanted()) {
            return std::optional<GateVerdict>{};
        }
        auto added = add_to_candidate(context_of(context, task_id), integration);
        if (!added) {
            return added.error();
        }
        if (added->kind != Addition::Kind::added) {
            return std::optional<GateVerdict>{};
        }
    }
    auto head = integration.git().head();
    auto seeded = head ? integration.seed(bookkeeping->tracked) : Result<void>{head.error()};
    if (!seeded) {
        return seeded.error();
    }
    Gates gates(context.settings, integration.git(),
                [&](const std::string& commit) { return integration.restore(commit); });
    gates.until_end_of = held_descriptor;
    auto known = gates.recall(*head);
    if (!known || *known) {
        return known;
    }
    auto verdict = gates.judge(*head, integration.tip(), tasks);
    if (!verdict) {
        return verdict.error();
    }
    return verdict->ran ? std::optional(std::move(*verdict)) : std::nullopt;
}

}  // namespace

int run_gate_step(const StepContext& context) {
    const std::string place = variable("RALPH_GATE_PLACE");
    const auto tasks = split_task_ids(variable("RALPH_GATE_TASKS"));
    const auto integration = IntegrationWorkspace::open_beside(context, place, variable("RALPH_GATE_TIP"));
    auto verdict = integration ? gate_candidate(context, *integration, tasks)
                               : Result<std::optional<GateVerdict>>{integration.error()};
    // What was ended from outside says nothing.
    if (is_unwanted()) {
        return no_verdict;
    }
    auto written = verdict && *verdict
                       ? write_file_durably(verdict_path(context, place), verdict_text(**verdict))
                       : Result<void>{};
    if (!verdict || !written) {
        const std::string why = verdict ? written.error().line() : verdict.error().line();
        static_cast<void>(std::fprintf(stderr, "ralph: gating ahead of time: %s\n", why.c_str()));
    }
    return verdict && *verdict && written ? 0 : no_verdict;
}

}  // namespace ralph::daemon
