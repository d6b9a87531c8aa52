"""How each sample of a fragment is encrypted, however the boxes say it."""

from __future__ import annotations

from array import array

import pytest

from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.box import encode_box
from drm.isobmff.fragment import Tfhd, Trun
from drm.isobmff.movie import Trex
from drm.isobmff.protection import Tenc
from drm.isobmff.sample_aux import PIFF_SENC, Saio, Saiz, Senc, encode_entry
from drm.isobmff.sample_crypto import PackedEntries
from drm.isobmff.sample_group import Sbgp, Seig, Sgpd
from drm.keys import KeyId
from drm.media import SampleCrypto, Scheme

KID = KeyId(bytes(range(16)))
OTHER = KeyId(bytes(range(16, 32)))
IVS = [bytes((n,)) * 8 for n in (1, 2, 3)]
SIZES = [20, 30, 40]
MEDIA = bytes(range(90))
CENC = Tenc(KID, 8)
CBCS = Tenc(KID, 0, bytes(16), 1, 9, version=1)


def senc(*ivs: bytes, subsamples: bool = False) -> bytes:
    return Senc.pack([(iv, [(4, 8), (1, 3)] if subsamples else []) for iv in ivs], with_subsamples=subsamples).encode()


def crypto(iv: bytes, *subsamples: tuple[int, int], kid: KeyId = KID) -> SampleCrypto:
    return SampleCrypto(kid, Scheme.CENC, iv, subsamples)


def cryptos(build, init: bytes, *boxes: bytes, tfhd: Tfhd | None = None, sizes=SIZES):
    opened = build.open(init + build.fragment(MEDIA, sizes, *boxes, tfhd=tfhd))
    return [sample.crypto for sample in opened.samples(1)]


def test_senc_gives_each_sample_its_iv_and_subsamples(build) -> None:
    init = build.init(build.entry(CENC))
    assert cryptos(build, init, senc(*IVS)) == [crypto(iv) for iv in IVS]
    assert cryptos(build, init, senc(*IVS, subsamples=True)) == [crypto(iv, (4, 8), (1, 3)) for iv in IVS]
    one = Senc.pack([(iv, [(4, 8)]) for iv in IVS], with_subsamples=True).encode()
    assert cryptos(build, init, one) == [crypto(iv, (4, 8)) for iv in IVS]
    none = Senc.pack([(iv, []) for iv in IVS], with_subsamples=True).encode()
    assert cryptos(build, init, none) == [crypto(iv) for iv in IVS]


def test_ivs_of_sixteen_bytes(build) -> None:
    ivs = [iv * 2 for iv in IVS]
    assert cryptos(build, build.init(build.entry(Tenc(KID, 16))), senc(*ivs)) == [crypto(iv) for iv in ivs]


def test_a_constant_iv_needs_no_senc(build) -> None:
    whole = SampleCrypto(KID, Scheme.CBCS, bytes(16), (), 1, 9)
    init = build.init(build.entry(CBCS, "cbcs"))
    assert cryptos(build, init) == [whole] * 3
    assert cryptos(build, init, Saiz(0).encode(), Saio((0,)).encode()) == [whole] * 3
    assert cryptos(build, init, Senc(3, b"", has_subsamples=False).encode()) == [whole] * 3
    told = Senc.pack([(b"", [(4, 8)])] * 3, with_subsamples=True).encode()
    assert cryptos(build, init, told) == [SampleCrypto(KID, Scheme.CBCS, bytes(16), ((4, 8),), 1, 9)] * 3


def test_encrypted_samples_without_any_iv_are_refused(build) -> None:
    with pytest.raises(MalformedMediaError, match="lack their IVs"):
        cryptos(build, build.init(build.entry(CENC)))
    with pytest.raises(MalformedMediaError, match="no IV"):
        cryptos(build, build.init(build.entry(Tenc(KID, 0, version=1), "cbcs")))


