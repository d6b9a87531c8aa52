"""Progressive files: the tables of stbl joined, and refused when they contradict one another."""

from __future__ import annotations

from array import array

import pytest

from drm.errors import MalformedMediaError, MediaError, TruncatedMediaError
from drm.isobmff.box import encode_box
from drm.isobmff.protection import Tenc
from drm.isobmff.sample_aux import Saio, Saiz, Senc
from drm.isobmff.sample_group import Sbgp, Seig, Sgpd
from drm.keys import KeyId
from drm.media import Edit, SampleCrypto, Scheme
from tests.sample_tables import Ctts, Stco, Stsc, Stss, Stsz, Stts

KID = KeyId(bytes(range(16)))
OTHER = KeyId(bytes(range(16, 32)))
IVS = [bytes((n,)) * 8 for n in range(1, 6)]
SIZES = [20, 30, 40, 50, 60]
MEDIA = bytes(200)
START = 24  # of the media: ftyp and a header stand before it


def crypto(iv: bytes, *subsamples: tuple[int, int], kid: KeyId = KID) -> SampleCrypto:
    return SampleCrypto(kid, Scheme.CENC, iv, subsamples)


def tables(**other: object) -> list[bytes]:
    """Five samples in three chunks (2, 2, 1), the second chunk far from the first."""
    found: dict[str, object] = {
        "stts": Stts(array("I", [3, 10, 2, 20])),
        "stsc": Stsc(array("I", [1, 2, 1, 3, 1, 1])),
        "stsz": Stsz(5, 0, array("I", SIZES)),
        "stco": Stco(array("I", [START, START + 100, START])),
    }
    found.update(other)
    return [box.encode() for box in found.values()]  # type: ignore[attr-defined]


def movie(build, *entries: bytes, stbl: bytes = b"", edits: bytes = b"", media: bytes = MEDIA, **other: object):
    trak = build.trak(entries or (build.entry(None),), *tables(**other), stbl=stbl, edits=edits)
    head = build.moov(trak)
    ftyp, moov = head[:16], head[16:]
    assert len(ftyp) + 8 == START
    return ftyp + encode_box("mdat", media) + moov


def test_places_times_and_sync_samples(build) -> None:
    data = movie(build, ctts=Ctts(array("i", [1, 7, 1, -7])), stss=Stss(array("I", [1, 4])))
    samples = list(build.open(data).samples(1))
    assert [s.offset - START for s in samples] == [0, 20, 100, 140, 0]
    assert [s.size for s in samples] == SIZES
    assert [s.dts for s in samples] == [0, 10, 20, 30, 50]
    assert [s.duration for s in samples] == [10, 10, 10, 20, 20]
    assert [s.cts_offset for s in samples] == [7, -7, 0, 0, 0]
    assert [s.is_sync for s in samples] == [True, False, False, True, False]
    assert all(s.crypto is None for s in samples)


def test_without_stss_every_sample_is_a_sync_sample(build) -> None:
    assert all(s.is_sync for s in build.open(movie(build)).samples(1))


def test_constant_sizes(build) -> None:
    samples = list(build.open(movie(build, stsz=Stsz(5, 10))).samples(1))
    assert [(s.offset - START, s.size) for s in samples] == [(0, 10), (10, 10), (100, 10), (110, 10), (0, 10)]


def test_edit_lists_come_with_the_track(build) -> None:
    edits = encode_box("edts", build.Elst((Edit(500, -1), Edit(0, 1024))).encode())
    assert build.open(movie(build, edits=edits)).tracks[0].edits == (Edit(500, -1), Edit(0, 1024))


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"stsz": Stsz(6, 0, array("I", [*SIZES, 1]))}, MalformedMediaError),  # more sizes than the chunks hold
        ({"stts": Stts(array("I", [3, 10]))}, MalformedMediaError),
        ({"stco": Stco(array("I", [START, 1 << 30, START]))}, TruncatedMediaError),
        ({"stsc": Stsc(array("I", [1, 2, 7, 3, 1, 1]))}, MalformedMediaError),  # description 7
        ({"stsc": Stsc(array("I"))}, MalformedMediaError),
        ({"stsz": Stsz(0xFFFF_FFFF, 1)}, MediaError),
        ({"stsc": Stsc(array("I", [1, 0xFFFF_FFFF, 1])), "stsz": Stsz(10_000, 1)}, MediaError),
    ],
)
def test_tables_that_contradict_one_another_are_refused(
    build, changed: dict[str, object], kind: type[MediaError]
) -> None:
    with pytest.raises(kind):
        list(build.open(movie(build, **changed)).samples(1))


def test_stsc_must_rise(build) -> None:
    for runs in ([2, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1, 3, 1, 1, 2, 1, 1]):
        with pytest.raises(MalformedMediaError, match="rise"):
            build.open(movie(build, stsc=Stsc(array("I", runs))))


