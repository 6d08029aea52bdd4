#include "tests/chaos/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/queue/queue_edit.h"
#include "core/queue/task_codec.h"

namespace ralph::chaos {
namespace {

using core::Lifecycle;

// Workers are killed and run again in the same workspace, so each begins by taking away what a killed git
// left, and does nothing twice.
constexpr const char* preamble = R"(set -e
find .git -name '*.lock' -delete
git reset -q
commit() { git add -A; git log -50 --format=%s | grep -qxF "$1" || git diff --cached --quiet || git commit -q -m "$1"; }
)";

std::string script(const Job& job, const Workload& workload, double pause) {
    const std::string id = job.id;
    const std::string change = fmt::format("echo {0} > {0}.txt\n", id);
    const std::string commit = fmt::format("commit 'work {}'\n", id);
    const std::string sleep = fmt::format("sleep {:.2f}\n", pause);
    const std::string half = fmt::format("sleep {:.2f}\n", pause / 2);
    switch (job.kind) {
        case Kind::lands:
        case Kind::depends:
            return sleep + change + commit;
        case Kind::two_commits:
            return half + change + commit + half +
                   fmt::format("echo more > {}.more\ncommit 'more {}'\n", id, id);
        case Kind::uncommitted:
            return change + sleep;
        case Kind::fails:
            return sleep + change + fmt::format("exit {}\n", job.status);
        case Kind::blocks:
            return sleep + change + commit +
                   fmt::format(
                       "mkdir -p .ralph/cache/parallel\ncat > .ralph/cache/parallel/blocked_push.json <<END\n"
                       "{{\"task_id\": \"{}\", \"reason\": \"waits for a person\", \"attempt\": 1, "
                       "\"max_attempts\": 1, "
                       "\"generated_at\": \"2026-01-01T00:00:00Z\"}}\nEND\nexit {}\n",
                       id, job.status);
        case Kind::conflicts:
            return change + commit + sleep +
                   fmt::format(
                       "rm -rf '{0}/{1}.clone'; git clone -q 'file://{2}' '{0}/{1}.clone'; cd "
                       "'{0}/{1}.clone'\n"
                       "git config user.name Somebody; git config user.email somebody@example.org\n"
                       "echo $RALPH_RUN_ID > {1}.txt; git add -A; git commit -q -m 'conflict {1}'\n"
                       "until git push -q origin HEAD:main; do git pull -q --rebase origin main; done\n"
                       "rm -rf '{0}/{1}.clone'\n",
                       workload.ledger_folder, id, workload.project.remote());
        case Kind::shared:
            return fmt::format("grep -qx {0} shared.txt 2>/dev/null || echo {0} >> shared.txt\n", id) +
                   change + commit + sleep;
        case Kind::leaves_behind:
            return change + commit +
                   "setsid sh -c 'setsid sleep 1000 & sleep 1000 &' &\n(setsid sleep 1000 &)\nsleep 1000 "
                   "&\n" +
                   sleep;
        case Kind::ignores_term:
            return "trap '' TERM HUP INT\n" + sleep + change + commit;
        case Kind::prints:
            return "seq 400000\n" + sleep + change + commit + "seq 100000 >&2\n";
    }
    return {};
}

constexpr std::array<Kind, 20> mixture{
    Kind::lands,  Kind::two_commits, Kind::uncommitted,   Kind::fails,        Kind::depends,
    Kind::lands,  Kind::shared,      Kind::leaves_behind, Kind::blocks,       Kind::uncommitted,
    Kind::prints, Kind::conflicts,   Kind::lands,         Kind::ignores_term, Kind::depends,
    Kind::shared, Kind::fails,       Kind::two_commits,   Kind::lands,        Kind::leaves_behind};

Job make_job(std::size_t number, Kind kind, Random& random) {
    Job job{fmt::format("RQ-{:04}", number + 1), kind, 0, {}};
    switch (kind) {
        case Kind::fails:
        case Kind::blocks:
            job.status = static_cast<int>(1 + random() % 90);  // 99 and 128 upwards are the witness's
            break;
        case Kind::uncommitted:
            job.subjects = {fmt::format("{}: {}", job.id, to_string(kind))};
            break;
        case Kind::two_commits:
            job.subjects = {"work " + job.id, "more " + job.id};
            break;
        case Kind::lands:
        case Kind::conflicts:
        case Kind::shared:
        case Kind::leaves_behind:
        case Kind::ignores_term:
        case Kind::prints:
        case Kind::depends:
            job.subjects = {"work " + job.id};
            break;
    }
    job.subjects.push_back(fmt::format("ralph: archive {} queue bookkeeping", job.id));
    return job;
}

}  // namespace

