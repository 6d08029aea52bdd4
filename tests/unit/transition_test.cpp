#include "core/supervisor/transition.h"

#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <utility>

using namespace ralph::core;

namespace {

using enum TaskEvent;

// The table by hand, one row an event. r i c f b are running, integrating, completed, failed, blocked_push;
// '.' is ignored. The columns are the lifecycle before, in the same order.
struct Row {
    TaskEvent event;
    const char* name;
    const char* after;  // from: r i c f b
};

constexpr Row table[] = {
    {prepare_succeeded, "prepare_succeeded", "r...."},
    {prepare_found_landed, "prepare_found_landed", "c...."},
    {prepare_failed, "prepare_failed", "f...."},
    {work_succeeded, "work_succeeded", "i...."},
    {work_failed, "work_failed", "f...."},
    {work_blocked, "work_blocked", "b...."},
    {integrate_succeeded, "integrate_succeeded", ".c..."},
    {integrate_deferred, "integrate_deferred", ".i..."},
    {integrate_exhausted, "integrate_exhausted", ".b..."},
    {integrate_blocked, "integrate_blocked", ".b..."},
    {integrate_failed, "integrate_failed", ".f..."},
    {integrate_fixable, "integrate_fixable", ".i..."},
    {integrate_found_nothing, "integrate_found_nothing", ".b..."},
    {work_needed, "work_needed", ".r..."},
    {step_waits, "step_waits", "ri..."},
    {remediate_succeeded, "remediate_succeeded", ".i..."},
    {remediate_failed, "remediate_failed", ".b..."},
    {step_lost, "step_lost", "ri..."},
    {restarts_exhausted, "restarts_exhausted", "ff..."},
    {interrupted, "interrupted", "f...."},
    {cancelled, "cancelled", "ff..."},
    {retry_requested, "retry_requested", "...rr"},
};

constexpr std::pair<char, Lifecycle> lifecycles[] = {{'r', Lifecycle::running},
                                                     {'i', Lifecycle::integrating},
                                                     {'c', Lifecycle::completed},
                                                     {'f', Lifecycle::failed},
                                                     {'b', Lifecycle::blocked_push}};

char letter_of(std::optional<Lifecycle> lifecycle) {
    for (const auto& [letter, each] : lifecycles) {
        if (lifecycle == each) {
            return letter;
        }
    }
    return '.';
}

ExitRecord exited(std::uint32_t status) {
    ExitRecord record;
    record.value = status;
    return record;
}

ExitRecord killed_by(std::uint32_t signal) {
    ExitRecord record = exited(signal);
    record.kind = ExitRecord::Kind::signalled;
    return record;
}

Standing standing(bool blocked, bool attempts_left, bool remediations_left) {
    return {blocked, attempts_left, remediations_left, true};
}

}  // namespace

TEST_CASE("transition: all pairs of lifecycle and event") {
    REQUIRE(std::size(table) == transitions.size());
    int pairs = 0;
    for (const Row& row : table) {
        CAPTURE(row.name);
        std::string after;
        for (const auto& [letter, lifecycle] : lifecycles) {
            after += letter_of(transition(lifecycle, row.event));
            ++pairs;
        }
        CHECK(after == row.after);
    }
    CHECK(pairs == 110);
}

TEST_CASE("transition: every event has its name, and the table holds each once") {
    std::set<std::string> names;
    for (const Row& row : table) {
        CHECK(to_string(row.event) == row.name);
    }
    for (const Transition& row : transitions) {
        names.emplace(row.name);
    }
    CHECK(names.size() == 22);
}

namespace {

// "| step: what it is | 10: what it means | next |" of the README's table, by step and code; "" is any other
// end.
std::map<std::pair<std::string, std::string>, std::string> exit_codes_of_readme() {
    std::map<std::pair<std::string, std::string>, std::string> rows;
    std::ifstream readme(RALPH_SOURCE_DIR "/README.md");
    const std::regex row(R"(\| (?:(\w+): )?[^|]*\| (?:(\d+)|[a-z])[^|]*\| ([^|]*)\|)");
    bool in_table = false;
    std::string step;
    for (std::string line; std::getline(readme, line);) {
        in_table = line == "| step | exit | next |" || (in_table && !line.empty());
        std::smatch found;
        if (in_table && std::regex_match(line, found, row) && line != "| step | exit | next |") {
            step = found[1].matched ? found[1].str() : step;
            rows[{step, found[2].str()}] = found[3].str();
        }
    }
    return rows;
}

}  // namespace

