"""Groups of samples: which keys they call for, and the compact form that says who is in them."""

from __future__ import annotations

from array import array
from pathlib import Path
from struct import pack

import pytest

from drm.app.byte_stream import FileByteStream
from drm.decrypting.file import decrypt_file
from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.box import encode_full_box
from drm.isobmff.protection import Tenc
from drm.isobmff.sample_group import Sbgp, Seig, Sgpd
from drm.isobmff.samples import open_presentation
from drm.keys import ContentKey, KeyId
from tests.sample_tables import Stco, Stsc, Stsz, Stts
from tests.unit.isobmff.field_files import CENC, FIELD, KID, OTHER, keys_of, written


# ------------------------------------------------------------------------------------------------ default key ids
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
