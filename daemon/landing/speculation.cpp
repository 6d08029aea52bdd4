#include "daemon/landing/speculation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <set>
#include <utility>

#include "core/base/json_reader.h"
#include "core/base/jsonc.h"
#include "daemon/landing/candidate.h"
#include "daemon/landing/integration_workspace.h"
#include "daemon/landing/lane_member.h"
#include "daemon/os/files.h"
#include "daemon/workspace/bookkeeping.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;
using core::Milliseconds;
using core::Result;

using Clock = std::chrono::steady_clock;

constexpr int held_descriptor = 3;
constexpr int verdict_descriptor = 4;
constexpr int no_verdict = 75;
constexpr Milliseconds patience = std::chrono::seconds{10};
constexpr Milliseconds longest_build = std::chrono::minutes{30};

std::string verdict_text(const Speculation::Verdict& verdict) {
    json::object root;
    root["version"] = 1;
    root["files"] = verdict.files;
    root["commands"] = verdict.commands;
    root["green"] = verdict.gates.green;
    root["reason"] = verdict.gates.reason;
    root["note"] = verdict.gates.note;
    root["command"] = verdict.gates.command;
    root["output"] = verdict.gates.output;
    return core::canonical_json(root);
}

std::optional<Speculation::Verdict> read_verdict(int file) {
    std::string text;
    std::array<char, 65536> buffer{};
    for (ssize_t got = 1; got > 0;) {
        got = ::pread(file, buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
        text.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    }
    const auto document = core::JsonDocument::parse(std::move(text), "a verdict");
    if (!document) {
        return std::nullopt;
    }
    Speculation::Verdict verdict;
    std::optional<core::JsonFault> fault;
    core::ObjectReader reader(document->root(), "", fault);
    reader.require("files", verdict.files);
    reader.require("commands", verdict.commands);
    reader.require("green");
    reader.read("green", verdict.gates.green);
    reader.read("reason", verdict.gates.reason);
    reader.read("note", verdict.gates.note);
    reader.read("command", verdict.gates.command);
    reader.read("output", verdict.gates.output);
    return fault ? std::nullopt : std::optional(std::move(verdict));
}

bool write_verdict(const std::string& text) {
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t written = ::write(verdict_descriptor, text.data() + done, text.size() - done);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        done += static_cast<std::size_t>(std::max<ssize_t>(written, 0));
    }
    return true;
}

std::string place_name(std::string_view number) {
    return fmt::format("{}-{}", integration_workspace_name, number);
}

}  // namespace

Speculation::Speculation(const StepContext& context) : context_(context) {
    std::set<std::string> names;
    for (unsigned number = 2; number <= context.settings.supervisor.lane.parallel_gates; ++number) {
        places_.emplace_back().number = number;
        names.insert(place_name(std::to_string(number)));
    }
    const std::string& root = context.settings.workspace_root;
    const auto found = list_directory(root);
    for (const std::string& name : found ? *found : std::vector<std::string>{}) {
        const bool is_place = name.rfind(place_name(""), 0) == 0;
        if (is_place && names.count(name) == 0) {  // of a time with more of them
            static_cast<void>(IntegrationWorkspace::remove(context.settings, name));
        }
    }
}

Speculation::~Speculation() {
    forget();
}

// Their gates are killed at once, but a command of git is not cut short. What takes longer is left to come to
// its end, or to the end of the step's whole tree; its place stays taken.
void Speculation::end(const std::vector<Place*>& unwanted) {
    for (Place* const place : unwanted) {
        place->held.reset();
    }
    const Clock::time_point until = Clock::now() + patience;
    for (Place* const place : unwanted) {
        reap(*place, until);
    }
}

Milliseconds Speculation::longest_run() const {
    Milliseconds time = longest_build;
    for (const NamedGate& gate : gates_of(context_.settings)) {
        time += gate.timeout * (1 + context_.settings.supervisor.gate.retries);
    }
    return time;
}

