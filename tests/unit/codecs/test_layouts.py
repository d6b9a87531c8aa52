"""Protected ranges beside those of three packagers, for the same clear streams; what has no binding."""

from __future__ import annotations

from pathlib import Path

import pytest

from drm.codecs.layouts import layout_for
from drm.encrypting.source_file import SourceFile
from drm.errors import UnsupportedMediaError
from drm.isobmff.sample_entry import SampleEntry
from drm.isobmff.samples import open_presentation
from drm.media import SampleCrypto, Scheme, Subsample
from tests.unit.codecs.traces import read, retraced

VECTORS = Path(__file__).parents[2] / "data" / "vectors"
ALIKE = [
    ("src_avc_aac", "pk_cbcs_1_9_v"),
    ("src_avc_aac", "pk_cbcs_10_0_v"),
    ("src_avc_aac", "gp_cbcs_prog_av"),
    ("src_avc_aac", "b4_mpeg-cbcs_av"),
    ("src_avc_aac", "gp_ctr16_prog_av"),
    ("src_avc_aac", "gp_cbc1_prog_av"),
    ("src_avc_slices", "pk_cbcs_slices_v"),
    ("src_avc_slices", "gp_cbcs_slices_prog_v"),
    ("src_hevc", "pk_cbcs_hevc_v"),
    ("src_av1", "gp_av1_ctr_prog_v"),
]
# Shaka Packager 3.8 leaves the bytes that are no whole block clear behind the protected range, where we, GPAC and the
# bindings of AV1 and VP9 leave them in front of it.
SHIFTED = [
    ("src_avc_aac", "pk_cenc_iv16_v"),
    ("src_avc_aac", "pk_cbc1_v"),
    ("src_avc_aac", "pk_cens_1_9_v"),
    ("src_avc_slices", "pk_cenc_slices_v"),
    ("src_av1", "pk_cenc_av1_v"),
    ("src_vp9", "pk_cenc_vp9_v"),
]


def pairs(clear: str, encrypted: str) -> list[tuple[int, tuple[Subsample, ...], SampleCrypto]]:
    """For each sample its size, our subsamples and what the peer's file says of it."""
    track, samples = read(VECTORS / "clear" / f"{clear}.mp4")
    with SourceFile(VECTORS / "generated" / f"{encrypted}.mp4") as source:
        opened = open_presentation(source)
        track_id = next(track.track_id for track in opened.tracks if track.type == "video")
        cryptos = [sample.crypto for sample in opened.samples(track_id)]
    assert cryptos[0] is not None
    layout = layout_for(track.entries[0], cryptos[0].scheme)
    assert layout is not None
    found = []
    for sample, crypto in zip(samples, cryptos, strict=True):
        assert crypto is not None
        found.append((len(sample), layout.subsamples(memoryview(sample)), crypto))
    return found


def ranges(subsamples: tuple[Subsample, ...]) -> list[tuple[int, int]]:
    """Where protected ranges begin, and their sizes."""
    found, at = [], 0
    for clear, protected in subsamples:
        if protected:
            found.append((at + clear, protected))
        at += clear + protected
    return found


@pytest.mark.parametrize(("clear", "encrypted"), ALIKE)
def test_peers_that_follow_the_same_rule_protect_the_same_bytes(clear: str, encrypted: str) -> None:
    for _, ours, theirs in pairs(clear, encrypted):
        assert ours == theirs.subsamples


@pytest.mark.parametrize(("clear", "encrypted"), SHIFTED)
def test_headers_end_where_shaka_packager_ends_them(clear: str, encrypted: str) -> None:
    shifted = 0
    for size, ours, theirs in pairs(clear, encrypted):
        mine, other = ranges(ours), ranges(theirs.subsamples)
        assert [protected for _, protected in mine] == [protected for _, protected in other]
        assert all(0 <= begin - at < 16 for (begin, _), (at, _) in zip(mine, other, strict=True))
        assert sum(map(sum, ours)) == size
        shifted += mine != other
    assert shifted > 0


@pytest.mark.parametrize("clear", ["src_avc_aac", "src_avc_slices", "src_hevc", "src_av1", "src_vp9"])
@pytest.mark.parametrize("scheme", [Scheme.CENC, Scheme.CBCS])
def test_ffmpeg_reads_the_same_headers_when_all_that_is_protected_is_noise(clear: str, scheme: Scheme) -> None:
    path = VECTORS / "clear" / f"{clear}.mp4"
    track, samples = read(path)
    layout = layout_for(track.entries[0], scheme)
    assert layout is not None
    noisy = []
    for sample in samples:
        made = bytearray(sample)
        for begin, size in ranges(layout.subsamples(memoryview(sample))):
            made[begin : begin + size] = bytes(0x15 ^ number & 0x1F for number in range(size))  # no superframe's mark
        noisy.append(bytes(made))
    assert noisy != samples
    before, after = retraced(path, samples[:30]), retraced(path, noisy[:30])
    assert before is not None
    assert before == after


@pytest.mark.parametrize("entry_format", ["vvc1", "vvi1", "vp10", "apv1", "xxxx"])
def test_video_without_a_binding_is_refused_by_name(entry_format: str) -> None:
    with pytest.raises(UnsupportedMediaError, match=f"{entry_format} video"):
        layout_for(SampleEntry(entry_format, entry_format, 640, 360), Scheme.CENC)


@pytest.mark.parametrize("entry_format", ["avc1", "avc3", "hvc1", "hev1", "av01", "vp09"])
def test_a_missing_configuration_is_named(entry_format: str) -> None:
    with pytest.raises(UnsupportedMediaError, match=f"{entry_format} video lacks the .{{4}} box"):
        layout_for(SampleEntry(entry_format, entry_format, 640, 360), Scheme.CENC)


@pytest.mark.parametrize(
    "entry",
    [SampleEntry("mp4a", "mp4a", channels=2), SampleEntry("wvtt", "wvtt"), SampleEntry("mjpg", "mjpg", 640, 360)],
)
def test_what_is_protected_whole_has_no_layout(entry: SampleEntry) -> None:
    assert layout_for(entry, Scheme.CBCS) is None
