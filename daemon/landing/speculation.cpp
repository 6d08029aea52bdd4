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

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"
#include "core/base/jsonc.h"
#include "daemon/landing/batch_member.h"
#include "daemon/landing/candidate.h"
#include "daemon/landing/integration_workspace.h"
#include "daemon/os/files.h"
#include "daemon/os/wait.h"
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

std::string slot_name(std::string_view number) {
    return fmt::format("{}-{}", integration_workspace_name, number);
}

}  // namespace

Speculation::Speculation(const StepContext& context) : context_(context) {
    std::set<std::string> names;
    for (unsigned number = 2; number <= context.settings.supervisor.partitions.parallel_gates; ++number) {
        slots_.emplace_back().number = number;
        names.insert(slot_name(std::to_string(number)));
    }
    const std::string& root = context.settings.workspace_root;
    const auto found = list_directory(root);
    for (const std::string& name : found ? *found : std::vector<std::string>{}) {
        const bool is_slot = name.rfind(slot_name(""), 0) == 0;
        if (is_slot && names.count(name) == 0) {  // of a time with more of them
            static_cast<void>(IntegrationWorkspace::remove(context.settings, name));
        }
    }
}

Speculation::~Speculation() {
    forget();
}

// Their gates are killed at once, but a command of git is not cut short. What takes longer is left to come to
// its end, or to the end of the step's whole tree; its slot stays taken.
void Speculation::end(const std::vector<Slot*>& unwanted) {
    for (Slot* const slot : unwanted) {
        slot->held.reset();
    }
    const Clock::time_point until = Clock::now() + patience;
    for (Slot* const slot : unwanted) {
        reap(*slot, until);
    }
}

Milliseconds Speculation::longest_run() const {
    Milliseconds time = longest_build;
    for (const NamedGate& gate : gates_of(context_.settings)) {
        time += gate.timeout * (1 + context_.settings.supervisor.gate.retries);
    }
    return time;
}

void Speculation::schedule(const std::vector<Tasks>& likely, const std::string& tip, const Tasks& landed) {
    std::vector<Tasks> contents;
    for (const Tasks& tasks : likely) {
        contents.push_back(landed);
        contents.back().insert(contents.back().end(), tasks.begin(), tasks.end());
    }
    std::vector<Slot*> unwanted;
    for (Slot& slot : slots_) {
        if (!reap(slot, Clock::now()) && slot.held &&
            std::find(contents.begin(), contents.end(), slot.content) == contents.end()) {
            unwanted.push_back(&slot);
        }
    }
    end(unwanted);
    for (std::size_t i = 0; i < likely.size(); ++i) {
        const bool is_there = verdicts_.count(contents[i]) != 0 ||
                              std::any_of(slots_.begin(), slots_.end(), [&](const Slot& slot) {
                                  return !slot.is_free() && slot.held && slot.content == contents[i];
                              });
        const auto free =
            std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.is_free(); });
        if (free == slots_.end()) {
            return;
        }
        if (!is_there) {
            start(*free, likely[i], tip, contents[i]);
        }
    }
}

// Whatever goes wrong here costs nothing but the time that would have been gained.
void Speculation::start(Slot& slot, const Tasks& tasks, const std::string& tip, Tasks content) {
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
    request.environment.push_back(fmt::format("RALPH_GATE_PLACE={}", slot.number));
    request.environment.push_back("RALPH_GATE_TIP=" + tip);
    request.environment.push_back(fmt::format("RALPH_GATE_TASKS={}", fmt::join(tasks, ",")));
    request.descriptors = {{read_end.get(), held_descriptor}, {verdict.get(), verdict_descriptor}};
    request.shares_terminal = true;
    auto child = spawn(request);
    if (!child) {
        static_cast<void>(std::fprintf(stderr, "ralph: %s\n", child.error().line().c_str()));
        return;
    }
    slot.child = std::move(*child);
    slot.held = std::move(write_end);
    slot.verdict = std::move(verdict);
    slot.give_up = Clock::now() + longest_run();
    slot.content = std::move(content);
}

bool Speculation::reap(Slot& slot, Clock::time_point until) {
    if (slot.is_free()) {
        return true;
    }
    if (!wait_until(until, slot.child.pidfd.get(), POLLIN)) {
        return false;
    }
    const int status = daemon::reap(slot.child);
    if (slot.held && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        if (auto verdict = read_verdict(slot.verdict.get())) {
            verdicts_.insert_or_assign(slot.content, std::move(*verdict));
        }
    }
    slot.child = Child{};
    slot.held.reset();
    slot.verdict.reset();
    return true;
}

std::optional<Speculation::Verdict> Speculation::take(const Tasks& content) {
    for (Slot& slot : slots_) {
        const bool is_wanted = !slot.is_free() && slot.held && slot.content == content;
        if (!reap(slot, is_wanted ? slot.give_up : Clock::now()) && is_wanted) {
            slot.held.reset();  // longer than everything in it may take
        }
    }
    const auto found = verdicts_.find(content);
    return found == verdicts_.end() ? std::nullopt : std::optional(found->second);
}

void Speculation::forget() {
    verdicts_.clear();
    std::vector<Slot*> all;
    for (Slot& slot : slots_) {
        if (slot.held) {
            all.push_back(&slot);
        }
    }
    end(all);
}

std::vector<std::string> Speculation::under_way() const {
    std::vector<std::string> contents;
    for (const Slot& slot : slots_) {
        if (!slot.is_free() && slot.held) {
            contents.push_back(fmt::format("{}", fmt::join(slot.content, ",")));
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
    TRY_ASSIGN(auto head, integration.git().head());
    TRY(integration.seed(bookkeeping->tracked));
    Gates gates(context.settings, integration.git(), integration.ground());
    gates.until_end_of = held_descriptor;
    TRY_ASSIGN(auto files, gates.files_of(head));
    if (gates.are_none() || gates.recall(files) || is_unwanted()) {
        return nothing;
    }
    TRY_ASSIGN(auto verdict, gates.judge(head, files, integration.tip(), tasks));
    return verdict.ran ? std::optional(Speculation::Verdict{files, gates.commands(), std::move(verdict)})
                       : nothing;
}

}  // namespace

int run_gate_step(const StepContext& context) {
    const std::string tasks = our_variable("RALPH_GATE_TASKS");
    const std::string name = slot_name(our_variable("RALPH_GATE_PLACE"));
    const auto integration = IntegrationWorkspace::open_beside(context, name);
    if (integration && integration->tip() != our_variable("RALPH_GATE_TIP")) {
        return no_verdict;  // the merge queue is further on
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
