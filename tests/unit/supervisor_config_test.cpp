#include "config/supervisor_config.h"

#include <doctest/doctest.h>

#include <boost/json/object.hpp>
#include <fstream>
#include <iterator>

#include "core/base/jsonc.h"

using namespace ralph;
using config::Layer;
using config::SupervisorConfig;
using core::Milliseconds;
using Argv = std::vector<std::string>;

namespace {

core::Result<SupervisorConfig> load(const std::string& project, bool trusted = true) {
    return config::load_supervisor_config(std::nullopt, Layer{"s.jsonc", project}, trusted);
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

TEST_CASE("supervisor settings: without layers the defaults hold") {
    const SupervisorConfig defaults = config::load_supervisor_config({}, {}, false).value();
    CHECK(defaults == SupervisorConfig{});
    CHECK(defaults.worker.command.empty());
    CHECK(defaults.worker.env.empty());
    CHECK(defaults.worker.timeout == std::chrono::hours{24});
    CHECK(defaults.worker.kill_grace == std::chrono::seconds{10});
    CHECK(defaults.worker.log_limit_mib == 64);
    CHECK(defaults.max_restarts == 2);
    CHECK(defaults.prepare.command.empty());
    CHECK(defaults.prepare.timeout == std::chrono::minutes{30});
    CHECK(defaults.integrate.command.empty());
    CHECK(defaults.integrate.timeout == std::chrono::hours{2});
    CHECK(defaults.gate.timeout == std::chrono::minutes{30});
    CHECK(defaults.limits == config::LimitSettings{0, 0, 0, 0});
    CHECK(defaults.kept_work_retention == std::chrono::hours{14 * 24});
    CHECK(defaults.stop_timeout == std::chrono::minutes{30});
}

TEST_CASE("supervisor settings: every one can be set") {
    const SupervisorConfig all = load(R"({
        worker: {command: ["run", "{task_id}"], env: {A: "1"}, timeout: "3s", kill_grace: "4s", log_limit_mib: 5},
        max_restarts: 6,
        prepare: {command: ["p"], timeout: "7s"},
        integrate: {command: ["i"], timeout: "8s"},
        gate: {timeout: "9s", retries: 9},
        limits: {memory: "12GiB", cpu: 1.5, tasks: 13, io_weight: 14},
        kept_work_retention: "10s",
        stop_timeout: "11s", poll: {remote: "12s"}})")
                                     .value();
    SupervisorConfig expected;
    expected.worker = {{"run", "{task_id}"}, {{"A", "1"}}, Milliseconds{3000}, Milliseconds{4000}, 5};
    expected.max_restarts = 6;
    expected.prepare = {{"p"}, Milliseconds{7000}};
    expected.integrate = {{"i"}, Milliseconds{8000}};
    expected.gate = {Milliseconds{9000}, 9};
    expected.limits = {12ULL << 30U, 150, 13, 14};
    expected.kept_work_retention = Milliseconds{10'000};
    expected.stop_timeout = Milliseconds{11'000};
    expected.poll_remote = Milliseconds{12'000};
    CHECK(all == expected);
}

TEST_CASE("supervisor settings: layers merge leaf by leaf, lists are replaced, null is absent") {
    const Layer global{"g.jsonc", R"({worker: {command: ["a", "b"], env: {A: "1", B: "2"}, timeout: "1h"},
                                      max_restarts: 7, gate: {timeout: "1m"}})"};
    const Layer project{"p.jsonc", R"({worker: {command: ["c"], env: {B: "3", C: "4"}, timeout: null},
                                       max_restarts: 0, gate: null})"};
    const SupervisorConfig merged = config::load_supervisor_config(global, project, true).value();
    CHECK(merged.worker.command == Argv{"c"});
    CHECK(merged.worker.env == std::map<std::string, std::string>{{"A", "1"}, {"B", "3"}, {"C", "4"}});
    CHECK(merged.worker.timeout == std::chrono::hours{1});
    CHECK(merged.max_restarts == 0);
    CHECK(merged.gate.timeout == std::chrono::minutes{1});
    CHECK(merged.worker.log_limit_mib == 64);

    const SupervisorConfig only_global = config::load_supervisor_config(global, std::nullopt, false).value();
    CHECK(only_global.worker.command == Argv{"a", "b"});
}

TEST_CASE("supervisor settings: bounds, on both sides") {
    struct Bound {
        std::string before, low, below, high, above;
    };
    const std::vector<Bound> bounds{
        {"{worker: {timeout: ", "\"0\"", "\"-1s\"", "\"365d\"", "\"366d\""},
        {"{worker: {kill_grace: ", "\"0\"", "\"-1s\"", "\"1h\"", "\"3601s\""},
        {"{worker: {log_limit_mib: ", "1", "0", "102400", "102401"},
        {"{max_restarts: ", "0", "-1", "100", "101"},
        {"{prepare: {timeout: ", "\"1ms\"", "\"0\"", "\"7d\"", "\"169h\""},
        {"{integrate: {timeout: ", "\"1ms\"", "\"0\"", "\"7d\"", "\"169h\""},
        {"{gate: {timeout: ", "\"1ms\"", "\"0\"", "\"7d\"", "\"169h\""},
        {"{gate: {retries: ", "0", "-1", "10", "11"},
        {"{limits: {memory: ", "\"1MiB\"", "\"1023KiB\"", "\"1PiB\"", "\"1025TiB\""},
        {"{limits: {cpu: ", "0.01", "0.004", "10000", "10000.1"},
        {"{limits: {tasks: ", "0", "-1", "4194304", "4194305"},
        {"{limits: {io_weight: ", "0", "-1", "10000", "10001"},
        {"{kept_work_retention: ", "\"1s\"", "\"999ms\"", "\"3650d\"", "\"3651d\""},
        {"{stop_timeout: ", "\"0\"", "\"-1s\"", "\"7d\"", "\"169h\""},
    };
    for (const Bound& bound : bounds) {
        CAPTURE(bound.before);
        const std::string after = bound.before.find("{", 1) == std::string::npos ? "}" : "}}";
        CHECK(loads(bound.before + bound.low + after));
        CHECK(loads(bound.before + bound.high + after));
        CHECK(has(error_of(bound.before + bound.below + after), " must be "));
        CHECK(has(error_of(bound.before + bound.above + after), " must be "));
    }
    CHECK(error_of("{max_restarts: 101}") ==
          "s.jsonc:1:2: key `max_restarts` must be a whole number from 0 to 100, not 101");
    CHECK(error_of("{gate: {timeout: \"8d\"}}") ==
          "s.jsonc:1:9: key `gate.timeout` must be from \"1ms\" to \"7d\", not \"8d\"");
    CHECK(error_of("{gate: {timeout: 30}}") ==
          "s.jsonc:1:9: key `gate.timeout` must be a duration such as \"90s\", \"15m\" or \"2h\" (ms, s, m, "
          "h, d), "
          "in quotes");
    CHECK(error_of("{gate: {timeout: \"soon\"}}") ==
          "s.jsonc:1:9: key `gate.timeout` must be a duration such as \"90s\", \"15m\" or \"2h\" (ms, s, m, "
          "h, d), "
          "not \"soon\"");
    CHECK(has(error_of("{max_restarts: 1.5}"), "must be a whole number from 0 to 100, not 1.5"));
}

TEST_CASE("supervisor settings: a worker timeout of 0 means no limit, and a later layer can bring one back") {
    CHECK_FALSE(load("{worker: {timeout: \"0\"}}").value().worker.timeout.has_value());
    const Layer global{"g", "{worker: {timeout: \"0\"}}"};
    const auto merge = [&global](const std::string& project) {
        return config::load_supervisor_config(global, Layer{"p", project}, false).value().worker.timeout;
    };
    CHECK_FALSE(merge("{}").has_value());
    CHECK(merge("{worker: {timeout: \"5m\"}}") == std::chrono::minutes{5});
}

TEST_CASE("supervisor settings: unknown and repeated keys are refused where they stand") {
    CHECK(error_of("{\n  \"worker\": {\n    \"comand\": []\n  }\n}") ==
          "s.jsonc:3:5: key `worker.comand` is not known; did you mean \"command\"?");
    CHECK(error_of("{\"max_restart\": 1}") ==
          "s.jsonc:1:2: key `max_restart` is not known; did you mean \"max_restarts\"?");
    CHECK(has(error_of("{gate: {command: []}}"), "key `gate.command` is not known"));
    CHECK(error_of("{max_restarts: 1,\n max_restarts: 2}") ==
          "s.jsonc:2:2: key \"max_restarts\" is given twice");
    CHECK(error_of("{worker: []}") == "s.jsonc:1:2: key `worker` must be an object");
    CHECK(error_of("[]") == "s.jsonc:1:1: must be an object");
}

TEST_CASE("supervisor settings: what runs commands needs trust in the project layer, and only there") {
    const std::vector<std::pair<std::string, std::string>> gated{
        {"{worker: {\n command: [\"x\"]}}", "worker.command"},
        {"{worker: {\n env: {A: \"1\"}}}", "worker.env"},
        {"{prepare: {\n command: [\"x\"]}}", "prepare.command"},
        {"{integrate: {\n command: [\"x\"]}}", "integrate.command"},
    };
    for (const auto& pair : gated) {
        const std::string& text = pair.first;
        const std::string& key = pair.second;
        CAPTURE(key);
        CHECK(error_of(text, false) ==
              "s.jsonc:2:2: key `" + key +
                  "` may only be set in a trusted repository; run `ralph init --trust` if you trust this "
                  "repository's commands");
        CHECK(load(text, true).has_value());
        CHECK(config::load_supervisor_config(Layer{"g", text}, std::nullopt, false).has_value());
    }
    CHECK(has(error_of("{worker: {command: [], env: {}}}", false), "key `worker.command` may only"));
    CHECK(load(R"({worker: {timeout: "1h", kill_grace: "1s", log_limit_mib: 1, command: null, env: null},
                   max_restarts: 1, prepare: {timeout: "1h"}, integrate: {timeout: "1h"}, gate: {timeout: "1h"},
                   kept_work_retention: "1h"})",
               false)
              .has_value());
}

