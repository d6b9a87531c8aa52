"""Fragments of our own: what a track says of itself comes out byte for byte, or is refused by name."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from struct import pack
from typing import Any

import pytest

from drm.encrypting.box_tree import BoxTree
from drm.encrypting.settings import TrackEncryption
from drm.encrypting.source_file import SourceFile
from drm.errors import UnsupportedMediaError
from drm.isobmff.box import load_box, top_boxes
from drm.isobmff.samples import open_presentation
from drm.media import Scheme, TrackType
from drm.packaging.fragmenter import FragmentedTrack
from drm.packaging.package import package_file

DATA = Path(__file__).parents[2] / "data"
FIELD = DATA / "field"
CLEAR = sorted((DATA / "vectors" / "clear").glob("*.mp4"))
ODD = [
    FIELD / "package_drops" / "D_p5.mp4",
    FIELD / "package_drops" / "JOC.mp4",
    FIELD / "package_language" / "lang.mp4",
]


def movie_of(source: Any) -> BoxTree:
    return BoxTree.parse(load_box(source, next(top for top in top_boxes(source) if top.type == "moov")))


def trak_of(moov: BoxTree, track_id: int) -> BoxTree:
    return next(trak for trak in moov.all("trak") if track_id in _ids(trak))


def _ids(trak: BoxTree) -> set[int]:
    payload = trak.one("tkhd").payload
    return {int.from_bytes(payload[20:24] if payload[0] else payload[12:16], "big")}


def with_movie(path: Path, target: Path, change: Callable[[BoxTree], None]) -> Path:
    """The file with a changed `moov` at its end; where the old one stood is free space, so that no sample moves."""
    with SourceFile(path) as source:
        moov = movie_of(source)
        place = next(top for top in top_boxes(source) if top.type == "moov")
    change(moov)
    data = bytearray(path.read_bytes())
    data[place.start + 4 : place.start + 8] = b"free"
    target.write_bytes(bytes(data) + moov.encode())
    return target


def fragmented(path: Path, folder: Path, seconds: float = 0.5) -> list[tuple[Path, int]]:
    """A file for each track of picture or sound of `path`: the file, and the track's id in the source."""
    made = []
    with SourceFile(path) as source:
        for track in open_presentation(source).tracks:
            if track.type is TrackType.OTHER:
                continue
            target = folder / f"{path.stem}-{track.track_id}.mp4"
            descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            FragmentedTrack(source, track, seconds).write(descriptor)
            os.close(descriptor)
            made.append((target, track.track_id))
    return made


def shown(path: Path, track_id: int) -> list[tuple[Any, ...]]:
    """Each sample: when it is decoded and shown, for how long, whether it is a sync sample, and its bytes."""
    with SourceFile(path) as source:
        opened = open_presentation(source)
        track = next(track for track in opened.tracks if track.track_id == track_id)
        start = track.edits[0].media_time if track.edits else 0
        return [
            (s.dts, s.dts + s.cts_offset - start, s.duration, s.is_sync, s.description_index,
             bytes(source.read(s.offset, s.size)))
            for s in opened.samples(track_id)
        ]  # fmt: skip


@pytest.mark.parametrize("path", [*CLEAR, *ODD], ids=lambda path: path.stem)
def test_sample_entries_languages_and_samples_come_out_as_they_were(tmp_path: Path, path: Path) -> None:
    made = fragmented(path, tmp_path)
    assert made
    for target, track_id in made:
        with SourceFile(path) as before, SourceFile(target) as after:
            old, new = trak_of(movie_of(before), track_id), trak_of(movie_of(after), 1)
            stsd = ("mdia", "minf", "stbl", "stsd")
            assert new.one(*stsd).payload == old.one(*stsd).payload
            assert new.one("mdia", "mdhd").payload[-4:] == old.one("mdia", "mdhd").payload[-4:], "the language"
            assert [box.payload for box in new.all("udta")] == [box.payload for box in old.all("udta")]
            assert [box.payload for box in new.all("mdia", "hdlr")] == [box.payload for box in old.all("mdia", "hdlr")]
        assert shown(target, 1) == shown(path, track_id)


