"""What a night has come to: what landed, what was asked for too early, what was paid twice, what the budgets held."""
import json
import math
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from model_server import STEPS

MOST_PAID_AGAIN = 0.03  # of all tokens
PROTOCOLS = {"claude": "Anthropic", "codex": "Responses", "gemini": "Gemini"}
AGENT_OF = {protocol: agent for agent, protocol in PROTOCOLS.items()}
# Between the end of a run and the moment from which everybody knows of the pause that it made.
SECONDS_UNTIL_KNOWN = 0.3


@dataclass
class Facts:
    """What was done in the night, and what was found wrong while it lasted."""
    tasks: int
    turns: int
    seed: int
    endless: set = field(default_factory=set)
    kills: dict = field(default_factory=dict)
    power_cuts: list = field(default_factory=list)
    limits: int = 0
    resumed: list = field(default_factory=list)  # by hand: when, and which account
    memory_spells: int = 0
    put_back: int = 0
    seconds: float = 0
    wrong: list = field(default_factory=list)


def name_of(number):
    return f"RQ-{number:04}"


def finished(record):
    return record["lifecycle"] in ("completed", "blocked_push", "failed")


def tell_what_hangs(world, log):
    for record in world.status()["status"]["workers"]:
        if not finished(record):
            runs = world.runs(record["task_id"])
            last = {key: runs[-1][key] for key in ("agent", "verdict", "message", "turns")} if runs else {}
            print(f"  hangs: {record['task_id']} {record['lifecycle']}: {record.get('last_error')}; {last}")
    print(f"  paused: {json.dumps(world.accounts())}")
    print("  " + "\n  ".join(log.splitlines()[-10:]))


# --- what landed

def lines_on_main(world, name):
    return world.do("git", "show", f"origin/main:{name}", check=False).stdout.splitlines()


def judge_task(world, number, record, subjects, title):
    """What is wrong with what this task came to. A project that has landed must have landed with all its steps."""
    task = name_of(number)
    if not finished(record) or (record["lifecycle"] != "completed" and not record.get("last_error")):
        return [f"{task} {record}"]
    completed = record["lifecycle"] == "completed"
    landed = subjects[f"ralph: archive {task} queue bookkeeping"]
    bad = [f"{task} is {record['lifecycle']} and landed {landed} times"] if landed != completed else []
    if completed and not lines_on_main(world, f"work-{task}.txt"):
        bad.append(f"{task} landed without its work")
    if completed and "scenario=project" in title:
        missing = {f"step {i}" for i in range(STEPS)} - set(lines_on_main(world, f"steps-{task}.txt"))
        bad += [f"{task} landed without {sorted(missing)}"] if missing else []
    return bad


def titles_of(world):
    """Of all tasks, wherever they are now."""
    titles = {}
    for name in ("queue.jsonc", "done.jsonc"):
        text = world.do("git", "show", f"origin/main:.ralph/{name}", check=False).stdout
        text = re.sub(r"^\s*//.*$", "", text, flags=re.M)
        titles.update({task["id"]: task["title"] for task in (json.loads(text)["tasks"] if text else [])})
    return titles


def judge_landing(world, facts, records):
    world.do("git", "fetch", "-q", "origin")
    subjects = Counter(world.do("git", "log", "--format=%s", "origin/main").stdout.splitlines())
    titles = titles_of(world)
    bad = []
    for number in range(1, facts.tasks + 1):
        task = name_of(number)
        bad += judge_task(world, number, records.get(task, {"lifecycle": "missing"}), subjects, titles.get(task, ""))
    return bad


# --- what was paid twice

def steps_of(served):
    """Requests that were answered completely and are steps of a task: titles and choices of a model have no tools."""
    return [request for request in served
            if request["answered"] and request["tools"] and request["conversation"].startswith("RQ-")]


