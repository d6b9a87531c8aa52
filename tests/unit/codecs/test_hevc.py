"""HEVC slice headers measured against FFmpeg's own trace of the same bits, rare syntax written by hand, and noise."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.codecs.hevc.layout import HevcLayout
from drm.codecs.hevc.slice_header import slice_header_size
from drm.codecs.hevc.usual_slice_header import HEAD
from drm.codecs.layouts import layout_for
from drm.errors import MalformedMediaError, MediaError, UnsupportedMediaError
from drm.media import Scheme
from tests.unit.codecs.traces import bits_of, bytes_of, escaped_size, make, read, retraced, traced

# x265 options that change the syntax of slice headers.
SYNTAXES = {
    "usual": {},
    "plain": {"x265": "wpp=0:sao=0:deblock=0:bframes=0:ref=1:weightp=0"},
    "slices": {"x265": "slices=4:ctu=16:max-tu-size=16", "size": "320x512"},
    "two slices": {"x265": "slices=2:ctu=16:max-tu-size=16:weightb=1", "size": "320x256"},
    "weights": {"x265": "weightp=1:weightb=1:ref=4:bframes=3"},
    "many references": {"x265": "ref=6:bframes=8:b-adapt=0:b-pyramid=1:rd=1"},
    "no temporal motion, long headers": {"x265": "temporal-mvp=0:ctu=16:max-tu-size=16", "size": "320x256"},
    "repeated headers": {"x265": "repeat-headers=1:hrd=1:vbv-maxrate=1000:vbv-bufsize=1000:aud=1"},
    "open groups": {"x265": "keyint=8:open-gop=1:bframes=3"},
    "scaling lists": {"x265": "scaling-list=default:cbqpoffs=2:crqpoffs=-2:rdpenalty=1"},
    "deblocking told": {"x265": "deblock=2,2:lossless=0:cutree=0"},
    "intra": {"x265": "keyint=1"},
    "ten bits": {"pix_fmt": "yuv420p10le"},
    "4:4:4": {"pix_fmt": "yuv444p", "x265": "weightb=1"},
    "grey": {"pix_fmt": "gray", "x265": "weightb=1:weightp=1"},
    "sets of references in the sequence": {"x265": "multi-pass-opt-rps=1:bframes=4"},
    "lossless": {"x265": "lossless=1"},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("hevc")

    def encode(name: str) -> Path:
        told = dict(SYNTAXES[name])
        params = ":".join(filter(None, ["log-level=none:pools=1:frame-threads=1", told.pop("x265", "bframes=3")]))
        path = folder / f"{list(SYNTAXES).index(name)}.mp4"
        if not path.exists():
            make(path, "libx265", {"preset": "fast", "x265-params": params}, **told)
        return path

    return encode


def slices_of(sample: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(sample):
        size = int.from_bytes(sample[at : at + 4], "big")
        nal = sample[at + 4 : at + 4 + size]
        if nal[0] >> 1 & 63 < 32:
            yield nal
        at += 4 + size


def layout_of(track, scheme: Scheme = Scheme.CBCS) -> HevcLayout:
    layout = layout_for(track.entries[0], scheme)
    assert isinstance(layout, HevcLayout)
    return layout


@pytest.mark.parametrize("syntax", SYNTAXES, ids=str)
def test_slice_headers_are_as_long_as_ffmpeg_says(clip, syntax: str) -> None:
    path = clip(syntax)
    layout = layout_of(read(path)[0])
    slices = usual = 0
    for sample, units in traced(path):
        layout.subsamples(memoryview(sample))  # takes in parameter sets that stand in the sample
        headers = [unit for unit in units if "first_slice_segment_in_pic_flag" in unit.values]
        nals = list(slices_of(sample))
        assert len(headers) == len(nals) > 0
        for nal, unit in zip(nals, headers, strict=True):
            expected = escaped_size(nal, unit.end)
            assert slice_header_size(memoryview(nal), layout._sequences, layout._pictures) == expected
            if len(nal) >= HEAD and (size := layout._slices.header_size(nal[:HEAD])):
                assert size == expected
                usual += 1
            slices += 1
    assert slices >= 24 * (4 if syntax == "slices" else 1)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=str)
def test_the_usual_way_measures_as_the_general_one_does(clip, syntax: str) -> None:
    """On slices as they are, where it has to know nearly all, and on damaged ones, where it may not know."""
    track, samples = read(clip(syntax))
    layout = layout_of(track)
    for sample in samples:
        layout.subsamples(memoryview(sample))
    slices = [nal for sample in samples for nal in slices_of(sample) if len(nal) >= HEAD]
    usual = layout._slices.header_size
    known = sum(usual(nal[:HEAD]) > 0 for nal in slices)
    assert known > len(slices) // 2 or not slices
    rng = random.Random(syntax)
    for _ in range(2000 if slices else 0):
        damaged = bytearray(rng.choice(slices))
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(2, 30)] = rng.randrange(256)
        damaged[0] = rng.choice([1, 19, 20, 21, 0]) << 1
        if size := usual(bytes(damaged[:HEAD])):
            assert size == slice_header_size(memoryview(damaged), layout._sequences, layout._pictures)


@pytest.mark.parametrize("syntax", ["weights", "many references", "slices", "open groups"])
def test_syntax_by_accident_is_read_as_ffmpeg_reads_it(clip, syntax: str) -> None:
    """Bits flipped in slice headers make syntax that no encoder at hand writes: what both read has to end alike."""
    rng = random.Random(syntax)
    track, samples = read(clip(syntax))
    layout = layout_of(track)
    equal = 0
    for _ in range(60):
        sample = bytearray(rng.choice(samples[1:]))
        end = min(20, 4 + int.from_bytes(sample[:4], "big"))  # within the first NAL unit
        for _ in range(rng.randint(1, 3)):
            sample[rng.randrange(6, end)] ^= 1 << rng.randrange(8)
        units = retraced(clip(syntax), [bytes(sample)])
        nals = list(slices_of(bytes(sample)))
        try:
            sizes = [slice_header_size(memoryview(nal), layout._sequences, layout._pictures) for nal in nals]
        except MalformedMediaError:
            continue
        if units is not None:
            headers = [unit.end for unit in units if "first_slice_segment_in_pic_flag" in unit.values]
            assert sizes == [escaped_size(nal, bits) for nal, bits in zip(nals, headers, strict=True)]
            equal += 1
    assert equal >= 10


NO, YES = ("u1", 0), ("u1", 1)
PROFILE = [("u88", 4 << 80), ("u8", 93)]
HRD = [
    YES, YES, YES, ("u19", 5), ("u8", 3), ("u4", 1), ("u15", 7),
    NO, NO, YES, *[("ue", 3), ("ue", 4), ("ue", 5), ("ue", 6), NO] * 2,  # low delay: one schedule, of both kinds
    NO, YES, ("ue", 2), ("ue", 1), *[("ue", 3), ("ue", 4), ("ue", 5), ("ue", 6), YES] * 4,  # two schedules
]  # fmt: skip
SEQUENCE = [
    ("u16", 33 << 9 | 1), ("u4", 0), ("u3", 1), YES, *PROFILE, YES, YES, ("u14", 0), *PROFILE,
    ("ue", 2), ("ue", 3), NO, ("ue", 640), ("ue", 480), YES, *[("ue", 1)] * 4, ("ue", 2), ("ue", 2), ("ue", 4), NO,
    *[("ue", 2)] * 3, ("ue", 0), ("ue", 2), *[("ue", 1)] * 4,
    YES, YES,  # scaling lists: one predicted, one told, of each size
    *([NO, ("ue", 0)] * 5 + [YES, *[("se", 3)] * 16]), *([NO, ("ue", 0)] * 5 + [YES, *[("se", -3)] * 64]),
    *([NO, ("ue", 0)] * 5 + [YES, ("se", 9), *[("se", 0)] * 64]), NO, ("ue", 0), YES, ("se", 9), *[("se", 1)] * 64,
    NO, YES, YES, ("u8", 0x77), ("ue", 0), ("ue", 1), NO,
    ("ue", 3), ("ue", 1), ("ue", 1), ("ue", 0), YES, ("ue", 0), YES,  # reference sets: {-1, +1}
    YES, NO, ("ue", 1), NO, YES, YES, NO, NO,  # from it, by +2: -1 + 2 kept, +1 + 2 used, itself not
    NO, ("ue", 2), ("ue", 0), ("ue", 0), YES, ("ue", 1), NO,
    YES, ("ue", 3), ("u8", 1), YES, ("u8", 2), NO, ("u8", 3), YES,  # long-term pictures
    YES, NO,
    YES, YES, ("u8", 255), ("u32", 1), YES, NO, YES, ("u4", 8), YES, ("u24", 1), YES, ("ue", 0), ("ue", 0), ("u3", 0),
    YES, *[("ue", 0)] * 4, YES, ("u64", 9), YES, ("ue", 3), YES, *HRD, YES, ("u3", 0), *[("ue", 0)] * 5,
    YES, YES, NO, NO, YES, ("u4", 0), ("u9", 0),  # range and screen content extensions
    NO, YES, ("ue", 3), ("ue", 1), YES, ("ue", 1), ("u60", 5), ("u2", 2),
]  # fmt: skip
PICTURE = [
    ("u16", 34 << 9 | 1), ("ue", 5), ("ue", 2), YES, YES, ("u3", 2), NO, YES, ("ue", 1), ("ue", 2), ("se", -4), NO,
    YES, YES, ("ue", 1), ("se", 1), ("se", -1), YES, NO, NO, NO, YES, YES,
    ("ue", 1), ("ue", 2), NO, ("ue", 3), ("ue", 1), ("ue", 1), NO,  # tiles
    YES, YES, YES, NO, ("se", 1), ("se", 2), YES, *[NO, ("ue", 0)] * 20, YES, ("ue", 0), YES,
    YES, YES, NO, NO, YES, ("u4", 0), ("ue", 1), NO, YES, ("ue", 0), ("ue", 1), *[("se", 2)] * 4, ("ue", 0), ("ue", 0),
    NO, YES, YES, *[("se", 1)] * 3,
]  # fmt: skip
# A B slice, second of its picture: 640 x 480 in blocks of 32 are 300, of nine bits.
HEADER = [
    ("u16", 1 << 9 | 1), NO, ("ue", 5), NO, ("u9", 299), ("u2", 3), ("ue", 0), YES, ("u8", 77),
    NO, YES, ("ue", 0), YES, ("ue", 0), YES, NO, YES, YES,  # its own set, from the last: -2 used, -4 left out, -1 used
    ("ue", 1), ("ue", 1), ("u2", 2), YES, ("ue", 4), ("u8", 9), YES, NO,  # two long-term pictures, both used
    YES, YES, YES,  # temporal motion, both kinds of sao
    YES, ("ue", 3), ("ue", 2), YES, *[("u2", 2)] * 4, YES, *[("u2", 3)] * 3,  # 4 and 3 references out of 4, by name
    NO, YES, NO, ("ue", 1), ("ue", 2), NO,  # mvd_l1_zero, cabac_init, collocated, merge candidates, integer motion
    ("se", 5), ("se", 1), ("se", -1), *[("se", 2)] * 3, YES, YES, NO, ("se", 3), ("se", -3), YES,
    ("ue", 2), ("ue", 11), ("u12", 100), ("u12", 200), ("ue", 3), ("u24", 0xABCDEF), YES,
]  # fmt: skip


def escape(data: bytes) -> bytes:
    made, zeros = bytearray(), 0
    for byte in data:
        if zeros >= 2 and byte <= 3:
            made.append(3)
            zeros = 0
        made.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(made)


def configuration(*nals: bytes) -> bytes:
    config = bytes([1]) + bytes(20) + bytes([3, len(nals)])
    for nal in nals:
        config += bytes([nal[0] >> 1, 0, 1]) + len(nal).to_bytes(2, "big") + nal
    return config


def rare() -> HevcLayout:
    return HevcLayout(
        configuration(escape(bytes_of(bits_of(*SEQUENCE))), escape(bytes_of(bits_of(*PICTURE)))), Scheme.CBCS
    )


def test_syntax_that_no_encoder_at_hand_writes() -> None:
    """Sets predicted from sets, long-term pictures, tiles, list changes, header extensions, screen content."""
    layout = rare()
    assert layout._sequences[2].reference_sets == (
        (((-1, True),), ((1, True),)),
        ((), ((1, False), (3, True))),
        (((-1, True), (-3, False)), ()),
    )
    assert layout._sequences[2].integer_motion_in_slices
    bits = bits_of(*HEADER)
    nal = escape(bytes_of(bits, "0")) + b"\xff" * 40
    assert slice_header_size(memoryview(nal), layout._sequences, layout._pictures) == escaped_size(nal, len(bits))
    dependent = bits_of(("u16", 3), NO, ("ue", 5), YES, ("u9", 7), ("ue", 0), ("ue", 0), YES)
    nal = bytes_of(dependent, "0") + b"\xff" * 40
    assert slice_header_size(memoryview(nal), layout._sequences, layout._pictures) == 5


def test_weights_beside_a_reference_to_the_own_picture_are_refused() -> None:
    """Their length depends on which reference the picture itself is, which no header tells."""
    layout = rare()
    layout._pictures[5] = msgspec.structs.replace(layout._pictures[5], weighted_bi=True, current_reference=True)
    nal = escape(bytes_of(bits_of(*HEADER), "0")) + b"\xff" * 40
    with pytest.raises(UnsupportedMediaError, match="own picture"):
        layout.subsamples(memoryview(len(nal).to_bytes(4, "big") + nal))


@pytest.mark.parametrize(
    ("head", "error", "words"),
    [
        (b"\x02\x09", UnsupportedMediaError, "layer 1"),
        (bytes([22 << 1, 1]), UnsupportedMediaError, "reserved type 22"),
        (b"\x02\x01\xc0", MalformedMediaError, "parameter set that is not in the file"),
        (b"\x02", MalformedMediaError, "ends before its syntax"),
    ],
)
def test_odd_slices_are_refused_by_name(head: bytes, error: type[MediaError], words: str) -> None:
    nal = head + b"\xff" * 30 * (len(head) > 1)
    with pytest.raises(error, match=words):
        rare().subsamples(memoryview(len(nal).to_bytes(4, "big") + nal))


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_a_cut_configuration_is_refused(cut: int) -> None:
    whole = configuration(escape(bytes_of(bits_of(*SEQUENCE))), escape(bytes_of(bits_of(*PICTURE))))
    with pytest.raises(MalformedMediaError):
        HevcLayout(whole[:cut], Scheme.CENC)


@given(st.data())
def test_noise_is_refused_in_words_or_measured(data: st.DataObject) -> None:
    """Damage in a parameter set or in a slice: an error in words, or ranges that cover the sample."""
    nals = [bytearray(escape(bytes_of(bits_of(*fields), "0"))) for fields in (SEQUENCE, PICTURE, HEADER)]
    for _ in range(data.draw(st.integers(0, 4))):
        nal = data.draw(st.sampled_from(nals))
        nal[data.draw(st.integers(2, len(nal) - 1))] = data.draw(st.integers(0, 255))
    nals[2] += data.draw(st.binary(max_size=100))
    sample = b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)
    layout = copy.deepcopy(rare())
    try:
        found = layout.subsamples(memoryview(sample))
    except MediaError:
        return
    assert sum(map(sum, found)) == len(sample)
