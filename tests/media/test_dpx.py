"""DPX: every bit of what a scanner wrote, and nothing of what is cut off."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dpx_files import HEIGHT, WIDTH, dpx
from flow_inpaint.errors import BadClip
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source
from flow_inpaint.media.image_codec import read_image
from flow_inpaint.media.samples import layout, planes
from rendering import blob, render

@pytest.mark.parametrize("pixel_format", ["gbrp10le", "gbrp10be", "gbrp12le", "rgb48le", "rgb48be", "rgb24", "rgba"])
def test_every_code_value(tmp_path: Path, pixel_format: str) -> None:
    data, frame = dpx(pixel_format)
    file = tmp_path / "a.dpx"
    file.write_bytes(data)
    rgb, alpha, depth = read_image(file)
    deep = pixel_format not in ("rgb24", "rgba")
    assert rgb.dtype == (np.uint16 if deep else np.uint8) and depth == (16 if deep else 8)
    assert (alpha is not None) == (pixel_format == "rgba")
    if pixel_format.startswith("gbrp") and pixel_format.endswith("le"):
        top = layout(pixel_format).top
        codes = np.rint(rgb.astype(np.float64) * top / 65535)
        for number, channel in enumerate((1, 2, 0)):
            np.testing.assert_array_equal(codes[..., channel], planes(frame)[number])
    elif not pixel_format.startswith("gbrp"):
        np.testing.assert_array_equal(rgb, frame.to_ndarray(format="rgb48le" if deep else "rgb24"))


def test_a_sequence_becomes_deep_images(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    for k in range(3):
        (tmp_path / f"scan/reel.{k + 86400:07d}.dpx").write_bytes(dpx("gbrp10be", k)[0])
    result, _ = render(tmp_path / "scan", tmp_path / "out", "tiff")
    assert result.files == [f"reel.{k + 86400:07d}.tif" for k in range(3)]
    hole = blob(HEIGHT, WIDTH)
    with open_source(ClipSpec(tmp_path / "scan")) as source:
        for name, picture in zip(result.files, source.read(0, 2), strict=True):
            np.testing.assert_array_equal(read_image(result.path / name)[0][~hole], picture.rgb[~hole])


def test_cut_short_and_worse(tmp_path: Path) -> None:
    data, file = dpx("gbrp10be")[0], tmp_path / "a.dpx"
    for length in (0, 3, 100, 800, 2047, 2048, 3000, len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(BadClip, match="a.dpx is (damaged|not a DPX)"):
            read_image(file)
    file.write_bytes(data[:772] + b"\x7f\xff\xff\xff" * 2 + data[780:])
    with pytest.raises(BadClip, match="claims to be 2147483647x2147483647"):
        read_image(file)
