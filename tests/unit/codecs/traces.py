"""Clips of many codings, and FFmpeg's own account of their headers: what `trace_headers` prints of each element."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import av.logging
from av.bitstream import BitStreamFilterContext

from drm.encrypting.source_file import SourceFile
from drm.isobmff.samples import open_presentation
from drm.isobmff.tracks import Track
from tests.scheduling import usual_scheduling

__all__ = ["Unit", "bits_of", "bytes_of", "escaped_size", "make", "read", "retraced", "traced"]

_ELEMENT = re.compile(r"(\d+)\s+(\S+)\s+([01]+) = (-?\d+)")


@dataclass
class Unit:
    """What FFmpeg read of one NAL unit, OBU or VP9 frame."""

    end: int = 0  # bits from its start, escapes left out
    ends: dict[str, int] = field(default_factory=dict)  # behind the last element of each name
    values: dict[str, int] = field(default_factory=dict)  # the last one of each name


def make(
    path: Path, codec: str, options: dict[str, str], *, size: str = "160x128", pix_fmt: str = "yuv420p",
    frames: int = 24, source: str = "testsrc2", profile: str | None = None,
) -> Path:  # fmt: skip
    """Encode a clip of moving test pictures that fade in: that is what makes encoders choose weights."""
    width, height = map(int, size.split("x"))
    with usual_scheduling(), av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.thread_count = 1
        if profile:
            stream.profile = profile
        stream.options = options
        graph = av.filter.Graph()
        chain = [graph.add(source, f"size={size}:rate=25"), graph.add("fade", "in:0:12"),
                 graph.add("format", pix_fmt), graph.add("buffersink")]  # fmt: skip
        graph.link_nodes(*chain).configure()
        for number in range(frames):
            picture = graph.pull()
            picture.pts, picture.time_base, picture.pict_type = number, Fraction(1, 25), 0
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


def read(path: Path) -> tuple[Track, list[bytes]]:
    """The video track and its samples, as our own reader finds them."""
    with SourceFile(path) as source:
        opened = open_presentation(source)
        info = next(track for track in opened.tracks if track.type == "video")
        track = next(track for track in opened._movie.tracks if track.info.track_id == info.track_id)
        return track, [bytes(source.read(s.offset, s.size)) for s in opened.samples(info.track_id)]


def bits_of(*fields: tuple[str, int]) -> str:
    """Bits of `("ue", 5)`, `("se", -1)` and `("u7", 3)`, one behind the other."""
    made = ""
    for kind, value in fields:
        if kind in {"ue", "se"}:
            code = value if kind == "ue" else 2 * value - 1 if value > 0 else -2 * value
            made += f"{code + 1:b}".rjust(2 * (code + 1).bit_length() - 1, "0")
        elif kind != "u0":
            made += f"{value:0{kind[1:]}b}"
    return made


def bytes_of(bits: str, fill: str = "1") -> bytes:
    """Whole bytes of bits."""
    size = -(-len(bits) // 8)
    return int(bits.ljust(8 * size, fill), 2).to_bytes(size, "big")


def escaped_size(nal: bytes, bits: int) -> int:
    """Bytes of the NAL unit that hold `bits` bits of what it escapes, walked byte by byte."""
    wanted, zeros, at = (bits + 7) // 8, 0, 0
    while wanted:
        if zeros >= 2 and nal[at] == 3:
            zeros = 0
        else:
            zeros = zeros + 1 if nal[at] == 0 else 0
            wanted -= 1
        at += 1
    return at


def traced(path: Path) -> Iterator[tuple[bytes, list[Unit]]]:
    """Each packet of the video, with what FFmpeg reads of its units."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.TRACE)
    try:
        with av.open(str(path)) as file, av.logging.Capture() as lines:
            stream = file.streams.video[0]
            trace = BitStreamFilterContext("trace_headers", stream)
            for packet in file.demux(stream):
                if not packet.size:
                    continue
                data, start = bytes(packet), len(lines)
                trace.filter(packet)
                yield data, _units(line[2] for line in lines[start:])
    finally:
        av.logging.set_level(before)


def retraced(path: Path, samples: list[bytes]) -> list[Unit] | None:
    """What FFmpeg reads of other samples of the track at `path`; None when it refuses them."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.TRACE)
    try:
        with av.open(str(path)) as file:
            trace = BitStreamFilterContext("trace_headers", file.streams.video[0])
            with av.logging.Capture() as lines:
                for sample in samples:
                    trace.filter(av.Packet(sample))
                return _units(line[2] for line in lines)
    except av.FFmpegError:
        return None
    finally:
        av.logging.set_level(before)


def _units(lines: Iterable[str]) -> list[Unit]:
    units: list[Unit] = []
    for line in lines:
        if found := _ELEMENT.search(line):
            begin = int(found[1])
            if begin == 0:
                units.append(Unit())
            if units:
                unit = units[-1]
                unit.end = unit.ends[found[2]] = begin + len(found[3])
                unit.values[found[2]] = int(found[4])
    return units