def paid_twice(served):
    """The tokens that were paid again, all tokens, and how many requests were paid again.

    A request is paid if it was answered completely, whether or not anybody was left to use the answer. All its tokens
    count, as if nothing were cached. It is paid again if the same step of the same task had been answered before. How
    far a conversation is, is what it holds itself: so each request for a step whose result was lost in a kill counts,
    and so does all of a conversation that is begun anew. What met a fault of the server, or was broken off before it
    was answered, is not paid, neither here nor there.
    """
    seen, again, total, count = set(), 0, 0, 0
    for request in steps_of(served):
        total += request["tokens"]
        step = (request["conversation"], request["results"])
        if step in seen:
            again += request["tokens"]
            count += 1
        seen.add(step)
    return again, total, count


# --- what was asked for too early

def seconds_of(text):
    return datetime.fromisoformat(re.sub(r"\.(\d{1,6})\d*", r".\1", text).replace("Z", "+00:00")).timestamp()


@dataclass
class Limit:
    """Until when nothing of this agent's account may be started, and since when ralph knows; `task`: only of this."""
    agent: str
    since: float
    until: float
    source: str
    task: str = ""


def own_pauses(log):
    """Pauses as the supervisor told of them; those that need a person have no end of their own."""
    found = re.findall(r"^(\S+) warning the account (\S+) is (?:refused:|at its limit until (\S+Z):)", log, flags=re.M)
    return [Limit(agent, seconds_of(since) + SECONDS_UNTIL_KNOWN, seconds_of(until) if until else math.inf,
                  "a pause of ralph's own") for since, agent, until in found]


@dataclass
class Start:
    """Of an agent program: which run's, the how many-th of that, when, and what it asked for."""
    run_id: str
    number: int
    time: float
    requests: list


def starts_of(world, served):
    """Oldest first. A program that was killed before its first request is among them."""
    asked = {}
    for request in sorted(served, key=lambda request: request["time"]):
        asked.setdefault(request["start"], []).append(request)
    starts, numbers = [], Counter()
    for start in sorted(world.starts(), key=lambda start: float(start.split("/")[1])):
        run_id, when = start.split("/")
        numbers[run_id] += 1
        starts.append(Start(run_id, numbers[run_id], float(when), asked.get(start, [])))
    return starts


def output_of(run, number):
    """What the program wrote that was the run's start of this number."""
    path = os.path.join(run["folder"], f"agent-{number}.out")
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def told_limits(world, starts, records):
    """Limits whose time a program has told ralph before it ended.

    codex tells it with its last words, which are the end of the run. claude tells how long it is going to wait, and if
    it is ended meanwhile, its own task must not be started again. gemini tells no time.
    """
    runs = {}
    for task in records:
        for run in world.runs(task):
            with open(os.path.join(run["folder"], "spec.json"), encoding="utf-8") as file:
                runs[json.load(file)["run_id"]] = run
    limits = []
    for start in starts:
        last, run = start.requests[-1] if start.requests else {}, runs.get(start.run_id)
        if not run or "until" not in last:
            continue
        agent, task = AGENT_OF[last["protocol"]], last["conversation"]
        if run["verdict"] == "limited" and run["resets_at"]:
            limits.append(Limit(agent, seconds_of(run["ended_at"]) + SECONDS_UNTIL_KNOWN, last["until"], "a time told"))
        elif "retry_delay_ms" in output_of(run, start.number):
            limits.append(Limit(agent, last["time"] + SECONDS_UNTIL_KNOWN, last["until"], "a wait told", task))
    return limits


def is_against(limit, start, resumed):
    """Whether ralph knew of this limit when it started the program, and nobody had ended it by hand."""
    first = start.requests[0]
    agent = AGENT_OF[first["protocol"]]
    by_hand = any(account == agent and limit.since - 1 <= when <= start.time for when, account in resumed)
    return (limit.agent == agent and limit.task in ("", first["conversation"]) and limit.since <= start.time
            and first["time"] < limit.until and not by_hand)


