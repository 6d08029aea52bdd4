// The command line: what there is and how it is called. What the commands do is in daemon/cli/.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <sstream>
#include <string>

#include "core/base/shown_text.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/common.h"
#include "daemon/cli/examples.h"
#include "daemon/cli/owner.h"
#include "daemon/demo/demo.h"
#include "daemon/supervisor/cgroup_layout.h"
#include "daemon/version.h"

namespace {

using namespace ralph::daemon;

struct KeptArguments {
    std::string name;
    std::string branch;
    KeptPruneArguments prune;
    bool json = false;
    bool patch = false;
};

struct DoctorArguments {
    bool fix = false;
    bool json = false;
};

// As whom the commands are run that work in a repository without supervising it: never as root in somebody
// else's.
template <class Command>
int as_owner(const CommonArguments& common, Command command) {
    const auto became = become_owner(common);
    return became ? command() : report_error(became.error());
}

void add_kept_commands(CLI::App& app, const CommonArguments& common, KeptArguments& arguments,
                       int& exit_code) {
    auto* kept = app.add_subcommand("kept", "Look at work that is kept of tasks that did not land")
                     ->require_subcommand(1)
                     ->fallthrough();
    kept->footer(kept_examples);
    auto* list = kept->add_subcommand("list", "Show what is kept, and until when")->fallthrough();
    list->add_flag("--json", arguments.json, "As JSON (document version 1)");
    list->callback([&] { exit_code = as_owner(common, [&] { return kept_list(common, arguments.json); }); });
    auto* show = kept->add_subcommand("show", "Show commits and files of one")->fallthrough();
    show->add_option("TASK[/N]", arguments.name, "Which; without N the newest")->required();
    show->add_flag("--patch", arguments.patch, "With all changes");
    show->callback([&] {
        exit_code = as_owner(common, [&] { return kept_show(common, arguments.name, arguments.patch); });
    });
    auto* restore =
        kept->add_subcommand("restore", "Make a branch of one; touches nothing else")->fallthrough();
    restore->add_option("TASK[/N]", arguments.name, "Which; without N the newest")->required();
    restore->add_option("--branch", arguments.branch, "The branch's name (default: kept/TASK/N)")
        ->type_name("NAME");
    restore->callback([&] {
        exit_code = as_owner(common, [&] { return kept_restore(common, arguments.name, arguments.branch); });
    });
    auto* prune =
        kept->add_subcommand("prune", "Remove what kept_work_retention has ended for")->fallthrough();
    prune->add_option("TASK", arguments.prune.task_id, "Only of this task");
    auto* older =
        prune->add_option("--older-than", arguments.prune.older_than, "Remove what is older, such as 7d")
            ->type_name("DURATION");
    prune->add_flag("--all", arguments.prune.all, "Remove it whatever its age")->excludes(older);
    prune->add_flag("--dry-run", arguments.prune.dry_run, "Only say what would be removed");
    prune->callback(
        [&] { exit_code = as_owner(common, [&] { return kept_prune(common, arguments.prune); }); });
}

void add_doctor(CLI::App& app, const CommonArguments& common, DoctorArguments& arguments, int& exit_code) {
    auto* doctor =
        app.add_subcommand("doctor", "Say what is wrong here, what it means and what to do")->fallthrough();
    doctor->footer(doctor_examples);
    doctor->add_flag("--fix", arguments.fix, "Fix what can be fixed without losing anything");
    doctor->add_flag("--json", arguments.json, "As JSON (document version 1)");
    doctor->callback([&] {
        exit_code = as_owner(common, [&] { return run_doctor(common, arguments.fix, arguments.json); });
    });
}

void add_service(CLI::App& app, const CommonArguments& common, ServiceArguments& arguments, int& exit_code) {
    auto* service = app.add_subcommand("service", "Let systemd run this repository's supervisor")
                        ->require_subcommand(1)
                        ->fallthrough();
    service->footer(service_examples);
    const auto add = [&](const char* name, const char* what, auto command) {
        auto* added = service->add_subcommand(name, what)->fallthrough();
        added->add_flag("--user", arguments.user, "A service of your own, without root");
        added->add_flag("--dry-run", arguments.dry_run, "Only show what would be written and run");
        added->callback([&, command] { exit_code = command(common, arguments); });
        return added;
    };
    auto* install = add("install", "Write its drop-in, enable and start it", service_install);
    install
        ->add_option("--workers", arguments.workers,
                     "How many tasks at once (default: parallel.workers, or 2)")
        ->check(CLI::Range(2, 255))
        ->type_name("N");
    install->add_option("--run-as", arguments.run_as, "As whom (default: the repository's owner)")
        ->excludes("--user")
        ->type_name("USER");
    add("uninstall", "Stop and disable it, remove its drop-in; the repository stays", service_uninstall);
    add("status", "What systemctl says of it", service_status);
    add("logs", "What it has written to the journal", service_logs)
        ->add_flag("--follow", arguments.follow, "Go on with what comes");
    service->add_subcommand("describe", "")->group("")->fallthrough()->callback([&] {
        exit_code = service_describe(common);
    });
}

void add_run_options(CLI::App* app, RunArguments& arguments, std::string& workers) {
    app->add_option("--parallel", workers,
                    "How many tasks at once, 1 to 255 (default: parallel.workers, or 2)")
        ->expected(0, 1)
        ->type_name("[N]")
        ->trigger_on_parse(false);
    app->add_option("--max-tasks", arguments.max_tasks, "Start at most so many tasks; 0 means no limit")
        ->capture_default_str();
    app->add_flag("--continuous", arguments.continuous,
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
    if (number < 1 || number > 255) {
        throw CLI::ValidationError("--parallel", "takes 1 to 255 workers, not \"" + text + "\"");
    }
    arguments.workers = static_cast<std::uint32_t>(number);
}

// What the command line says.
struct Arguments {
    CommonArguments common;
    RunArguments run;
    TaskAddArguments task;
    TaskEditArguments edit;
    RetryArguments retry;
    std::string before;
    std::string note;
    bool no_push = false;
    bool first = false;
    KeptArguments kept;
    DoctorArguments doctor;
    ServiceArguments service;
    std::string workers;
    std::string task_id;
    std::string step;
    std::string branch;
    std::string demo_folder;
    bool json = false;
    std::string agent;
    std::string account;
    bool trust = false;
    bool now = false;
    int exit_code = 0;
};

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
    init->add_flag("--trust", all.trust, "Allow this repository's files to name commands that are run");
    init->add_option("--agent", all.agent,
                     "Who works on the tasks: claude, codex, gemini, qwen, opencode or aider")
        ->type_name("NAME");
    init->callback([&] {
        all.exit_code = as_owner(all.common, [&] { return initialize(all.common, all.trust, all.agent); });
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

const CLI::Validator is_priority = CLI::IsMember({"critical", "high", "medium", "low"});
constexpr const char* no_push_help = "Only write the file here; by default the target branch gets it at once";

void add_task_verbs(CLI::App& task, Arguments& all) {
    const auto verb = [&task, &all](const char* name, const char* help, std::function<int()> run) {
        CLI::App* const command = task.add_subcommand(name, help)->fallthrough();
        command->footer(task_examples);
        command->add_option("TASK", all.task_id, "Which")->required();
        command->add_flag("--no-push", all.no_push, no_push_help);
        command->callback([&all, run = std::move(run)] { all.exit_code = as_owner(all.common, run); });
        return command;
    };
    auto* show = task.add_subcommand("show", "Print a task as JSON")->fallthrough();
    show->add_option("TASK", all.task_id, "Which")->required();
    show->callback(
        [&] { all.exit_code = as_owner(all.common, [&] { return show_task(all.common, all.task_id); }); });
    auto* edit = verb("edit", "Change what a task says", [&all] {
        all.edit.task_id = all.task_id;
        all.edit.no_push = all.no_push;
        return edit_task(all.common, all.edit);
    });
    edit->add_option("--title", all.edit.title, "What is to be done, in one line");
    edit->add_option("--description", all.edit.description, "More about it")->type_name("TEXT");
    edit->add_option("--run", all.edit.run, "A shell command that does the task")->type_name("CMD");
    edit->add_option("--priority", all.edit.priority, "critical, high, medium or low")->check(is_priority);
    edit->add_option("--depends-on", all.edit.depends_on,
                     "Tasks that must be done first, in place of those of before")
        ->type_name("ID");
    for (const bool rejected : {false, true}) {
        auto* end = verb(
            rejected ? "reject" : "done",
            rejected ? "Archive a task that is not to be worked on" : "Archive a task that is done already",
            [&all, rejected] { return end_task(all.common, all.task_id, rejected, all.note, all.no_push); });
        end->add_option("--note", all.note, "Why")->type_name("TEXT");
    }
    verb("remove", "Take a task out of the queue",
         [&all] { return remove_task(all.common, all.task_id, all.no_push); });
    auto* move = verb("move", "Change a task's place in the queue",
                      [&all] { return move_task(all.common, all.task_id, all.before, all.no_push); });
    auto* before = move->add_option("--before", all.before, "The task that it comes before")->type_name("ID");
    move->add_flag("--first", all.first, "To the beginning, which is the default")->excludes(before);
}

void add_task_commands(CLI::App& app, Arguments& all) {
    auto* task = app.add_subcommand("task", "Change the queue")->require_subcommand(1)->fallthrough();
    task->footer(task_examples);
    auto* add =
        task->add_subcommand("add", "Add a task to the end of the queue; prints its id")->fallthrough();
    add->add_option("TITLE", all.task.title, "What is to be done, in one line")->required();
    add->add_option("--depends-on", all.task.depends_on, "A task that must be done first; may be repeated")
        ->type_name("ID")
        ->allow_extra_args(false);
    add->add_option("--run", all.task.run, "A shell command that does the task, instead of worker.command")
        ->type_name("CMD");
    add->add_option("--description", all.task.description, "More about it")->type_name("TEXT");
    add->add_option("--priority", all.task.priority, "critical, high, medium or low")
        ->check(is_priority)
        ->type_name("LEVEL");
    add->add_flag("--no-push", all.task.no_push, no_push_help);
    add->callback(
        [&] { all.exit_code = as_owner(all.common, [&] { return add_task(all.common, all.task); }); });
    add_task_verbs(*task, all);
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

void add_queue_commands(CLI::App& app, Arguments& all) {
    auto* queue = app.add_subcommand("queue", "Look at the queue, or ask the supervisor to finish")
                      ->require_subcommand(1)
                      ->fallthrough();
    queue->footer(queue_examples);
    auto* list = queue->add_subcommand("list", "Show the open tasks")->fallthrough();
    list->add_flag("--json", all.json, "As JSON");
    list->callback(
        [&] { all.exit_code = as_owner(all.common, [&] { return list_queue(all.common, all.json); }); });
    queue->add_subcommand("validate", "Check queue and done file")->fallthrough()->callback([&] {
        all.exit_code = as_owner(all.common, [&] { return validate_queue_files(all.common); });
    });
    queue->add_subcommand("stop", "Ask the supervisor to start nothing new and finish what runs")
        ->fallthrough()
        ->callback(
            [&] { all.exit_code = as_owner(all.common, [&] { return request_stop(all.common, false); }); });
}

void add_parallel_commands(CLI::App& parallel, Arguments& all) {
    auto* status = parallel.add_subcommand("status", "Show every task's record")->fallthrough();
    status->add_flag("--json", all.json, "As JSON (document version 3)");
    status->callback(
        [&] { all.exit_code = as_owner(all.common, [&] { return show_status(all.common, all.json); }); });
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
    auto* loop = run->add_subcommand("loop", "The same as `ralph run`")->fallthrough();
    add_run_options(loop, all.run, all.workers);
    auto* parallel =
        run->add_subcommand("parallel", "Look at a run, or change it")->require_subcommand(1)->fallthrough();
    add_parallel_commands(*parallel, all);
    run->final_callback([&all, run, loop, parallel] {
        if (parallel->parsed()) {
            return;
        }
        parse_workers(loop->parsed() && loop->count("--parallel") > 0 ? loop : run, all.workers, all.run);
        all.exit_code = run_supervisor(all.common, all.run);
    });
}

void add_gate_and_demo(CLI::App& app, Arguments& all) {
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
    demo->callback([&] { all.exit_code = demonstrate(all.demo_folder); });
}

void add_status_and_why(CLI::App& app, Arguments& all) {
    auto* status = app.add_subcommand("status", "What happens, what waits, and why")->fallthrough();
    status->footer(status_examples);
    status->add_flag("--json", all.json, "As JSON (document version 3)");
    status->callback(
        [&] { all.exit_code = as_owner(all.common, [&] { return show_status(all.common, all.json); }); });
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

// Not for people: run by the supervisor, and by the unit when its main process has ended.
void add_internal(CLI::App& app, Arguments& all) {
    auto* step = app.add_subcommand("step", "")->group("");
    step->add_option("STEP", all.step)->required();
    step->callback([&] { all.exit_code = run_step(all.step); });
    auto* look = app.add_subcommand("look", "")->group("")->fallthrough();
    look->add_option("--branch", all.branch)->required();
    look->callback([&] { all.exit_code = ralph::daemon::look(all.common, all.branch); });
    app.add_subcommand("release-cgroup", "")->group("")->callback([&] {
        const auto released = release_controllers();
        all.exit_code = released ? 0 : report_error(released.error());
    });
}

int run_command_line(int argc, char** argv) {
    CLI::App app{
        "ralph runs queued tasks side by side, each in its own git workspace, and lands them.\n"
        "Kill anything at any instant: nothing is lost, nothing runs twice, nothing lands twice.",
        "ralph"};
    app.footer(examples);
    app.set_version_flag("--version", "ralph " RALPH_VERSION);
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
    add_gate_and_demo(app, all);
    add_status_and_why(app, all);
    add_history_and_retry(app, all);
    add_notify(app, all);
    add_account_commands(app, all);
    add_kept_commands(app, all.common, all.kept, all.exit_code);
    add_doctor(app, all.common, all.doctor, all.exit_code);
    add_service(app, all.common, all.service, all.exit_code);
    add_internal(app, all);
    try {
        app.parse(argc, argv);
        if (app.get_subcommands().empty()) {
            throw CLI::RequiredError("a command, such as `ralph demo` or `ralph run --parallel`,");
        }
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

}  // namespace

// A file that we open must never become standard output or error because those were closed.
void fill_standard_descriptors() {
    int opened = 0;
    do {
        opened = ::open("/dev/null", O_RDWR);
    } while (opened >= 0 && opened <= STDERR_FILENO);
    ::close(opened);
}

int main(int argc, char** argv) {
    fill_standard_descriptors();
    try {
        return run_command_line(argc, argv);
    } catch (const std::exception& error) {
        return report_error(ralph::core::Error{error.what()});
    }
}
