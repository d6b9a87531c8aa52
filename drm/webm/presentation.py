"""A WebM file as a presentation: its tracks and, lazily, their samples. The face of this package.

Its samples are sound in the same way as those of `drm.isobmff.samples`: each lies inside
the file behind its signal byte, IV and partitions, and its subsamples cover it. WebM's encryption is the scheme cenc in
other clothes, so nothing behind this package knows the difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from drm.errors import InvalidArgumentError, MediaError, TruncatedMediaError, UnsupportedMediaError
from drm.media import ByteSource, Sample, SampleTime, StreamDescriptor, TrackInfo, sample_time
from drm.webm.container import read_header
from drm.webm.ebml import Ebml, Element
from drm.webm.names import id_of
from drm.webm.samples import samples_of
from drm.webm.tracks import Info, Track, parse_info, parse_tracks

__all__ = ["WebMPresentation", "open_webm"]

SCHEME_TYPE: Final = "webm-aes-ctr"
_MAX_WARNINGS: Final = 64
_INFO, _TRACKS, _CLUSTER = id_of("Info"), id_of("Tracks"), id_of("Cluster")
_EBML, _SEGMENT = id_of("EBML"), id_of("Segment")


def open_webm(stream: ByteSource) -> WebMPresentation:
    """Read what the file says about itself; of its media nothing is read yet.

    An initialization segment and the media segments that belong to it are given as one stream, one behind the other.

    Raises:
        UnsupportedMediaError: not WebM or Matroska, or its tracks are described behind its media.
        TruncatedMediaError: the file ends before its tracks do.
        MalformedMediaError: the header breaks the format.
    """
    return WebMPresentation(stream)


class WebMPresentation:
    """An opened file. Keeps `drm.media.Presentation`."""

    def __init__(self, stream: ByteSource) -> None:
        """Read everything before the first Cluster. Raises as `open_webm`."""
        self._stream = stream
        self._warnings: dict[str, None] = {}
        ebml = Ebml(stream)
        self.container, self._segment = read_header(ebml)
        self._info, self._tracks, self._start = self._read_head(ebml)
        if self._segment.end is not None and self._segment.end < ebml.size:
            self._warn(f"{ebml.size - self._segment.end} bytes behind the Segment are not read")

    @property
    def tracks(self) -> tuple[TrackInfo, ...]:
        """Every track, in the order of the file. A track's id is its TrackNumber, its times are nanoseconds."""
        return tuple(track.info for track in self._tracks.values())

    @property
    def segment(self) -> Element:
        """The Segment that everything stands in, for those who rewrite it."""
        return self._segment

    @property
    def media_start(self) -> int:
        """Where the first Cluster begins; the tracks are described before it."""
        return self._start

    @property
    def timestamp_scale(self) -> int:
        """Nanoseconds in one tick of a block's time."""
        return self._info.scale

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd and was read all the same. Grows while samples are read."""
        return tuple(self._warnings)

    @property
    def pssh(self) -> tuple[()]:
        """None, ever: in WebM the key id is all that a protection system is told."""
        return ()

    def streams(self) -> tuple[StreamDescriptor, ...]:
        """Every track with its key id, if it has one."""
        return tuple(StreamDescriptor(info, info.key_ids) for info in self.tracks)

    def scheme_type(self, track_id: int) -> str:
        """The scheme's name; empty for a track that is not encrypted."""
        return SCHEME_TYPE if self._track(track_id).info.is_protected else ""

    def left_out(self, track_id: int) -> str:  # noqa: ARG002 - of every container
        """Nothing is."""
        return ""

    def sample_entries(self, track_id: int) -> tuple[str, ...]:
        """The CodecID, which WebM does not change when it encrypts."""
        return (self._track(track_id).info.codec,)

    def times(self, track_id: int) -> Iterator[SampleTime]:
        """When each sample of one track is decoded. Raises as `samples` does."""
        return map(sample_time, self.samples(track_id))

    def samples(self, track_id: int, start: int = 0) -> Iterator[Sample]:
        """The samples of one track in the order of the file, from number `start` on, read as they are asked for.

        `dts` never goes back: it is the latest presentation time so far, since WebM tells no decode times.

        Raises:
            UnsupportedMediaError: at once for a track that is encrypted or packed in a way that we do not read.

        Raises (while it is iterated):
            MalformedMediaError: elements contradict one another, or a frame is shorter than its header.
            TruncatedMediaError: the file ends before what it announces.
            UnsupportedMediaError: frames that are laced and encrypted, or use an extension of the encryption format.
        """
        track = self._track(track_id)
        if track.refusal:
            raise _refused(track, self._stream)
        samples = samples_of(Ebml(self._stream), track, self._info, self._segment, self._start)
        return islice(samples, start, None) if start else samples

    def _track(self, track_id: int) -> Track:
        if track_id not in self._tracks:
            raise InvalidArgumentError(
                f"there is no track {track_id}", seen=f"tracks {', '.join(map(str, self._tracks)) or 'none'}"
            )
        return self._tracks[track_id]

    def _read_head(self, ebml: Ebml) -> tuple[Info, dict[int, Track], int]:
        """Info, tracks by number, and where the first Cluster begins."""
        segment = self._segment
        info: Element | None = None
        tracks: Element | None = None
        at = segment.data
        end = min(ebml.size, ebml.size if segment.end is None else segment.end)
        while at < end:
            found = ebml.element(at, segment)
            if found.id == _CLUSTER or (found.id in {_EBML, _SEGMENT} and segment.end is None):
                break
            if found.end is None:
                ebml.fail("a Segment inside a Segment", at, found)
            info = info or (found if found.id == _INFO else None)
            tracks = tracks or (found if found.id == _TRACKS else None)
            at = found.end
        if tracks is None:
            raise _no_tracks(ebml, segment, at)
        read = parse_info(ebml, info) if info else Info()
        by_number = {track.info.track_id: track for track in parse_tracks(ebml, tracks, read, self._warn)}
        return read, by_number, at

    def _warn(self, text: str) -> None:
        if len(self._warnings) < _MAX_WARNINGS:
            self._warnings[text] = None


def _no_tracks(ebml: Ebml, segment: Element, at: int) -> MediaError:
    if at >= ebml.size and (segment.end is None or segment.end > ebml.size):
        return TruncatedMediaError(
            "the file ends before its tracks are described",
            where=ebml.where(at, segment),
            seen=f"{ebml.size} bytes",
            maybe="a download or a copy that was interrupted",
            remedy="compare the file's size with the original's",
        )
    return UnsupportedMediaError(
        "no Tracks element stands before the media",
        where=ebml.where(at, segment),
        maybe="media segments without their initialization segment, or a recording that was not finished",
        remedy="give the initialization segment first, then the media segments",
    )


def _refused(track: Track, stream: ByteSource) -> UnsupportedMediaError:
    return UnsupportedMediaError(
        f"track {track.info.track_id} cannot be read: {track.refusal} is not supported",
        where=f"{stream.name}, track {track.info.track_id}",
        remedy="package it again with AES-CTR and a key id of 16 bytes, or as fragmented MP4",
    )
