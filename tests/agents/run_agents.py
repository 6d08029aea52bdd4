#!/usr/bin/env python3
"""Runs ralph with the real agents against a model server of our own, and says what came of it.

    tests/agents/run_agents.py --install               put pinned versions of the agents below build/agents
    tests/agents/run_agents.py [--record] [AGENT...] [--case NAME...]
    tests/agents/run_agents.py --night [--tasks N] [--seed N]    many tasks, kills, power cuts, limits: see night.py

Each case is a repository, a home folder and a server of its own, on loopback. Exit status 1: something was not as it
should be. With --record the ends are kept in tests/agents/recorded, for tests that need no agent. The result is a
table of agents and cases, in Markdown.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # of the modules beside this one

from night import add_options, night
from world import (AGENTS, AIDER, INSTALLED, PACKAGES, RALPH, RECORDED, World, control, end_now, expect, processes_of,
                   without_mount_of_codex, write)


def install():
    npm = os.path.join(INSTALLED, "npm")
    os.makedirs(npm, exist_ok=True)
    done = os.path.join(INSTALLED, "installed")
    wanted = json.dumps([*PACKAGES.values(), AIDER])
    if os.path.exists(done) and open(done, encoding="utf-8").read() == wanted:
        return
    subprocess.run(["npm", "install", "--prefix", npm, "--no-audit", "--no-fund", "--ignore-scripts",
                    *PACKAGES.values()], check=True, stdin=subprocess.DEVNULL)
    modules = os.path.join(npm, "node_modules")
    for folder, script in (("@anthropic-ai/claude-code", "install.cjs"), ("opencode-ai", "postinstall.mjs")):
        subprocess.run(["node", script], cwd=os.path.join(modules, folder), check=True)
    python = os.path.join(INSTALLED, "aider")
    subprocess.run([sys.executable, "-m", "venv", python], check=True)
    subprocess.run([os.path.join(python, "bin", "pip"), "install", "--quiet", AIDER], check=True)
    with open(done, "w", encoding="utf-8") as out:
        out.write(wanted)


# Longer than the slowest of them takes to begin, on a busy machine.
SILENCE = {"qwen": "25s", "opencode": "30s"}


def lands(world, title, verdict="ok"):
    world.add(title)
    _, said = world.run()
    expect(world.record()["lifecycle"] == "completed", f"{world.record()}\n{said}")
    expect(world.runs()[-1]["verdict"] == verdict, world.runs())
    return world.runs()


def case_edit(world):
    lands(world, "scenario=edit")
    return "landed"


def case_commit(world):
    lands(world, "scenario=commit")
    return "landed"


def case_nothing(world):
    world.add("scenario=nothing")
    _, said = world.run()
    expect(world.record()["lifecycle"] == "blocked_push", f"{world.record()}\n{said}")
    expect(world.runs()[-1]["verdict"] == "ok", world.runs())
    return "blocked: nothing to land"


DENIED = {"claude": ["claude", "-p", "--output-format", "stream-json", "--verbose", "--session-id", "{session}",
                     "{prompt}"],
          "codex": ["codex", "exec", "--json", "{prompt}"],
          "gemini": ["gemini", "--skip-trust", "-o", "stream-json", "--session-id", "{session}", "-p", "{prompt}"],
          "qwen": ["qwen", "--auth-type", "openai", "-o", "stream-json", "--session-id", "{session}", "{prompt}"]}


def case_denied(world):
    """The agent may not use its tools, says that it is done, and exits with 0."""
    world.change({"agents": {world.agent: {"first": DENIED[world.agent]}}})
    world.publish("Deny")
    world.add("scenario=edit")
    _, said = world.run()
    expect(world.record()["lifecycle"] in ("failed", "blocked_push"), f"{world.record()}\n{said}")
    return world.record()["lifecycle"].replace("_push", "") + ": " + (
        "denied" if world.runs()[-1]["verdict"] == "denied" else "nothing to land")


def waits_and_lands(world, fault, needs_person):
    """The account is paused; nothing counts; when the pause is over, the session goes on and the task lands."""
    world.add(f"scenario=commit fault={fault}", "scenario=edit")
    supervisor = world.start()
    try:
        world.wait_for("a paused account", world.accounts, 120)
        pause = world.accounts()[0]
        expect(pause["needs_person"] == needs_person, pause)
        world.wait_for("a task that waits", lambda: (world.record().get("last_error") or "").startswith("waits: "))
        expect(world.record()["lifecycle"] == "running", world.record())
        control(world, fault="none")
        asked = lambda: sum(r["conversation"] == "RQ-0001" for r in world.served())
        before = asked()
        time.sleep(1.5)  # that nothing happens cannot be awaited
        expect(asked() == before, "a request was made while the account was paused")
        world.do(RALPH, "account", "resume", pause["account"])
        said = supervisor.communicate(timeout=150)[0]
    finally:
        if supervisor.poll() is None:
            end_now(supervisor)
            supervisor.communicate(timeout=60)
    expect(supervisor.returncode == 0, said)
    runs = world.runs()
    expect(runs[0]["verdict"] == ("unauthorized" if needs_person else "limited"), runs)
    expect(runs[-1]["verdict"] == "ok", runs)
    return "account paused, nothing counted; session resumed, landed" if runs[-1]["resumed"] else (
        "account paused, nothing counted; landed")


def case_usage(world):
    if world.agent in ("qwen", "opencode"):  # they wait in silence for as long as the server says
        world.change({"worker": {"silence": SILENCE[world.agent]}})
        world.publish("Silence")
    return waits_and_lands(world, "usage", False)


def case_401(world):
    return waits_and_lands(world, "401", True)


def case_phases(world):
    """Plan, implement, review in one run: the second goes on with the first's conversation, the third begins one."""
    world.change({"worker": {"phases": [{"name": "plan"}, {"name": "implement"}, {"name": "review", "session": "new"}]}})
    world.publish("Phases")
    last = lands(world, "scenario=commit")[-1]
    done = [*last["finished"], last]
    expect([phase["phase"] for phase in done] == ["plan", "implement", "review"], done)
    expect([phase["resumed"] for phase in done] == [False, True, False], done)
    sessions = {phase["session"] for phase in done}
    expect(len(sessions) == (1 if world.agent == "aider" else 2), done)  # aider tells none
    return "landed, in three phases and two conversations"


