#include "config/project_config.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "config/allowlist.h"

using namespace ralph;
using config::Layer;
using config::ProjectConfig;
using core::Milliseconds;
using Lines = std::vector<std::string>;

namespace {

core::Result<ProjectConfig> load(const std::string& project, bool trusted = true) {
    return config::load_project_config(std::nullopt, Layer{"c.jsonc", project}, trusted);
}

std::string error_of(const std::string& project, bool trusted = true) {
    const auto result = load(project, trusted);
    return result.has_error() ? result.error().line() : "no error";
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

bool loads(const std::string& project) {
    return load(project).has_value();
}

}  // namespace

TEST_CASE("project settings: without layers the defaults hold") {
    const ProjectConfig defaults = config::load_project_config({}, {}, false).value();
    CHECK(defaults == ProjectConfig{});
    CHECK(load("{}", false).value() == ProjectConfig{});
    CHECK(defaults.queue.file == ".ralph/queue.jsonc");
    CHECK(defaults.queue.done_file == ".ralph/done.jsonc");
    CHECK(defaults.queue.id_prefix == "RQ");
    CHECK(defaults.queue.id_width == 4);
    CHECK(defaults.queue.max_dependency_depth == 10);
    CHECK_FALSE(defaults.queue.auto_archive_terminal_after_days.has_value());
    CHECK_FALSE(defaults.parallel.workers.has_value());
    CHECK_FALSE(defaults.parallel.workspace_root.has_value());
    CHECK(defaults.parallel.max_push_attempts == 50);
    CHECK(defaults.parallel.push_backoff == std::vector<Milliseconds>{Milliseconds{500}, Milliseconds{2000},
                                                                      Milliseconds{5000},
                                                                      Milliseconds{10'000}});
    CHECK(defaults.parallel.workspace_retention_hours == 24);
    CHECK(defaults.parallel.ignored_file_allowlist.empty());
    CHECK(defaults.ci_gate.enabled);
    CHECK(defaults.ci_gate.argv == Lines{"make", "ci"});
}

TEST_CASE("project settings: layers merge leaf by leaf, lists are replaced, null is absent") {
    const Layer global{"g.jsonc", R"({
        version: 2,
        queue: {file: "q", id_width: 5, max_dependency_depth: 3},
        parallel: {workers: 4, push_backoff_ms: [1, 2], max_push_attempts: 9, ignored_file_allowlist: ["a", "b"]},
        agent: {ci_gate: {argv: ["true"]}, webhook: {enabled: true, url: "u"}}})"};
    const Layer project{"p.jsonc", R"({
        queue: {file: null, id_width: 6, done_file: "d"},
        parallel: {workers: 8, push_backoff_ms: [], max_push_attempts: null, ignored_file_allowlist: ["c"]},
        agent: {ci_gate: {enabled: false}, webhook: {retry_count: 2}}})"};
    const ProjectConfig merged = config::load_project_config(global, project, true).value();
    CHECK(merged.queue.file == "q");
    CHECK(merged.queue.id_width == 6);
    CHECK(merged.queue.max_dependency_depth == 3);
    CHECK(merged.queue.done_file == "d");
    CHECK(merged.parallel.workers == 8U);
    CHECK(merged.parallel.push_backoff.empty());
    CHECK(merged.parallel.max_push_attempts == 9);
    CHECK(merged.parallel.ignored_file_allowlist == Lines{"c"});
    CHECK_FALSE(merged.ci_gate.enabled);
    CHECK(merged.ci_gate.argv == Lines{"true"});
    CHECK(merged.wants_webhook);
    CHECK_FALSE(load("{agent: {webhook: {url: \"u\"}}}").value().wants_webhook);
    CHECK(config::load_project_config(global, std::nullopt, false).value().parallel.workers == 4U);
}

TEST_CASE("project settings: bounds, on both sides") {
    struct Bound {
        std::string before, low, below, high, above;
    };
    const std::vector<Bound> bounds{
        {"{parallel: {workers: ", "2", "1", "255", "256"},
        {"{parallel: {max_push_attempts: ", "0", "-1", "255", "256"},
        {"{parallel: {workspace_retention_hours: ", "0", "-1", "4294967295", "4294967296"},
        {"{parallel: {push_backoff_ms: ", "[0]", "[-1]", "[3153600000000]", "[3153600000001]"},
        {"{queue: {id_width: ", "1", "0", "255", "256"},
        {"{queue: {max_dependency_depth: ", "1", "0", "100", "101"},
        {"{queue: {auto_archive_terminal_after_days: ", "0", "-1", "3650", "3651"},
        {"{agent: {session_timeout_hours: ", "1", "0", "18446744073709551615", "18446744073709551616"},
        {"{agent: {notification: {timeout_ms: ", "0", "-1", "4294967295", "4294967296"},
    };
    for (const Bound& bound : bounds) {
        CAPTURE(bound.before);
        const auto depth = std::count(bound.before.begin(), bound.before.end(), '{');
        const std::string after(static_cast<std::size_t>(depth), '}');
        CHECK(loads(bound.before + bound.low + after));
        CHECK(loads(bound.before + bound.high + after));
        CHECK(has(error_of(bound.before + bound.below + after), " must be a whole number from "));
        CHECK(has(error_of(bound.before + bound.above + after), " must be a whole number from "));
        CHECK(has(error_of(bound.before + "\"2\"" + after), " must be a"));
    }
    CHECK(error_of("{\n  \"parallel\": {\"workers\": 1}\n}") ==
          "c.jsonc:2:16: key `parallel.workers` must be a whole number from 2 to 255, not 1");
    CHECK(loads("{version: 2}"));
    CHECK(loads("{version: null}"));
    CHECK(error_of("{version: 1}") == "c.jsonc:1:2: key `version` must be 2, not 1");
    CHECK(error_of("{version: 3}") == "c.jsonc:1:2: key `version` must be 2, not 3");
    CHECK(error_of("{version: \"2\"}") == "c.jsonc:1:2: key `version` must be 2, not \"2\"");
    const auto global =
        config::load_project_config(Layer{"g", "{version: 1}"}, Layer{"p", "{version: 2}"}, true);
    REQUIRE(global.has_error());
    CHECK(has(global.error().line(), "g:1:2: key `version`"));
    CHECK(load("{queue: {auto_archive_terminal_after_days: 0}}")
              .value()
              .queue.auto_archive_terminal_after_days == 0U);
    CHECK(has(error_of("{parallel: {push_backoff_ms: [1,\n 2.5]}}"),
              "c.jsonc:2:2: key `parallel.push_backoff_ms[1]`"));
    CHECK(load("{parallel: {push_backoff_ms: [7]}}").value().parallel.push_backoff ==
          std::vector<Milliseconds>{Milliseconds{7}});
}

TEST_CASE(
    "project settings: no control and no direction in what becomes a path, a name or a line of a unit") {
    CHECK(error_of("{parallel:\n  {workspace_root: \"/w/x\\n[Service]\"}}") ==
          "c.jsonc:2:4: key `parallel.workspace_root` must not contain the character \\x0a");
    for (const std::string key : {"file", "done_file", "id_prefix"}) {
        for (const auto& [bad, escaped] : {std::pair{"\\u0000", "\\x00"},
                                           {"\\n", "\\x0a"},
                                           {"\\r", "\\x0d"},
                                           {"\\u001b", "\\x1b"},
                                           {"\\u007f", "\\x7f"},
                                           {"\\u009b", "\\u009b"},
                                           {"\\u202e", "\\u202e"},
                                           {"\\u2028", "\\u2028"}}) {
            const std::string shown = escaped;
            CAPTURE(key);
            CAPTURE(shown);
            CHECK(has(error_of("{queue: {" + key + ": \"a" + bad + "b\"}}"),
                      "key `queue." + key + "` must not contain the character " + shown));
            CHECK(has(error_of(std::string("{parallel: {workspace_root: \"/w/") + bad + "x\"}}"),
                      std::string("must not contain the character ") + shown));
        }
    }
    CHECK(loads("{parallel: {workspace_root: \"/w/\u00e4 100% \\u0027x\\u0027\"}}"));
}

TEST_CASE("project settings: paths and the id prefix") {
    CHECK(error_of("{queue: {file: \"\"}}") == "c.jsonc:1:10: key `queue.file` must not be empty");
    CHECK(has(error_of("{queue: {done_file: \"\"}}"), "key `queue.done_file` must not be empty"));
    CHECK(has(error_of("{queue: {id_prefix: \" \"}}"), "key `queue.id_prefix` must not be empty"));
    CHECK(load("{queue: {id_prefix: \" ab1 \"}}").value().queue.id_prefix == "AB1");
    CHECK(has(error_of("{parallel: {workspace_root: \"\"}}"), "must not be empty"));
    for (const std::string path : {"..", "../x", "a/../b", "/a/.."}) {
        CAPTURE(path);
        CHECK(has(error_of("{parallel: {workspace_root: \"" + path + "\"}}"),
                  "must not have a \"..\" component"));
    }
    CHECK(load("{parallel: {workspace_root: \"~/..a/b..\"}}").value().parallel.workspace_root == "~/..a/b..");
    CHECK_FALSE(load("{parallel: {workspace_root: null}}").value().parallel.workspace_root.has_value());
}

TEST_CASE("project settings: unknown keys are refused where they stand, in every section") {
    CHECK(error_of("{\n  \"parallel\": {\n    \"worker\": 4\n  }\n}") ==
          "c.jsonc:3:5: key `parallel.worker` is not known; did you mean \"workers\"?");
    for (const std::string text :
         {"{x_y_z: 1}", "{queue: {x_y_z: 1}}", "{queue: {aging_thresholds: {x_y_z: 1}}}",
          "{agent: {x_y_z: 1}}", "{agent: {ci_gate: {x_y_z: 1}}}", "{agent: {notification: {x_y_z: 1}}}",
          "{agent: {webhook: {x_y_z: 1}}}", "{agent: {runner_retry: {x_y_z: 1}}}", "{parallel: {x_y_z: 1}}",
          "{loop: {x_y_z: 1}}", "{profiles: {fast: {x_y_z: 1}}}"}) {
        CAPTURE(text);
        CHECK(has(error_of(text), "x_y_z` is not known"));
    }
    CHECK(error_of("{parallel: {worktree_root: \"x\"}}") ==
          "c.jsonc:1:13: key `parallel.worktree_root` is retired; rename it to \"workspace_root\"");
    CHECK(error_of("") == "c.jsonc:1:1: must be an object");
    CHECK(error_of("{agent: }").substr(0, 12) == "c.jsonc:1:9:");
}

TEST_CASE("project settings: everything the Rust tools know is accepted") {
    const std::string all = R"({
        version: 2, project_type: "code",
        queue: {file: "q", done_file: "d", id_prefix: "RQ", id_width: 4, size_warning_threshold_kb: 1,
                task_count_warning_threshold: 1, max_dependency_depth: 1, auto_archive_terminal_after_days: 1,
                aging_thresholds: {warning_days: 1, stale_days: 2, rotten_days: 3}},
        agent: {runner: "codex", model: "m", reasoning_effort: "high", iterations: 1,
                followup_reasoning_effort: "low", codex_bin: "a", opencode_bin: "a", gemini_bin: "a",
                claude_bin: "a", cursor_bin: "a", kimi_bin: "a", pi_bin: "a", cursor_sdk_node_bin: "a",
                cursor: {any: 1}, claude_permission_mode: "x", runner_cli: {defaults: {}},
                phase_overrides: {phase1: {runner: "claude", model: "m"}, phase2: null},
                instruction_files: ["a.md"], repoprompt_plan_required: true, repoprompt_tool_injection: true,
                ci_gate: {enabled: true, argv: ["x"]}, git_revert_mode: "ask", git_publish_mode: "commit_and_push",
                phases: 3,
                notification: {enabled: true, notify_on_complete: true, notify_on_fail: true,
                               notify_on_loop_complete: true, notify_on_watch_new_tasks: true,
                               suppress_when_active: true, sound_enabled: true, sound_path: "s", timeout_ms: 1},
                webhook: {enabled: false, url: "u", allow_insecure_http: true, allow_private_targets: true,
                          secret: "s", events: [], timeout_secs: 1, retry_count: 1, retry_backoff_ms: 100,
                          queue_capacity: 10, parallel_queue_multiplier: 1, queue_policy: "drop_new"},
                session_timeout_hours: 1, scan_prompt_version: "v", runner_retry: {max_attempts: 1,
                base_backoff_ms: 1, multiplier: 1.5, max_backoff_ms: 1, jitter_ratio: 0.1}},
        parallel: {workers: 2, workspace_root: "w", max_push_attempts: 1, push_backoff_ms: [1],
                   workspace_retention_hours: 1, ignored_file_allowlist: ["a"]},
        loop: {wait_when_empty: true, empty_poll_ms: 1, wait_when_blocked: true, wait_poll_ms: 1,
               wait_timeout_seconds: 1, notify_when_unblocked: true},
        plugins: {plugins: {mine: {enabled: true, config: {any: [1]}}}},
        profiles: {fast: {runner: "pi", phases: 1, ci_gate: {enabled: false}}, none: null}})";
    REQUIRE(error_of(all) == "no error");
    const ProjectConfig config = load(all).value();
    CHECK(config.parallel.workers == 2U);
    CHECK(config.ci_gate.enabled);  // a profile does not change it
    CHECK(config.ci_gate.argv == Lines{"x"});
    for (const std::string key : {"queue", "agent", "parallel", "loop", "plugins", "profiles"}) {
        CAPTURE(key);
        CHECK(error_of("{" + key + ": 1}") == "c.jsonc:1:2: key `" + key + "` must be an object");
        CHECK(loads("{" + key + ": null}"));
    }
    CHECK(has(error_of("{agent: {git_publish_mode: \"comit\"}}"),
              "must be one of off, commit, commit_and_push, not \"comit\"; did you mean \"commit\"?"));
    CHECK(has(error_of("{agent: {git_revert_mode: \"never\"}}"), "must be one of ask, enabled, disabled"));
    CHECK(has(error_of("{agent: {instruction_files: \"a\"}}"), "must be an array of strings"));
    CHECK(has(error_of("{agent: {notification: {notify_on_fail: 1}}}"), "must be true or false"));
    CHECK(has(error_of("{agent: {runner: 1}}"), "key `agent.runner` must be a string"));
}

