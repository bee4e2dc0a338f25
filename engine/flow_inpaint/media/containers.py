"""Which containers are opened, and that nothing but the file itself is."""
from __future__ import annotations

from pathlib import Path

import av

_CONTAINERS = (
    "aiff,apng,asf,av1,avi,dv,flv,gif,gxf,h264,hevc,ivf,lavf,m4v,matroska,webm,mjpeg,mov,mp4,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,"
    "rawvideo,rm,smjpeg,wav,wtv,yuv4mpegpipe"
)


#: What demuxing raises for a damaged file; an index error where a stream begins that the header does not name.
UNREADABLE = (av.FFmpegError, IndexError)


def open_container(path: Path, **options: str) -> av.container.InputContainer:
    """The file, and nothing else: a playlist in a video's clothes could name files and servers elsewhere. Raises what PyAV raises."""
    return av.open(f"file:{path}", options={"protocol_whitelist": "file", "format_whitelist": _CONTAINERS} | options)
