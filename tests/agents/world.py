"""What the tests of agents work in: a repository with a remote, a home folder, a model server, real agent programs."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

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
env_http_headers = {{ "x-agent-start" = "AGENT_START" }}
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

    def __init__(self, agent, settings=None, others=(), server=()):
        self.agent = agent
        self.base = tempfile.mkdtemp(prefix=f"ralph-{agent}-")
        self.home = os.path.join(self.base, "home")
        self.repo = os.path.join(self.base, "repo")
        self.requests = os.path.join(self.base, "requests.jsonl")
        os.makedirs(self.home)
        temporary = os.path.join(self.base, "tmp")  # agents leave files there
        os.makedirs(temporary)
        self.server = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "model_server.py"), "--log", self.requests, *server],
            stdout=subprocess.PIPE, text=True)
        self.url = self.server.stdout.readline().strip()
        path = os.pathsep.join([os.path.join(INSTALLED, "npm", "node_modules", ".bin"),
                                os.path.join(INSTALLED, "aider", "bin"), os.environ["PATH"]])
        self.env = {"PATH": path, "HOME": self.home, "TMPDIR": temporary, "LANG": "C.UTF-8", "TZ": "UTC",
                    "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
                    "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
                    **configure(agent, self.home, self.url)}
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
            self.do(RALPH, "task", "add", title, "--no-push")
        self.publish("Add tasks")

    def mark_starts(self, agents):
        """From now on each start of these programs tells the server who it is: the run, and when that was."""
        folder = os.path.join(self.base, "programs")
        for agent in agents:
            path = os.path.join(folder, agent)
            program = os.path.join(INSTALLED, "npm", "node_modules", ".bin", agent)
            write(path, f"""#!/bin/sh
AGENT_START="$RALPH_RUN_ID/$(date +%s.%N)"
echo "$AGENT_START" >> {self.base}/starts
ANTHROPIC_CUSTOM_HEADERS="x-agent-start: $AGENT_START"
GEMINI_CLI_CUSTOM_HEADERS="x-agent-start: $AGENT_START"
export AGENT_START ANTHROPIC_CUSTOM_HEADERS GEMINI_CLI_CUSTOM_HEADERS
exec {program} "$@"
""")
            os.chmod(path, 0o755)
        self.env["PATH"] = folder + os.pathsep + self.env["PATH"]

    def start(self, output=subprocess.PIPE, **environment):
        return subprocess.Popen([RALPH, "run", "--parallel", "3"], cwd=self.repo, env={**self.env, **environment},
                                text=True, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

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

    def count_served(self):
        try:
            with open(self.requests, "rb") as file:
                return file.read().count(b"\n")
        except FileNotFoundError:
            return 0

    def starts(self):
        """Of marked programs: the run, a slash, and when that was."""
        with open(os.path.join(self.base, "starts"), encoding="utf-8") as file:
            return file.read().split()

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


def environment_of(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return [word.decode("utf-8", "replace") for word in file.read().split(b"\0")]
    except OSError:
        return []


def all_processes_of(world):
    """The pids of what runs for this world, by what its environment says: never by a name."""
    mark = f"HOME={world.home}".encode()
    return [int(pid) for pid in filter(str.isdigit, os.listdir("/proc")) if mark in environment_of(pid)]


def processes_of(world, name):
    """Those of them whose program, or script, has this in its name."""
    return sorted(pid for pid in all_processes_of(world)
                  if any(name in os.path.basename(word) for word in command_of(pid)[:2]))


@contextlib.contextmanager
def without_mount_of_codex():
    """codex's sandbox makes this folder, to hang something over it, and leaves it there."""
    mount = os.path.join(tempfile.gettempdir(), ".git")
    was_there = os.path.exists(mount)
    try:
        yield
    finally:
        if not was_there and os.path.isdir(mount) and not os.listdir(mount):
            os.rmdir(mount)


def control(world, **values):
    request = urllib.request.Request(world.url + "/control", json.dumps(values).encode())
    urllib.request.urlopen(request, timeout=10).read()
