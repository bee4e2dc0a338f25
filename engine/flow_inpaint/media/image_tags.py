"""What an image file says about its numbers beside them: profile, primaries, aspect, timecode. Taken over into the result's file."""
from __future__ import annotations

import mmap
import struct
import zlib
from pathlib import Path

from .exr_file import ExrFile
from .tiff_file import with_tags_of

#: Written anew by the encoder, or true of the source's way of storage only.
_OWN = {
    *("channels", "compression", "dataWindow", "displayWindow", "lineOrder", "tiles", "name", "type", "version", "chunkCount", "view"),
    *("multiView", "preview", "envmap", "dwaCompressionLevel", "maxSamplesPerPixel"),
}
#: iCCP and sRGB, gAMA, cHRM: what the numbers mean; cICP: the same as H.273 says it; mDCV, cLLI: how bright; pHYs: the aspect.
_CHUNKS = {b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI", b"pHYs"}
#: Kinds of PNG whose profile is one of grey, and says nothing of the RGB that is written.
_GREY = {0, 4}
_HEAD = 1 << 20


def tagged(data: bytes, source: Path, layer: str | None = None) -> bytes:
    """The image file `data` with the tags of `source`, when both are of one kind and it has any; else as it is."""
    try:
        with source.open("rb") as file:
            head = file.read(_HEAD)
            if head[:2] in (b"II", b"MM") and data[:2] == b"II":
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:  # the tags lie anywhere in it
                    return with_tags_of(data, whole)
        if head.startswith(b"\x89PNG") and data.startswith(b"\x89PNG"):
            return _png(data, head)
        if head[:4] == data[:4] == b"\x76\x2f\x31\x01":
            return _exr(data, head, layer)
    except (OSError, ValueError, LookupError, struct.error):
        pass  # a tag that cannot be read is no reason to lose a picture
    return data


def _png(data: bytes, head: bytes) -> bytes:
    chunks, at = b"", 8
    wanted = _CHUNKS - {b"iCCP"} if head[25] in _GREY else _CHUNKS
    while at + 12 <= len(head) and head[at + 4 : at + 8] not in (b"IDAT", b"IEND"):
        end = at + 12 + struct.unpack_from(">I", head, at)[0]
        if head[at + 4 : at + 8] in wanted and zlib.crc32(head[at + 4 : end - 4]) == struct.unpack_from(">I", head, end - 4)[0]:
            chunks += head[at:end]
        at = end
    begins = 33  # behind IHDR
    return data[:begins] + chunks + data[begins:]


def _exr(data: bytes, head: bytes, layer: str | None) -> bytes:
    source, made = ExrFile.parse(head), ExrFile.parse(data)
    place = source.find(layer)
    part = source.parts[place[0] if place else 0]
    added = b""
    for name, (kind, value) in part.attributes.items():
        if name not in _OWN and (name not in made.parts[0].attributes or name == "pixelAspectRatio"):
            added += name.encode("latin-1") + b"\0" + kind.encode("latin-1") + b"\0" + struct.pack("<I", len(value)) + value
    kept = _without(data[8 : made.table - 1], "pixelAspectRatio") if b"pixelAspectRatio\0" in added else data[8 : made.table - 1]
    moved = len(kept) + len(added) + 9 - made.table
    count = made.parts[0].chunk_count
    offsets = [offset + moved for offset in struct.unpack_from(f"<{count}Q", data, made.table)]
    whole = data[:8] + kept + added + b"\0" + struct.pack(f"<{count}Q", *offsets) + data[made.table + 8 * count :]
    return ExrFile.parse(whole).moved(*part.origin)


def _without(header: bytes, name: str) -> bytes:
    """The attributes of a header, up to its end, without one."""
    at, kept = 0, b""
    while at < len(header):
        kind = header.index(b"\0", at) + 1
        size = header.index(b"\0", kind) + 1
        end = size + 4 + struct.unpack_from("<I", header, size)[0]
        if header[at : kind - 1].decode("latin-1") != name:
            kept += header[at:end]
        at = end
    return kept