TEST_CASE("worker.env takes variable names and keeps RALPH_ for the supervisor") {
    CHECK(load("{worker: {env: {_a9: \"x\", RALPH: \"\"}}}").value().worker.env.size() == 2);
    for (const std::string name : {"9A", "A-B", "", "A=B", "\xC3\xA4"}) {
        CAPTURE(name);
        CHECK(has(error_of("{worker: {env: {\"" + name + "\": \"x\"}}}"), "must be a name of letters"));
    }
    CHECK(
        error_of("{worker: {env: {RALPH_TASK_ID: \"x\"}}}") ==
        "s.jsonc:1:17: key `worker.env.RALPH_TASK_ID` must not start with RALPH_; the supervisor sets those "
        "variables itself");
    CHECK(has(error_of("{worker: {env: {A: 1}}}"), "key `worker.env.A` must be a string"));
    CHECK(has(error_of("{worker: {env: {A: \"\\u0000\"}}}"), "must not contain a NUL"));
}

TEST_CASE("commands: placeholders are checked when the settings are read") {
    CHECK(load(R"({worker: {command: ["{workspace}/x", "{{lit}}", "{attempt}{task_id}", ""]}})").has_value());
    CHECK(error_of("{worker: {command: [\"x\",\n \"{task_ids}\"]}}") ==
          "s.jsonc:2:2: key `worker.command[1]` has the unknown placeholder {task_ids}; did you mean "
          "{task_id}?");
    CHECK(
        has(error_of("{prepare: {command: [\"x\", \"{zzzzzzzz}\"]}}"),
            "key `prepare.command[1]` has the unknown placeholder {zzzzzzzz}; write {{ and }} for literal"));
    CHECK(has(error_of("{integrate: {command: [\"x\", \"{}\"]}}"), "unknown placeholder {}"));
    CHECK(has(error_of("{worker: {command: [\"x\", \"a{task_id\"]}}"), "has a lone \"{\"; write it twice"));
    CHECK(has(error_of("{worker: {command: [\"x\", \"a}\"]}}"), "has a lone \"}\"; write it twice"));
    CHECK(has(error_of("{worker: {command: [\" \"]}}"), "key `worker.command[0]` must name a program"));
    CHECK(has(error_of("{worker: {command: [\"x\\u0000\"]}}"), "must not contain a NUL"));
    CHECK(has(error_of("{worker: {command: \"x\"}}"), "key `worker.command` must be an array of strings"));
    CHECK(has(error_of("{worker: {command: [1]}}"), "key `worker.command[0]` must be a string"));
}

