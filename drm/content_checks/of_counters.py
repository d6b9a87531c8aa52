"""Questions about the counters of AES-CTR, over all tracks of a file (ISO/IEC 23001-7, clause 9.3)."""

from __future__ import annotations

from collections.abc import Iterator

from drm.content_checks.counter_reuse import CounterReuse
from drm.content_checks.facts import ContentFacts
from drm.content_checks.judgement import Judgement

__all__ = ["iv_reused", "samples_repeated"]


def iv_reused(facts: ContentFacts) -> Iterator[Judgement]:
    """Whether two samples of different content took the same counter block under one KID."""
    counters = facts.counters
    yield from (Judgement.unknown(track.doubt, track.info.track_id) for track in facts.tracks if track.doubt)
    if not counters.samples:
        return
    if facts.differing_movies:
        yield Judgement.unknown("samples behind the second movie box may be under other keys than they seem")
        return
    yield from map(_reused, counters.reuses)
    if why := _left_out(facts):
        yield Judgement.unknown(why)
    elif not counters.reuses:
        yield Judgement.no()


def samples_repeated(facts: ContentFacts) -> Iterator[Judgement]:
    """Whether samples come twice, counter and cipher text."""
    if not facts.counters.samples:
        return
    why = _left_out(facts)
    if not facts.counters.copies:
        yield Judgement.unknown(why) if why else Judgement.no()
        return
    text = f"{facts.counters.copies} samples are copies of others, IV and cipher text: the same content, protected once"
    yield Judgement.yes(text)


def _left_out(facts: ContentFacts) -> str:
    """Why not every counter was compared; empty: all were."""
    if not facts.counters.is_complete:
        return "too many separate IVs: not all were compared"
    broken = any(track.error is not None for track in facts.tracks)
    return "a track could not be read to its end" if broken else ""


def _reused(reuse: CounterReuse) -> Judgement:
    (one, first), (other, second) = reuse.first, reuse.second
    where = f"samples {first} and {second}" if one == other else f"sample {first} and sample {second} of track {other}"
    more = f", and {reuse.more} more" if reuse.more else ""
    text = (
        f"{where}{more} use the same AES-CTR key stream (IVs repeat under KID {reuse.key_id}): "
        "their contents can be compared without the key; package again with IVs that never repeat"
    )
    seen = f"counter block {reuse.counter.hex()}: track {one} sample {first}, track {other} sample {second}"
    return Judgement.yes(text, seen, track_id=one)