TEST_CASE("project settings: what runs commands needs trust in the project layer, and only there") {
    std::vector<std::pair<std::string, std::string>> gated{
        {"{agent: {\n runner: \"mine\"}}", "agent.runner"},
        {"{agent: {phase_overrides: {phase2: {\n runner: \"mine\"}}}}",
         "agent.phase_overrides.phase2.runner"},
        {"{agent: {\n ci_gate: {enabled: false}}}", "agent.ci_gate"},
        {"{plugins: {\n plugins: {mine: {}}}}", "plugins.plugins"},
        {"{parallel: {\n ignored_file_allowlist: [\"a\"]}}", "parallel.ignored_file_allowlist"},
        {"{profiles: {fast: {\n ci_gate: {}}}}", "profiles.fast.ci_gate"},
        {"{profiles: {fast: {\n runner: \"mine\"}}}", "profiles.fast.runner"},
        {"{profiles: {fast: {\n pi_bin: \"x\"}}}", "profiles.fast.pi_bin"},
        {"{profiles: {fast: {phase_overrides: {phase1: {\n runner: \"mine\"}}}}}",
         "profiles.fast.phase_overrides.phase1.runner"},
    };
    for (const std::string program : {"codex_bin", "opencode_bin", "gemini_bin", "claude_bin", "cursor_bin",
                                      "kimi_bin", "pi_bin", "cursor_sdk_node_bin"}) {
        gated.emplace_back("{agent: {\n " + program + ": \"x\"}}", "agent." + program);
    }
    for (const auto& pair : gated) {
        const std::string& text = pair.first;
        const std::string& key = pair.second;
        CAPTURE(key);
        CHECK(error_of(text, false) ==
              "c.jsonc:2:2: key `" + key +
                  "` may only be set in a trusted repository; run `ralph init --trust` if you trust this "
                  "repository's commands");
        CHECK(load(text, true).has_value());
        CHECK(config::load_project_config(Layer{"g", text}, std::nullopt, false).has_value());
    }
    CHECK(load(R"({parallel: {workers: 2, workspace_root: "w", ignored_file_allowlist: null},
                   queue: {file: "q"}, plugins: {plugins: {}},
                   agent: {ci_gate: null, codex_bin: null, git_publish_mode: "commit", webhook: {retry_count: 1},
                           phase_overrides: {phase1: {runner: "kimi"}}}})",
               false)
              .has_value());
    for (const std::string runner : {"codex", "opencode", "gemini", "claude", "cursor", "kimi", "pi"}) {
        CAPTURE(runner);
        CHECK(load("{agent: {runner: \"" + runner + "\"}}", false).has_value());
    }
}

