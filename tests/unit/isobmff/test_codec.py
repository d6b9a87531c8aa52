"""Decoders and their configuration, for codecs that no vector has: FFmpeg writes a file, and both of us read it."""

from __future__ import annotations

from array import array
from fractions import Fraction
from pathlib import Path

import av
import pytest

from drm.app.byte_stream import FileByteStream
from drm.errors import MalformedMediaError
from drm.isobmff.box import encode_box
from drm.isobmff.codec import codec_of
from drm.isobmff.reader import Reader
from drm.isobmff.sample_entry import SampleEntry
from drm.isobmff.samples import open_presentation
from drm.media import TrackType
from tests.sample_tables import Stco, Stsc, Stsz, Stts

SOUND = [("libopus", "mp4", "flt"), ("flac", "mp4", "s16"), ("alac", "mp4", "s16p"), ("alac", "mov", "s16p"),
         ("aac", "mov", "fltp"), ("eac3", "mp4", "fltp"), ("libmp3lame", "mp4", "s16p")]  # fmt: skip


@pytest.mark.parametrize(("encoder", "container", "form"), SOUND, ids=lambda word: word)
def test_sound_codecs_are_read_as_ffmpeg_reads_them(tmp_path: Path, encoder: str, container: str, form: str) -> None:
    if encoder not in av.codecs_available:
        pytest.skip(f"FFmpeg here has no {encoder}")
    path = tmp_path / f"sound.{container}"
    write_sound(path, encoder, form)
    with FileByteStream(path) as stream, av.open(str(path)) as theirs:
        (track,) = open_presentation(stream).tracks
        context = theirs.streams[0].codec_context
        assert av.Codec(track.decoder, "r").canonical_name == context.codec.canonical_name
        assert (track.sample_rate, track.channels) == (context.sample_rate, context.channels)
        if encoder == "alac":  # FFmpeg keeps the box with its header, and so do we
            assert track.codec_config[-24:] == context.extradata[-24:]
        else:
            assert track.codec_config == (context.extradata or b"")
        if track.codec_config and encoder != "libmp3lame":
            assert decodes(path, track.decoder, track.codec_config)


def write_sound(path: Path, encoder: str, form: str) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(encoder, rate=48000)
        stream.layout = "stereo"
        stream.format = form
        for number in range(20):
            size = stream.codec_context.frame_size or 1024
            frame = av.AudioFrame(format=form, layout="stereo", samples=size)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = 48000, number * size, Fraction(1, 48000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def decodes(path: Path, decoder: str, config: bytes) -> int:
    context = av.CodecContext.create(decoder, "r")
    context.extradata = config
    with av.open(str(path)) as container:
        return sum(len(context.decode(av.Packet(bytes(p)))) for p in container.demux() if p.size)


def sound_entry(version: int, more: bytes, *boxes: bytes) -> Reader:
    fields = (
        bytes(8) + version.to_bytes(2, "big") + bytes(6) + b"\0\2\0\x10" + bytes(4) + (48000 << 16).to_bytes(4, "big")
    )
    return Reader(encode_box("mp4a", fields, more, *boxes)).next_box()


@pytest.mark.parametrize(("version", "size"), [(0, 0), (1, 0), (1, 16), (2, 36)])
def test_quicktime_puts_fields_before_the_boxes(version: int, size: int) -> None:
    more = bytes((0, 0, 4, 0)) * (size // 4)
    entry = SampleEntry.parse(sound_entry(version, more, encode_box("btrt", b"x")), TrackType.AUDIO)
    assert entry.boxes == {"btrt": b"x"}
    assert (entry.channels, entry.sample_rate) == (2, 48000)


def test_esds_inside_wave_and_with_long_descriptor_sizes() -> None:
    specific = b"\x05\x80\x80\x80\x02\x11\x90"
    config = b"\x04\x80\x80\x80" + bytes((13 + len(specific),)) + b"\x40" + bytes(12) + specific
    es = b"\x03\x80\x80\x80" + bytes((3 + len(config),)) + b"\0\1\0" + config
    wave = encode_box("wave", encode_box("esds", bytes(4) + es))
    entry = SampleEntry.parse(sound_entry(0, b"", wave), TrackType.AUDIO)
    assert codec_of(entry) == ("aac", b"\x11\x90")
    for cut in range(5, len(es)):
        broken = SampleEntry("mp4a", "mp4a", boxes={"esds": bytes(4) + es[:cut]})
        with pytest.raises(MalformedMediaError, match="esds"):
            codec_of(broken)


def test_optional_fields_of_an_es_descriptor_are_passed_over() -> None:
    config = b"\x04\x0d\x6b" + bytes(12)
    body = b"\0\1\xe0" + b"\0\2" + b"\x03url" + b"\0\3" + config
    entry = SampleEntry("mp4a", "mp4a", boxes={"esds": bytes(4) + b"\x03" + bytes((len(body),)) + body})
    assert codec_of(entry) == ("mp3", b"")


def test_windows_media_out_of_piff() -> None:
    wave = (0x161).to_bytes(2, "little") + bytes(14) + (3).to_bytes(2, "little") + b"abc"
    assert codec_of(SampleEntry("enca", "wma ", boxes={"wfex": wave})) == ("wmav2", b"abc")


def test_a_codec_that_nobody_knows_has_no_decoder() -> None:
    assert codec_of(SampleEntry("zzzz", "zzzz")) == ("", b"")


OBJECT_TYPES = (0x20, 0x21, 0x23, 0x40, 0x60, 0x61, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x6B, 0x6C, 0xA5, 0xA6, 0xA9, 0xAD)


@pytest.mark.parametrize("object_type", OBJECT_TYPES, ids=hex)
def test_object_types_name_the_codec_that_ffmpeg_takes_them_for(build, tmp_path: Path, object_type: int) -> None:
    """A number that is off gives the samples of one codec to the decoder of another."""
    told = b"\x03\x12\0\1\0" + b"\x04\x0d" + bytes((object_type, 0x11)) + bytes(11)
    esds = encode_box("esds", bytes(4), told)
    path = tmp_path / "told.mp4"
    tables = (
        Stts(array("I", [1, 1])), Stsc(array("I", [1, 1, 1])), Stsz(1, 1), Stco(array("I", [8])),
    )  # fmt: skip
    entry = encode_box("mp4v", bytes(6), b"\0\1", bytes(70), esds)
    path.write_bytes(encode_box("free", b"x") + build.moov(build.trak([entry], *(table.encode() for table in tables))))
    with FileByteStream(path) as stream:
        (track,) = open_presentation(stream).tracks
    with av.open(str(path)) as container:
        seen = container.streams[0].codec_context.codec.canonical_name
    assert av.Codec(track.decoder, "r").canonical_name == seen
