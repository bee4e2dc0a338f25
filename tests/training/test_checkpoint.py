"""Checkpoints: bounded files, whole at any moment, and refused when damaged."""
from __future__ import annotations

import hashlib
import json

import pytest
import torch

from flow_inpaint.errors import BadParameter
from flow_inpaint.training import checkpoint


def tensors(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"a": torch.randn(1000, generator=generator), "b/c": torch.arange(7), "half": torch.ones(3, dtype=torch.float16)}


def test_checkpoints_are_cut_into_files_of_bounded_size(tmp_path):
    checkpoint.save(tmp_path, tensors(), {"step": 3}, shard=1000)
    files = sorted(path for path in tmp_path.iterdir() if path.suffix == ".shard")
    assert len(files) == 5 and max(path.stat().st_size for path in files) == 1000
    index = json.loads((tmp_path / "index.json").read_text())
    for entry in index["shards"]:
        assert hashlib.sha256((tmp_path / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
    found, facts = checkpoint.load(tmp_path)
    assert facts == {"step": 3} and all(torch.equal(found[name], values) for name, values in tensors().items())
    assert checkpoint.SHARD == 16 * 1024 * 1024


def test_no_file_of_a_large_checkpoint_is_larger_than_it_may_be(tmp_path):
    checkpoint.save(tmp_path, {"large": torch.randn(9_000_000)}, {})
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 4 and max(sizes) <= 16 * 1024 * 1024


@pytest.mark.parametrize("moment", range(1, 6))
def test_the_old_checkpoint_holds_until_the_new_one_is_whole(tmp_path, monkeypatch, moment):
    checkpoint.save(tmp_path, tensors(), {"step": 1}, shard=2000)
    written, really = [], checkpoint._write

    def dying(path, data):
        written.append(path)
        if len(written) == moment:
            path.with_name(path.name + ".part").write_bytes(bytes(data[: len(data) // 2]))
            raise KeyboardInterrupt
        really(path, data)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, "_write", dying)
        checkpoint.save(tmp_path, tensors(1) | {"more": torch.ones(600)}, {"step": 2}, shard=2000)
    found, facts = checkpoint.load(tmp_path)
    assert facts == {"step": 1} and torch.equal(found["a"], tensors()["a"])
    checkpoint.save(tmp_path, tensors(2), {"step": 3}, shard=2000)
    index = json.loads((tmp_path / "index.json").read_text())
    assert {path.name for path in tmp_path.iterdir()} == {"index.json", *(entry["file"] for entry in index["shards"])}


@pytest.mark.parametrize("damage", ["a byte", "cut short", "gone", "index gone", "index cut", "index elsewhere", "format"])
def test_a_damaged_checkpoint_is_refused_in_one_sentence(tmp_path, damage):
    checkpoint.save(tmp_path, tensors(), {}, shard=2000)
    shard = sorted(tmp_path.glob("*.shard"))[1]
    index = tmp_path / "index.json"
    data = shard.read_bytes()
    if damage == "a byte":
        shard.write_bytes(data[:10] + bytes([data[10] ^ 1]) + data[11:])
    elif damage == "cut short":
        shard.write_bytes(data[:-1])
    elif damage == "gone":
        shard.unlink()
    elif damage == "index gone":
        index.unlink()
    elif damage == "index cut":
        index.write_text(index.read_text()[:50])
    elif damage == "index elsewhere":
        index.write_text(index.read_text().replace(shard.name, f"../{shard.name}"))
    else:
        index.write_text(index.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(BadParameter) as refusal:
        checkpoint.load(tmp_path)
    sentence = str(refusal.value)
    assert str(tmp_path) in sentence and sentence.endswith("delete it to start again.")
    if damage in ("a byte", "cut short", "gone"):
        assert shard.name in sentence
