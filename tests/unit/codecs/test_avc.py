"""Slice headers measured against FFmpeg's own trace of the same bits, and what becomes of odd NAL units."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.codecs.avc.layout import AvcLayout
from drm.codecs.avc.slice_header import slice_header_size
from drm.codecs.avc.usual_slice_header import HEAD
from drm.codecs.bits import BitReader, OutOfBitsError
from drm.errors import MalformedMediaError, MediaError, UnsupportedMediaError
from drm.media import Scheme
from tests.unit.codecs.traces import Unit, bits_of, bytes_of, escaped_size, retraced, traced

# x264 options that change the syntax of slice headers.
SYNTAXES = {
    "b-frames": {},
    "cavlc": {"x264": "cabac=0"},
    "baseline": {"x264": "cabac=0:bframes=0:8x8dct=0:weightp=0", "profile": "baseline"},
    "weighted": {"x264": "weightp=2:weightb=1:ref=4"},
    "many references": {"x264": "ref=6:b-pyramid=normal:bframes=4:open-gop=1"},
    "interlaced": {"x264": "interlaced=1:tff=1"},
    "no deblocking": {"x264": "no-deblock=1"},
    "slices": {"x264": "slices=4"},
    "intra": {"x264": "keyint=1"},
    "4:4:4": {"pix_fmt": "yuv444p"},
    "grey, weighted": {"pix_fmt": "gray", "x264": "weightp=2:weightb=1:ref=4:bframes=3"},
}


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("coded")

    def encode(x264: str = "", pix_fmt: str = "yuv420p", profile: str = "") -> Path:
        path = folder / "clip.mp4"
        with av.open(str(path), "w") as out:
            stream = out.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 160, 128, pix_fmt
            stream.codec_context.thread_count = 1
            stream.options = {"x264-params": x264 or "bframes=3"} | ({"profile": profile} if profile else {})
            graph = av.filter.Graph()
            chain = [graph.add("testsrc2", "size=160x128:rate=25"), graph.add("fade", "in:0:20"),
                     graph.add("format", pix_fmt), graph.add("buffersink")]  # fmt: skip
            graph.link_nodes(*chain).configure()
            for number in range(24):
                picture = graph.pull()
                picture.pts, picture.pict_type = number, 0
                out.mux(stream.encode(picture))
            out.mux(stream.encode(None))
        return path

    return encode


def slices_of(sample: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(sample):
        size = int.from_bytes(sample[at : at + 4], "big")
        nal = sample[at + 4 : at + 4 + size]
        if nal[0] & 31 in {1, 5}:
            yield nal
        at += 4 + size


def header_bits(units: list[Unit]) -> list[int]:
    """The bits that FFmpeg counts in each slice header (escapes left out)."""
    return [
        max(end for name, end in unit.ends.items() if name != "cabac_alignment_one_bit")
        for unit in units
        if "first_mb_in_slice" in unit.values
    ]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=str)
def test_slice_headers_are_as_long_as_ffmpeg_says(coded: Callable[..., Path], syntax: str) -> None:
    path = coded(**SYNTAXES[syntax])
    with av.open(str(path)) as file:
        layout = AvcLayout(bytes(file.streams.video[0].codec_context.extradata), Scheme.CBCS)
    slices = 0
    for sample, units in traced(path):
        nals, headers = list(slices_of(sample)), header_bits(units)
        assert len(headers) == len(nals) > 0
        for nal, bits in zip(nals, headers, strict=True):
            assert slice_header_size(memoryview(nal), layout._sequences, layout._pictures) == escaped_size(nal, bits)
            slices += 1
    assert slices >= 24 * (4 if syntax == "slices" else 1)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=str)
def test_the_usual_way_measures_as_the_general_one_does(coded: Callable[..., Path], syntax: str) -> None:
    """On slices as they are, where it has to know nearly all, and on damaged ones, where it may not know."""
    with av.open(str(coded(**SYNTAXES[syntax]))) as file:
        stream = file.streams.video[0]
        layout = AvcLayout(bytes(stream.codec_context.extradata), Scheme.CBCS)
        slices = [nal for packet in file.demux(stream) if packet.size for nal in slices_of(bytes(packet))]
    slices = [nal for nal in slices if len(nal) >= HEAD]
    usual = layout._slices.header_size
    known = 0
    for nal in slices:
        if size := usual(nal[:HEAD]):
            known += 1
            assert size == slice_header_size(memoryview(nal), layout._sequences, layout._pictures)
    assert known > len(slices) // (4 if "weighted" in syntax else 2)
    rng = random.Random(syntax)
    for _ in range(2000):
        damaged = bytearray(rng.choice(slices))
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(HEAD)] = rng.randrange(256)
        damaged[0] = rng.choice([0x41, 0x01, 0x65])
        if size := usual(bytes(damaged[:HEAD])):
            assert size == slice_header_size(memoryview(damaged), layout._sequences, layout._pictures)


@pytest.mark.parametrize("syntax", ["weighted", "interlaced", "cavlc", "slices"])
def test_syntax_by_accident_is_read_as_ffmpeg_reads_it(coded: Callable[..., Path], syntax: str) -> None:
    """Bits flipped in slice headers make syntax that no encoder at hand writes: what both read has to end alike."""
    rng = random.Random(syntax)
    path = coded(**SYNTAXES[syntax])
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        layout = AvcLayout(bytes(stream.codec_context.extradata), Scheme.CBCS)
        samples = [bytes(packet) for packet in file.demux(stream) if packet.size]
    equal = 0
    for _ in range(60):
        sample = bytearray(rng.choice(samples[1:]))
        end = min(20, 4 + int.from_bytes(sample[:4], "big"))  # within the first NAL unit
        for _ in range(rng.randint(1, 3)):
            sample[rng.randrange(5, end)] ^= 1 << rng.randrange(8)
        units = retraced(path, [bytes(sample)])
        try:
            sizes = [
                slice_header_size(memoryview(nal), layout._sequences, layout._pictures) for nal in slices_of(sample)
            ]
        except MalformedMediaError:
            continue
        if units is not None:
            nals = list(slices_of(bytes(sample)))
            expected = [escaped_size(nal, bits) for nal, bits in zip(nals, header_bits(units), strict=True)]
            assert sizes == expected
            equal += 1
    assert equal >= 10


def nal_of(kind: int, bits: str) -> bytes:
    return bytes([kind]) + bytes_of(bits)


@pytest.mark.parametrize("map_type", [0, 2, 3, 6])
def test_syntax_that_no_encoder_at_hand_writes(map_type: int) -> None:
    """Extended profile: fields, slice groups, redundant pictures, an SP slice, every marking command."""
    maps = {
        0: [("ue", 3), ("ue", 4)],
        2: [("ue", 0), ("ue", 9)],
        3: [("u1", 0), ("ue", 9)],
        6: [("ue", 3), *[("u1", 1)] * 4],
    }
    sps = bits_of(
        ("u8", 88), ("u16", 30), ("ue", 0), ("ue", 0), ("ue", 1), ("u1", 0), ("se", -3), ("se", 2), ("ue", 2),
        ("se", 1), ("se", -1), ("ue", 4), ("u1", 0), ("ue", 10), ("ue", 8), ("u1", 0), ("u1", 1),
        ("u1", 1), ("u1", 0), ("u1", 0),
    )  # fmt: skip
    pps = bits_of(
        ("ue", 2), ("ue", 0), ("u1", 0), ("u1", 1), ("ue", 1), ("ue", map_type), *maps[map_type], ("ue", 0), ("ue", 0),
        ("u1", 1), ("u2", 0), ("se", 0), ("se", 0), ("se", 0), ("u1", 1), ("u1", 0), ("u1", 1),
    )  # fmt: skip
    config = b"\x01\x58\x00\x1e\xff\xe1"
    for before, parameter_set in ((b"", nal_of(0x67, sps)), (b"\x01", nal_of(0x68, pps))):
        config += before + len(parameter_set).to_bytes(2, "big") + parameter_set
    header = [
        ("ue", 0), ("ue", 3), ("ue", 2), ("u4", 7), ("u1", 0), ("se", 5), ("se", -6), ("ue", 1),  # to redundant_pic_cnt
        ("u1", 1), ("ue", 1), ("u1", 1), ("ue", 0), ("ue", 4), ("ue", 2), ("ue", 1), ("ue", 3),  # two references
        ("ue", 5), ("ue", 5), ("u1", 1), ("se", 9), ("se", -9), ("u1", 1), *[("se", 3)] * 4, ("u1", 0), ("u1", 0),
        ("u1", 1), ("ue", 1), ("ue", 8), ("ue", 2), ("ue", 8), ("ue", 3), ("ue", 8), ("ue", 0), ("ue", 4), ("ue", 2),
        ("ue", 5), ("ue", 6), ("ue", 3), ("ue", 0),  # memory management
        ("se", -2), ("u1", 1), ("se", 4), ("ue", 0), ("se", 1), ("se", 1),
    ]  # fmt: skip
    if map_type == 3:  # 11 x 9 map units in changes of 10: Ceil(Log2(99 / 10 + 1)) is 4
        header.append(("u4", 5))
    bits = bits_of(*header)
    layout = AvcLayout(config, Scheme.CBCS)
    slice_nal = nal_of(0x41, bits) + b"\xff" * 40
    assert slice_header_size(memoryview(slice_nal), layout._sequences, layout._pictures) == 1 + -(-len(bits) // 8)


@given(st.lists(st.integers(0, 2**32 - 2), min_size=1, max_size=12))
def test_exp_golomb_codes_come_back(values: list[int]) -> None:
    bits = "".join("0" * (len(f"{value + 1:b}") - 1) + f"{value + 1:b}" for value in values)
    r = BitReader(
        int((bits + "1").ljust(-(-(len(bits) + 1) // 8) * 8, "0"), 2).to_bytes(-(-(len(bits) + 1) // 8), "big")
    )
    # The bytes may happen to hold 00 00 03, which a writer would have escaped: then nothing is claimed.
    if b"\0\0\3" not in r._nal:
        assert [r.ue() for _ in values] == values


def test_signed_codes_are_in_the_order_of_the_standard() -> None:
    r = BitReader(bytes([0b1_010_011_0, 0b0100_0010, 0b1_0000000]))
    assert [r.se() for _ in range(5)] == [0, 1, -1, 2, -2]


@given(st.binary(min_size=1, max_size=40).map(lambda raw: bytes(byte % 4 for byte in raw)), st.integers(1, 320))
def test_escapes_are_skipped_and_counted(payload: bytes, width: int) -> None:
    escaped, zeros = bytearray(), 0
    for byte in payload:
        if zeros == 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    r = BitReader(bytes(escaped))
    width = min(width, 8 * len(payload))
    assert r.u(width) == int.from_bytes(payload, "big") >> 8 * len(payload) - width
    assert r.bytes_taken() == escaped_size(bytes(escaped), width)


def test_bits_end_where_the_bytes_do() -> None:
    for read in (lambda r: r.u(9), lambda r: r.ue()):
        with pytest.raises(OutOfBitsError):
            read(BitReader(b"\0"))


@pytest.fixture(scope="module")
def layout(clips: Callable[..., Path]) -> AvcLayout:
    with av.open(str(clips())) as file:
        return AvcLayout(bytes(file.streams.video[0].codec_context.extradata), Scheme.CENC)


@pytest.mark.parametrize("scheme", [Scheme.CENC, Scheme.CENS, Scheme.CBC1, Scheme.CBCS])
def test_subsamples_cover_the_sample_and_keep_headers_clear(clips: Callable[..., Path], scheme: Scheme) -> None:
    with av.open(str(clips(slices=4))) as file:
        stream = file.streams.video[0]
        layout = AvcLayout(bytes(stream.codec_context.extradata), scheme)
        protected_bytes = total = 0
        for packet in file.demux(stream):
            if not packet.size:
                continue
            data = bytes(packet)
            found = layout.subsamples(memoryview(data))
            assert sum(map(sum, found)) == len(data)
            for clear, protected in found:
                assert clear <= 0xFFFF
                assert protected % 16 == 0 or scheme is Scheme.CBCS
                protected_bytes += protected
            total += len(data)
    assert protected_bytes > 0.9 * total


def nal(kind: int, size: int) -> bytes:
    return size.to_bytes(4, "big") + bytes([kind]) + b"\x80" * (size - 1)


@pytest.mark.parametrize("sample", [b"\0\0\0", b"\0\0\0\x05\x09\x10", b"\xff\xff\xff\xff\x09", nal(9, 4) + b"\0"])
def test_nal_units_that_do_not_fill_the_sample_are_refused(layout: AvcLayout, sample: bytes) -> None:
    with pytest.raises(MalformedMediaError, match="longer than its sample"):
        layout.subsamples(memoryview(sample))


@pytest.mark.parametrize("kind", [2, 3, 4, 20, 21])
def test_slices_of_other_kinds_are_refused_by_name(layout: AvcLayout, kind: int) -> None:
    with pytest.raises(UnsupportedMediaError, match=f"type {kind}"):
        layout.subsamples(memoryview(nal(kind, 40)))


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (b"", ((0, 0),)),
        (nal(9, 2), ((6, 0),)),
        (b"\0\0\0\0" + nal(6, 30), ((38, 0),)),
        (nal(6, 70_000), ((65_535, 0), (4_469, 0))),
    ],
)
def test_what_is_no_slice_stays_clear(layout: AvcLayout, sample: bytes, expected: tuple[tuple[int, int], ...]) -> None:
    assert layout.subsamples(memoryview(sample)) == expected


@given(st.binary(max_size=200), st.sampled_from([1, 5, 7, 8]))
def test_noise_is_refused_in_words_or_measured(layout: AvcLayout, noise: bytes, kind: int) -> None:
    data = (len(noise) + 1).to_bytes(4, "big") + bytes([kind | 0x60]) + noise
    fresh = copy.deepcopy(layout)
    try:
        found: Any = fresh.subsamples(memoryview(data))
    except MediaError:
        return
    assert sum(map(sum, found)) == len(data)
