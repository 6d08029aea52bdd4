#!/usr/bin/env python3
"""Runs ralph with the real agents against a model server of our own, and says what came of it.

    tests/agents/run_agents.py --install               put pinned versions of the agents below build/agents
    tests/agents/run_agents.py [--record] [AGENT...] [--case NAME...]

Each case is a repository, a home folder and a server of its own, on loopback. Exit status 1: something was not as it
should be. With --record the ends are kept in tests/agents/recorded, for tests that need no agent. The result is a
table of agents and cases, in Markdown.
"""
import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
INSTALLED = os.path.join(ROOT, "build", "agents")
RECORDED = os.path.join(HERE, "recorded")
RALPH = os.path.join(os.environ.get("RALPH_BIN", os.path.join(ROOT, "build", "bin")), "ralph")
PACKAGES = {"codex": "@openai/codex@0.171.0", "claude": "@anthropic-ai/claude-code@2.1.197",
            "gemini": "@google/gemini-cli@0.61.0", "qwen": "@qwen-code/qwen-code@0.15.10",
            "opencode": "opencode-ai@1.18.33"}
AIDER = "aider-chat==0.86.2"
AGENTS = [*PACKAGES, "aider"]


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


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def configure(agent, home, url):
    """What a user of this agent has in the home folder and in the environment."""
    if agent == "claude":
        return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "good-key",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    if agent == "codex":
        write(f"{home}/.codex/config.toml", f"""model = "model"
model_provider = "local"
[model_providers.local]
name = "local"
base_url = "{url}/v1"
env_key = "LOCAL_KEY"
wire_api = "responses"
""")
        return {"LOCAL_KEY": "good-key"}
    if agent == "gemini":
        write(f"{home}/.gemini/settings.json", '{"security": {"auth": {"selectedType": "gemini-api-key"}}}')
        return {"GEMINI_API_KEY": "good-key", "GOOGLE_GEMINI_BASE_URL": url}
    if agent == "opencode":
        write(f"{home}/.config/opencode/opencode.json", json.dumps({
            "autoupdate": False, "share": "disabled", "model": "local/model", "small_model": "local/model",
            "provider": {"local": {"npm": "@ai-sdk/openai-compatible", "name": "local",
                                   "options": {"baseURL": url + "/v1", "apiKey": "good-key"},
                                   "models": {"model": {"name": "model", "limit": {"context": 200000, "output": 8000},
                                                        "cost": {"input": 3, "output": 15}}}}}}))
        return {}
    if agent == "qwen":
        return {"OPENAI_API_KEY": "good-key", "OPENAI_BASE_URL": url + "/v1", "OPENAI_MODEL": "model"}
    return {"OPENAI_API_KEY": "good-key", "OPENAI_API_BASE": url + "/v1", "AIDER_MODEL": "openai/model"}


