#!/usr/bin/env python3
"""A model server without a model, for tests of agents: loopback only.

Speaks Anthropic Messages, OpenAI Responses, OpenAI chat completions and Gemini generateContent, with and without
streaming. What it answers is chosen by the texts of the user:

    scenario=NAME                one of SCENARIOS: shell commands that are asked for one by one, then a closing text
    fault=NAME[xCOUNT][@RESULTS] one of FAULTS: the first COUNT answers, or all; only from so many tool results on

It keeps no conversation. How far one is is read from the tool results in the request: every command says at its end
which step it was. So an agent that resumes its session goes on, one whose command was broken off is asked for it
again, and one that begins anew is asked for everything again.

    model_server.py --log FILE [--port N] [--key KEY] [--seconds N] [--usage-seconds N] [--think SECONDS]

prints its address when it listens. The log has one JSON object per request, written when it has been answered
("answered": completely) or has met its fault. A limit that was told to an account (a protocol and a key) holds: a
request that comes before its time is marked "early" in the log; "until" is the time that an answer has told.

    POST /control {"fault": "usage", "seconds": 5}    that fault for everybody ("none": no fault at all), until it is ""
    POST /control {"protocol": "Gemini"}              that fault only for whoever speaks this; "": for everybody
"""
import argparse
import hashlib
import json
import math
import re
import socket
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORK = 'echo "work of ${RALPH_TASK_ID:-nobody}" >> "work-${RALPH_TASK_ID:-nobody}.txt"'
COMMIT = 'git add -A && git commit -q -m "Work of ${RALPH_TASK_ID:-nobody}"'
STEPS = 38  # of a project, which is as long as what agents are really given
STEP = 'sleep 0.2; echo "step {number}" >> "steps-${{RALPH_TASK_ID:-nobody}}.txt"; seq -s " " {number}100 {number}400'
LIMIT = "This request would exceed your account's rate limit. Please try again later."
QUOTA = "You exceeded your current quota, please check your plan and billing details."
CHOICE = json.dumps({"complexity_reasoning": "simple", "complexity_score": 1, "reasoning": "simple",
                     "model_choice": "flash"})
SCENARIOS = {
    "edit": [WORK],
    "commit": [WORK, COMMIT],
    "long": [WORK] + [f"sleep 0.3; echo step {i} >> steps.txt" for i in range(6)] + [COMMIT],
    "project": [WORK] + [STEP.format(number=i) for i in range(STEPS)] + [COMMIT],
    "nothing": [],
    "conflict": ['echo "line of ${RALPH_TASK_ID:-nobody}" > shared.txt', COMMIT],
    "endless": None,  # asks for one command after another, for as long as it is let
}
CLOSING = "The task is finished and all tests pass."
FAULTS = ("429", "usage", "500", "overloaded", "401", "context", "drop", "cut", "hang", "stall", "nonsense")
TOOLS = ("exec_command", "shell_command", "shell", "Bash", "bash", "run_shell_command", "local_shell")


def text_of(content):
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(p if isinstance(p, str) else p.get("text") or "" for p in parts if isinstance(p, (str, dict)))


def sse(name, data):
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


