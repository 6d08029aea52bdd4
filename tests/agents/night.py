"""One night: many tasks for three real agents, on a host and with a model server that both have a bad night.

The server throttles (429, limits of usage, 500), lies (nonsense, cut streams, dropped connections, silence) and refuses
the key for a moment. Supervisor, shims and agents are killed at random moments. Twice the power fails: everything of
this world is stopped, then killed, and the supervisor is started again. Once memory is really short, and once so short
that workers are put back. At the end judge_night.py looks at what is there.

The seed decides about the tasks, their faults, the weather and the order of the victims. How far the work is at each
of these moments, and how many kills there are, depends on the machine. A power cut here ends processes only: what was
written and not synced is not lost.
"""
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

from judge_night import PROTOCOLS, Facts, finished, judge, tell_what_hangs
from world import RALPH, World, all_processes_of, control, environment_of, processes_of, write

NIGHT_AGENTS = list(PROTOCOLS)
VICTIMS = ["supervisor", "supervisor", "shim", "agent", "agent"]
# Faults of one task each. Where a conversation would be begun anew, that is early, as a full context is rare.
FAULTS = ["", "", "", "", "500x2", "overloadedx2", "429x1", "dropx1", "cutx1", "nonsensex1", "stallx1", "hangx1",
          "contextx1"]
KILLS_UNTIL = 0.85  # of the tasks are done
TURNS = 60          # a project has 41, and some are lost to kills
MEBIBYTE = 1 << 20

# Takes memory until so little of the host is left, and keeps it so until its input ends.
BALLAST = """
import select, sys, time
target, most = int(sys.argv[1]), int(sys.argv[2])
def available():
    return next(int(line.split()[1]) << 10 for line in open("/proc/meminfo") if line.startswith("MemAvailable:"))
taken = []
while not select.select([sys.stdin], [], [], 0.02 if available() > target else 0.2)[0]:
    if available() > target and len(taken) < most:
        taken.append(b"x" * (32 << 20))
"""


def add_options(parser):
    parser.add_argument("--night", action="store_true", help="many tasks, three agents, kills and limits instead")
    parser.add_argument("--tasks", type=int, default=60, help="of a night")
    parser.add_argument("--minutes", type=float, default=30, help="after which a night is over, whatever is left")
    parser.add_argument("--pace", type=float, default=20, help="steps between two kills, on the average")
    parser.add_argument("--seed", type=int, default=1)


def available_memory():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))


