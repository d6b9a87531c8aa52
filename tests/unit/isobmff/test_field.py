"""Files from the field whose structure changes what their samples mean: read right, or refused by name."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from struct import pack

import pytest

from drm.app.byte_stream import FileByteStream
from drm.decrypting.file import decrypt_file
from drm.errors import MalformedMediaError, TruncatedMediaError, UnsupportedMediaError
from drm.isobmff.box import encode_box, encode_full_box, top_boxes
from drm.isobmff.fragment import Tfhd, Trun
from drm.isobmff.protection import Frma, Schm, Sinf, Tenc
from drm.isobmff.sample_aux import Senc
from drm.isobmff.sample_group import Sbgp, Seig, Sgpd
from drm.isobmff.samples import open_presentation
from drm.keys import ContentKey, KeyId
from player.digests import digest_tracks
from tests.sample_tables import Stco, Stsc, Stsz, Stts

FIELD = Path(__file__).parents[2] / "data" / "field"
PICTURE = "91da6df112ffcfe320507d1395d1ef35363a829e08d6c2a7042a2aed5c12040d"
KID = KeyId(bytes(range(16)))
CENC = Tenc(KID, 8)
SOUND = "b7e7ee1baf0f4e3adb92046535ecba141cbcfceed2f21ab50b021b25fe512599"


def keys_of(folder: str) -> dict[KeyId, ContentKey]:
    lines = (FIELD / folder / "keys.txt").read_text().split()
    return {KeyId.parse(kid): ContentKey(bytes.fromhex(key)) for kid, key in (line.split(":") for line in lines)}


def digests(folder: str, *files: Path) -> dict[int, str]:
    """SHA-256 of the decrypted samples of each track."""
    keys = keys_of(folder)
    with FileByteStream([str(file) for file in files]) as stream:
        return {found.track_id: found.sha256 for found in digest_tracks(stream, keys, frozenset())[0]}


def parts(film: Path) -> list[tuple[str, bytes]]:
    """The outermost boxes of a file."""
    data = film.read_bytes()
    with FileByteStream([str(film)]) as stream:
        return [(top.type, data[top.start : top.end]) for top in top_boxes(stream)]


def written(folder: Path, boxes: Sequence[bytes]) -> Path:
    (folder / "made.mp4").write_bytes(b"".join(boxes))
    return folder / "made.mp4"


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
    with FileByteStream([str(film)]) as stream, pytest.raises(UnsupportedMediaError, match="a second moov box"):
        open_presentation(stream)


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


# ------------------------------------------------------------------------------------------------ encrypted text
TEXT = FIELD / "encrypted_text"
FIELDS = {
    "stpp": b"http://www.w3.org/ns/ttml\0\0\0", "metx": b"\0urn:x\0\0", "sbtt": b"\0text/vtt\0", "mett": b"\0a/b\0",
    "stxt": b"gzip\0text/plain\0", "tx3g": bytes(30), "wvtt": b"", "mp4s": b"", "abcd": b"\0x\0",
}  # fmt: skip


@pytest.mark.parametrize(("name", "track", "begins"), [("P_stpp_enct", 1, b"cue number"), ("S_tx3g", 3, b"<tt ")])
def test_encrypted_subtitles_are_decrypted(tmp_path: Path, name: str, track: int, begins: bytes) -> None:
    sealed, opened = TEXT / f"{name}.mp4", tmp_path / "opened.mp4"
    decrypt_file(sealed, opened, keys_of("encrypted_text"))
    assert digests("encrypted_text", sealed) == digests("encrypted_text", opened)
    with FileByteStream([str(opened)]) as stream:
        media = open_presentation(stream)
        assert media.sample_entries(track) == (name[2:6],)
        for sample in media.samples(track):
            assert sample.crypto is None
            assert begins in stream.read_at(sample.offset, sample.size)[:120]


def _with_text(build, fields: bytes, sinf: bytes, tenc: Tenc | None = None) -> bytes:
    """One picture, encrypted by `tenc`, and one sample of text in an entry with these fields and boxes."""

    def tables(at: int) -> tuple[bytes, ...]:
        ones = Stts(array("I", [1, 1])), Stsc(array("I", [1, 1, 1])), Stsz(1, 4), Stco(array("I", [at]))
        return tuple(box.encode() for box in ones)

    def moov(at: int) -> bytes:
        picture = build.trak([build.entry(tenc)], *tables(at), track_id=1)
        text = build.trak([encode_box("enct", bytes(8), fields, sinf)], *tables(at + 4), track_id=2)
        return build.moov(picture, text.replace(b"vide", b"text"))

    at = len(moov(0)) + 8
    return moov(at) + encode_box("mdat", b"abcdefgh")


@pytest.mark.parametrize("format_", FIELDS)
def test_each_format_has_its_fields_before_its_boxes(build, format_: str) -> None:
    tenc = Tenc(KID, 0, bytes(16), 0, 0, version=1)
    opened = build.open(_with_text(build, FIELDS[format_], Sinf(Frma(format_), Schm("cenc"), tenc).encode()))
    assert opened.sample_entries(2) == (f"enct/{format_}",)
    assert [s.crypto.key_id for s in opened.samples(2) if s.crypto] == [KID]


@pytest.mark.parametrize(
    "boxes", [Sinf(Frma("stpp"), Schm("abcd")).encode(), b"", b"\xff" * 40], ids=["scheme", "no-sinf", "damage"]
)
def test_text_that_cannot_be_decrypted_takes_no_pictures_with_it(build, tmp_path: Path, boxes: bytes) -> None:
    film = written(tmp_path, [_with_text(build, FIELDS["stpp"], boxes)])
    with FileByteStream([str(film)]) as stream:
        opened = open_presentation(stream)
        assert len(list(opened.samples(1))) == 1
        assert any("track 2: " in warning for warning in opened.warnings)
        assert opened.left_out(2)
        assert not opened.left_out(1)
        with pytest.raises(UnsupportedMediaError, match="track 2"):
            list(opened.samples(2))
    assert list(digests("encrypted_text", film)) == [1]
    with pytest.raises(UnsupportedMediaError, match="track 2"):
        decrypt_file(film, tmp_path / "out.mp4", {})


def test_beside_decrypted_pictures_such_text_stays_encrypted_and_marked_so(build, tmp_path: Path) -> None:
    text = Sinf(Frma("stpp"), Schm("abcd")).encode()
    film = written(tmp_path, [_with_text(build, FIELDS["stpp"], text, Tenc(KID, 0, bytes(16), version=1))])
    done = decrypt_file(film, tmp_path / "out.mp4", {KID: ContentKey(bytes(16))})
    assert "track 2 stays encrypted" in done.warnings
    with FileByteStream([str(tmp_path / "out.mp4")]) as stream:
        media = open_presentation(stream)
        assert media.sample_entries(1) == ("avc1",)
        assert media.sample_entries(2) == ("enct/stpp",)
        assert stream.read_at(stream.size - 4, 4) == b"efgh"
        assert stream.read_at(stream.size - 8, 4) != b"abcd"


# ------------------------------------------------------------------------------------------------ default key ids
OTHER = KeyId(bytes(range(16, 32)))


def test_a_default_key_that_no_sample_uses_is_not_named_for_playback() -> None:
    with FileByteStream([str(FIELD / "default_kid_unused" / "F01.mp4")]) as stream:
        (found,) = open_presentation(stream).streams()
    assert found.key_ids == tuple(keys_of("default_kid_unused"))
    assert found.track.key_ids != found.key_ids


@pytest.mark.parametrize(
    ("runs", "default", "needed"),
    [
        ([3, 1], 0, False),
        ([2, 1], 0, True),
        ([2, 1, 1, 0], 0, True),
        ([2, 1], 1, False),
        (None, 1, False),
        (None, 0, True),
    ],
)
@pytest.mark.parametrize("in_fragment", [True, False])
def test_the_default_key_is_named_when_a_sample_is_in_no_group(
    build, in_fragment: bool, runs: list[int] | None, default: int, needed: bool
) -> None:
    groups = Sgpd((Seig(OTHER, 0, bytes(16)),), default).encode()
    groups += Sbgp(array("I", runs)).encode() if runs else b""
    entry = build.entry(Tenc(KID, 0, bytes(16), version=1))
    if in_fragment:
        data = build.init(entry) + build.fragment(bytes(90), (20, 30, 40), groups)
    else:
        ones = Stts(array("I", [3, 1])), Stsc(array("I", [1, 3, 1])), Stsz(3, 4), Stco(array("I", [0]))
        data = build.moov(build.trak([entry], *(box.encode() for box in ones), stbl=groups))
    (found,) = build.open(data).streams()
    assert found.key_ids == ((KID, OTHER) if needed else (OTHER,))


def test_before_any_sample_is_seen_the_default_key_is_named(build) -> None:
    (found,) = build.open(build.init(build.entry(CENC))).streams()
    assert found.key_ids == (KID,)


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


# ------------------------------------------------------------------------------------------------ compact groups
def csgp(flags: int, *fields: int, version: int = 0, kind: bytes = b"seig") -> bytes:
    """A `csgp` whose fields behind the count of patterns, the first of `fields`, are given as bytes."""
    return encode_full_box("csgp", version, flags, kind, pack(">I", fields[0]), bytes(fields[1:]))


@pytest.mark.parametrize(
    ("box", "groups"),
    [
        (csgp(0, 1, 0x24, 0x12), [1, 2, 1, 2]),  # all fields of four bits: 2 groups over 4 samples
        (csgp(0, 1, 0x32, 0x01, 0x20), [0, 1, 0, 0]),  # 3 groups, of which 2 samples come up, padded; 2 in none
        (csgp(0b01_01_01, 2, 1, 1, 1, 3, 1, 2), [1, 2, 2, 2]),  # of eight bits: two patterns
        (csgp(0b01_01_11, 1, 1, 4, 0, 0, 0, 2), [2, 2, 2, 2]),  # indices of 32 bits
        (csgp(0x80 | 0b01_01_00, 1, 2, 4, 0x91), [0x10001, 1, 0x10001, 1]),  # the highest bit: the fragment's own
        (csgp(0b01_10_01, 1, 1, 0, 4, 2), [2, 2, 2, 2]),  # counts of 16 bits
    ],
)
def test_compact_groups_name_the_group_of_each_sample(build, box: bytes, groups: list[int]) -> None:
    kids = {1: KeyId(b"1" * 16), 2: KeyId(b"2" * 16), 0x10001: KeyId(b"f" * 16), 0: KID}
    whole = Sgpd((Seig(kids[1], 0, bytes(16)), Seig(kids[2], 0, bytes(16)))).encode()
    own = Sgpd((Seig(kids[0x10001], 0, bytes(16)),)).encode()
    init = build.init(build.entry(Tenc(KID, 0, bytes(16), version=1)), stbl=whole)
    opened = build.open(init + build.fragment(bytes(40), (10,) * 4, own, box))
    assert [s.crypto.key_id for s in opened.samples(1) if s.crypto] == [kids[group] for group in groups]


@pytest.mark.parametrize(
    ("box", "error", "says"),
    [
        (csgp(0, 1, 0x24, 0x12, version=1), UnsupportedMediaError, "version 1"),
        (csgp(0, 0xFFFF_FFFF, 0x24), MalformedMediaError, "patterns"),
        (csgp(0, 1, 0xF4, 0x12), MalformedMediaError, "group indices"),
        (csgp(0, 1, 0x04), MalformedMediaError, "names no group"),
    ],
)
def test_what_compact_groups_cannot_mean_is_refused(build, box: bytes, error: type[Exception], says: str) -> None:
    init = build.init(build.entry(CENC), stbl=Sgpd((Seig(KID, 8),)).encode())
    with pytest.raises(error, match=says):
        list(build.open(init + build.fragment(bytes(40), (10,) * 4, box)).samples(1))


def test_a_version_that_is_not_known_is_refused_before_playback(build) -> None:
    init = build.init(build.entry(CENC), stbl=Sgpd((Seig(KID, 8),)).encode())
    opened = build.open(init + build.fragment(bytes(40), (10,) * 4, csgp(0, 1, 0x24, 0x12, version=1)))
    with pytest.raises(UnsupportedMediaError, match="csgp box is of version 1"):
        opened.streams()


def test_other_groups_are_passed_over_and_unknown_ones_named(build) -> None:
    boxes = csgp(0, 1, 0x24, 0x12, kind=b"roll"), csgp(0, 1, 0x24, 0x12, kind=b"abcd")
    opened = build.open(build.init(build.entry(None)) + build.fragment(bytes(40), (10,) * 4, *boxes))
    assert len(list(opened.samples(1))) == 4
    assert opened.warnings == ("track 1: sample groups of type abcd are not known here",)


def test_compact_groups_of_a_decrypted_file_are_gone(build, tmp_path: Path) -> None:
    whole = Sgpd((Seig(OTHER, 0, bytes(16)),)).encode()
    init = build.init(build.entry(Tenc(KID, 0, bytes(16), version=1)), stbl=whole)
    film = written(tmp_path, [init + build.fragment(bytes(64), (16,) * 4, csgp(0, 1, 0x14, 0x10))])
    decrypt_file(film, tmp_path / "out.mp4", {OTHER: ContentKey(bytes(16))})
    assert b"csgp" not in (tmp_path / "out.mp4").read_bytes()


def test_a_still_image_is_called_one() -> None:
    with pytest.raises(UnsupportedMediaError, match=r"still image \(HEIF\)") as refused:
        digests("heif", FIELD / "heif" / "HEIF.heic")
    assert "some of them protected" in refused.value.seen
