// What `--help` shows below the options, of ralph and of each of its commands.
#pragma once

namespace ralph::daemon {

inline constexpr const char* examples = R"(
First steps:
  ralph demo                                     watch it work in a temporary folder
  ralph init --agent claude                      make .ralph/ in the git repository you are in
  ralph task add "Fix the typo" --run "make fix"  queue a task with a command of its own
  git add -A && git commit -m "Add the queue" && git push
  ralph run --parallel 3                         work on three tasks at once and land them
  ralph run parallel status                      see how it went

When something went wrong:
  ralph run parallel stop --now                  end what runs; the work is kept
  ralph run parallel retry --task RQ-0001        run a failed or blocked task again, from where it was
  ralph kept list                                work that is kept of tasks that did not land
  ralph doctor                                   what is wrong here, what it means, what to do

Exit codes:
  0      done; of `run`: everything landed
  1      could not run: bad input, no repository, another supervisor
  2      wrong usage
  3      `run` has drained the queue, but some tasks failed or are blocked
  4      `doctor` has found something that is wrong
  5      `gate` is red
  6      `wait`: the time is over
  128+n  `run` was ended by signal n
)";

inline constexpr const char* kept_examples = R"(
Examples:
  ralph kept list                         what is kept, of which task, until when
  ralph kept show RQ-0001                 the newest of that task: its commits and files
  ralph kept show RQ-0001/2 --patch       that one with all its changes
  ralph kept restore RQ-0001/2            make the branch kept/RQ-0001/2 of it
  ralph kept prune --older-than 7d        remove what was kept before
  ralph kept prune --all RQ-0001          remove all of a task, so that it begins from zero
)";

inline constexpr const char* doctor_examples = R"(
Examples:
  ralph doctor          look, and explain; also while a supervisor runs
  ralph doctor --fix    fix what can be fixed without losing anything
  ralph doctor --json   the same for programs, "version": 1

Exit codes: 0 nothing is wrong, 4 something is, 1 it could not look or may not fix now.
)";

inline constexpr const char* service_examples = R"(
Examples:
  sudo ralph service install                  run this repository's queue from now on, as its owner
  sudo ralph service install --workers 8      with eight workers, whatever config.jsonc says
  sudo ralph service install --dry-run        show what that would write and run, and do nothing
  ralph service install --user                under your own systemd instead, without root
  ralph service logs --follow                 what it says, as it says it
  ralph service status                        what systemd says of it
  sudo ralph service uninstall                stop and disable it; the repository stays
)";

inline constexpr const char* init_examples = R"(
Examples:
  ralph init --agent claude    make .ralph/ in the git repository you are in; claude works on its tasks
  ralph init                   the same, without saying who works
  ralph init --trust           the same, and allow this repository's files to name commands that are run

Agents: claude, codex, gemini, qwen, opencode, aider.
)";

inline constexpr const char* account_examples = R"(
Examples:
  ralph account list             accounts that nobody works for now, why, and until when
  ralph account list --json      the same for programs, "version": 1
  ralph account resume claude    you have logged in, or have more: go on at once
)";

inline constexpr const char* task_examples = R"(
Examples:
  ralph task add "Fix the typo"                              the worker's command does it
  ralph task add "Fix the typo" --run "make fix"             a command of its own does it
  ralph task add "Release" --depends-on RQ-0001 --priority high
  ralph task add "Try this" --no-push                        only in the file here; you commit and push it
  ralph task add --from titles.txt                           many at once, a title on each line
  ralph task start-now RQ-0007                               it is the next that starts
  ralph task edit RQ-0001 --description "It fails on an empty file" --priority critical
  ralph task reject RQ-0001 --note "It is not worth it"
  ralph task move RQ-0003 --before RQ-0001
  ralph task show RQ-0001
  ralph task done RQ-0001 --note "Somebody did it by hand"
  ralph task remove RQ-0003
  ralph task cancel RQ-0001                                  end its worker; the work is kept
  ralph task status doing RQ-0001
  ralph task ready RQ-0004                                   a draft becomes a task to be done
  ralph task start RQ-0001                                   somebody works on it by hand
  ralph task field team compilers RQ-0001
  ralph task schedule RQ-0001 2027-01-01T00:00:00Z           it starts then, not before
  ralph task relate RQ-0003 blocks RQ-0001
  ralph task clone RQ-0001
)";

inline constexpr const char* history_examples = R"(
Examples:
  ralph history            every task
  ralph history RQ-0001    one of them
  ralph history --json     one JSON object a line, for programs
)";

inline constexpr const char* retry_examples = R"(
Examples:
  ralph retry RQ-0001 RQ-0002    these two
  ralph retry --failed           all that have failed
  ralph retry --blocked          all that are blocked
)";

inline constexpr const char* queue_examples = R"(
Examples:
  ralph queue list             the open tasks
  ralph queue list --json      the same for programs
  ralph queue validate         check queue and done file; 1 if they cannot be used
  ralph queue stop             start nothing new, finish what runs
  ralph queue export --format csv
  ralph queue export --include-done > tasks.json
  ralph queue import tasks.json
  ralph queue next             the task that would start next
  ralph queue next-id
  ralph queue explain          why each open task stands where it stands
  ralph queue stats
  ralph queue show RQ-0001
  ralph queue search typo
  ralph queue unlock --dry-run
  ralph queue repair --dry-run
  ralph queue archive          done and rejected tasks go to the done file
  ralph queue sort             by priority
)";

