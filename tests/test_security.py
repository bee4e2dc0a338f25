"""What a job may not do, whatever its files are called: start a program, use a network, write anywhere but where it is told to."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scenery import save, view

#: Does what its arguments say, and then says what Python was asked to do meanwhile: `began` are programs and connections, `wrote` are
#: paths that were made, opened to be written, renamed or deleted.
WATCHED = """
import json, os, sys
began, wrote = [], []
def hook(event, args):
    if event.startswith("socket.") or event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"):
        began.append([event, repr(args)[:200]])
    elif event == "open" and isinstance(args[0], (str, bytes)) and (
        set(args[1] or "") & set("wax+") or args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    ):
        wrote.append(os.fsdecode(args[0]))
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree"):
        wrote.extend(os.fsdecode(part) for part in args if isinstance(part, (str, bytes)))
from flow_inpaint import cli
# What was imported by now is Python's own business.
sys.addaudithook(hook)
code = cli.main(sys.argv[1:])
sys.stdout.flush()
print(json.dumps([code, began, [os.path.abspath(path) for path in wrote]]))
"""
#: Would be a command line to a shell, an address to FFmpeg, a pattern, an option, and a way up.
NAMES = ["a; touch owned", "$(touch owned)", "`touch owned`", "http:%2f%2f127.0.0.1:9", "-o --x", "concat:a|b", "..a", "a\nb"]


@pytest.mark.parametrize("kind", ["film.mkv", "pictures"])
def test_a_job_starts_nothing_connects_to_nothing_and_writes_where_it_is_told_to(tmp_path: Path, kind: str) -> None:
    hole = np.zeros((48, 64), np.uint8)
    hole[14:30, 20:40] = 255
    places = {name: tmp_path / name for name in ("home", "tmp", "cache", "clips", "out")}
    for place in places.values():
        place.mkdir()
    for k, name in enumerate(NAMES[:4]):
        save(places["clips"] / name / f"{k:04d}.png", view(64, 48))
        for step in range(1, 3):
            save(places["clips"] / name / f"{k + step:04d}.png", view(64, 48, 2 * step))
    for name in NAMES[4:]:
        save(places["clips"] / f"{name}.png", hole)
    environment = os.environ | {"HOME": f"{places['home']}", "TMPDIR": f"{places['tmp']}", "FLOW_INPAINT_CACHE": f"{places['cache']}"}
    for source, matte in zip(NAMES[:4], NAMES[4:], strict=True):
        document = {
            "source": {"path": str(places["clips"] / source)},
            "mask": {"path": str(places["clips"] / f"{matte}.png")},
            "output": {"path": str(places["out"] / f"{source} {matte} {kind}")} | ({} if "." in kind else {"format": "png"}),
            "params": {"preset": "draft", "fill": "telea", "reach": 2},
        }
        (tmp_path / "job.json").write_text(json.dumps(document))
        words = [sys.executable, "-c", WATCHED, "run", "--job", str(tmp_path / "job.json")]
        done = subprocess.run(words, cwd=places["clips"], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        code, began, wrote = json.loads(done.stdout.splitlines()[-1])
        assert code == 0, done.stderr
        assert began == []
        told = [places["out"], places["cache"]]
        assert wrote and not [path for path in wrote if not any(Path(path).is_relative_to(place) for place in told)]
    # And what libraries do without Python's knowledge.
    assert len(list(places["out"].iterdir())) == 4 and not list(tmp_path.rglob("owned"))
    assert not [*places["home"].rglob("*"), *places["tmp"].rglob("*")]
    assert sorted(path.name for path in places["clips"].iterdir()) == sorted([*NAMES[:4], *(f"{name}.png" for name in NAMES[4:])])
