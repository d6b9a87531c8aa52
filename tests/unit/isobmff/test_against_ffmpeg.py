"""Our own files, read by us and by FFmpeg: the same tracks, configurations, times and places."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from drm.app.byte_stream import FileByteStream
from drm.isobmff.samples import open_presentation
from drm.media import TrackType

CLEAR = ["src_avc_aac", "src_avc_slices", "src_hevc", "src_av1", "src_vp9", "src_ac3"]
ENCRYPTED = [
    "pk_cenc_iv8_v",
    "pk_cenc_iv8_a",
    "b4_mpeg-cenc_av",
    "gp_ctr16_prog_av",
    "ff_cenc_prog_av",
    "gp_roll_frag_v",
]


@pytest.mark.parametrize("name", [f"clear/{n}.mp4" for n in CLEAR] + [f"generated/{n}.mp4" for n in ENCRYPTED])
def test_samples_are_where_and_when_ffmpeg_finds_them(own_vectors: Path, name: str) -> None:
    path = own_vectors / name
    with FileByteStream(path) as stream, av.open(str(path), options={"ignore_editlist": "1"}) as container:
        presentation = open_presentation(stream)
        for info, theirs in zip(presentation.tracks, container.streams, strict=True):
            ours = [
                (s.offset, s.size, s.dts + s.cts_offset, s.dts, s.is_sync) for s in presentation.samples(info.track_id)
            ]
            container.seek(0)
            packets = [p for p in container.demux(theirs) if p.size]
            wanted = [(p.pos, p.size, p.pts, p.dts, p.is_keyframe) for p in packets]
            assert len(ours) == len(wanted)
            # FFmpeg shifts presentation times by a constant where composition offsets are negative.
            shift = wanted[0][2] - ours[0][2]
            assert [(*o[:2], o[2] + shift, *o[3:]) for o in ours] == wanted


@pytest.mark.parametrize("name", CLEAR)
def test_decoders_and_their_configuration(own_vectors: Path, name: str) -> None:
    path = own_vectors / "clear" / f"{name}.mp4"
    with FileByteStream(path) as stream, av.open(str(path)) as container:
        for info, theirs in zip(open_presentation(stream).tracks, container.streams, strict=True):
            context = theirs.codec_context
            assert av.Codec(info.decoder, "r").canonical_name == context.codec.canonical_name
            if name == "src_vp9":  # FFmpeg keeps nothing of vpcC
                assert info.codec_config[:4] == b"\x01\0\0\0"
            else:
                assert info.codec_config == (context.extradata or b"")
            if info.type is TrackType.VIDEO:
                assert (info.width, info.height) == (context.width, context.height)
            else:
                assert (info.sample_rate, info.channels) == (context.sample_rate, context.channels)
            assert info.timescale == 1 / theirs.time_base
