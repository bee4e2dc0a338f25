"""Downloads that break off, go on, arrive damaged, or are not to be had; pip's words; the builds of PyTorch."""
from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from setup_kit import download, errors, pip_words, serving, torch_builds

Cancelled, SetupError = errors.Cancelled, errors.SetupError
Fetcher, Item, Unreachable = download.Fetcher, download.Item, download.Unreachable
DATA = os.urandom(900_000)


@pytest.fixture
def index(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "big-1.0+cpu-py3-none-any.whl").write_bytes(DATA)
    with serving({"simple": tmp_path / "there"}) as made:
        yield made


def item(index, name: str = "big-1.0%2Bcpu-py3-none-any.whl", data: bytes = DATA) -> Item:
    return Item(f"{index.url('simple')}/{name}", hashlib.sha256(data).hexdigest())


def fetcher(tmp_path: Path, cancelled=lambda: False) -> Fetcher:
    (tmp_path / "here").mkdir(exist_ok=True)
    made = Fetcher(tmp_path / "here", cancelled)
    made.wait = 0.001
    return made


def test_whole_and_once(index, tmp_path):
    one, seen = item(index), []
    assert fetcher(tmp_path).measure([one]) == one.bytes == len(DATA)
    path = fetcher(tmp_path).fetch(one, seen.append)
    assert path.name == "big-1.0+cpu-py3-none-any.whl" and path.read_bytes() == DATA and seen == sorted(seen) and seen[-1] == len(DATA)
    fetcher(tmp_path).fetch(one, seen.append)
    assert len(index.asked) == 1


def test_it_goes_on_while_something_arrives(index, tmp_path):
    """More breaks than tries, each a little further."""
    index.break_after, index.breaks = 100_000, 8
    assert fetcher(tmp_path).fetch(item(index), lambda _: None).read_bytes() == DATA
    assert [where for _, where in index.asked] == [""] + [f"bytes={k}00000-" for k in range(1, 9)]


def test_it_gives_up_and_keeps_what_there_is(index, tmp_path):
    index.break_after, index.breaks = 0, 99
    with pytest.raises(
        Unreachable, match=r"^The connection broke off while downloading big-1.0\+cpu.*install again, and it goes on from there\.$"
    ):
        fetcher(tmp_path).fetch(item(index), lambda _: None)
    index.break_after, index.breaks = 100_000, 1
    with pytest.raises(Cancelled):
        fetcher(tmp_path, lambda: True).fetch(item(index), lambda _: None)
    assert fetcher(tmp_path).kept(item(index)) == 100_000
    index.breaks = 0
    assert fetcher(tmp_path).fetch(item(index), lambda _: None).read_bytes() == DATA
    assert index.asked[-1][1] == "bytes=100000-"


def test_damaged(index, tmp_path):
    with pytest.raises(SetupError, match="arrived damaged and was thrown away"):
        fetcher(tmp_path).fetch(item(index, data=b"other"), lambda _: None)
    assert os.listdir(tmp_path / "here") == []


def test_a_half_that_is_longer_than_the_whole(index, tmp_path):
    (tmp_path / "here").mkdir()
    one = item(index)
    (tmp_path / "here" / f"{one.name}.{one.sha256[:12]}.part").write_bytes(bytes(1_000_000))
    assert fetcher(tmp_path).fetch(one, lambda _: None).read_bytes() == DATA


def test_not_there(index, tmp_path):
    with pytest.raises(Unreachable, match="none-1.0.whl cannot be downloaded: the server answers 404"):
        fetcher(tmp_path).fetch(item(index, "none-1.0.whl"), lambda _: None)


def test_a_file_of_this_machine_is_used_where_it_is(tmp_path):
    path = tmp_path / "with space é.whl"
    path.write_bytes(b"x")
    assert fetcher(tmp_path).fetch(Item(path.as_uri(), ""), lambda _: None) == path