def case_context(world):
    """The conversation is full at its second request: a new one begins, and is told what is there."""
    runs = lands(world, "scenario=commit fault=contextx1@1")
    return "landed, in a new session" if runs[-1]["session_note"] else "landed"


def faulty(world, fault):
    runs = lands(world, f"scenario=commit fault={fault}")
    faults = runs[-1]["faults"]
    return f"landed, resumed {faults} times by ralph" if faults else "landed, tried again by the agent itself"


def case_500(world):
    return faulty(world, "500x2")


def case_drop(world):
    return faulty(world, "dropx2")


def case_cut(world):
    if world.agent == "qwen":  # it takes what came for the whole answer
        world.add("scenario=commit fault=cutx1")
        _, said = world.run()
        expect(world.record()["lifecycle"] == "blocked_push", f"{world.record()}\n{said}")
        return "blocked: nothing to land"
    return faulty(world, "cutx1")


def case_nonsense(world):
    return faulty(world, "nonsensex2")


def case_hang(world):
    world.change({"worker": {"silence": SILENCE.get(world.agent, "10s")}})
    world.publish("Silence")
    return faulty(world, "hangx1@1")


def killed(world, victim):
    """The victim is killed in the middle of a long task, which goes on with its session and lands."""
    world.add("scenario=long")
    supervisor = world.start()
    world.wait_for("the middle", lambda: any(r["results"] >= 3 for r in world.served()))
    victims = [supervisor.pid] if victim == "ralph" else processes_of(world, victim)
    expect(victims, f"there is no {victim}")
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    if victim == "ralph":
        supervisor.communicate()
        _, said = world.run()
    else:
        said = supervisor.communicate(timeout=180)[0]
    expect(world.record()["lifecycle"] == "completed", f"{world.record()}\n{said}")
    steps = [json.loads(line)["results"] for line in open(world.requests, encoding="utf-8")
             if json.loads(line)["scenario"] == "long"]
    again = sum(1 for a, b in zip(steps, steps[1:]) if b <= a)
    runs = world.runs()
    return f"landed, {'session resumed' if runs[-1]['resumed'] else 'begun anew' if len(runs) > 1 else 'adopted'}, " \
           f"{again} steps asked for again"


