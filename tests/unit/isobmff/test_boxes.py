"""Every box survives the round trip, and every truncation of it is refused, not misread."""

from __future__ import annotations

from array import array

import pytest

from drm.errors import MalformedMediaError
from drm.isobmff.box import Box
from drm.isobmff.fragment import Tfdt, Tfhd, Trun
from drm.isobmff.movie import Elst, Hdlr, Mdhd, Mehd, Mvhd, Tkhd, Trex
from drm.isobmff.protection import Frma, PiffTenc, Schm, Sinf, Tenc
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.reader import Reader
from drm.isobmff.sample_aux import Saio, Saiz, Senc
from drm.isobmff.sample_group import Sbgp, Seig, SeigKey, Sgpd
from drm.keys import KeyId, SystemId
from drm.media import Edit, TrackType

KID = KeyId(bytes(range(16)))
OTHER = KeyId(bytes(range(16, 32)))
CBCS = Tenc(KID, 0, bytes(range(16)), 1, 9, version=1)
BIG = 1 << 40
SEIG = Seig(OTHER, 0, bytes(range(8)), 1, 9)

BOXES: list[Box] = [
    Pssh.common(KID, OTHER),
    Pssh(SystemId(bytes(16)), data=b"opaque", version=0),
    Frma("avc1"),
    Schm("cbcs"),
    Tenc(KID, 8),
    Tenc(KID, 0, is_protected=False),
    CBCS,
    PiffTenc(1, 8, KID),
    Saiz.of([16, 16, 16]),
    Saiz(3, 0, b"\x10\x00\x16", "cenc"),
    Saio((4096,)),
    Saio((BIG, 3), "cbcs", 7, version=1),
    Sgpd((SEIG, Seig(KID, 8), Seig(KID, 0, is_protected=False))),
    Sgpd((SEIG,), default_index=1),
    Sgpd((Seig(KID, 8, keys=(SeigKey(KID, 8), SeigKey(OTHER, 0, bytes(16)))),)),
    Sbgp(array("I", [3, 1, 2, 65537])),
    Mvhd(1000, 9),
    Mvhd(1000, BIG),
    Tkhd(3, 500, 1920, 1080),
    Tkhd(3, BIG),
    Mdhd(48000, 3, "deu"),
    Mdhd(48000, BIG),
    Elst((Edit(5, -1), Edit(0, 1024))),
    Elst((Edit(BIG, 3),)),
    Mehd(7),
    Mehd(BIG),
    Trex(1, 2, 3, 4, 5),
    Tfhd(1),
    Tfhd(1, BIG, 2, 3, 4, 5, base_is_moof=False, duration_is_empty=True),
    Tfhd(1, size=7),
    Tfdt(9),
    Tfdt(BIG),
    Trun(3),
    Trun(2, -8, 5, array("I", [1, 2]), array("I", [3, 4]), array("I", [5, 6]), array("i", [-7, 8])),
    Trun(2, 8, None, None, array("I", [3, 4]), None, array("i", [0, -1])),
]

# What stands last in these runs to the end of the box, so a shorter box is another value, and none that is broken.
OPEN_ENDED: list[Box] = [
    Schm("cenc", uri=b"urn:x\0"),
    Senc.pack([(bytes(8), [(5, 32), (0, 16)]), (bytes(8), [])], with_subsamples=True),
    Senc(1, bytes(8), has_subsamples=False, is_piff=True),
    Senc(1, bytes(16), has_subsamples=False, is_piff=True, override=(1, 16, KID)),
    Sinf(Frma("mp4a"), Schm("cbcs"), CBCS),
    Sinf(Frma("mp4a"), Schm("piff"), PiffTenc(1, 8, KID)),
    Hdlr("vide"),
]


def parse(kind: type[Box], data: bytes) -> Box:
    return kind.parse(Reader(data).next_box())


def shortened(whole: bytes, size: int) -> bytes:
    """The box cut to `size` bytes and honest about it."""
    return size.to_bytes(4, "big") + whole[4:size]


def ident(box: Box) -> str:
    return type(box).__name__


@pytest.mark.parametrize("box", BOXES + OPEN_ENDED, ids=ident)
def test_a_box_survives_the_round_trip(box: Box) -> None:
    assert parse(type(box), box.encode()) == box


@pytest.mark.parametrize("box", BOXES + OPEN_ENDED, ids=ident)
def test_a_box_cut_short_is_refused(box: Box) -> None:
    whole = box.encode()
    for end in range(len(whole)):
        with pytest.raises(MalformedMediaError):
            parse(type(box), whole[:end])


@pytest.mark.parametrize("box", BOXES, ids=ident)
def test_a_box_whose_fields_do_not_fit_into_its_size_is_refused_not_misread(box: Box) -> None:
    whole = box.encode()
    for size in range(8, len(whole)):
        with pytest.raises(MalformedMediaError):
            assert parse(type(box), shortened(whole, size)) != box


@pytest.mark.parametrize("kind", [Sbgp, Sgpd, Saio, Saiz, Elst, Trun, Pssh])
def test_a_huge_count_in_a_tiny_box_fails_at_once(kind: type[Box]) -> None:
    group = b"seig" if kind in {Sbgp, Sgpd} else b""
    count = b"\xff" * 4
    heads = {
        Saiz: bytes(5) + count,
        Trun: b"\x00\x00\x0f\x00" + count,
        Pssh: b"\x01\0\0\0" + bytes(16) + count,
        Sgpd: b"\x01\0\0\0" + group + bytes(4) + count,
    }
    payload = heads.get(kind, bytes(4) + group + count) + bytes(24)
    data = (8 + len(payload)).to_bytes(4, "big") + kind.TYPE.encode() + payload
    with pytest.raises(MalformedMediaError) as refused:
        parse(kind, data)
    assert kind.TYPE in refused.value.what
    assert kind.TYPE in refused.value.where