class Anthropic:
    """POST /v1/messages"""

    @staticmethod
    def read(body):
        turns = []
        for message in body.get("messages", []):
            content = message.get("content")
            for part in content if isinstance(content, list) else []:
                if part.get("type") == "tool_result":
                    turns.append(("result", text_of(part.get("content"))))
            texts = [p for p in content if p.get("type") == "text"] if isinstance(content, list) else content
            if text_of(texts):
                turns.append((message["role"], text_of(texts)))
        return turns, [t.get("name") for t in body.get("tools") or []]

    @staticmethod
    def answer(body, stream, text, tool, arguments, tokens):
        block = {"type": "text", "text": text} if tool is None else {
            "type": "tool_use", "id": "toolu_" + uuid.uuid4().hex[:20], "name": tool, "input": arguments}
        message = {"id": "msg_" + uuid.uuid4().hex[:20], "type": "message", "role": "assistant",
                   "model": body.get("model", "model"), "content": [block], "stop_sequence": None,
                   "stop_reason": "end_turn" if tool is None else "tool_use",
                   "usage": {"input_tokens": tokens, "cache_creation_input_tokens": 0,
                             "cache_read_input_tokens": 0, "output_tokens": 40}}
        if not stream:
            return message
        empty = dict(block, text="") if tool is None else dict(block, input={})
        delta = {"type": "text_delta", "text": text} if tool is None else {
            "type": "input_json_delta", "partial_json": json.dumps(arguments)}
        start = dict(message, content=[], stop_reason=None, usage=dict(message["usage"], output_tokens=1))
        return [("message_start", {"type": "message_start", "message": start}),
                ("content_block_start", {"type": "content_block_start", "index": 0, "content_block": empty}),
                ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}),
                ("content_block_stop", {"type": "content_block_stop", "index": 0}),
                ("message_delta", {"type": "message_delta", "usage": {"output_tokens": 40},
                                   "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None}}),
                ("message_stop", {"type": "message_stop"})]

    @staticmethod
    def error(fault, seconds, ends):
        kind, text = {
            "429": ("rate_limit_error", LIMIT), "usage": ("rate_limit_error", LIMIT),
            "500": ("api_error", "Internal server error"), "overloaded": ("overloaded_error", "Overloaded"),
            "401": ("authentication_error", "invalid x-api-key"),
            "context": ("invalid_request_error", "prompt is too long: 213000 tokens > 200000 maximum")}[fault]
        headers = {} if fault != "usage" else {
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": str(int(ends)),
            "anthropic-ratelimit-unified-representative-claim": "five_hour",
            "anthropic-ratelimit-unified-overage-status": "rejected"}
        return {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_1"}, headers

    status = {"429": 429, "usage": 429, "500": 500, "overloaded": 529, "401": 401, "context": 400}


class Responses:
    """POST /v1/responses"""

    @staticmethod
    def read(body):
        turns = []
        given = body.get("input")
        for item in [{"role": "user", "content": given}] if isinstance(given, str) else given or []:
            kind = item.get("type", "message")
            if kind.endswith("_call_output"):
                turns.append(("result", str(item.get("output"))))
            elif kind == "message":
                turns.append((item.get("role"), text_of(item.get("content"))))
        return turns, [t.get("name") or t.get("type") for t in body.get("tools") or []]

    @staticmethod
    def answer(body, stream, text, tool, arguments, tokens):
        unique = uuid.uuid4().hex[:20]
        item = {"type": "message", "id": "msg_" + unique, "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}]} if tool is None else {
            "type": "function_call", "id": "fc_" + unique, "call_id": "call_" + unique, "name": tool,
            "arguments": json.dumps(arguments), "status": "completed"}
        whole = {"id": "resp_" + unique, "object": "response", "created_at": int(time.time()), "status": "completed",
                 "model": body.get("model"), "output": [item],
                 "usage": {"input_tokens": tokens, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 40,
                           "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": tokens + 40}}
        if not stream:
            return whole
        begun = dict(whole, status="in_progress", output=[], usage=None)
        events = [("response.created", {"type": "response.created", "response": begun}),
                  ("response.output_item.added", {"type": "response.output_item.added", "output_index": 0,
                                                  "item": item})]
        if tool is None:
            events.append(("response.output_text.delta", {
                "type": "response.output_text.delta", "item_id": item["id"], "output_index": 0, "content_index": 0,
                "delta": text}))
        return events + [
            ("response.output_item.done", {"type": "response.output_item.done", "output_index": 0, "item": item}),
            ("response.completed", {"type": "response.completed", "response": whole})]

    @staticmethod
    def error(fault, seconds, ends):
        if fault == "usage":
            return {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached",
                              "plan_type": "plus", "resets_at": int(ends),
                              "resets_in_seconds": seconds}}, {}
        return Chat.error(fault, seconds, ends)

    status = {"429": 429, "usage": 429, "500": 500, "overloaded": 503, "401": 401, "context": 400}


class Chat:
    """POST /v1/chat/completions"""

    @staticmethod
    def read(body):
        turns = [("result" if m["role"] == "tool" else m["role"], text_of(m.get("content")))
                 for m in body.get("messages", [])]
        return turns, [t.get("function", {}).get("name") for t in body.get("tools") or []]

    @staticmethod
    def answer(body, stream, text, tool, arguments, tokens):
        base = {"id": "chatcmpl-" + uuid.uuid4().hex[:12], "created": int(time.time()),
                "model": body.get("model", "model")}
        usage = {"prompt_tokens": tokens, "completion_tokens": 40, "total_tokens": tokens + 40,
                 "prompt_tokens_details": {"cached_tokens": 0}}
        message = {"role": "assistant", "content": text or ""}
        if tool is not None:
            message["tool_calls"] = [{"index": 0, "id": "call_" + uuid.uuid4().hex[:12], "type": "function",
                                      "function": {"name": tool, "arguments": json.dumps(arguments)}}]
        reason = "stop" if tool is None else "tool_calls"
        if not stream:
            return dict(base, object="chat.completion", usage=usage,
                        choices=[{"index": 0, "message": message, "finish_reason": reason}])
        chunk = dict(base, object="chat.completion.chunk")
        return [(None, dict(chunk, choices=[{"index": 0, "delta": message, "finish_reason": None}])),
                (None, dict(chunk, choices=[{"index": 0, "delta": {}, "finish_reason": reason}])),
                (None, dict(chunk, choices=[], usage=usage)), (None, "[DONE]")]

    @staticmethod
    def error(fault, seconds, ends):
        text, kind, code = {
            "429": (f"Rate limit reached for the model on tokens per min. Please try again in {seconds}s.", "tokens",
                    "rate_limit_exceeded"),
            "usage": (QUOTA, "insufficient_quota", "insufficient_quota"),
            "500": ("The server had an error while processing your request.", "server_error", None),
            "overloaded": ("The engine is currently overloaded, please try again later", "server_error", "overloaded"),
            "401": ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
            "context": ("This model's maximum context length is 200000 tokens. However, your messages resulted in "
                        "213000 tokens.", "invalid_request_error", "context_length_exceeded")}[fault]
        return {"error": {"message": text, "type": kind, "code": code}}, {}

    status = Responses.status


class Gemini:
    """POST /v1beta/models/MODEL:generateContent"""

    @staticmethod
    def read(body):
        turns = []
        for message in body.get("contents", []):
            for part in message.get("parts", []):
                if "functionResponse" in part:
                    turns.append(("result", json.dumps(part["functionResponse"].get("response"))))
                elif part.get("text"):
                    turns.append(("user" if message.get("role") == "user" else "assistant", part["text"]))
        return turns, [f["name"] for t in body.get("tools") or [] for f in t.get("functionDeclarations", [])]

    @staticmethod
    def answer(body, stream, text, tool, arguments, tokens):
        part = {"text": text} if tool is None else {"functionCall": {"name": tool, "args": arguments}}
        whole = {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
                 "modelVersion": "model", "usageMetadata": {
                     "promptTokenCount": tokens, "candidatesTokenCount": 40, "totalTokenCount": tokens + 40,
                     "cachedContentTokenCount": 0}}
        return [(None, whole)] if stream else whole

    @staticmethod
    def error(fault, seconds, ends):
        code = Gemini.status[fault]
        state, text = {
            "429": ("RESOURCE_EXHAUSTED", QUOTA), "usage": ("RESOURCE_EXHAUSTED", QUOTA),
            "500": ("INTERNAL", "An internal error has occurred."),
            "overloaded": ("UNAVAILABLE", "The model is overloaded."),
            "401": ("INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
            "context": ("INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens "
                                            "allowed (1048576).")}[fault]
        details = []
        if code == 429:
            period = "Day" if fault == "usage" else "Minute"
            metric = "generativelanguage.googleapis.com/generate_requests"
            details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{
                           "quotaMetric": metric, "quotaId": f"GenerateRequestsPer{period}PerProjectPerModel"}]},
                       {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds}s"}]
        return {"error": {"code": code, "message": text, "status": state, "details": details}}, {}

    status = {"429": 429, "usage": 429, "500": 500, "overloaded": 503, "401": 400, "context": 400}


