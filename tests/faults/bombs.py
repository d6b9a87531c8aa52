"""Small files that ask for a great deal: made here, byte by byte or with encoders, the same each time."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.filter

from sample_content.clip import Clip, make_clip
from tests.scheduling import usual_scheduling

HUGE = (8192, 8192)  # twice what a worker of 1024 MiB allows, and cheap to encode in one colour


def pictures(size: tuple[int, int], count: int, pixels: str = "yuv420p") -> Iterator[av.VideoFrame]:
    """Pictures of one colour; the first is a test picture where that is small."""
    graph = av.filter.Graph()
    source = graph.add("color", f"gray:size={size[0]}x{size[1]}:rate=25")
    graph.link_nodes(source, graph.add("format", pixels), graph.add("buffersink")).configure()
    for _ in range(count):
        picture = graph.pull()
        assert isinstance(picture, av.VideoFrame)
        picture.pict_type = 0
        yield picture


def h264(path: Path, size: tuple[int, int], count: int, options: dict[str, str], pixels: str = "yuv420p") -> Path:
    """Pictures of one colour in an MP4."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "level": "6.2"} | options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for number, picture in enumerate(pictures(size, count, pixels)):
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


def packets(codec: str, size: tuple[int, int], count: int, options: dict[str, str]) -> list[av.Packet]:
    """What an encoder makes of pictures of one colour."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = *size, "yuv420p"
    context.time_base, context.options = Fraction(1, 25), options
    made = [packet for picture in pictures(size, count) for packet in context.encode(picture)]
    return [*made, *context.encode(None)]


def mux(path: Path, codec: str, made: Iterable[av.Packet]) -> Path:
    """A WebM whose track says 64x64, whatever the packets hold."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number, packet in enumerate(made):
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            out.mux(packet)
    return path


def pictures_larger_than_the_entry_says(path: Path) -> Path:
    """H.264: the sample entry says 64x64, the sequence parameter set 8192x8192."""
    h264(path, HUGE, 4, {"x264-params": "ref=1"})
    data = path.read_bytes()
    entry = data.index(b"avc1", data.index(b"stsd")) + 4 + 24
    path.write_bytes(data[:entry] + struct.pack(">HH", 64, 64) + data[entry + 4 :])
    return path


def vp9_jump(path: Path) -> Path:
    """VP9: small pictures, and then a key frame whose header says 65536x65536 (VP9 bitstream, clause 6.2)."""
    made = packets("libvpx-vp9", (64, 64), 6, {"deadline": "realtime", "g": "1"})
    header = bytearray(bytes(made[-1]))
    assert header[1:4] == b"\x49\x83\x42", "a key frame of profile 0, whose size begins at bit 36"
    header[4:9] = bytes([header[4] | 0x0F, 0xFF, 0xFF, 0xFF, header[8] | 0xF0])
    return mux(path, "libvpx-vp9", [*made[:-1], av.Packet(bytes(header))])


def av1_jump(path: Path) -> Path:
    """AV1: small pictures, and then a sequence header that says 65536x65536 (AV1 bitstream, clause 5.5.1)."""
    with usual_scheduling():
        made = packets("libsvtav1", (64, 64), 5, {"preset": "12"})
    # seq_profile 0, still_picture, reduced_still_picture_header, level 31, sizes of 16 bits, both the largest
    bits = "000" + "1" + "1" + "11111" + "1111" * 2 + "1" * 32 + "0" * 24
    sequence = int(bits.ljust(80, "0"), 2).to_bytes(10)
    unit = b"\x12\0\x0a\x0a" + sequence + b"\x32\x40" + bytes(64)  # temporal delimiter, sequence, frame
    with usual_scheduling():
        return mux(path, "libsvtav1", [*made, av.Packet(unit)])


def pictures_that_all_stay(path: Path) -> Path:
    """H.264 in 4:4:4: each small enough for a worker of 256 MiB, and sixteen of them are referred to."""
    return h264(path, (2816, 2816), 20, {"x264-params": "ref=16:keyint=100:scenecut=0"}, "yuv444p")


def film(path: Path, *, fragmented: bool = False) -> Path:
    """Picture and sound, small and sound."""
    make_clip(path, Clip(width=64, height=64, frames=25, fragmented=fragmented))
    return path


def altered(path: Path, name: bytes, offset: int, value: bytes) -> Path:
    """Overwrite `value` at `offset` bytes after the first four-character code `name`."""
    data = path.read_bytes()
    at = data.index(name) + 4 + offset
    path.write_bytes(data[:at] + value + data[at + len(value) :])
    return path


def many_tracks(path: Path, count: int) -> Path:
    """The movie's own tracks, over and over, each under a number of its own. All of them can be played."""
    data = film(path).read_bytes()
    at = data.index(b"moov") - 4
    (size,) = struct.unpack_from(">I", data, at)
    inner, tracks = data[at + 8 : at + size], []
    where = 0
    head = b""
    while where < len(inner):
        (length,) = struct.unpack_from(">I", inner, where)
        part = inner[where : where + length]
        if part[4:8] == b"trak":
            tracks.append(part)
        elif part[4:8] == b"mvhd":
            head = part
        where += length
    copies = b""
    for number in range(count):
        track = tracks[number % len(tracks)]
        number_at = track.index(b"tkhd") + 4 + 12
        copies += track[:number_at] + struct.pack(">I", number + 1) + track[number_at + 4 :]
    # Behind the media data, so that no offset moves: the old movie box becomes free space.
    movie = struct.pack(">I4s", 8 + len(head) + len(copies), b"moov") + head + copies
    path.write_bytes(data[:at] + data[at : at + 4] + b"free" + data[at + 8 :] + movie)
    return path


def deep(path: Path) -> Path:
    """Boxes in boxes, three thousand deep."""
    data = film(path).read_bytes()
    boxes = b"".join(struct.pack(">I4s", 8 * (3000 - depth), b"trak") for depth in range(3000))
    path.write_bytes(data[: data.index(b"moov") - 4] + struct.pack(">I4s", 8 + len(boxes), b"moov") + boxes)
    return path


def webm(path: Path) -> Path:
    """A film in WebM."""
    return mux(path, "libvpx-vp9", packets("libvpx-vp9", (64, 64), 5, {"deadline": "realtime"}))