def test_subsamples_longer_than_their_sample_are_refused(build) -> None:
    init = build.init(build.entry(CENC))
    for pairs in ([(4, 17)], [(4, 8), (4, 5)], [(0xFFFF, 0xFFFF_FFFF)]):
        box = Senc.pack([(iv, pairs) for iv in IVS], with_subsamples=True).encode()
        with pytest.raises(MalformedMediaError, match="longer than their sample") as refused:
            cryptos(build, init, box)
        assert refused.value.seen == f"{sum(map(sum, pairs))} bytes in the 20 bytes of sample 1 here"


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: d[:-8]])
@pytest.mark.parametrize("subsamples", [False, True])
def test_a_senc_that_does_not_fit_is_refused(build, change, subsamples: bool) -> None:
    whole = Senc.pack([(iv, [(4, 8)]) for iv in IVS], with_subsamples=subsamples)
    box = Senc(3, change(whole.payload), subsamples).encode()
    with pytest.raises(MalformedMediaError):
        cryptos(build, build.init(build.entry(CENC)), box)


def test_a_huge_count_of_entries_without_bytes_ends_at_once(build) -> None:
    box = Senc(0xFFFF_FFFF, b"\0", has_subsamples=False).encode()
    with pytest.raises(MalformedMediaError, match="too many entries"):
        cryptos(build, build.init(build.entry(CBCS, "cbcs")), box)


def test_too_few_entries_are_refused(build) -> None:
    with pytest.raises(MalformedMediaError, match="does not match"):
        cryptos(build, build.init(build.entry(CENC)), senc(*IVS[:2]))


# ------------------------------------------------------------------------------------------------ descriptions, groups
def test_the_description_of_the_samples_own_index_counts(build) -> None:
    """Clear lead: encrypted description first, clear second; and the other way round."""
    for entries, clear, encrypted in (
        ((build.entry(CENC), build.entry(None)), 2, 1),
        ((build.entry(None), build.entry(CENC)), 1, 2),
    ):
        init = build.init(*entries)
        assert cryptos(build, init, tfhd=Tfhd(1, description_index=clear)) == [None] * 3
        found = cryptos(build, init, senc(*IVS), tfhd=Tfhd(1, description_index=encrypted))
        assert found == [crypto(iv) for iv in IVS]


def test_trex_gives_the_description_when_tfhd_does_not(build) -> None:
    init = build.init(build.entry(CENC), build.entry(None), trex=Trex(1, 2))
    assert cryptos(build, init) == [None] * 3


@pytest.mark.parametrize("index", [0, 3])
def test_a_description_that_is_not_there_is_refused(build, index: int) -> None:
    init = build.init(build.entry(None), build.entry(None), trex=Trex(1, index))
    with pytest.raises(MalformedMediaError, match=f"description {index}"):
        cryptos(build, init)


def test_groups_in_the_fragment_and_in_the_track(build) -> None:
    track = Sgpd((Seig(OTHER, 8),)).encode()
    own = Sgpd((Seig(KID, 0, is_protected=False), Seig(OTHER, 16))).encode()
    groups = Sbgp(array("I", [1, 1, 1, 65537])).encode()
    init = build.init(build.entry(CENC), stbl=track)
    # Group 1 of the track, group 1 of the fragment (clear, no entry in senc), and none: tenc.
    found = cryptos(build, init, own, groups, senc(IVS[0], IVS[2]))
    assert found == [crypto(IVS[0], kid=OTHER), None, crypto(IVS[2])]
    wide = Sbgp(array("I", [3, 65538])).encode()
    assert cryptos(build, init, own, wide, senc(*(iv * 2 for iv in IVS))) == [crypto(iv * 2, kid=OTHER) for iv in IVS]


def test_entries_of_clear_samples_may_stand_in_senc(build) -> None:
    own = Sgpd((Seig(KID, 0, is_protected=False),)).encode()
    groups = Sbgp(array("I", [1, 0, 1, 65537])).encode()
    init = build.init(build.entry(CENC))
    wanted = [crypto(IVS[0]), None, crypto(IVS[2])]
    bare = Senc(3, IVS[0] + IVS[2], has_subsamples=False).encode()
    full = senc(*IVS)
    assert cryptos(build, init, own, groups, bare) == wanted
    assert cryptos(build, init, own, groups, full) == wanted


