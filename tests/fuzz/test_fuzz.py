"""A quick part of the fuzzing that `make fuzz` does for long, and proof that it would notice."""
from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from flow_inpaint.errors import BadClip, BadParameter
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source
from flow_inpaint.media.exr_file import ExrFile
from flow_inpaint.media.image_files import counter_pattern, numbered
from flow_inpaint.media.splice import Splice
from fuzz import campaign, documents, guided, parsers, seeds


def test_damaged_files(tmp_path: Path) -> None:
    counts, wrong = campaign.campaign(tmp_path, seconds=15, seed=11, keep=tmp_path / "kept", most=400)
    assert wrong == []
    assert counts["refused"] > 20 and counts["read"] > 5


def test_documents_and_requests(tmp_path: Path) -> None:
    counts, wrong = documents.campaign(tmp_path, seconds=12, seed=12, most=300)
    assert wrong == []
    assert counts["refused"] > 10 and counts["answered"] > 2


def test_every_seed_is_sound_and_every_damage_damages(tmp_path: Path) -> None:
    for path in seeds.write_seeds(tmp_path):
        with open_source(ClipSpec(path)) as source:
            assert source.info.count == (seeds.COUNT if path.name in seeds.VIDEOS else 1)
    data = (tmp_path / "a.png").read_bytes()
    for name, damage in seeds.DAMAGES.items():
        assert any(damage(bytearray(data), random.Random(k)) != data for k in range(5)), name


@pytest.mark.parametrize("name", parsers.PARSERS)
def test_our_parsers(name: str) -> None:
    """Sound inputs, cut and spoilt ones: the same that a fuzzer begins with."""
    chance = random.Random(name)
    for data in guided.seeds_of(name):
        parsers.PARSERS[name](data)
        for _ in range(60):
            parsers.PARSERS[name](seeds.damaged(data, chance)[1])


def test_parsers_guided_by_coverage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not guided.installed():
        pytest.skip(guided.MISSING)
    count, wrong = guided.run("ffv1", 20, tmp_path / "kept", runs=3000)
    assert count >= 3000 and wrong == []
    (tmp_path / "guided.py").write_text(
        "import sys\nimport atheris\ndef one(data):\n    assert data[:2] != b'ab'\natheris.Setup([sys.argv[0], *sys.argv[3:]], one)\natheris.Fuzz()\n"
    )
    monkeypatch.setattr(guided, "HERE", tmp_path)
    monkeypatch.setattr(guided, "seeds_of", lambda name: [b"ab"])
    assert [path.name.partition("-")[0] for path in guided.run("ffv1", 20, tmp_path / "kept")[1]] == ["ffv1"]


@pytest.mark.parametrize(("script", "verdict"), [
    ("import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 11)", "the process died (-11)"),
    ("import sys, time; sys.stdin.readline(); time.sleep(60)", "took more than"),
])  # fmt: skip
def test_crashes_and_hangs_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, verdict: str) -> None:
    (tmp_path / "reader.py").write_text(script)
    monkeypatch.setattr(campaign, "HERE", tmp_path)
    monkeypatch.setattr(campaign, "PATIENCE", 1.0)
    child = campaign.Child()
    assert verdict in child.ask({"do": "read", "path": "x"})["wrong"]
    child.close()


def test_frames_that_are_lacking_are_noticed() -> None:
    assert "2 frames are lacking" in campaign.verdict(Path("a.mkv"), "cut", {"frames": seeds.COUNT - 2})
    assert campaign.verdict(Path("a.mkv"), "cut", {"refused": "x."}) is None
    assert campaign.verdict(Path("a.ts"), "cut", {"frames": 3}) is None


# --- what the fuzzers have found


def test_counters_wider_than_a_name() -> None:
    """They were a gigabyte of noughts, or what no regular expression takes."""
    for name in ("a_%0999999999999d.png", "a_%0999999999d.png", "#" * 3000):
        assert len(numbered(Path(name), 0) or "") < 4000
        counter_pattern(Path(name))
    assert numbered(Path("a_%012d.png"), 3) == "a_000000000003.png" and numbered(Path("a_####.png"), 3) == "a_0003.png"


@pytest.mark.parametrize("document", [{"base": 9, "pieces": [], "output": "a"}, {"base": {"path": "a\0"}, "pieces": [], "output": "a"},
    {"base": {"path": "a", "at": 1e999}, "pieces": [], "output": "a"}, {"base": {"path": "a"}, "pieces": [], "output": {}}])  # fmt: skip
def test_splices_that_are_none(document: dict) -> None:
    with pytest.raises(BadParameter, match="A splice needs base, pieces and output"):
        Splice.from_document(document)


def test_tiles_without_a_size(tmp_path: Path) -> None:
    data = seeds.exr_bytes([("", {name: np.zeros((32, 32), np.float16) for name in "RGB"})], tile=16)
    at = data.index(b"tiles\0tiledesc\0") + 19
    (tmp_path / "a.exr").write_bytes(data[:at] + bytes(4) + data[at + 4 :])
    with pytest.raises(BadClip, match="a.exr is not an OpenEXR image that can be read"), open_source(ClipSpec(tmp_path / "a.exr")):
        pass


def test_a_table_that_leads_to_one_chunk_again_and_again() -> None:
    """A megabyte became thirty gigabytes."""
    data = seeds.exr_bytes([("one", {name: np.zeros((64, 64), np.float16) for name in "RGB"})])
    file = ExrFile.parse(data)
    assert file.alone(0) is not None
    (first,) = struct.unpack_from("<Q", data, file.table)
    again = data[: file.table] + struct.pack("<64Q", *[first] * 64) + data[file.table + 512 :]
    # Lines of one length fill no more than the file; a long one, told again and again, does.
    longer = bytearray(again)
    struct.pack_into("<I", longer, first + 8, len(data) // 8)
    assert ExrFile.parse(bytes(longer)).alone(0) is None


def test_frame_numbers_without_end(tmp_path: Path) -> None:
    server = documents.Server()
    try:
        document = {"source": {"path": "a"}, "mask": {"rectangle": [1, 1, 2, 2]}, "output": {"path": "a.mkv"}}
        for number, field in enumerate(({"references": [{"frame": 10**400, "path": "b"}]}, {"frames": [0, 10**40]}), 1):
            server.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": "fingerprint", "params": document | field}).encode())
            assert "is too large: no clip has more than" in server.answer_to(number)["error"]["message"]
    finally:
        server.close()


def test_a_stream_that_nobody_has_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyAV cannot find a stream that begins in the middle of a transport stream."""
    from flow_inpaint.media import video_index

    class Container:
        def demux(self, stream: object) -> object:
            raise IndexError("list index out of range")

    with pytest.raises(BadClip, match=r"a\.ts is damaged at its beginning \(a stream begins there that the file does not announce\)"):
        video_index.scan(Path("a.ts"), Container(), None)


def test_a_matroska_file_without_its_last_frame(tmp_path: Path) -> None:
    seeds.write_seeds(tmp_path)
    for name in ("ffv1.mkv", "ffv1_deep.mkv", "vp9.webm"):
        whole = (tmp_path / name).read_bytes()
        for length in range(len(whole) - 1, len(whole) * 4 // 5, -max(len(whole) // 150, 1)):
            (tmp_path / name).write_bytes(whole[:length])
            try:
                with open_source(ClipSpec(tmp_path / name)) as source:
                    assert source.info.count == seeds.COUNT
            except BadClip as error:
                assert name in str(error)