std::string_view to_string(Kind kind) {
    static constexpr std::array<std::string_view, 11> names{
        "lands",  "two commits",   "uncommitted",  "fails",  "blocks", "conflicts",
        "shared", "leaves behind", "ignores TERM", "prints", "depends"};
    return names.at(static_cast<std::size_t>(kind));
}

bool Job::lands() const {
    return kind != Kind::fails && kind != Kind::blocks && kind != Kind::conflicts && kind != Kind::shared;
}

bool Job::may_end_as(Lifecycle lifecycle) const {
    switch (kind) {
        case Kind::fails:
            return lifecycle == Lifecycle::failed;
        case Kind::blocks:
        case Kind::conflicts:
            return lifecycle == Lifecycle::blocked_push;
        case Kind::shared:
            return lifecycle == Lifecycle::blocked_push || lifecycle == Lifecycle::completed;
        case Kind::lands:
        case Kind::two_commits:
        case Kind::uncommitted:
        case Kind::leaves_behind:
        case Kind::ignores_term:
        case Kind::prints:
        case Kind::depends:
            return lifecycle == Lifecycle::completed;
    }
    return false;
}

std::vector<Job> make_workload(const Workload& workload, Random& random) {
    std::vector<Job> jobs;
    core::TaskFile queue;
    const core::Instant now{std::chrono::seconds{1'771'545'600}};
    std::uniform_int_distribution<int> pause(workload.shortest_ms, workload.longest_ms);
    std::string needed;
    for (std::size_t i = 0; i < workload.tasks; ++i) {
        Kind kind = mixture.at(i % mixture.size());
        if (kind == Kind::shared && !workload.with_shared) {
            kind = Kind::lands;
        }
        Job job = make_job(i, kind, random);
        const std::string path = fmt::format("{}/{}.sh", workload.ledger_folder, job.id);
        const std::string wait =
            i + 1 == workload.tasks && !workload.last_waits_for.empty()
                ? fmt::format("until [ -e '{}' ]; do sleep 0.05; done\n", workload.last_waits_for)
                : "";
        tests::Project::write(path, preamble + wait + script(job, workload, pause(random) / 1000.0));
        core::Task task = core::make_task(job.id, to_string(kind), now);
        task.custom_fields.emplace_back("run", fmt::format("exec '{}' --witness '{}' -- sh '{}'",
                                                           workload.program, workload.ledger_folder, path));
        if (kind == Kind::depends) {
            task.depends_on = {needed};
        }
        needed = job.lands() ? job.id : needed;
        queue.tasks.push_back(std::move(task));
        jobs.push_back(std::move(job));
    }
    tests::Project::write(workload.project.root() + "/.ralph/queue.jsonc", core::task_file_text(queue));
    tests::Project::write(workload.project.root() + "/.ralph/config.jsonc",
                          "{\"version\": 2, \"agent\": {\"ci_gate\": {\"enabled\": false}}, \"parallel\": "
                          "{\"push_backoff_ms\": [100, 500, 1000]}}\n");
    // Small groups and two gates at a time, so that much goes on in the merge queue whenever something is
    // killed; on a disk that may be smaller than what must stay free.
    tests::Project::write(
        workload.project.root() + "/.ralph/supervisor.jsonc",
        "{\"gates\": {\"check\": {\"command\": [\"sh\", \"-c\", \"sleep 0.2; git rev-parse HEAD\"]}}, "
        "\"integration\": {\"batch\": {\"max\": 4}, \"parallel_gates\": 2}, "
        "\"limits\": {\"host\": {\"disk\": \"0\"}}}\n");
    workload.project.commit_and_push("queue");
    return jobs;
}

}  // namespace ralph::chaos
