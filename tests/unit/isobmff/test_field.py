"""Files from the field whose structure changes what their samples mean: read right, or refused by name."""

from __future__ import annotations

from array import array
from dataclasses import replace
from pathlib import Path
from struct import pack

import pytest

from drm.app.byte_stream import FileByteStream
from drm.errors import MalformedMediaError, TruncatedMediaError, UnsupportedMediaError
from drm.isobmff.box import encode_box
from drm.isobmff.fragment import Tfhd, Trun
from drm.isobmff.protection import Tenc
from drm.isobmff.sample_aux import Senc
from drm.isobmff.sample_group import Sbgp, Seig, Sgpd
from drm.isobmff.samples import open_presentation
from tests.sample_tables import Stco, Stsc, Stsz, Stts
from tests.unit.isobmff.field_files import CENC, FIELD, KID, PICTURE, SOUND, digests, parts, written

# ------------------------------------------------------------------------------------------------ one movie box
MOVED = FIELD / "second_moov"


@pytest.mark.parametrize(
    "files",
    [["CC2.mp4"], ["cc_i1.mp4", "cc_sA.m4s", "cc_i2.mp4", "cc_sB.m4s"], ["cc_i1.mp4", "cc_i2.mp4", "cc_sB.m4s"]],
    ids=["one-file", "four-files", "two-inits"],
)
def test_another_movie_box_is_refused_by_name(files: list[str]) -> None:
    with pytest.raises(UnsupportedMediaError, match="a second moov box") as refused:
        digests("second_moov", *(MOVED / name for name in files))
    at = refused.value.where.rpartition(" ")[2]
    joined = b"".join((MOVED / name).read_bytes() for name in files)
    assert joined[int(at) + 4 :].startswith(b"moov")
    assert "EXT-X-MAP" in refused.value.maybe


def test_a_movie_box_that_is_repeated_is_harmless(tmp_path: Path) -> None:
    """As recorders write it before each segment; siblings: each period by itself."""
    first = digests("second_moov", MOVED / "cc_i1.mp4", MOVED / "cc_sA.m4s")
    again = digests("second_moov", MOVED / "cc_i1.mp4", MOVED / "cc_i1.mp4", MOVED / "cc_sA.m4s")
    assert first == again
    assert first != digests("second_moov", MOVED / "cc_i2.mp4", MOVED / "cc_sB.m4s")


def test_another_movie_box_behind_one_without_fragments_is_refused_at_once(build, tmp_path: Path) -> None:
    film = written(tmp_path, [build.moov(build.trak([build.entry(None)])), build.init(build.entry(None))])
    with FileByteStream([str(film)]) as stream:
        opened = open_presentation(stream)
        assert (opened.pssh, len(opened.tracks)) == ((), 1)  # for whoever looks at boxes and not at media
        for read in (opened.streams, lambda: list(opened.samples(1)), opened.streams):
            with pytest.raises(UnsupportedMediaError, match="a second moov box"):
                read()


# ------------------------------------------------------------------------------------------------ no mvex
def test_fragments_that_nothing_announces_are_read() -> None:
    assert digests("no_mvex", FIELD / "no_mvex" / "T_notrex.mp4") == {1: PICTURE}


@pytest.mark.parametrize(
    ("lacks", "told"), [("sizes", Tfhd(1, duration=10)), ("durations", Tfhd(1, size=16)), ("sizes and", Tfhd(1))]
)
def test_what_such_fragments_leave_to_defaults_is_named(build, tmp_path: Path, lacks: str, told: Tfhd) -> None:
    draft = build.moof(encode_box("traf", told.encode(), Trun(3, 0).encode()))
    moof = build.moof(encode_box("traf", told.encode(), Trun(3, len(draft) + 8).encode()))
    film = written(tmp_path, [build.moov(build.trak([build.entry(None)])), moof, encode_box("mdat", bytes(48))])
    with FileByteStream([str(film)]) as stream, pytest.raises(MalformedMediaError, match=f"does not say the {lacks}"):
        list(open_presentation(stream).samples(1))


# ------------------------------------------------------------------------------------------------ too many entries
def test_of_too_many_entries_those_count_that_saiz_and_saio_name() -> None:
    assert digests("surplus_senc", FIELD / "surplus_senc" / "F36d.mp4") == {2: SOUND}


def test_entries_of_earlier_fragments_come_first(tmp_path: Path) -> None:
    """What FFmpeg 8.1 writes: saiz counts them too. Without the first fragment nothing tells, and that is said."""
    film = FIELD.parent / "vectors" / "generated" / "ff_cenc_frag_av.mp4"
    with FileByteStream([str(film)]) as stream:
        opened = open_presentation(stream)
        ivs = [sample.crypto.iv for sample in opened.samples(2) if sample.crypto]
        assert "the last ones" in " ".join(opened.warnings)
    assert len(ivs) == len(set(ivs)) == 142
    boxes = [data for _, data in parts(film)]
    first = next(n for n, (kind, _) in enumerate(parts(film)) if kind == "moof")
    cut = written(tmp_path, boxes[:first] + boxes[first + 2 :])
    with FileByteStream([str(cut)]) as stream, pytest.raises(MalformedMediaError, match="nothing tells which") as told:
        list(open_presentation(stream).samples(2))
    assert "from the first one on" in told.value.remedy


@pytest.mark.parametrize("begins", [True, False], ids=["surplus-behind", "surplus-before"])
def test_without_saiz_the_entries_decide_that_fill_their_samples(build, begins: bool) -> None:
    own = [(bytes((n,)) * 8, [(4, size - 4)]) for n, size in enumerate((20, 30, 40), 1)]
    other = [(bytes(8), [(4, 7)])]
    box = Senc.pack(own + other if begins else other + own, with_subsamples=True).encode()
    opened = build.open(build.init(build.entry(CENC)) + build.fragment(bytes(90), (20, 30, 40), box))
    assert [s.crypto.iv[0] for s in opened.samples(1) if s.crypto] == [1, 2, 3]
    assert f"the {'first' if begins else 'last'} ones" in opened.warnings[0]


