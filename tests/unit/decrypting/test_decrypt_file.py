"""Decrypting to a file: what we encrypted comes back, in every layout, and what fails leaves nothing behind."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drm import forked_work
from drm.decrypting import window_writer
from drm.decrypting.file import decrypt_file
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.encrypting.source_file import SourceFile
from drm.errors import InvalidArgumentError, KeyMissingError, MalformedMediaError, MediaError
from drm.isobmff.samples import open_presentation
from drm.media import Scheme, TrackType

VIDEO, AUDIO = TrackType.VIDEO, TrackType.AUDIO
Packets = Callable[..., dict[str, list[bytes]]]


@pytest.fixture
def sealed(tmp_path: Path, clips: Any, keys: Any) -> Path:
    """A fragmented file, both tracks encrypted as cenc."""
    return encrypted(tmp_path / "sealed.mp4", clips(fragmented=True), keys)


def encrypted(path: Path, clear: Path, keys: Any, scheme: Scheme = Scheme.CENC, **settings: Any) -> Path:
    tracks = {VIDEO: TrackEncryption(*keys[0], **settings), AUDIO: TrackEncryption(*keys[1])}
    encrypt_file(clear, path, scheme=scheme, tracks=tracks)
    return path


# ------------------------------------------------------------------------------------------------ there and back
@pytest.mark.parametrize("fragmented", [True, False], ids=["fragmented", "progressive"])
@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("settings", [{}, {"clear_lead": 0.6}], ids=["", "clear lead"])
def test_what_we_encrypt_comes_back(
    tmp_path: Path, clips: Any, keys: Any, by_ffmpeg: Packets, by_us: Packets, fragmented: bool, scheme: Scheme,
    settings: Any,
) -> None:  # fmt: skip
    clear, target = clips(fragmented=fragmented, slices=3), tmp_path / "clear.mp4"
    source = encrypted(tmp_path / "sealed.mp4", clear, keys, scheme, **settings)
    decrypt_file(source, target, dict(keys))
    assert by_us(target) == by_ffmpeg(target) == by_ffmpeg(clear)
    assert target.stat().st_size == source.stat().st_size
    whole = target.read_bytes()
    assert not [mark for mark in (b"encv", b"enca", b"sinf", b"senc", b"saiz", b"saio", b"pssh") if mark in whole]


def test_only_named_boxes_and_protected_bytes_change(sealed: Path, tmp_path: Path, keys: Any) -> None:
    target = tmp_path / "clear.mp4"
    decrypt_file(sealed, target, dict(keys))
    before, after = sealed.read_bytes(), target.read_bytes()
    allowed = bytearray(len(before))
    with SourceFile(sealed) as source:
        opened = open_presentation(source)
        for track in opened.tracks:
            for sample in opened.samples(track.track_id):
                allowed[sample.offset : sample.offset + sample.size] = b"\1" * sample.size
    for at, (old, new) in enumerate(zip(before, after, strict=True)):
        if old != new and not allowed[at]:
            assert {after[at - back : at - back + 4] for back in range(4)} & {b"free", b"avc1", b"mp4a"}, at


def test_a_file_that_is_not_encrypted_is_copied(tmp_path: Path, clips: Any) -> None:
    for fragmented in (True, False):
        clear, target = clips(fragmented=fragmented), tmp_path / "copy.mp4"
        told = decrypt_file(clear, target, {})
        assert not told.is_encrypted
        assert target.read_bytes() == clear.read_bytes()


@pytest.mark.parametrize("fragmented", [True, False], ids=["fragmented", "progressive"])
@pytest.mark.parametrize(
    ("name", "other"), [(b"schm\0\0\0\0cenc", b"schm\0\0\0\0adkm"), (b"hdlr", b"free"), (b"sinf", b"free")]
)
def test_what_is_encrypted_in_an_unknown_way_is_not_taken_for_clear(
    tmp_path: Path, clips: Any, keys: Any, fragmented: bool, name: bytes, other: bytes
) -> None:
    source = encrypted(tmp_path / "sealed.mp4", clips(fragmented=fragmented), keys)
    source.write_bytes(source.read_bytes().replace(name, other))
    with pytest.raises(MediaError):
        decrypt_file(source, tmp_path / "clear.mp4", dict(keys))
    assert [path.name for path in tmp_path.iterdir()] == ["sealed.mp4"]


def test_a_file_may_take_its_own_place(sealed: Path, clips: Any, keys: Any, by_us: Packets) -> None:
    decrypt_file(sealed, sealed, dict(keys), in_place=True)
    assert by_us(sealed) == by_us(clips(fragmented=True))
    assert [path.name for path in sealed.parent.iterdir()] == [sealed.name]


def test_a_link_keeps_pointing_to_the_file(sealed: Path, tmp_path: Path, keys: Any) -> None:
    target, link = tmp_path / "real.mp4", tmp_path / "link.mp4"
    target.write_bytes(b"old")
    link.symlink_to(target)
    decrypt_file(sealed, link, dict(keys))
    assert link.is_symlink()
    assert target.stat().st_size == sealed.stat().st_size


def test_progress_reaches_the_end(sealed: Path, tmp_path: Path, keys: Any) -> None:
    size = sealed.stat().st_size
    seen: list[tuple[int, int]] = []
    for fast in (True, False):
        seen.clear()
        decrypt_file(sealed, tmp_path / "clear.mp4", dict(keys), fast=fast, progress=lambda *at: seen.append(at))
        assert seen[-1] == (size, size)
        assert seen == sorted(seen)


def test_a_large_sample_and_small_windows_make_no_difference(
    sealed: Path, tmp_path: Path, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, again = tmp_path / "a.mp4", tmp_path / "b.mp4"
    decrypt_file(sealed, target, dict(keys))
    for window in (1, 1000, 70_000):
        monkeypatch.setattr(window_writer, "WINDOW", window)
        decrypt_file(sealed, again, dict(keys), fast=False, jobs=2)
        assert again.read_bytes() == target.read_bytes()


# ------------------------------------------------------------------------------------------------ odd orders
def test_samples_that_are_not_stored_in_order(tmp_path: Path, clips: Any, keys: Any, by_us: Packets) -> None:
    """Chunks swapped in stco and in the file: decode order runs against file order."""
    clear = clips(fragmented=False, sound=False)
    source, target = tmp_path / "sealed.mp4", tmp_path / "clear.mp4"
    encrypt_file(clear, source, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})
    data = bytearray(source.read_bytes())
    swap_chunks(data)
    source.write_bytes(data)
    assert by_us(source, keys[0]) == by_us(clear)
    decrypt_file(source, target, dict(keys), jobs=3)
    assert by_us(target) == by_us(clear)


def swap_chunks(data: bytearray) -> None:
    """Put the file's last sample, a chunk of its own by then, before all others: stsc 1:1, stco by sample."""
    with_samples = _stored(data)
    stsz = data.index(b"stsz")
    assert struct.unpack_from(">I", data, stsz + 8)[0] == 0
    sizes = [size for _, size in with_samples]
    first = with_samples[0][0]
    bodies = [bytes(data[offset : offset + size]) for offset, size in with_samples]
    order = [len(sizes) - 1, *range(len(sizes) - 1)]
    at, offsets = first, {}
    for number in order:
        data[at : at + sizes[number]] = bodies[number]
        offsets[number] = at
        at += sizes[number]
    stco = b"".join(struct.pack(">I", offsets[number]) for number in range(len(sizes)))
    new_stco = struct.pack(">I4sII", 16 + len(stco), b"stco", 0, len(sizes)) + stco
    new_stsc = struct.pack(">I4sIIIII", 28, b"stsc", 0, 1, 1, 1, 1)
    _into_moov_behind(data, new_stsc, new_stco)


