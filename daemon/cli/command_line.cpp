#include "daemon/cli/command_line.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "core/base/shown_text.h"
#include "core/supervisor/steering.h"
#include "daemon/cli/common.h"
#include "daemon/cli/examples.h"
#include "daemon/cli/owner.h"
#include "daemon/supervisor/cgroup_layout.h"

namespace ralph::daemon {
namespace {

void add_run_options(CLI::App* app, RunArguments& arguments, std::string& workers) {
    app->add_option("--parallel", workers,
                    "How many tasks at once, 1 to 255 (default: parallel.workers, or 2)")
        ->expected(0, 1)
        ->type_name("[N]")
        ->trigger_on_parse(false);
    app->add_option("--max-tasks", arguments.max_tasks, "Start at most so many tasks; 0 means no limit")
        ->capture_default_str();
    app->add_flag("--continuous,--wait-when-empty", arguments.continuous,
                  "Wait for new tasks instead of ending when the queue is drained");
    app->add_flag("--include-draft", arguments.include_draft, "Run drafts, too, once no other task is left");
    app->add_flag("--force", arguments.force, "Run although the repository has uncommitted changes");
}

// Runs of digits only; everything else, and what is out of range, is wrong usage.
void parse_workers(const CLI::App* app, const std::string& text, RunArguments& arguments) {
    arguments.parallel = app->count("--parallel") > 0;
    if (text.empty()) {
        return;
    }
    const bool digits = text.size() <= 3 && text.find_first_not_of("0123456789") == std::string::npos;
    const unsigned long number = digits ? std::stoul(text) : 0;
    if (number < 1 || number > core::most_workers) {
        throw CLI::ValidationError("--parallel", "takes 1 to 255 workers, not \"" + text + "\"");
    }
    arguments.workers = static_cast<std::uint32_t>(number);
}

void add_common(CLI::App& app, CommonArguments& common) {
    app.add_option("--repo", common.repository, "The repository, or a folder inside it")->type_name("DIR");
    app.add_option("--log-level", common.log_level, "trace, debug, info, warn, error or off")
        ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
        ->type_name("LEVEL");
    app.add_option("--log-format", common.log_format,
                   "plain, or json for one JSON object a line; without it what fits where the log goes")
        ->check(CLI::IsMember({"plain", "json"}))
        ->type_name("FORMAT");
}

void add_init(CLI::App& app, Arguments& all) {
    auto* init = app.add_subcommand("init", "Make .ralph/ in a git repository")->fallthrough();
    init->footer(init_examples);
    init->add_flag("--trust,--trust-project-commands", all.trust,
                   "Allow this repository's files to name commands that are run");
    init->add_option("--agent", all.agent,
                     "Who works on the tasks: claude, codex, gemini, qwen, opencode or aider")
        ->type_name("NAME");
    init->add_flag("--check", all.check, "Only say what is missing; write nothing");
    add_rust_init_flags(*init, all.rust);
    init->callback([&] {
        all.exit_code = as_owner(all.common, [&] {
            return all.check ? check_initialized(all.common) : initialize(all.common, all.trust, all.agent);
        });
    });
}

void add_account_commands(CLI::App& app, Arguments& all) {
    auto* account = app.add_subcommand("account", "Agents' accounts that are paused")
                        ->require_subcommand(1)
                        ->fallthrough();
    account->footer(account_examples);
    auto* list = account->add_subcommand("list", "Which, why, and until when")->fallthrough();
    list->add_flag("--json", all.json, "As JSON (document version 1)");
    list->callback(
        [&] { all.exit_code = as_owner(all.common, [&] { return account_list(all.common, all.json); }); });
    auto* resume = account->add_subcommand("resume", "Let its agents start again at once")->fallthrough();
    resume->add_option("NAME", all.account, "Which")->required();
    resume->callback([&] {
        all.exit_code = as_owner(all.common, [&] { return account_resume(all.common, all.account); });
    });
}

void add_history_and_retry(CLI::App& app, Arguments& all) {
    auto* history = app.add_subcommand("history", "What happened to the tasks, oldest first")->fallthrough();
    history->footer(history_examples);
    history->add_option("TASK", all.task_id, "Of one task");
    history->add_flag("--json", all.json, "The events as they are kept, one JSON object a line");
    history->callback([&] {
        all.exit_code = as_owner(all.common, [&] { return show_history(all.common, all.task_id, all.json); });
    });
    auto* retry = app.add_subcommand("retry", "Run failed or blocked tasks again")->fallthrough();
    retry->footer(retry_examples);
    retry->add_option("TASK", all.retry.task_ids, "Which");
    retry->add_flag("--failed", all.retry.failed, "All that have failed");
    retry->add_flag("--blocked", all.retry.blocked, "All that are blocked");
    retry->callback(
        [&] { all.exit_code = as_owner(all.common, [&] { return retry_tasks(all.common, all.retry); }); });
}

void add_status_flags(CLI::App& status, StatusArguments& arguments) {
    auto* json = status.add_flag("--json", arguments.json, "As JSON (document version 3)");
    status.add_flag("--watch", arguments.watch, "Show it again whenever something happens")->excludes(json);
    status.add_flag("--exit-code", arguments.exit_code, "End with 4 if a person is to do something");
}

void add_parallel_commands(CLI::App& parallel, Arguments& all) {
    auto* status = parallel.add_subcommand("status", "Show every task's record")->fallthrough();
    add_status_flags(*status, all.status);
    status->callback(
        [&] { all.exit_code = as_owner(all.common, [&] { return show_status(all.common, all.status); }); });
    auto* stop = parallel.add_subcommand("stop", "Start nothing new and finish what runs; or end what runs")
                     ->fallthrough();
    stop->add_flag("--now", all.now,
                   "End the workers and their trees; the tasks count as failed, their work is kept");
    stop->callback(
        [&] { all.exit_code = as_owner(all.common, [&] { return request_stop(all.common, all.now); }); });
    auto* retry = parallel.add_subcommand("retry", "Run a failed or blocked task again")->fallthrough();
    retry->add_option("--task", all.task_id, "Which")->required()->type_name("ID");
    retry->callback([&] {
        all.retry.task_ids = {all.task_id};
        all.exit_code = as_owner(all.common, [&] { return retry_tasks(all.common, all.retry); });
    });
}

void add_run(CLI::App& app, Arguments& all) {
    auto* run =
        app.add_subcommand("run", "Run the queued tasks (--parallel N), or look at a run")->fallthrough();
    run->footer(run_examples);
    run->require_subcommand(0, 1);
    add_run_options(run, all.run, all.workers);
    add_rust_run_flags(*run, all.rust);
    auto* loop = run->add_subcommand("loop", "The same as `ralph run`")->fallthrough();
    add_run_options(loop, all.run, all.workers);
    add_rust_run_flags(*loop, all.rust);
    auto* parallel =
        run->add_subcommand("parallel", "Look at a run, or change it")->require_subcommand(1)->fallthrough();
    add_parallel_commands(*parallel, all);
    run->final_callback([&all, run, loop, parallel] {
        if (parallel->parsed()) {
            return;
        }
        tell_ignored(all.rust);
        parse_workers(loop->parsed() && loop->count("--parallel") > 0 ? loop : run, all.workers, all.run);
        all.exit_code = run_supervisor(all.common, all.run);
    });
}

void add_gate_and_demo(CLI::App& app, Arguments& all, const Program& program) {
    auto* gate = app.add_subcommand(
                        "gate",
                        "Run the gate on the commit that is checked out here; the merge queue will not run "
                        "it again on the same files")
                     ->fallthrough();
    gate->footer(gate_examples);
    gate->callback([&] { all.exit_code = as_owner(all.common, [&] { return run_gate(all.common); }); });
    auto* demo =
        app.add_subcommand("demo", "Watch eight tasks being worked on and landed, in a temporary folder");
    demo->footer(demo_examples);
    demo->add_option("--dir", all.demo_folder, "An empty or new folder to use instead")->type_name("DIR");
    demo->callback([&] { all.exit_code = program.demonstrate(all.demo_folder); });
}

void add_status_and_why(CLI::App& app, Arguments& all) {
    auto* status = app.add_subcommand("status", "What happens, what waits, and why")->fallthrough();
    status->footer(status_examples);
    add_status_flags(*status, all.status);
    status->callback(
        [&] { all.exit_code = as_owner(all.common, [&] { return show_status(all.common, all.status); }); });
    auto* why =
        app.add_subcommand("why", "Why a task stands where it stands, and what to type")->fallthrough();
    why->footer(why_examples);
    why->add_option("TASK", all.task_id, "Which")->required();
    why->add_flag("--json", all.json, "As JSON (document version 1)");
    why->callback([&] {
        all.exit_code = as_owner(all.common, [&] { return explain_task(all.common, all.task_id, all.json); });
    });
}

void add_notify(CLI::App& app, Arguments& all) {
    auto* command =
        app.add_subcommand("notify", "Let the running supervisor look at the remote now, for a server's hook")
            ->fallthrough();
    command->footer(notify_examples);
    command->callback(
        [&] { all.exit_code = as_owner(all.common, [&] { return ralph::daemon::notify(all.common); }); });
}

void add_steering(CLI::App& app, Arguments& all) {
    const auto add = [&](const char* name, const char* help, const char* command_examples,
                         std::function<int()> run) {
        auto* const command = app.add_subcommand(name, help)->fallthrough();
        command->footer(command_examples);
        command->callback([&all, run = std::move(run)] { all.exit_code = as_owner(all.common, run); });
        return command;
    };
    auto* pause = add("pause", "Start no worker until it is resumed; what runs goes on and lands",
                      pause_examples, [&all] { return pause_all(all.common, all.note, all.duration); });
    pause->add_option("--note", all.note, "Why, for those who look")->type_name("TEXT");
    pause->add_option("--for", all.duration, "Resume by itself after so long, such as 30m")
        ->type_name("DURATION");
    add("resume", "End the pause", pause_examples, [&all] { return resume_all(all.common); });
    auto* drain = add("drain", "Start nothing new and finish what runs, then end", drain_examples,
                      [&all] { return request_stop(all.common, all.now); });
    drain->add_flag("--now", all.now, "End the workers and their trees; their work is kept");
    auto* workers = add("workers", "Change how many tasks are worked on at once", workers_examples, [&all] {
        return set_workers(all.common,
                           all.workers == "default"
                               ? std::nullopt
                               : std::optional(static_cast<std::uint32_t>(std::stoul(all.workers))));
    });
    workers->add_option("N", all.workers, "1 to 255, or `default` for what `ralph run` and the settings say")
        ->required()
        ->check(CLI::Range(1U, core::most_workers) | CLI::IsMember({"default"}));
    auto* cancel = add("cancel", "End the worker of a task; its work is kept", cancel_examples,
                       [&all] { return cancel_tasks(all.common, all.task_ids); });
    cancel->add_option("TASK", all.task_ids, "Which")->required();
    auto* clean = add("clean", "Remove what is old enough to go, for disk", clean_examples,
                      [&all] { return ralph::daemon::clean(all.common, all.kept.prune.dry_run); });
    clean->add_flag("--dry-run", all.kept.prune.dry_run, "Only say what would be removed");
    auto* shell = add("shell", "Open a shell in a task's workspace", shell_examples,
                      [&all] { return open_shell(all.common, all.task_id); });
    shell->add_option("TASK", all.task_id, "Which")->required();
    auto* wait = add("wait", "Wait until tasks have come to an end, for scripts", wait_examples,
                     [&all] { return wait_for_tasks(all.common, all.task_ids, all.duration); });
    wait->add_option("TASK", all.task_ids, "Which; all that are open if none is named");
    wait->add_option("--timeout", all.duration, "For how long, such as 2h")->type_name("DURATION");
}

void add_logs(CLI::App& app, Arguments& all) {
    auto* logs = app.add_subcommand("logs", "What the steps of a task have written")->fallthrough();
    logs->footer(logs_examples);
    auto* task = logs->add_option("TASK", all.logs.task_id, "Which");
    logs->add_flag("-f,--follow", all.logs.follow, "Go on with what comes");
    logs->add_option("--step", all.logs.step, "Only of this step")
        ->check(CLI::IsMember({"prepare", "work", "integrate", "remediate", "discard"}))
        ->type_name("STEP");
    logs->add_option("--attempt", all.logs.attempt, "Only of this attempt")->type_name("N");
    logs->add_option("--tail", all.logs.tail, "Only the last lines")->type_name("N");
    logs->add_flag("--all", all.logs.all, "What the steps of all tasks write from now on; needs -f")
        ->excludes(task);
    logs->callback(
        [&all] { all.exit_code = as_owner(all.common, [&all] { return show_logs(all.common, all.logs); }); });
}

// Not for people: run by the supervisor, by git, by completions, and by the unit when its main process has
// ended.
void add_internal(CLI::App& app, Arguments& all) {
    auto* step = app.add_subcommand("step", "")->group("");
    step->add_option("STEP", all.step)->required();
    step->callback([&] { all.exit_code = run_step(all.step); });
    app.add_subcommand("ids", "")->group("")->fallthrough()->callback(
        [&all] { all.exit_code = as_owner(all.common, [&all] { return print_ids(all.common); }); });
    auto* merge = app.add_subcommand("merge-queue", "")->group("");
    merge->add_option("BASE", all.merge.base)->required();
    merge->add_option("OURS", all.merge.ours)->required();
    merge->add_option("THEIRS", all.merge.theirs)->required();
    merge->add_option("PATH", all.merged_path);
    merge->callback([&all] { all.exit_code = merge_queue(all.merge); });
    auto* look = app.add_subcommand("look", "")->group("")->fallthrough();
    look->add_option("--branch", all.branch)->required();
    look->callback([&] { all.exit_code = ralph::daemon::look(all.common, all.branch); });
    app.add_subcommand("release-cgroup", "")->group("")->callback([&] {
        const auto released = release_controllers();
        all.exit_code = released ? 0 : report_error(released.error());
    });
}

// A command of a group shows those of the group's examples that are its own.
void show_own_examples(CLI::App& app, const std::string& path) {
    for (CLI::App* const command : app.get_subcommands([](const CLI::App*) { return true; })) {
        const std::string name = path + " " + command->get_name();
        show_own_examples(*command, name);
        std::istringstream lines(command->get_footer());
        std::string own;
        bool has_one = false;
        for (std::string line; std::getline(lines, line);) {
            const bool is_example = line.starts_with("  ralph ") || line.starts_with("  sudo ralph ");
            const bool is_own = is_example && line.find(name) != std::string::npos;
            has_one = has_one || is_own;
            own += is_example && !is_own ? std::string{} : line + "\n";
        }
        if (has_one) {
            command->footer(own);
        }
    }
}

// Whether all words that stand where a command stands are one. CLI11 answers `--help` before it looks.
bool names_commands(const CLI::App& app, int argc, char** argv) {
    const CLI::App* at = &app;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word.starts_with('-')) {
            const CLI::Option* option = nullptr;
            for (const CLI::App* each = at; each != nullptr && option == nullptr; each = each->get_parent()) {
                option = each->get_option_no_throw(word);
            }
            i += option != nullptr && option->get_items_expected_min() > 0 ? 1 : 0;
            continue;
        }
        const auto commands = at->get_subcommands([](const CLI::App*) { return true; });
        const auto found = std::find_if(commands.begin(), commands.end(),
                                        [&word](const CLI::App* each) { return each->check_name(word); });
        if (found != commands.end()) {
            at = *found;
        } else if (!commands.empty()) {
            return false;
        }
    }
    return true;
}

}  // namespace

