"""Pictures of a video are gone when nobody wants them, and do not wait for the garbage collector: at 4K it comes by too late."""
from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from flow_inpaint import pipeline
from flow_inpaint.job import ClipSpec, Job
from flow_inpaint.media import open_source, video_reader
from footage import encode


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive(kind: type) -> int:
    return sum(isinstance(thing, kind) for thing in gc.get_objects())


@pytest.mark.parametrize(("codec", "pixel_format"), [("libx264", "yuv420p"), ("ffv1", "yuv422p10le")])
def test_pictures_that_were_read_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_collector: None, codec: str, pixel_format: str
) -> None:
    # Pictures as small as these would be kept on purpose.
    monkeypatch.setattr(video_reader, "_CACHE_BYTES", 0)
    clip = encode(tmp_path / "a.mkv", 40, codec=codec, pixel_format=pixel_format)
    before, most = alive(av.VideoFrame), 0
    with open_source(ClipSpec(clip)) as source:
        for picture in source.read(0, 39):
            assert picture.rgb.any()
            most = max(most, alive(av.VideoFrame) - before)
    assert most < 15


def test_nothing_of_a_job_is_left_when_it_is_done(tmp_path: Path, no_collector: None) -> None:
    """Its decoders would sit on their pictures until much later."""
    clip = encode(tmp_path / "a.mp4", 12)
    document = {"source": {"path": str(clip)}, "mask": {"rectangle": [40, 24, 10, 10]}, "output": {"path": str(tmp_path / "b.mkv")}}
    pipeline.run(Job.from_document(document))
    assert alive(av.VideoFrame) == alive(av.container.InputContainer) == alive(av.container.OutputContainer) == 0