TEST_CASE("transition: the README says of every exit code what the table says") {
    auto readme = exit_codes_of_readme();
    CHECK(readme.erase({"discard", ""}) == 1);
    CHECK(readme.size() == exit_meanings.size());
    for (const ExitMeaning& meaning : exit_meanings) {
        const std::string step{to_string(meaning.step)};
        const std::string code = meaning.code ? std::to_string(*meaning.code) : "";
        CAPTURE(step);
        CAPTURE(code);
        REQUIRE(readme.count({step, code}) == 1);
        const std::string& says = readme[{step, code}];
        CAPTURE(says);
        const bool is_before_landing = meaning.step == StepKind::prepare || meaning.step == StepKind::work;
        const Lifecycle before = is_before_landing ? Lifecycle::running : Lifecycle::integrating;
        for (const TaskEvent event :
             {meaning.event, meaning.condition == nullptr ? meaning.event : meaning.otherwise}) {
            const auto after = transition(before, event);
            REQUIRE(after.has_value());
            const bool names_lifecycle =
                says.find("`" + std::string(to_string(*after)) + "`") != std::string::npos;
            const auto next = transition_of(event).next;
            if (is_terminal(*after)) {
                CHECK(names_lifecycle);
            } else if (*after != before) {
                CHECK((names_lifecycle || (next && says.find(to_string(*next)) != std::string::npos)));
            } else if (event == TaskEvent::step_waits) {
                CHECK(says.find("waits") != std::string::npos);
            }
        }
    }
}

TEST_CASE("transition: lifecycles and steps read back what they write") {
    const std::pair<Lifecycle, std::string> names[] = {{Lifecycle::running, "running"},
                                                       {Lifecycle::integrating, "integrating"},
                                                       {Lifecycle::completed, "completed"},
                                                       {Lifecycle::failed, "failed"},
                                                       {Lifecycle::blocked_push, "blocked_push"}};
    for (const auto& [lifecycle, name] : names) {
        CHECK(to_string(lifecycle) == name);
        CHECK(parse_lifecycle(name) == lifecycle);
    }
    const std::pair<StepKind, std::string> steps[] = {{StepKind::prepare, "prepare"},
                                                      {StepKind::work, "work"},
                                                      {StepKind::integrate, "integrate"},
                                                      {StepKind::remediate, "remediate"},
                                                      {StepKind::discard, "discard"}};
    for (const auto& [step, name] : steps) {
        CHECK(to_string(step) == name);
        CHECK(parse_step_kind(name) == step);
    }
    for (const char* const unknown : {"", "Running", "running ", "blocked", "done"}) {
        CHECK_FALSE(parse_lifecycle(unknown).has_value());
        CHECK_FALSE(parse_step_kind(unknown).has_value());
    }
}

TEST_CASE("transition: terminal lifecycles") {
    CHECK_FALSE(is_terminal(Lifecycle::running));
    CHECK_FALSE(is_terminal(Lifecycle::integrating));
    CHECK(is_terminal(Lifecycle::completed));
    CHECK(is_terminal(Lifecycle::failed));
    CHECK(is_terminal(Lifecycle::blocked_push));
}

TEST_CASE("transition: what the end of a run means") {
    struct Case {
        ExitRecord record;
        TaskEvent prepare;
        TaskEvent work;
        TaskEvent work_with_marker;
        TaskEvent integrate;
        TaskEvent last_integrate;
    };
    const Case cases[] = {
        {exited(0), prepare_succeeded, work_succeeded, work_succeeded, integrate_succeeded,
         integrate_succeeded},
        {exited(1), prepare_failed, work_failed, work_blocked, integrate_failed, integrate_failed},
        {exited(2), prepare_failed, work_failed, work_blocked, integrate_failed, integrate_failed},
        {exited(10), prepare_found_landed, work_failed, work_blocked, integrate_failed, integrate_failed},
        {exited(64), prepare_failed, work_failed, work_blocked, integrate_failed, integrate_failed},
        {exited(65), prepare_failed, work_failed, work_blocked, integrate_blocked, integrate_blocked},
        {exited(66), prepare_failed, work_failed, work_blocked, integrate_blocked, integrate_blocked},
        {exited(67), prepare_failed, work_failed, work_blocked, integrate_found_nothing,
         integrate_found_nothing},
        {exited(69), step_waits, work_failed, work_blocked, step_waits, step_waits},
        {exited(71), step_waits, work_failed, work_blocked, integrate_failed, integrate_failed},
        {exited(74), prepare_failed, work_failed, work_blocked, integrate_failed, integrate_failed},
        {exited(75), step_waits, work_failed, work_blocked, integrate_deferred, integrate_exhausted},
        {exited(127), prepare_failed, work_failed, work_blocked, integrate_failed, integrate_failed},
        {exited(143), prepare_failed, work_failed, work_blocked, integrate_failed, integrate_failed},
        {exited(255), prepare_failed, work_failed, work_blocked, integrate_failed, integrate_failed},
        {killed_by(1), prepare_failed, work_failed, work_blocked, integrate_failed, integrate_failed},
        {killed_by(9), prepare_failed, work_failed, work_blocked, integrate_failed, integrate_failed},
        {killed_by(10), prepare_failed, work_failed, work_blocked, integrate_failed, integrate_failed},
        {killed_by(15), prepare_failed, work_failed, work_blocked, integrate_failed, integrate_failed},
    };
    for (const Case& each : cases) {
        CAPTURE(each.record.value);
        for (const bool flag : {false, true}) {
            CHECK(classify(StepKind::prepare, each.record, standing(flag, !flag, false)) == each.prepare);
            CHECK(classify(StepKind::work, each.record, standing(false, flag, false)) == each.work);
            CHECK(classify(StepKind::work, each.record, standing(true, flag, false)) ==
                  each.work_with_marker);
            CHECK(classify(StepKind::integrate, each.record, standing(flag, true, false)) == each.integrate);
            CHECK(classify(StepKind::integrate, each.record, standing(flag, false, false)) ==
                  each.last_integrate);
        }
    }
}