TEST_CASE("the CI gate is a program, not shell text") {
    const auto gate = [](const std::string& argv) { return "{agent: {ci_gate: {argv: " + argv + "}}}"; };
    for (const std::string shell : {"sh", "bash", "zsh", "dash", "fish", "cmd", "pwsh", "powershell",
                                    "/bin/sh", "C:/x/PowerShell.EXE", "cmd.exe"}) {
        for (const std::string option : {"-c", "/c", "-command", "/C", "-Command"}) {
            CAPTURE(shell + option);
            CHECK(has(error_of(gate("[\"" + shell + "\", \"" + option + "\", \"x\"]")),
                      "key `agent.ci_gate.argv[1]` must not give a shell text to run"));
        }
    }
    CHECK(error_of("{\"agent\": {\"ci_gate\": {\"argv\": [\"sh\", \"-e\",\n\"-c\", \"make ci\"]}}}") ==
          "c.jsonc:2:1: key `agent.ci_gate.argv[2]` must not give a shell text to run (\"sh -c\"); name a "
          "program "
          "or a script file");
    CHECK(loads(gate(R"(["sh", "ci.sh", "-c"])")));
    CHECK(loads(gate(R"(["sh", "/ci.sh", "-c"])")));
    CHECK(loads(gate(R"(["make", "-c"])")));
    CHECK(loads(gate(R"(["shell", "-c"])")));
    CHECK(has(error_of(gate(R"(["make", " "])")), "key `agent.ci_gate.argv[1]` must not be blank"));
    CHECK(has(error_of(gate(R"(["", "x"])")), "key `agent.ci_gate.argv[0]` must not be blank"));
    CHECK(has(error_of(gate(R"(["x\u0000"])")), "must not contain a NUL"));
    CHECK(error_of(gate("[]")) ==
          "c.jsonc:1:20: key `agent.ci_gate.argv` must name a command, such as [\"make\", \"ci\"]; or set "
          "agent.ci_gate.enabled to false");
    CHECK(loads("{agent: {ci_gate: {enabled: false, argv: []}}}"));
    const Layer global{"g.jsonc", "{agent: {ci_gate: {argv: []}}}"};
    CHECK(config::load_project_config(global, Layer{"p", "{agent: {ci_gate: {enabled: false}}}"}, true)
              .has_value());
    const auto failed = config::load_project_config(global, Layer{"p", "{agent: {}}"}, true);
    REQUIRE(failed.has_error());
    CHECK(has(failed.error().line(), "g.jsonc:1:20: key `agent.ci_gate.argv`"));
}

