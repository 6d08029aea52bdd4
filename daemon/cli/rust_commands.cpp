#include "daemon/cli/rust_commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/cli/common.h"
#include "daemon/cli/examples.h"
#include "daemon/cli/owner.h"
#include "daemon/cli/rust_verbs.h"
#include "daemon/os/clock.h"

namespace ralph::daemon {
namespace {

using Run = std::function<int()>;

QueueListArguments listed_as_json() {
    QueueListArguments arguments;
    arguments.json = true;
    return arguments;
}

struct Target {
    const CommonArguments& common;
    RustArguments& arguments;
    int& exit_code;
};

CLI::App* add(CLI::App& parent, const Target& target, const char* name, const char* help,
              const char* examples, Run run) {
    auto* const command = parent.add_subcommand(name, help)->fallthrough();
    command->footer(examples);
    command->callback([&common = target.common, &exit_code = target.exit_code, run = std::move(run)] {
        exit_code = as_owner(common, run);
    });
    return command;
}

CLI::App* add_group(CLI::App& parent, const char* name, const char* help, const char* examples) {
    auto* const command = parent.add_subcommand(name, help)->require_subcommand(1)->fallthrough();
    command->footer(examples);
    return command;
}

void add_queue(CLI::App& queue, const Target& target) {
    const auto& common = target.common;
    auto& all = target.arguments;
    const auto plain = [&](const char* name, const char* help, Run run) {
        return add(queue, target, name, help, queue_examples, std::move(run));
    };
    plain("next", "Print the task that would start next", [&common] { return show_next(common); });
    plain("next-id", "Print the id that the next task gets", [&common] { return show_next_id(common); });
    plain("explain", "Why each open task stands where it stands",
          [&common] { return explain_queue(common); });
    plain("stats", "How many tasks of each status", [&common] { return count_tasks(common); });
    plain("show", "Print a task as JSON", [&common, &all] { return show_task(common, all.task_id); })
        ->add_option("TASK", all.task_id, "Which")
        ->required();
    plain("search", "The tasks that hold a text", [&common, &all] { return search_queue(common, all.value); })
        ->add_option("TEXT", all.value, "In any of their fields")
        ->required();
    auto* unlock = plain("unlock", "Remove a lock whose owner is gone",
                         [&common, &all] { return unlock_queue(common, all.dry_run); });
    unlock->add_flag("--dry-run", all.dry_run, "Only say what would be done");
    unlock->add_flag("--yes", all.unused, "Accepted; nothing is asked");
    auto* repair = plain("repair", "The same as `ralph doctor --fix`",
                         [&common, &all] { return run_doctor(common, !all.dry_run, false); });
    repair->add_flag("--dry-run", all.dry_run, "Only look, as `ralph doctor`");
    plain("archive", "Move tasks that are done or rejected to the done file", [&common, &all] {
        return archive_done(common, all.no_push);
    })->add_flag("--no-push", all.no_push, "Only write the files here");
    plain("sort", "Put the tasks in the order of their priority", [&common, &all] {
        return sort_queue(common, all.no_push);
    })->add_flag("--no-push", all.no_push, "Only write the file here");
}

void add_task_verbs(CLI::App& task, const Target& target) {
    const auto& common = target.common;
    auto& all = target.arguments;
    const auto on_task = [&](const char* name, const char* help, Run run) {
        auto* const command = add(task, target, name, help, task_examples, std::move(run));
        command->add_flag("--no-push", all.no_push, "Only write the file here");
        return command;
    };
    auto* status = on_task("status", "Set a task's status",
                           [&common, &all] { return set_task_status(common, all, all.word); });
    status->add_option("STATUS", all.word, "draft, todo, doing, done or rejected")->required();
    status->add_option("TASK", all.task_id, "Which")->required();
    on_task("ready", "Make a draft a task to be done",
            [&common, &all] { return set_task_status(common, all, "todo"); })
        ->add_option("TASK", all.task_id, "Which")
        ->required();
    on_task("start", "Mark a task as one that somebody works on",
            [&common, &all] { return set_task_status(common, all, "doing"); })
        ->add_option("TASK", all.task_id, "Which")
        ->required();
    auto* field = on_task("field", "Set a field of the user's own", [&common, &all] {
        return change_one(common, all, "field", [&all](core::Task& one) -> core::Result<void> {
            std::erase_if(one.custom_fields, [&all](const auto& each) { return each.first == all.word; });
            one.custom_fields.emplace_back(all.word, all.value);
            return {};
        });
    });
    field->add_option("KEY", all.word, "Which")->required();
    field->add_option("VALUE", all.value, "What it says from now on")->required();
    field->add_option("TASK", all.task_id, "Of which task")->required();
    auto* schedule = on_task("schedule", "Start a task at a time, not before", [&common, &all] {
        return change_one(common, all, "schedule", [&all](core::Task& one) -> core::Result<void> {
            TRY(core::parse_rfc3339(all.value));
            one.scheduled_start = all.value;
            return {};
        });
    });
    schedule->add_option("TASK", all.task_id, "Which")->required();
    schedule->add_option("TIME", all.value, "Such as 2027-01-01T00:00:00Z")->required();
    auto* relate = on_task("relate", "Say how a task relates to another one",
                           [&common, &all] { return relate_tasks(common, all); });
    relate->add_option("TASK", all.task_id, "Which")->required();
    relate->add_option("HOW", all.word, "blocks, depends_on, relates_to or duplicates")
        ->check(CLI::IsMember({"blocks", "depends_on", "relates_to", "duplicates"}))
        ->required();
    relate->add_option("OTHER", all.other_id, "To which")->required();
    on_task("clone", "Add a copy of a task", [&common, &all] { return clone_task(common, all); })
        ->add_option("TASK", all.task_id, "Which")
        ->required();
}

void add_config(CLI::App& app, const Target& target) {
    const auto& common = target.common;
    auto* config = add_group(app, "config", "Look at the settings that are in force", config_examples);
    auto* show = add(*config, target, "show", "All of them, as JSON", config_examples,
                     [&common] { return show_settings(common); });
    show->add_option("--format", target.arguments.format, "json")
        ->check(CLI::IsMember({"json"}))
        ->type_name("FORMAT");
    add(*config, target, "paths", "Where everything lies", config_examples,
        [&common] { return show_paths(common); });
    auto* trust =
        add_group(*config, "trust", "Whether this repository's files may name commands", config_examples);
    add(*trust, target, "init", "The same as `ralph init --trust`", config_examples,
        [&common] { return initialize(common, true, ""); });
}

void add_machine(CLI::App& app, const Target& target) {
    const auto& common = target.common;
    auto& all = target.arguments;
    auto* machine = add_group(app, "machine", "The same for programs, as JSON, as the Rust tools name it",
                              machine_examples);
    const auto in = [&](const char* name) {
        return add_group(*machine, name, "See `ralph machine --help`", machine_examples);
    };
    const auto leaf = [&](CLI::App* group, const char* name, const char* help, Run run) {
        return add(*group, target, name, help, machine_examples, std::move(run));
    };
    auto* run = in("run");
    leaf(run, "parallel-status", "`ralph status --json`", [&common] {
        return show_status(common, {true, false, false});
    });
    leaf(run, "stop", "`ralph drain`", [&common, &all] {
        return all.dry_run ? show_supervisor(common) : request_stop(common, false);
    })->add_flag("--dry-run", all.dry_run, "Only say whether a supervisor runs");
    auto* queue = in("queue");
    leaf(queue, "read", "`ralph queue list --json`",
         [&common] { return list_queue(common, listed_as_json()); });
    leaf(queue, "validate", "`ralph queue validate`", [&common] { return validate_queue_files(common); });
    leaf(in("config"), "resolve", "`ralph config show`", [&common] { return show_settings(common); });
    leaf(in("system"), "info", "The version", [&all] { return show_system(all.version); });
    leaf(in("doctor"), "report", "`ralph doctor --json`",
         [&common] { return run_doctor(common, false, true); });
}

void add_others(CLI::App& app, const Target& target) {
    const auto& common = target.common;
    auto* daemon = add_group(app, "daemon", "The supervisor of this repository, as the Rust tools name it",
                             daemon_examples);
    add(*daemon, target, "status", "Whether one runs", daemon_examples,
        [&common] { return show_supervisor(common); });
    add(*daemon, target, "stop", "`ralph drain`", daemon_examples,
        [&common] { return request_stop(common, false); });
    add(*daemon, target, "logs", "Where it logs", daemon_examples, [] {
        return print(
            "a supervisor logs to its terminal, or to the journal: `ralph service logs`; what the steps "
            "write "
            "is shown by `ralph logs`\n");
    });
    auto* migrate = add(app, target, "migrate", "Nothing has to be migrated", migrate_examples, [] {
        return print("nothing is to be migrated: every file is read in its own version\n");
    });
    migrate->add_flag("--check", target.arguments.unused, "The same");
    add(app, target, "version", "Print the version", version_examples,
        [&all = target.arguments] { return print("ralph " + all.version + "\n"); });
    for (const char* name : {"help", "help-all"}) {
        auto* const help = app.add_subcommand(name, "The same as `ralph --help`");
        help->footer(help_examples);
        help->callback([&app, &exit_code = target.exit_code] { exit_code = print(app.help()); });
    }
}

void ignore_flags(CLI::App& app, RustArguments& arguments, std::initializer_list<const char*> names) {
    for (const char* const name : names) {
        app.add_flag_function(
               name, [&arguments, name](std::int64_t) { arguments.ignored.emplace_back(name); }, "")
            ->group("");
    }
}

void ignore_options(CLI::App& app, RustArguments& arguments, std::initializer_list<const char*> names) {
    for (const char* const name : names) {
        app.add_option_function<std::string>(
               name, [&arguments, name](const std::string&) { arguments.ignored.emplace_back(name); }, "")
            ->group("");
    }
}

// Before a command; the Rust tools have them, and here they change nothing.
void add_flags(CLI::App& app, RustArguments& arguments) {
    ignore_flags(app, arguments,
                 {"--no-color", "--auto-fix", "--no-sanity-checks", "-v,--verbose", "--force"});
    app.add_option("--color", arguments.color, "")
        ->check(CLI::IsMember({"auto", "always", "never"}))
        ->group("");
}

}  // namespace

void add_rust_commands(CLI::App& app, const CommonArguments& common, RustArguments& arguments,
                       int& exit_code) {
    const Target target{common, arguments, exit_code};
    add_queue(*app.get_subcommand("queue"), target);
    add_task_verbs(*app.get_subcommand("task"), target);
    add_config(app, target);
    add_machine(app, target);
    add_others(app, target);
    add_flags(app, arguments);
    add(app, target, "completions", "Print the completion of a shell", completions_examples,
        [&arguments] { return print_completions(arguments.word); })
        ->add_option("SHELL", arguments.word, "bash, zsh or fish")
        ->check(CLI::IsMember({"bash", "zsh", "fish"}))
        ->required();
}

void add_rust_run_flags(CLI::App& run, RustArguments& arguments) {
    ignore_flags(
        run, arguments,
        {"--debug", "--resume", "--non-interactive", "--quick", "--notify", "--no-notify", "--notify-fail",
         "--no-notify-fail", "--notify-sound", "--lfs-check", "--no-progress", "--notify-when-unblocked"});
    ignore_options(run, arguments, {"--profile",         "--runner",
                                    "--model",           "-e,--effort",
                                    "--output-format",   "--verbosity",
                                    "--approval-mode",   "--sandbox",
                                    "--plan-mode",       "--unsupported-option-policy",
                                    "--phases",          "--repo-prompt",
                                    "--git-revert-mode", "--git-publish-mode",
                                    "--wait-poll-ms",    "--wait-timeout-seconds",
                                    "--empty-poll-ms",   "--runner-phase1",
                                    "--runner-phase2",   "--runner-phase3",
                                    "--model-phase1",    "--model-phase2",
                                    "--model-phase3",    "--effort-phase1",
                                    "--effort-phase2",   "--effort-phase3"});
}

void add_rust_init_flags(CLI::App& init, RustArguments& arguments) {
    ignore_flags(init, arguments, {"--non-interactive"});
}

void tell_ignored(RustArguments& arguments) {
    if (!arguments.ignored.empty()) {
        std::sort(arguments.ignored.begin(), arguments.ignored.end());
        say(fmt::format(
            "{}: accepted, and without effect here; docs/compatibility.md says what there is instead",
            fmt::join(arguments.ignored, ", ")));
        arguments.ignored.clear();
    }
}

}  // namespace ralph::daemon
