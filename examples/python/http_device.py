#!/usr/bin/env python3
"""A device that has HTTP and nothing else, for networks in which no WebSocket gets through. Standard library alone. See ../README.md.

    DEVICE_TOKEN=mst_... python3 http_device.py http://127.0.0.1:8080 [--id pump-1] [--interval-ms N] [--count N]

Numbered telemetry (stored once, whatever is sent twice), commands by long poll. The same hub, tokens and rules: docs/http-devices.md.
Exit code: 0 done (--count), 3 the hub does not want this device as it is.
"""

import argparse
import collections
import json
import os
import random
import secrets
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request


def say(*words):
    print(*(repr(word)[1:-1] if isinstance(word, str) else word for word in words), file=sys.stderr, flush=True)


class Unwanted(Exception):
    """The same again would be refused again."""


class Hub:
    def __init__(self, url, device_id, retry_s):
        self.url, self.retry_s, self.is_leaving = url.rstrip("/"), retry_s, False
        token = os.environ.get("DEVICE_TOKEN")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {"Muster-Device": device_id}

    def ask(self, method, path, body=None, headers=None, timeout_s=20):
        """(status, answer). Comes back only with an answer that says something: until then it tries again."""
        attempt = 0
        while True:
            try:
                status, answer, wait_s = self.once(method, path, body, headers or {}, timeout_s)
                if status in (401, 403):
                    raise Unwanted(f"{status} {answer.get('code')}")
                if status < 500 and status != 429:
                    return status, answer
                why = f"{status} {answer.get('code')}"
            except (OSError, ValueError) as error:
                why, wait_s = str(error), 0
            say("offline:", why)
            least, most = self.retry_s  # full jitter, on top of what the hub asked for (Retry-After)
            time.sleep(wait_s + random.uniform(0, min(most, least * 2 ** min(attempt, 20))))
            attempt += 1

    def once(self, method, path, body, headers, timeout_s):
        data = None if body is None else json.dumps(body).encode()
        headers = {**self.headers, **({} if data is None else {"Content-Type": "application/json"}), **headers}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as response:
                text = response.read(1 << 20)
                return response.status, self.object(text), 0
        except urllib.error.HTTPError as refusal:
            with refusal:
                wait = refusal.headers.get("Retry-After", "0")
                return refusal.code, self.object(refusal.read(1 << 20)), min(int(wait), 3600) if wait.isdecimal() else 0

    @staticmethod
    def object(text):
        answer = json.loads(text) if text else {}
        return answer if isinstance(answer, dict) else {}


class Readings:
    """What the hub has not taken yet: at most `most` messages in memory. A full queue takes nothing more."""

    def __init__(self, hub, most=1000):
        self.hub, self.most, self.messages = hub, most, collections.deque()
        self.stream, self.first, self.clock = secrets.token_hex(16), 1, None

    def now_ms(self):
        return round((time.monotonic() + self.clock) * 1000)

    def open(self):
        """Tells the hub the name of this queue, and learns where to go on and what time it is."""
        status, answer = self.hub.ask("POST", f"/device/v1/streams/{self.stream}", {"next": self.first})
        if status != 200:
            raise Unwanted(f"{status} {answer.get('code')}")
        self.clock = answer["time"] / 1000 - time.monotonic()
        if answer["resume"] > self.first + len(self.messages):
            # The hub is ahead of this queue: under its old numbers nothing new would be stored.
            self.stream, self.first = secrets.token_hex(16), 1
            self.open()
            return
        say("online:", answer["device"], "resume at", answer["resume"])
        self.drop_below(answer["resume"])

    def drop_below(self, seq):
        while self.messages and self.first < seq:
            self.messages.popleft()
            self.first += 1

    def push(self, values):
        if len(self.messages) >= self.most:
            return False
        self.messages.append(values)
        return True

    def send(self):
        """The oldest one, until the hub has decided about it. One at a time; several readings go into one message."""
        headers = {"Muster-Stream": self.stream, "Muster-Seq": str(self.first)}
        status, answer = self.hub.ask("POST", "/device/v1/telemetry", self.messages[0], headers)
        if status == 409 and answer.get("code") == "gap":
            self.open()  # the hub does not know this stream (any more): only opening it may leave numbers out
        elif status == 200 or answer.get("recorded") is True:
            if status != 200:
                say("refused: message", self.first, answer.get("code"), answer.get("detail"))
            self.drop_below(self.first + 1)
        else:
            raise Unwanted(f"{status} {answer.get('code')}")


def commands(hub, on_command):
    """Waits for commands until the goodbye. The cursor says that what came before has arrived; a repeat is answered as before."""
    cursor, answers = None, collections.OrderedDict()
    while not hub.is_leaving:
        query = urllib.parse.urlencode({"wait": 30, **({"cursor": cursor} if cursor else {})})
        status, answer = hub.ask("GET", f"/device/v1/commands?{query}", timeout_s=50)
        if status != 200:
            say("no commands:", status, answer.get("code"))  # such as 409: a newer connection of this device took over
            cursor = None
            time.sleep(random.uniform(1, 10))
            continue
        cursor = answer["cursor"]
        for command in answer["commands"]:
            if command["id"] not in answers:
                status, value = on_command(command["name"], command["params"])
                answers[command["id"]] = {"status": status, "value": value}
                while len(answers) > 100:
                    answers.popitem(last=False)
            # Until the hub has it (200) or knows no such command (404).
            hub.ask("POST", f"/device/v1/commands/{command['id']}/result", answers[command["id"]])


# ---- What it measures, and the command it knows: the part to replace ----


def on_command(name, params):
    if name == "blink" and isinstance(params, dict) and isinstance(params.get("times"), int):
        print("blinking", params["times"], "times", flush=True)
        return "succeeded", {"blinked": params["times"]}
    return "rejected", "this device knows blink {times}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--id", default="pump-1")
    parser.add_argument("--interval-ms", type=int, default=1000)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--retry-ms", default="1000,60000")
    options = parser.parse_args()
    hub = Hub(options.url, options.id, tuple(int(part) / 1000 for part in options.retry_ms.split(",")))
    readings = Readings(hub)
    readings.open()
    threading.Thread(target=commands, args=(hub, on_command), daemon=True).start()
    threading.Thread(target=measure, args=(readings, options.interval_ms / 1000, options.count), daemon=True).start()
    sent = 0
    while not options.count or sent < options.count:
        if readings.messages:
            before = readings.first
            readings.send()
            sent += readings.first - before
        else:
            time.sleep(0.01)
    hub.is_leaving = True  # another poll after the goodbye would open a connection again
    hub.ask("DELETE", "/device/v1/connection")


def measure(readings, interval_s, count):
    n = 0
    while not count or n < count:
        if readings.push({"ts": readings.now_ms(), "n": n + 1, "running": True}):
            n += 1
        time.sleep(interval_s)


if __name__ == "__main__":
    try:
        main()
    except Unwanted as refusal:
        say("the hub does not want this device:", str(refusal))
        sys.exit(3)
    except KeyboardInterrupt:
        pass