TEST_CASE("allowlist entries") {
    const auto entry = [](const std::string& text) {
        const auto result = config::parse_allowlist_entry(text);
        return result.has_error() ? "error: " + result.error().message : *result;
    };
    CHECK(entry(" ./config\\local.json ") == "config/local.json");
    CHECK(entry("**/*.key") == "**/*.key");
    CHECK(entry("a/{b,c}[]x]/[!y]?") == "a/{b,c}[]x]/[!y]?");
    CHECK(entry("mytarget/x") == "mytarget/x");
    CHECK(entry(".ralph/x") == ".ralph/x");
    CHECK(entry("..a/b..") == "..a/b..");
    for (const std::string text : {"", "  ", "./"}) {
        CHECK(entry(text) == "error: must not be empty");
    }
    for (const std::string text : {"/a", "\\a", "c:/a", "C:a", ".//a"}) {
        CAPTURE(text);
        CHECK(entry(text) == "error: must be relative to the repository root");
    }
    CHECK(entry("a/") == "error: must name files, not a directory");
    for (const std::string text : {".", "..", "../a", "a/../b", "a/./b", "././a", "a/.."}) {
        CAPTURE(text);
        CHECK(entry(text) == "error: must not have a \".\" or \"..\" component");
    }
    for (const std::string prefix :
         {"target/", "node_modules/", ".venv/", ".ralph/cache/", ".ralph/workspaces/", ".ralph/logs/",
          ".ralph/lock/", "__pycache__/", ".ruff_cache/", ".pytest_cache/", ".ty_cache/", ".git/"}) {
        CHECK(entry(prefix + "x") == "error: must not reach into " + prefix + ", which is never copied");
        CHECK(entry("sub/" + prefix + "x") ==
              "error: must not reach into " + prefix + ", which is never copied");
    }
    CHECK(entry("a[b") == "error: has a \"[\" without \"]\"");
    CHECK(entry("a[!]") == "error: has a \"[\" without \"]\"");
    CHECK(entry("a{b") == "error: has a \"{\" without \"}\"");
    CHECK(entry("a}b") == "error: has a \"}\" without \"{\"");
    CHECK(error_of("{parallel: {ignored_file_allowlist: [\"a\",\n \"../b\"]}}") ==
          "c.jsonc:2:2: key `parallel.ignored_file_allowlist[1]` must not have a \".\" or \"..\" component");
    CHECK(load("{parallel: {ignored_file_allowlist: [\"./a\"]}}").value().parallel.ignored_file_allowlist ==
          Lines{"a"});
}

TEST_CASE("the config example gives the defaults") {
    std::ifstream file(RALPH_SOURCE_DIR "/config/config.example.jsonc");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    REQUIRE(text.size() > 1000);
    CHECK(load(text).value() == ProjectConfig{});
}
