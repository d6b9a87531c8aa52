"""What `clearkey inspect` finds out about a file: tracks, schemes, key ids, clear lead, counts. Values, no printing.

Never touches a key. A track that cannot be read to its end is reported as far as it went, with the error beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from drm.app.byte_stream import FileByteStream
from drm.errors import MediaError
from drm.isobmff.pssh import Pssh
from drm.keys import KeyId
from drm.media import Protection, Sample, TrackInfo
from player.media_file import MediaFile, open_media

__all__ = ["ClearLead", "Inspection", "Kid", "ProtectionReport", "PsshReport", "TrackReport", "inspect_stream"]


class Kid(msgspec.Struct, frozen=True):
    """A key id in the notations that people search for, and how many samples are under it."""

    uuid: str
    hex: str
    base64url: str
    samples: int = 0

    @classmethod
    def of(cls, key_id: KeyId, samples: int = 0) -> Kid:
        """Write `key_id` out."""
        return cls(str(key_id), key_id.hex, key_id.base64url, samples)


class ProtectionReport(msgspec.Struct, frozen=True):
    """How the samples of one sample description are protected, where no group says otherwise."""

    description: int  # from 1
    scheme: str
    default_kid: Kid
    iv_size: int  # bytes of each sample's own IV; 0: a constant one
    constant_iv: str  # hex
    pattern: str  # "1:9", in blocks; empty: every block

    @classmethod
    def of(cls, description: int, protection: Protection) -> ProtectionReport:
        """Write `protection` out."""
        blocks = protection.crypt_blocks, protection.skip_blocks
        return cls(
            description,
            protection.scheme.value,
            Kid.of(protection.key_id),
            protection.iv_size,
            protection.constant_iv.hex(),
            "{}:{}".format(*blocks) if any(blocks) else "",
        )


class ClearLead(msgspec.Struct, frozen=True):
    """What comes before the first encrypted sample."""

    samples: int
    seconds: float


class TrackReport(msgspec.Struct, frozen=True):
    """One track, read from its first sample to its last."""

    track_id: int
    type: str
    codec: str
    decoder: str
    sample_entries: tuple[str, ...]
    width: int
    height: int
    sample_rate: int
    channels: int
    language: str
    timescale: int
    seconds: float  # of media, by its samples
    edits: tuple[tuple[float, float], ...]  # seconds of presentation (0: to the end), start in the media (-1: empty)
    encrypted: bool  # any sample is; for a track that could not be read to its end, any may be
    scheme: str  # as the file spells it
    protections: tuple[ProtectionReport, ...]
    kids: tuple[Kid, ...]
    samples: int
    samples_encrypted: int
    samples_clear: int
    bytes: int
    clear_lead: ClearLead | None  # None: no sample is encrypted
    error: dict[str, object] | None = None


class PsshReport(msgspec.Struct, frozen=True):
    """One `pssh` box."""

    system: str
    system_id: str
    version: int
    kids: tuple[Kid, ...]
    data_bytes: int

    @classmethod
    def of(cls, box: Pssh) -> PsshReport:
        """Write `box` out; its data is the other system's own affair."""
        kids = tuple(map(Kid.of, box.key_ids))
        return cls(box.system_id.name, str(box.system_id), box.version, kids, len(box.data))


class Inspection(msgspec.Struct, frozen=True):
    """A whole file."""

    file: str
    bytes: int
    container: str
    encrypted: bool  # any track is
    tracks: tuple[TrackReport, ...]
    pssh: tuple[PsshReport, ...]
    warnings: tuple[str, ...]


def inspect_stream(stream: FileByteStream) -> tuple[Inspection, MediaError | None]:
    """Read every sample's place and encryption, no sample's bytes. Return the report and the first error met.

    Raises:
        MediaError: it is neither MP4 nor WebM, or its head is broken: there is nothing to report.
    """
    presentation, container = open_media(stream)
    errors: list[MediaError] = []
    tracks = tuple(_track(presentation, track, errors) for track in presentation.tracks)
    report = Inspection(
        file=stream.name,
        bytes=stream.size,
        container=container,
        encrypted=any(track.encrypted for track in tracks),
        tracks=tracks,
        pssh=tuple(map(PsshReport.of, presentation.pssh)),
        warnings=presentation.warnings,
    )
    return report, errors[0] if errors else None


class _Tally:
    """Counts the samples of a track as they come, so that an error keeps what was counted before it."""

    def __init__(self) -> None:
        self.samples = self.encrypted = self.bytes = 0
        self.first_dts = self.end = 0
        self.lead: tuple[int, int] | None = None  # samples, dts of the first encrypted one
        self.by_kid: dict[KeyId, int] = {}

    def count(self, samples: Iterator[Sample]) -> None:
        by_kid = self.by_kid
        for sample in samples:
            if not self.samples:
                self.first_dts = sample.dts
            crypto = sample.crypto
            if crypto is not None:
                if self.lead is None:
                    self.lead = self.samples, sample.dts
                for key_id in crypto.key_ids:
                    by_kid[key_id] = by_kid.get(key_id, 0) + 1
                self.encrypted += 1
            self.samples += 1
            self.bytes += sample.size
            self.end = max(self.end, sample.dts + sample.duration)


def _track(presentation: MediaFile, track: TrackInfo, errors: list[MediaError]) -> TrackReport:
    tally = _Tally()
    error = None
    try:
        tally.count(presentation.samples(track.track_id))
    except MediaError as broken:
        errors.append(broken)
        error = broken.to_dict()
    named = next(s.key_ids for s in presentation.streams() if s.track.track_id == track.track_id)
    lead = None
    if tally.lead is not None:
        lead = ClearLead(tally.lead[0], _seconds(tally.lead[1] - tally.first_dts, track.timescale))
    return TrackReport(
        track_id=track.track_id,
        type=track.type.value,
        codec=track.codec,
        decoder=track.decoder,
        sample_entries=presentation.sample_entries(track.track_id),
        width=track.width,
        height=track.height,
        sample_rate=track.sample_rate,
        channels=track.channels,
        language=track.language,
        timescale=track.timescale,
        seconds=_seconds(tally.end - tally.first_dts, track.timescale),
        edits=tuple(_edits(track)),
        encrypted=tally.encrypted > 0 or (error is not None and track.is_protected),
        scheme=presentation.scheme_type(track.track_id),
        protections=tuple(ProtectionReport.of(n, p) for n, p in enumerate(track.protections, 1) if p),
        kids=tuple(Kid.of(kid, tally.by_kid.get(kid, 0)) for kid in dict.fromkeys((*named, *tally.by_kid))),
        samples=tally.samples,
        samples_encrypted=tally.encrypted,
        samples_clear=tally.samples - tally.encrypted,
        bytes=tally.bytes,
        clear_lead=lead,
        error=error,
    )


def _edits(track: TrackInfo) -> Iterator[tuple[float, float]]:
    for edit in track.edits:
        start = -1.0 if edit.media_time < 0 else _seconds(edit.media_time, track.timescale)
        yield _seconds(edit.duration, track.movie_timescale), start


def _seconds(units: int, timescale: int) -> float:
    return round(units / timescale, 6)