@pytest.mark.parametrize("clip", [{}, {"fragmented": True}], ids=["progressive", "fragmented"])
def test_ffmpeg_reads_the_same_packets(tmp_path: Path, clips: Callable[..., Path], by_ffmpeg: Any, clip: Any) -> None:
    path = clips(**clip)
    read = [by_ffmpeg(target) for target, _ in fragmented(path, tmp_path)]
    assert {kind: data for each in read for kind, data in each.items()} == by_ffmpeg(path)


def test_a_segment_begins_with_a_sync_sample_once_its_time_is_over(tmp_path: Path, clips: Callable[..., Path]) -> None:
    """The clip has a key frame each half second (15 of 30), and a second and a half."""
    for seconds, segments in ((0.5, 3), (0.55, 3), (0.6, 2), (4.0, 1)):
        target, _ = fragmented(clips(), tmp_path, seconds)[0]
        with SourceFile(target) as source:
            moofs = [BoxTree.parse(load_box(source, top)) for top in top_boxes(source) if top.type == "moof"]
        assert len(moofs) == segments, seconds
        flags = [int.from_bytes(moof.one("traf", "trun").payload[20:24], "big") for moof in moofs]
        assert not any(flag & 0x10000 for flag in flags), "a segment begins with no sync sample"


def test_it_reads_like_the_file_that_it_stands_for(tmp_path: Path, clips: Callable[..., Path]) -> None:
    target, track_id = fragmented(clips(), tmp_path)[0]
    whole = target.read_bytes()
    draw = random.Random(7)
    with SourceFile(clips()) as source:
        track = next(track for track in open_presentation(source).tracks if track.track_id == track_id)
        made = FragmentedTrack(source, track, 0.5)
        assert made.size == len(whole)
        for _ in range(400):
            at = draw.randrange(len(whole))
            size = draw.choice((1, 8, 16, 100, 5000, len(whole)))
            assert made.read_at(at, size) == whole[at : at + size]
        assert made.read_at(len(whole), 1) == b""


