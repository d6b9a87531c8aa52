"""Encrypts a progressive MP4: samples keep their places in `mdat`, `moov` is written anew around them.

The clear lead of a progressive file is told by subsamples that have no protected bytes. A second, clear sample
description would say it better, and is what fragmented files get; but FFmpeg reads only one description of a
progressive track and drops the samples of the others, and Bento4 leaves such files encrypted. Samples under a later key
are a sample group of their own.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Final

from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.box import TopBox
from drm.isobmff.progressive import table_samples
from drm.isobmff.sample_aux import Saio
from drm.isobmff.sample_table import Stco
from drm.isobmff.table import Table
from drm.isobmff.usage import Usage
from drm.packaging.decrypt_jobs import share_out
from drm.packaging.encrypt_copy import CHUNK, Copier
from drm.packaging.protected_track import AuxTable, Entry, ProtectedTrack, group_boxes
from drm.packaging.source_file import SourceFile
from drm.packaging.tree import BoxTree

__all__ = ["encrypt_progressive"]

_ROUNDS: Final = 5  # moov's size depends on its offsets and they on it; two rounds are enough unless they pass 32 bits
_CLEAR: Final = 0xFFFF  # in place of a key's number

_Job = tuple[int, int, int, ProtectedTrack, Entry]  # offset, size, number of the key; first, so that jobs have an order


def encrypt_progressive(
    source: SourceFile,
    tops: Sequence[TopBox],
    moov: BoxTree,
    protected: Mapping[int, ProtectedTrack],
    traks: Mapping[int, BoxTree],
    target: int,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the encrypted file to `target`, which is empty. `moov` and its `traks` (by id) are changed.

    Raises:
        MalformedMediaError, UnsupportedMediaError: as their words say.
    """
    plans = [_Plan(source, track, traks[track_id]) for track_id, track in protected.items()]
    _settle(tops, moov)
    place = next(top for top in tops if top.type == "moov")

    def work(share: int) -> None:
        ordered = heapq.merge(*(plan.jobs() for plan in plans), key=lambda job: job[0])
        copier = Copier(source, target, None if share else progress)
        begin, end = source.size * share // jobs, source.size * (share + 1) // jobs
        _write(copier, _checked(ordered, tops, source), range(begin, end), place, moov, source.size)

    share_out(work, jobs)


def _write(
    copier: Copier, ordered: Iterable[_Job], part: range, place: TopBox, moov: BoxTree, source_size: int
) -> None:
    """Write what lies in `part` of the source, encrypted; a part begins and ends where a sample begins."""
    start, stop = (-1 if part.start else 0), source_size
    has_moov = False
    for offset, size, key, track, entry in ordered:
        if start < 0:
            if offset < part.start:
                continue
            start = offset
            copier.jump(start)
            copier.place(start + (moov.size - place.size) * (start >= place.end))
        if offset >= part.stop and part.stop < source_size:
            stop = offset
            break
        if start <= place.start < offset and not has_moov:
            has_moov = True
            _put(copier, place, moov)
        track.encrypt(copier.view(offset, size), (size,), (entry,), key)
    if start < 0:
        return
    if start <= place.start < stop and not has_moov:
        _put(copier, place, moov)
    copier.copy(stop)
    copier.flush()


def _put(copier: Copier, place: TopBox, moov: BoxTree) -> None:
    copier.copy(place.start)
    for piece in moov.pieces():
        copier.put(piece)
    copier.skip(place.end)


def _checked(jobs: Iterable[_Job], tops: Sequence[TopBox], source: SourceFile) -> Iterator[_Job]:
    """The jobs, one behind the other. Raises when two share bytes, or one lies outside the media data."""
    media = [(top.start + top.header, top.end) for top in tops if top.type == "mdat"]
    starts = [start for start, _ in media]
    reached = 0
    for job in jobs:
        offset, end = job[0], job[0] + job[1]
        index = bisect_right(starts, offset) - 1
        if index < 0 or end > media[index][1]:
            raise MalformedMediaError(
                "a sample lies outside the media data", where=source.name, seen=f"it has the bytes {offset} to {end}"
            )
        if offset < reached:
            raise UnsupportedMediaError(
                f"two samples share the bytes from {offset} to {min(end, reached)}",
                remedy="write the file anew: ffmpeg -i IN -c copy OUT.mp4",
            )
        reached = end
        yield job


