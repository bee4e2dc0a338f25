"""Fuzzes our own parsers (parsers.py), guided by which of their lines an input reaches.

    python tests/fuzz/guided.py --seconds 600 [--only NAME ...] [--keep FOLDER]

Needs atheris (`pip install atheris`; Linux and macOS), which nothing else does; without it, it says so and does nothing. `--seconds` are
for each parser. What goes wrong is kept as a file, and the exit code is 1.
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import random
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

MISSING = "atheris is not installed, so the parsers are not fuzzed by coverage: pip install atheris (Linux and macOS) changes that."
#: Seconds and MiB that one small input may take.
_PATIENCE, _MEMORY = 10, 2048
_LONGEST = 1 << 14
_WORDS = {
    "document": [*("source", "mask", "output", "frames", "params", "references", "path", "rectangle", "indices", "rate", "transform")],
    "catalogue": ["[[sets]]", "shipped = ", "sha256", "architecture", "deepfill", "quality = [{ "],
    "exr": ["channels\0chlist\0", "dataWindow\0box2i\0", "displayWindow\0box2i\0", "chunkCount\0int\0", "tiles\0tiledesc\0", "tiledimage"],
    "matroska": ["\x1a\x45\xdf\xa3", "\x18\x53\x80\x67", "\x16\x54\xae\x6b"],
}


def installed() -> bool:
    return importlib.util.find_spec("atheris") is not None


def seeds_of(name: str) -> list[bytes]:
    """Sound inputs to begin with."""
    from seeds import write_seeds

    with tempfile.TemporaryDirectory() as folder:
        files = {path.name: path.read_bytes() for path in write_seeds(Path(folder))}
    endings = {"exr": ".exr", "dpx": ".dpx", "png": ".png", "matroska": ".mkv"}
    if name in endings:
        return [data[:_LONGEST] for path, data in files.items() if path.endswith(endings[name])]
    if name == "ffv1":
        from flow_inpaint.media.ffv1_checksums import _ALL, _REVERSED
        from zlib import crc32

        body = b"slice" + (9).to_bytes(3, "big") + b"\0"
        return [body, body + crc32(body.translate(_REVERSED), _ALL).to_bytes(4, "little").translate(_REVERSED)]
    if name == "catalogue":
        return [(HERE.parents[1] / "weights" / "catalog.toml").read_bytes(), _CATALOGUE.encode()]
    if name == "checkpoint":
        return _checkpoints()
    documents = [json.dumps(one).encode() for one in _DOCUMENTS]
    if name == "protocol":
        return [b'{"jsonrpc": "2.0", "id": 1, "method": "check", "params": ' + one + b"}\n" for one in documents]
    return documents


_CLIP = {"path": "a_%04d.png", "first": 1, "count": 3, "indices": [0, 1, 1], "hold": True, "rate": 25.0, "upright": False, "layer": "x"}
_DOCUMENTS = [
    {"source": {"path": "a.mkv"}, "mask": {"rectangle": [8, 8, 9, 9]}, "output": {"path": "b.mkv"}, "params": {"preset": "draft"}},
    {
        "source": _CLIP,
        "mask": [_CLIP | {"channel": "alpha", "invert": True, "at": 1, "transform": [1, 0, 0, 0, 1, 0]}],
        "output": {"path": "o####", "format": "png", "passes": {"path": "p", "names": ["unseen"], "provenance": "png"}, "previews": "v"},
        "frames": [2, 5],
        "references": [{"frame": 1, "path": "r.png"}],
        "coverage": "c.png",
    },
    {"base": {"path": "a", "files": ["1.png"]}, "pieces": [{"path": "b", "files": ["1.png"], "at": 0}], "output": "c"},
]
_CATALOGUE = """
[[sets]]
name = "a"
role = "deepfill"
architecture = "deepfill"
width = 0.25
file = "a.safetensors"
sha256 = "{zeros}"
bytes = 10
licence = "x"
source = "y"
quality = [{{ data = "d", metric = "m", value = 1.5 }}]
""".format(zeros="0" * 64)


def _checkpoints() -> list[bytes]:
    import torch

    made = []
    with tempfile.TemporaryDirectory() as folder:
        for new in (True, False):
            path = Path(folder) / "a.pth"
            torch.save({"state_dict": {"module.a": torch.ones(2, 3)}, "epoch": 1}, path, _use_new_zipfile_serialization=new)
            made.append(path.read_bytes())
    return made


def _spoil_json(data: bytes, most: int, seed: int) -> bytes:
    """Half of the time one thing of a document is changed for another, the rest is as good as any other bytes."""
    import atheris
    from documents import spoilt

    chance = random.Random(seed)
    try:
        if chance.random() < 0.5:
            return json.dumps(spoilt(json.loads(data), chance)).encode()[:most]
    except (ValueError, RecursionError, IndexError, OverflowError):
        pass
    return atheris.Mutate(data, most)


def fuzz(name: str, arguments: list[str], parser: Callable[[bytes], None] | None = None) -> None:
    """Never comes back: the fuzzer ends the process."""
    import atheris

    warnings.simplefilter("ignore")
    for heavy in ("numpy", "cv2", "av", "torch"):
        importlib.import_module(heavy)
    with atheris.instrument_imports(include=["flow_inpaint"]):
        from parsers import PARSERS
    more = {"custom_mutator": _spoil_json} if name == "document" else {}
    atheris.Setup([sys.argv[0], *arguments], parser or PARSERS[name], **more)
    atheris.Fuzz()


def run(name: str, seconds: int, keep: Path, runs: int = -1) -> tuple[int, list[Path]]:
    """How many inputs one parser was given, in a process of its own, and the files that went wrong."""
    keep.mkdir(parents=True, exist_ok=True)
    before = set(keep.iterdir())
    with tempfile.TemporaryDirectory() as folder:
        corpus, words = Path(folder) / "corpus", Path(folder) / "words"
        corpus.mkdir()
        for number, data in enumerate(seeds_of(name)):
            (corpus / f"seed-{number}").write_bytes(data)
        escaped = ["".join(f"\\x{byte:02x}" for byte in word.encode("latin-1")) for word in _WORDS.get(name, [])]
        words.write_text("".join(f'"{word}"\n' for word in escaped))
        options = [
            f"-max_total_time={seconds}", f"-runs={runs}", f"-timeout={_PATIENCE}", f"-rss_limit_mb={_MEMORY}", f"-max_len={_LONGEST}",
            f"-artifact_prefix={keep}/{name}-", "-print_final_stats=1", *([f"-dict={words}"] if escaped else []), str(corpus),
        ]  # fmt: skip
        child = [sys.executable, str(HERE / "guided.py"), "--fuzz", name, *options]
        told = subprocess.run(child, capture_output=True, text=True, errors="replace", check=False)
    found = sorted(set(keep.iterdir()) - before)
    if told.returncode and not found:
        # It could not even write down what it was given.
        found = [keep / f"{name}-ended.txt"]
        found[0].write_text(f"ended with {told.returncode}\n{told.stdout[-20_000:]}\n{told.stderr[-20_000:]}")
    if found:
        print(told.stdout[-4000:], flush=True)
    count = re.search(r"number_of_executed_units:\s*(\d+)", told.stderr) or re.findall(r"#(\d+)\t", told.stderr)[-1:]
    return int(count[1] if isinstance(count, re.Match) else (count or ["0"])[0]), found


def main() -> int:
    if sys.argv[1:2] == ["--fuzz"]:
        fuzz(sys.argv[2], sys.argv[3:])
    from parsers import PARSERS

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--only", nargs="+", choices=list(PARSERS), default=list(PARSERS))
    options.add_argument("--keep", type=Path, default=Path("build/fuzz"))
    arguments = options.parse_args()
    if not installed():
        print(MISSING)
        return 0
    wrong: list[Path] = []
    for name in arguments.only:
        count, found = run(name, arguments.seconds, arguments.keep.absolute())
        print(f"{count:9d} {name}" + "".join(f"\n    wrong: {path}" for path in found), flush=True)
        wrong += found
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