TEST_CASE("commands: a task title never becomes shell text") {
    CHECK(has(error_of(R"({worker: {command: ["sh", "-c", "echo {task_title}"]}})"),
              "key `worker.command[2]` puts {task_title} into text that a shell runs"));
    CHECK(has(error_of(R"({worker: {command: ["/bin/bash", "-e", "-lc", "{task_title}"]}})"),
              "worker.command[3]"));
    CHECK(loads(R"({worker: {command: ["sh", "-c", "echo \"$1\"", "sh", "{task_title}"]}})"));
    CHECK(loads(R"({worker: {command: ["sh", "-c", "echo {task_id} {{task_title}}"]}})"));
    CHECK(loads(R"({worker: {command: ["echo", "-c", "{task_title}"]}})"));
}

TEST_CASE("expand_command puts values in once and leaves them alone") {
    const config::PlaceholderValues values{"RQ-0001", "{task_id} {{ }", "/w/RQ-0001", "main", "3"};
    CHECK(config::expand_command({"{task_id}", "a{workspace}b{target_branch}", "{attempt}", "{task_title}"},
                                 values) == Argv{"RQ-0001", "a/w/RQ-0001bmain", "3", "{task_id} {{ }"});
    CHECK(config::expand_command({"{{task_id}}", "{{{task_id}}}", "", "{{}}"}, values) ==
          Argv{"{task_id}", "{RQ-0001}", "", "{}"});
    CHECK(config::expand_command({}, values).empty());
}