class Manager:
    """What a supervisor takes for the manager of services, so that it reads its settings again when it is told to."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        with contextlib.suppress(OSError):
            while self.socket.recv(4096):
                pass


class Night:
    """The world of a night, its supervisor, and what was done to both."""

    def __init__(self, options):
        self.options = options
        self.dice = random.Random(options.seed)
        self.dice_of_kills = random.Random(f"kills {options.seed}")  # how many there are depends on the machine
        self.facts = Facts(tasks=options.tasks, turns=TURNS, seed=options.seed)
        self.began = time.monotonic()
        self.deadline = self.began + options.minutes * 60
        self.world = World("claude", {"worker": {"silence": "20s"}, "limits": {"task": {"turns": TURNS}}},
                           others=NIGHT_AGENTS[1:], server=["--think", "0.2"])
        self.supervisor = None
        self.log = os.path.join(self.world.base, "supervisor.log")

    # --- what there is to do

    def task(self, number, endless):
        if number in endless:
            return f"scenario=endless number={number}"
        fault = self.dice.choice(FAULTS)
        after = {"": "", "contextx1": "@2"}.get(fault, f"@{self.dice.randint(1, 20)}")
        return (f"scenario={self.dice.choice(['commit', 'project', 'project', 'project'])}"
                + (f" fault={fault}{after}" if fault else "") + f" number={number}")

    def add_tasks(self):
        """Each task asks for one of the agents, in turn; a few have no end of their own."""
        tasks = self.options.tasks
        self.facts.endless = set(self.dice.sample(range(1, tasks + 1), max(1, tasks // 20)))
        for number in range(1, tasks + 1):
            self.world.do(RALPH, "task", "add", "--no-push", self.task(number, self.facts.endless))
        path = os.path.join(self.world.repo, ".ralph", "queue.jsonc")
        with open(path, encoding="utf-8") as file:
            queue = json.load(file)
        for number, task in enumerate(queue["tasks"]):
            task["agent"] = {"runner": NIGHT_AGENTS[number % len(NIGHT_AGENTS)]}
        write(path, json.dumps(queue, indent=2))
        self.world.publish("Add tasks")

    # --- the supervisor

    def start(self):
        with open(self.log, "a", encoding="utf-8") as output:
            self.supervisor = self.world.start(output, NOTIFY_SOCKET=self.manager.path)

    def runs_until(self, seconds):
        """Whether the supervisor is still there after so many seconds."""
        left = max(0, min(seconds, self.deadline - time.monotonic()))
        try:
            self.supervisor.wait(left)
            return False
        except subprocess.TimeoutExpired:
            return True

    def works_until(self, steps):
        """Whether the supervisor is still there after so many requests, or after a while in which nothing goes on.

        So a slow machine sees as many kills for its work as a fast one. The moment within a step is random.
        """
        wanted = self.world.count_served() + steps
        end = time.monotonic() + 20
        while self.world.count_served() < wanted and time.monotonic() < min(end, self.deadline):
            if not self.runs_until(0.2):
                return False
        return self.runs_until(self.dice_of_kills.uniform(0, 1))

    def logged(self, since=0):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            file.seek(since)
            return file.read()

    def records(self):
        return self.world.status()["status"]["workers"]

    def share_done(self):
        return sum(finished(record) for record in self.records()) / self.options.tasks

    def say(self, text):
        print(f"  {time.monotonic() - self.began:4.0f} s: {text}", flush=True)

    def wait_for(self, what, holds, seconds):
        """Whether it came about; a night goes on without it."""
        end = min(time.monotonic() + seconds, self.deadline)
        while not holds():
            if time.monotonic() > end:
                self.say(f"waited in vain for: {what}")
                return False
            time.sleep(0.1)
        return True

    # --- what is done to them

    def victims(self, kind):
        """What may be killed: pids, and what each of them is."""
        if kind == "supervisor":
            return [(self.supervisor.pid, kind)]
        names = NIGHT_AGENTS if kind == "agent" else ["ralph-shim"]
        return [(pid, name) for name in names for pid in processes_of(self.world, name)]

    def kill(self):
        kind, chosen = self.dice_of_kills.choice(VICTIMS), self.dice_of_kills.random()
        victims = self.victims(kind)
        if not victims or self.supervisor.poll() is not None:
            return
        pid, name = victims[int(chosen * len(victims))]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.facts.kills[name] = self.facts.kills.get(name, 0) + 1
        if kind == "supervisor":
            self.supervisor.wait()
            self.start()

    def end_everything(self):
        """Stops all before it kills the first, so that none sees another die."""
        seen = set()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            while fresh := [pid for pid in all_processes_of(self.world) if number == signal.SIGKILL or pid not in seen]:
                for pid in fresh:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                seen.update(fresh)
        if self.supervisor:
            self.supervisor.wait()
        return len(seen)

    def agents_at_work(self):
        """How many agent programs run, with all that each of them has started."""
        return len({word for pid in all_processes_of(self.world) for word in environment_of(pid)
                    if word.startswith(b"AGENT_START=")})

    def wait_for_agents(self, count):
        self.wait_for(f"{count} agents at work", lambda: self.agents_at_work() >= count, 100)

    def power_cut(self):
        self.wait_for_agents(2)
        count = self.end_everything()
        self.facts.power_cuts.append(count)
        self.say(f"power cut: {count} processes ended at once")
        self.start()

    def pauses(self, needs_person):
        return [pause for pause in self.world.accounts() if pause["needs_person"] == needs_person and pause["holds"]]

    def usage_limit(self, agent):
        """Of one account, until somebody has met it. The pause ends by its own time."""
        met = lambda: [pause for pause in self.pauses(False) if pause["account"] == agent]
        if not self.wait_for("the end of an earlier limit", lambda: not met(), 100):
            return
        # claude waits by itself if it is not more than a minute.
        seconds = self.dice.randint(6, 12) + (60 if agent == "claude" else 0)
        control(self.world, fault="usage", protocol=PROTOCOLS[agent], seconds=seconds)
        if self.wait_for(f"a limit of {agent} that is met", met, 40):
            self.facts.limits += 1
            self.say(f"{agent} has reached a limit of usage, and waits until {met()[0]['until'][11:19]}")
        control(self.world, fault="", protocol="")

    def refusal(self, agent):
        """The key is refused for a moment; somebody looks at it, and lets the account go on."""
        control(self.world, fault="401", protocol=PROTOCOLS[agent])
        self.wait_for(f"an account of {agent} that is refused", lambda: self.pauses(True), 60)
        control(self.world, fault="", protocol="")
        self.resume_refused()

    def resume_refused(self):
        for pause in self.pauses(True):
            self.world.do(RALPH, "account", "resume", pause["account"])
            self.facts.resumed.append((time.time(), pause["account"]))
            self.say(f"account {pause['account']} was refused, and is resumed by hand")

    @contextlib.contextmanager
    def host_memory(self, must_stay_free):
        """With this setting, which the supervisor is told to read, and as it was before at the end."""
        path = self.world.settings_file
        with open(path, encoding="utf-8") as file:
            before = file.read()
        self.world.change({"limits": {"host": {"memory": f"{must_stay_free // MEBIBYTE}MiB"}}})
        self.supervisor.send_signal(signal.SIGHUP)
        try:
            yield
        finally:
            write(path, before)
            if self.supervisor.poll() is None:
                self.supervisor.send_signal(signal.SIGHUP)

    def run_folders(self):
        """Of runs that are begun only if there is memory."""
        top = os.path.join(self.world.repo, ".ralph/cache/parallel/runs")
        return {(task, name) for task in os.listdir(top) for name in os.listdir(os.path.join(top, task))
                if name.endswith(("-prepare", "-work"))}

    def memory_spell(self):
        """Memory is really short for a dozen seconds, and nothing may be begun meanwhile."""
        self.wait_for_agents(1)
        must_stay_free = available_memory() - 1024 * MEBIBYTE
        since = os.path.getsize(self.log)
        with self.host_memory(must_stay_free):
            ballast = subprocess.Popen([sys.executable, "-c", BALLAST, str(must_stay_free - 512 * MEBIBYTE), "160"],
                                       stdin=subprocess.PIPE)
            try:
                self.wait_for("a supervisor that waits for memory",
                              lambda: "no worker starts until this is over: memory" in self.logged(since), 40)
                before = self.run_folders()
                shown = self.wait_for("the wait for memory in the status", lambda: (
                    self.world.status().get("pressure") or "").startswith("memory"), 10)
                time.sleep(12)  # that nothing happens cannot be awaited
                begun = self.run_folders() - before
                over = "what held back workers is over" in self.logged(since)
            finally:
                ballast.stdin.close()
                ballast.wait()
        if begun and not over:
            self.facts.wrong.append(f"begun while there was no memory: {sorted(begun)}")
        if not shown:
            self.facts.wrong.append("the status did not tell of the wait for memory")
        self.facts.memory_spells += 1
        if not self.wait_for("the end of the wait for memory",
                             lambda: "what held back workers is over" in self.logged(since), 40):
            self.facts.wrong.append("the wait for memory did not end")
        self.say(f"memory was short: the status {'told' if shown else 'did not tell'} so, {len(begun)} runs begun")

    def critical_spell(self):
        """More must stay free than twice of what is: the youngest of several workers is put back."""
        self.wait_for_agents(3)
        since = os.path.getsize(self.log)
        put_back = lambda: self.logged(since).count(" is put back")
        with self.host_memory(22 * available_memory() // 10):
            self.wait_for("a worker that is put back", put_back, 30)
        self.facts.put_back += put_back()
        self.say(f"memory was very short: {put_back()} put back")

    def weather(self):
        """What happens besides kills, and after which part of the tasks."""
        limits = self.dice.sample(NIGHT_AGENTS, len(NIGHT_AGENTS))
        refused = self.dice.choice(NIGHT_AGENTS)
        plan = [(0.06, self.usage_limit, limits[0]), (0.15, self.power_cut), (0.24, self.memory_spell),
                (0.32, self.refusal, refused), (0.40, self.usage_limit, limits[1]), (0.48, self.critical_spell),
                (0.56, self.power_cut), (0.64, self.usage_limit, limits[2])]
        return [(share + self.dice.uniform(-0.03, 0.03), event, given) for share, event, *given in plan]

    # --- the whole

    def rage(self):
        """Kills and weather, until most of the tasks are done."""
        plan = self.weather()
        told = 0
        while self.works_until(self.dice_of_kills.uniform(0.2, 1.8) * self.options.pace):
            if time.monotonic() > self.deadline:
                return
            done = self.share_done()
            if done >= told + 0.1:
                told = done
                self.say(f"{done:.0%} of the tasks are done; killed: {self.facts.kills}")
            self.resume_refused()
            if plan and done >= plan[0][0]:
                _, event, given = plan.pop(0)
                event(*given)
            elif done >= KILLS_UNTIL and not plan:
                return
            self.kill()
        self.facts.wrong += [f"the night was over before: {event.__name__}" for _, event, _ in plan]

    def be_quiet(self):
        """Nothing is done to it any more. Pauses end by their own time, except those that need a person."""
        while self.runs_until(2) and time.monotonic() < self.deadline:
            self.resume_refused()
        if self.supervisor.poll() is None:
            self.facts.wrong.append(f"not done after {self.options.minutes:.0f} minutes")
            tell_what_hangs(self.world, self.logged())

    def run(self):
        self.manager = Manager(self.world.base)
        self.world.mark_starts(NIGHT_AGENTS)
        self.add_tasks()
        self.start()
        self.rage()
        self.be_quiet()
        self.facts.seconds = time.monotonic() - self.began
        self.end_everything()
        return judge(self.world, self.facts, self.logged())

    def close(self):
        self.end_everything()
        self.world.close(self.options.keep)
        if self.options.keep:
            print(f"  kept: {self.world.base}")


def night(options):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended then, too
    this = Night(options)
    try:
        return this.run()
    finally:
        this.close()
