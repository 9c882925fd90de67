"""What the hub has not acknowledged yet, in memory or in a file as well."""

import fcntl
import json
import os
import secrets

from muster_cbor import encode

MOST_BYTES = 1000  # every hub takes messages of 1,024 (SPEC.md, 12)


class Queue:
    """At most `most` messages, on disk before they are sent where there is a file. When it is full nothing more is taken.

    The file is not told what is acknowledged: after a start WELCOME says it (resume).
    """

    def __init__(self, path, most=1000):
        self.path, self.most = path, most
        self.stream, self.first, self.messages = secrets.token_hex(16), 1, []
        if path and os.path.exists(path):
            self.read()
        self.rewrite()

    def read(self):
        with open(self.path, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # two programs would give the same numbers to different messages
            self.stream, self.first = json.loads(file.readline())
            for line in file:
                try:
                    kind, items, body = json.loads(line)
                    self.messages.append([kind, items, body])
                except ValueError:
                    break  # half a line, cut off by a reset: it was never sent
        self.drop_below(self.next - self.most)  # no more than these were ever unacknowledged

    def rewrite(self):
        if not self.path:
            return
        file = open(self.path + ".new", "w", encoding="utf-8")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.writelines(json.dumps(line) + "\n" for line in [[self.stream, self.first], *self.messages])
        file.flush()
        os.fsync(file.fileno())
        os.replace(self.path + ".new", self.path)
        folder = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
        os.fsync(folder)  # the new name is on disk when the folder is
        os.close(folder)
        self.file, self.lines = file, len(self.messages)

    @property
    def next(self):
        return self.first + len(self.messages)

    def push(self, kind, *body):
        message = [kind, len(body) + 2, b"".join(map(encode, body)).hex()]
        if len(self.messages) >= self.most or len(message[2]) > 2 * MOST_BYTES:
            return False
        if self.path:
            if self.lines >= 4 * self.most:
                self.rewrite()
            self.file.write(json.dumps(message) + "\n")
            self.file.flush()
            os.fsync(self.file.fileno())
            self.lines += 1
        self.messages.append(message)
        return True

    def message(self, seq):
        kind, items, body = self.messages[seq - self.first]
        return bytes([0x80 | items]) + encode(kind) + encode(seq) + bytes.fromhex(body)  # an array of so many items

    def drop_below(self, seq):
        if seq > self.first:
            del self.messages[: seq - self.first]
            self.first = seq

    def rename(self):
        self.stream, self.first = secrets.token_hex(16), 1
        self.rewrite()