def test_dependencies_and_groups_of_samples_are_kept(tmp_path: Path, clips: Callable[..., Path]) -> None:
    """`sdtp` becomes the flags of samples, `sbgp` goes to each fragment."""
    with SourceFile(clips()) as source:
        track = next(track for track in open_presentation(source).tracks if track.type is TrackType.VIDEO)
        count = sum(1 for _ in open_presentation(source).samples(track.track_id))
    told = bytes(number % 4 << 2 for number in range(count))

    def change(moov: BoxTree) -> None:
        stbl = trak_of(moov, track.track_id).one("mdia", "minf", "stbl")
        stbl.children = [box for box in stbl.children if box.type not in {"sdtp", "sgpd", "sbgp"}]
        stbl.children += [
            BoxTree.full("sdtp", 0, 0, told),
            BoxTree.full("sgpd", 1, 0, b"roll", pack(">II", 2, 1), b"\xff\xff"),
            BoxTree.full("sbgp", 0, 0, b"roll", pack(">I4I", 2, 20, 0, count - 20, 1)),
        ]

    path = with_movie(clips(), tmp_path / "told.mp4", change)
    target, _ = fragmented(path, tmp_path)[0]
    flags, groups = [], []
    with SourceFile(target) as source:
        assert [box.payload[4:8] for box in movie_of(source).all("trak", "mdia", "minf", "stbl", "sgpd")] == [b"roll"]
        for top in top_boxes(source):
            if top.type != "moof":
                continue
            traf = BoxTree.parse(load_box(source, top)).one("traf")
            rows = traf.one("trun").payload[12:]
            flags += [int.from_bytes(rows[at + 8 : at + 12], "big") for at in range(0, len(rows), 16)]
            boxes = [box.payload for box in traf.all("sbgp")] or [pack(">8xIII", 1, len(rows) // 16, 0)]
            for box in boxes:
                for at in range(12, len(box), 8):
                    groups += [int.from_bytes(box[at + 4 : at + 8], "big")] * int.from_bytes(box[at : at + 4], "big")
    assert [flag >> 20 for flag in flags] == list(told)
    assert groups == [0] * 20 + [1] * (count - 20)


# ------------------------------------------------------------------------------------------------ what is refused
def edited(path: Path, target: Path, *rows: tuple[int, int, int]) -> Path:
    """The file with another edit list of its first track: duration, media time, rate."""

    def change(moov: BoxTree) -> None:
        elst = BoxTree.full("elst", 0, 0, pack(">I", len(rows)), *(pack(">IiI", *row) for row in rows)).encode()
        trak = next(moov.all("trak"))
        trak.children = [box for box in trak.children if box.type != "edts"]
        trak.children.insert(1, BoxTree("edts", elst))

    return with_movie(path, target, change)


@pytest.mark.parametrize(
    ("rows", "seen"),
    [
        ([(500, -1, 0x10000), (500, 0, 0x10000), (500, 1000, 0x10000)], "0.500 s of nothing"),
        ([(500, 0, 0x10000), (500, 0, 0x10000)], "0.500 s from 0.000 s, 0.500 s from 0.000 s"),
        ([(0, 0, 0x20000)], "to the end"),
        ([(500, 0, 0x10000), (500, -1, 0x10000)], "of nothing"),
    ],
    ids=["three", "twice", "rate", "nothing-last"],
)
def test_edits_that_players_would_not_follow_are_named(
    tmp_path: Path, clips: Callable[..., Path], keys: Any, rows: list[tuple[int, int, int]], seen: str
) -> None:
    path = edited(clips(), tmp_path / "edited.mp4", *rows)
    with pytest.raises(UnsupportedMediaError, match="edit list") as refused:
        package_file(path, tmp_path / "out", tracks=_all(keys), license_url="http://localhost/license")
    assert seen in refused.value.seen
    assert list((tmp_path / "out").iterdir()) == []


def test_the_edits_of_the_field_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMediaError, match="edit list") as refused:
        package_file(FIELD / "package_edits" / "EDc.mp4", tmp_path / "out")
    assert refused.value.seen.count(" s from ") == 2


def test_one_that_begins_later_and_one_that_ends_earlier(tmp_path: Path, clips: Callable[..., Path]) -> None:
    with SourceFile(clips()) as source:
        track = open_presentation(source).tracks[0]
    begin = track.edits[0].media_time
    late = edited(clips(), tmp_path / "late.mp4", (track.movie_timescale // 2, -1, 0x10000), (0, begin, 0x10000))
    target, _ = fragmented(late, tmp_path)[0]
    with SourceFile(target) as source:
        opened = open_presentation(source)
        first = min(sample.dts + sample.cts_offset for sample in opened.samples(1))
        assert (Fraction(first, track.timescale), opened.tracks[0].edits) == (Fraction(1, 2), ())
    short = edited(clips(), tmp_path / "short.mp4", (track.movie_timescale // 2, begin, 0x10000))
    package = package_file(short, tmp_path / "out")
    assert any("ends the presentation" in note for note in package.notes)
    with SourceFile(tmp_path / "out" / "video.mp4") as source:
        assert open_presentation(source).tracks[0].edits, "kept, for whoever follows it"


def test_a_gap_in_decode_times_is_refused(tmp_path: Path, clips: Callable[..., Path]) -> None:
    data = bytearray(clips(fragmented=True).read_bytes())
    last = data.rindex(b"tfdt")
    data[last + 11] ^= 0x40  # version 0 or 1: a byte of the time, not its lowest
    (tmp_path / "gap.mp4").write_bytes(data)
    with pytest.raises(UnsupportedMediaError, match="gap"):
        package_file(tmp_path / "gap.mp4", tmp_path / "out")


# ------------------------------------------------------------------------------------------------ packages
def _all(keys: Any) -> Any:
    return lambda tracks: {track.track_id: TrackEncryption(*keys[0]) for track in tracks}


@pytest.mark.parametrize("scheme", [Scheme.CENC, Scheme.CBCS])
@pytest.mark.parametrize("path", ODD, ids=lambda path: path.stem)
def test_packages_of_the_field_decrypt_to_the_clear_samples(
    tmp_path: Path, by_us: Any, keys: Any, path: Path, scheme: Scheme
) -> None:
    package = package_file(
        path, tmp_path / "out", scheme=scheme, tracks=_all(keys), license_url="http://localhost/license"
    )
    for rendition in package.renditions:
        with SourceFile(path) as source:
            track_id = _source_id(rendition.file_name, open_presentation(source).tracks)
        (data,) = by_us(tmp_path / "out" / rendition.file_name, keys[0]).values()
        clear = [row[-1] for row in shown(path, track_id)]
        assert list(data) == clear
        assert rendition.scheme is scheme


def _source_id(name: str, tracks: Any) -> int:
    if "-" in name:
        return int(name.partition("-")[2].partition(".")[0])
    return next(track.track_id for track in tracks if name.startswith(track.type.value))


def test_languages_stand_in_every_manifest(tmp_path: Path) -> None:
    package_file(FIELD / "package_language" / "lang.mp4", tmp_path / "out")
    mpd = (tmp_path / "out" / "manifest.mpd").read_text()
    assert 'lang="deu"' in mpd
    assert 'lang="fra"' in mpd
    playlist = (tmp_path / "out" / "shaka.m3u8").read_text()
    assert 'LANGUAGE="deu"' in playlist
    assert 'LANGUAGE="fra"' in playlist


def test_the_clear_track_is_written_nowhere(
    tmp_path: Path, clips: Callable[..., Path], keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file that is there at any step, in the target's folder or put aside, holds a clear sample."""
    with SourceFile(clips()) as source:
        opened = open_presentation(source)
        clear = [bytes(source.read(s.offset, s.size)) for s in opened.samples(opened.tracks[0].track_id) if s.size > 64]
    held = []

    def look(_done: int, _all: int) -> None:
        held.extend(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # whatever is put aside for a moment is put here
    package_file(clips(), tmp_path / "out", tracks=_all(keys), license_url="http://localhost/license", progress=look)
    assert held
    assert not [data for data in held for sample in clear if sample in data]


def test_a_recording_that_begins_anywhere_begins_at_zero(tmp_path: Path, clips: Callable[..., Path]) -> None:
    """Each track ten seconds later: what a recorder of a live stream writes."""
    data = bytearray(clips(fragmented=True).read_bytes())
    with SourceFile(clips(fragmented=True)) as source:
        scales = {track.track_id: track.timescale for track in open_presentation(source).tracks}
    at = -1
    while (at := data.find(b"tfdt", at + 1)) >= 0:
        tfhd = data.rindex(b"tfhd", 0, at)
        size = 8 if data[at + 4] else 4
        time = int.from_bytes(data[at + 8 : at + 8 + size], "big")
        time += 10 * scales[int.from_bytes(data[tfhd + 8 : tfhd + 12], "big")]
        data[at + 8 : at + 8 + size] = time.to_bytes(size, "big")
    (tmp_path / "later.mp4").write_bytes(data)
    package_file(tmp_path / "later.mp4", tmp_path / "out")
    package_file(clips(fragmented=True), tmp_path / "sooner")
    for name in ("video.mp4", "audio.mp4"):
        assert shown(tmp_path / "out" / name, 1) == shown(tmp_path / "sooner" / name, 1)
