"""The sample table is read by windows: what is long comes as what is short does, and no count allocates anything."""

from __future__ import annotations

from array import array
from itertools import islice, pairwise
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.errors import MalformedMediaError, MediaError, TruncatedMediaError
from drm.isobmff import samples as samples_module
from drm.isobmff.box import TopBox, encode_box, encode_full_box, top_boxes
from drm.isobmff.file_reader import FileReader, open_box
from drm.isobmff.read_budget import ReadBudget
from drm.isobmff.reader import Reader
from drm.isobmff.sample_table import TABLES, SampleTable
from drm.isobmff.samples import MP4Presentation, open_presentation
from drm.isobmff.table import WINDOW, Numbers, spread
from drm.media import ByteSource
from tests.long_films import DURATION, SIZES, write_film
from tests.sample_tables import Ctts, Stco, Stsc, Stss, Stsz, Stts

BIG = 1 << 40
MANY = 40_000  # samples: more than two windows of any table
WHOLE = {
    "stts": Stts(array("I", [2, 512, 1, 511])).encode(),
    "stsc": Stsc(array("I", [1, 1, 1, 2, 2, 1])).encode(),
    "stsz": Stsz(3, 0, array("I", [1, 0, 1 << 20])).encode(),
    "stco": Stco(array("Q", [1, BIG])).encode(),
    "ctts": Ctts(array("i", [2, -512, 1, 3])).encode(),
    "stss": Stss(array("I", [1, 3])).encode(),
}


def opened(**boxes: bytes | None) -> SampleTable:
    found = [Reader(box).next_box() for box in (WHOLE | boxes).values() if box is not None]
    return SampleTable({TABLES[box.type]: box for box in found}, Reader(encode_box("trak")).next_box())


def sizes(table: SampleTable) -> list[int]:
    return [size for batch in table.batches(ReadBudget(1 << 50), "here") for size in batch.sizes]


# ------------------------------------------------------------------------------------------------ each table
def test_the_tables_joined() -> None:
    table = opened()
    (batch,) = table.batches(ReadBudget(1 << 50), "here")
    assert batch == ([1, BIG, BIG], [1, 0, 1 << 20], 1, 1)
    assert [each[:2] for each in table.batches(ReadBudget(1 << 50), "here", by_chunk=True)] == [
        ([1], [1]),
        ([BIG, BIG], [0, 1 << 20]),
    ]
    assert list(table.times("here")) == [(0, -512, True), (512, -512, False), (1024, 3, True)]
    assert list(islice(table.durations("here"), 3)) == [512, 512, 511]
    with pytest.raises(MalformedMediaError, match="stts ends before"):
        list(islice(table.durations("here"), 4))


@pytest.mark.parametrize("kind", WHOLE)
def test_a_table_cut_short_is_refused(kind: str) -> None:
    whole = WHOLE[kind]
    for size in range(8, len(whole)):
        with pytest.raises(MalformedMediaError):
            opened(**{kind: size.to_bytes(4, "big") + whole[4:size]})


@pytest.mark.parametrize("kind", [*WHOLE, "stz2", "stco32"])
def test_a_huge_count_in_a_tiny_table_fails_at_once(kind: str) -> None:
    head = {"stsz": bytes(4), "stz2": b"\0\0\0\x10"}.get(kind, b"") + b"\xff" * 4 + bytes(24)
    name = {"stco": "co64", "stco32": "stco"}.get(kind, kind)
    with pytest.raises(MalformedMediaError) as refused:
        opened(**{TABLES[name]: encode_full_box(name, 0, 0, head)})
    assert name in refused.value.what
    assert name in refused.value.where


@pytest.mark.parametrize("kind", ["stts", "stsc", "stsz", "stco"])
def test_a_table_that_is_not_there_is_named(kind: str) -> None:
    with pytest.raises(MalformedMediaError, match=f"lacks the {kind} box"):
        opened(**{kind: None})


def test_compact_and_constant_sizes() -> None:
    def stz2(width: int, count: int, data: bytes) -> bytes:
        return encode_full_box("stz2", 0, 0, bytes(3), bytes((width,)), count.to_bytes(4, "big"), data)

    assert sizes(opened(stsz=stz2(4, 3, b"\x12\x30"))) == [1, 2, 3]
    assert sizes(opened(stsz=stz2(8, 2, b"\x12\x30"))) == [0x12, 0x30]
    assert sizes(opened(stsz=stz2(16, 1, b"\x12\x30"))) == [0x1230]
    assert sizes(opened(stsz=Stsz(3, 77).encode())) == [77] * 3
    assert sizes(opened(stsz=Stsz(0).encode())) == []
    with pytest.raises(MalformedMediaError, match="fields of 5 bits"):
        opened(stsz=stz2(5, 1, b"\x12"))


def test_sync_samples_in_any_order_while_they_are_few() -> None:
    flags = opened(stss=Stss(array("I", [3, 1, 3])).encode()).sync_flags("here")
    assert list(islice(flags, 4)) == [True, False, True, False]
    many = array("I", range(1, 100_001))
    assert all(islice(opened(stss=Stss(many).encode()).sync_flags("here"), len(many)))
    many[70_000] = 1
    for numbers, right in ((many, 70_000), (array("I", [0, 1]), 0)):
        flags = opened(stss=Stss(numbers).encode()).sync_flags("here")
        assert all(islice(flags, right))
        with pytest.raises(MalformedMediaError, match="do not rise"):
            next(flags)


