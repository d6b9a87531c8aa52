"""Samples under several keys (ISO/IEC 23001-7:2023): how boxes say it, and what is refused."""

from __future__ import annotations

from array import array
from struct import pack

import pytest

from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.box import encode_box
from drm.isobmff.protection import Tenc
from drm.isobmff.sample_aux import Saio, Saiz, Senc
from drm.isobmff.sample_group import FRAGMENT_INDEX, Sbgp, Seig, SeigKey, Sgpd
from drm.keys import KeyId
from drm.media import KeyPart, SampleCrypto, Scheme

DEFAULT = KeyId(bytes(16))
A, B, C = (KeyId(bytes((n,)) * 16) for n in (0xAA, 0xBB, 0xCC))
IV_A, IV_B, IV_C = b"a" * 8, b"b" * 16, b"c" * 16
GROUP = Seig(A, 8, keys=(SeigKey(A, 8), SeigKey(B, 16), SeigKey(C, 0, IV_C)))
SIZES = [20, 30, 40]
MEDIA = bytes(90)

Row = tuple[int, int, int]


def entry(ivs: dict[int, bytes], *rows: Row) -> bytes:
    told = b"".join(pack(">H", key) + iv for key, iv in ivs.items())
    return pack(">H", len(ivs)) + told + pack(">I", len(rows)) + b"".join(pack(">HHI", *row) for row in rows)


PLAIN = entry({1: IV_A}, (1, 4, 16))


def boxes(*entries: bytes, group: Seig = GROUP, version: int = 1, runs: tuple[int, ...] = ()) -> tuple[bytes, ...]:
    senc = Senc(len(entries), b"".join(entries), has_subsamples=True, version=version).encode()
    runs = runs or (len(SIZES), FRAGMENT_INDEX + 1)
    return Sgpd((group,)).encode(), Sbgp(array("I", runs)).encode(), senc


def cryptos(build, *more: bytes):
    init = build.init(build.entry(Tenc(DEFAULT, 8)))
    return [sample.crypto for sample in build.open(init + build.fragment(MEDIA, SIZES, *more)).samples(1)]


def test_each_key_gets_its_own_ranges_and_iv(build) -> None:
    both = entry({1: IV_A, 2: IV_B}, (1, 4, 6), (2, 3, 5), (0, 2, 0), (1, 1, 7))
    constant = entry({}, (3, 0, 16))
    found = cryptos(build, *boxes(PLAIN, both, constant))
    assert found == [
        SampleCrypto(A, Scheme.CENC, IV_A, ((4, 16),)),
        # To A, the 8 bytes of B's subsample and the two clear ones are clear: 3 + 5 + 2 + 1.
        SampleCrypto(A, Scheme.CENC, IV_A, ((4, 6), (11, 7)), others=(KeyPart(B, IV_B, ((13, 5),)),)),
        SampleCrypto(C, Scheme.CENC, IV_C, ((0, 16),)),
    ]
    assert found[1] is not None
    assert found[1].key_ids == (A, B)
    assert found[1].parts() == (
        SampleCrypto(A, Scheme.CENC, IV_A, ((4, 6), (11, 7))),
        SampleCrypto(B, Scheme.CENC, IV_B, ((13, 5),)),
    )


def test_the_order_of_parts_is_that_of_the_sample(build) -> None:
    (first, *_) = cryptos(build, *boxes(entry({2: IV_B, 1: IV_A}, (2, 0, 4), (1, 0, 4)), PLAIN, PLAIN))
    assert first.key_ids == (B, A)


def test_a_sample_that_no_key_protects_is_clear(build) -> None:
    nothing, clear_only = entry({1: IV_A}), entry({}, (0, 20, 0))
    assert cryptos(build, *boxes(nothing, clear_only, PLAIN))[:2] == [None, None]


def test_clear_samples_of_no_group_have_no_entry(build) -> None:
    off = Tenc(DEFAULT, 0, is_protected=False)
    runs = (1, 0, 1, FRAGMENT_INDEX + 1, 1, 0)
    init = build.init(build.entry(off))
    opened = build.open(init + build.fragment(MEDIA, SIZES, *boxes(PLAIN, runs=runs)))
    told = [sample.crypto for sample in opened.samples(1)]
    assert told == [None, SampleCrypto(A, Scheme.CENC, IV_A, ((4, 16),)), None]