def test_entries_of_clear_samples_beside_a_single_protected_one(build) -> None:
    """The usual shape is that of the first protected sample; there may be no second one."""
    own = Sgpd((Seig(KID, 0, is_protected=False),)).encode()
    groups = Sbgp(array("I", [2, 65537, 1, 0])).encode()
    assert cryptos(build, build.init(build.entry(CENC)), own, groups, senc(*IVS)) == [None, None, crypto(IVS[2])]


def test_the_default_group_of_a_fragment_is_one_of_its_own(build) -> None:
    own = Sgpd((Seig(OTHER, 8),), default_index=1).encode()
    assert cryptos(build, build.init(build.entry(CENC)), own, senc(*IVS)) == [crypto(iv, kid=OTHER) for iv in IVS]


def test_entries_that_are_passed_over_must_be_there() -> None:
    """Otherwise a senc that is too short is said to be too long, or its neighbour's bytes are taken for IVs."""
    packed = Senc(3, bytes(24), has_subsamples=False)
    entries = PackedEntries(packed, clear_iv_size=0, place="here")
    entries.skip(3, 8)
    assert entries.remaining == 0
    with pytest.raises(MalformedMediaError, match="ends before its samples") as refused:
        PackedEntries(packed, clear_iv_size=0, place="here").skip(4, 8)
    assert refused.value.where == "here"


def test_a_group_that_is_not_there_is_refused(build) -> None:
    init = build.init(build.entry(CENC))
    for index in (1, 65537, 0xFFFF_FFFF):
        with pytest.raises(MalformedMediaError, match="group"):
            cryptos(build, init, Sbgp(array("I", [3, index])).encode(), senc(*IVS))


def test_a_clear_description_in_a_protected_group_is_refused(build) -> None:
    own = Sgpd((Seig(OTHER, 8),)).encode()
    with pytest.raises(MalformedMediaError, match="names no scheme"):
        cryptos(build, build.init(build.entry(None)), own, Sbgp(array("I", [3, 65537])).encode(), senc(*IVS))


def test_a_group_can_protect_what_tenc_leaves_clear(build) -> None:
    init = build.init(build.entry(Tenc(KID, 0, is_protected=False)))
    assert cryptos(build, init) == [None] * 3
    own = Sgpd((Seig(OTHER, 8),)).encode()
    found = cryptos(build, init, own, Sbgp(array("I", [3, 65537])).encode(), senc(*IVS))
    assert found == [crypto(iv, kid=OTHER) for iv in IVS]
    assert build.open(init).tracks[0].is_protected


def test_key_ids_of_rotated_fragments_are_found_before_playback(build) -> None:
    zeros = build.init(build.entry(Tenc(KeyId(bytes(16)), 8)))
    own = Sgpd((Seig(OTHER, 8),)).encode(), Sbgp(array("I", [3, 65537])).encode(), senc(*IVS)
    opened = build.open(zeros + build.fragment(MEDIA, SIZES, *own))
    assert opened.streams()[0].key_ids == (OTHER,)
    assert build.open(zeros).streams()[0].key_ids == (KeyId(bytes(16)),)


# ------------------------------------------------------------------------------------------------ saiz and saio, PIFF
def test_aux_data_beside_the_media(build) -> None:
    """No senc: saio counts from the moof, or from the base, and each run may have its own offset."""
    aux = b"".join(encode_entry(iv, [(4, 8), (1, 3)], with_subsamples=True) for iv in IVS)
    width = len(aux) // 3
    init = build.init(build.entry(CENC))
    saiz = Saiz.of([width] * 3).encode()

    def moof(offset: int, tfhd: Tfhd, *aux_offsets: int) -> bytes:
        runs = (
            Trun(1, offset, None, None, array("I", SIZES[:1])).encode(),
            Trun(2, offset + 20, None, None, array("I", SIZES[1:])).encode(),
        )
        return build.moof(encode_box("traf", tfhd.encode(), saiz, Saio(aux_offsets).encode(), *runs))

    wanted = [crypto(iv, (4, 8), (1, 3)) for iv in IVS]
    for offsets in ((0,), (0, width)):
        media = encode_box("mdat", aux + MEDIA)
        start = len(moof(0, Tfhd(1), *offsets)) + 8
        data = moof(start + len(aux), Tfhd(1), *(start + each for each in offsets))
        assert [s.crypto for s in build.open(init + data + media).samples(1)] == wanted
    base = Tfhd(1, base_data_offset=0, base_is_moof=False)
    start = len(init) + len(moof(0, base, 0)) + 8
    from_file = moof(start + len(aux), base, start)
    assert [s.crypto for s in build.open(init + from_file + media).samples(1)] == wanted
    from_moof = moof(start + len(aux), base, start - len(init))
    assert [s.crypto for s in build.open(init + from_moof + media).samples(1)] == wanted
    nowhere = moof(start + len(aux), base, 1 << 30)
    with pytest.raises(MalformedMediaError, match="saio points outside"):
        list(build.open(init + nowhere + media).samples(1))


