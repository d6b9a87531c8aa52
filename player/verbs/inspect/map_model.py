"""What an encryption map shows, as numbers: each track cut into cells of time, and what is encrypted in each of them.

Read in two passes, so that a long file costs as little memory as a short one: first how long the tracks are and which
keys there are, then the cells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from drm.component import ByteStream
from drm.container import open_container
from drm.content_checks.enciphered import encrypted_bytes
from drm.content_checks.tally import Tally
from drm.errors import MediaError
from drm.keys import KeyId
from drm.media import Presentation, Sample, TrackInfo
from player.verbs.inspect.sample_lines import wanted_tracks

__all__ = ["MAX_KEYS", "OTHER", "Cell", "Lane", "Map", "read_map"]

MAX_LANES: Final = 16  # tracks that are drawn
MAX_CELLS: Final = 1600  # of all tracks
MAX_KEYS: Final = 8  # keys with a colour of their own; the rest share one
MAX_STRIPS: Final = 4  # samples that are shown byte by byte
OTHER: Final = MAX_KEYS


@dataclass(slots=True)
class Cell:
    """A stretch of time, or one sample: bytes by key's colour, encrypted and skipped by the pattern; and clear ones."""

    start: float  # seconds
    end: float
    encrypted: dict[int, int] = field(default_factory=dict)
    skipped: dict[int, int] = field(default_factory=dict)
    clear_within: int = 0  # clear bytes of encrypted samples
    clear: int = 0  # bytes of clear samples


@dataclass(slots=True)
class Lane:
    """One track."""

    track: TrackInfo
    scheme: str
    tally: Tally
    cells: list[Cell] = field(default_factory=list)
    is_by_sample: bool = False
    error: MediaError | None = None

    def seconds(self, units: int) -> float:
        """Track time in seconds."""
        return units / self.track.timescale


@dataclass(slots=True)
class Map:
    """Everything that is drawn. Times are seconds of decode time, one axis for all tracks."""

    name: str
    container: str
    lanes: list[Lane]
    left_out: int  # tracks
    start: float
    end: float
    keys: dict[KeyId, int]  # to its colour; those beyond `MAX_KEYS` are `OTHER`
    strips: list[tuple[Lane, int, Sample]]  # samples to be shown byte by byte, with their numbers
    numbers: dict[KeyId, int] = field(default_factory=dict)

    def number(self, key_id: KeyId) -> int:
        """What the key is called in the picture, from 1."""
        return self.numbers[key_id]

    @property
    def error(self) -> MediaError | None:
        """The first error met, if a track could not be read to its end."""
        return next((lane.error for lane in self.lanes if lane.error), None)


def read_map(stream: ByteStream, tracks: Iterable[int]) -> Map:
    """Read the tracks with these ids, or all.

    Raises:
        MediaError: the head of the file is broken. Damage further on ends a lane, and is its `error`.
        InvalidArgumentError: there is no such track.
    """
    presentation = open_container(stream)
    wanted = wanted_tracks(presentation.tracks, list(tracks))
    lanes = [_lane(presentation, track) for track in wanted[:MAX_LANES]]
    used = [lane for lane in lanes if lane.tally.samples]
    keys = dict.fromkeys(key_id for lane in lanes for key_id in lane.tally.by_kid)
    drawn = Map(
        stream.name,
        presentation.container,
        lanes,
        len(wanted) - len(lanes),
        min((lane.seconds(lane.tally.first_dts) for lane in used), default=0.0),
        max((lane.seconds(lane.tally.end) for lane in used), default=0.0),
        {key_id: min(number, OTHER) for number, key_id in enumerate(keys)},
        [],
        {key_id: number for number, key_id in enumerate(keys, 1)},
    )
    for lane in used:
        _fill(presentation, lane, drawn, MAX_CELLS // max(len(used), 4))
    return drawn


def _lane(presentation: Presentation, track: TrackInfo) -> Lane:
    lane = Lane(track, presentation.scheme_type(track.track_id), Tally(track.track_id))
    try:
        lane.tally.count(presentation.samples(track.track_id))
    except MediaError as error:
        lane.error = error
    return lane


def _fill(presentation: Presentation, lane: Lane, drawn: Map, most: int) -> None:
    start, end = lane.seconds(lane.tally.first_dts), lane.seconds(lane.tally.end)
    lane.is_by_sample = lane.tally.samples <= most
    step = (end - start) / most if end > start else 1.0
    if not lane.is_by_sample:
        lane.cells = [Cell(start + step * n, start + step * (n + 1)) for n in range(most)]
    starts = _first_under_each_key(lane.tally)
    try:
        for number, sample in enumerate(presentation.samples(lane.track.track_id), 1):
            at = lane.seconds(sample.dts)
            if lane.is_by_sample:
                lane.cells.append(Cell(at, at + lane.seconds(sample.duration)))
                cell = lane.cells[-1]
            else:
                cell = lane.cells[max(0, min(most - 1, int((at - start) / step)))]
            _add(cell, sample, drawn.keys)
            if number in starts and len(drawn.strips) < MAX_STRIPS:
                drawn.strips.append((lane, number, sample))
    except MediaError as error:
        lane.error = lane.error or error


def _first_under_each_key(tally: Tally) -> frozenset[int]:
    """The numbers of the first samples under the first two of a track's keys."""
    firsts: dict[KeyId, int] = {}
    for period in tally.periods:
        firsts.setdefault(period.key_ids[0], period.first)
    return frozenset(sorted(firsts.values())[:2])


def _add(cell: Cell, sample: Sample, keys: dict[KeyId, int]) -> None:
    if sample.crypto is None:
        cell.clear += sample.size
        return
    left = sample.size
    for part in sample.crypto.parts():
        protected, encrypted = encrypted_bytes(part, sample.size)
        colour = keys.get(part.key_id, OTHER)
        cell.encrypted[colour] = cell.encrypted.get(colour, 0) + encrypted
        cell.skipped[colour] = cell.skipped.get(colour, 0) + protected - encrypted
        left -= protected
    cell.clear_within += max(0, left)
