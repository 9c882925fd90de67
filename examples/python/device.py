#!/usr/bin/env python3
"""A device that speaks v1.cbor.muster: measures, stores and forwards, answers commands. See ../README.md.

    DEVICE_TOKEN=mst_... python3 device.py ws://127.0.0.1:8080 [--id pump-1] [--queue FILE] [--interval-ms N] [--count N]

Standard library and `websockets` (10.4 or newer). The protocol: protocols/cbor/SPEC.md.
Exit code: 0 done (--count), 3 the hub does not want this device as it is.
"""

import argparse
import asyncio
import math
import os
import random
import sys
import time

import websockets

from muster_cbor import decode, encode, is_whole
from muster_queue import Queue

HELLO, DATA, RECEIVED, RESULT, EVENT = range(5)
WELCOME, ACK, NACK, COMMAND, DONE, ERROR = 16, 17, 18, 19, 21, 31
BASE_TIME, NAME, UNIT, VALUE, TEXT_VALUE, BOOL_VALUE = -3, 0, 1, 2, 3, 4  # SenML labels, RFC 8428
# "Stay away" and "taken over" of SPEC.md, 2 and 11: HTTP statuses and close codes after which coming back will not help.
FINAL = {400, 401, 403, 404, 1002, 1003, 1007, 1008, 1009, 1010, 4003, 4009}
WELCOME_LIMIT_S, STALL_LIMIT_S, STABLE_S = 15, 120, 60  # SPEC.md, 7, 10 and 11
MOST_ANSWERS = 64
RESULTS_UNDER_WAY = 16  # the hub sends as many commands without an answer, and so stops when answers have to wait


def say(*words):
    print(*(repr(word)[1:-1] if isinstance(word, str) else word for word in words), file=sys.stderr, flush=True)


def records(time_s, values, units):
    """A SenML pack of what was measured at one time, seconds since 1970 (None: when the hub gets it)."""
    pack = []
    for name, value in values.items():
        unit = {UNIT: units[name]} if name in units else {}  # of RFC 8428, 12.1: Cel, %RH, V, ...
        pack.append({NAME: name, **unit, {bool: BOOL_VALUE, str: TEXT_VALUE}.get(type(value), VALUE): value})
    return pack if time_s is None else [{BASE_TIME: time_s, **pack[0]}, *pack[1:]]


def refusal(error, code):
    """(HTTP status or `code`, seconds to wait), of an answer that opened no WebSocket. The library's versions name them differently."""
    response = getattr(error, "response", error)
    status, wait = getattr(response, "status_code", code), getattr(response, "headers", {}).get("Retry-After", "")
    return status, min(int(wait), 3600) if wait.isdecimal() else 0


