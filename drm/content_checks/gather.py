"""Reads a file for the checks: its boxes once, its samples once, and a second time only those under suspicion."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from drm.content_checks.box_facts import BoxWalk
from drm.content_checks.checks import PLACE_QUESTIONS, PSSH_QUESTIONS
from drm.content_checks.coded_headers import Asked, asked_of
from drm.content_checks.counter_reuse import ReuseSearch
from drm.content_checks.counter_use import CounterUse
from drm.content_checks.facts import AuxPlace, ContentFacts, CounterFacts, PsshRow, TrackFacts
from drm.content_checks.of_boxes import doubt
from drm.content_checks.tally import Tally
from drm.errors import MediaError
from drm.media import ByteSource, Presentation, Sample, TrackInfo

__all__ = ["gather_facts"]

LOOKED_AT: Final = 512  # encrypted samples of a track, from the first on, whose headers are looked at;
_THEN_EACH: Final = 64  # behind them one in so many, so that a long film costs little


def gather_facts(source: ByteSource, content: Presentation) -> ContentFacts:
    """Read every sample's place and encryption, and of some samples the bytes of their headers.

    `content` is what was opened over `source`. What breaks a track or the walk over the boxes becomes a fact.
    """
    is_mp4 = content.container.endswith("MP4")
    facts = ContentFacts(source.name, is_mp4)
    facts.tracks = tuple(_begun(content, info) for info in content.tracks)
    walk = BoxWalk(source, facts.tracks, facts, lambda place: _on_place(facts, place), lambda row: _on_pssh(facts, row))
    if is_mp4:
        walk.run()
    counters = CounterUse()
    for track in facts.tracks:
        track.tally.counters = None if track.doubt else counters
        _read(source, content, track)
    facts.pssh = tuple(content.pssh)
    facts.counters = _compare(source, content, facts.tracks, counters)
    return facts


def _on_place(facts: ContentFacts, place: AuxPlace) -> None:
    for code, ask in PLACE_QUESTIONS.items():
        facts.note(code, place.track_id).add(ask(place), "fragment" if place.is_fragment else "table")
    for track in facts.tracks:
        if track.info.track_id == place.track_id:
            track.doubt = track.doubt or doubt(place)


def _on_pssh(facts: ContentFacts, row: PsshRow) -> None:
    for code, ask in PSSH_QUESTIONS.items():
        facts.note(code, 0).add(ask(row), "row")


def _begun(content: Presentation, info: TrackInfo) -> TrackFacts:
    constant_ivs = frozenset(each.constant_iv for each in info.protections if each and each.constant_iv)
    own_iv_kids = frozenset(each.key_id for each in info.protections if each and each.iv_size)
    tally = Tally(info.track_id, None, constant_ivs, own_iv_kids)
    return TrackFacts(info, content.scheme_type(info.track_id), tally, entries=content.sample_entries(info.track_id))


def _read(source: ByteSource, content: Presentation, track: TrackFacts) -> None:
    tally, ask = track.tally, asked_of(track.info)
    try:
        for sample in content.samples(track.info.track_id):
            tally.add(sample)
            if ask is not None and sample.crypto is not None and _is_looked_at(tally.encrypted):
                _look(source, sample, track, ask)
    except MediaError as error:
        track.error = error
    finally:
        tally.close()


def _is_looked_at(encrypted: int) -> bool:
    return encrypted <= LOOKED_AT or not encrypted % _THEN_EACH


def _look(source: ByteSource, sample: Sample, track: TrackFacts, ask: Asked) -> None:
    def read(at: int, size: int) -> bytes:
        return source.read_at(sample.offset + at, size)

    track.headers.add(ask(sample, track.tally.samples, read))


def _compare(
    source: ByteSource, content: Presentation, tracks: Sequence[TrackFacts], counters: CounterUse
) -> CounterFacts:
    meetings = counters.meetings()
    if not meetings:
        return CounterFacts((), 0, counters.samples, counters.is_complete)
    search = ReuseSearch(meetings, source.read_at)
    for track in (each for each in tracks if not each.doubt):
        with contextlib.suppress(MediaError):  # it was met before, and is told of the track
            for number, sample in enumerate(content.samples(track.info.track_id), 1):
                search.add(sample, number)
    is_complete = counters.is_complete and search.is_complete
    return CounterFacts(tuple(search.found.values()), search.copies, counters.samples, is_complete)