def test_aux_information_of_size_0_is_a_clear_sample(build) -> None:
    init = build.init(build.entry(CENC))
    box = Saiz(3, 0, bytes((8, 0, 8))).encode()
    draft = build.fragment(IVS[0] + IVS[2] + MEDIA, [16, *SIZES][1:], box, Saio((0,)).encode())
    offset = len(draft) - len(IVS[0] + IVS[2] + MEDIA)
    found = cryptos_at(build, init, box, offset)
    assert found == [crypto(IVS[0]), None, crypto(IVS[2])]


def cryptos_at(build, init: bytes, saiz: bytes, offset: int):
    data = build.fragment(IVS[0] + IVS[2] + MEDIA, SIZES, saiz, Saio((offset,)).encode())
    return [s.crypto for s in build.open(init + data).samples(1)]


def test_senc_is_believed_before_saio(build) -> None:
    boxes = senc(*IVS), Saiz.of([8, 8, 8]).encode(), Saio((0,)).encode()
    assert cryptos(build, build.init(build.entry(CENC)), *boxes) == [crypto(iv) for iv in IVS]


def test_aux_information_of_a_foreign_type_is_none_of_ours(build) -> None:
    for saiz_type, saio_type in (("abcd", "abcd"), ("abcd", None), (None, "abcd")):
        boxes = Saiz(3, 8, b"", saiz_type).encode(), Saio((0,), saio_type).encode()
        with pytest.raises(MalformedMediaError, match="lack their IVs"):
            cryptos(build, build.init(build.entry(CENC)), *boxes)


def test_piff_sample_encryption_and_its_override(build) -> None:
    init = build.init(build.entry(CENC))
    payload = b"".join(IVS)
    piff = Senc(3, payload, has_subsamples=False, is_piff=True)
    assert PIFF_SENC in piff.encode()
    assert cryptos(build, init, piff.encode()) == [crypto(iv) for iv in IVS]
    own = Senc(3, payload, has_subsamples=False, is_piff=True, override=(2, 8, OTHER)).encode()
    assert cryptos(build, init, own) == [SampleCrypto(OTHER, Scheme.CBC1, iv) for iv in IVS]
    for count in (3, 7):
        clear = Senc(count, b"", has_subsamples=False, is_piff=True, override=(0, 0, OTHER)).encode()
        assert cryptos(build, init, clear) == [None] * 3


# ------------------------------------------------------------------------------------------------ refusals
def test_an_unknown_scheme_is_refused_where_its_samples_are_read_and_nowhere_else(build) -> None:
    init = build.init(build.entry(CENC, "adkm"), build.entry(None))
    opened = build.open(init + build.fragment(MEDIA, SIZES))
    assert any("adkm" in warning for warning in opened.warnings)
    with pytest.raises(UnsupportedMediaError, match="adkm"):
        list(opened.samples(1))
    assert cryptos(build, init, tfhd=Tfhd(1, description_index=2)) == [None] * 3


def test_an_encrypted_entry_without_schm_is_refused(build) -> None:
    with pytest.raises(UnsupportedMediaError, match="schm"):
        cryptos(build, build.init(build.entry(CENC, schm=False)), senc(*IVS))
