"""What `clearkey inspect` finds out about a file: reads every track to its end and makes the report. No printing.

Never touches a key. A track that cannot be read to its end is reported as far as it went, with the error beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

from drm.component import ByteStream
from drm.container import open_container
from drm.content_checks.checks import judge
from drm.content_checks.facts import ContentFacts, TrackFacts
from drm.content_checks.gather import gather_facts
from drm.content_checks.judgement import Answer, Judgement, Level
from drm.content_checks.tally import Tally
from drm.errors import MediaError
from drm.keys import KeyId
from drm.media import Presentation, TrackInfo
from drm.readable import readable
from player.verbs.inspect.report import (
    ClearLead,
    Finding,
    Inspection,
    IvReport,
    KeyPeriod,
    Kid,
    PatternReport,
    ProtectionReport,
    PsshReport,
    SubsampleReport,
    TrackReport,
    Unjudged,
    pattern_text,
)

__all__ = ["inspect_stream"]


def inspect_stream(stream: ByteStream) -> tuple[Inspection, MediaError | None]:
    """Read every sample's place and encryption. Return the report and the first error met.

    Raises:
        MediaError: it is neither MP4 nor WebM, or its head is broken: there is nothing to report.
    """
    presentation = open_container(stream)
    facts = gather_facts(stream, presentation)
    tracks = tuple(_track(presentation, track, _named(presentation, track.info)) for track in facts.tracks)
    findings, unjudged = _judged(facts)
    report = Inspection(
        file=stream.name,
        bytes=stream.size,
        container=presentation.container,
        encrypted=any(track.encrypted for track in tracks),
        findings=tuple(findings),
        unjudged=tuple(unjudged),
        tracks=tracks,
        pssh=tuple(map(PsshReport.of, presentation.pssh)),
        warnings=presentation.warnings,
    )
    return report, next((track.error for track in facts.tracks if track.error is not None), None)


def _judged(facts: ContentFacts) -> tuple[list[Finding], list[Unjudged]]:
    """What was found, faults first, and what could not be judged. Of a track that breaks off, its error says it all."""
    findings, unjudged = [], []
    broken = {track.info.track_id for track in facts.tracks if track.error is not None}
    for check, each in judge(facts):
        text = readable(each.text)
        if each.answer is Answer.YES:
            evidence = tuple(map(readable, each.evidence))
            findings.append(Finding(check.level.value, check.code, text, each.track_id, check.requirement, evidence))
        elif each.answer is Answer.UNKNOWN and check.level is not Level.INFO and not _is_told(each, broken):
            unjudged.append(Unjudged(check.code, text, each.track_id, check.requirement))
            if check.code == "iv-reused" and not facts.counters.is_complete:
                findings.append(Finding("info", "iv-check-partial", text, 0, check.requirement))
    levels = [level.value for level in Level]
    return sorted(findings, key=lambda each: levels.index(each.level)), unjudged


def _is_told(judgement: Judgement, broken: set[int]) -> bool:
    """What a broken track leaves unknown, its error has told."""
    return bool(broken) and judgement.track_id in {0, *broken}


def _named(presentation: Presentation, track: TrackInfo) -> tuple[KeyId, ...]:
    """The key ids that the track names; those of its descriptions, when the file cannot be read as one."""
    try:
        return next(found.key_ids for found in presentation.streams() if found.track.track_id == track.track_id)
    except MediaError:
        return track.key_ids


def _track(presentation: Presentation, facts: TrackFacts, named: tuple[KeyId, ...]) -> TrackReport:
    track, tally = facts.info, facts.tally
    error = facts.error.to_dict() if facts.error is not None else None
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
        scheme=facts.scheme,
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