def judge_early(world, facts, served, records, log):
    """What ralph started before the time that it knew of.

    An agent program may try again by itself, and one that is at work does not know of a limit that another one has
    met. ralph decides about starts, and the first request of a program that was started is what came of that. It is
    wrong if ralph knew of the limit at that moment: by a pause of its own, or because a program had told the time. The
    other first requests that came early are shown: limits that nobody had told ralph of yet, or not the time of.
    """
    starts = [start for start in starts_of(world, served) if start.requests]
    limits = own_pauses(log) + told_limits(world, starts, records)
    bad = []
    for start in starts:
        first = start.requests[0]
        against = [limit for limit in limits if is_against(limit, start, facts.resumed)]
        if against:
            limit = max(against, key=lambda limit: limit.until)
            how = "started again within its run" if start.number > 1 else "started"
            bad.append(f"{first['conversation']} was {how} {start.time - limit.since:.1f} s after {limit.source} for "
                       f"{limit.agent}, {limit.until - first['time']:.1f} s before its end")
    early = [request for request in served if request["early"]]
    of_starts = sum(start.requests[0]["early"] for start in starts)
    print(f"  early requests: {len(early)}, of which {len(early) - of_starts} of programs at work, {of_starts} first "
          f"ones of {len(starts)} starts; started against better knowledge: {len(bad)} (known limits: {len(limits)})")
    return bad


# --- budgets

def judge_budgets(world, facts, served, records):
    """No task has more turns than its budget and one. The server may have answered more often than ralph has seen
    turns: once for each start of a program that was ended, and for what was asked again; both are shown."""
    bad, spent = [], 0
    steps, starts = steps_of(served), Counter()
    for request in {request["start"]: request for request in served if request["tools"]}.values():
        starts[request["conversation"]] += 1
    answered = Counter(request["conversation"] for request in steps)
    different = Counter(task for task, _ in {(request["conversation"], request["results"]) for request in steps})
    for task, record in sorted(records.items()):
        turns = sum(run["turns"] for run in world.runs(task))
        again, breaks = answered[task] - different[task], max(0, starts[task] - 1)
        if turns > facts.turns + 1 or answered[task] > facts.turns + 1 + breaks + again:
            bad.append(f"{task} had {turns} turns and {answered[task]} answers, {again} of them again, {breaks} breaks")
        if int(task[3:]) in facts.endless:
            print(f"  budget of {facts.turns} turns: {task} {record['lifecycle']} after {turns} turns, "
                  f"{answered[task]} answers ({again} of them again), {breaks} breaks")
            spent += "budget" in (record.get("last_error") or "")
            if record["lifecycle"] == "completed":
                bad.append(f"{task} has no end of its own, and was completed")
    return bad if spent else [*bad, "no task was ended by its budget"]


def judge(world, facts, log):
    records = {record["task_id"]: record for record in world.status()["status"]["workers"]}
    served = world.served()
    bad = [*facts.wrong, *judge_landing(world, facts, records)]
    others = 0
    for record in sorted(records.values(), key=lambda record: record["task_id"]):
        if record["lifecycle"] != "completed":
            others += int(record["task_id"][3:]) not in facts.endless
            print(f"  {record['task_id']} {record['lifecycle']}: {(record.get('last_error') or '')[:220]}")
    bad += judge_early(world, facts, served, records, log)
    bad += judge_budgets(world, facts, served, records)
    again, total, count = paid_twice(served)
    if again > MOST_PAID_AGAIN * total:
        bad.append(f"{again / total:.1%} of the tokens were paid again")
    lifecycles = dict(Counter(record["lifecycle"] for record in records.values()))
    faults = dict(Counter(request["fault"] for request in served if request["fault"]))
    print(f"  faults of the server: {faults}; answered: {len(steps_of(served))} steps, and "
          f"{sum(r['answered'] and not r['tools'] for r in served)} requests without tools; left unanswered by kills: "
          f"{sum(not r['answered'] and not r['fault'] for r in served)}")
    print(f"night: seed {facts.seed}, {facts.tasks} tasks in {facts.seconds / 60:.1f} minutes: {lifecycles}; "
          f"{others} not completed for another reason than their budget\n"
          f"night: {sum(facts.kills.values())} kills {facts.kills}, power cuts of {facts.power_cuts} processes, "
          f"{facts.limits} limits of usage, {len(facts.resumed)} accounts resumed by hand, {facts.memory_spells} times "
          f"short of memory, {facts.put_back} workers put back\n"
          f"night: tokens paid again: {again} of {total}, {100 * again / max(1, total):.2f} %, in {count} requests")
    for line in bad:
        print(f"  WRONG: {line}")
    return 1 if bad else 0
