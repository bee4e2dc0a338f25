"""Mixed jobs for a stated time, with random kills, cancels, hosts that go away and disks that are full.

    python tests/soak/soak.py --seconds 3600 [--seed 1] [--folder DIR]

Every job is begun again and again, each time with another fate, until it is allowed to end; then its output has to be, to the byte,
what an undisturbed run made. On the way: no output that is half there, one sentence for every failure, a cancel within seconds, no
process left. In the end: no file left, and the memory of the server that lived all the while no larger than it was early on.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scenery import save, view

WIDTH, HEIGHT = 128, 96
#: A word in the environment of every process of this soak, by which those that are left are found.
MARK = "FLOW_INPAINT_SOAK"
#: How long anything may take before it counts as hung, on a machine with much other work.
LONG = 300.0
#: How long a stopped process may go on, likewise.
STOPPED = 30.0


class Wrong(Exception):
    """What must not happen."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", type=Path)
    known = parser.parse_args()
    print(f"seed {known.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(known.folder or Path(folder), random.Random(known.seed))
        try:
            soak.run(known.seconds)
        finally:
            soak.close()
            print(soak.told(), flush=True)


class Soak:
    def __init__(self, folder: Path, chance: random.Random):
        self._folder, self._chance = folder.absolute(), chance
        for name in ("tmp", "cache", "out"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._mark = f"soak-{os.getpid()}"
        places = {"TMPDIR": f"{self._folder}/tmp", "FLOW_INPAINT_CACHE": f"{self._folder}/cache", "OMP_NUM_THREADS": "1"}
        self._environment = os.environ | places | {MARK: self._mark}
        self._jobs = make_jobs(self._folder)
        self._wanted: dict[str, dict[str, str]] = {}
        #: Seconds that an undisturbed run of each job takes.
        self._takes: dict[str, float] = {}
        self._counts: Counter[str] = Counter()
        self._memory: list[float] = []
        self._slowest_stop = 0.0
        self._server = Server(self._environment, self._folder)

    def run(self, seconds: float) -> None:
        for name, job in self._jobs.items():
            began = time.monotonic()
            self._expect(self._started(name), {0})
            self._takes[name] = time.monotonic() - began
            self._wanted[name] = made(self._folder, job)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            name = self._chance.choice(list(self._jobs))
            self._forget_output(name)
            for _ in range(self._chance.randrange(4)):
                fate = self._chance.choice(list(self._fates))
                self._fates[fate](self, name)
                self._counts[fate] += 1
                # Images come to their places one by one, so that a kill may leave some of them.
                if not made(self._folder, self._jobs[name]).items() <= self._wanted[name].items():
                    raise Wrong(f"after {fate}, {name} has an output that is not whole")
            self._chance.choice((self._ends, self._ends_in_server))(name)
            self._counts["ends"] += 1
            self._check_rest()
        self._check_memory()

    # --- fates ---

    def _killed(self, name: str) -> None:
        process = self._started(name)
        self._wait(name)
        process.kill()
        self._expect(process, {0, -signal.SIGKILL})

    def _stopped(self, name: str) -> None:
        number = self._chance.choice((signal.SIGTERM, signal.SIGINT))
        process = self._started(name)
        self._wait(name)
        process.send_signal(number)
        began = time.monotonic()
        # Before Python has begun, or while it ends, a signal does what the system does with it.
        self._expect(process, {0, 130, -number}, STOPPED)
        self._slowest_stop = max(self._slowest_stop, time.monotonic() - began)

    def _full(self, name: str) -> None:
        """No file may grow beyond a size, as on a full disk."""
        limit = self._chance.choice((20_000, 100_000, 300_000))
        self._expect(self._started(name, limit), {0, 1})

    def _twice(self, name: str) -> None:
        """Two processes at once: one is refused, or began when the other had ended."""
        first, second = self._started(name), self._started(name)
        self._expect(second, {0, 1})
        self._expect(first, {0, 1})

    def _aborted(self, name: str) -> None:
        ident = self._server.ask("render", self._jobs[name])
        self._wait(name)
        self._server.ask("abort", None)
        began = time.monotonic()
        self._server.answer(ident, STOPPED)
        self._slowest_stop = max(self._slowest_stop, time.monotonic() - began)

    def _host_gone(self, name: str) -> None:
        """A server's host goes, or takes it along."""
        server = Server(self._environment, self._folder)
        server.ask("render", self._jobs[name])
        self._wait(name)
        if self._chance.random() < 0.5:
            server.process.kill()
        server.close(STOPPED)

    _fates: dict[str, Callable[[Soak, str], None]] = {
        "killed": _killed,
        "stopped": _stopped,
        "full disk": _full,
        "twice": _twice,
        "aborted": _aborted,
        "host gone": _host_gone,
    }

    def _ends(self, name: str) -> None:
        self._expect(self._started(name), {0})
        self._compare(name)

    def _ends_in_server(self, name: str) -> None:
        answer = self._server.answer(self._server.ask("render", self._jobs[name]), LONG)
        if "result" not in answer:
            raise Wrong(f"{name} in the server: {answer}")
        self._compare(name)
        self._memory.append(self._server.memory())

    # --- what has to be true ---

    def _compare(self, name: str) -> None:
        if made(self._folder, self._jobs[name]) != self._wanted[name]:
            raise Wrong(f"{name} has come out otherwise than when it was not disturbed")

    def _check_rest(self) -> None:
        """Nothing is left of a job that has ended: here, of all, because one is done after the other."""
        for place in (self._folder / "tmp", self._folder / "cache" / "work"):
            left = os.listdir(place) if place.exists() else []
            if left:
                raise Wrong(f"{place} is not empty: {left}")
        expected = {Path(job["output"]["path"]).parts[1] for job in self._jobs.values()} | {"passes"}
        left = set(os.listdir(self._folder / "out")) - expected
        left |= {path.name for path in (self._folder / "out").glob("*/.*")}
        if left:
            raise Wrong(f"beside the outputs there are {left}")
        mine = {self._server.process.pid, os.getpid()}
        others = {pid for pid in marked(self._mark)} - mine
        if others:
            raise Wrong(f"processes are left: {others}")

    def _check_memory(self) -> None:
        """Of the server, over its later jobs against its earlier ones, when each kind of job has been there."""
        early = len(self._memory) // 4
        if early >= 8:
            before, after = max(self._memory[early : 2 * early]), max(self._memory[-early:])
            if after > before * 1.1 + 12:
                raise Wrong(f"the server's memory has grown from {before:.0f} to {after:.0f} MiB: {self._memory}")

    def told(self) -> str:
        memory = f"{self._memory[0]:.0f} to {self._memory[-1]:.0f} MiB over {len(self._memory)} jobs" if self._memory else "not measured"
        return f"{dict(self._counts)}; server memory {memory}; slowest stop {self._slowest_stop:.2f} s"

    # --- processes ---

    def _started(self, name: str, largest_file: int | None = None) -> subprocess.Popen[bytes]:
        path = self._folder / f"{name}.json"
        path.write_text(json.dumps(self._jobs[name]))
        words = [sys.executable, "-m", "flow_inpaint", "run", "--job", str(path)]
        if largest_file is not None:
            words = [sys.executable, "-c", _LIMITED, str(largest_file), *words[3:]]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        return subprocess.Popen(words, cwd=self._folder, env=self._environment, **pipes)

    def _wait(self, name: str) -> None:
        """Somewhere in the run of a job, or a little later than its end."""
        time.sleep(self._chance.uniform(0, 1.1) * self._takes[name])

    def _expect(self, process: subprocess.Popen[bytes], codes: set[int], patience: float = LONG) -> None:
        try:
            _, told = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise Wrong(f"{process.args} did not end within {patience:.0f} s") from error
        if process.returncode not in codes:
            raise Wrong(f"{process.args} ended with {process.returncode}: {told.decode()}")
        if process.returncode > 0 and (told.count(b"\n") != 1 or b"went wrong" in told):
            raise Wrong(f"{process.args} said {told.decode()}")

    def _forget_output(self, name: str) -> None:
        path = self._folder / self._jobs[name]["output"]["path"]
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def close(self) -> None:
        self._server.close(LONG)


_LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from flow_inpaint import cli
sys.exit(cli.main(sys.argv[2:]))
"""


_TELLS_ITS_STACKS = """
import faulthandler, signal, sys
faulthandler.register(signal.SIGUSR1, open(sys.argv[1], "w"), all_threads=True)
from flow_inpaint import cli
sys.exit(cli.main(sys.argv[2:]))
"""


class Server:
    """`flow-inpaint serve`, asked and listened to."""

    def __init__(self, environment: dict[str, str], folder: Path):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._stacks = folder / "stacks"
        words = [sys.executable, "-c", _TELLS_ITS_STACKS, str(self._stacks), "serve"]
        self.process = subprocess.Popen(words, cwd=folder, env=environment, **pipes)
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._ident = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, method: str, params: Any) -> int:
        self._ident += 1
        request = {"jsonrpc": "2.0", "id": self._ident, "method": method} | ({} if params is None else {"params": params})
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        return self._ident

    def answer(self, ident: int, patience: float) -> dict[str, Any]:
        until = time.monotonic() + patience
        while time.monotonic() < until:
            try:
                message = self._said.get(timeout=1.0)
            except queue.Empty:
                continue
            if message.get("id") == ident:
                return message
        raise Wrong(f"the server did not answer within {patience:.0f} s, being in\n{self.stacks()}")

    def stacks(self) -> str:
        """Where each of its threads is."""
        self.process.send_signal(signal.SIGUSR1)
        time.sleep(1.0)
        return self._stacks.read_text()

    def memory(self) -> float:
        """MiB that are its own: what it has mapped of files is not."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("RssAnon:")[1].split()[0]) / 1024

    def close(self, patience: float) -> None:
        self.process.stdin.close()
        self.process.wait(patience)
        self.process.stdout.close()

    def _listen(self) -> None:
        try:
            for line in self.process.stdout:
                self._said.put(json.loads(line))
        except ValueError:
            return


def marked(mark: str) -> list[int]:
    """Processes that have the mark in their environment."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                if f"{MARK}={mark}".encode() in (place / "environ").read_bytes().split(b"\0"):
                    found.append(int(place.name))
            except OSError:
                continue
    return found


def made(folder: Path, job: dict[str, Any]) -> dict[str, str]:
    """The files of the output as they lie there, and the digest of each. What a killed process was writing is not among them."""
    path = folder / job["output"]["path"]
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if not file.name.startswith(".")}


def make_jobs(folder: Path) -> dict[str, dict[str, Any]]:
    """Jobs that differ in what is read, remembered, deleted and written."""
    frames = [view(WIDTH, HEIGHT, 1.5 * k, 0.5 * k) for k in range(24)]
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    for k, frame in enumerate(frames):
        hole = np.hypot(xs - 30 - 2 * k, ys - 48) < 14
        save(folder / "images" / f"{k:03d}.png", np.where(hole[..., None], np.uint8([200, 30, 30]), frame))
        save(folder / "mattes" / f"{k:03d}.png", hole.astype(np.uint8) * 255)
    save(folder / "clean.png", frames[10])
    with av.open(str(folder / "film.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames[:12] + [255 - frame for frame in frames[:12]]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))
    passes = {"path": "out/passes", "names": ["unseen"]}
    return {
        "images": {"source": {"path": "images"}, "mask": {"path": "mattes"}, "output": {"path": "out/images", "format": "png"}},
        "film with a cut": {
            "source": {"path": "film.mkv"},
            "mask": {"rectangle": [50, 30, 30, 30]},
            "output": {"path": "out/film.mkv"},
            "params": {"reach": 3},
        },
        "a range, a reference": {
            "source": {"path": "images"},
            "mask": {"path": "mattes"},
            "output": {"path": "out/range.mov", "passes": passes},
            "frames": [4, 16],
            "references": [{"frame": 10, "path": "clean.png"}],
            "params": {"reach": 2, "fill": "telea"},
        },
        "draft": {
            "source": {"path": "film.mkv", "indices": [*range(12), *range(10, 0, -1)]},
            "mask": {"rectangle": [20, 20, 40, 40]},
            "output": {"path": "out/draft.mp4"},
            "params": {"preset": "draft"},
        },
        "many windows": {
            "source": {"path": "images", "indices": [*range(24), *range(22, 0, -1)] * 5},
            "mask": {"rectangle": [50, 40, 16, 16]},
            "output": {"path": "out/windows.mkv"},
            "params": {"preset": "draft", "reach": 5},
        },
    }


if __name__ == "__main__":
    main()