TEST_CASE("transition: a run that was stopped is interrupted, but what has landed has landed") {
    for (ExitRecord record : {exited(0), exited(1), exited(10), exited(65), exited(75), killed_by(15)}) {
        CAPTURE(record.value);
        record.stopped = true;
        CHECK(classify(StepKind::prepare, record, standing(true, true, false)) == interrupted);
        CHECK(classify(StepKind::work, record, standing(true, true, false)) == interrupted);
        CHECK(classify(StepKind::integrate, record, standing(true, true, false)) ==
              (record.exited_with(0) ? integrate_succeeded : interrupted));
    }
}

TEST_CASE("transition: a run whose time was up has not succeeded, but what has landed has landed") {
    for (ExitRecord record : {exited(0), exited(10), killed_by(9)}) {
        CAPTURE(record.value);
        record.timed_out = true;
        CHECK(classify(StepKind::prepare, record, standing(false, true, false)) == prepare_failed);
        CHECK(classify(StepKind::work, record, standing(false, true, false)) == work_failed);
        CHECK(classify(StepKind::work, record, standing(true, true, false)) == work_blocked);
        CHECK(classify(StepKind::integrate, record, standing(false, true, false)) ==
              (record.exited_with(0) ? integrate_succeeded : integrate_failed));
    }
}

TEST_CASE("transition: nothing to land is a reason to work where nobody has worked yet") {
    Standing resumed;
    resumed.worked = false;
    CHECK(classify(StepKind::integrate, exited(67), resumed) == work_needed);
    CHECK(classify(StepKind::integrate, exited(65), resumed) == integrate_blocked);
}

TEST_CASE("transition: what is no attempt to land") {
    ExitRecord stopped = exited(75);
    stopped.stopped = true;
    for (const std::uint32_t status : {0U, 1U, 65U, 66U, 75U}) {
        CAPTURE(status);
        CHECK(counts_as_integration(exited(status), false, false));
    }
    CHECK_FALSE(counts_as_integration(exited(67), false, false));
    CHECK_FALSE(counts_as_integration(exited(69), false, false));
    CHECK_FALSE(counts_as_integration(exited(75), true, false));
    CHECK(counts_as_integration(exited(65), true, false));
    CHECK_FALSE(counts_as_integration(stopped, false, false));
    CHECK_FALSE(counts_as_integration(killed_by(9), false, false));
    CHECK_FALSE(counts_as_integration(exited(1), false, true));  // no verdict for a batch
    CHECK_FALSE(counts_as_lost(StepKind::integrate, exited(67), true));
    CHECK_FALSE(counts_as_lost(StepKind::integrate, exited(69), true));
}

TEST_CASE("transition: what can be fixed, and what comes of it") {
    CHECK(classify(StepKind::integrate, exited(66), standing(false, true, true)) == integrate_fixable);
    CHECK(classify(StepKind::integrate, exited(66), standing(false, true, false)) == integrate_blocked);
    CHECK(classify(StepKind::integrate, exited(65), standing(false, true, true)) == integrate_blocked);
    CHECK(classify(StepKind::remediate, exited(0), standing(false, true, true)) == remediate_succeeded);
    CHECK(classify(StepKind::remediate, exited(1), standing(true, true, true)) == remediate_failed);
    CHECK(classify(StepKind::remediate, killed_by(9), standing(false, true, true)) == remediate_failed);
    ExitRecord silent = exited(0);
    silent.timed_out = true;
    CHECK(classify(StepKind::remediate, silent, standing(false, true, true)) == remediate_failed);
    ExitRecord ended = exited(0);
    ended.stopped = true;
    CHECK(classify(StepKind::remediate, ended, standing(false, true, true)) == interrupted);
    CHECK_FALSE(counts_as_lost(StepKind::remediate, killed_by(9)));
}
