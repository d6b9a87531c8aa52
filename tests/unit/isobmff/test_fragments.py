"""Fragments: where samples lie and when they are, however the boxes say it."""

from __future__ import annotations

from array import array

import pytest

from drm.errors import MalformedMediaError, MediaError, TruncatedMediaError
from drm.isobmff.box import encode_box
from drm.isobmff.fragment import NON_SYNC, Tfdt, Tfhd, Trun
from drm.isobmff.movie import Trex

SIZES = [20, 30, 40]
MEDIA = bytes(range(90))


def test_places_times_and_sync_samples(build) -> None:
    # A writer gives either the first sample's flags or a column of them; with both, the first sample's own win.
    columns = array("I", [10, 11, 12]), array("I", SIZES), array("I", [0, NON_SYNC, 0]), array("i", [5, -5, 0])
    run = Trun(3, 0, NON_SYNC, *columns)
    draft = build.moof(encode_box("traf", Tfhd(1).encode(), Tfdt(1000).encode(), run.encode()))
    run = Trun(3, len(draft) + 8, NON_SYNC, *columns)
    init = build.init(build.entry(None))
    moof = build.moof(encode_box("traf", Tfhd(1).encode(), Tfdt(1000).encode(), run.encode()))
    samples = list(build.open(init + moof + encode_box("mdat", MEDIA)).samples(1))
    start = len(init) + len(moof) + 8
    assert [(s.offset - start, s.size) for s in samples] == [(0, 20), (20, 30), (50, 40)]
    assert [(s.dts, s.duration, s.cts_offset) for s in samples] == [(1000, 10, 5), (1010, 11, -5), (1021, 12, 0)]
    assert [s.is_sync for s in samples] == [False, False, True]


def test_without_tfdt_time_goes_on_from_the_fragment_before(build) -> None:
    init = build.init(build.entry(None))
    data = init + build.fragment(MEDIA, SIZES) * 2 + build.fragment(MEDIA, SIZES, Tfdt(500).encode())
    assert [s.dts for s in build.open(data).samples(1)] == [0, 10, 20, 30, 40, 50, 500, 510, 520]


def test_defaults_come_from_tfhd_before_trex(build) -> None:
    init = build.init(build.entry(None), trex=Trex(1, 1, 7, 15, NON_SYNC))
    plain = build.moof(encode_box("traf", Tfhd(1).encode(), Trun(2, -len(MEDIA)).encode()))
    run = Trun(2, -len(plain) - len(MEDIA)).encode()
    own = build.moof(encode_box("traf", Tfhd(1, None, 1, 8, 16, 0).encode(), run))
    found = list(build.open(init + encode_box("mdat", MEDIA) + plain + own).samples(1))
    assert [(s.size, s.duration, s.is_sync) for s in found] == [(15, 7, False)] * 2 + [(16, 8, True)] * 2


@pytest.mark.parametrize("base_is_moof", [True, False])
def test_where_the_second_track_fragment_starts(build, base_is_moof: bool) -> None:
    """default-base-is-moof: both count from the moof. Without it, the second goes on behind the first one's data."""
    init = build.init(build.entry(None), tracks=2)

    def moof(offset: int) -> bytes:
        first = Tfhd(1, base_is_moof=base_is_moof)
        second = Tfhd(2, base_is_moof=base_is_moof)
        return build.moof(
            build.traf(SIZES[:2], offset=offset, tfhd=first),
            build.traf(SIZES[2:], offset=offset + 50 if base_is_moof else None, tfhd=second),
        )

    # Without an offset its run is shorter by four bytes, so the length does not depend on the value.
    head = moof(len(moof(0)) + 8)
    opened = build.open(init + head + encode_box("mdat", MEDIA))
    media = len(init) + len(head) + 8
    assert [s.offset - media for s in opened.samples(1)] == [0, 20]
    assert [s.offset - media for s in opened.samples(2)] == [50]