class Device:
    def __init__(self, url, queue, on_command, token=None, device_id=None, retry_s=(1, 60)):
        self.url, self.queue, self.on_command, self.retry_s = url, queue, on_command, retry_s
        # The token could stand in the handshake as well; but how to set a header differs between versions of the library.
        self.hello = {"token": token, "id": device_id, "firmware": "muster-python-example 1.0"}
        self.answers = {}  # command id -> [RESULT, the hub has it]; the last ones, so that a repeat is not worked on again
        self.clock = None  # the hub's clock minus time.monotonic(), seconds
        self.attempt = 0
        self.wake = asyncio.Event()

    def now(self):
        """Seconds since 1970 by the hub's clock; None while no hub has told the time. SenML counts in seconds."""
        return None if self.clock is None else round(time.monotonic() + self.clock, 6)

    def push(self, kind, *body):
        self.wake.set()
        return self.queue.push(kind, *body)

    def is_idle(self):
        return not self.queue.messages and all(done for _, done in self.answers.values())

    async def run(self):
        """Until the hub says that coming back will not help; then its close code."""
        while True:
            begun, at_least_s = time.monotonic(), 0
            code, why = await self.connect()
            if isinstance(why, websockets.WebSocketException):
                code, at_least_s = refusal(why, code)
            say("offline:", str(why), code)
            if code in FINAL:
                return code
            if time.monotonic() - begun > STABLE_S:
                self.attempt = 0
            # Full jitter: a fleet that was cut off at one moment does not come back at one moment.
            least, most = self.retry_s
            await asyncio.sleep(at_least_s + random.uniform(0, min(most, least * 2 ** min(self.attempt, 20))))
            self.attempt += 1

    async def connect(self):
        options = {"subprotocols": ["v1.cbor.muster"], "max_size": 2**19, "compression": None, "close_timeout": 2}
        try:
            async with websockets.connect(self.url, **options) as ws:
                try:
                    await self.session(ws)
                except (ValueError, asyncio.TimeoutError) as error:
                    await ws.close(1002)  # the hub said what it must not, or nothing
                    return 1006, error
                return ws.close_code or 1006, "the connection ended"
        except websockets.ConnectionClosed as closed:
            return (closed.rcvd.code if closed.rcvd else 1006), str(closed)
        except (OSError, websockets.WebSocketException, asyncio.TimeoutError) as error:
            return 1006, error

    async def session(self, ws):
        if ws.subprotocol != "v1.cbor.muster":
            raise ValueError("the hub did not agree to the subprotocol")
        hello = {"stream": self.queue.stream, "next": self.queue.first, **self.hello}
        await ws.send(encode([HELLO, {key: value for key, value in hello.items() if value is not None}]))
        first = self.read(await asyncio.wait_for(ws.recv(), WELCOME_LIMIT_S))
        if first[0] == ERROR:
            say("the hub says:", *first[1:])
            await ws.wait_closed()
            return
        self.welcome(first)
        sender = asyncio.create_task(self.send_waiting(ws))
        watch = asyncio.create_task(self.watch(ws))
        try:
            async for message in ws:
                await self.on_message(ws, self.read(message))
                self.wake.set()
        finally:
            sender.cancel()
            watch.cancel()

    async def watch(self, ws):
        """The library's own pings find a dead connection; this finds a hub that lives and acknowledges nothing."""
        while True:
            before = self.queue.first
            await asyncio.sleep(STALL_LIMIT_S)
            if self.next_to_send > self.queue.first == before:
                await ws.close(1000)

    @staticmethod
    def read(data):
        if isinstance(data, str):
            raise ValueError("a text message")
        message = decode(data)
        items = {WELCOME: (2, 2), ACK: (2, 2), NACK: (4, 5), COMMAND: (5, 5), DONE: (2, 2), ERROR: (3, 3)}.get(message[0])
        if items and not items[0] <= len(message) <= items[1]:
            raise ValueError("a message with too many items, or too few")
        return message

    def welcome(self, message):
        told = message[1] if message[0] == WELCOME else None
        if not isinstance(told, dict) or not all(is_whole(told.get(k), 1) for k in ("resume", "window", "max", "time")):
            raise ValueError("no WELCOME")
        resume = int(told["resume"])
        if resume > self.queue.next:
            self.queue.rename()  # our file is an old copy: under its old numbers nothing new would be stored
            raise ValueError("the hub is ahead of this queue; it goes on under a new name")
        if resume < self.queue.first:
            raise ValueError("a WELCOME that does not fit")
        self.queue.drop_below(resume)
        self.next_to_send, self.window, self.went_back_to, self.sent = resume, told["window"], None, set()
        self.clock = told["time"] / 1000 - time.monotonic()
        say("online:", told.get("device"), "resume at", resume)

    async def send_waiting(self, ws):
        """Results first: somebody waits for them. Then what the window allows of the queue."""
        while True:
            self.wake.clear()
            for command_id, (result, done) in list(self.answers.items()):
                if not done and command_id not in self.sent and self.under_way() < RESULTS_UNDER_WAY:
                    self.sent.add(command_id)
                    await ws.send(result)
            while self.next_to_send < self.queue.next and self.next_to_send - self.queue.first < self.window:
                message = self.queue.message(self.next_to_send)
                self.next_to_send += 1
                await ws.send(message)
            await self.wake.wait()

    def under_way(self):
        return sum(1 for command_id in self.sent if command_id in self.answers and not self.answers[command_id][1])

    async def on_message(self, ws, message):
        kind, about = message[0], message[1] if len(message) > 1 else None
        if kind == ACK:
            if not is_whole(about) or about >= self.next_to_send:
                raise ValueError("an ACK of what was never sent")
            self.queue.drop_below(int(about) + 1)
            self.attempt, self.went_back_to = 0, None  # it works: the next loss starts with a short wait again
        elif kind == NACK and message[2] == "gap":
            self.go_back_to(message[-1])
        elif kind == NACK:
            say("refused:", *message[1:])
            if about == 0 and len(message) == 5:
                self.done(message[4])  # it was about a command that the hub does not know
        elif kind == DONE:
            self.done(about)
        elif kind == COMMAND:
            await self.command(ws, *message[1:])
        elif kind == ERROR:
            say("the hub says:", *message[1:])  # the close follows, with its code
        elif kind == WELCOME:
            raise ValueError("a second WELCOME")

    def go_back_to(self, expected):
        if expected == self.went_back_to:
            return  # one NACK for each message that was under way: go back once
        if not is_whole(expected) or not self.queue.first <= expected <= self.next_to_send:
            raise ValueError("a gap where nothing is missing")
        self.went_back_to = self.next_to_send = int(expected)

    def done(self, command_id):
        if isinstance(command_id, str) and command_id in self.answers:
            self.answers[command_id][1] = True

    async def command(self, ws, command_id, name, params, deadline_ms):
        if not isinstance(command_id, str) or not 1 <= len(command_id) <= 64 or not isinstance(name, str) or not is_whole(deadline_ms):
            raise ValueError("no COMMAND")
        if self.under_way() < RESULTS_UNDER_WAY:
            await ws.send(encode([RECEIVED, command_id]))
        if command_id in self.answers:  # a repeat is answered as before, and not worked on again
            self.answers[command_id][1] = False
            self.sent.discard(command_id)
            return
        while len(self.answers) >= MOST_ANSWERS:
            oldest = next((i for i, (_, done) in self.answers.items() if done), None)
            if oldest is None:
                return  # no hub that keeps to SPEC.md has so many of them open
            del self.answers[oldest]
        if self.now() * 1000 > deadline_ms:
            status, value = "rejected", "past its deadline"
        else:
            status, value = self.on_command(name, params)
        self.answers[command_id] = [encode([RESULT, command_id, status, value]), False]