class World:
    """A repository with a remote, a home folder and a server."""

    def __init__(self, agent, settings=None):
        self.agent = agent
        others = settings.pop("also", ()) if settings else ()
        self.base = tempfile.mkdtemp(prefix=f"ralph-{agent}-")
        self.home = os.path.join(self.base, "home")
        self.repo = os.path.join(self.base, "repo")
        self.requests = os.path.join(self.base, "requests.jsonl")
        os.makedirs(self.home)
        self.server = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "model_server.py"), "--log", self.requests], stdout=subprocess.PIPE, text=True)
        self.url = self.server.stdout.readline().strip()
        path = os.pathsep.join([os.path.join(INSTALLED, "npm", "node_modules", ".bin"),
                                os.path.join(INSTALLED, "aider", "bin"), os.environ["PATH"]])
        self.env = {"PATH": path, "HOME": self.home, "LANG": "C.UTF-8", "TZ": "UTC", "GIT_CONFIG_NOSYSTEM": "1",
                    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A",
                    "GIT_COMMITTER_EMAIL": "a@example.org", **configure(agent, self.home, self.url)}
        for other in others:
            self.env.update(configure(other, self.home, self.url))
        remote = os.path.join(self.base, "remote.git")
        self.do("git", "init", "-q", "--bare", "-b", "main", remote, where=self.base)
        self.do("git", "clone", "-q", remote, self.repo, where=self.base)
        self.do("git", "checkout", "-q", "-b", "main")
        write(os.path.join(self.repo, "README"), "A repository\n")
        self.publish("Begin")
        self.do(RALPH, "init", "--agent", agent)
        self.settings_file = os.path.join(self.repo, ".ralph", "supervisor.jsonc")
        if settings:
            self.change(settings)
        self.publish("Add ralph")

    def change(self, settings):
        text = re.sub(r"^\s*//.*$", "", open(self.settings_file, encoding="utf-8").read(), flags=re.M)
        present = json.loads(text)
        for section, values in settings.items():
            present.setdefault(section, {}).update(values)
        write(self.settings_file, json.dumps(present, indent=2) + "\n")

    def do(self, *argv, where=None, check=True):
        ended = subprocess.run(argv, cwd=where or self.repo, env=self.env, text=True, capture_output=True,
                               stdin=subprocess.DEVNULL, check=False)
        if check and ended.returncode != 0:
            raise RuntimeError(f"{argv}: {ended.stdout}{ended.stderr}")
        return ended

    def publish(self, message):
        self.do("git", "add", "-A")
        self.do("git", "commit", "-q", "-m", message)
        self.do("git", "push", "-q", "origin", "HEAD:main")

    def add(self, *titles):
        for title in titles:
            self.do(RALPH, "task", "add", title)
        self.publish("Add tasks")

    def start(self):
        return subprocess.Popen([RALPH, "run", "--parallel", "3"], cwd=self.repo, env=self.env, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run(self, seconds=180):
        supervisor = self.start()
        try:
            return supervisor.returncode, supervisor.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            end_now(supervisor)
            raise RuntimeError("ralph did not end: " + supervisor.communicate(timeout=60)[0])

    def status(self):
        return json.loads(self.do(RALPH, "run", "parallel", "status", "--json").stdout)

    def record(self, task="RQ-0001"):
        return next(w for w in self.status()["status"]["workers"] if w["task_id"] == task)

    def runs(self, task="RQ-0001"):
        """agent.json of each run of an agent, oldest first."""
        folder = os.path.join(self.repo, ".ralph/cache/parallel/runs", task)
        names = sorted((n for n in os.listdir(folder) if "-" in n), key=lambda n: int(n.split("-")[0]))
        found = []
        for name in names:
            path = os.path.join(folder, name, "agent.json")
            if os.path.exists(path):
                found.append(dict(json.load(open(path, encoding="utf-8")), folder=os.path.join(folder, name)))
        return found

    def served(self):
        try:
            return [json.loads(line) for line in open(self.requests, encoding="utf-8")]
        except FileNotFoundError:
            return []

    def accounts(self):
        return json.loads(self.do(RALPH, "account", "list", "--json").stdout)["paused"]

    def wait_for(self, what, holds, seconds=90):
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise RuntimeError(f"waited in vain for: {what}")
            time.sleep(0.1)

    def close(self, keep):
        self.server.terminate()
        self.server.wait()
        if not keep:
            shutil.rmtree(self.base, ignore_errors=True)


def end_now(supervisor):
    """Two requests: to drain, then to end. Two signals at once are one."""
    supervisor.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    supervisor.send_signal(signal.SIGTERM)


def expect(holds, text):
    if not holds:
        raise AssertionError(text)


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


DENIED = {"claude": ["claude", "-p", "--output-format", "stream-json", "--verbose", "--session-id", "{session}", "{prompt}"],
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


def processes_of(world, name):
    """The pids of what runs for this world, by what its environment says: never by a name alone."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = open(f"/proc/{pid}/environ", "rb").read().split(b"\0")
            command = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
        except OSError:
            continue
        if f"HOME={world.home}".encode() in environment and any(name in os.path.basename(c.decode("utf-8", "replace"))
                                                                  for c in command[:2]):
            found.append(int(pid))
    return found


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


def control(world, **values):
    request = urllib.request.Request(world.url + "/control", json.dumps(values).encode())
    urllib.request.urlopen(request, timeout=10).read()


def choose_agents(world, agents):
    """Each task asks for one of them, in turn."""
    path = os.path.join(world.repo, ".ralph", "queue.jsonc")
    queue = json.load(open(path, encoding="utf-8"))
    for number, task in enumerate(queue["tasks"]):
        task["agent"] = {"runner": agents[number % len(agents)]}
    write(path, json.dumps(queue, indent=2))
    world.publish("Choose agents")


def paid_twice(served):
    """The part of the tokens that was sent again for what had been answered before."""
    seen, again, total = set(), 0, 0
    for request in served:
        if request["fault"] or not request["conversation"].startswith("RQ-"):
            continue
        total += request["tokens"]
        step = (request["conversation"], request["results"])
        again += request["tokens"] if step in seen else 0
        seen.add(step)
    return again / max(1, total)


def night(options):
    """Tasks for three agents, a server that throttles and lies, and kills of supervisor, shims and agents."""
    agents = ["claude", "codex", "gemini"]
    dice = random.Random(options.seed)
    world = World("claude", {"also": agents[1:], "worker": {"silence": "20s"}})
    ends = {"supervisor": 0, "ralph-shim": 0, **{agent: 0 for agent in agents}}
    supervisor = None
    try:
        for number in range(options.tasks):
            fault = dice.choice(["", "", "500x2", "dropx1", "429x1", "nonsensex1", "contextx1@2", "hangx1@1"])
            world.do(RALPH, "task", "add", "scenario=" + dice.choice(["edit", "commit", "long", "long"]) +
                     (f" fault={fault}" if fault else "") + f" number={number}")
        choose_agents(world, agents)
        supervisor = world.start()
        began = time.monotonic()
        limits = 0
        while supervisor.poll() is None and time.monotonic() - began < options.minutes * 60:
            time.sleep(dice.uniform(2, 6))
            if dice.random() < 0.15 and limits < 3:
                limits += 1
                control(world, fault="usage", seconds=3600)
                time.sleep(4)
                control(world, fault="")
            victim = dice.choice(list(ends))
            pids = [supervisor.pid] if victim == "supervisor" else processes_of(world, victim)
            if not pids or supervisor.poll() is not None:
                continue
            os.kill(dice.choice(pids), signal.SIGKILL)
            ends[victim] += 1
            if victim == "supervisor":
                supervisor.communicate()
                supervisor = world.start()
        if supervisor.poll() is None:
            for pause in world.accounts():
                world.do(RALPH, "account", "resume", pause["account"])
        supervisor.communicate(timeout=600)
        return judge_night(world, options, ends, limits)
    finally:
        if supervisor and supervisor.poll() is None:
            end_now(supervisor)
            supervisor.communicate(timeout=60)
        world.close(options.keep)


def judge_night(world, options, ends, limits):
    records = {w["task_id"]: w for w in world.status()["status"]["workers"]}
    files = world.do("git", "ls-tree", "-r", "--name-only", "origin/main").stdout.split()
    subjects = world.do("git", "log", "--format=%s", "origin/main").stdout.split("\n")
    bad = []
    for number in range(1, options.tasks + 1):
        task = f"RQ-{number:04}"
        record = records.get(task, {"lifecycle": "missing"})
        if record["lifecycle"] not in ("completed", "blocked_push", "failed") or (
                record["lifecycle"] != "completed" and not record.get("last_error")):
            bad.append(f"{task} {record}")
        if sum(s == f"ralph: archive {task} queue bookkeeping" for s in subjects) != (record["lifecycle"] == "completed"):
            bad.append(f"{task} landed not once")
        if record["lifecycle"] == "completed":
            text = world.do("git", "show", f"origin/main:work-{task}.txt", check=False).stdout
            if f"work-{task}.txt" not in files or not text:
                bad.append(f"{task} without its work")
    counts = {}
    for record in records.values():
        counts[record["lifecycle"]] = counts.get(record["lifecycle"], 0) + 1
    for record in records.values():
        if record["lifecycle"] != "completed":
            print(f"  {record['task_id']} {record['lifecycle']}: {record.get('last_error', '')[:200]}")
    print(f"night: {options.tasks} tasks: {counts}; killed: {ends}; limits: {limits}; tokens paid again: "
          f"{100 * paid_twice(world.served()):.1f} %; seed {options.seed}")
    for line in bad:
        print("  WRONG: " + line)
    return 1 if bad else 0


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
            {key: run[key] for key in ("verdict", "exit_status", "signal", "ended_by", "session", "turns", "tokens", "cost_usd")},
            indent=2) + "\n")


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
    parser.add_argument("--night", action="store_true", help="many tasks, three agents, kills and limits instead")
    parser.add_argument("--tasks", type=int, default=18, help="of a night")
    parser.add_argument("--minutes", type=float, default=3, help="for which a night kills")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.install:
        return install()
    if options.night:
        return night(options)
    if options.record and not options.agents:
        shutil.rmtree(RECORDED, ignore_errors=True)
    mount = os.path.join(tempfile.gettempdir(), ".git")
    was_there = os.path.exists(mount)
    todo = [(a, c) for c in options.case for a in options.agents or AGENTS if c not in NOT_FOR.get(a, ())]
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda each: run_case(*each, options), todo))
    if not was_there and os.path.isdir(mount) and not os.listdir(mount):
        os.rmdir(mount)  # codex's sandbox makes it, to hang something over it
    table = {(a, c): r for a, c, r, _ in results}
    agents = options.agents or AGENTS
    print("\n| case | " + " | ".join(agents) + " |\n|---" * 1 + "|---" * len(agents) + "|")
    for case in options.case:
        print(f"| {case} | " + " | ".join(table.get((a, case), "-") for a in agents) + " |")
    bad = [f"{a} {c}" for a, c, _, good in results if not good]
    print(f"\n{len(results) - len(bad)} of {len(results)} as they should be" + (f"; not: {', '.join(bad)}" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
