// How kept, doctor and service are called.
#include "daemon/cli/command_line.h"
#include "daemon/cli/examples.h"
#include "daemon/cli/owner.h"

namespace ralph::daemon {

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
    doctor
        ->add_option_function<std::string>(
            "--format", [&](const std::string& format) { arguments.json = format == "json"; }, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->type_name("FORMAT");
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

}  // namespace ralph::daemon