TEST_CASE("the supervisor example gives every setting with its default") {
    std::ifstream file(RALPH_SOURCE_DIR "/config/supervisor.example.jsonc");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    CHECK(load(text).value() == SupervisorConfig{});

    const auto document = core::JsonDocument::parse(text, "example").value();
    const std::vector<std::string> paths = config::supervisor_setting_paths();
    CHECK(paths.size() == 51);
    for (const std::string& path : paths) {
        CAPTURE(path);
        const boost::json::object* object = &document.root().as_object();
        std::string key = path;
        for (std::size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.')) {
            REQUIRE(object->contains(key.substr(0, dot)));
            object = &object->at(key.substr(0, dot)).as_object();
            key = key.substr(dot + 1);
        }
        REQUIRE(object->contains(key));
        CHECK_FALSE(object->at(key).is_null());
    }
}

TEST_CASE("supervisor settings: batches and named gates") {
    const auto config = load(R"({integration: {batch: {max: 8, min: 2, wait: "3s"}},
                                 gates: {lint: {command: ["make", "lint"], timeout: "5m"}, "a-b.c_1": {command: ["x"]}}})")
                            .value();
    CHECK(config.batch == config::BatchSettings{8, 2, std::chrono::seconds{3}});
    REQUIRE(config.gates.size() == 2);
    CHECK(config.gates[0] == config::NamedGateSettings{"lint", {"make", "lint"}, std::chrono::minutes{5}});
    CHECK(config.gates[1] == config::NamedGateSettings{"a-b.c_1", {"x"}, std::nullopt});
    for (const char* wrong :
         {"{integration: {batch: {max: 0}}}", "{integration: {batch: {max: 257}}}",
          "{integration: {batch: {wait: \"2h\"}}}", "{integration: {batch: {most: 1}}}",
          "{integration: {batches: {}}}", "{integration: {remediate: {max: 11}}}",
          "{integration: {remediate: {silence: \"0\"}}}", "{integration: {remediate: {command: [\"\"]}}}",
          "{gates: {ci: {command: [\"x\"]}}}", "{gates: {lint: {}}}", "{gates: {lint: {command: []}}}",
          "{gates: {lint: {command: [\"x\"], timeout: \"0\"}}}", "{gates: {\"../lint\": {command: [\"x\"]}}}",
          "{gates: {\"\": {command: [\"x\"]}}}", "{gates: [\"x\"]}"}) {
        CAPTURE(wrong);
        CHECK(load(wrong).has_error());
    }
}