def test_an_explicit_base_data_offset_wins(build) -> None:
    init = build.init(build.entry(None))
    media = encode_box("mdat", bytes(10) + MEDIA)
    tfhd = Tfhd(1, base_data_offset=len(init) + 8, base_is_moof=False)
    data = init + media + build.moof(build.traf(SIZES, offset=10, tfhd=tfhd))
    with pytest.raises(TruncatedMediaError):
        list(build.open(init + build.moof(build.traf([1 << 20], offset=10, tfhd=tfhd))).samples(1))
    assert next(build.open(data).samples(1)).offset == len(init) + 18


def test_several_runs_follow_one_another(build) -> None:
    init = build.init(build.entry(None))
    runs = Trun(1, -90, None, None, array("I", [20])).encode(), Trun(2, None, None, None, array("I", [30, 40])).encode()
    moof = build.moof(encode_box("traf", Tfhd(1).encode(), *runs))
    found = build.open(init + encode_box("mdat", MEDIA) + moof).samples(1)
    assert [s.offset - len(init) - 8 for s in found] == [0, 20, 50]


def test_a_run_outside_the_file_is_truncated_media(build) -> None:
    whole = build.init(build.entry(None)) + build.fragment(MEDIA, SIZES)
    with pytest.raises(TruncatedMediaError, match="outside the file"):
        list(build.open(whole[:-1]).samples(1))


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_huge_count_in_a_tiny_file_fails_before_anything_is_made(build, size: int) -> None:
    init = build.init(build.entry(None), trex=Trex(1, 1, 7, size))
    data = init + build.moof(encode_box("traf", Tfhd(1).encode(), Trun(0xFFFF_FFFF, 0).encode()))
    with pytest.raises(MediaError):
        next(build.open(data).samples(1))
    data = init + build.moof(encode_box("traf", Tfhd(1).encode(), Trun(100_000, 0).encode()))
    with pytest.raises(MediaError):
        next(build.open(data).samples(1))


def test_a_fragment_holds_two_million_samples_at_most(build) -> None:
    """Samples without a byte cost a file nothing: each bound that is raised lets forty bytes take more memory."""
    init = build.init(build.entry(None), trex=Trex(1, 1, 7, 0))
    data = init + build.moof(encode_box("traf", Tfhd(1).encode(), Trun(2_097_153, 0).encode()))
    with pytest.raises(MalformedMediaError, match="more than 2097152 samples"):
        next(build.open(data).samples(1))


def test_a_run_at_the_first_byte_of_the_file_is_inside_it_and_no_media(build) -> None:
    """The file was not cut: to say so would send its owner to download it again."""
    init = build.init(build.entry(None))
    data = init + build.moof(build.traf([30], offset=-len(init))) + encode_box("mdat", bytes(30))
    with pytest.raises(MalformedMediaError, match="outside the media data") as refused:
        list(build.open(data).samples(1))
    assert "bytes 0 to 30" in refused.value.seen


def test_samples_that_overlap_cannot_keep_the_reader_busy(build) -> None:
    init = build.init(build.entry(None), trex=Trex(1, 1, 7, 1000))
    runs = [Trun(1, -1000).encode()] * 500
    data = init + encode_box("mdat", bytes(1000)) + build.moof(encode_box("traf", Tfhd(1).encode(), *runs))
    with pytest.raises(MalformedMediaError, match="more than the file can hold"):
        list(build.open(data).samples(1))


def test_tracks_in_turn_parse_each_fragment_once(build) -> None:
    init = build.init(build.entry(None), tracks=2)
    fragments = [build.fragment(MEDIA, SIZES, tfhd=Tfhd(1 + n % 2)) for n in range(100)]
    stream = build.Bytes(init + b"".join(fragments))
    from drm.isobmff.samples import open_presentation

    opened = open_presentation(stream)
    stream.reads.clear()
    pairs = list(zip(opened.samples(1), opened.samples(2), strict=True))
    assert len(pairs) == 150
    loads = [read for read in stream.reads if read[1] > 16]
    assert len(loads) == 100
    assert len(set(loads)) == 100


def test_a_track_can_be_read_as_often_as_one_likes(build) -> None:
    opened = build.open(build.init(build.entry(None)) + build.fragment(MEDIA, SIZES) * 20)
    assert list(opened.samples(1)) == list(opened.samples(1))