def _stored(data: bytearray) -> list[tuple[int, int]]:
    class Memory:
        name, size = "memory", len(data)

        def read_at(self, offset: int, size: int) -> bytes:
            return bytes(data[offset : offset + size])

    opened = open_presentation(Memory())
    return [(sample.offset, sample.size) for sample in opened.samples(opened.tracks[0].track_id)]


def _into_moov_behind(data: bytearray, new_stsc: bytes, new_stco: bytes) -> None:
    """Move `moov` behind the media, with these two boxes instead of its own, and leave free space where it was."""
    start = data.index(b"moov") - 4
    size = struct.unpack_from(">I", data, start)[0]
    moov = bytearray(data[start : start + size])
    data[start + 4 : start + 8] = b"free"
    for name, new in ((b"stsc", new_stsc), (b"stco", new_stco)):
        at = moov.index(name) - 4
        old = struct.unpack_from(">I", moov, at)[0]
        moov[at : at + old] = new
        for parent in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            place = moov.index(parent) - 4
            struct.pack_into(">I", moov, place, struct.unpack_from(">I", moov, place)[0] + len(new) - old)
    # saio points at senc, absolutely.
    senc, saio = moov.index(b"senc") + 12, moov.index(b"saio") + 12
    struct.pack_into(">I", moov, saio, len(data) + senc)
    data += moov


def test_samples_that_overlap_are_refused(tmp_path: Path, clips: Any, keys: Any) -> None:
    """The sound's chunk offsets moved onto the pictures: which of the two those bytes are, nobody can say."""
    source = encrypted(tmp_path / "sealed.mp4", clips(fragmented=False), keys)
    data = bytearray(source.read_bytes())
    first, second = (at + 12 for at in _places(data, b"stco"))
    data[second : second + 4] = data[first : first + 4]
    source.write_bytes(data)
    with pytest.raises(MalformedMediaError, match="overlap"):
        decrypt_file(source, tmp_path / "clear.mp4", dict(keys))
    assert [path.name for path in tmp_path.iterdir()] == ["sealed.mp4"]


