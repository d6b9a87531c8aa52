"""A hundred wrong keys for each codec and scheme of the vectors: every one is called wrong. Right ones never are.

`python -m pytest tests/conformance/test_key_check.py -s -k rates` prints the table of docs/explanation/key-check.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import av
import msgspec
import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.sources import component_loader, open_source
from drm.class_ids import AV_DECODER
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.keys import ContentKey, KeyId
from drm.media import Sample, SampleCrypto, Scheme, TrackInfo, TrackType
from drm.session.key_check import KeyOutcome, check_keys, tells_of
from drm.session.noise_check import slices_end_where_they_should
from player.verbs.keys.check_file import KeysDecrypter, _samples
from tests.conformance.test_vectors import OWN, Opened, manifest

KEYS = 100
LED = KeyId(b"behind the lead.")
CASES = [
    ("h264", "cenc", "pk_cenc_iv8_v", 1), ("h264", "cens", "pk_cens_2_3_v", 1), ("h264", "cbc1", "pk_cbc1_v", 1),
    ("h264", "cbcs", "pk_cbcs_1_9_v", 1), ("aac", "cenc", "pk_cenc_iv8_a", 1), ("aac", "cens", "pk_cens_a", 1),
    ("aac", "cbc1", "pk_cbc1_a", 1), ("aac", "cbcs", "pk_cbcs_a", 1), ("hevc", "cbcs", "pk_cbcs_hevc_v", 1),
    ("libdav1d", "cenc", "pk_cenc_av1_v", 1), ("vp9", "cenc", "pk_cenc_vp9_v", 1), ("ac3", "cbcs", "pk_cbcs_ac3_a", 1),
    ("vp8", "cenc", "pk_webm_vp8_v", 1), ("opus", "cenc", "pk_webm_opus_a", 1), ("wmav2", "cenc", "mp4ff_piff_wma", 3),
]  # fmt: skip


@pytest.mark.parametrize(("decoder", "scheme", "name", "track_id"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_rates(request: pytest.FixtureRequest, decoder: str, scheme: str, name: str, track_id: int) -> None:
    folder = OWN if name in manifest(OWN) else request.getfixturevalue("vectors_folder")
    opened = Opened(folder, manifest(folder)[name])
    with opened.stream:
        track = next(track for track in opened.media.tracks if track.track_id == track_id)
        assert (track.decoder, track.scheme) == (decoder, scheme)
        samples = _samples(open_source(opened.stream), track_id)
        found: Counter[str] = Counter()
        needed = 0
        for number in range(KEYS):
            wrong = ContentKey(Random(f"{name}:{number}").randbytes(16))
            (verdict,) = check_keys(
                track, track.key_ids[:1], samples, KeysDecrypter(dict.fromkeys(opened.keys, wrong)), made
            )
            found[verdict.outcome] += 1
            needed = max(needed, verdict.checked)
    print(f"| {decoder} | {scheme} | {found[KeyOutcome.WRONG]} of {KEYS} | {needed} |")
    assert found == {KeyOutcome.WRONG: KEYS}


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("name", ["src_avc_aac", "src_hevc", "src_av1", "src_vp9"])
def test_a_clear_lead_told_by_subsamples_says_nothing_of_the_key(tmp_path: Path, name: str, scheme: Scheme) -> None:
    """Samples without a protected byte decode with any key: they were taken for proof of a wrong one."""
    sealed = tmp_path / "lead.mp4"
    constant = b"sixteen letters." if scheme is Scheme.CBCS else b""
    # One IV: a few pictures of VP9 that are noise may decode without an error, by the chance of what they came out as.
    told = TrackEncryption(LED, ContentKey(bytes(16)), clear_lead=1.0, first_iv=b"8 bytes.", constant_iv=constant)
    wanted = {TrackType.VIDEO: told} | ({TrackType.AUDIO: told} if "aac" in name else {})
    encrypt_file(OWN / "clear" / f"{name}.mp4", sealed, scheme=scheme, tracks=wanted)
    with FileByteStream(sealed) as stream:
        source = open_source(stream)
        for descriptor in source.streams():
            samples = _samples(source, descriptor.track.track_id)
            lead = next(iter(samples()))[0]
            assert lead.crypto is not None  # the lead is told by subsamples, else this tries nothing
            assert not tells_of(lead, LED)
            for right in (True, False):
                given = KeysDecrypter({LED: ContentKey(bytes(16) if right else b"and a wrong key.")})
                for thorough in (False, True):
                    (verdict,) = check_keys(descriptor.track, [LED], samples, given, made, thorough=thorough)
                    assert verdict.checked
                    assert (verdict.outcome is KeyOutcome.WRONG) is not right
                    assert not right or not verdict.failed


@pytest.mark.parametrize(
    ("name", "thorough", "looked_at"),
    [("pk_cenc_iv8_v", False, 2), ("pk_cenc_iv8_v", True, 72), ("pk_cbcs_ac3_a", False, 2)],
)
def test_playback_looks_at_no_more_than_it_needs(name: str, thorough: bool, looked_at: int) -> None:
    opened = Opened(OWN, manifest(OWN)[name])
    with opened.stream:
        track = opened.media.tracks[0]
        samples = _samples(open_source(opened.stream), track.track_id)
        (verdict,) = check_keys(track, track.key_ids[:1], samples, KeysDecrypter(opened.keys), made, thorough=thorough)
    assert (verdict.outcome, verdict.checked, verdict.failed) == (KeyOutcome.RIGHT, looked_at, 0)


def test_media_that_goes_clear_does_not_keep_the_check_busy() -> None:
    """One encrypted sample, and behind it clear ones without end, told by subsamples: 288 are decoded, and no more."""
    decrypter = KeysDecrypter({LED: ContentKey(bytes(16))})
    taken = 0

    def goes_clear() -> Iterator[tuple[Sample, memoryview]]:
        nonlocal taken
        for _ in range(4):
            for sample, stored in clear():
                wall = 0 if taken == 0 else sample.size
                crypto = SampleCrypto(LED, Scheme.CENC, bytes(8), ((wall, sample.size - wall),))
                sealed = bytearray(sample.size)
                decrypter.decrypt_into(stored, crypto, memoryview(sealed))  # AES-CTR: back and forth alike
                taken += 1
                yield msgspec.structs.replace(sample, crypto=crypto), memoryview(sealed)

    with FileByteStream(OWN / "clear" / "src_avc_aac.mp4") as stream:
        source = open_source(stream)
        track = next(each.track for each in source.streams() if each.track.type is TrackType.AUDIO)
        clear = _samples(source, track.track_id)
        assert sum(1 for _ in clear()) * 4 > 300
        (verdict,) = check_keys(track, [LED], goes_clear, decrypter, made, thorough=True)
    assert (verdict.outcome, verdict.checked, verdict.failed) == (KeyOutcome.RIGHT, 1, 0)
    assert taken == 288


def made():
    return component_loader().create(AV_DECODER)


# ------------------------------------------------------------------------------------------------ HEVC, slice by slice
CODED = {
    "usual": "", "slices": "slices=3", "wavefronts": "wpp=1:slices=2", "coarse": "qp=51", "lossless": "lossless=1",
    "open groups": "open-gop=1:keyint=8", "intra": "keyint=1", "unfiltered": "sao=0:deblock=0",
}  # fmt: skip


def coded(options: str, pixels: str = "yuv420p") -> tuple[TrackInfo, list[tuple[Sample, bytes]]]:
    """A few noisy pictures by x265, as an MP4 track would hold them."""
    coder = av.CodecContext.create("libx265", "w")
    coder.width, coder.height, coder.pix_fmt, coder.framerate = 320, 180, pixels, 25
    coder.options = {"x265-params": f"log-level=none:frame-threads=1:pools=1:{options}"}
    random, packets = Random(1), []
    for number in range(8):
        frame = av.VideoFrame(320, 180, pixels)
        frame.pts = number
        for plane in frame.planes:
            row = bytes((x // 3 + 9 * number) & 0x7F for x in range(plane.line_size))
            noise = random.randbytes(plane.buffer_size)
            plane.update(bytes((row[at % plane.line_size] + noise[at] // 24) & 0xFF for at in range(plane.buffer_size)))
        packets += coder.encode(frame)
    packets += coder.encode(None)
    units = [list(split(bytes(packet))) for packet in packets]
    sets = [unit for unit in units[0] if unit[0] >> 1 & 63 in {32, 33, 34}]
    arrays = b"".join(bytes((u[0] >> 1 & 63, 0, 1)) + len(u).to_bytes(2, "big") + u for u in sets)
    config = b"\1" + bytes(20) + b"\3" + bytes((len(sets),)) + arrays
    track = TrackInfo(1, TrackType.VIDEO, "hvc1", 25, decoder="hevc", codec_config=config)
    samples = []
    for packet, parts in zip(packets, units, strict=True):
        data = b"".join(len(unit).to_bytes(4, "big") + unit for unit in parts)
        told = Sample(1, packet.dts, packet.pts - packet.dts, 1, packet.is_keyframe, 0, len(data))
        samples.append((told, data))
    return track, samples


def split(stream: bytes) -> Iterator[bytes]:
    """NAL units of a byte stream with start codes (ITU-T H.265, annex B)."""
    return (unit.rstrip(b"\0") for unit in stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit)


@pytest.mark.parametrize("options", CODED.values(), ids=CODED)
def test_slices_of_sound_media_end_where_they_should(options: str) -> None:
    track, samples = coded(options)
    assert slices_end_where_they_should(track, samples, made) is True


def test_pictures_of_ten_bits_too() -> None:
    track, samples = coded("", "yuv420p10le")
    assert slices_end_where_they_should(track, samples, made) is True


def test_noise_in_the_place_of_a_slice_is_seen() -> None:
    track, samples = coded("qp=22")
    random, found = Random(7), Counter()
    for _ in range(40):
        noisy = [(told, data[:40] + random.randbytes(len(data) - 40)) for told, data in samples[1:]]
        found[slices_end_where_they_should(track, [samples[0], *noisy], made)] += 1
    # Of the others, the decoder says itself that they are damaged.
    assert found[True] == 0
    assert found[False] >= 20


def test_what_cannot_be_taken_apart_proves_nothing() -> None:
    track, samples = coded("")
    assert slices_end_where_they_should(track, [], made) is None
    assert slices_end_where_they_should(track, [(told, data[:60]) for told, data in samples], made) is None
    assert slices_end_where_they_should(track, [(told, b"\xff" * 80) for told, data in samples], made) is None


# ------------------------------------------------------------------------------------------------ H.264, inside groups
H264 = {
    "usual": "", "cavlc": "cabac=0", "slices": "slices=4", "coarse": "qp=48", "fine": "qp=12",
    "pyramid": "bframes=3:b-pyramid=2", "intra refresh": "intra-refresh=1", "open groups": "open-gop=1:keyint=8",
    "weighted": "weightp=2:bframes=2", "8x8": "8x8dct=1",
}  # fmt: skip


def group(options: str) -> tuple[TrackInfo, list[tuple[Sample, bytes]]]:
    """A moving noisy group of pictures by x264, as an MP4 track would hold it."""
    coder = av.CodecContext.create("libx264", "w")
    coder.width, coder.height, coder.pix_fmt, coder.framerate = 320, 180, "yuv420p", 25
    coder.flags |= 1 << 22  # global header: the sets stand in the configuration
    coder.options = {"x264-params": f"log-level=none:threads=1:keyint=60:scenecut=0:{options}"}
    coder.open()
    random, packets = Random(3), []
    for number in range(20):
        frame = av.VideoFrame(320, 180, "yuv420p")
        frame.pts = number
        for plane in frame.planes:
            row = bytes((x * 2 + 11 * number) & 0x7F for x in range(plane.line_size))
            noise = random.randbytes(plane.buffer_size)
            plane.update(bytes((row[at % plane.line_size] + noise[at] // 32) & 0xFF for at in range(plane.buffer_size)))
        packets += coder.encode(frame)
    packets += coder.encode(None)
    sets = [unit for unit in split(bytes(coder.extradata)) if unit[0] & 31 in {7, 8}]
    sps, pps = (next(unit for unit in sets if unit[0] & 31 == kind) for kind in (7, 8))
    config = bytes((1, *sps[1:4], 0xFF, 0xE1)) + len(sps).to_bytes(2, "big") + sps
    config += b"\1" + len(pps).to_bytes(2, "big") + pps
    track = TrackInfo(1, TrackType.VIDEO, "avc1", 25, decoder="h264", codec_config=config, width=320, height=180)
    samples = []
    for packet in packets:
        units = [unit for unit in split(bytes(packet)) if unit[0] & 31 in {1, 5}]
        data = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
        told = Sample(1, packet.dts, packet.pts - packet.dts, 1, packet.is_keyframe, 0, len(data))
        samples.append((told, data))
    return track, samples


@pytest.mark.parametrize("options", H264.values(), ids=H264)
@pytest.mark.parametrize("begin", [1, 4, 9])
def test_sound_pictures_inside_a_group_are_never_called_noise(options: str, begin: int) -> None:
    track, samples = group(options)
    assert slices_end_where_they_should(track, samples, made, begin) is not False


def test_most_sound_groups_are_called_sound() -> None:
    found = Counter(slices_end_where_they_should(*group(options), made, 2) for options in H264.values())
    print(found)
    assert found[True] >= len(H264) // 2


@pytest.mark.parametrize("options", ["", "cabac=0"], ids=["cabac", "cavlc"])
def test_noise_inside_a_group_is_never_called_sound(options: str) -> None:
    track, samples = group(options)
    random, found = Random(7), Counter()
    for _ in range(40):
        noisy = [(told, data[:20] + random.randbytes(len(data) - 20)) for told, data in samples[3:]]
        found[slices_end_where_they_should(track, [*samples[:3], *noisy], made, 3)] += 1
    print(found)
    assert found[True] == 0
