#include "daemon/steps/agent_phase.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <utility>

#include "config/agent_choice.h"
#include "core/agents/prompt.h"
#include "core/agents/session_plan.h"
#include "core/agents/spending.h"
#include "core/agents/verdict.h"
#include "core/base/check.h"
#include "daemon/git/plain_git.h"
#include "daemon/os/clock.h"
#include "daemon/os/program.h"
#include "daemon/os/random.h"
#include "daemon/os/wait.h"
#include "daemon/steps/account_gate.h"
#include "daemon/steps/agent_program.h"
#include "daemon/store/agent_records.h"
#include "daemon/store/block_marker.h"
#include "daemon/store/prompt_values.h"
#include "daemon/store/run_directory.h"
#include "daemon/store/spending.h"

namespace ralph::daemon {
namespace {

using core::AgentRecord;
using core::Error;
using core::Result;
using core::Usage;
using core::Verdict;

constexpr std::uint32_t most_faults = 3;  // in a row, without an answer of the model
constexpr std::uint32_t most_faults_of_run = 20;
constexpr std::size_t most_fruitless_runs = 5;
constexpr std::array<std::chrono::seconds, most_faults> fault_pauses{
    {std::chrono::seconds{2}, std::chrono::seconds{10}, std::chrono::seconds{30}}};
constexpr std::size_t longest_prompt = 100'000;  // Linux takes no argument of 128 KiB

// A random UUID (RFC 9562, version 4).
std::string new_session() {
    const std::uint64_t high = (random_number() & 0xffffffffffff0fffULL) | 0x4000ULL;
    const std::uint64_t low = (random_number() & 0x3fffffffffffffffULL) | 0x8000000000000000ULL;
    return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32U, (high >> 16U) & 0xffffU,
                       high & 0xffffU, low >> 48U, low & 0xffffffffffffULL);
}

// SIGTERM as something to wait for. The shim sends it to the agent, too.
FileDescriptor stop_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGTERM);
    ::sigaddset(&signals, SIGINT);
    CHECK(::sigprocmask(SIG_BLOCK, &signals, nullptr) == 0);
    FileDescriptor descriptor(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    CHECK(descriptor);
    return descriptor;
}

}  // namespace

AgentPhase::AgentPhase(Run& run, const config::AgentChoice& choice)
    : run_(run),
      context_(run.context),
      settings_(run.context.settings),
      task_(run.task),
      choice_(choice),
      preset_(choice.preset),
      budgets_(settings_.supervisor.budgets),
      stop_(stop_signals()),
      prompt_facts_(prompt_facts_of(settings_, context_.task_id, context_.target_branch)),
      account_(settings_.accounts_folder, preset_.account_name()),
      earlier_(run.earlier) {
    earlier_.insert(earlier_.end(), run.finished.begin(), run.finished.end());
    record_.phase = choice.phase;
    record_.finished = run.finished;
}

// --- what the agent is told

std::string AgentPhase::built_in_prompt() const {
    const std::string words = core::phase_words(choice_.phase, phase_facts());
    if (plan_.goes_on) {
        return core::next_phase_prompt(task_, prompt_facts_, words);
    }
    return (plan_.is_begun ? core::take_over_prompt(task_, prompt_facts_, plan_.why)
                           : core::work_prompt(task_, prompt_facts_)) +
           words;
}