class _Plan:
    """How the samples of one track are encrypted: a few bytes for each, since a film has a million."""

    def __init__(self, source: SourceFile, track: ProtectedTrack, trak: BoxTree) -> None:
        """Read what has to be known of the samples, and put the boxes of encryption into `trak`."""
        self._track = track
        self._offsets, self._sizes, self._keys = array("Q"), array("I"), array("H")
        self._aux = AuxTable(track)
        window = _Window(source)
        for sample in table_samples(track.track, source, Usage(source.size)):
            is_read = track.has_layout and (sample.dts >= track.lead or track.learns)
            data = window.view(sample.offset, sample.size) if is_read else memoryview(b"")
            if sample.dts < track.lead:
                track.look_at(data, (sample.size,), sample.description_index)
                entries, key = [track.clear_entry(sample.size)], _CLEAR
            else:
                key = track.key_at(sample.dts)
                entries = track.plan(data, (sample.size,), sample.description_index, key)
            self._aux.add(entries)
            self._offsets.append(sample.offset)
            self._sizes.append(sample.size)
            self._keys.append(key)
        self._describe(trak.one("mdia", "minf", "stbl"))

    def _describe(self, stbl: BoxTree) -> None:
        self._track.protect_descriptions(stbl.one("stsd"), clear_copies=False)
        later = sorted(set(self._keys) - {0, _CLEAR})
        if later:
            indices = {key: number for number, key in enumerate(later, 1)}
            runs = [(sum(1 for _ in same), index) for index, same in groupby(indices.get(key, 0) for key in self._keys)]
            stbl.children += group_boxes(self._track, runs, later, 0)
        if len(self._aux):
            stbl.children += self._aux.boxes()

    def jobs(self) -> Iterator[_Job]:
        """What is to be encrypted, by place."""
        jobs = self._in_decode_order()
        if all(a <= b for a, b in pairwise(self._offsets)):
            return jobs
        return iter(sorted(jobs, key=lambda job: job[0]))

    def _in_decode_order(self) -> Iterator[_Job]:
        rows = zip(self._offsets, self._sizes, self._keys, self._aux.entries(), strict=True)
        for offset, size, key, entry in rows:
            if key != _CLEAR and size:
                yield offset, size, key, self._track, entry


class _Window:
    """Samples to be looked at, read about a megabyte at a time."""

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._data, self._start = bytearray(), 0

    def view(self, start: int, size: int) -> memoryview:
        """The bytes from `start`. Raises TruncatedMediaError."""
        if start < self._start or start + size > self._start + len(self._data):
            self._data = bytearray()  # freed before the next one is made
            self._data = self._source.read(start, max(size, min(CHUNK, self._source.size - start)))
            self._start = start
        at = start - self._start
        return memoryview(self._data)[at : at + size]


def _settle(tops: Sequence[TopBox], moov: BoxTree) -> None:
    """Fill in chunk offsets and saio, as they are when `moov` has the size that they give it."""
    tables = [box for trak in moov.all("trak") for box in trak.one("mdia", "minf", "stbl").children]
    chunk_tables = [(box, Stco.parse(box.reader()).offsets) for box in tables if box.type in {"stco", "co64"}]
    place = next(top for top in tops if top.type == "moov")
    for _ in range(_ROUNDS):
        size = moov.size
        growth = size - place.size
        for box, offsets in chunk_tables:
            # Bytes behind moov move by what it grew; those before it stay.
            moved = Table("Q", [offset + growth * (offset >= place.end) for offset in offsets])
            written = BoxTree.of(Stco(moved).encode())
            box.type, box.payload = written.type, written.payload
        _point_saio(moov, place.start)
        if moov.size == size:
            return
    raise MalformedMediaError("the offsets of moov do not settle")


def _point_saio(moov: BoxTree, start: int) -> None:
    """Let each saio point behind the count of the senc beside it (absolute: ISO/IEC 14496-12, 8.7.9)."""
    for trak in moov.all("trak"):
        stbl = trak.one("mdia", "minf", "stbl")
        for before, after in pairwise(stbl.children):
            if before.type == "saio" and after.type == "senc":
                offset = start + moov.offset_of(after) + 16
                before.payload = Saio((offset,)).encode()[8:]
