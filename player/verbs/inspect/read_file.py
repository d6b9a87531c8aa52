"""What `clearkey inspect` finds out about a file: reads every track to its end and makes the report. No printing.

Never touches a key. A track that cannot be read to its end is reported as far as it went, with the error beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

from drm.app.byte_stream import FileByteStream
from drm.container import open_container
from drm.errors import MediaError
from drm.media import Presentation, TrackInfo
from player.verbs.inspect.findings import findings
from player.verbs.inspect.iv_use import IvUse
from player.verbs.inspect.report import (
    ClearLead,
    Inspection,
    IvReport,
    KeyPeriod,
    Kid,
    PatternReport,
    ProtectionReport,
    PsshReport,
    SubsampleReport,
    TrackReport,
    pattern_text,
)
from player.verbs.inspect.tally import Tally

__all__ = ["inspect_stream"]


def inspect_stream(stream: FileByteStream) -> tuple[Inspection, MediaError | None]:
    """Read every sample's place and encryption, no sample's bytes. Return the report and the first error met.

    Raises:
        MediaError: it is neither MP4 nor WebM, or its head is broken: there is nothing to report.
    """
    presentation = open_container(stream)
    errors: list[MediaError] = []
    iv_use = IvUse()
    tracks = tuple(_track(presentation, track, iv_use, errors) for track in presentation.tracks)
    report = Inspection(
        file=stream.name,
        bytes=stream.size,
        container=presentation.container,
        encrypted=any(track.encrypted for track in tracks),
        findings=tuple(
            findings(tracks, presentation.pssh if "MP4" in presentation.container else None, iv_use, stream.name)
        ),
        tracks=tracks,
        pssh=tuple(map(PsshReport.of, presentation.pssh)),
        warnings=presentation.warnings,
    )
    return report, errors[0] if errors else None


def _track(presentation: Presentation, track: TrackInfo, iv_use: IvUse, errors: list[MediaError]) -> TrackReport:
    constant_ivs = frozenset(p.constant_iv for p in track.protections if p and p.constant_iv)
    own_iv_kids = frozenset(p.key_id for p in track.protections if p and p.iv_size)
    tally = Tally(track.track_id, iv_use, constant_ivs, own_iv_kids)
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
        bytes=tally.size,
        bytes_protected=tally.protected_bytes,
        bytes_encrypted=tally.encrypted_bytes,
        clear_lead=lead,
        clear_stretches=tally.clear_stretches,
        periods=tuple(_periods(tally, track.timescale)),
        period_count=tally.period_count,
        patterns=tuple(
            PatternReport(scheme.value, pattern_text(crypt, skip), count)
            for (scheme, crypt, skip), count in tally.patterns.items()
        ),
        ivs=_ivs(tally),
        subsamples=_subsamples(tally),
        error=error,
    )


def _periods(tally: Tally, timescale: int) -> Iterator[KeyPeriod]:
    for period in tally.periods:
        yield KeyPeriod(
            kids=tuple(map(str, period.key_ids)),
            first_sample=period.first,
            last_sample=period.last,
            start=_seconds(period.start, timescale),
            end=_seconds(period.end, timescale),
            samples_encrypted=period.samples,
            samples_clear=period.clear,
        )


def _subsamples(tally: Tally) -> SubsampleReport:
    fewest, most, total = tally.subsamples or (0, 0, 0)
    return SubsampleReport(
        samples=tally.subsampled,
        whole_samples=tally.whole,
        fewest=fewest,
        most=most,
        total=total,
        clear_bytes=tally.subsample_bytes[0],
        protected_bytes=tally.subsample_bytes[1],
        unaligned_samples=tally.unaligned,
    )


def _ivs(tally: Tally) -> IvReport:
    own = {str(size): samples for size, samples in sorted(tally.own_ivs.items())}
    constant = {iv.hex(): samples for iv, samples in tally.constant_ivs.items()}
    return IvReport(own, constant, tally.repeated_own_ivs)


def _edits(track: TrackInfo) -> Iterator[tuple[float, float]]:
    for edit in track.edits:
        start = -1.0 if edit.media_time < 0 else _seconds(edit.media_time, track.timescale)
        yield _seconds(edit.duration, track.movie_timescale), start


def _seconds(units: int, timescale: int) -> float:
    return round(units / timescale, 6)
