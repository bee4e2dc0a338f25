"""An earlier result with some of its frames replaced by newly made ones. Nothing is decoded or encoded again."""
from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from ..busy_files import replace
from ..errors import Aborted, BadClip, BadParameter
from ..job import nameable
from .audio_copy import LABELS
from .matroska_aspect import RESERVE, write_pixel_aspect
from .output_place import Claim, OutputFiles, make_way, writing
from .timecode import timecode_of

CONTAINERS = {".mkv": "matroska", ".mov": "mov"}
"""Video formats in which every frame stands for itself, by their endings."""


@dataclass(frozen=True)
class Clip:
    """A result: a video file, or the names of pictures in a folder in their order. `at`: the frame of the base that its first one is."""

    path: Path
    files: tuple[str, ...] = ()
    at: int = 0


@dataclass(frozen=True)
class Splice:
    """The pieces in their places in the base, as `output`: a video file, or a folder that is not there yet."""

    base: Clip
    pieces: tuple[Clip, ...]
    output: Path

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Splice:
        """Raises `BadParameter`."""
        try:
            pieces = tuple(_clip(piece) for piece in document["pieces"])
            return cls(_clip(document["base"]), pieces, _path(document["output"]))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise BadParameter("A splice needs base, pieces and output, each clip with a path.") from error


def _clip(table: Mapping[str, Any]) -> Clip:
    files = tuple(map(str, table.get("files") or ()))
    for name in files:
        # The output's pictures have the base's names: none may lead out of its folder.
        if Path(name).name != name or "\\" in name or name == ".." or not nameable(name):
            raise BadParameter(f"A splice's files are names in the clip's folder, not {name!r}.")
    return Clip(_path(table["path"]), files, int(table.get("at", 0)))


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not nameable(value):
        raise ValueError(value)
    return Path(value)


def splice(job: Splice, aborted: Callable[[], bool] = lambda: False) -> OutputFiles:
    """Writes the output; until it is whole it is not there. Frames outside the pieces are copied bit for bit, the sound too.

    Raises `BadClip` when base and pieces do not fit together (other codec settings, size or number of frames): then
    only a whole run helps. Raises `Failed` when the disk is full.
    """
    if os.path.lexists(job.output):
        raise BadClip(f"{job.output} is there already: choose another name.")
    part = job.output.with_name(f".{job.output.name}.part")
    claim = Claim(part, job.output)
    try:
        with writing(job.output):
            make_way(part)
        return _pictures(job, part, aborted) if job.base.files else _video(job, part, aborted)
    finally:
        claim.give_up()


def _pictures(job: Splice, part: Path, aborted: Callable[[], bool]) -> OutputFiles:
    """Kept pictures are linked where the file system can, since nobody writes into them."""
    taken: list[Path] = [job.base.path / name for name in job.base.files]
    for piece in job.pieces:
        _check_place(piece, len(piece.files), len(taken))
        taken[piece.at : piece.at + len(piece.files)] = [piece.path / name for name in piece.files]
    try:
        with writing(job.output):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            for path, name in zip(taken, job.base.files, strict=True):
                _check(aborted)
                _link(path, part / name)
            replace(part, job.output)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return OutputFiles(job.output, list(job.base.files))


def _link(path: Path, twin: Path) -> None:
    if not path.is_file():
        raise BadClip(f"{path} is missing, so there is nothing to take over: make the result again.")
    try:
        os.link(path, twin)
    except OSError:
        shutil.copyfile(path, twin)


