// The commands of `ralph`, one function each. Every function prints data on standard output, messages on
// standard error, and returns the exit code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace ralph::daemon {

struct CommonArguments {
    std::string repository = ".";  // --repo
    std::string log_level = "info";
    std::string log_format;  // "plain" or "json"; empty: what fits where the log goes
};

struct RunArguments {
    std::optional<std::uint32_t> workers;  // --parallel N
    bool parallel = false;                 // --parallel was given, with or without N
    std::uint32_t max_tasks = 0;
    bool continuous = false;
    bool include_draft = false;
    bool force = false;
};

struct TaskAddArguments {
    std::string title;
    std::string from;  // instead: a file of many
    std::string description;
    std::string run;
    std::string priority = "medium";
    std::vector<std::string> depends_on;
    bool no_push = false;  // add it to the file here, and leave the rest to the user
};

struct TaskEditArguments {
    std::string task_id;
    std::optional<std::string> title;  // nothing: as it is; the same for the others
    std::optional<std::string> description;
    std::optional<std::string> run;
    std::optional<std::string> priority;
    std::optional<std::vector<std::string>> depends_on;
    bool no_push = false;
};

struct KeptPruneArguments {
    std::string task_id;     // of all tasks if empty
    std::string older_than;  // a duration
    bool all = false;
    bool dry_run = false;
};

struct ServiceArguments {
    bool user = false;  // a service of our own instead of the machine's
    bool dry_run = false;
    bool follow = false;                   // logs
    std::optional<std::uint32_t> workers;  // install
    std::string run_as;                    // install; the repository's owner if empty
};

int run_supervisor(const CommonArguments& common, const RunArguments& arguments);
// `agent`: the agent for new settings; empty: none.
int initialize(const CommonArguments& common, bool trust, const std::string& agent);
// Says what of it is missing; 0 if nothing is.
int check_initialized(const CommonArguments& common);
int add_task(const CommonArguments& common, const TaskAddArguments& arguments);
// Many at once: a title on each line, or what export_queue prints as JSON; "-" is standard input.
int add_tasks_from(const CommonArguments& common, const std::string& path, bool no_push);
// `format`: "json" or "csv".
int export_queue(const CommonArguments& common, const std::string& format, bool include_done);
int edit_task(const CommonArguments& common, const TaskEditArguments& arguments);
// Done, or rejected: it is archived, and not worked on any more.
int end_task(const CommonArguments& common, const std::string& task_id, bool rejected,
             const std::string& note, bool no_push);
int remove_task(const CommonArguments& common, const std::string& task_id, bool no_push);
// Before the other task; at the beginning of the queue if none is named.
int move_task(const CommonArguments& common, const std::string& task_id, const std::string& before,
              bool no_push);
// For completions: one id a line, of all tasks that are open or have a record.
int print_ids(const CommonArguments& common);
// It is the next that starts.
int start_task_now(const CommonArguments& common, const std::string& task_id, bool no_push);
int show_task(const CommonArguments& common, const std::string& task_id);
// What happened to the tasks, oldest first; of one, or of all.
int show_history(const CommonArguments& common, const std::string& task_id, bool json);
// Asks the running supervisor to look at the remote now.
int notify(const CommonArguments& common);
// Looks at the remote, for the supervisor that runs it. Returns what daemon/store/remote_view.h says.
int look(const CommonArguments& common, const std::string& branch);
struct MergeArguments {
    std::string base;    // paths
    std::string ours;    // holds the merge afterwards
    std::string theirs;  // the same as it was
};
int merge_queue(const MergeArguments& arguments);
struct QueueListArguments {
    bool json = false;   // a document
    std::string format;  // "json": the tasks alone; "csv", of export
    std::vector<std::string> statuses;
    std::vector<std::string> tags;
    bool include_done = false;
    std::size_t limit = 0;  // 0: none
};
int list_queue(const CommonArguments& common, const QueueListArguments& arguments);
int validate_queue_files(const CommonArguments& common);
// `now`: what runs is ended, not finished.
int request_stop(const CommonArguments& common, bool now);
struct StatusArguments {
    bool json = false;
    bool watch = false;      // go on until a signal
    bool exit_code = false;  // 4 if a person is to do something
};
int show_status(const CommonArguments& common, const StatusArguments& arguments);
// Why a task stands where it stands, and what to type.
int explain_task(const CommonArguments& common, const std::string& task_id, bool json);
struct RetryArguments {
    std::vector<std::string> task_ids;
    bool failed = false;   // all that have failed
    bool blocked = false;  // all that are blocked
};
struct LogsArguments {
    std::string task_id;
    std::string step;           // only of this one; of all if empty
    std::uint32_t attempt = 0;  // only of this one; of all if 0
    std::optional<std::size_t> tail;
    bool follow = false;
    bool all = false;  // what all tasks write from now on
};
int show_logs(const CommonArguments& common, const LogsArguments& arguments);
// No worker starts, for a duration or until `resume`; "": until then.
int pause_all(const CommonArguments& common, const std::string& note, const std::string& for_how_long);
int resume_all(const CommonArguments& common);
// Nothing: as many as the settings say.
int set_workers(const CommonArguments& common, std::optional<std::uint32_t> workers);
int cancel_tasks(const CommonArguments& common, const std::vector<std::string>& task_ids);
// Becomes a shell in the task's workspace; returns only if that cannot be.
int open_shell(const CommonArguments& common, const std::string& task_id);
// Until all of them have come to an end; of all that are open if none is named. Returns 0 if all have landed,
// 3 if some have not, 6 if `timeout`, a duration, was over first; "": there is none.
int wait_for_tasks(const CommonArguments& common, const std::vector<std::string>& task_ids,
                   const std::string& timeout);
int retry_tasks(const CommonArguments& common, const RetryArguments& arguments);
int kept_list(const CommonArguments& common, bool json);
int kept_show(const CommonArguments& common, const std::string& name, bool patch);
int kept_restore(const CommonArguments& common, const std::string& name, const std::string& branch);
int kept_prune(const CommonArguments& common, const KeptPruneArguments& arguments);
// Removes kept work as kept_prune does, and logs of tasks that nothing knows any more.
int clean(const CommonArguments& common, bool dry_run);
int account_list(const CommonArguments& common, bool json);
int account_resume(const CommonArguments& common, const std::string& name);
int run_gate(const CommonArguments& common);
int run_doctor(const CommonArguments& common, bool fix, bool json);
int service_install(const CommonArguments& common, const ServiceArguments& arguments);
int service_uninstall(const CommonArguments& common, const ServiceArguments& arguments);
int service_status(const CommonArguments& common, const ServiceArguments& arguments);
int service_logs(const CommonArguments& common, const ServiceArguments& arguments);
int service_describe(const CommonArguments& common);  // run by install as the service's user
int run_step(const std::string& step);

// Prints "ralph: message; remedy" on standard error and returns 1.
int report_error(const core::Error& error);

}  // namespace ralph::daemon