Result<std::string> AgentPhase::prompt() const {
    if (run_.name.step == core::StepKind::remediate) {
        return core::remediation_prompt(task_, prompt_facts_, our_variable("RALPH_REASON"),
                                        our_variable("RALPH_HANDOFF"), plan_.goes_on);
    }
    if (plan_.goes_on && plan_.is_begun) {
        return core::go_on_prompt(task_, prompt_facts_, plan_.why, choice_.phase, task_has_changed());
    }
    const std::string& file = choice_.prompt_file;
    if (file.empty()) {
        return built_in_prompt();
    }
    const std::string path = file.front() == '/' ? file : settings_.paths.root + "/" + file;
    TRY_ASSIGN(auto text, read_file(path, longest_prompt));
    if (!text) {
        return Error{fmt::format("{}: there is no such file", path),
                     choice_.phase.empty() ? "fix worker.prompt_file" : "fix prompt_file of the phase"};
    }
    config::PlaceholderValues values = placeholders();
    values.prompt = built_in_prompt();
    auto expanded = config::expand_text(*text, values);
    return expanded ? std::move(expanded)
                    : Result<std::string>{Error{fmt::format("{} {}", path, expanded.error().message),
                                                expanded.error().remedy}};
}

// Since the conversation was told what to do.
bool AgentPhase::task_has_changed() const {
    const std::string& known = earlier_.empty() ? record_.task : earlier_.back().task;
    return !known.empty() && known != core::task_digest(task_);
}

core::PhaseFacts AgentPhase::phase_facts() const {
    core::PhaseFacts facts;
    facts.plan_file = context_.settings.paths.in(context_.workspace).plan(context_.task_id);
    facts.has_plan = path_exists(facts.plan_file);
    const core::AgentRecord* const before = earlier_.empty() ? nullptr : &earlier_.back();
    if (before != nullptr && !plan_.goes_on && before->phase != choice_.phase &&
        before->verdict == Verdict::ok) {
        facts.before = before->phase;
        facts.before_said = before->message;
    }
    return facts;
}

config::PlaceholderValues AgentPhase::placeholders() const {
    config::PlaceholderValues values = placeholders_of(
        settings_, task_, context_.task_id, context_.target_branch, std::to_string(context_.attempt));
    values.handoff = our_variable("RALPH_HANDOFF");
    values.reason = our_variable("RALPH_REASON");
    values.model = choice_.model;
    values.effort = choice_.effort;
    return values;
}

std::vector<std::string> AgentPhase::command(const std::string& prompt) const {
    config::PlaceholderValues values = placeholders();
    values.prompt = core::limited_text(prompt, longest_prompt);
    values.session = record_.session;
    if (const auto left = left_usd()) {
        values.budget_usd = fmt::format("{:.4f}", std::max(0.01, *left));
    }
    return config::expand_groups(plan_.goes_on && !preset_.again.empty() ? preset_.again : preset_.first,
                                 values);
}

// --- what is known of the run, on disk

Usage AgentPhase::used_for_task() const {
    Usage used = record_.usage;
    for (const AgentRecord& record : earlier_) {
        used.add(record.usage);
    }
    return used;
}

bool AgentPhase::is_over_budget() const {
    return budgets_.task.is_spent(used_for_task());
}

// Of the tightest budget; nothing if there is none.
std::optional<double> AgentPhase::left_usd() const {
    std::optional<double> left = budgets_.task.left_usd(used_for_task());
    const auto spending = read_spending(settings_.paths);
    if (!spending) {
        return left;  // the step does not begin then if there is a budget that it would have to know
    }
    const core::Instant now = wall_clock();
    const Usage today = core::used_on(*spending, core::local_day(now, utc_offset_minutes(now)));
    for (const auto& other : {budgets_.run.left_usd(spending->in_run), budgets_.day.left_usd(today)}) {
        left = other && (!left || *other < *left) ? other : left;
    }
    return left;
}

// First what all tasks share, then the record: a kill in between loses nothing that was used.
Result<void> AgentPhase::count_usage(const AgentRecord& now) {
    if (now.usage == record_.usage) {
        return {};
    }
    const auto spending = daemon::count_usage(settings_.paths, spending_key(), now.usage, wall_clock());
    shared_pause_ = budget_pause(budgets_, spending, wall_clock());
    return spending || shared_pause_ ? Result<void>{} : spending.error();
}