int run_command_line(int argc, char** argv, const Program& program) {
    CLI::App app{
        "ralph runs queued tasks side by side, each in its own git workspace, and lands them.\n"
        "Kill anything at any instant: nothing is lost, nothing runs twice, nothing lands twice.",
        "ralph"};
    app.footer(examples);
    app.set_version_flag("-V,--version", "ralph " + program.version);
    app.require_subcommand(0, 1);
    app.fallthrough();
    app.failure_message([](const CLI::App*, const CLI::Error& error) {
        return std::string("ralph: ") + error.what() + "; see `ralph --help`\n";
    });
    Arguments all;
    add_common(app, all.common);
    add_init(app, all);
    add_task_commands(app, all);
    add_queue_commands(app, all);
    add_run(app, all);
    add_gate_and_demo(app, all, program);
    add_status_and_why(app, all);
    add_history_and_retry(app, all);
    add_logs(app, all);
    add_steering(app, all);
    add_notify(app, all);
    add_account_commands(app, all);
    add_kept_commands(app, all.common, all.kept, all.exit_code);
    add_doctor(app, all.common, all.doctor, all.exit_code);
    add_service(app, all.common, all.service, all.exit_code);
    add_internal(app, all);
    all.rust.version = program.version;
    add_rust_commands(app, all.common, all.rust, all.exit_code);
    show_own_examples(app, "ralph");
    try {
        app.parse(argc, argv);
        tell_ignored(all.rust);
        if (app.get_subcommands().empty()) {
            throw CLI::RequiredError("a command, such as `ralph demo` or `ralph run --parallel`,");
        }
    } catch (const CLI::CallForHelp&) {
        if (!names_commands(app, argc, argv)) {
            say("there is no such command; see `ralph --help`");
            return 2;
        }
        return print(app.help());
    } catch (const CLI::ParseError& error) {
        std::ostringstream said;
        std::ostringstream complained;
        const bool asked_for = app.exit(error, said, complained) == 0;
        static_cast<void>(std::fputs(ralph::core::terminal_text(complained.str()).c_str(), stderr));
        const int told = print(said.str());
        return asked_for ? told : 2;
    }
    return all.exit_code;
}

}  // namespace ralph::daemon