def test_too_many_entries_of_which_none_fit_are_refused(build) -> None:
    box = Senc.pack([(bytes(8), [(4, 7)])] * 4, with_subsamples=True).encode()
    opened = build.open(build.init(build.entry(CENC)) + build.fragment(bytes(90), (20, 30, 40), box))
    with pytest.raises(MalformedMediaError, match="too many entries, and none fit"):
        list(opened.samples(1))


@pytest.mark.parametrize("kind", ["senc", "piff", "sgpd", "sbgp"])
def test_two_boxes_about_the_same_samples_are_refused(build, kind: str) -> None:
    bare = [(bytes((n,)) * 8, []) for n in range(3)]
    senc = Senc.pack(bare, with_subsamples=False)
    box = {
        "senc": senc.encode(),
        "piff": replace(senc, is_piff=True).encode(),
        "sgpd": Sgpd((Seig(KID, 8),)).encode(),
        "sbgp": Sbgp(array("I", [3, 0])).encode(),
    }[kind]
    opened = build.open(build.init(build.entry(CENC)) + build.fragment(bytes(90), (20, 30, 40), box, box))
    with pytest.raises(MalformedMediaError, match=r"a second (senc|uuid|sgpd|sbgp) box about encryption in one traf"):
        list(opened.samples(1))


# ------------------------------------------------------------------------------------------------ sizes of IVs
def test_the_size_that_the_ivs_have_is_named() -> None:
    with pytest.raises(MalformedMediaError, match="longer than their sample") as refused:
        digests("iv_size", FIELD / "iv_size" / "F06.mp4")
    assert refused.value.maybe == "tenc, or the sample group, says IVs of 16 bytes, and the IVs in senc have 8"


@pytest.mark.parametrize(("told", "real"), [(8, 16), (16, 8)])
@pytest.mark.parametrize("subsamples", [False, True])
def test_the_size_is_named_for_ivs_of_every_form(build, told: int, real: int, subsamples: bool) -> None:
    entries = [(bytes(real), [(4, size - 4)]) for size in (20, 30, 40)]
    box = Senc.pack(entries, with_subsamples=subsamples).encode()
    opened = build.open(build.init(build.entry(Tenc(KID, told))) + build.fragment(bytes(90), (20, 30, 40), box))
    with pytest.raises(MalformedMediaError) as refused:
        list(opened.samples(1))
    assert f"says IVs of {told} bytes, and the IVs in senc have {real}" in refused.value.maybe


def test_no_size_is_named_when_none_fits(build) -> None:
    box = Senc.pack([(bytes(5), [])] * 3, with_subsamples=False).encode()
    opened = build.open(build.init(build.entry(CENC)) + build.fragment(bytes(90), (20, 30, 40), box))
    with pytest.raises(MalformedMediaError) as refused:
        list(opened.samples(1))
    assert "IVs in senc" not in refused.value.maybe


# ------------------------------------------------------------------------------------------------ outside media data
@pytest.mark.parametrize("tenc", [None, CENC], ids=["clear", "encrypted"])
@pytest.mark.parametrize("base", [0, -8, 40], ids=["in-moov", "in-the-header", "beyond-mdat"])
def test_a_stale_base_data_offset_is_refused_and_no_key_is_blamed(build, tenc: Tenc | None, base: int) -> None:
    init = build.init(build.entry(tenc))
    senc = Senc.pack([(bytes((n,)) * 8, []) for n in range(3)], with_subsamples=False).encode()
    at = len(init) + 8 + base if base else 40
    moof = build.moof(build.traf((20, 30, 40), senc, offset=0, tfhd=Tfhd(1, base_data_offset=at, base_is_moof=False)))
    opened = build.open(init + encode_box("mdat", bytes(90)) + moof)
    with pytest.raises(MalformedMediaError, match="outside the media data") as refused:
        list(opened.samples(1))
    assert "base_data_offset" in refused.value.maybe


def test_each_sample_of_a_table_lies_in_media_data(build) -> None:
    def film(at: int) -> bytes:
        table = Stts(array("I", [2, 1])), Stsc(array("I", [1, 1, 1])), Stsz(2, 4), Stco(array("I", [100, at]))
        moov = build.moov(build.trak([build.entry(None)], *(box.encode() for box in table)))
        assert len(moov) > 100
        return moov.replace(pack(">I", 100), pack(">I", len(moov) + 8)) + encode_box("mdat", bytes(8))

    good = len(film(100)) - 4
    assert len(list(build.open(film(good)).samples(1))) == 2
    for at in (good - 12, 30):
        with pytest.raises(MalformedMediaError, match="outside the media data"):
            list(build.open(film(at)).samples(1))


def test_a_cut_last_box_of_media_data_gives_what_is_left(build) -> None:
    data = build.init(build.entry(None)) + build.fragment(bytes(90), (20, 30, 40)) * 2
    samples = build.open(data[:-1]).samples(1)
    assert [next(samples).size for _ in range(3)] == [20, 30, 40]
    with pytest.raises(TruncatedMediaError, match="outside the file"):
        next(samples)


# ------------------------------------------------------------------------------------------------ something else
def test_a_still_image_is_called_one() -> None:
    with pytest.raises(UnsupportedMediaError, match=r"still image \(HEIF\)") as refused:
        digests("heif", FIELD / "heif" / "HEIF.heic")
    assert "some of them protected" in refused.value.seen