def test_tenc_has_no_constant_iv_when_it_does_not_protect() -> None:
    # One byte that some writers leave behind: it must not be read as the length of an IV.
    data = Tenc(KID, 0, is_protected=False).encode()
    assert parse(Tenc, shortened(data + b"\x10", len(data) + 1)) == Tenc(KID, 0, is_protected=False)


def test_a_pattern_in_tenc_version_0_is_reserved_bits() -> None:
    data = bytearray(Tenc(KID, 8).encode())
    data[13] = 0x19
    assert parse(Tenc, bytes(data)) == Tenc(KID, 8)


def test_pssh_of_version_2_and_with_bytes_behind_its_data_is_refused() -> None:
    data = bytearray(Pssh.common(KID).encode())
    with pytest.raises(MalformedMediaError, match="longer than its contents"):
        parse(Pssh, shortened(bytes(data) + b"\0", len(data) + 1))
    data[8] = 2
    with pytest.raises(MalformedMediaError, match="version 2"):
        parse(Pssh, bytes(data))


def test_concatenated_pssh_boxes_and_nothing_else() -> None:
    one, two = Pssh.common(KID), Pssh(SystemId(bytes(16)), data=b"x", version=0)
    assert Pssh.parse_all(one.encode() + two.encode()) == (one, two)
    for wrong in (b"", one.encode()[:-1], one.encode() + Frma("avc1").encode()):
        with pytest.raises(MalformedMediaError):
            Pssh.parse_all(wrong)


def test_sgpd_version_0_ends_each_entry_where_its_fields_end() -> None:
    entries = (SEIG, Seig(KID, 8))
    payload = bytes(4) + b"seig" + (2).to_bytes(4, "big") + b"".join(entry.encode() for entry in entries)
    data = (8 + len(payload)).to_bytes(4, "big") + b"sgpd" + payload
    assert parse(Sgpd, data) == Sgpd(entries)


def test_a_wide_pattern_is_known_as_such() -> None:
    found = Seig.parse(Reader(b"\x40" + bytes(40)))
    assert "pattern" in found.refusal
    assert found.key_ids == ()


def test_an_entry_of_several_keys_names_at_least_one() -> None:
    with pytest.raises(MalformedMediaError, match="names none"):
        Seig.parse(Reader(b"\x80\0\x01\0\0"))


@pytest.mark.parametrize(("kind", "box"), [(Mvhd, Mvhd(1000, 9)), (Mdhd, Mdhd(1000, 9))], ids=["mvhd", "mdhd"])
def test_a_duration_of_all_ones_is_not_known(kind: type[Box], box: Box) -> None:
    data = bytearray(box.encode())
    data[24:28] = b"\xff" * 4
    assert parse(kind, bytes(data)).duration == 0  # type: ignore[attr-defined]


def test_a_timescale_of_zero_is_refused() -> None:
    with pytest.raises(MalformedMediaError, match="timescale"):
        parse(Mdhd, Mdhd(0).encode())


def test_handlers_give_track_types() -> None:
    assert [Hdlr(name).track_type for name in ("vide", "soun", "text")] == list(TrackType)


UNITY = "00010000 00000000 00000000  00000000 00010000 00000000  00000000 00000000 40000000"
AS_WRITTEN = [  # by the syntax of ISO/IEC 14496-12, clauses 8.2.2 to 8.7.9, and 23001-7, clause 8.2: header first
    (
        Mvhd(1000, 9),
        f"0000006c 6d766864 00000000  00000000 00000000 000003e8 00000009  00010000 0100 {'00' * 10} {UNITY}"
        f"{'00' * 24} ffffffff",
    ),
    (
        Tkhd(3, 500, 1920, 1080),
        f"0000005c 746b6864 00000003  00000000 00000000 00000003 00000000 000001f4 {'00' * 16} {UNITY}"
        "07800000 04380000",
    ),
    (Hdlr("vide"), f"00000021 68646c72 00000000  00000000 76696465 {'00' * 12} 00"),
    (Elst((Edit(5, -1),)), "0000001c 656c7374 00000000 00000001  00000005 ffffffff 00010000"),
    (Tenc(KID, 8), "00000020 74656e63 00000000  00 00 01 08 000102030405060708090a0b0c0d0e0f"),
    (Saio((4096,)), "00000014 7361696f 00000000 00000001 00001000"),
]


@pytest.mark.parametrize(
    ("box", "bytes_"), AS_WRITTEN, ids=lambda value: ident(value) if not isinstance(value, str) else ""
)
def test_what_readers_here_pass_over_is_written_as_the_standard_has_it(box: Box, bytes_: str) -> None:
    """A round trip does not see a matrix that skews pictures, or a version and flags that are not those of the box."""
    assert box.encode().hex() == bytes.fromhex(bytes_).hex()


def test_tenc_protects_or_does_not() -> None:
    data = bytearray(Tenc(KID, 8).encode())
    data[14] = 2
    with pytest.raises(MalformedMediaError, match="isProtected is 2"):
        parse(Tenc, bytes(data))