// A run that is not ended there stays in the file, which is harmless.
void AgentPhase::end_counting() const {
    if (const auto ended = daemon::end_counting(settings_.paths, spending_key()); !ended) {
        std::printf("ralph: %s\n", ended.error().line().c_str());
    }
}

std::string AgentPhase::spending_key() const {
    return fmt::format("{}{}{}", context_.run_directory.substr(settings_.paths.runs().size() + 1),
                       choice_.phase.empty() ? "" : "#", choice_.phase);
}

Result<void> AgentPhase::begin_record() {
    record_.agent = preset_.name;
    record_.task = core::task_digest(task_);
    record_.account = preset_.account_name();
    record_.model = choice_.model;
    record_.effort = choice_.effort;
    record_.verdict.reset();
    record_.message.clear();
    record_.session = plan_.session;
    record_.resumed = plan_.goes_on;
    record_.answered = plan_.goes_on || !preset_.tells_answers();
    record_.session_note = plan_.note;
    if (!plan_.goes_on && preset_.sessions == core::AgentPreset::Sessions::chosen) {
        record_.session = new_session();
    }
    before_attempt_ = record_.usage;
    of_session_before_ = {};
    for (const AgentRecord& record : earlier_) {
        if (plan_.goes_on && record.session == record_.session) {
            of_session_before_.add(record.usage);
        }
    }
    if (plan_.goes_on) {
        of_session_before_.add(before_attempt_);
    }
    return write_agent_record(context_.run_directory, record_);
}

// Durable when the session is known, and with each turn: what comes after a kill begins there.
Result<bool> AgentPhase::note_facts(const core::AgentFacts& facts) {
    AgentRecord now = record_;
    now.session = facts.session.empty() ? record_.session : facts.session;
    now.model = facts.model.empty() ? record_.model : facts.model;
    now.program_version = facts.version.empty() ? record_.program_version : facts.version;
    now.answered = record_.answered || facts.answered;
    now.usage = before_attempt_;
    now.usage.add(core::used_by_attempt(preset_, facts.usage, of_session_before_));
    if (now != record_) {
        const auto counted = count_usage(now);
        record_ = now;
        TRY(write_agent_record(context_.run_directory, record_));
        if (!counted) {  // other promises do not wait for that
            std::printf("ralph: %s\n", counted.error().line().c_str());
        }
    }
    if (facts.waits != waits_told_) {
        waits_told_ = facts.waits;
        waits_until_ = wall_clock() + core::Milliseconds{static_cast<std::int64_t>(facts.wait_ms)};
    }
    if (facts.answered) {
        TRY(account_.answered());
    }
    return is_over_budget() || shared_pause_;
}

Result<void> AgentPhase::end_record(const core::Judgement& judgement) {
    record_.verdict = judgement.verdict;
    record_.message = judgement.message;
    record_.resets_at = judgement.resets_at ? core::format_rfc3339(*judgement.resets_at) : std::string{};
    record_.ended_at = core::format_rfc3339(wall_clock());
    return write_agent_record(context_.run_directory, record_);
}

// Nothing if that cannot be found out: what lands is decided later anyway.
std::optional<bool> AgentPhase::has_changed() const {
    const auto workspace = open_plain(settings_, context_.workspace);
    const auto base = newest_preparation(settings_.paths, context_.task_id);
    if (!workspace || !base || base->base_sha.empty()) {
        return std::nullopt;
    }
    const auto head = workspace->head();
    const auto status = workspace->output({"status", "--porcelain", "-z"});
    if (!head || !status) {
        return std::nullopt;
    }
    return *head != base->base_sha || !status->empty();
}

// --- the run

