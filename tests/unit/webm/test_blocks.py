"""Blocks become samples: places, times, lacing, signal bytes, IVs and partitions; what does not fit is refused."""

from __future__ import annotations

import itertools

import pytest

from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.media import Scheme
from drm.webm.ebml import encode_size

MS = 1_000_000  # nanoseconds


def samples(build, data: bytes, track: int = 1):
    return list(build.open(data).samples(track))


def payloads(build, data: bytes) -> list[bytes]:
    return [data[s.offset : s.offset + s.size] for s in samples(build, data)]


def test_simple_blocks(build) -> None:
    data = build.file(
        build.cluster(1000, build.simple(b"one"), build.simple(b"no", 5, track=2), build.simple(b"two", 40, flags=0)),
        build.cluster(2000, build.simple(b"three", -20), build.simple(b"", 3)),
    )
    found = samples(build, data)
    assert payloads(build, data) == [b"one", b"two", b"three", b""]
    assert [s.dts for s in found] == [1000 * MS, 1040 * MS, 1980 * MS, 2003 * MS]
    assert [s.duration for s in found] == [40 * MS, 940 * MS, 23 * MS, 23 * MS]
    assert [s.is_sync for s in found] == [True, False, True, True]
    assert {s.crypto for s in found} == {None}


def test_a_track_number_may_have_eight_bytes(build) -> None:
    """Some writers pad it. The rest of the header is behind it, and belongs to the block as well."""
    wide = build.el("SimpleBlock", encode_size(1, 8) + b"\0\5\x80" + b"frame")
    data = build.file(build.cluster(0, wide))
    (sample,) = samples(build, data)
    assert payloads(build, data) == [b"frame"]
    assert (sample.dts, sample.is_sync) == (5 * MS, True)


def test_groups(build) -> None:
    el, num = build.el, build.num
    data = build.file(
        build.cluster(
            0,
            build.group(b"key", num("BlockDuration", 33)),
            build.group(b"delta", el("ReferenceBlock", b"\xdf"), num("BlockDuration", 34), time=33),
            build.group(b"last", el("ReferenceBlock", b"\xdf"), time=67),
        )
    )
    found = samples(build, data)
    assert payloads(build, data) == [b"key", b"delta", b"last"]
    assert [(s.dts, s.duration, s.is_sync) for s in found] == [
        (0, 33 * MS, True),
        (33 * MS, 34 * MS, False),
        (67 * MS, 34 * MS, False),
    ]


def test_reordered_pictures_keep_their_presentation_times(build) -> None:
    times = [0, 120, 40, 80, 160]
    found = samples(build, build.file(build.cluster(0, *(build.simple(b"x", time) for time in times))))
    assert [s.dts + s.cts_offset for s in found] == [time * MS for time in times]
    assert [s.dts for s in found] == sorted(s.dts for s in found)


def test_a_default_duration_is_exact(build) -> None:
    entry = build.entry(build.num("DefaultDuration", 41_666_666))
    found = samples(build, build.file(build.cluster(0, build.simple(b"a"), build.simple(b"b", 42)), entries=entry))
    assert [s.duration for s in found] == [41_666_666] * 2


XIPH, FIXED, EBML = 0x02, 0x04, 0x06
FRAMES = [b"a" * 300, b"b" * 255, b"", b"d" * 5]