def test_samples_outside_the_media_data_are_refused(tmp_path: Path, clips: Any, keys: Any) -> None:
    """A chunk that lies in moov: decrypting it in place would spoil the tables that are being read."""
    source = encrypted(tmp_path / "sealed.mp4", clips(fragmented=False), keys)
    data = bytearray(source.read_bytes())
    at = _places(data, b"stco")[0] + 12
    struct.pack_into(">I", data, at, data.index(b"moov"))
    source.write_bytes(data)
    with pytest.raises(MalformedMediaError, match="outside the media data"):
        decrypt_file(source, tmp_path / "clear.mp4", dict(keys))


def _places(data: bytearray, name: bytes) -> list[int]:
    found, at = [], data.find(name)
    while at >= 0:
        found.append(at)
        at = data.find(name, at + 1)
    return found


# ------------------------------------------------------------------------------------------------ failure
def test_a_missing_key_is_named_before_anything_is_written(sealed: Path, keys: Any) -> None:
    (video, key), (audio, _) = keys
    with pytest.raises(KeyMissingError, match=str(audio)) as missing:
        decrypt_file(sealed, sealed.with_name("clear.mp4"), {video: key})
    assert missing.value.kids == (str(audio),)
    assert [path.name for path in sealed.parent.iterdir()] == [sealed.name]


def test_a_truncated_file_leaves_the_old_output_alone(sealed: Path, tmp_path: Path, keys: Any) -> None:
    whole, target = sealed.read_bytes(), tmp_path / "clear.mp4"
    target.write_bytes(b"old")
    for end in (*range(0, 3000, 97), len(whole) // 2, len(whole) - 1):
        sealed.write_bytes(whole[:end])
        with pytest.raises(MediaError):
            decrypt_file(sealed, target, dict(keys), jobs=2)
        assert target.read_bytes() == b"old"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["clear.mp4", "sealed.mp4"]


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("fast", [True, False])
def test_a_full_disk_leaves_nothing(
    sealed: Path, tmp_path: Path, keys: Any, monkeypatch: pytest.MonkeyPatch, jobs: int, fast: bool
) -> None:
    real, room = os.pwrite, [1]

    def pwrite(target: int, data: memoryview, offset: int) -> int:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        return real(target, data, offset)

    monkeypatch.setattr(forked_work.os, "pwrite", pwrite)
    with pytest.raises(OSError, match="No space left") as failed:
        decrypt_file(sealed, tmp_path / "clear.mp4", dict(keys), jobs=jobs, fast=fast)
    assert failed.value.filename == str(tmp_path / "clear.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["sealed.mp4"]


def test_short_writes_are_continued(sealed: Path, tmp_path: Path, keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    decrypt_file(sealed, tmp_path / "a.mp4", dict(keys))
    real = os.pwrite
    monkeypatch.setattr(forked_work.os, "pwrite", lambda target, data, offset: real(target, data[:999], offset))
    decrypt_file(sealed, tmp_path / "b.mp4", dict(keys))
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()


def test_a_worker_that_dies_is_replaced_by_its_parent(
    sealed: Path, tmp_path: Path, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by the kernel for memory, say: its share is done again, and the file is whole."""
    decrypt_file(sealed, tmp_path / "a.mp4", dict(keys))
    parent, real = os.getpid(), os.pwrite

    def pwrite(target: int, data: memoryview, offset: int) -> int:
        if os.getpid() != parent:
            os.kill(os.getpid(), 9)
        return real(target, data, offset)

    monkeypatch.setattr(window_writer, "WINDOW", 20_000)
    monkeypatch.setattr(forked_work.os, "pwrite", pwrite)
    decrypt_file(sealed, tmp_path / "b.mp4", dict(keys), jobs=3, fast=False)
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()


def test_only_a_regular_file_is_replaced(sealed: Path, tmp_path: Path, keys: Any) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for target in (pipe, tmp_path, tmp_path / "no" / "folder.mp4"):
        with pytest.raises(OSError) as refused:
            decrypt_file(sealed, target, dict(keys))
        assert refused.value.filename == str(target)
    assert pipe.is_fifo()


def test_a_pipe_is_not_waited_for(tmp_path: Path, keys: Any) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidArgumentError, match="regular"):
        decrypt_file(tmp_path / "pipe", tmp_path / "clear.mp4", dict(keys))


# ------------------------------------------------------------------------------------------------ the control
def test_the_keys_matter(sealed: Path, tmp_path: Path, keys: Any, clips: Any, by_us: Packets) -> None:
    """With the two keys exchanged the same bytes are written to, and other samples come out."""
    (video, one), (audio, other) = keys
    decrypt_file(sealed, tmp_path / "clear.mp4", {video: other, audio: one})
    noise, clear = by_us(tmp_path / "clear.mp4"), by_us(clips(fragmented=True))
    assert all(noise[kind] != clear[kind] for kind in clear)
    assert [len(part) for part in noise["video"]] == [len(part) for part in clear["video"]]
