"""AV1 tiles found against FFmpeg's own trace of the headers before them; rules of the binding; damage."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from drm.codecs.av1.frame_header import Frames
from drm.codecs.av1.layout import Av1Layout, _obu
from drm.codecs.av1.sequence_header import SequenceHeader
from drm.codecs.bits import Bits
from drm.codecs.layouts import layout_for
from drm.errors import MalformedMediaError, MediaError, UnsupportedMediaError
from drm.media import Scheme
from tests.unit.codecs.traces import Unit, make, read, retraced, traced

VECTORS = Path(__file__).parents[2] / "data" / "vectors"
FFMPEG = shutil.which("ffmpeg") or ""
ENCODERS = subprocess.run([FFMPEG, "-encoders"], capture_output=True, check=True).stdout if FFMPEG else b""
libaom = pytest.mark.skipif(b" libaom-av1 " not in ENCODERS, reason="no ffmpeg on PATH that has libaom")
# Options of libaom that change the syntax of frame headers, or how tiles lie. "-" begins one of ffmpeg's own.
SYNTAXES = {
    "usual": "",
    "tiles": "tile-columns=1:tile-rows=1 size=256x256",
    "tile groups": "tile-columns=1:tile-rows=1:num-tile-groups=3 size=256x256",
    "many tiles, small superblocks": "tile-columns=3:tile-rows=2:sb-size=64 size=512x256",
    "film grain": "film-grain-test=3",
    "film grain of the source": "denoise-noise-level=25 source=noise",
    "screen content": "tune-content=screen:enable-palette=1:enable-intrabc=1 source=mandelbrot",
    "error resilient": "error-resilient=1",
    "lossless": "lossless=1",
    "segments": "aq-mode=1",
    "segments of complexity": "aq-mode=2",
    "cyclic refresh": "aq-mode=3 -lag-in-frames=0 -usage=realtime",
    "quantizer deltas": "deltaq-mode=1:enable-tpl-model=1",
    "loop filter deltas": "deltaq-mode=1:delta-lf-mode=1:enable-tpl-model=1",
    "quantizer matrices": "enable-qm=1:qm-min=0:qm-max=8",
    "no order hints": "enable-order-hint=0 -lag-in-frames=0",
    "no filters": "enable-cdef=0:enable-restoration=0",
    "timing": "timing-info=model",
    "still picture": " -still-picture=1 frames=1",
    "global motion": "enable-global-motion=1 source=mandelbrot",
    "gray": " pix_fmt=gray",
    "ten bits": " pix_fmt=yuv420p10le",
    "4:4:4": " pix_fmt=yuv444p",
    "4:2:2 in twelve bits": " pix_fmt=yuv422p12le",
}


def encode(path: Path, told: str) -> Path:
    params, _, rest = told.partition(" ")
    settings = dict(word.split("=", 1) for word in rest.split())
    options = [word for name, value in settings.items() if name[0] == "-" for word in (name, value)]
    source = settings.get("source", "testsrc2")
    size = settings.get("size", "160x128")
    inputs = {"noise": f"testsrc2=size={size}:rate=25,noise=alls=30:allf=t"}.get(
        source, f"{source}=size={size}:rate=25"
    )
    command = [
        FFMPEG, "-v", "error", "-f", "lavfi", "-i", inputs, "-frames:v", settings.get("frames", "16"), "-c:v",
        "libaom-av1", "-pix_fmt", settings.get("pix_fmt", "yuv420p"), "-strict", "-2", "-cpu-used", "8", "-threads",
        "1", "-row-mt", "0", "-crf", "40", *options, *(["-aom-params", params] if params else []), "-y", str(path),
    ]  # fmt: skip
    done = subprocess.run(command, check=False, timeout=60, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("av1")

    def coded(name: str) -> Path:
        path = folder / f"{list(SYNTAXES).index(name)}.mp4"
        return path if path.exists() else encode(path, SYNTAXES[name])

    return coded


def tiles_begin(sample: bytes, units: list[Unit]) -> list[int]:
    """Where FFmpeg's account ends the headers before tile data: in the sample, in bytes."""
    found, at, units = [], 0, list(units)
    while at < len(sample):
        kind, _, _, _, end = _obu(memoryview(sample), at)
        unit = units.pop(0)
        assert unit.values["obu_type"] == kind
        if kind in {4, 6}:
            found.append(at + unit.end // 8)
        at = end
    return found


def check(path: Path) -> int:
    """Compare all samples with the trace; return how many tiles there were."""
    layout = layout_for(read(path)[0].entries[0], Scheme.CBCS)
    assert isinstance(layout, Av1Layout)
    count = 0
    for sample, units in traced(path):
        expected = tiles_begin(sample, units)
        layout._frame = None
        ranges = layout._ranges(memoryview(sample))
        begins = [begin for begin, _ in ranges]
        sizes = [unit.values.get("tile_size_bytes_minus1", -1) + 1 for unit in units if "base_q_idx" in unit.values]
        for begin in expected:
            assert begin in begins or any(begin + size in begins for size in sizes)
        assert len(expected) <= len(begins)
        count += len(begins)
    return count


@libaom
@pytest.mark.parametrize("syntax", SYNTAXES, ids=str)
def test_tiles_begin_where_ffmpeg_ends_the_headers(clip, syntax: str) -> None:
    assert check(clip(syntax)) >= {"tiles": 64, "tile groups": 64, "many tiles, small superblocks": 16 * 32}.get(
        syntax, 1
    )


@pytest.mark.parametrize(
    "params",
    [
        "", "tile-columns=1:tile-rows=1", "film-grain=20", "scm=1", "pred-struct=1", "enable-overlays=1",
        "superres-mode=2", "resize-mode=2", "lossless=1",
    ],
    ids=str,
)  # fmt: skip
def test_another_encoder_is_read_as_well(tmp_path: Path, params: str) -> None:
    options = {"preset": "10", "svtav1-params": params} if params else {"preset": "10"}
    assert check(make(tmp_path / "clip.mp4", "libsvtav1", options, size="256x256", frames=20)) >= 20


def headers(samples: list[bytes]) -> list[int]:
    """Where each frame header ends, in bits from the start of its OBU, as we read it."""
    frames, found = Frames(), []
    for sample in samples:
        at = 0
        while at < len(sample):
            kind, temporal_id, spatial_id, begin, end = _obu(memoryview(sample), at)
            r = Bits(sample[begin:end])
            if kind == 1:
                frames.sequence = SequenceHeader.parse(r)
            elif kind in {3, 6}:
                frames.keep(frames.read(r, temporal_id, spatial_id))
                found.append(8 * (begin - at) + r.place)
            at = end
    return found


@libaom
@pytest.mark.parametrize("syntax", ["usual", "film grain", "quantizer matrices", "timing"])
def test_syntax_by_accident_is_read_as_ffmpeg_reads_it(clip, syntax: str) -> None:
    """Bits flipped in headers make syntax that no encoder at hand writes: what both read has to end alike."""
    rng = random.Random(syntax)
    _, samples = read(clip(syntax))
    behind = {"zero_bit", "tile_start_and_end_present_flag", "tg_start", "tg_end", "trailing_one_bit",
              "trailing_zero_bit"}  # fmt: skip
    equal = 0
    for _ in range(25):
        damaged = [bytearray(sample) for sample in samples[:2]]
        chosen = rng.choice(damaged)
        for _ in range(rng.randint(1, 3)):
            chosen[rng.randrange(3, min(len(chosen), 24))] ^= 1 << rng.randrange(8)
        told = retraced(clip(syntax), [bytes(sample) for sample in damaged])
        if told is None:
            continue
        units = [unit for unit in told if unit.values.get("obu_type") in {3, 6}]
        if any("ref_order_hint[0]" in unit.values for unit in units):
            continue  # of frames that are lost FFmpeg keeps the old order hint, and libaom the new one, as we do
        expected = [max(end for name, end in unit.ends.items() if name not in behind) for unit in units]
        try:
            found = headers([bytes(sample) for sample in damaged])
        except MediaError:
            continue  # FFmpeg reads on where a slot is empty
        assert found == expected
        equal += 1
    assert equal >= 8


@pytest.fixture(scope="module")
def tiled() -> tuple[bytes, list[bytes]]:
    track, samples = read(VECTORS / "clear" / "src_av1.mp4")
    return track.entries[0].boxes["av1C"], samples


@pytest.mark.parametrize("scheme", list(Scheme))
def test_the_rules_of_the_binding_hold(tiled, scheme: Scheme) -> None:
    config, samples = tiled
    reference, layout = Av1Layout(config, Scheme.CBCS), Av1Layout(config, scheme)
    protected = total = 0
    for sample in samples:
        reference._frame = None
        tiles = reference._ranges(memoryview(sample))
        ranges, at = [], 0
        for clear, size in layout.subsamples(memoryview(sample)):
            if size:
                ranges.append((at + clear, at + clear + size))
            at += clear + size
        assert at == len(sample)
        if scheme is Scheme.CBCS:
            assert ranges == tiles
        else:
            assert ranges == [(end - (end - begin) // 16 * 16, end) for begin, end in tiles if end - begin >= 16]
        protected += sum(end - begin for begin, end in ranges)
        total += len(sample)
    assert protected > 0.8 * total


def obu(kind: int, payload: bytes = b"", *, flags: int = 2) -> bytes:
    return bytes([kind << 3 | flags, *([len(payload)] if flags & 2 else [])]) + payload


@pytest.mark.parametrize(
    ("sample", "error", "words"),
    [
        (b"\x80", MalformedMediaError, "forbidden bit"),
        (b"\x12\x05\x00", MalformedMediaError, "longer than its AV1 sample"),
        (b"\x16", MalformedMediaError, "inside an OBU header"),
        (b"\x12" + b"\xff" * 9, MalformedMediaError, "size without an end"),
        (obu(4, b"\0" * 9), MalformedMediaError, "without a frame header"),
        (obu(8, b"\0" * 9), UnsupportedMediaError, "tile lists"),
        (obu(3, b"\x80"), MalformedMediaError, "slot 0, which no frame before it went to"),
        (obu(6), MalformedMediaError, "ends before its syntax"),
        (obu(1, b"\0"), MalformedMediaError, "ends before its syntax"),
    ],
)
def test_odd_samples_are_refused_by_name(tiled, sample: bytes, error: type[MediaError], words: str) -> None:
    with pytest.raises(error, match=words):
        Av1Layout(tiled[0], Scheme.CENC).subsamples(memoryview(sample))


def test_a_frame_needs_a_sequence_header_and_all_its_tiles(tiled) -> None:
    config, samples = tiled
    with pytest.raises(MalformedMediaError, match="before any sequence header"):
        Av1Layout(config[:4], Scheme.CENC).subsamples(memoryview(obu(6, b"\x10\0\0")))
    layout = Av1Layout(config, Scheme.CENC)
    layout.subsamples(memoryview(samples[0]))
    frame = samples[1]
    _, _, _, begin, _ = _obu(memoryview(frame), 2 if frame[0] == 0x12 else 0)
    with pytest.raises(MalformedMediaError, match="ends before the last frame"):
        layout.subsamples(memoryview(obu(3, frame[begin : begin + 60])))


@pytest.mark.parametrize("config", [b"", b"\x81\0\0", b"\x01\0\0\0", b"\x81\0\0\0\x0a\x7f"])
def test_a_broken_configuration_is_refused(config: bytes) -> None:
    with pytest.raises(MalformedMediaError):
        Av1Layout(config, Scheme.CENC)


def test_what_is_no_tile_stays_clear(tiled) -> None:
    layout = Av1Layout(tiled[0], Scheme.CENC)
    assert layout.subsamples(memoryview(b"")) == ((0, 0),)
    assert layout.subsamples(memoryview(obu(2) + obu(5, b"\x01" * 20) + obu(15, b"\0" * 9))) == ((35, 0),)
    assert layout.subsamples(memoryview(obu(15, b"\0" * 70_000, flags=0))) == ((65_535, 0), (4_466, 0))


def test_damage_is_refused_in_words_or_measured(tiled) -> None:
    """3,000 samples with bytes changed, cut or doubled, each after sound ones."""
    config, samples = tiled
    rng = random.Random(9)
    read_through = 0
    for _ in range(1000):
        layout = Av1Layout(config, Scheme.CENC)
        layout.subsamples(memoryview(samples[0]))
        for sample in rng.sample(samples[1:], 3):
            damaged = bytearray(sample)
            for _ in range(rng.randint(1, 3)):
                damaged[rng.randrange(min(len(damaged), 40))] = rng.randrange(256)
            del damaged[rng.choice([len(damaged), len(damaged), rng.randrange(len(damaged))]) :]
            try:
                found = layout.subsamples(memoryview(damaged))
            except MediaError:
                continue
            assert sum(map(sum, found)) == len(damaged)
            read_through += 1
    assert read_through > 500