# ---- What it measures, and the commands it knows: the part to replace ----


class Pump:
    def __init__(self, interval_s):
        self.interval_s, self.measured, self.dropped = interval_s, 0, 0

    def values(self):
        return {"n": self.measured + 1, "temp": round(20 + 2 * math.sin(self.measured / 10), 2), "running": True}

    def on_command(self, name, params):
        params = params if isinstance(params, dict) else {}
        if name == "blink" and is_whole(params.get("times")):
            print("blinking", params["times"], "times", flush=True)
            return "succeeded", {"blinked": params["times"]}
        if name == "interval" and is_whole(params.get("ms")):
            if not 10 <= params["ms"] <= 3_600_000:
                return "failed", None
            self.interval_s = params["ms"] / 1000
            return "succeeded", None
        return "rejected", "this device knows blink {times} and interval {ms}"

    async def measure(self, device, count):
        """Once a hub has told the time, and from then on offline, too."""
        while not (count and self.measured >= count and device.is_idle()):
            await asyncio.sleep(self.interval_s)
            if device.now() is None or (count and self.measured >= count):
                continue
            if device.push(DATA, records(device.now(), self.values(), {"temp": "Cel"})):
                self.measured += 1
            else:
                self.dropped += 1


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--id")
    parser.add_argument("--queue")
    parser.add_argument("--interval-ms", type=int, default=1000)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--retry-ms", default="1000,60000")
    options = parser.parse_args()
    retry_s = tuple(int(part) / 1000 for part in options.retry_ms.split(","))
    pump = Pump(options.interval_ms / 1000)
    token = os.environ.get("DEVICE_TOKEN")
    try:
        queue = Queue(options.queue)
    except BlockingIOError:
        sys.exit(f"{options.queue} is in use")
    device = Device(options.url, queue, pump.on_command, token, options.id, retry_s)
    device.push(EVENT, "boot", {"cause": "power"})
    connection = asyncio.create_task(device.run())
    measuring = asyncio.create_task(pump.measure(device, options.count))
    await asyncio.wait({connection, measuring}, return_when=asyncio.FIRST_COMPLETED)
    refused = connection.done()
    for task in (connection, measuring):
        if task.done():
            task.result()
        task.cancel()
    await asyncio.gather(connection, measuring, return_exceptions=True)  # the goodbye
    say(f"measured {pump.measured}, dropped {pump.dropped}, not acknowledged {len(device.queue.messages)}")
    sys.exit(3 if refused else 0)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