def xiph(frames: list[bytes]) -> bytes:
    sizes = b"".join(b"\xff" * (len(f) // 255) + bytes([len(f) % 255]) for f in frames[:-1])
    return bytes([len(frames) - 1]) + sizes + b"".join(frames)


def ebml(frames: list[bytes]) -> bytes:
    lengths = [len(f) for f in frames[:-1]]
    differences = [b - a for a, b in itertools.pairwise(lengths)]
    sizes = encode_size(lengths[0], 2) + b"".join(encode_size(d + (1 << 13) - 1, 2) for d in differences)
    return bytes([len(frames) - 1]) + sizes + b"".join(frames)


@pytest.mark.parametrize(
    ("flags", "table", "wanted"),
    [
        (XIPH, xiph(FRAMES), FRAMES),
        (EBML, ebml(FRAMES), FRAMES),
        (FIXED, b"\x02" + b"aaabbbccc", [b"aaa", b"bbb", b"ccc"]),
        (XIPH, b"\0single", [b"single"]),
        (EBML, b"\0single", [b"single"]),
    ],
    ids=["xiph", "ebml", "fixed", "xiph of one", "ebml of one"],
)
def test_lacing(build, flags: int, table: bytes, wanted: list[bytes]) -> None:
    entry = build.entry(build.num("DefaultDuration", 10 * MS))
    data = build.file(build.cluster(0, build.simple(table, 5, flags=0x80 | flags)), entries=entry)
    assert payloads(build, data) == wanted
    assert [s.dts for s in samples(build, data)] == [(5 + 10 * n) * MS for n in range(len(wanted))]
    data = build.file(
        build.cluster(0, build.group(table, build.num("BlockDuration", 60), time=5, flags=flags)), entries=entry
    )
    assert payloads(build, data) == wanted
    assert [s.duration for s in samples(build, data)] == [60 * MS // len(wanted)] * len(wanted)


@pytest.mark.parametrize(
    ("flags", "table", "says"),
    [
        (XIPH, b"", "no count of frames"),
        (XIPH, b"\x03\xff\xff", "sizes of laced frames cannot be read"),
        (XIPH, b"\x01\x09abc", "longer than their block"),
        (EBML, b"\x01\xff", "sizes of laced frames cannot be read"),
        (EBML, b"\x02\x81\x80abc", "sizes of laced frames cannot be read"),
        (EBML, b"\x02\x81", "sizes of laced frames cannot be read"),
        (EBML, b"\x01\x90abc", "longer than their block"),
        (FIXED, b"\x02abcd", "4 bytes cannot be 3 frames"),
        (XIPH, b"\x01" + b"\xff" * 6000, "sizes of laced frames cannot be read"),
    ],
)
def test_unsound_lacing(build, flags: int, table: bytes, says: str) -> None:
    with pytest.raises(MalformedMediaError, match=says) as error:
        samples(build, build.file(build.cluster(0, build.simple(table, flags=flags))))
    assert "Segment/Cluster/SimpleBlock" in error.value.where


# ------------------------------------------------------------------------------------------------ encrypted
@pytest.mark.parametrize(
    ("frame", "size", "subsamples"),
    [
        (lambda b: b.frame(b"p" * 20), 20, ()),
        (lambda b: b.frame(b""), 0, ()),
        (lambda b: b.frame(b"p" * 20, 4), 20, ((4, 16),)),
        (lambda b: b.frame(b"p" * 20, 0), 20, ((0, 20),)),
        (lambda b: b.frame(b"p" * 20, 4, 15), 20, ((4, 11), (5, 0))),
        (lambda b: b.frame(b"p" * 20, 4, 8, 8), 20, ((4, 4), (0, 12))),
        (lambda b: b.frame(b"p" * 20, 2, 4, 6, 20), 20, ((2, 2), (2, 14), (0, 0))),
        (lambda b: b.frame(b"p" * 20, signal=3), 20, ((20, 0),)),
        (lambda b: b.frame(b"p" * 300, *range(255)), 300, (*(((0 if n == 0 else 1), 1) for n in range(127)), (1, 46))),
    ],
    ids=["plain", "empty", "odd", "at the start", "even", "empty region", "to the end", "no walls", "255 walls"],
)
def test_encrypted_frames(build, frame, size: int, subsamples: tuple[tuple[int, int], ...]) -> None:
    data = build.encrypted(build.simple(frame(build)), build.group(frame(build), time=10))
    for sample in samples(build, data):
        assert sample.crypto is not None
        assert (sample.crypto.key_id, sample.crypto.scheme, sample.crypto.iv) == (build.KID, Scheme.CENC, build.IV)
        assert (sample.size, data[sample.offset : sample.offset + size]) == (
            size,
            frame(build)[-size:] if size else b"",
        )
        assert sum(map(sum, sample.crypto.subsamples)) == (size if subsamples else 0)
        if len(subsamples) < 100:
            assert sample.crypto.subsamples == subsamples


def test_where_255_walls_stand(build) -> None:
    (sample,) = samples(build, build.encrypted(build.simple(build.frame(b"p" * 300, *range(255)))))
    assert sample.crypto is not None
    assert sample.crypto.subsamples == ((0, 1),) + ((1, 1),) * 126 + ((1, 46),)


@pytest.mark.parametrize("signal", [0x00, 0x02, 0x7C])
def test_a_signal_byte_without_the_encrypted_bit_is_a_clear_frame(build, signal: int) -> None:
    data = build.encrypted(build.simple(bytes([signal]) + b"clear"), build.simple(build.frame(b"dark")))
    clear, dark = samples(build, data)
    assert clear.crypto is None
    assert dark.crypto is not None
    assert payloads(build, data) == [b"clear", b"dark"]


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (b"", "no signal byte"),
        (b"\x01" + bytes(7), "ends inside its IV"),
        (b"\x03" + bytes(8), "ends before its table"),
        (b"\x03" + bytes(8) + b"\x02" + bytes(7), "ends inside its table"),
        (b"\x03" + bytes(8) + b"\xff" + bytes(100), "ends inside its table"),
        (b"\x03" + bytes(8) + b"\x01\0\0\0\x05" + b"four", "do not fit into it"),
        (b"\x03" + bytes(8) + b"\x02\0\0\0\x03\0\0\0\x02" + b"four", "do not fit into it"),
        (b"\x03" + bytes(8) + b"\x01\xff\xff\xff\xff" + b"four", "do not fit into it"),
    ],
)
def test_unsound_encrypted_frames(build, frame: bytes, says: str) -> None:
    with pytest.raises(MalformedMediaError, match=says) as error:
        samples(build, build.encrypted(build.simple(frame) + build.simple(build.frame(b"next"))))
    assert "SimpleBlock" in error.value.where


def test_what_is_not_known_is_refused_by_name(build) -> None:
    with pytest.raises(UnsupportedMediaError, match="extension") as error:
        samples(build, build.encrypted(build.simple(b"\x81" + bytes(8) + b"x")))
    assert "0x81" in error.value.seen
    with pytest.raises(UnsupportedMediaError, match="laced"):
        samples(build, build.encrypted(build.simple(xiph([build.frame(b"a"), build.frame(b"b")]), flags=XIPH)))
    with pytest.raises(UnsupportedMediaError, match="EncryptedBlock"):
        samples(build, build.encrypted(build.el("EncryptedBlock", b"\x81\0\0\x80")))


@pytest.mark.parametrize("content", [b"", b"\x81", b"\x81\0\0", b"\0\0\0\0", b"\xff\0\0\x80x", b"\x01\0\0\0"])
def test_a_block_without_a_whole_header(build, content: bytes) -> None:
    with pytest.raises(MalformedMediaError, match="no whole header"):
        samples(build, build.file(build.cluster(0, build.el("SimpleBlock", content))))


def test_groups_that_are_none(build) -> None:
    block = build.el("Block", build.block(b"x"))
    for group, says in ((b"", "no block"), (block + block, "two blocks")):
        with pytest.raises(MalformedMediaError, match=says):
            samples(build, build.file(build.cluster(0, build.el("BlockGroup", group))))


def test_times_stay_in_bounds(build) -> None:
    with pytest.raises(MalformedMediaError, match="time of"):
        samples(build, build.file(build.cluster((1 << 64) - 1, build.simple(b"x"))))
    with pytest.raises(MalformedMediaError, match="before the Timestamp"):
        samples(build, build.file(build.el("Cluster", build.simple(b"x"))))
    assert samples(build, build.file(build.cluster(0, build.simple(b"x", -5))))[0].dts == 0
