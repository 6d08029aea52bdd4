// How task and queue are called.
#include "daemon/cli/command_line.h"
#include "daemon/cli/examples.h"
#include "daemon/cli/owner.h"

namespace ralph::daemon {
namespace {

const CLI::Validator is_priority = CLI::IsMember({"critical", "high", "medium", "low"});

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
        if (!all.rust.task_id.empty()) {  // FIELD VALUE TASK, as the Rust tools have it
            all.rust.word = all.task_id;
            all.rust.no_push = all.no_push;
            return edit_field(all.common, all.rust);
        }
        if (!all.rust.value.empty()) {
            return report_error({"a value without its task", "`ralph task edit TASK --title TEXT`"});
        }
        all.edit.task_id = all.task_id;
        all.edit.no_push = all.no_push;
        return edit_task(all.common, all.edit);
    });
    edit->add_option("VALUE", all.rust.value, "")->group("");
    edit->add_option("OF", all.rust.task_id, "")->group("");
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
    verb("start-now", "Make a task the next that starts: critical, first, not scheduled, no draft",
         [&all] { return start_task_now(all.common, all.task_id, all.no_push); });
    auto* cancel = task.add_subcommand("cancel", "The same as `ralph cancel`")->fallthrough();
    cancel->footer(task_examples);
    cancel->add_option("TASK", all.task_ids, "Which")->required();
    cancel->callback([&all] {
        all.exit_code = as_owner(all.common, [&all] { return cancel_tasks(all.common, all.task_ids); });
    });
    auto* move = verb("move", "Change a task's place in the queue",
                      [&all] { return move_task(all.common, all.task_id, all.before, all.no_push); });
    auto* before = move->add_option("--before", all.before, "The task that it comes before")->type_name("ID");
    move->add_flag("--first", all.first, "To the beginning, which is the default")->excludes(before);
}

}  // namespace

void add_task_commands(CLI::App& app, Arguments& all) {
    auto* task = app.add_subcommand("task", "Change the queue")->require_subcommand(1)->fallthrough();
    task->footer(task_examples);
    auto* add =
        task->add_subcommand("add", "Add a task to the end of the queue; prints its id")->fallthrough();
    auto* title = add->add_option("TITLE", all.task.title, "What is to be done, in one line");
    add->add_option("--from", all.task.from,
                    "Many at once: a title on each line, or what `queue export` prints; - is standard input")
        ->excludes(title)
        ->type_name("FILE");
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
    add->callback([&, title, add] {
        if (title->empty() && add->count("--from") == 0) {
            throw CLI::RequiredError("TITLE, or --from FILE,");
        }
        all.exit_code = as_owner(all.common, [&] {
            return all.task.from.empty() ? add_task(all.common, all.task)
                                         : add_tasks_from(all.common, all.task.from, all.task.no_push);
        });
    });
    add_task_verbs(*task, all);
}

void add_queue_commands(CLI::App& app, Arguments& all) {
    auto* queue = app.add_subcommand("queue", "Look at the queue, or ask the supervisor to finish")
                      ->require_subcommand(1)
                      ->fallthrough();
    queue->footer(queue_examples);
    auto* list = queue->add_subcommand("list", "Show the open tasks")->fallthrough();
    list->add_flag("--json", all.list.json, "As JSON");
    list->add_option("--format", all.list.format, "compact, or json for a list of the tasks alone")
        ->check(CLI::IsMember({"compact", "json"}))
        ->type_name("FORMAT");
    list->add_option("--status", all.list.statuses, "Only of this status; may be repeated")
        ->check(CLI::IsMember({"draft", "todo", "doing", "done", "rejected"}))
        ->allow_extra_args(false)
        ->type_name("STATUS");
    list->add_option("--tag", all.list.tags, "Only with this tag; may be repeated")
        ->allow_extra_args(false)
        ->type_name("TAG");
    list->add_flag("--include-done", all.list.include_done, "Those of the done file, too");
    list->add_option("--limit", all.list.limit, "At most so many; 0 means all")->type_name("N");
    list->callback(
        [&] { all.exit_code = as_owner(all.common, [&] { return list_queue(all.common, all.list); }); });
    auto* exported = queue->add_subcommand("export", "Print the tasks, for `queue import`")->fallthrough();
    exported->footer(queue_examples);
    exported->add_option("--format", all.list.format, "json or csv")
        ->check(CLI::IsMember({"json", "csv"}))
        ->type_name("FORMAT");
    exported->add_flag("--include-done", all.list.include_done, "Those of the done file, too");
    exported->callback([&] {
        all.exit_code = as_owner(
            all.common, [&] { return export_queue(all.common, all.list.format, all.list.include_done); });
    });
    auto* imported = queue->add_subcommand("import", "Add the tasks of a file, under new ids")->fallthrough();
    imported->footer(queue_examples);
    imported
        ->add_option("FILE", all.task.from,
                     "What `queue export` prints, or a title a line; - is standard input")
        ->required();
    imported->add_flag("--no-push", all.no_push, no_push_help);
    imported->callback([&] {
        all.exit_code =
            as_owner(all.common, [&] { return add_tasks_from(all.common, all.task.from, all.no_push); });
    });
    queue->add_subcommand("validate", "Check queue and done file")->fallthrough()->callback([&] {
        all.exit_code = as_owner(all.common, [&] { return validate_queue_files(all.common); });
    });
    queue->add_subcommand("stop", "Ask the supervisor to start nothing new and finish what runs")
        ->fallthrough()
        ->callback(
            [&] { all.exit_code = as_owner(all.common, [&] { return request_stop(all.common, false); }); });
}

}  // namespace ralph::daemon