Result<core::Judgement> AgentPhase::attempt() {
    TRY(begin_record());
    TRY_ASSIGN(const auto text, prompt());
    const auto& worker = settings_.supervisor.worker;
    AgentProgram program{preset_, command(text)};
    program.input = preset_.prompt_on_input ? text : std::string{};
    program.directory = context_.workspace;
    program.raw_file = fmt::format("{}/agent-{}.out", context_.run_directory, ++run_.starts);
    program.raw_limit_bytes = static_cast<long long>(worker.log_limit_mib) << 20U;
    const bool tells = preset_.output == core::AgentPreset::Output::events;
    program.silence = run_.name.step == core::StepKind::remediate ? settings_.supervisor.remediate.silence
                      : worker.silence                            ? worker.silence
                      : tells                                     ? std::optional(config::agent_silence)
                                                                  : std::nullopt;
    if (program.silence && program.silence->count() == 0) {
        program.silence.reset();
    }
    program.grace = worker.kill_grace;
    program.stop = stop_.get();
    program.on_facts = [this](const core::AgentFacts& facts) {
        auto over = note_facts(facts);
        if (!over) {  // the end is written again, and that counts
            std::printf("ralph: %s\n", over.error().line().c_str());
        }
        return over && *over;
    };
    const std::string phase =
        choice_.phase.empty() ? std::string{} : fmt::format(", phase {}", choice_.phase);
    std::printf("ralph: %s %s%s%s\n", preset_.name.c_str(),
                record_.resumed ? "goes on with its session " : "begins",
                record_.resumed ? record_.session.c_str() : "", phase.c_str());
    static_cast<void>(std::fflush(stdout));
    waits_told_ = 0;
    waits_until_.reset();
    TRY_ASSIGN(auto ended, run_agent_program(program));
    last_answered_ = ended.facts.answered;
    if (!ended.facts.denied.empty()) {
        ended.end.changed = has_changed();
    }
    const core::Instant now = wall_clock();
    record_.exit_status = ended.end.status;
    record_.signal = ended.end.signal;
    record_.ended_by = ended.end.stopped        ? "stop"
                       : ended.end.silent       ? "silence"
                       : ended.end.budget_spent ? "budget"
                       : ended.facts.stops      ? "verdict"
                                                : "";
    core::Judgement judgement = core::judge(preset_, ended.facts, ended.end, now, utc_offset_minutes(now));
    if (judgement.verdict == Verdict::limited && !judgement.resets_at) {
        judgement.resets_at = waits_until_;
    }
    TRY(end_record(judgement));
    if (judgement.verdict == Verdict::ok || judgement.verdict == Verdict::denied) {
        TRY(account_.answered());
    }
    return judgement;
}

// Once each in a run: a session that is full again, or cannot be found again, is a failure.
bool AgentPhase::begin_anew(Verdict after, std::string note, std::string why) {
    if (!began_anew_after_.insert(after).second) {
        return false;
    }
    plan_ = {};
    plan_.is_begun = true;
    plan_.note = std::move(note);
    plan_.why = std::move(why);
    return true;
}

// False: there were enough of them, or the step was told to end meanwhile.
bool AgentPhase::pause_after_fault() {
    faults_in_a_row_ = last_answered_ ? 0 : faults_in_a_row_;
    if (faults_in_a_row_ == most_faults || record_.faults == most_faults_of_run) {
        return false;
    }
    const auto pause = fault_pauses.at(faults_in_a_row_++);
    ++record_.faults;
    const auto jitter = std::chrono::milliseconds(static_cast<int>(1000 * random_fraction()));
    if (wait_until(std::chrono::steady_clock::now() + pause + jitter, stop_.get(), POLLIN)) {
        stopped_ = true;
        return false;
    }
    plan_.goes_on = record_.answered && preset_.sessions != core::AgentPreset::Sessions::none &&
                    (!record_.session.empty() || preset_.sessions == core::AgentPreset::Sessions::newest);
    plan_.session = plan_.goes_on ? record_.session : std::string{};
    plan_.is_begun = plan_.is_begun || record_.answered;
    plan_.why = "the model could not be reached.";
    return true;
}

