"""From Info and Tracks to tracks: each TrackEntry with its codec, its times and its encryption, joined to one value.

All times become nanoseconds here: what Matroska counts in them (frame durations, codec delay) is then exact, whatever
the file's own TimestampScale is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drm.media import Protection, TrackInfo, TrackType
from drm.webm.codec import decoder_of
from drm.webm.ebml import Ebml, Element
from drm.webm.encryption import parse_encodings
from drm.webm.names import id_of

__all__ = ["NANOSECONDS", "Info", "Track", "parse_info", "parse_tracks"]

NANOSECONDS: Final = 1_000_000_000  # in a second: the timescale of every track
MAX_TRACKS: Final = 64
MAX_TIME: Final = 1 << 62  # nanoseconds, about 146 years: times stay integers of 64 bits
_DEFAULT_SCALE: Final = 1_000_000  # nanoseconds (RFC 9559, section 5.1.2.9)
_MAX_PIXELS: Final = 1 << 16  # of width and height
_TYPES: Final = {1: TrackType.VIDEO, 2: TrackType.AUDIO}

_TIMESTAMP_SCALE, _DURATION = id_of("TimestampScale"), id_of("Duration")
_TRACK_ENTRY, _NUMBER, _TYPE = id_of("TrackEntry"), id_of("TrackNumber"), id_of("TrackType")
_CODEC_ID, _CODEC_PRIVATE, _CODEC_DELAY = id_of("CodecID"), id_of("CodecPrivate"), id_of("CodecDelay")
_DEFAULT_DURATION, _SEEK_PRE_ROLL = id_of("DefaultDuration"), id_of("SeekPreRoll")
_LANGUAGE, _LANGUAGE_BCP47, _TRACK_SCALE = id_of("Language"), id_of("LanguageBCP47"), id_of("TrackTimestampScale")
_VIDEO, _WIDTH, _HEIGHT = id_of("Video"), id_of("PixelWidth"), id_of("PixelHeight")
_AUDIO, _FREQUENCY, _CHANNELS = id_of("Audio"), id_of("SamplingFrequency"), id_of("Channels")
_ENCODINGS = id_of("ContentEncodings")

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Info:
    """What holds for the whole Segment."""

    scale: int = _DEFAULT_SCALE  # nanoseconds in one tick of a block's time
    duration: int = 0  # nanoseconds; 0: not told


@dataclass(frozen=True, slots=True)
class Track:
    """One track as its TrackEntry describes it."""

    info: TrackInfo
    refusal: str = ""  # why its frames cannot be read
    default_duration: int = 0  # nanoseconds of one frame; 0: not told
    codec_delay: int = 0  # nanoseconds of sound that a decoder gives before what was recorded
    seek_pre_roll: int = 0  # nanoseconds to decode before a place that was sought


def parse_info(ebml: Ebml, element: Element) -> Info:
    """Read Info. Raises MalformedMediaError."""
    scale, ticks = _DEFAULT_SCALE, 0.0
    for child in ebml.children(element):
        if child.id == _TIMESTAMP_SCALE:
            scale = ebml.uint(child)
            if not 0 < scale <= 1000 * NANOSECONDS:
                ebml.fail(f"a TimestampScale of {scale} nanoseconds", child.start, child)
        elif child.id == _DURATION:
            ticks = ebml.float(child)
    nanoseconds = ticks * scale
    sound = math.isfinite(nanoseconds) and 0 < nanoseconds < MAX_TIME
    return Info(scale, round(nanoseconds) if sound else 0)


def parse_tracks(ebml: Ebml, element: Element, info: Info, warn: Warn) -> tuple[Track, ...]:
    """Read Tracks. Raises MalformedMediaError; what is only odd goes to `warn`."""
    tracks: dict[int, Track] = {}
    for child in ebml.children(element):
        if child.id != _TRACK_ENTRY:
            continue
        track = _Entry(ebml, child).track(info, warn)
        number = track.info.track_id
        if number in tracks:
            ebml.fail(f"two tracks have the number {number}", child.start, child)
        tracks[number] = track
        if len(tracks) > MAX_TRACKS:
            ebml.fail(f"more than {MAX_TRACKS} tracks", child.start, child)
        if track.refusal:
            warn(f"track {number}: {track.refusal} is not read")
    return tuple(tracks.values())


class _Entry:
    """The fields of one TrackEntry as they are read."""

    def __init__(self, ebml: Ebml, entry: Element) -> None:
        self._ebml = ebml
        self._entry = entry
        self._uints = dict.fromkeys((_NUMBER, _TYPE, _DEFAULT_DURATION, _CODEC_DELAY, _SEEK_PRE_ROLL), 0)
        self._texts = {_CODEC_ID: "", _LANGUAGE: "eng", _LANGUAGE_BCP47: ""}  # the default of RFC 9559
        self._private = b""
        self._size = (0, 0)
        self._sound = (0, 0)
        self._scale = 1.0
        self._protection: Protection | None = None
        self._refusal = ""
        for child in ebml.children(entry):
            self._take(child)

    def _take(self, child: Element) -> None:
        ebml = self._ebml
        if child.id in self._uints:
            self._uints[child.id] = ebml.uint(child)
        elif child.id in self._texts:
            self._texts[child.id] = ebml.text(child)
        elif child.id == _CODEC_PRIVATE:
            self._private = ebml.take(child)
        elif child.id == _VIDEO:
            found = {inner.id: ebml.uint(inner) for inner in ebml.children(child) if inner.id in {_WIDTH, _HEIGHT}}
            self._size = found.get(_WIDTH, 0), found.get(_HEIGHT, 0)
            if max(self._size) > _MAX_PIXELS:
                ebml.fail(f"pictures of {self._size[0]}x{self._size[1]}", child.start, child)
        elif child.id == _AUDIO:
            self._sound = self._audio(child)
        elif child.id == _TRACK_SCALE:
            self._scale = ebml.float(child)
        elif child.id == _ENCODINGS:
            self._protection, self._refusal = parse_encodings(ebml, child)

    def _audio(self, audio: Element) -> tuple[int, int]:
        frequency, channels = 8000.0, 1  # the defaults of RFC 9559
        for child in self._ebml.children(audio):
            if child.id == _FREQUENCY:
                frequency = self._ebml.float(child)
            elif child.id == _CHANNELS:
                channels = self._ebml.uint(child)
        if not 1 <= frequency <= 1 << 24 or not 1 <= channels <= 255:
            self._ebml.fail(f"sound of {frequency} Hz with {channels} channels", audio.start, audio)
        return round(frequency), channels

    def track(self, info: Info, warn: Warn) -> Track:
        """Join the fields. Raises MalformedMediaError when a track has no number or no codec."""
        number = self._uints[_NUMBER]
        if not number:
            self._ebml.fail("a track has no number", self._entry.start, self._entry)
        codec = self._texts[_CODEC_ID]
        if not codec or not codec.isprintable():
            self._ebml.fail(f"track {number} has no CodecID", self._entry.start, self._entry)
        if self._scale != 1.0:
            warn(
                f"track {number}: its TrackTimestampScale of {self._scale:g} is passed over, as Matroska has dropped it"
            )
        return Track(
            TrackInfo(
                track_id=number,
                type=_TYPES.get(self._uints[_TYPE], TrackType.OTHER),
                codec=codec,
                timescale=NANOSECONDS,
                movie_timescale=NANOSECONDS,
                decoder=decoder_of(codec),
                codec_config=self._private,
                width=self._size[0],
                height=self._size[1],
                sample_rate=self._sound[0],
                channels=self._sound[1],
                language=self._texts[_LANGUAGE_BCP47] or self._texts[_LANGUAGE],
                duration=info.duration,
                protections=(self._protection,),
                codec_configs=(self._private,),
            ),
            self._refusal,
            min(self._uints[_DEFAULT_DURATION], MAX_TIME),
            min(self._uints[_CODEC_DELAY], MAX_TIME),
            self._uints[_SEEK_PRE_ROLL],
        )
