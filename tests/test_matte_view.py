"""The matte of a frame as a host shows it: the same pixels that a job would replace."""
from __future__ import annotations

import base64
import json
import os
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from flow_inpaint import server
from flow_inpaint.errors import BadClip, BadParameter
from flow_inpaint.matte_view import MatteView, MatteViewer, Wanted
from flow_inpaint.media.matte import feathered, grown, grown_below

SIZE = (96, 64)


def view(viewer: MatteViewer, mask: object, size: tuple[int, int] = SIZE, **params: object) -> MatteView:
    return viewer.view(Wanted.from_document({"size": list(size), "mask": mask, "params": params}))


def whole(found: MatteView, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W) float32 of the whole footage."""
    out = np.zeros(size[::-1], np.float32)
    if found.box is not None:
        x, y, width, height = found.box
        shares = np.frombuffer(zlib.decompress(base64.b64decode(found.shares)), np.float32).reshape(found.size[::-1])
        out[y : y + height, x : x + width] = cv2.resize(shares, (width, height))
    return out


@pytest.fixture
def matte(tmp_path: Path) -> Path:
    """Bright to the left, dark to the right."""
    picture = np.zeros((64, 96), np.uint8)
    picture[20:30, 30:40], picture[20:30, 40:50] = 200, 60
    cv2.imwrite(str(tmp_path / "matte.png"), picture)
    return tmp_path / "matte.png"


def test_what_is_shown_is_what_would_be_replaced(matte: Path) -> None:
    viewer, light = MatteViewer(), np.zeros((64, 96), bool)
    light[20:30, 30:40] = True
    mask = {"path": str(matte)}
    np.testing.assert_array_equal(whole(view(viewer, mask)), light)
    dim = light.copy()
    dim[20:30, 40:50] = True
    np.testing.assert_array_equal(whole(view(viewer, mask, mask_threshold=0.2)), dim)
    np.testing.assert_array_equal(whole(view(viewer, mask, mask_grow=5)), grown(light, 5))
    np.testing.assert_array_equal(whole(view(viewer, mask, mask_grow_below=9)), grown_below(light, 9))
    _, share = feathered(grown(grown_below(light, 9), 2), 6)
    np.testing.assert_allclose(whole(view(viewer, mask, mask_grow=2, mask_grow_below=9, mask_feather=6)), share / 255, atol=1e-6)
    assert whole(view(viewer, [mask | {"invert": True}, {"rectangle": [32, 22, 3, 3]}])).sum() == light.size - 91


def test_a_large_picture_is_shown_small(tmp_path: Path) -> None:
    size, picture = (3840, 2160), np.zeros((2160, 3840), np.uint8)
    cv2.circle(picture, (2000, 1000), 800, 255, -1)
    cv2.imwrite(str(tmp_path / "large.png"), picture)
    found = view(MatteViewer(), {"path": str(tmp_path / "large.png")}, size, mask_grow=10)
    assert found.size[0] * found.size[1] <= 410_000 and found.box == (1190, 190, 1621, 1621)
    assert np.abs(whole(found, size) - grown(picture > 0, 10)).mean() < 0.005


def test_nothing_is_masked(matte: Path) -> None:
    found = view(MatteViewer(), {"path": str(matte)}, mask_threshold=0.9)
    assert (found.box, found.size, found.shares) == (None, (0, 0), "")


def test_another_picture_under_the_same_name_is_seen(matte: Path) -> None:
    viewer = MatteViewer()
    before = view(viewer, {"path": str(matte)})
    cv2.imwrite(str(matte), np.full((64, 96), 255, np.uint8))
    os.utime(matte, (1, 1))
    assert view(viewer, {"path": str(matte)}) != before


def test_a_setting_is_turned_without_reading_again(matte: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer, read = MatteViewer(), []
    monkeypatch.setattr("flow_inpaint.matte_view.open_matte", lambda *given, inner=_opened(): read.append(1) or inner(*given))
    for params in ({}, {"mask_grow": 3}, {"mask_feather": 3}, {"mask_grow_below": 3}, {"mask_threshold": 0.1}):
        view(viewer, {"path": str(matte)}, **params)
    assert len(read) == 2


def _opened() -> object:
    from flow_inpaint.media import open_matte

    return open_matte


@pytest.mark.parametrize("document", [{}, {"size": [0, 4]}, {"size": [4.0, 4]}, {"size": [9, 9]}, {"size": [9, 9], "mask": []},
                                      {"size": [9, 9], "mask": {"rectangle": [0, 0, 2, 2]}, "params": 3}])  # fmt: skip
def test_documents_that_say_nothing(document: dict) -> None:
    with pytest.raises(BadParameter):
        Wanted.from_document(document)


def test_what_a_matte_refuses_is_refused(matte: Path) -> None:
    with pytest.raises(BadClip):
        view(MatteViewer(), {"path": str(matte.with_name("none.png"))})


def test_a_server_looks_again_and_again():
    """Without a process of its own: what it imports takes a while."""
    said = []
    made = server.Server(SimpleNamespace(put=said.append))
    view = {"size": [64, 48], "mask": {"rectangle": [10, 10, 8, 6]}}
    for ident, params in enumerate(({}, {"mask_grow": 3}, {"mask_grow": "much"})):
        message = {"jsonrpc": "2.0", "id": ident, "method": "matte", "params": view | {"params": params}}
        assert made.receive(json.dumps(message).encode())
        end = time.monotonic() + 60
        while len(said) <= ident and time.monotonic() < end:
            time.sleep(0.01)
    assert [one["result"]["box"] for one in said[:2]] == [(10, 10, 8, 6), (7, 7, 14, 12)]
    assert said[2]["error"]["data"]["status"] == "BadParameter" and "mask_grow" in said[2]["error"]["message"]


def test_footage_that_no_memory_holds_is_refused() -> None:
    with pytest.raises(BadParameter, match=r"^size cannot be \[65536, 65536\]: no footage has more than 268435456 pixels.$"):
        Wanted.from_document({"size": [65536, 65536], "mask": {"rectangle": [0, 0, 9, 9]}})
