"""Encrypts a fragmented MP4: each `moof` is written anew with `senc`, `saiz` and `saio`; media data keeps its layout.

The clear lead is whole fragments that use a second, clear sample description, the encrypted one standing first: what
Shaka Packager writes, and what FFmpeg, Bento4, GPAC and Shaka Packager all read. A player can present it before it has
any key, since none of its samples is marked as protected. Keys change with fragments, too: a fragment under a later key
says so in a sample group of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from drm.encrypting.aux_table import AuxTable
from drm.encrypting.box_tree import BoxTree
from drm.encrypting.clear_fragment import ClearMoof, Fragment, Run
from drm.encrypting.copier import CHUNK, Copier
from drm.encrypting.fragment_offsets import FragmentOffsets
from drm.encrypting.index_boxes import Moves
from drm.encrypting.leftovers import Leftovers
from drm.encrypting.protected_track import Entry, ProtectedTrack, group_boxes
from drm.encrypting.segment_index import MOST, FreshIndex
from drm.encrypting.source_file import ClearSource
from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.forked_work import share_out
from drm.isobmff.box import TopBox, load_box
from drm.isobmff.tracks import Movie, Track
from drm.media import TrackType

__all__ = ["encrypt_fragmented"]

_IN_ONE: Final = 4 << 20  # bytes of a fragment that is read once; a larger one is read twice, in parts
_MOST: Final = 1024  # samples of one part
_FRAGMENT_INDEX: Final = 0x10000  # groups above it are the fragment's own (ISO/IEC 14496-12, 8.9.4)

Progress = Callable[[int, int], None]
_Choice = tuple[Fragment, ProtectedTrack | None, int | None]
_Part = tuple[ProtectedTrack, int, list[Entry], Run, int, int]  # track, key, entries, run, its samples from and to


@dataclass(frozen=True, slots=True)
class _Unit:
    """A `moof` and what follows it up to the next one."""

    number: int
    moof: TopBox
    rest: tuple[TopBox, ...]

    @property
    def end(self) -> int:
        """Offset behind it, in the source."""
        return (self.rest[-1] if self.rest else self.moof).end


def encrypt_fragmented(
    source: ClearSource,
    tops: Sequence[TopBox],
    moov: BoxTree,
    movie: Movie,
    protected: Mapping[int, ProtectedTrack],
    traks: Mapping[int, BoxTree],
    leftovers: Leftovers,
    target: int,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> None:
    """Write the encrypted file to `target`, which is empty. `moov` and its `traks` (by id) are changed.

    Raises:
        MalformedMediaError, UnsupportedMediaError: as their words say.
    """
    for track_id, track in protected.items():
        stsd = traks[track_id].one("mdia", "minf", "stbl", "stsd")
        track.protect_descriptions(stsd, clear_copies=track.lead > 0)
    units = _units(tops)
    head = tops[: len(tops) - sum(1 + len(unit.rest) for unit in units)]
    if not any(top.type == "moov" for top in head):
        raise UnsupportedMediaError(
            "the movie box stands behind fragments, which it describes",
            where=source.name,
            remedy="package it again, with the movie box (or the initialization segment) first",
        )
    index = _fresh_index(tops, movie)
    moves = Moves()
    copier = Copier(source, target, progress)
    for top in head:
        moves.note(top, copier.written)
        if top.type == "moov":
            copier.put(moov.encode())
        elif top.type == "ftyp":
            copier.put(_with_brand(source, top))
        else:
            copier.copy(top.end)
        copier.skip(top.end)
    index_at = copier.written
    if index is not None:
        copier.put(bytes(index.size))
    copier.flush()
    learning = [track for track in protected.values() if track.learns]
    if len(learning) > 1 or not all(track.restarts for track in learning):
        jobs = 1  # how a sample is read may stand in any one before it, which another process would have
    with FragmentOffsets(copier.written, len(units), jobs, len(protected)) as relay:

        def work(share: int) -> None:
            own = Copier(source, target, progress) if share else copier
            fragments = _Fragments(source, movie, protected, leftovers, own, relay, index if share == 0 else None)
            try:
                for unit in units:
                    fragments.encrypt(unit) if unit.number % jobs == share else fragments.pass_over(unit)
                own.flush()
                relay.tell(share, (track.protected for track in protected.values()))
            except BaseException:
                relay.fail()
                raise

        share_out(work, jobs)
        offsets = [relay.offset(number) for number in range(len(units) + 1)]
        for number, track in enumerate(protected.values()):
            track.protected = relay.total(number)
    for unit in units:
        moves.note(unit.moof, offsets[unit.number])
        for top in unit.rest:
            moves.note(top, offsets[unit.number + 1] - (unit.end - top.start))
    with os.fdopen(target, "r+b", closefd=False) as out:
        moves.correct(out)
    if index is not None:
        trailer = sum(top.size for top in tops[-1:] if top.type == "mfra")
        os.pwrite(target, index.encode(offsets[:-1], offsets[-1] - trailer), index_at)


def _units(tops: Sequence[TopBox]) -> list[_Unit]:
    places = [place for place, top in enumerate(tops) if top.type == "moof"]
    bounds = pairwise((*places, len(tops)))
    return [_Unit(number, tops[at], tuple(tops[at + 1 : end])) for number, (at, end) in enumerate(bounds)]


def _fresh_index(tops: Sequence[TopBox], movie: Movie) -> FreshIndex | None:
    """An index to be filled, for a file of several fragments that has none."""
    count = sum(top.type == "moof" for top in tops)
    if not 1 < count <= MOST or any(top.type in {"sidx", "ssix"} for top in tops):
        return None
    track = next((track for track in movie.tracks if track.info.type is TrackType.VIDEO), movie.tracks[0])
    return FreshIndex(track.info.track_id, track.info.timescale, count)


class _Fragments:
    """Rewrites `moof` after `moof` and encrypts what belongs to it; remembers where each track is in time."""

    def __init__(
        self,
        source: ClearSource,
        movie: Movie,
        protected: Mapping[int, ProtectedTrack],
        leftovers: Leftovers,
        copier: Copier,
        relay: FragmentOffsets,
        index: FreshIndex | None,
    ) -> None:
        self._source = source
        self._protected = protected
        self._tracks: dict[int, Track] = {track.info.track_id: track for track in movie.tracks}
        self._clock = dict.fromkeys(self._tracks, 0)
        self._leftovers = leftovers
        self._copier = copier
        self._relay = relay
        self._index = index
        self._unseen: list[_Unit] = []  # passed over, and needed to read those that follow

    def pass_over(self, unit: _Unit) -> None:
        """Another process encrypts this one."""
        fragments = self._read(unit)[1]
        if _has_learning(fragments):
            self._unseen = [unit] if _starts_anew(fragments) else [*self._unseen, unit]
        for fragment, track, key in fragments:
            if track is not None:
                track.pass_over(sum(len(run.sizes) for run in fragment.runs), key)

    def _catch_up(self, fragments: Sequence[_Choice]) -> None:
        """Learn what the fragments before these, which other processes encrypt, say of how to read them."""
        unseen, self._unseen = self._unseen, []
        for unit in () if _starts_anew(fragments) else unseen:
            box = BoxTree.parse(load_box(self._source, unit.moof))
            for fragment in self._clear(box, unit.moof.start).fragments:
                track = self._protected.get(fragment.track_id)
                if track is None or not track.learns:
                    continue
                for run, first, last, data in self._pieces(fragment, is_read=True, loaded=range(0)):
                    track.learn(_samples(data, run, first, last), fragment.description)

    def encrypt(self, unit: _Unit) -> None:
        """Write the fragment encrypted, and what follows it."""
        top = unit.moof
        moof, fragments = self._read(unit)
        if self._unseen and _has_learning(fragments):
            self._catch_up(fragments)
        end = max([top.end, *(run.end for fragment in moof.fragments for run in fragment.runs)])
        in_one = end - top.start <= _IN_ONE and end <= self._source.size
        self._copier.jump(top.start)
        if in_one:
            self._copier.view(top.start, end - top.start)
        loaded = range(top.start, end + 1) if in_one else range(0)
        parts: list[_Part] = []
        for fragment, track, key in fragments:
            if track is None:
                continue
            if key is not None:
                parts += self._plan(fragment, track, key, loaded)
                continue
            moof.describe(fragment, fragment.description + len(self._tracks[fragment.track_id].entries))
            for run, first, last, data in self._pieces(fragment, is_read=track.learns, loaded=loaded):
                track.look_at(_samples(data, run, first, last), last - first, fragment.description)
        _check([(run, key is None) for fragment, _, key in fragments for run in fragment.runs], unit, self._source)
        encoded = moof.encode(top)
        self._copier.place(self._relay.take(unit.number, len(encoded) + unit.end - top.end))
        self._copier.put(encoded)
        self._copier.skip(top.end)
        for track, key, entries, run, first, last in sorted(parts, key=lambda part: part[3].offset(part[4])):
            start, end = run.offset(first), run.offset(last)
            if start != end:
                data = self._copier.view(start, end - start)
                begins = [run.offset(number) - start for number in range(first, last)]
                track.encrypt(data, begins, run.sizes[first:last], entries, key)
        self._copier.copy(unit.end)

    def _read(self, unit: _Unit) -> tuple[ClearMoof, list[_Choice]]:
        """The `moof`, and for each of its fragments which track and key encrypts it; no key: it stays clear."""
        box = BoxTree.parse(load_box(self._source, unit.moof))
        moof = self._clear(box, unit.moof.start)
        began = {id(fragment): self._advance(fragment) for fragment in moof.fragments}
        leads: dict[float, bool] = {}
        for fragment in sorted(moof.fragments, key=self._is_sound):
            # FFmpeg up to 5.1 takes one sample description for all tracks of a fragment. Sound, whose frames end a
            # little earlier or later, goes with the picture.
            track = self._protected.get(fragment.track_id)
            if track is not None:
                leads.setdefault(track.encryption.clear_lead, began[id(fragment)] < track.lead)
        chosen: list[_Choice] = []
        for fragment in moof.fragments:
            time = began[id(fragment)]
            track = self._protected.get(fragment.track_id)
            is_clear = track is None or leads[track.encryption.clear_lead]
            chosen.append((fragment, track, None if track is None or is_clear else track.key_at(time)))
        if self._index is not None:
            self._note(self._index, [(f, began[id(f)]) for f in moof.fragments if f.track_id == self._index.track_id])
        return moof, chosen

    def _clear(self, moof: BoxTree, start: int) -> ClearMoof:
        return ClearMoof(moof, start, self._tracks, self._source.size, self._leftovers)

    def _note(self, index: FreshIndex, fragments: Sequence[tuple[Fragment, int]]) -> None:
        """A row of the index for each `moof`; those that have nothing of the track are there and last no time."""
        earliest = min((fragment.earliest(time) for fragment, time in fragments), default=None)
        duration = sum(run.duration for fragment, _ in fragments for run in fragment.runs)
        index.note(earliest, duration, is_sync=bool(fragments) and fragments[0][0].begins_with_sync)

    def _is_sound(self, fragment: Fragment) -> bool:
        return self._tracks[fragment.track_id].info.type is not TrackType.VIDEO

    def _plan(self, fragment: Fragment, track: ProtectedTrack, key: int, loaded: range) -> Iterable[_Part]:
        parts: list[_Part] = []
        aux = AuxTable(track, bytearray(), bytearray())
        for run, first, last, data in self._pieces(fragment, is_read=track.has_layout, loaded=loaded):
            samples = _samples(data, run, first, last)
            entries = track.plan(samples, run.sizes[first:last], fragment.description, key)
            aux.add(entries)
            parts.append((track, key, entries, run, first, last))
        if key and len(aux):
            fragment.add(group_boxes(track, [(len(aux), 1)], [key], _FRAGMENT_INDEX))
        fragment.add(aux.boxes())
        return parts

    def _pieces(
        self, fragment: Fragment, *, is_read: bool, loaded: range
    ) -> Iterator[tuple[Run, int, int, memoryview]]:
        """The samples of each run, some at a time, and where they are asked for their bytes."""
        size, count = (_IN_ONE, len(loaded)) if loaded else (CHUNK, _MOST)
        for run in fragment.runs:
            for first, last in run.parts(size, count):
                start, end = run.offset(first), run.offset(last)
                if not is_read or start == end:
                    data = memoryview(b"")
                elif start in loaded:
                    data = self._copier.view(start, end - start)
                else:
                    data = memoryview(self._source.read(start, end - start))
                yield run, first, last, data

    def _advance(self, fragment: Fragment) -> int:
        """Return when the fragment begins, and move the track's clock behind it."""
        began = self._clock[fragment.track_id] if fragment.decode_time is None else fragment.decode_time
        self._clock[fragment.track_id] = began + sum(run.duration for run in fragment.runs)
        return began