def _video(job: Splice, part: Path, aborted: Callable[[], bool]) -> OutputFiles:
    container = CONTAINERS.get(job.output.suffix.lower())
    if container is None:
        raise BadClip(f"Frames of {job.output.name} cannot be replaced one by one: its format builds frames on each other.")
    try:
        with writing(job.output), ExitStack() as opened:
            base = opened.enter_context(_open(job.base.path))
            pieces = [(piece, opened.enter_context(_open(piece.path))) for piece in sorted(job.pieces, key=lambda p: p.at)]
            for _, clip in pieces:
                _compare(clip, base)
            aspect, size = base.streams.video[0].sample_aspect_ratio, (base.streams.video[0].width, base.streams.video[0].height)
            patch = container == "matroska" and bool(aspect) and aspect != 1
            with av.open(str(part), "w", format=container) as made:
                label = timecode_of(base)
                if label is not None:
                    made.metadata["timecode"] = label
                _remux(base, pieces, made, patch, aborted)
            if patch:
                write_pixel_aspect(part, aspect, size)
            replace(part, job.output)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    return OutputFiles(job.output, [job.output.name])


def _open(path: Path) -> av.container.InputContainer:
    try:
        return av.open(str(path))
    except (OSError, av.FFmpegError) as error:
        raise BadClip(f"{path} cannot be read ({error.strerror}): make the result again.") from error


def _compare(piece: av.container.InputContainer, base: av.container.InputContainer) -> None:
    mine, theirs = piece.streams.video[0], base.streams.video[0]
    same = all(getattr(mine, name) == getattr(theirs, name) for name in ("width", "height", "pix_fmt", "average_rate"))
    if not same or mine.codec.name != theirs.codec.name or mine.codec_context.extradata != theirs.codec_context.extradata:
        raise BadClip(f"{piece.name} is not encoded as {base.name} is: the result has to be made again as a whole.")


def _replacements(pieces: list[tuple[Clip, av.container.InputContainer]]) -> Iterator[tuple[int, av.Packet]]:
    """The pieces' packets with the frames of the base that they replace, read as they are needed."""
    for piece, clip in pieces:
        for number, packet in enumerate(_whole(clip.demux(clip.streams.video[0]))):
            yield piece.at + number, packet


def _remux(
    base: av.container.InputContainer,
    pieces: list[tuple[Clip, av.container.InputContainer]],
    made: av.container.OutputContainer,
    patch: bool,
    aborted: Callable[[], bool],
) -> None:
    video = base.streams.video[0]
    targets = {stream.index: made.add_stream_from_template(stream) for stream in (video, *base.streams.audio)}
    # The writer of timecode counts in frames and takes their rate from nowhere else.
    targets[video.index].codec_context.framerate = video.average_rate
    for stream in base.streams.audio:
        targets[stream.index].metadata.update({key: value for key, value in stream.metadata.items() if key in LABELS})
    if patch:
        targets[video.index].metadata["title"] = RESERVE
    replacements, frame = _replacements(pieces), 0
    waiting = next(replacements, None)
    for packet in _whole(base.demux(*[base.streams[index] for index in targets])):
        _check(aborted)
        target = targets[packet.stream_index]
        if target is targets[video.index]:
            if waiting is not None and waiting[0] == frame:
                packet = _with_times_of(packet, waiting[1])
                waiting = next(replacements, None)
            frame += 1
        packet.stream = target
        made.mux_one(packet)
    if waiting is not None:
        raise BadClip(f"{base.name} has {frame} frames and frame {waiting[0]} was to be replaced: make the result again.")


def _whole(packets: Iterable[av.Packet]) -> Iterator[av.Packet]:
    return (packet for packet in packets if packet.size and packet.pts is not None)


def _with_times_of(packet: av.Packet, other: av.Packet) -> av.Packet:
    other.time_base = packet.time_base
    other.pts, other.dts, other.duration = packet.pts, packet.dts, packet.duration
    return other


def _check_place(piece: Clip, count: int, length: int) -> None:
    if not count or piece.at < 0 or piece.at + count > length:
        raise BadClip(f"{piece.path} has {count} frames, which do not fit at frame {piece.at}: make the result again.")


def _check(aborted: Callable[[], bool]) -> None:
    if aborted():
        raise Aborted("Stopped before the end; nothing was written.")

