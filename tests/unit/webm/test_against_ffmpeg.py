"""Our samples against the packets of FFmpeg's demuxer, and our frames against its frames, for clear files.

FFmpeg reads clear WebM and Matroska right; what it reads, we must read, byte for byte. Files with other codecs, tracks
and layouts are made here by FFmpeg's muxer out of the vectors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from drm.app.byte_stream import FileByteStream
from drm.components.av_decoder.decoder import AvDecoder
from drm.webm.presentation import open_webm

MS = 1_000_000


def remux(source: Path, target: Path, **options: str) -> Path:
    """Put the tracks of `source` into Matroska as they are."""
    with av.open(source) as input_, av.open(target, "w", format="matroska", options=options) as output:
        streams = {each.index: output.add_stream_from_template(each, opaque=True) for each in input_.streams}
        for packet in input_.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    return target


def vorbis(target: Path) -> Path:
    """A second of Vorbis, which no vector has."""
    with av.open(target, "w", format="webm") as output:
        stream = output.add_stream("vorbis", rate=44100, layout="stereo", options={"strict": "experimental"})
        for start in range(0, 44100, 1024):
            frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
            for plane in frame.planes:
                plane.update(bytes([start // 1024 % 60, 0, 0, 0x3D]) * 1024)
            frame.sample_rate, frame.pts = 44100, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target


def pictures_out_of_order(target: Path) -> Path:
    """H.264 whose pictures are decoded in another order than they are shown."""
    with av.open(target, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=25, options={"bf": "2", "g": "12", "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(40):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes((number * 5 + at) % 251 for at in range(plane.buffer_size)))
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target


LAYOUTS = {
    "vp8": lambda clear, _folder: clear / "src_vp8.webm",
    "vp9": lambda clear, _folder: clear / "src_vp9.webm",
    "opus": lambda clear, _folder: clear / "src_opus.webm",
    "avc and aac": lambda clear, folder: remux(clear / "src_avc_aac.mp4", folder / "a.mkv"),
    "av1": lambda clear, folder: remux(clear / "src_av1.mp4", folder / "a.mkv"),
    "hevc": lambda clear, folder: remux(clear / "src_hevc.mp4", folder / "a.mkv"),
    "live": lambda clear, folder: remux(clear / "src_avc_aac.mp4", folder / "a.mkv", live="1"),
    "small clusters": lambda clear, folder: remux(clear / "src_vp9.webm", folder / "a.mkv", cluster_time_limit="100"),
    "cues in front": lambda clear, folder: remux(clear / "src_vp8.webm", folder / "a.mkv", cues_to_front="1"),
    "vorbis": lambda _clear, folder: vorbis(folder / "a.webm"),
    "b-frames": lambda _clear, folder: pictures_out_of_order(folder / "a.mkv"),
}


@pytest.fixture(params=LAYOUTS)
def file(request: pytest.FixtureRequest, own_vectors: Path, tmp_path: Path) -> Path:
    return LAYOUTS[request.param](own_vectors / "clear", tmp_path)


def digest(frame: av.VideoFrame | av.AudioFrame) -> str:
    """Of what is to be seen or heard, without the padding of the decoder's memory."""
    made = hashlib.sha256()
    if isinstance(frame, av.AudioFrame):
        width = frame.format.bytes * (1 if frame.format.is_planar else frame.layout.nb_channels)
        for plane in frame.planes:
            made.update(memoryview(plane)[: frame.samples * width])
        return made.hexdigest()
    for plane in frame.planes:
        for row in range(plane.height):
            made.update(memoryview(plane)[row * plane.line_size :][: plane.width])
    return made.hexdigest()


def ours(stream: FileByteStream, number: int) -> Iterator[str]:
    opened = open_webm(stream)
    track = opened.tracks[number]
    decoder = AvDecoder()
    decoder.open(track)
    for sample in opened.samples(track.track_id):
        buffer = decoder.buffer(sample.size)
        buffer.view()[:] = stream.read_at(sample.offset, sample.size)
        yield from (digest(frame.native) for frame in decoder.decode(buffer, sample))
    yield from (digest(frame.native) for frame in decoder.drain())


def test_packets_are_equal(file: Path) -> None:
    with FileByteStream(file) as stream, av.open(file) as theirs:
        opened = open_webm(stream)
        assert len(opened.tracks) == len(theirs.streams)
        packets: dict[int, list[av.Packet]] = {each.index: [] for each in theirs.streams}
        for packet in theirs.demux():
            if packet.size:
                packets[packet.stream.index].append(packet)
        for index, track in enumerate(opened.tracks):
            codec = theirs.streams[index].codec_context
            assert bytes(codec.extradata or b"") == track.codec_config
            samples = list(opened.samples(track.track_id))
            assert [stream.read_at(s.offset, s.size) for s in samples] == [bytes(p) for p in packets[index]]
            assert [s.is_sync for s in samples] == [p.is_keyframe for p in packets[index]]
            for sample, packet in zip(samples, packets[index], strict=True):
                time = sample.dts + sample.cts_offset
                assert abs(time - packet.pts * MS) <= MS or (packet.pts < 0 and time == 0)


def test_frames_are_equal(file: Path) -> None:
    with FileByteStream(file) as stream:
        for index, track in enumerate(open_webm(stream).tracks):
            with av.open(file) as theirs:
                wanted = [digest(frame) for frame in theirs.decode(theirs.streams[index])]
            found = list(ours(stream, index))
            if track.decoder == "opus":
                # DiscardPadding cuts the end of the last frame there; no encrypted file of Shaka Packager has it.
                wanted, found = wanted[:-1], found[:-1]
            assert wanted
            assert found == wanted