def _has_learning(fragments: Iterable[_Choice]) -> bool:
    return any(track is not None and track.learns for _, track, _ in fragments)


def _starts_anew(fragments: Iterable[_Choice]) -> bool:
    """Whether what is learned of samples before is of no use to these."""
    return all(track is None or not track.learns or fragment.begins_with_sync for fragment, track, _ in fragments)


def _samples(data: memoryview, run: Run, first: int, last: int) -> Iterator[memoryview]:
    """The samples from `first` to `last`, which begin in `data`."""
    start = run.offset(first)
    for number in range(first, last):
        yield data[run.offset(number) - start : run.offset(number + 1) - start]


def _check(runs: list[tuple[Run, bool]], unit: _Unit, source: ClearSource) -> None:
    """See that samples which are encrypted lie in the fragment's media data, and share no byte with others."""
    media = [top for top in unit.rest if top.type == "mdat"]
    runs = sorted((each for each in runs if each[0].sizes), key=lambda each: each[0].start)
    before: tuple[Run, bool] | None = None
    for run, is_clear in runs:
        inside = any(top.start + top.header <= run.start and run.end <= top.end for top in media)
        if not is_clear and not inside and run.start != run.end:
            raise MalformedMediaError(
                "a sample lies outside the media data of its fragment",
                where=source.name,
                seen=f"a run of samples has the bytes {run.start} to {run.end}",
            )
        if before is not None and run.start < before[0].end and not (is_clear and before[1]):
            raise UnsupportedMediaError(
                f"two samples share the bytes from {run.start} to {min(run.end, before[0].end)}",
                remedy="write the file anew: ffmpeg -i IN -c copy OUT.mp4",
            )
        if before is None or run.end > before[0].end:
            before = (run, is_clear)


def _with_brand(source: ClearSource, top: TopBox) -> bytes:
    """The file type box, saying iso6 too: offsets from the moof's start came with iso5, `senc` with iso6."""
    ftyp = BoxTree.parse(load_box(source, top))
    brands = {ftyp.payload[at : at + 4] for at in (0, *range(8, len(ftyp.payload), 4))}
    if b"iso6" not in brands:
        ftyp.payload += b"iso6"
    return ftyp.encode()