def with_aux(build, saiz: Saiz, aux: bytes, *more: bytes, entries: tuple[bytes, ...], **other: object):
    """The aux data lies behind the media, as GPAC and FFmpeg write it."""
    at = START + len(MEDIA)
    stbl = b"".join((saiz.encode(), Saio((at,)).encode(), *more))
    data = movie(build, *entries, stbl=stbl, media=MEDIA + aux, **other)
    return [s.crypto for s in build.open(data).samples(1)]


def test_aux_data_at_an_absolute_offset(build) -> None:
    entries = (build.entry(Tenc(KID, 8)),)
    assert with_aux(build, Saiz.of([8] * 5), b"".join(IVS), entries=entries) == [crypto(iv) for iv in IVS]
    aux = b"".join(iv + b"\0\1\0\4\0\0\0\x10" for iv in IVS)
    assert with_aux(build, Saiz.of([16] * 5), aux, entries=entries) == [crypto(iv, (4, 16)) for iv in IVS]
    two = b"".join(iv + b"\0\2\0\4\0\0\0\x01\0\4\0\0\0\x01" for iv in IVS)
    assert with_aux(build, Saiz.of([22] * 5), two, entries=entries) == [crypto(iv, (4, 1), (4, 1)) for iv in IVS]


def test_aux_data_with_an_offset_for_each_chunk(build) -> None:
    at = START + len(MEDIA)
    # Last chunk first in the file.
    aux = IVS[4] + IVS[2] + IVS[3] + IVS[0] + IVS[1]
    stbl = Saiz.of([8] * 5).encode() + Saio((at + 24, at + 8, at)).encode()
    data = movie(build, build.entry(Tenc(KID, 8)), stbl=stbl, media=MEDIA + aux)
    assert [s.crypto for s in build.open(data).samples(1)] == [crypto(iv) for iv in IVS]


def test_aux_sizes_that_do_not_fit_are_refused(build) -> None:
    entries = (build.entry(Tenc(KID, 8)),)
    aux = b"".join(iv + b"\0\1\0\4\0\0\0\x10" for iv in IVS)
    for sizes in ([15] * 5, [4] * 5, [16, 16, 16, 16, 22], [9] * 5, [10] * 5):
        with pytest.raises(MalformedMediaError):
            with_aux(build, Saiz(5, 0, bytes(sizes)), aux + bytes(40), entries=entries)
    with pytest.raises(MalformedMediaError, match="more samples"):
        with_aux(build, Saiz.of([16] * 6), aux + bytes(40), entries=entries)
    data = movie(build, *entries, stbl=Saiz.of([16] * 5).encode() + Saio((1 << 31,)).encode())
    with pytest.raises(MalformedMediaError, match="outside the file"):
        list(build.open(data).samples(1))


def test_senc_in_the_sample_table(build) -> None:
    entry = build.entry(Tenc(KID, 8))
    senc = Senc.pack([(iv, [(4, 8)]) for iv in IVS], with_subsamples=True)
    data = movie(build, entry, stbl=senc.encode())
    assert [s.crypto for s in build.open(data).samples(1)] == [crypto(iv, (4, 8)) for iv in IVS]
    for wrong in (Senc(4, senc.payload, True), Senc(5, senc.payload + b"\0", True), Senc(5, senc.payload[:-1], True)):
        with pytest.raises(MalformedMediaError):
            list(build.open(movie(build, entry, stbl=wrong.encode())).samples(1))


def test_clear_and_encrypted_descriptions_mixed_chunk_by_chunk(build) -> None:
    stsc = Stsc(array("I", [1, 2, 2, 2, 2, 1, 3, 1, 2]))
    encrypted = [(iv, []) for iv in IVS[2:4]]
    senc = Senc.pack(encrypted, with_subsamples=False).encode()
    data = movie(build, build.entry(Tenc(KID, 8)), build.entry(None), stbl=senc, stsc=stsc)
    samples = list(build.open(data).samples(1))
    assert [s.crypto for s in samples] == [None, None, crypto(IVS[2]), crypto(IVS[3]), None]
    assert [s.description_index for s in samples] == [2, 2, 1, 1, 2]


def test_groups_rotate_keys_in_the_sample_table(build) -> None:
    groups = Sgpd((Seig(OTHER, 8),)).encode() + Sbgp(array("I", [2, 1, 1, 0, 1, 1])).encode()
    found = with_aux(build, Saiz.of([8] * 5), b"".join(IVS), groups, entries=(build.entry(Tenc(KID, 8)),))
    assert [c.key_id for c in found if c] == [OTHER, OTHER, KID, OTHER, KID]


def test_reading_is_lazy(build) -> None:
    from drm.isobmff.samples import open_presentation

    stream = build.Bytes(movie(build))
    samples = open_presentation(stream).samples(1)
    stream.reads.clear()
    next(samples)
    assert all(size == 16 for _, size in stream.reads)  # headers of outermost boxes
