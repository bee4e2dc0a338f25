"""Every parser of ours that sees strangers' bytes, as a function that is given bytes and raises only when something is wrong.

Right is: an answer, or what the parser's own words say that it raises. They run in milliseconds, with no decoder of FFmpeg's behind
them, so that a fuzzer that is guided by coverage gets far.
"""
from __future__ import annotations

import io
import json
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from flow_inpaint import server
from flow_inpaint.errors import FlowInpaintError
from flow_inpaint.job import Job
from flow_inpaint.media import dpx as dpx_room
from flow_inpaint.media import exr as exr_room
from flow_inpaint.media import image_codec, image_tags
from flow_inpaint.media.exr_file import ExrFile
from flow_inpaint.media.ffv1_checksums import checksums_hold
from flow_inpaint.media.image_codec import encode_image
from flow_inpaint.media.image_files import counter_pattern, numbered
from flow_inpaint.media.matroska_aspect import is_shortened
from flow_inpaint.media.splice import Splice
from flow_inpaint.weights import catalog, checkpoints

#: A file may be read into so many times its own size: what claims to hold more than it does must not get it.
_GROWTH = 4
#: In memory where there is such a place: a disk takes longer than the parser.
_FOLDER = tempfile.TemporaryDirectory(prefix="flow-inpaint-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
_FILE = Path(_FOLDER.name) / "case"
_PICTURE = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
_SOUND = {".png": encode_image(".png", _PICTURE, None, 8), ".exr": encode_image(".exr", _PICTURE / np.float32(255), None, 16)}


def document(data: bytes) -> None:
    """A job document, and what its file names mean."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        job = Job.from_document(told, Path("/"))
    except FlowInpaintError as error:
        _is_sentence(error)
    else:
        for path in (job.source.path, job.output.path):
            counter_pattern(path)
            assert len(numbered(path, 0) or "") < 1000, "a name without end"
    try:
        Splice.from_document(told)
    except FlowInpaintError as error:
        _is_sentence(error)


def protocol(data: bytes) -> None:
    """What a host sends."""
    for line in server.lines(io.BytesIO(data)):
        try:
            request = server.parse(line)
        except server.RequestError as error:
            server.encoded({"id": error.ident, "error": str(error)})
        else:
            json.loads(server.encoded({"id": request.ident, "params": request.params}))


def exr(data: bytes) -> None:
    """An OpenEXR file as a source, up to the decoder, and as one whose tags are taken over."""
    decoded, exr_room._decoded = exr_room._decoded, _nothing
    try:
        exr_room.read_exr(Path("a.exr"), data)
    except FlowInpaintError as error:
        _is_sentence(error)
    finally:
        exr_room._decoded = decoded
    try:
        file = ExrFile.parse(data)
        for layer in file.layers()[:8]:
            number, _ = file.find(layer) or (0, "")
            single = file.alone(number)
            assert len(single or b"") <= _GROWTH * len(data) + 1000, f"{len(data)} bytes have become {len(single or b'')}"
    except (ValueError, LookupError, struct.error):
        pass  # as its words say
    _FILE.write_bytes(data)
    image_tags.tagged(_SOUND[".exr"], _FILE)


def _nothing(data: bytes, layer: str) -> object:
    raise StopIteration


def dpx(data: bytes) -> None:
    """A DPX file, with its decoder: it has no other part."""
    try:
        dpx_room.read_dpx(Path("a.dpx"), data)
    except FlowInpaintError as error:
        _is_sentence(error)


def png(data: bytes) -> None:
    """Whether a PNG file is whole, and its tags in another one, which has to stay a picture."""
    image_codec._whole_png(data)
    _FILE.write_bytes(data)
    made = image_tags.tagged(_SOUND[".png"], _FILE)
    if made != _SOUND[".png"]:
        assert image_codec._whole_png(made), "a picture was lost with its tags"
        assert cv2.imdecode(np.frombuffer(made, np.uint8), cv2.IMREAD_UNCHANGED) is not None


def matroska(data: bytes) -> None:
    """Whether a Matroska file is whole."""
    _FILE.write_bytes(data)
    is_shortened(_FILE)


def ffv1(data: bytes) -> None:
    """The checksums of an FFV1 packet."""
    checksums_hold(data)


def catalogue(data: bytes) -> None:
    """A catalogue of weights."""
    _FILE.write_bytes(data)
    try:
        for table in (catalog.read_catalog(_FILE) or {"sets": []})["sets"]:
            catalog.parsed(table, _FILE, "extra", "The catalogue")
    except FlowInpaintError as error:
        _is_sentence(error)


def checkpoint(data: bytes) -> None:
    """A stranger's checkpoint, up to `torch.load`: an archive, or pickles in a row."""
    _FILE.write_bytes(data)
    try:
        if checkpoints._head(_FILE).startswith(b"PK"):
            checkpoints._refuse_odd_archive(_FILE)
        else:
            checkpoints._refuse_odd_pickles(_FILE)
    except FlowInpaintError as error:
        _is_sentence(error)


def _is_sentence(error: FlowInpaintError) -> None:
    text = str(error)
    assert text and "\n" not in text and text.endswith((".", "?")), f"no sentence: {text!r}"


PARSERS: dict[str, Callable[[bytes], None]] = {
    f.__name__: f for f in (document, protocol, exr, dpx, png, matroska, ffv1, catalogue, checkpoint)
}
