"""Files that are not what they seem: playlists, pipes, links, strange names. Nothing hangs, and nothing else is opened."""
from __future__ import annotations

import os
import socket
import struct
import threading
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from flow_inpaint.errors import BadClip
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source
from flow_inpaint.media.image_codec import encode_image
from footage import encode

PICTURE = encode_image(".png", np.full((20, 30, 3), 7, np.uint8), None, 8)


def refusal(path: Path) -> str:
    with pytest.raises(BadClip) as caught, open_source(ClipSpec(path)) as source:
        list(source.read(0, source.info.count - 1))
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text


@pytest.fixture
def listener():
    """A server's port, and whether anybody has called."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        calls: list[object] = []

        def accept() -> None:
            try:
                calls.append(server.accept()[0].close())
            except OSError:
                pass

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1], calls
        thread.join()
        assert calls == [], "something was asked of the network"


@pytest.mark.parametrize("name", ["a.m3u8", "a.mp4", "a.mkv"])
def test_playlists_lead_nowhere(tmp_path: Path, listener, name: str) -> None:
    port, _ = listener
    file = tmp_path / name
    file.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n")
    assert "not a video that can be opened" in refusal(file)


@pytest.mark.parametrize("text", [
    "ffconcat version 1.0\nfile whole.mp4\n",
    "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nwhole.mp4\n#EXT-X-ENDLIST\n",
    "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'><Period><AdaptationSet mimeType='video/mp4'>"
    "<Representation id='1' bandwidth='1'><BaseURL>whole.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
], ids=["concat", "hls", "dash", "sdp"])  # fmt: skip
def test_other_files_are_not_opened_through_one(tmp_path: Path, text: str) -> None:
    encode(tmp_path / "whole.mp4", 5)
    file = tmp_path / "list.mp4"
    file.write_text(text)
    assert "list.mp4 is not a video that can be opened" in refusal(file)


def test_names_that_mean_something_to_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a|b.mp4", "pipe:0.mp4", "http:a.mp4", "data:a.mp4", "-i.mp4", "%d.mp4", "new\nline.mkv", "q'uo\"te $(x) `y`;.mp4", "é\udcff.mp4"):
        encode(Path("plain" + Path(name).suffix), 3)
        os.replace("plain" + Path(name).suffix, name)
        with open_source(ClipSpec(Path(name))) as source:
            assert source.info.count == 3
            assert len(list(source.read(0, 2))) == 3


def test_a_name_with_a_line_break_stays_in_one_sentence(tmp_path: Path) -> None:
    for name in ("two\nlines.mp4", "two\nlines.png", "two\nlines.exr"):
        (tmp_path / name).write_bytes(b"nothing")
        assert "two lines" in refusal(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.exr"])
def test_pipes_and_devices_are_no_files(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "is no file" in refusal(tmp_path / name)
    (tmp_path / f"link_{name}").symlink_to("/dev/zero")
    assert "is no file" in refusal(tmp_path / f"link_{name}")
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "1.png")
    assert "is no file" in refusal(folder)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links(tmp_path: Path) -> None:
    (tmp_path / "true.png").write_bytes(PICTURE)
    (tmp_path / "good.png").symlink_to("true.png")
    with open_source(ClipSpec(tmp_path / "good.png")) as source:
        assert next(source.read(0, 0)).rgb[0, 0, 0] == 7
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "gone.mp4").symlink_to("nowhere.mp4")
    for name in ("loop.png", "loop.mp4", "gone.png", "gone.mp4"):
        assert name in refusal(tmp_path / name)


@pytest.mark.parametrize(("width", "height"), [(30000, 30000), (65535, 65535), (16384, 16385)])
def test_a_header_that_claims_too_much(tmp_path: Path, width: int, height: int) -> None:
    """Refused before the memory for it is asked for."""
    data = bytearray(PICTURE)
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    tracemalloc.start()
    assert "a.png is not an image that can be read" in refusal(tmp_path / "a.png")
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