def case_kill_agent(world):
    return killed(world, {"aider": "aider"}.get(world.agent, world.agent))


def case_kill_shim(world):
    return killed(world, "ralph-shim")


def case_kill_supervisor(world):
    return killed(world, "ralph")


CASES = {name[5:]: value for name, value in list(globals().items()) if name.startswith("case_")}
# No tools, no sessions: it edits by what is said.
NOT_FOR = {"aider": {"denied", "context", "hang", "kill_agent", "kill_shim", "kill_supervisor"},
           "opencode": {"denied"}}


def keep_recording(world, case):
    for number, run in enumerate(world.runs()):
        folder = run.pop("folder")  # of its last attempt, which the record is about
        outputs = [n for n in os.listdir(folder) if re.fullmatch(r"agent-[0-9]+\.out", n)]
        if not outputs or run["verdict"] is None:
            continue
        raw = os.path.join(folder, max(outputs, key=lambda n: int(n[6:-4])))
        text = open(raw, encoding="utf-8", errors="replace").read()
        for path, name in ((world.repo, "/repository"), (world.base, "/base"), (INSTALLED, "/agents"),
                           (world.url, "http://server")):
            text = text.replace(path, name)
        folder = os.path.join(RECORDED, world.agent)
        write(os.path.join(folder, f"{case}-{number}.out"), text)
        write(os.path.join(folder, f"{case}-{number}.json"), json.dumps(
            {key: run[key] for key in ("verdict", "exit_status", "signal", "ended_by", "session", "turns", "tokens",
                                       "cost_usd")}, indent=2) + "\n")


def run_case(agent, case, options):
    world = None
    began = time.monotonic()
    try:
        world = World(agent)
        result, good = CASES[case](world), True
        if options.record:
            keep_recording(world, case)
    except Exception as problem:  # pylint: disable=broad-except
        result, good = f"WRONG: {type(problem).__name__}: {problem}", False
    finally:
        if world:
            world.close(options.keep)
    print(f"{agent} {case}: {result[:3000]} ({time.monotonic() - began:.0f} s)"
          + (f" [{world.base}]" if world and options.keep else ""), flush=True)
    return agent, case, result.split("\n")[0][:120], good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("agents", nargs="*", help="all of them if none is named")
    parser.add_argument("--case", nargs="+", default=list(CASES))
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--keep", action="store_true", help="the folders")
    parser.add_argument("--jobs", type=int, default=2)
    add_options(parser)
    options = parser.parse_args()
    if options.install:
        return install()
    if options.night:
        with without_mount_of_codex():
            return night(options)
    if options.record and not options.agents:
        shutil.rmtree(RECORDED, ignore_errors=True)
    todo = [(a, c) for c in options.case for a in options.agents or AGENTS if c not in NOT_FOR.get(a, ())]
    with without_mount_of_codex(), ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda each: run_case(*each, options), todo))
    table = {(a, c): r for a, c, r, _ in results}
    agents = options.agents or AGENTS
    print("\n| case | " + " | ".join(agents) + " |\n|---" * 1 + "|---" * len(agents) + "|")
    for case in options.case:
        print(f"| {case} | " + " | ".join(table.get((a, case), "-") for a in agents) + " |")
    bad = [f"{a} {c}" for a, c, _, good in results if not good]
    print(f"\n{len(results) - len(bad)} of {len(results)} as they should be"
          + (f"; not: {', '.join(bad)}" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
