"""The checksums in FFV1 packets (RFC 9043, 4.9). The decoder puts an older picture where one is wrong, and says nothing.

Every slice ends with its length in 24 bits, an error status and a CRC-32 over all of it, highest bit first, from 0.
"""
from __future__ import annotations

import zlib

_FOOTER = 8
_ALL = 0xFFFFFFFF
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksums_hold(packet: bytes) -> bool:
    """Whether the packet consists of slices with checksums, and all of them are right."""
    mirrored = memoryview(packet.translate(_REVERSED))
    end = len(packet)
    while end > 0:
        start = end - _FOOTER - int.from_bytes(packet[end - _FOOTER : end - _FOOTER + 3], "big")
        # zlib has the same polynomial lowest bit first. With its checksum behind it, a sound slice has the checksum 0.
        if end < _FOOTER or start < 0 or zlib.crc32(mirrored[start:end], _ALL) != _ALL:
            return False
        end = start
    return True