def test_batches_are_small_whatever_the_chunks_are() -> None:
    for per_chunk, chunks in ((MANY, 1), (1, MANY), (1000, 40)):
        table = opened(
            stsz=Stsz(MANY, 0, array("I", range(MANY))).encode(),
            stsc=Stsc(array("I", [1, per_chunk, 1])).encode(),
            stco=Stco(array("I", range(chunks))).encode(),
        )
        batches = list(table.batches(ReadBudget(1 << 50), "here"))
        assert max(len(batch.sizes) for batch in batches) < 2048
        assert [size for batch in batches for size in batch.sizes] == list(range(MANY))


def test_first_chunks_must_rise_behind_a_window_too() -> None:
    rows = array("I", [number for first in range(1, 10_001) for number in (first, 1, 1)])
    opened(stsc=Stsc(rows).encode())
    rows[3 * 4096] = 4096  # the first one of the second window
    with pytest.raises(MalformedMediaError, match="rise"):
        opened(stsc=Stsc(rows).encode())


def test_numbers_are_a_sequence() -> None:
    rows = Reader(b"".join(number.to_bytes(4, "big") for number in range(MANY)))
    numbers = Numbers(rows)
    assert len(numbers) == MANY
    assert list(numbers) == list(range(MANY))
    assert (numbers[MANY - 1], list(numbers[7:9])) == (MANY - 1, [7, 8])
    assert len(list(numbers.windows())) == 4 * MANY // WINDOW + 1
    assert list(islice(spread(Numbers(Reader(b"\0\0\0\2\xff\xff\xff\xff")), "i"), 3)) == [-1, -1]


# ------------------------------------------------------------------------------------------------ in the file
def unheld(source: ByteSource, top: TopBox) -> Reader:
    return open_box(source, top, held=0)


def read(source: ByteSource) -> object:
    """Everything that is told of a file, as values."""
    try:
        opened = open_presentation(source)
        tracks = {track.track_id: list(opened.samples(track.track_id)) for track in opened.tracks}
    except MediaError as error:
        return error.to_dict()
    return opened.tracks, opened.pssh, opened.streams(), tracks, opened.warnings


def test_what_stays_in_the_file_is_read_as_what_is_held(own_vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted(own_vectors.glob("*/*.mp4"))
    with monkeypatch.context() as patched:
        patched.setattr(samples_module, "open_box", unheld)
        found = [read(FileByteStream(path)) for path in paths]
    assert len(paths) > 20
    assert found == [read(FileByteStream(path)) for path in paths]


@pytest.fixture(scope="module", params=[True, False], ids=["senc", "saio"])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MP4Presentation:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_film(path, MANY, senc=request.param, reordered=request.param)
    stream = FileByteStream(path)
    (moov,) = (top for top in top_boxes(stream) if top.type == "moov")
    assert isinstance(unheld(stream, moov), FileReader)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(samples_module, "open_box", unheld)
        return open_presentation(stream)


def test_every_sample_of_a_long_film(film: MP4Presentation) -> None:
    found = list(film.samples(1))
    assert [each.size for each in found] == list(SIZES) * (MANY // 2)
    assert all(a.offset + a.size == b.offset for a, b in pairwise(found))
    assert [each.dts for each in found] == list(range(0, MANY * DURATION, DURATION))
    assert [int.from_bytes(each.crypto.iv, "big") for each in found if each.crypto] == [n << 8 for n in range(MANY)]
    assert {each.crypto and each.crypto.subsamples for each in found} == {((16, 32),)}
    reordered = {each.cts_offset for each in found} != {0}
    assert [each.is_sync for each in found] == [not (reordered and n % 50) for n in range(MANY)]
    assert [each.cts_offset for each in found] == ([2 * DURATION, -DURATION] if reordered else [0, 0]) * (MANY // 2)
    assert list(film.times(1)) == [(each.dts, each.cts_offset, each.is_sync) for each in found]


@pytest.mark.parametrize("start", [1, 511, 512, 513, 20_001, MANY - 1, MANY, MANY + 7])
def test_samples_from_the_middle_on(film: MP4Presentation, start: int) -> None:
    assert list(islice(film.samples(1, start), 600)) == list(islice(film.samples(1), start, start + 600))


def test_a_long_box_is_not_taken_whole(build) -> None:
    data = build.moov(encode_box("free", bytes(17 << 20)), build.trak([build.entry(None)]))
    stream = build.Bytes(data)
    assert [track.track_id for track in open_presentation(stream).tracks] == [1]
    assert sum(size for _, size in stream.reads) < 1 << 20
    (moov,) = (top for top in top_boxes(stream) if top.type == "moov")
    (free,) = (box for box in open_box(stream, moov).boxes() if box.type == "free")
    with pytest.raises(MalformedMediaError, match="in one piece") as refused:
        free.rest()
    assert refused.value.where.startswith("moov/free at byte ")


def test_a_file_that_becomes_shorter_is_truncated(build) -> None:
    stream = build.Bytes(build.moov(encode_box("free", bytes(2 << 20)), build.trak([build.entry(None)])))
    whole, stream.data = stream.data, stream.data[: 1 << 20]
    with pytest.raises(TruncatedMediaError, match="became shorter"):
        open_presentation(stream)
    assert len(whole) == stream.size