TEST_CASE("supervisor settings: gates at the same time, partitions by scope and barriers") {
    const auto config =
        load(
            R"({integration: {parallel_gates: 3, lanes: "scope", barrier_paths: ["./CMakeLists.txt", "tools/**"]}})")
            .value();
    CHECK(config.partitions == config::PartitionSettings{3, true, {"CMakeLists.txt", "tools/**"}});
    CHECK(load("{integration: {lanes: \"one\", barrier_paths: null}}").value().partitions ==
          config::PartitionSettings{});
    for (const char* wrong :
         {"{integration: {parallel_gates: 0}}", "{integration: {parallel_gates: 17}}",
          "{integration: {lanes: \"two\"}}", "{integration: {lanes: true}}",
          "{integration: {barrier_paths: [\"/etc\"]}}", "{integration: {barrier_paths: \"src\"}}"}) {
        CAPTURE(wrong);
        CHECK(load(wrong).has_error());
    }
}

TEST_CASE("supervisor settings: what a worker and its work may do") {
    const SupervisorConfig defaults;
    CHECK_FALSE(defaults.worker.no_change_completes);
    CHECK_FALSE(defaults.worker.may_push);
    CHECK_FALSE(defaults.partitions.may_undo);
    const SupervisorConfig open =
        load(R"({worker: {no_change: "complete", may_push: true}, integration: {undo: "allow"}})", false)
            .value();
    CHECK(open.worker.no_change_completes);
    CHECK(open.worker.may_push);
    CHECK(open.partitions.may_undo);
    // A repository may be stricter than what holds for all.
    const Layer global{"g.jsonc", R"({worker: {no_change: "complete", may_push: true},
                                      integration: {undo: "allow"}})"};
    const Layer project{"p.jsonc", R"({worker: {no_change: "blocked", may_push: false},
                                       integration: {undo: "refuse"}})"};
    CHECK(config::load_supervisor_config(global, project, false).value() == defaults);
    for (const char* wrong : {"{worker: {no_change: true}}", "{worker: {no_change: \"failed\"}}",
                              "{worker: {may_push: \"yes\"}}", "{integration: {undo: \"\"}}"}) {
        CAPTURE(wrong);
        CHECK(load(wrong).has_error());
    }
}

TEST_CASE("supervisor settings: limits of workers") {
    const auto memory = [](const std::string& text) {
        return load("{limits: {memory: " + text + "}}").value().limits.memory;
    };
    CHECK(memory("\"0\"") == 0);
    CHECK(memory("\"1048577B\"") == (1ULL << 20U) + 1);
    CHECK(memory("\"2048KiB\"") == 2ULL << 20U);
    CHECK(memory("\"3TiB\"") == 3ULL << 40U);
    for (const char* bad : {"\"\"", "\"GiB\"", "\"1\"", "\"1 GiB\"", "\"1GB\"", "\"-1GiB\"", "\"1.5GiB\"",
                            "1073741824", "\"99999999999999999999GiB\"", "\"17179869184PiB\"", "true"}) {
        CAPTURE(bad);
        CHECK(has(error_of(std::string("{limits: {memory: ") + bad + "}}"),
                  "key `limits.memory` must be a size from \"1MiB\" to \"1PiB\" (B, KiB, MiB, GiB, TiB), or "
                  "\"0\", not "));
    }
    CHECK(load("{limits: {cpu: 0}}").value().limits.cpu_percent == 0);
    CHECK(load("{limits: {cpu: 2}}").value().limits.cpu_percent == 200);
    for (const char* bad : {"\"2\"", "-1", "true", "[]"}) {
        CAPTURE(bad);
        CHECK(has(error_of(std::string("{limits: {cpu: ") + bad + "}}"),
                  "key `limits.cpu` must be a number from 0.01 to 10000, or 0, not "));
    }
}
