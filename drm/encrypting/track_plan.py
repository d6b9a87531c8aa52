"""How the samples of one track of a progressive file are encrypted: looked at once, spooled, and told in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby, islice
from operator import add, le
from typing import Final

from drm.encrypting.aux_table import SpooledAux
from drm.encrypting.box_tree import BoxTree
from drm.encrypting.copier import CHUNK
from drm.encrypting.protected_track import ProtectedTrack, group_boxes
from drm.encrypting.sample_windows import Group
from drm.encrypting.source_file import ClearSource
from drm.isobmff.read_budget import ReadBudget
from drm.isobmff.sample_table import Batch, outside

__all__ = ["TrackPlan"]

_CLEAR: Final = -1  # in place of a key's number

_Part = tuple[Sequence[int], Sequence[int], int]  # offsets, sizes, number of the key


class TrackPlan:
    """What becomes of one track. To be closed."""

    def __init__(self, source: ClearSource, track: ProtectedTrack, trak: BoxTree, folder: str) -> None:
        """Read what has to be known of the samples, and put the boxes of encryption into `trak`.

        Raises:
            MediaError: as the readers of tables and of samples do.
            OSError: `folder`, in which is spooled, cannot be written.
        """
        self._track = track
        self._place = f"{source.name}, track {track.track.info.track_id}"
        self._source_size = source.size
        self._aux = SpooledAux(track, folder)
        self._is_ordered = True
        try:
            runs = self._look(source)
            self._describe(trak.one("mdia", "minf", "stbl"), runs)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Free what was spooled."""
        self._aux.close()

    def _batches(self) -> Iterator[tuple[Batch, list[int]]]:
        """All samples in decode order, and when each is decoded if that matters. Raises MediaError as `SampleTable`."""
        table, place, limit = self._track.track.table, self._place, self._source_size
        usage = ReadBudget(limit)
        usage.add(table.count, 0, place)
        table.require_durations(place)
        durations, time = table.durations(place), 0
        times: list[int] = []
        for batch in table.batches(usage, place):
            end, offset = max(zip(map(add, batch.offsets, batch.sizes), batch.offsets, strict=True))
            if end > limit:
                raise outside(place, offset, end - offset, limit)
            if self._track.is_timed:
                *times, time = accumulate(islice(durations, len(batch.sizes)), initial=time)
            yield batch, times

    def _look(self, source: ClearSource) -> list[tuple[int, int]]:
        """Plan every sample; return how many have which key, one behind the other."""
        track = self._track
        reader = _Reader(source)
        runs: list[tuple[int, int]] = []
        reached = 0
        for batch, times in self._batches():
            ends = [reached, *map(add, batch.offsets, batch.sizes)]
            reached = ends[-1]
            self._is_ordered = self._is_ordered and all(map(le, ends, batch.offsets))
            for offsets, sizes, key in _by_key(batch, times, track):
                samples = map(reader.view, offsets, sizes)
                if key == _CLEAR:
                    track.look_at(samples, len(sizes), batch.description)
                    self._aux.add([track.clear_entry(size) for size in sizes])
                else:
                    self._aux.add(track.plan(samples, sizes, batch.description, key))
                before = runs.pop()[0] if runs and runs[-1][1] == key else 0
                runs.append((before + len(sizes), key))
        return runs

    def _describe(self, stbl: BoxTree, runs: Sequence[tuple[int, int]]) -> None:
        self._track.protect_descriptions(stbl.one("stsd"), clear_copies=False)
        later = sorted({key for _, key in runs if key > 0})
        if later:
            indices = {key: number for number, key in enumerate(later, 1)}
            told = [
                (sum(count for count, _ in same), index)
                for index, same in groupby(runs, key=lambda run: indices.get(run[1], 0))
            ]
            stbl.children += group_boxes(self._track, told, later, 0)
        if len(self._aux):
            stbl.children += self._aux.boxes()

    def groups(self) -> Iterator[Group]:
        """The samples that are to be encrypted, by place. To be asked once in each process."""
        groups = self._in_decode_order()
        return groups if self._is_ordered else _sorted(groups)

    def _in_decode_order(self) -> Iterator[Group]:
        track = self._track
        for batch, times in self._batches():
            for offsets, sizes, key in _by_key(batch, times, track):
                entries = self._aux.take(len(sizes))
                if key == _CLEAR:
                    continue
                if 0 in sizes:  # nothing to encrypt, and such a sample may lie anywhere
                    rows = [row for row in zip(offsets, sizes, entries, strict=True) if row[1]]
                    yield from _rows(track, key, rows)
                else:
                    yield Group(track, key, offsets, sizes, entries)


def _by_key(batch: Batch, times: Sequence[int], track: ProtectedTrack) -> Iterator[_Part]:
    """The samples of `batch`, as many at a time as have one key."""
    if not track.is_timed:
        yield batch.offsets, batch.sizes, 0
        return
    done = 0
    for key, same in groupby(_CLEAR if time < track.lead else track.key_at(time) for time in times):
        end = done + sum(1 for _ in same)
        yield batch.offsets[done:end], batch.sizes[done:end], key
        done = end


def _rows(track: ProtectedTrack, key: int, rows: Sequence[tuple[int, int, tuple]]) -> Iterator[Group]:  # type: ignore[type-arg]
    if rows:
        offsets, sizes, entries = zip(*rows, strict=True)
        yield Group(track, key, offsets, sizes, entries)


def _sorted(groups: Iterator[Group]) -> Iterator[Group]:
    """By place what is not stored by time: rare, and the one case in which what is told of all samples is held."""
    rows = [
        (offset, size, entry, group.key, group.track)
        for group in groups
        for offset, size, entry in zip(group.offsets, group.sizes, group.entries, strict=True)
    ]
    rows.sort(key=lambda row: row[0])
    for offset, size, entry, key, track in rows:
        yield Group(track, key, (offset,), (size,), (entry,))


class _Reader:
    """Samples to be looked at, read about a megabyte at a time."""

    def __init__(self, source: ClearSource) -> None:
        self._source = source
        self._data, self._start, self._end = memoryview(b""), 0, 0

    def view(self, start: int, size: int) -> memoryview:
        """The bytes from `start`, until the next ones are asked for. Raises TruncatedMediaError."""
        if start < self._start or start + size > self._end:
            self._load(start, size)
        at = start - self._start
        return self._data[at : at + size]

    def _load(self, start: int, size: int) -> None:
        wanted = max(size, min(CHUNK, self._source.size - start))
        if wanted > len(self._data):
            self._data = memoryview(b"")  # freed before the larger one is made
            self._data = memoryview(bytearray(wanted))
        self._source.read_into(start, self._data[:wanted])
        self._start, self._end = start, start + wanted
