"""The sample table of a progressive file: times, sizes, chunks, sync samples (ISO/IEC 14496-12, clauses 8.6 and 8.7).

No table is held, whatever its length: each stays in its box, and is read a window at a time by whoever goes through it.
Each box can be sound while the table is not; here they are joined, a batch of samples at a time. Either process; the
file may lie in every number, and no number of it makes this allocate anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, chain, islice, repeat
from operator import lt
from typing import Final, NamedTuple

from drm.errors import MalformedMediaError, TruncatedMediaError
from drm.isobmff.read_budget import ReadBudget
from drm.isobmff.reader import Reader
from drm.isobmff.table import Numbers, spread
from drm.media import SampleTime

__all__ = ["TABLES", "Batch", "SampleTable", "outside"]

TABLES: Final = {"stts": "stts", "stsc": "stsc", "stsz": "stsz", "stz2": "stsz", "stco": "stco", "co64": "stco",
                 "ctts": "ctts", "stss": "stss"}  # fmt: skip
"""Boxes of `stbl` that have a row for each sample, chunk or run of them, and what each is another form of."""

BATCH: Final = 512  # samples, or few more
_CODES: Final = {4: "B", 8: "B", 16: "H"}  # of stz2, by the bits of a field
_SORTED: Final = 64 << 10  # numbers of sync samples that may stand in any order


class Batch(NamedTuple):
    """Samples that follow one another in decode order, wherever they lie. There is one at least."""

    offsets: list[int]  # absolute
    sizes: list[int]
    description: int  # from 1, of all of them
    chunk: int  # from 0, of the last of them


class SampleTable:
    """The tables of one track. They are gone through as often as one likes, each by itself."""

    def __init__(self, boxes: Mapping[str, Reader], trak: Reader) -> None:
        """Take the tables out of `boxes` of the box `trak`; a box is named as `TABLES` has it.

        Raises:
            MalformedMediaError: one is missing, is shorter than it says, or breaks a rule of its own.
        """

        def need(kind: str) -> Reader:
            if kind not in boxes:
                trak.fail(f"a track lacks the {kind} box")
            return boxes[kind].copy()

        self._durations = Numbers(_rows(need("stts"), 8))
        self._chunks = Numbers(_rows(stsc := need("stsc"), 12))
        _require_rising(self._chunks, stsc)
        self.count = self._constant = self._bits = 0  # samples; bytes of each, 0: they differ; bits of a field of stz2
        self._sizes = self._read_sizes(need("stsz"))
        stco = need("stco")
        self._offsets = Numbers(_rows(stco, 8), "Q") if stco.type == "co64" else Numbers(_rows(stco, 4))
        # Read as signed in either version: encoders write negative ones into version 0.
        self._cts_offsets = Numbers(_rows(boxes["ctts"].copy(), 8)) if "ctts" in boxes else None
        self._sync = Numbers(_rows(boxes["stss"].copy(), 4)) if "stss" in boxes else None

    def _read_sizes(self, box: Reader) -> Numbers:
        box.full_box()
        if box.type == "stz2":
            box.skip(3)
            self._bits, self.count = box.u8(), box.u32()
            if self._bits not in _CODES:
                box.fail(f"stz2 with fields of {self._bits} bits; 4, 8 and 16 are defined")
            return Numbers(box.part((self.count * self._bits + 7) // 8), _CODES[self._bits])
        self._constant, self.count = box.u32(), box.u32()
        return Numbers(box.part(0 if self._constant else 4 * self.count))

    @property
    def chunks(self) -> int:
        """How many there are."""
        return len(self._offsets)

    # --------------------------------------------------------------------------------------------- places
    def batches(self, usage: ReadBudget, place: str, *, by_chunk: bool = False) -> Iterator[Batch]:
        """All samples in decode order; `by_chunk`: none of the batches spans two chunks.

        `usage` has counted the samples, and here counts their bytes.

        Raises:
            MalformedMediaError: the chunks end before the samples do, or these are more than the file can hold. `place`
                is where.
        """
        if not self.count:
            return
        left, lengths = self.count, self._lengths()
        offsets: list[int] = []
        sizes: list[int] = []
        before = -1, 0  # the chunk at hand, and the description of what waits
        for first, begins, per_chunk, description in self._runs():
            if sizes and (description != before[1] or len(sizes) >= BATCH):
                usage.add(0, sum(sizes), place)
                yield Batch(offsets, sizes, before[1], before[0])
                offsets, sizes = [], []
            if per_chunk == 1 and not by_chunk:
                some = min(len(begins), left)
                sizes += islice(lengths, some)
                offsets += begins[:some]
                left -= some
                before = first, description
                if not left:
                    break
                continue
            for chunk, begin in enumerate(begins, first):
                at, in_chunk = begin, min(per_chunk, left)
                before = chunk, description
                left -= in_chunk
                while in_chunk:
                    part = list(islice(lengths, min(in_chunk, BATCH)))
                    in_chunk -= len(part)
                    *begun, at = accumulate(part, initial=at)
                    offsets += begun
                    sizes += part
                    if (len(sizes) >= BATCH or by_chunk) and (left or in_chunk):
                        usage.add(0, sum(sizes), place)
                        yield Batch(offsets, sizes, description, chunk)
                        offsets, sizes = [], []
            if not left:
                break
        if left:
            raise MalformedMediaError(
                "the chunks hold fewer samples than stsz lists",
                where=place,
                seen=f"{self.count - left} samples in {self.chunks} chunks, {self.count} sizes",
            )
        usage.add(0, sum(sizes), place)
        yield Batch(offsets, sizes, before[1], before[0])

    def _lengths(self) -> Iterator[int]:
        if self._constant:
            return repeat(self._constant, self.count)
        if self._bits == 4:
            return chain.from_iterable((pair >> 4, pair & 15) for pair in self._sizes)
        return iter(self._sizes)

    def _runs(self) -> Iterator[tuple[int, list[int], int, int]]:
        """Chunks that are alike: number of the first (from 0), where each begins, samples in each, description."""
        offsets, rows = iter(self._offsets), iter(self._chunks)
        first = next(rows, 0)
        while 0 < first <= self.chunks:
            per_chunk, description, following = next(rows), next(rows), next(rows, 0)
            end = min(following or self.chunks + 1, self.chunks + 1)
            while first < end:
                begins = list(islice(offsets, min(end - first, BATCH)))
                yield first - 1, begins, per_chunk, description
                first += len(begins)
            first = following

    # --------------------------------------------------------------------------------------------- times
    def durations(self, place: str) -> Iterator[int]:
        """How long each sample is, without end: raises MalformedMediaError where the table has no more."""
        return chain(spread(self._durations), _ended(self.count, place))

    def require_durations(self, place: str) -> None:
        """Raise MalformedMediaError unless the table has one for every sample."""
        if sum(sum(rows[0::2]) for rows in self._durations.windows()) < self.count:
            raise _short(self.count, place)

    def cts_offsets(self) -> Iterator[int]:
        """Composition minus decoding time of each sample, without end."""
        return repeat(0) if self._cts_offsets is None else chain(spread(self._cts_offsets, "i"), repeat(0))

    def sync_flags(self, place: str) -> Iterator[bool]:
        """Whether each sample is a sync sample, without end. Raises MalformedMediaError: they are in no order."""
        return repeat(True) if self._sync is None else chain.from_iterable(_flags(self._sync, place))

    def times(self, place: str) -> Iterator[SampleTime]:
        """When each sample is decoded. Raises as `durations` and `sync_flags` do."""
        decoded = accumulate(self.durations(place), initial=0)
        return islice(zip(decoded, self.cts_offsets(), self.sync_flags(place), strict=False), self.count)


def outside(place: str, offset: int, size: int, limit: int) -> TruncatedMediaError:
    """The error of a sample that ends behind byte `limit`, the file's last."""
    return TruncatedMediaError(
        "a sample lies outside the file",
        where=place,
        seen=f"bytes {offset} to {offset + size}, the file has {limit}",
        maybe="a download or a copy that was interrupted",
    )


