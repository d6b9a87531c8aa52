"""VP9 headers measured against FFmpeg's own trace of the same bits; superframes; rules of the binding; damage."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from drm.codecs.layouts import layout_for
from drm.codecs.vp9 import Vp9Layout, _frames
from drm.errors import MalformedMediaError, MediaError
from drm.media import Scheme
from tests.unit.codecs.traces import Unit, read, retraced, traced

FFMPEG = shutil.which("ffmpeg") or ""
ENCODERS = subprocess.run([FFMPEG, "-encoders"], capture_output=True, check=True).stdout if FFMPEG else b""

# libvpx options that change the syntax of headers, and pixel formats, which change the profile. Pictures that are not
# shown, and so superframes, come of two passes only.
SYNTAXES = {
    "usual": "-deadline realtime",
    "superframes": "-pass -auto-alt-ref 1 -lag-in-frames 25 -b:v 100k",
    "many superframes": "-pass -auto-alt-ref 6 -lag-in-frames 25 -g 15",
    "tiles": "-tile-columns 2 -tile-rows 2 -s 1024x256",
    "error resilient": "-error-resilient 1 -lag-in-frames 0",
    "parallel": "-frame-parallel 1",
    "segments of variance": "-aq-mode 1",
    "segments of complexity": "-aq-mode 2 -b:v 100k",
    "cyclic refresh": "-aq-mode 3 -lag-in-frames 0 -deadline realtime",
    "lossless": "-lossless 1",
    "sharp": "-sharpness 5",
    "starved": "-lag-in-frames 0 -b:v 10k -maxrate 10k -minrate 10k -s 640x360",
    "4:4:4": "-pix_fmt yuv444p",
    "ten bits": "-pix_fmt yuv420p10le",
    "4:2:2 in twelve bits": "-pix_fmt yuv422p12le",
    "RGB": "-pix_fmt gbrp",
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("vp9")

    def encode(name: str) -> Path:
        path = folder / f"{list(SYNTAXES).index(name)}.mp4"
        if path.exists():
            return path
        if b" libvpx-vp9 " not in ENCODERS:
            pytest.skip("no ffmpeg on PATH that has libvpx")
        options = SYNTAXES[name].split()
        source = ["-f", "lavfi", "-i", "testsrc2=size=160x128:rate=25", "-frames:v", "32"]
        command = [FFMPEG, "-v", "error", *source, "-c:v", "libvpx-vp9", "-cpu-used", "5", *options]
        runs = [[*command, "-y", str(path)]]
        if "-pass" in options:
            command.remove("-pass")
            log = ["-passlogfile", str(folder / "log")]
            runs = [[*command, *log, "-pass", "1", "-f", "null", "-"], [*command, *log, "-pass", "2", "-y", str(path)]]
        for run in runs:
            done = subprocess.run(run, check=False, timeout=60, capture_output=True)
            assert done.returncode == 0, done.stderr.decode()
        return path

    return encode


def told(units: list[Unit]) -> list[int]:
    """The same as `headers`, as FFmpeg tells it."""
    frames = [unit for unit in units if "frame_marker" in unit.values]
    return [0 if unit.values["show_existing_frame"] else unit.end // 8 for unit in frames]


def headers(layout: Vp9Layout, sample: bytes) -> list[int]:
    """How long the header of each frame in a sample is, in bytes; 0 where it only shows another."""
    found, at = [], 0
    for size in _frames(memoryview(sample)):
        found.append(layout._header(memoryview(sample)[at : at + size]))
        at += size
    return found


@pytest.mark.parametrize("syntax", SYNTAXES, ids=str)
def test_headers_are_as_long_as_ffmpeg_says(clip, syntax: str) -> None:
    layout = layout_for(read(clip(syntax))[0].entries[0], Scheme.CENC)
    assert isinstance(layout, Vp9Layout)
    frames = supers = 0
    for sample, units in traced(clip(syntax)):
        expected = [
            0 if unit.values["show_existing_frame"] else unit.end // 8
            for unit in units
            if "frame_marker" in unit.values
        ]
        assert headers(layout, sample) == expected
        frames += len(expected)
        supers += len(expected) > 1
    assert frames >= 20
    assert supers > 0 or "super" not in syntax


@pytest.mark.parametrize("syntax", ["usual", "superframes", "4:4:4", "segments of variance"])
def test_syntax_by_accident_is_read_as_ffmpeg_reads_it(clip, syntax: str) -> None:
    """Bits flipped in headers make syntax that no encoder at hand writes: what both read has to end alike."""
    rng = random.Random(syntax)
    _, samples = read(clip(syntax))
    equal = 0
    for _ in range(60):
        damaged = [bytearray(sample) for sample in samples[:3]]
        chosen = rng.choice(damaged)
        for _ in range(rng.randint(1, 4)):
            chosen[rng.randrange(min(len(chosen), 24))] ^= 1 << rng.randrange(8)
        units = retraced(clip(syntax), [bytes(sample) for sample in damaged])
        if units is None or any(unit.values.get("header_size_in_bytes") == 0 for unit in units):
            continue
        expected = [
            0 if unit.values["show_existing_frame"] else unit.end // 8
            for unit in units
            if "frame_marker" in unit.values
        ]
        layout = Vp9Layout()
        try:
            found = [size for sample in damaged for size in headers(layout, bytes(sample))]
        except MalformedMediaError:
            continue  # FFmpeg reads on where a slot is empty or a marker is wrong
        assert found == expected
        equal += 1
    assert equal >= 15


@pytest.mark.parametrize("scheme", list(Scheme))
def test_the_rules_of_the_binding_hold(clip, scheme: Scheme) -> None:
    """All that is behind a header is protected in whole blocks, up to the end of its frame; the index is clear."""
    track, samples = read(clip("many superframes"))
    layout, reference = layout_for(track.entries[0], scheme), Vp9Layout()
    assert layout is not None
    several = 0
    for sample in samples:
        expected, end = [], 0
        for size, header in zip(_frames(memoryview(sample)), headers(reference, sample), strict=True):
            end += size
            if header and (protected := (size - header) // 16 * 16):
                expected.append((end - protected, end))
        ranges, at = [], 0
        for clear, protected in layout.subsamples(memoryview(sample)):
            at += clear + protected
            if protected:
                ranges.append((at - protected, at))
        assert at == len(sample)
        assert ranges == expected
        several += len(ranges) > 1
    assert several > 0


SHOWN = bytes([0b10_00_1_011])


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (b"\x00", "does not begin with its marker"),
        (b"\xb8", "profile that is not defined"),
        (b"\x82\x49\x83\x43" + bytes(30), "synchronization code"),
        (b"\x82\x49\x83\x42\xe0" + bytes(30), "RGB in a VP9 frame of profile 0"),
        (b"\x82\x49\x83\x42" + bytes(60), "without a compressed header"),
        (b"\x82\x49\x83", "ends before its syntax"),
        (bytes([0b10_00_0_1_1_0]) + b"\0\0\x02" + bytes(30), "slot 0, which no frame before it went to"),
        (SHOWN + b"\xc1\x01\xff\xc1", "longer than it"),
    ],
)
def test_odd_samples_are_refused_by_name(sample: bytes, words: str) -> None:
    with pytest.raises(MalformedMediaError, match=words):
        Vp9Layout().subsamples(memoryview(sample))


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (b"", ((0, 0),)),
        (SHOWN, ((1, 0),)),
        (SHOWN * 2 + b"\xc1\x01\x01\xc1", ((6, 0),)),  # two frames of one byte and the index
        (SHOWN + b"\xc1\x01\x00\xc1", ((5, 0),)),  # a frame of no bytes
        (SHOWN + b"\0" * 70_000, ((65_535, 0), (4_466, 0))),
    ],
)
def test_what_only_shows_a_frame_stays_clear(sample: bytes, expected: tuple[tuple[int, int], ...]) -> None:
    assert Vp9Layout().subsamples(memoryview(sample)) == expected


def test_damage_is_refused_in_words_or_measured(clip) -> None:
    rng = random.Random(9)
    _, samples = read(clip("many superframes"))
    read_through = 0
    for _ in range(1500):
        layout = Vp9Layout()
        layout.subsamples(memoryview(samples[0]))
        for sample in rng.sample(samples[1:], 2):
            damaged = bytearray(sample)
            for _ in range(rng.randint(1, 3)):
                damaged[rng.choice([-1, -2, -3, *range(20)]) % len(damaged)] = rng.randrange(256)
            del damaged[rng.choice([len(damaged), len(damaged), rng.randrange(len(damaged))]) :]
            try:
                found = layout.subsamples(memoryview(damaged))
            except MediaError:
                continue
            assert sum(map(sum, found)) == len(damaged)
            read_through += 1
    assert read_through > 500