def protocol_of(path):
    path = path.split("?")[0]
    return (Anthropic if path.endswith("/messages") else Responses if path.endswith("/responses") else
            Chat if path.endswith("/chat/completions") else Gemini if "enerateContent" in path else None)


class Model:
    """What is known across requests."""

    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()
        self.counts = {}        # answers that were faults, by conversation and fault
        self.not_before = {}    # by account
        self.control = {"fault": "", "seconds": 5, "protocol": ""}

    def log(self, entry):
        with self.lock, open(self.options.log, "a", encoding="utf-8") as out:
            out.write(json.dumps(entry) + "\n")

    def choose_fault(self, protocol, conversation, turns, results):
        with self.lock:
            if self.control["fault"] and self.control["protocol"] in ("", protocol.__name__):
                none = self.control["fault"] == "none"
                return "" if none else self.control["fault"], self.control["seconds"]
            for role, text in reversed(turns):
                found = re.findall(r"fault=([a-z0-9]+?)(?:x(\d+))?(?:@(\d+))?(?![a-z0-9])", text)
                if role != "user" or not found:
                    continue
                name, most, after = found[-1]
                if name not in FAULTS or results < int(after or 0):
                    return "", 0
                count = self.counts[(conversation, name)] = self.counts.get((conversation, name), 0) + 1
                seconds = self.options.usage_seconds if name == "usage" else self.options.seconds
                return ("", 0) if most and count > int(most) else (name, seconds)
        return "", 0

    def is_early(self, account, now):
        """Whether a request comes before the time that was told to this account."""
        with self.lock:
            return now < self.not_before.get(account, 0)

    def note_limit(self, account, fault, seconds):
        """When the limit ends that is told to the account now; what agents take whole seconds for is one."""
        ends = math.floor(time.time()) + seconds
        with self.lock:
            self.not_before[account] = ends
        return ends