// Runs of the task that ended without an answer of the model, the last ones.
std::size_t AgentPhase::fruitless_runs() const {
    const auto other = std::find_if(earlier_.rbegin(), earlier_.rend(), [](const AgentRecord& record) {
        return record.verdict != Verdict::passing &&
               (record.verdict != Verdict::limited || record.ended_by != "silence");
    });
    return static_cast<std::size_t>(other - earlier_.rbegin());
}

// The task has done nothing wrong: it waits, with its work and its session.
Ending AgentPhase::wait_for_budget() const {
    Ending ending{static_cast<int>(core::exit_account_paused), {}};
    ending.outcome.summary = core::describe(*shared_pause_);
    ending.outcome.paused_account = shared_pause_->account;
    return ending;
}

Result<Ending> AgentPhase::block_for_budget() {
    core::BlockMarker marker;
    marker.task_id = context_.task_id;
    marker.reason = fmt::format(
        "the budget of the task is spent: {}; the work so far is kept: raise limits.task in "
        ".ralph/supervisor.jsonc, {}",
        core::describe(used_for_task()), retry_command(context_));
    marker.attempt = context_.attempt;
    marker.max_attempts = context_.attempt;
    marker.generated_at = core::format_rfc3339(wall_clock());
    TRY(write_marker(context_.settings.paths.in(context_.workspace), marker));
    return Ending{1, {marker.reason, {}, {}, {}}};
}

Result<Ending> AgentPhase::work() {
    plan_ = core::plan_session(preset_, earlier_, choice_.phase, choice_.keeps_session);
    record_.started_at = core::format_rfc3339(wall_clock());
    if (is_over_budget()) {
        return block_for_budget();
    }
    shared_pause_ = budget_pause(budgets_, read_spending(settings_.paths), wall_clock());
    if (shared_pause_) {
        return wait_for_budget();
    }
    auto ending = attempts();
    end_counting();
    return ending;
}

Result<Ending> AgentPhase::attempts() {
    while (true) {
        TRY_ASSIGN(auto waits, account_.enter());
        if (waits) {
            return std::move(*waits);
        }
        TRY_ASSIGN(const auto judgement, attempt());
        const std::string said =
            fmt::format("{}{}{}: {}", preset_.name, choice_.phase.empty() ? "" : ", phase ", choice_.phase,
                        judgement.message);
        switch (judgement.verdict) {
            case Verdict::ok:
                return Ending{0, {}};
            case Verdict::limited:
                // A task that never gets an answer may itself be the reason.
                if (record_.ended_by == "silence" && fruitless_runs() >= most_fruitless_runs) {
                    break;
                }
                return account_.pause(judgement);
            case Verdict::unauthorized:
                return account_.pause(judgement);
            case Verdict::budget_spent:
                return is_over_budget() || !shared_pause_ ? block_for_budget()
                                                          : Result<Ending>{wait_for_budget()};
            case Verdict::context_full:
                if (begin_anew(judgement.verdict, "the session before has filled the model's context",
                               "it filled the model's context.")) {
                    continue;
                }
                break;
            case Verdict::session_lost:
                if (plan_.goes_on &&
                    begin_anew(judgement.verdict,
                               "the session of before is not there any more: " + judgement.message,
                               "its conversation is lost.")) {
                    continue;
                }
                break;
            case Verdict::passing:
                if (pause_after_fault()) {
                    std::printf("ralph: %s; trying again (%u of %u)\n", said.c_str(), faults_in_a_row_,
                                most_faults);
                    continue;
                }
                // Other tasks would get no answer either.
                if (!stopped_ && faults_in_a_row_ == most_faults && fruitless_runs() < most_fruitless_runs) {
                    return account_.pause(judgement);
                }
                break;
            case Verdict::stopped:
                stopped_ = true;
                break;
            case Verdict::denied:
            case Verdict::no_result:
            case Verdict::failed:
                break;
        }
        return Ending{1, {fmt::format("{} ({})", said, core::to_string(judgement.verdict)), {}, {}, {}}};
    }
}

}  // namespace ralph::daemon
