"""Copies one track of a clear file into a fragmented MP4 of its own, for adaptive streaming. Nothing is decoded.

One fragment per segment, each beginning with a sync sample; an index of all of them behind `moov`; composition times
from zero (ISO/IEC 14496-12, `trun` version 1), so that no player needs the edit list of a video track.
PyAV does it, in the process of a developer's verb. Not for the PMP worker.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import av

from drm.errors import MediaError, UnsupportedMediaError
from drm.media import TrackInfo, TrackType

__all__ = ["fragment_track"]

_FLAGS: Final = "delay_moov+default_base_moof+negative_cts_offsets+global_sidx+skip_trailer"
_EARLY: Final = 0.05  # seconds before its time that a sync sample may end a segment: 3.97 s is meant as 4


def fragment_track(source: Path, track: TrackInfo, target: Path, segment_seconds: float) -> None:
    """Write `track` of the MP4 at `source` to `target`, its track 1.

    Raises:
        MediaError: the file cannot be copied; UnsupportedMediaError: not its codec.
        OSError: the target cannot be written.
    """
    if track.type is TrackType.VIDEO:
        least = max(segment_seconds - _EARLY, 0.05)
        options = {"movflags": f"frag_keyframe+{_FLAGS}", "min_frag_duration": str(round(least * 1e6))}
    else:  # every sample is a sync sample
        options = {"movflags": _FLAGS, "frag_duration": str(round(segment_seconds * 1e6))}
    try:
        with av.open(str(source.absolute())) as read, av.open(str(target.absolute()), "w", format="mp4",
                                                   options={**options, "fflags": "+bitexact"}) as out:  # fmt: skip
            _copy(read, track, out)
    except av.FFmpegError as error:
        raise MediaError(
            f"track {track.track_id} ({track.codec}) cannot be written in fragments: {error.strerror}",
            where=str(source),
            remedy="see whether it plays: clearkey inspect, ffmpeg -i IN -f null -",
        ) from None


def _copy(read: av.container.InputContainer, track: TrackInfo, out: av.container.OutputContainer) -> None:
    stream = next((stream for stream in read.streams if stream.id == track.track_id), None)
    if stream is None:
        raise UnsupportedMediaError(f"track {track.track_id} ({track.codec}) is of a kind that is not packaged here")
    made = out.add_stream_from_template(stream, opaque=True)
    if track.codec in {"hvc1", "hev1"}:
        made.codec_tag = track.codec  # the muxer would write hev1, which Safari does not play
    for packet in read.demux(stream):
        if packet.size:
            packet.stream = made
            out.mux(packet)
