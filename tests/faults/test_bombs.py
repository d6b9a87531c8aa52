"""Small files that ask for a great deal: the worker stays inside its memory, says so in one paragraph, and is gone."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from drm.worker_memory import DEFAULT_MEMORY, private_share
from tests.faults import bombs
from tests.interop.command import Ran, descendants, gone_within, is_one_paragraph

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can show what memory a locked worker has")

LONG = 60.0  # seconds, on a machine that is busy; each takes one or two
LIBRARIES = 128  # MiB: pages of programs and libraries, which every process shares

BOMBS: dict[str, Callable[[Path], Path]] = {
    "picture-larger-than-its-entry": lambda folder: bombs.pictures_larger_than_the_entry_says(folder / "film.mp4"),
    "vp9-jump-in-mid-play": lambda folder: bombs.vp9_jump(folder / "film.webm"),
    "av1-jump-in-mid-play": lambda folder: bombs.av1_jump(folder / "film.webm"),
    "sample-count": lambda folder: _altered(folder, b"stsz", 8, b"\xff\xff\xff\xff"),
    "constant-sample-size": lambda folder: _altered(folder, b"stsz", 4, b"\x7f\xff\xff\xff"),
    "sample-size": lambda folder: _altered(folder, b"stsz", 12, b"\x7f\xff\xff\xff"),
    "run-count": lambda folder: _altered(folder, b"trun", 4, b"\xff\xff\xff\xff", fragmented=True),
    "many-tracks": lambda folder: bombs.many_tracks(folder / "film.mp4", 250),
    "deep-boxes": lambda folder: bombs.deep(folder / "film.mp4"),
    "webm-tracks-size": lambda folder: _webm(folder, b"\x16\x54\xae\x6b"),
    "webm-cluster-size": lambda folder: _webm(folder, b"\x1f\x43\xb6\x75"),
}
MAY_PLAY = {"many-tracks"}  # with the container read in the worker there are no rings, and small tracks are only small


def _altered(folder: Path, name: bytes, offset: int, value: bytes, *, fragmented: bool = False) -> Path:
    return bombs.altered(bombs.film(folder / "film.mp4", fragmented=fragmented), name, offset, value)


def _webm(folder: Path, element: bytes) -> Path:
    """The size of an element is as large as a size can be."""
    path = bombs.webm(folder / "film.webm")
    data = path.read_bytes()
    at = data.index(element) + len(element)
    length = 9 - data[at].bit_length()
    path.write_bytes(data[:at] + struct.pack(">Q", (1 << 56) | (1 << 55)) + data[at + length :])
    return path


@dataclass
class Watched:
    """What a command came to, and the most that its worker was seen to have, in KiB."""

    ran: Ran
    most: dict[str, int] = field(default_factory=dict)
    workers: set[int] = field(default_factory=set)
    limits: set[tuple[str, str]] = field(default_factory=set)


def watched(clearkey, *words: object) -> Watched:
    process = clearkey.start(*words)
    found = Watched(Ran(0, "", "", 0.0))
    looks = 0
    try:
        while True:
            try:
                out, err = process.communicate(timeout=0.01)
                break
            except subprocess.TimeoutExpired:
                looks += 1
                assert looks < LONG * 100, "it does not end"
                if not found.workers or looks % 20 == 0:
                    found.workers |= {pid for pid, line in descendants(process.pid).items() if "channel=" in line}
                for pid in found.workers:
                    _look(pid, found)
        found.ran = Ran(process.returncode, out, err, 0.0)
        return found
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=10)


def _look(pid: int, found: Watched) -> None:
    try:
        status, limits = Path(f"/proc/{pid}/status").read_text(), Path(f"/proc/{pid}/limits").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return
    seen = {name: int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", status, re.MULTILINE)}
    seen["used"] = seen.get("RssAnon", 0) + seen.get("RssShmem", 0)
    for name, size in seen.items():
        found.most[name] = max(found.most.get(name, 0), size)
    if "Seccomp:\t2" in status:
        found.limits |= set(re.findall(r"^Max (data size|open files) +(\S+) ", limits, re.MULTILINE))


def stays_inside(found: Watched, memory: int) -> None:
    """It had no more than `memory` MiB, and nothing is left of it."""
    assert found.most.get("used", 0) <= memory << 10, found.most
    assert found.most.get("VmHWM", 0) <= (memory + LIBRARIES) << 10, found.most
    for pid in found.workers:
        assert gone_within(pid, 10), "the worker outlives the command"
    expected = {("data size", str(private_share(memory))), ("open files", "1024")}
    assert found.limits <= expected


@pytest.mark.parametrize("reader", ["application", "worker"])
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_costs_little(clearkey, tmp_path: Path, name: str, reader: str) -> None:
    path = BOMBS[name](tmp_path)
    assert path.stat().st_size < 2 << 20, "a bomb is small"
    words = ["--remote-source"] if reader == "worker" else []
    found = watched(clearkey, "play", path, *words)
    stays_inside(found, DEFAULT_MEMORY)
    assert "Traceback" not in found.ran.said
    if found.ran.code == 0:
        assert name in MAY_PLAY
        return
    assert found.ran.code == 3, found.ran.err
    assert is_one_paragraph(found.ran), found.ran.err


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: bombs.pictures_larger_than_the_entry_says(folder / "film.mp4"),
        lambda folder: bombs.vp9_jump(folder / "film.webm"),
        lambda folder: bombs.av1_jump(folder / "film.webm"),
        lambda folder: bombs.many_tracks(folder / "film.mp4", 250),
    ],
    ids=["h264", "vp9", "av1", "tracks"],
)
def test_what_takes_memory_is_called_that_and_the_option_is_named(clearkey, tmp_path: Path, make) -> None:
    ran = clearkey("play", make(tmp_path), timeout=LONG)
    assert (ran.code, "E-MEDIA-MEMORY" in ran.err) == (3, True), ran.err
    assert "--worker-memory 2048" in ran.err


def test_memory_that_ends_inside_a_decoder_is_one_error_and_more_of_it_plays_the_file(clearkey, tmp_path: Path) -> None:
    """Each picture is allowed; what is refused is the memory for those that are referred to."""
    path = bombs.pictures_that_all_stay(tmp_path / "film.mp4")
    found = watched(clearkey, "play", path, "--worker-memory", 256)
    stays_inside(found, 256)
    assert found.limits, "a worker that runs out was looked at"
    assert (found.ran.code, "E-MEDIA-MEMORY" in found.ran.err) == (3, True), found.ran.err
    assert "--worker-memory 512" in found.ran.err
    assert is_one_paragraph(found.ran)
    assert clearkey("play", path, timeout=LONG).code == 0


@pytest.mark.parametrize("memory", ["255", "65537", "much"])
def test_a_limit_that_is_none_is_a_mistake_of_usage(clearkey, tmp_path: Path, memory: str) -> None:
    assert clearkey("play", bombs.film(tmp_path / "film.mp4"), "--worker-memory", memory).code == 2


@pytest.mark.parametrize("channels", [255, 65535])
def test_sound_that_says_it_has_very_many_channels(clearkey, tmp_path: Path, channels: int) -> None:
    """In the sample entry; FFmpeg believes what the sound itself says."""
    path = _altered(tmp_path, b"mp4a", 4 + 16 - 4, struct.pack(">H", channels))
    found = watched(clearkey, "play", path)
    stays_inside(found, DEFAULT_MEMORY)
    assert found.ran.code in {0, 3}, found.ran.err
    assert "Traceback" not in found.ran.said


def test_subsamples_that_say_they_are_very_many(clearkey, film, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film.files[0].read_bytes())
    found = watched(clearkey, "play", bombs.altered(path, b"senc", 16, b"\xff\xff"), "--key", ":".join(film.keys[0]))
    stays_inside(found, DEFAULT_MEMORY)
    assert found.ran.code == 3, found.ran.err