void Speculation::aim(const std::vector<Tasks>& likely, const std::string& tip, const Tasks& landed) {
    std::vector<Tasks> contents;
    for (const Tasks& tasks : likely) {
        contents.push_back(landed);
        contents.back().insert(contents.back().end(), tasks.begin(), tasks.end());
    }
    std::vector<Place*> unwanted;
    for (Place& place : places_) {
        if (!reap(place, Clock::now()) && place.held &&
            std::find(contents.begin(), contents.end(), place.content) == contents.end()) {
            unwanted.push_back(&place);
        }
    }
    end(unwanted);
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
    FileDescriptor verdict(::memfd_create("ralph-verdict", MFD_CLOEXEC));
    if (!verdict || ::pipe2(ends.data(), O_CLOEXEC) != 0) {
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
    request.descriptors = {{read_end.get(), held_descriptor}, {verdict.get(), verdict_descriptor}};
    request.shares_terminal = true;
    auto child = spawn(request);
    if (!child) {
        static_cast<void>(std::fprintf(stderr, "ralph: %s\n", child.error().line().c_str()));
        return;
    }
    place.child = std::move(*child);
    place.held = std::move(write_end);
    place.verdict = std::move(verdict);
    place.give_up = Clock::now() + longest_run();
    place.content = std::move(content);
}

bool Speculation::reap(Place& place, Clock::time_point until) {
    if (place.is_free()) {
        return true;
    }
    pollfd ended{place.child.pidfd.get(), POLLIN, 0};
    int ready = -1;
    while (ready < 0) {
        const auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
        ready = ::poll(&ended, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000'000)));
        if (ready < 0 && errno != EINTR) {
            return false;
        }
    }
    if (ready == 0) {
        return false;
    }
    int status = 0;
    while (::waitpid(place.child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (place.held && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        if (auto verdict = read_verdict(place.verdict.get())) {
            verdicts_.insert_or_assign(place.content, std::move(*verdict));
        }
    }
    place.child = Child{};
    place.held.reset();
    place.verdict.reset();
    return true;
}

std::optional<Speculation::Verdict> Speculation::take(const Tasks& content) {
    for (Place& place : places_) {
        const bool is_wanted = !place.is_free() && place.held && place.content == content;
        if (!reap(place, is_wanted ? place.give_up : Clock::now()) && is_wanted) {
            place.held.reset();  // longer than everything in it may take
        }
    }
    const auto found = verdicts_.find(content);
    return found == verdicts_.end() ? std::nullopt : std::optional(found->second);
}

void Speculation::forget() {
    verdicts_.clear();
    std::vector<Place*> all;
    for (Place& place : places_) {
        if (place.held) {
            all.push_back(&place);
        }
    }
    end(all);
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

bool is_unwanted() {
    return is_at_end(held_descriptor);
}

// Nothing: there is no candidate that could be judged, or nobody wants to know any more, or it is known.
Result<std::optional<Speculation::Verdict>> gate_candidate(const StepContext& context,
                                                           const IntegrationWorkspace& integration,
                                                           const std::vector<std::string>& tasks) {
    const std::optional<Speculation::Verdict> nothing;
    auto texts = fetch_bookkeeping(context.settings, integration.git(), context.target_branch);
    auto bookkeeping =
        texts ? parse_bookkeeping(context.settings, std::move(*texts)) : Result<Bookkeeping>{texts.error()};
    TRY(bookkeeping ? integration.go_to(integration.tip()) : Result<void>{bookkeeping.error()});
    for (const std::string& task_id : tasks) {
        if (is_unwanted()) {
            return nothing;
        }
        TRY_ASSIGN(auto added, add_to_candidate(context_of(context, task_id), integration));
        if (added.kind != Addition::Kind::added) {
            return nothing;
        }
    }
    auto head = integration.git().head();
    TRY(head ? integration.seed(bookkeeping->tracked) : Result<void>{head.error()});
    Gates gates(context.settings, integration.git(), integration.ground());
    gates.until_end_of = held_descriptor;
    TRY_ASSIGN(auto files, gates.files_of(*head));
    if (gates.are_none() || gates.recall(files) || is_unwanted()) {
        return nothing;
    }
    TRY_ASSIGN(auto verdict, gates.judge(*head, files, integration.tip(), tasks));
    return verdict.ran ? std::optional(Speculation::Verdict{files, gates.commands(), std::move(verdict)})
                       : nothing;
}

}  // namespace

int run_gate_step(const StepContext& context) {
    const std::string tasks = our_variable("RALPH_GATE_TASKS");
    const std::string name = place_name(our_variable("RALPH_GATE_PLACE"));
    const auto integration = IntegrationWorkspace::open_beside(context, name);
    if (integration && integration->tip() != our_variable("RALPH_GATE_TIP")) {
        return no_verdict;  // the lane is further on
    }
    const auto verdict = integration ? gate_candidate(context, *integration, split_task_ids(tasks))
                                     : Result<std::optional<Speculation::Verdict>>{integration.error()};
    if (is_unwanted()) {
        return no_verdict;
    }
    if (!verdict) {
        const std::string why = verdict.error().line();
        static_cast<void>(std::fprintf(stderr, "ralph: gating ahead of time: %s\n", why.c_str()));
        if (!verdict.error().is_passing()) {  // nobody's only copy; the next one makes it anew
            static_cast<void>(IntegrationWorkspace::remove(context.settings, name));
        }
        return no_verdict;
    }
    return *verdict && write_verdict(verdict_text(**verdict)) ? 0 : no_verdict;
}

}  // namespace ralph::daemon
