"""Encrypts a fragmented MP4: each `moof` is written anew with `senc`, `saiz` and `saio`; media data keeps its layout.

The clear lead is whole fragments that use a second, clear sample description, the encrypted one standing first: what
Shaka Packager writes, and what FFmpeg, Bento4, GPAC and Shaka Packager all read. A player can present it before it has
any key, since none of its samples is marked as protected. Keys change with fragments, too: a fragment under a later key
says so in a sample group of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.box import TopBox, load_box
from drm.isobmff.tracks import Movie, Track
from drm.media import TrackType
from drm.packaging.encrypt_copy import CHUNK, Copier
from drm.packaging.encrypt_index import MOST, FreshIndex
from drm.packaging.encrypt_moof import ClearMoof, Fragment, Run
from drm.packaging.index_boxes import Moves
from drm.packaging.protected_track import AuxTable, Entry, ProtectedTrack, group_boxes
from drm.packaging.source_file import SourceFile
from drm.packaging.tree import BoxTree

__all__ = ["encrypt_fragmented"]

_IN_ONE: Final = 4 << 20  # bytes of a fragment that is read once; a larger one is read twice, in parts
_MOST: Final = 1024  # samples of one part
_FRAGMENT_INDEX: Final = 0x10000  # groups above it are the fragment's own (ISO/IEC 14496-12, 8.9.4)

_Part = tuple[ProtectedTrack, int, list[Entry], Run, int, int]  # track, key, entries, run, its samples from and to


def encrypt_fragmented(
    source: SourceFile,
    tops: Sequence[TopBox],
    moov: BoxTree,
    movie: Movie,
    protected: Mapping[int, ProtectedTrack],
    traks: Mapping[int, BoxTree],
    copier: Copier,
    target: int,
) -> None:
    """Write the encrypted file by `copier` to `target`, which is empty. `moov` and its `traks` (by id) are changed.

    Raises:
        MalformedMediaError, UnsupportedMediaError: as their words say.
    """
    for track_id, track in protected.items():
        stsd = traks[track_id].one("mdia", "minf", "stbl", "stsd")
        track.protect_descriptions(stsd, clear_copies=track.lead > 0)
    fragments = _Fragments(source, movie, protected, copier)
    index, index_at = _fresh_index(tops, movie), 0
    moves = Moves()
    for top, media in _with_media(tops):
        copier.copy(top.start)
        if top.type == "moof" and index is not None and not index_at:
            index_at = copier.written
            copier.put(bytes(index.size))
        moves.note(top, copier.written)
        if top.type == "moov":
            copier.put(moov.encode())
            copier.skip(top.end)
        elif top.type == "ftyp":
            copier.put(_with_brand(source, top))
            copier.skip(top.end)
        elif top.type == "moof":
            fragments.encrypt(top, media, index)
    copier.finish()
    with os.fdopen(target, "r+b", closefd=False) as out:
        moves.correct(out)
    if index is not None:
        trailer = sum(top.size for top in tops[-1:] if top.type == "mfra")
        os.pwrite(target, index.encode(copier.written - trailer), index_at)


def _fresh_index(tops: Sequence[TopBox], movie: Movie) -> FreshIndex | None:
    """An index to be filled, for a file of several fragments that has none."""
    count = sum(top.type == "moof" for top in tops)
    if not 1 < count <= MOST or any(top.type in {"sidx", "ssix"} for top in tops):
        return None
    track = next((track for track in movie.tracks if track.info.type is TrackType.VIDEO), movie.tracks[0])
    return FreshIndex(track.info.track_id, track.info.timescale, count)


def _with_media(tops: Sequence[TopBox]) -> Iterator[tuple[TopBox, list[TopBox]]]:
    """Each box, and the media data that follows up to the next fragment."""
    media: list[TopBox] = []
    rows: list[tuple[TopBox, list[TopBox]]] = []
    for top in reversed(tops):
        rows.append((top, media if top.type == "moof" else []))
        if top.type == "moof":
            media = []
        elif top.type == "mdat":
            media.append(top)
    return reversed(rows)


class _Fragments:
    """Rewrites `moof` after `moof` and encrypts what belongs to it; remembers where each track is in time."""

    def __init__(
        self, source: SourceFile, movie: Movie, protected: Mapping[int, ProtectedTrack], copier: Copier
    ) -> None:
        self._source = source
        self._protected = protected
        self._tracks: dict[int, Track] = {track.info.track_id: track for track in movie.tracks}
        self._clock = dict.fromkeys(self._tracks, 0)
        self._copier = copier

    def encrypt(self, top: TopBox, media: Sequence[TopBox], index: FreshIndex | None) -> None:
        """Write the fragment `top` encrypted, and its samples in `media`, up to the last of them."""
        moof = ClearMoof(BoxTree.parse(load_box(self._source, top)), top.start, self._tracks, self._source.size)
        parts: list[_Part] = []
        runs: list[tuple[Run, bool]] = []
        end = max([top.end, *(run.end for fragment in moof.fragments for run in fragment.runs)])
        in_one = end - top.start <= _IN_ONE and end <= self._source.size
        if in_one:
            self._copier.view(top.start, end - top.start)
        loaded = range(top.start, end + 1) if in_one else range(0)
        leads: dict[float, bool] = {}
        began = {id(fragment): self._advance(fragment) for fragment in moof.fragments}
        for fragment in sorted(moof.fragments, key=self._is_sound):
            # FFmpeg up to 5.1 takes one sample description for all tracks of a fragment. Sound, whose frames end a
            # little earlier or later, goes with the picture.
            track = self._protected.get(fragment.track_id)
            if track is not None:
                leads.setdefault(track.encryption.clear_lead, began[id(fragment)] < track.lead)
        for fragment in moof.fragments:
            time = began[id(fragment)]
            if index is not None:
                self._note(index, fragment, time)
            track = self._protected.get(fragment.track_id)
            is_clear = track is None or leads[track.encryption.clear_lead]
            runs += [(run, is_clear) for run in fragment.runs]
            if track is None:
                continue
            if is_clear:
                moof.describe(fragment, fragment.description + len(self._tracks[fragment.track_id].entries))
                for run, first, last, data in self._pieces(fragment, track.learns, loaded):
                    track.look_at(data, run.sizes[first:last], fragment.description)
                continue
            parts += self._plan(fragment, track, track.key_at(time), loaded)
        _check(runs, media, self._source)
        self._copier.put(moof.encode(top))
        self._copier.skip(top.end)
        for track, key, entries, run, first, last in sorted(parts, key=lambda part: part[3].offset(part[4])):
            start, end = run.offset(first), run.offset(last)
            if start == end:
                continue
            data = self._copier.view(start, end - start)
            track.encrypt(data, run.sizes[first:last], entries, key)

    def _is_sound(self, fragment: Fragment) -> bool:
        return self._tracks[fragment.track_id].info.type is not TrackType.VIDEO

    def _plan(self, fragment: Fragment, track: ProtectedTrack, key: int, loaded: range) -> Iterable[_Part]:
        parts: list[_Part] = []
        aux = AuxTable(track)
        for run, first, last, data in self._pieces(fragment, track.has_layout, loaded):
            entries = track.plan(data, run.sizes[first:last], fragment.description, key)
            aux.add(entries)
            parts.append((track, key, entries, run, first, last))
        if key and len(aux):
            fragment.add(group_boxes(track, [(len(aux), 1)], [key], _FRAGMENT_INDEX))
        fragment.add(aux.boxes())
        return parts

    def _pieces(self, fragment: Fragment, is_read: bool, loaded: range) -> Iterator[tuple[Run, int, int, memoryview]]:
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

    def _note(self, index: FreshIndex, fragment: Fragment, began: int) -> None:
        if fragment.track_id != index.track_id:
            return
        duration = sum(run.duration for run in fragment.runs)
        earliest, is_sync = fragment.earliest(began), fragment.begins_with_sync
        index.note(self._copier.written, earliest, duration, is_sync=is_sync)


def _check(runs: list[tuple[Run, bool]], media: Sequence[TopBox], source: SourceFile) -> None:
    """See that samples which are encrypted lie in the fragment's media data, and share no byte with others."""
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


def _with_brand(source: SourceFile, top: TopBox) -> bytes:
    """The file type box, saying iso6 too: offsets from the moof's start came with iso5, `senc` with iso6."""
    ftyp = BoxTree.parse(load_box(source, top))
    brands = {ftyp.payload[at : at + 4] for at in (0, *range(8, len(ftyp.payload), 4))}
    if b"iso6" not in brands:
        ftyp.payload += b"iso6"
    return ftyp.encode()