def tool_call(tools, command):
    name = next((t for t in TOOLS if t in tools), None)
    arguments = {"exec_command": {"cmd": command, "yield_time_ms": 30000}, "shell_command": {"command": command},
                 "shell": {"command": ["bash", "-c", command]},
                 "run_shell_command": {"command": command, "description": "work", "is_background": False}}
    return name, arguments.get(name, {"command": command, "description": "work"})


def next_step(turns, steps):
    """The first command whose end is not seen among the results; one that was asked for three times is given up."""
    step, tries = 0, 0
    for role, text in turns:
        if role != "result":
            continue
        done = [int(number) for number in re.findall(r"done=(\d+)", text)]
        tries += 1
        if done or tries == 3:
            step, tries = max([step, *(number + 1 for number in done)] if done else [step + 1]), 0
    return step if steps is None else min(step, steps)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = None

    def log_message(self, *_):
        pass

    def reply(self, status, value, headers=None):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(value, bytes) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events, cut=False):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        parts = [sse(name, data) for name, data in events]
        if cut:  # the only one in its middle
            parts = parts[:len(parts) // 2] or [parts[0][:len(parts[0]) // 2]]
        for part in parts:
            self.wfile.write(part)
            self.wfile.flush()
        self.close_connection = True

    def do_HEAD(self):
        self.reply(200, b"")

    def do_GET(self):
        if "models" in self.path:
            return self.reply(200, {"object": "list", "data": [{"id": "model", "object": "model"}], "models": []})
        return self.reply(404, {"error": {"message": "nothing is here"}})

    def read_body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self):
        raw = self.read_body()
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            return self.reply(400, {"error": {"message": "this is no JSON"}})
        if self.path == "/control":
            self.model.control.update(body)
            return self.reply(200, self.model.control)
        if "ount" in self.path and "okens" in self.path:
            return self.reply(200, {"input_tokens": len(raw) // 4, "totalTokens": len(raw) // 4})
        protocol = protocol_of(self.path)
        if protocol is None:
            return self.reply(404, {"error": {"message": "nothing is here"}})
        return self.converse(protocol, body, len(raw) // 4)

    def account(self):
        """Whose limits a request counts for."""
        key = (self.headers.get("x-api-key") or self.headers.get("x-goog-api-key") or
               (self.headers.get("Authorization") or "").replace("Bearer ", ""))
        return protocol_of(self.path).__name__, key

    def converse(self, protocol, body, tokens):
        now = time.time()
        turns, tools = protocol.read(body)
        users = [i for i, turn in enumerate(turns) if turn[0] == "user"]
        chosen = [(i, found[-1]) for i in users if (found := re.findall(r"scenario=([a-z]+)", turns[i][1]))]
        where, scenario = (chosen[0][0], chosen[-1][1]) if chosen else (-1, "")
        commands = SCENARIOS.get(scenario, [])
        step = next_step(turns[where + 1:], None if commands is None else len(commands))
        first = turns[where][1] if chosen else ""
        # A task stays the same one in a new conversation about it.
        task = re.search(r"[Tt]ask ([A-Z]+-[0-9]+)", first)
        conversation = task[1] if task else hashlib.sha256(first.encode()).hexdigest()[:12]
        account = self.account()
        fault, seconds = self.model.choose_fault(protocol, conversation, turns, step)
        if account[1] != self.model.options.key:
            fault = "401"
        entry = {"time": round(now, 3), "protocol": protocol.__name__, "model": body.get("model"),
                 "scenario": scenario, "conversation": conversation, "users": len(users), "results": step,
                 "fault": fault, "tokens": tokens, "early": self.model.is_early(account, now),
                 "start": self.headers.get("x-agent-start") or "", "tools": len(tools), "answered": False,
                 "last": turns[-1][1][-200:] if turns else ""}
        stream = bool(body.get("stream")) or "streamGenerate" in self.path
        if fault:
            return self.fail(protocol, fault, seconds, stream, account, body, entry)
        time.sleep(self.model.options.think)
        try:
            if not self.is_left():
                self.speak(protocol, body, stream, scenario, step, tools, tokens, conversation)
                entry["answered"] = True
        except ConnectionError:
            self.close_connection = True
        self.model.log(entry)

    def is_left(self):
        """Whether the client is gone that asked."""
        try:
            left = self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            left = True
        self.close_connection = left
        return left

    def speak(self, protocol, body, stream, scenario, step, tools, tokens, conversation="", cut=False):
        commands = SCENARIOS.get(scenario, [])
        text, name, arguments = CLOSING, None, None
        if not tools:  # a title, a summary, a choice of a model, or an agent that edits by what is said
            by_text = f"Done.\n\nwork-by-text-{conversation}.txt\n```\nwork\n```\n"
            text = CHOICE if protocol is Gemini else by_text if scenario in ("edit", "commit") else "A title"
        elif commands is None or step < len(commands):
            command = f"echo step {step} >> endless.txt; sleep 0.2" if commands is None else commands[step]
            name, arguments = tool_call(tools, f'{command}; echo "done"={step}')
            text = None if name else "There is no shell among the tools."
        answer = protocol.answer(body, stream, text, name, arguments, tokens)
        return self.stream(answer, cut) if stream else self.reply(200, answer)

    def fail(self, protocol, fault, seconds, stream, account, body, entry):
        """Answers with a fault. It is logged before it is told, so that nobody acts on what is not logged yet."""
        ends = 0
        if fault in ("429", "usage"):
            ends = entry["until"] = self.model.note_limit(account, fault, seconds)
        self.model.log(entry)
        if fault == "hang":
            time.sleep(3600)
        elif fault == "drop" or (fault == "cut" and not stream):
            self.close_connection = True
            self.connection.close()
        elif fault == "cut":
            self.speak(protocol, body, True, "", 0, ["shell"], 1, cut=True)
        elif fault == "stall":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(b": here\n\n")
            self.wfile.flush()
            time.sleep(3600)
        elif fault == "nonsense":
            self.reply(502, b"<html><body>502 Bad Gateway</body></html>")
        else:
            left = max(1, math.ceil(ends - time.time()))
            value, headers = protocol.error(fault, left, ends)
            if fault in ("429", "usage"):
                headers = dict(headers, **{"retry-after": str(left)})
            self.reply(protocol.status[fault], value, headers)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", required=True)
    parser.add_argument("--key", default="good-key", help="the one that is accepted")
    parser.add_argument("--seconds", type=int, default=2, help="how long a short limit (429) lasts")
    parser.add_argument("--usage-seconds", type=int, default=3600, help="how long a limit of usage lasts")
    parser.add_argument("--think", type=float, default=0, help="seconds before it answers")
    Handler.model = Model(parser.parse_args())
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(("127.0.0.1", Handler.model.options.port), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
