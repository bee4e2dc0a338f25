"""A host of `flow-inpaint serve` that has nothing but the standard library."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading

import fake_pipeline

#: Seconds within which anything is answered.
SOON = 10.0


class Host:
    """The other side of the protocol."""

    def __init__(self, folder, words=None):
        self.folder = folder
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # What runs these tests in the background may have had Ctrl-C ignored, and that is inherited.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(words or fake_pipeline.command("serve"), cwd=folder, **pipes)
        finally:
            signal.signal(signal.SIGINT, before)
        self.lines = queue.SimpleQueue()
        self.notified = []
        self.last_id = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def raw(self, data: bytes):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, method, params=None):
        self.last_id += 1
        message = {"jsonrpc": "2.0", "id": self.last_id, "method": method}
        self.raw(json.dumps(message if params is None else message | {"params": params}).encode() + b"\n")
        return self.last_id

    def next(self):
        """The next response; notifications are put aside."""
        while (message := self.lines.get(timeout=SOON)) is not None:
            assert message["jsonrpc"] == "2.0"
            if "method" not in message:
                return message
            self.notified.append(message)
        raise AssertionError("the server ended: " + self.process.stderr.read().decode())

    def ask(self, method, params=None):
        ident = self.send(method, params)
        answer = self.next()
        assert answer["id"] == ident
        return answer

    def job(self, behaviour, **fields):
        source = {"path": f"{behaviour}.mkv"}
        return {"source": source, "mask": {"rectangle": [0, 0, 8, 8]}, "output": {"path": "result.mkv"}} | fields

    def wait_for_progress(self):
        while True:
            message = self.lines.get(timeout=SOON)
            self.notified.append(message)
            if message.get("method") == "progress":
                return

    def left(self):
        return sorted(os.listdir(self.folder))

    def end(self):
        self.process.stdin.close()
        return self.process.wait(SOON)