@pytest.mark.parametrize(
    "lines, wheels, words",
    [
        (["OSError: [Errno 28] No space left on device"], "", "The disk with /r is full"),
        (
            ["ERROR: No matching distribution found for scipy>=1.11 (from flow-inpaint)"],
            "/w",
            "The folder /w has no wheel of scipy>=1.11 for Python 3.12",
        ),
        (["ERROR: No matching distribution found for scipy>=1.11"], "", "There is no package scipy>=1.11 for Python 3.12 on this machine"),
        (
            ["WARNING: Retrying (NewConnectionError)", "ERROR: No matching distribution found for av>=14"],
            "",
            "The package index cannot be reached",
        ),
        (["SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]"], "", "The package index cannot be reached"),
        (["PermissionError: [Errno 13] Permission denied: '/r/e1'"], "", "pip may not write in /r"),
        (["ERROR: ResolutionImpossible: for help visit"], "/w", "The packages in /w do not go together"),
        (["what?", "ERROR: Something else.", ""], "", "pip could not install the engine (Something else): /r/install.log has more."),
        ([], "", "pip could not install the engine (it did not say why)"),
    ],
)
def test_what_pip_means(lines, wheels, words):
    text = str(pip_words.explained(lines, Path("/r"), "Python 3.12", wheels))
    assert text.startswith(words) and text.endswith(".") and "\n" not in text


def test_what_a_disk_means():
    assert "is full" in str(errors.about_folder(OSError(errno.ENOSPC, "No space left on device"), Path("/r")))
    assert "Engine Folder" in str(errors.about_folder(OSError(errno.EACCES, "Permission denied"), Path("/r")))


@pytest.mark.parametrize("count, words", [(900, "1 kB"), (353e6, "353 MB"), (2.9e6, "2.9 MB"), (2.89e9, "2.9 GB"), (14e9, "14 GB")])
def test_sizes_for_people(count, words):
    assert errors.size(count) == words


def test_builds_of_torch():
    def names(*machine: str) -> list[str]:
        return [build.name for build in torch_builds.builds(*machine)]

    assert names("linux", "x86_64") == names("win32", "AMD64") == ["none", "cpu", "cuda"]
    assert names("darwin", "arm64") == ["none", "apple"] and names("darwin", "x86_64") == ["none"]
    assert torch_builds.suggested("12.8", "linux", "x86_64") == "cuda" and torch_builds.suggested(None, "linux", "x86_64") == "none"
    assert torch_builds.suggested(None, "darwin", "arm64") == "apple" and torch_builds.suggested("12.8", "darwin", "x86_64") == "none"
    assert torch_builds.build("cuda").sizes("linux") == "about 2.9 GB to download, 9.3 GB on the disk while it installs"


@pytest.mark.parametrize(
    "name, cuda, system, end",
    [
        ("none", None, "linux", None),
        ("apple", None, "darwin", None),
        ("cpu", None, "linux", "cpu"),
        ("cpu", None, "win32", None),
        ("cuda", "13.1", "linux", "cu130"),
        ("cuda", "12.9", "win32", "cu128"),
        ("cuda", "12.4", "linux", "cu126"),
        ("cuda", None, "linux", "cu126"),
    ],
)
def test_where_torch_comes_from(name, cuda, system, end):
    found = torch_builds.index(name, cuda, system)
    assert found == (torch_builds.INDEX + end if end else None)


@pytest.mark.skipif(os.name != "posix", reason="makes a driver out of a shell script")
@pytest.mark.parametrize(
    "said, code, found",
    [
        ("| NVIDIA-SMI 570.86   Driver Version: 570.86   CUDA Version: 12.8     |", 0, "12.8"),
        ("| NVIDIA-SMI 610.1  KMD Version: 610.1  CUDA UMD Version: 13.3  |", 0, "13.3"),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver", 9, None),
    ],
)
def test_what_the_driver_knows(tmp_path, said, code, found):
    (tmp_path / "nvidia-smi").write_text(f'#!/bin/sh\necho "{said}"\nexit {code}\n')
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert torch_builds.nvidia_cuda({"PATH": str(tmp_path)}) == found
    assert torch_builds.nvidia_cuda({"PATH": "/nowhere"}) is None
