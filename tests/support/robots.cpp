#include "tests/support/robots.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <sstream>

#include "daemon/store/agent_records.h"

namespace ralph::tests {
namespace {

namespace fs = std::filesystem;

// One behaviour per call, in the order of the list; the last one for all later calls.
constexpr const char* robot = R"sh(#!/bin/sh
mode=$1 session=$2 prompt=$3
say() { printf '{"type": "say", "turn": "%s", "text": "%s", "in": 100, "cost": 0.5}\n' "$1" "$2"; }
end() { printf '{"type": "end", "result": "%s", "bad": %s}\n' "$1" "$2"; }
until mkdir "$ROBOT/taking" 2>/dev/null; do sleep 0.01; done
behaviour=$(head -n 1 "$ROBOT/list")
[ "$(wc -l < "$ROBOT/list")" -gt 1 ] && sed -i 1d "$ROBOT/list"
rmdir "$ROBOT/taking"
echo "$RALPH_TASK_ID $behaviour $mode $session" >> "$ROBOT/calls"
printf '%s\n' "$prompt" > "$ROBOT/prompt-$RALPH_TASK_ID-$(wc -l < "$ROBOT/calls")"
printf '{"type": "start", "id": "%s"}\n' "$session"
case $behaviour in
work) say 1 "I work."; echo "$RALPH_TASK_ID" > "$RALPH_TASK_ID.txt"; end Done. false ;;
begin) say 1 "I begin."; echo begun > begun.txt; end overloaded true; exit 1 ;;
nothing) say 1 "I look."; end "There is nothing." false ;;
limit) say 1 "I begin."; end "limit reached, try again in 2s" true; exit 1 ;;
refused) end "401 refused" true; exit 1 ;;
overloaded) end overloaded true; exit 1 ;;
full) end "context window" true; exit 1 ;;
pausing) say 1 "I begin."; mkdir -p "$RALPH_ACCOUNTS"; now=$(date -u +%FT%TZ); until=$(date -u -d "+4 seconds" +%FT%TZ)
  printf '{"version": 1, "account": "robot", "reason": "limit", "since": "%s", "until": "%s"}' "$now" "$until" > "$RALPH_ACCOUNTS/robot.json.made"
  mv "$RALPH_ACCOUNTS/robot.json.made" "$RALPH_ACCOUNTS/robot.json"; end overloaded true; exit 1 ;;
lost) end "session not found" true; exit 1 ;;
wrong) say 1 "I try."; end "I cannot do it" true; exit 1 ;;
silent) say 1 "I think."; sleep 300 ;;
endless) i=0; while :; do i=$((i + 1)); say $i turn; sleep 0.05; done ;;
die) say 1 "I die."; kill -9 $$ ;;
wait) say 1 "I wait."; echo $$ > "$ROBOT/pid"; while ! [ -e "$ROBOT/go" ]; do sleep 0.02; done
      echo "$RALPH_TASK_ID" > "$RALPH_TASK_ID.txt"; end Done. false ;;
denied) printf '{"type": "end", "result": "Done.", "denied": ["Bash"]}\n' ;;
plan) say 1 "I plan."; mkdir -p .ralph/cache/plans; echo do > ".ralph/cache/plans/$RALPH_TASK_ID.md"; end Planned. false ;;
review) say 1 "I look."; end Good. false ;;
own) echo secret > own.cache; echo x > work.txt; end Done. false ;;
esac
)sh";

constexpr const char* preset = R"({
  "sessions": "chosen", "output": "events", "exclude": ["*.cache"],
  "first": ["@robot", "first", "{session}", "{prompt}", ["--model", "{model}"]],
  "again": ["@robot", "again", "{session}", "{prompt}"],
  "events": [
    {"when": {"/type": "start"}, "session": "/id"},
    {"when": {"/type": "say"}, "say": "/text", "turn": "/turn", "answers": true, "adds": true, "input_tokens": "/in",
     "cost_usd": "/cost"},
    {"when": {"/type": "end"}, "ends": true, "message": "/result", "denied": "/denied/*"},
    {"when": {"/type": "end", "/bad": true}, "fails": true}],
  "verdicts": [{"verdict": "limited", "texts": ["limit"]}, {"verdict": "unauthorized", "texts": ["401"]},
               {"verdict": "context_full", "texts": ["context window"]},
               {"verdict": "session_lost", "texts": ["session not found"]},
               {"verdict": "passing", "texts": ["overloaded"]}]
})";

}  // namespace

Robots::Robots(const std::string& behaviours, const std::string& worker, const std::string& rest) {
    const std::string folder = project.outside("robot");
    fs::create_directories(folder);
    Project::write(folder + "/robot", robot);
    fs::permissions(folder + "/robot", fs::perms::owner_all);
    behave(behaviours);
    std::string text = preset;
    for (std::size_t at = text.find("@robot"); at != std::string::npos; at = text.find("@robot")) {
        text.replace(at, 6, folder + "/robot");
    }
    Project::write(
        project.root() + "/.ralph/supervisor.jsonc",
        fmt::format(R"({{"worker": {{"agent": "robot", "env": {{"ROBOT": "{}"}}{}}},
                                       "agents": {{"robot": {}}}{}}})",
                    folder, worker.empty() ? "" : ", " + worker, text, rest.empty() ? "" : ", " + rest));
}

void Robots::behave(const std::string& behaviours) const {
    std::istringstream words(behaviours);
    std::string list;
    for (std::string word; words >> word;) {
        list += word + "\n";
    }
    Project::write(project.outside("robot/list"), list);
}

void Robots::add(const std::string& title) const {
    CHECK(project.ralph({"task", "add", title}).status == 0);
    project.commit_and_push();
}

std::string Robots::calls() const {
    std::istringstream lines(Project::read(project.outside("robot/calls")));
    std::string text;
    for (std::string line; std::getline(lines, line);) {
        text += line.substr(0, line.rfind(' ')) + "\n";
    }
    return text;
}

std::vector<core::AgentRecord> Robots::records(const std::string& task) const {
    std::vector<core::AgentRecord> records;
    const auto runs = daemon::agent_runs(project.paths(), task);
    REQUIRE(runs.has_value());
    for (const auto& run : *runs) {
        records.push_back(run.record);
    }
    return records;
}

std::string Robots::prompt(int call, const std::string& task) const {
    return Project::read(project.outside(fmt::format("robot/prompt-{}-{}", task, call)));
}

std::string Robots::log(const std::string& task) const {
    return Project::read(project.paths().log(task));
}

bool Robots::said(const std::string& words) const {
    return project.log().find(words) != std::string::npos;
}

}  // namespace ralph::tests