def _rows(box: Reader, width: int) -> Reader:
    """The rows of a box that says first how many it has, each of `width` bytes. Raises MalformedMediaError."""
    box.full_box()
    return box.part(width * box.u32())


def _require_rising(chunks: Numbers, box: Reader) -> None:
    last = 0
    for rows in chunks.windows():
        first = rows[0::3]
        if (not last and first[0] != 1) or first[0] <= last or not all(map(lt, first, first[1:])):
            box.fail("the first chunks in stsc do not rise from 1")
        last = first[-1]


def _ended(count: int, place: str) -> Iterator[int]:
    yield from ()
    raise _short(count, place)


def _short(count: int, place: str) -> MalformedMediaError:
    return MalformedMediaError(
        "stts ends before the samples do",
        where=place,
        seen=f"{count} samples",
        maybe="a packager's mistake, or a damaged file",
    )


def _flags(sync: Numbers, place: str) -> Iterator[Iterable[bool]]:
    """The flags of all samples, in runs. Few numbers may stand in any order; of many none is held."""
    last = 0
    for number in sorted(set(sync)) if len(sync) <= _SORTED else sync:
        if number <= last:
            raise MalformedMediaError("the sample numbers in stss do not rise from 1", where=place)
        yield repeat(False, number - last - 1)
        yield (True,)
        last = number
    yield repeat(False)