inline constexpr const char* run_examples = R"(
Examples:
  ralph run --parallel 3                     three tasks at once, until the queue is drained
  ralph run --parallel 3 --continuous        wait for new tasks, too
  ralph run parallel status                  what happens, and why
  ralph run parallel stop --now              end what runs; the work is kept
  ralph run parallel retry --task RQ-0001    run a failed or blocked task again
  ralph run loop --parallel 3                the same as the first

Exit codes: 0 everything landed, 3 some tasks failed or are blocked, 1 it could not run, 128+n ended by signal n.
)";

inline constexpr const char* status_examples = R"(
Examples:
  ralph status           what happens, what waits and why, what needs you
  ralph status --json    the same for programs
)";

inline constexpr const char* why_examples = R"(
Examples:
  ralph why RQ-0001           the reason, and what to type
  ralph why RQ-0001 --json    the same for programs
)";

inline constexpr const char* notify_examples = R"(
Examples:
  ralph notify                              what was pushed is seen now, and not with the next look
  ralph notify --repo /home/builder/project
)";

inline constexpr const char* gate_examples = R"(
Examples:
  ralph gate            judge the commit that is checked out here

Exit codes: 0 green, 5 red, 1 it could not be judged.
)";

inline constexpr const char* demo_examples = R"(
Examples:
  ralph demo                    in a temporary folder, which is named first
  ralph demo --dir /tmp/demo    in a folder of your choice
)";

inline constexpr const char* logs_examples = R"(
Examples:
  ralph logs RQ-0001                   all that its steps have written, and how each has ended
  ralph logs RQ-0001 -f                the same, and then what comes; Ctrl-C ends it
  ralph logs RQ-0001 --step work --attempt 2 --tail 50
  ralph logs --all -f                  what all tasks write from now on, each line with its task
)";

inline constexpr const char* pause_examples = R"(
Examples:
  ralph pause                                      no worker starts; what runs goes on and lands
  ralph pause --for 30m --note "the host is updated"
  ralph resume                                     workers start again
)";

inline constexpr const char* drain_examples = R"(
Examples:
  ralph drain          says for whom it waits; the supervisor ends when they are finished
  ralph drain --now    end them, too; their work is kept
)";

inline constexpr const char* workers_examples = R"(
Examples:
  ralph workers 8          from now on, also after a restart; what runs is left alone
  ralph workers default    as `ralph run --parallel N` and the settings say
)";

inline constexpr const char* cancel_examples = R"(
Examples:
  ralph cancel RQ-0001            its worker is told to end; then it counts as failed, and its work is kept
  ralph retry RQ-0001             go on with it
  ralph task reject RQ-0001       or give it up
)";

inline constexpr const char* wait_examples = R"(
Examples:
  ralph wait                            until all open tasks have come to an end
  ralph wait RQ-0001 RQ-0002 --timeout 2h

Exit codes: 0 all have landed, 3 some have not, 6 the time is over, 1 no supervisor runs.
)";

inline constexpr const char* config_examples = R"(
Examples:
  ralph config show          the settings that are in force, without secrets
  ralph config paths         where queue, state, logs and workspaces lie
  ralph config trust init    allow this repository's files to name commands that are run
)";

inline constexpr const char* machine_examples = R"(
Examples:
  ralph machine run parallel-status    as `ralph status --json`
  ralph machine queue read             as `ralph queue list --json`
  ralph machine doctor report          as `ralph doctor --json`
  ralph machine run stop --dry-run
  ralph machine queue validate
  ralph machine config resolve         as `ralph config show`
  ralph machine system info            the version
)";

inline constexpr const char* daemon_examples = R"(
Examples:
  ralph daemon status    whether a supervisor runs here
  ralph daemon stop      as `ralph drain`
  ralph daemon logs      where a supervisor logs

A supervisor is started by `ralph run --parallel`, or as a service by `ralph service install`.
)";

inline constexpr const char* migrate_examples = R"(
Examples:
  ralph migrate --check    says that there is nothing to do
)";

inline constexpr const char* version_examples = R"(
Examples:
  ralph version    the same as `ralph --version`
)";

inline constexpr const char* completions_examples = R"(
Examples:
  ralph completions bash > ~/.local/share/bash-completion/completions/ralph
  ralph completions zsh
)";

inline constexpr const char* shell_examples = R"(
Examples:
  ralph shell RQ-0001    look at what a blocked task has left, mend it, commit; then `ralph retry RQ-0001`
)";

inline constexpr const char* clean_examples = R"(
Examples:
  ralph clean --dry-run    logs of tasks that are gone, and kept work, whose kept_work_retention has ended
  ralph clean              remove them
)";

inline constexpr const char* help_examples = R"(
Examples:
  ralph help        the same as `ralph --help`
  ralph help-all    the same
)";

}  // namespace ralph::daemon
