"""The structure of OpenEXR files: parts, layers, and whether all of a part is there.

Follows "OpenEXR File Layout" (openexr.com). A file has one part or several, each with a header, a table of offsets and
chunks of pixels. A layer is a part by its name, or the channels of a part that have a name before their last dot.
"""
from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MAGIC = 20000630
_TILED, _DEEP, _MANY_PARTS = 0x200, 0x800, 0x1000
_VERSION_AND_NAMES = 0x4FF
_LINES_PER_BLOCK = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}
_COLOURS = {"R", "G", "B"}
_KINDS = {0: "whole", 1: "half", 2: "float"}


@dataclass(frozen=True)
class Part:
    """`attributes`: name -> (type, value). `channels`: name -> "half", "float" or "whole"."""

    attributes: dict[str, tuple[str, bytes]]
    channels: dict[str, str]
    tiled: bool
    deep: bool

    @property
    def name(self) -> str:
        return self.attributes.get("name", ("string", b""))[1].decode("utf-8", "replace")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the display window."""
        left, top, right, bottom = struct.unpack("<4i", self.attributes["displayWindow"][1])
        return right - left + 1, bottom - top + 1

    @property
    def origin(self) -> tuple[int, int]:
        """Left and top of the display window."""
        return struct.unpack("<2i", self.attributes["displayWindow"][1][:8])

    def layers(self) -> list[str]:
        """The layers that are pictures, "" for the channels without one."""
        found: dict[str, set[str]] = {}
        for channel in self.channels:
            layer, _, last = channel.rpartition(".")
            found.setdefault(layer, set()).add(last)
        return [layer for layer, names in found.items() if names >= _COLOURS or names in ({"Y"}, {"Y", "A"})]

    def kinds(self, layer: str) -> set[str]:
        """The types of the layer's channels."""
        before = f"{layer}." if layer else ""
        return {self.channels[before + last] for last in ("R", "G", "B", "Y", "A") if before + last in self.channels}

    @property
    def chunk_count(self) -> int:
        """How many chunks it is made of; of tiles, those of the full size."""
        left, top, right, bottom = struct.unpack("<4i", self.attributes["dataWindow"][1])
        if self.tiled:
            across, down = struct.unpack_from("<II", self.attributes["tiles"][1])
            if not across or not down:
                raise ValueError("tiles without a size")
            return -(-(right - left + 1) // across) * -(-(bottom - top + 1) // down)
        return -(-(bottom - top + 1) // _LINES_PER_BLOCK[self.attributes["compression"][1][0]])


@dataclass(frozen=True)
class ExrFile:
    """Parsed headers. Everything raises `ValueError`, `LookupError` or `struct.error` for what is no such file."""

    data: bytes
    flags: int
    parts: tuple[Part, ...]
    table: int

    @classmethod
    def parse(cls, data: bytes) -> ExrFile:
        magic, flags = struct.unpack_from("<II", data)
        if magic != _MAGIC:
            raise ValueError("not OpenEXR")
        parts, at = [], 8
        while True:
            part, at = _part(data, at, flags)
            parts.append(part)
            if not flags & _MANY_PARTS:
                break
            if not data[at]:
                at += 1
                break
        return cls(data, flags, tuple(parts), at)

    def layers(self) -> list[str]:
        """All names that `find` takes."""
        names: list[str] = []
        for part in self.parts:
            for layer in part.layers():
                if layer or part.name:
                    names.append(layer or part.name)
        return list(dict.fromkeys(names))

    def find(self, layer: str | None) -> tuple[int, str] | None:
        """The part's number and the layer in it; without a name, the first picture that has none, else of the first part."""
        places = [(number, inner) for number, part in enumerate(self.parts) for inner in part.layers()]
        if layer is None:
            return next((place for place in places if not place[1]), None)
        named = [place for place in places if layer in (place[1] or self.parts[place[0]].name, f"{self.parts[place[0]].name}.{place[1]}")]
        return named[0] if named else None

    def alone(self, number: int) -> bytes | None:
        """The part as a file of its own whose display window begins at 0, 0, as the decoder takes it; None when some of it is missing.
        What it holds is the same to the last bit."""
        part, chunks = self.parts[number], []
        begins = self.table + 8 * sum(self._entries(k) for k in range(number))
        if begins + 8 * part.chunk_count > len(self.data):
            return None
        offsets = struct.unpack_from(f"<{part.chunk_count}Q", self.data, begins)
        own = 4 if self.flags & _MANY_PARTS else 0
        head = 16 if part.tiled else 4
        total = 0
        for offset in offsets:
            at = offset + own
            if offset < begins or at + head + 4 > len(self.data):
                return None
            end = at + head + 4 + struct.unpack_from("<I", self.data, at + head)[0]
            if end > len(self.data) or (own and struct.unpack_from("<I", self.data, offset)[0] != number):
                return None
            # Chunks lie one after the other: a table that leads to one of them again and again would fill all memory.
            total += end - at
            if total > len(self.data):
                return None
            chunks.append(self.data[at:end])
        if not own:
            return self.moved(0, 0)
        header = struct.pack("<II", _MAGIC, self.flags & _VERSION_AND_NAMES | (_TILED if part.tiled else 0))
        for name, (kind, value) in part.attributes.items():
            if name not in ("name", "type", "chunkCount", "view"):
                header += name.encode("latin-1") + b"\0" + kind.encode("latin-1") + b"\0" + struct.pack("<I", len(value)) + value
        header += b"\0"
        single = header + _table(chunks, len(header) + 8 * len(chunks)) + b"".join(chunks)
        return ExrFile.parse(single).moved(0, 0)

    def moved(self, left: int, top: int) -> bytes:
        """A whole file of one part with its picture elsewhere in the plane: its display window begins at `left`, `top`."""
        part = self.parts[0]
        right, down = left - part.origin[0], top - part.origin[1]
        if not right and not down:
            return self.data
        data = bytearray(self.data)
        for name in (b"displayWindow", b"dataWindow"):
            at = data.index(name + b"\0box2i\0", 0, self.table) + len(name) + 11
            x0, y0, x1, y1 = struct.unpack_from("<4i", data, at)
            struct.pack_into("<4i", data, at, x0 + right, y0 + down, x1 + right, y1 + down)
        if not part.tiled:  # lines say where they lie, tiles their number
            for offset in struct.unpack_from(f"<{part.chunk_count}Q", data, self.table):
                struct.pack_into("<i", data, offset, struct.unpack_from("<i", data, offset)[0] + down)
        return bytes(data)

    def _entries(self, number: int) -> int:
        """The length of a part's table of offsets."""
        return struct.unpack("<i", self.parts[number].attributes["chunkCount"][1])[0]


def _table(chunks: list[bytes], begins: int) -> bytes:
    offsets = [begins]
    for chunk in chunks[:-1]:
        offsets.append(offsets[-1] + len(chunk))
    return struct.pack(f"<{len(offsets)}Q", *offsets)


def _part(data: bytes, at: int, flags: int) -> tuple[Part, int]:
    """The header that begins at `at`, and where it ends."""
    attributes: dict[str, tuple[str, bytes]] = {}
    while data[at]:
        name_end = data.index(b"\0", at)
        type_end = data.index(b"\0", name_end + 1)
        (size,) = struct.unpack_from("<I", data, type_end + 1)
        value = data[type_end + 5 : type_end + 5 + size]
        attributes[data[at:name_end].decode("latin-1")] = data[name_end + 1 : type_end].decode("latin-1"), value
        at = type_end + 5 + size
    kind = attributes.get("type", ("string", b""))[1]
    tiled = kind == b"tiledimage" if flags & _MANY_PARTS else bool(flags & _TILED)
    deep = bool(flags & _DEEP) if not kind else kind.startswith(b"deep")
    return Part(attributes, dict(_channels(attributes["channels"][1])), tiled, deep), at + 1


def _channels(value: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while value[at]:
        end = value.index(b"\0", at)
        yield value[at:end].decode("latin-1"), _KINDS[struct.unpack_from("<I", value, end + 1)[0]]
        at = end + 17