def test_saiz_and_saio_instead_of_senc(build) -> None:
    entries = [PLAIN, entry({1: IV_A, 2: IV_B}, (1, 4, 6), (2, 3, 5)), PLAIN]
    sizes = Saiz.of([len(each) for each in entries]).encode()
    group = boxes()[:2]
    init = build.init(build.entry(Tenc(DEFAULT, 8)))
    draft = build.fragment(MEDIA, SIZES, *group, sizes, Saio((0,)).encode())
    behind = Saio((len(draft) + 8,)).encode()  # counted from the moof
    data = init + build.fragment(MEDIA, SIZES, *group, sizes, behind) + encode_box("free", *entries)
    assert [sample.crypto.key_ids for sample in build.open(data).samples(1)] == [(A,), (A, B), (A,)]


def test_every_key_of_a_group_is_asked_for(build) -> None:
    init = build.init(build.entry(Tenc(DEFAULT, 8)))
    (stream,) = build.open(init + build.fragment(MEDIA, SIZES, *boxes(PLAIN, PLAIN, PLAIN))).streams()
    assert stream.key_ids == (A, B, C)


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (entry({}, (1, 4, 16)), "has no IV"),
        (entry({4: IV_A}, (1, 4, 16)), "an IV for key 4"),
        (entry({0: IV_A}, (1, 4, 16)), "an IV for key 0"),
        (entry({3: IV_A}, (1, 4, 16)), "an IV for key 3"),  # its IV is a constant one
        (pack(">H", 2) + (pack(">H", 1) + IV_A) * 2 + entry({})[2:], "has one already"),
        (entry({1: IV_A}, (4, 4, 16)), "protected by key 4"),
        (entry({1: IV_A}, (0, 4, 16)), "protected by key 0"),
        (entry({1: IV_A}, (1, 4, 17)), "longer than their sample"),
        (entry({1: IV_A}, (1, 4, 12), (0, 5, 0)), "longer than their sample"),
        (entry({1: IV_A})[:-4] + b"\xff\xff\xff\xff", "ends before"),
        (b"\xff\xff", "an IV for key"),
    ],
)
def test_what_does_not_fit_is_refused(build, first: bytes, says: str) -> None:
    with pytest.raises(MalformedMediaError, match=says):
        cryptos(build, *boxes(first, PLAIN, PLAIN))


def test_bytes_that_no_sample_claims_are_refused(build) -> None:
    with pytest.raises(MalformedMediaError, match="longer than its entries"):
        cryptos(build, *boxes(PLAIN, PLAIN, PLAIN + b"\0"))


def test_senc_and_its_group_must_agree(build) -> None:
    one = Senc.pack([(IV_A, [])] * 3, with_subsamples=False).encode()
    with pytest.raises(MalformedMediaError, match="one key, and their group several"):
        cryptos(build, *boxes()[:2], one)
    with pytest.raises(MalformedMediaError, match="several keys for each sample, and their group one"):
        cryptos(build, *boxes(PLAIN, PLAIN, PLAIN, group=Seig(A, 8)))
    with pytest.raises(MalformedMediaError, match="one key, and their group several"):
        cryptos(build, *boxes(PLAIN, PLAIN, PLAIN, version=0))
    with pytest.raises(UnsupportedMediaError, match="senc box of version 2"):
        cryptos(build, *boxes(PLAIN, PLAIN, PLAIN, version=2))


def test_several_keys_without_any_entry_are_refused(build) -> None:
    with pytest.raises(MalformedMediaError, match="which key is where"):
        cryptos(build, *boxes()[:2])


def test_a_wide_pattern_is_refused_by_name_where_its_samples_are_read(build) -> None:
    group, runs, senc = boxes(PLAIN, PLAIN, PLAIN)
    at = group.index(b"\x80")
    wide = group[:at] + b"\x40" + group[at + 1 :]
    with pytest.raises(UnsupportedMediaError, match="more than 15 blocks"):
        cryptos(build, wide, runs, senc)
