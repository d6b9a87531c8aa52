"""The samples of one track of a clear progressive file: its tables, joined as they are read (ISO/IEC 14496-12, 8.6-7).

`drm.isobmff.progressive` reads the same from tables that are held, with all that may be told of encryption.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, islice, repeat
from operator import add
from typing import Final, NamedTuple

from drm.encrypting.box_tree import BoxTree
from drm.encrypting.clear_movie import TABLES
from drm.encrypting.long_payload import FilePart
from drm.encrypting.source_file import ClearSource
from drm.errors import MalformedMediaError, TruncatedMediaError
from drm.isobmff.read_budget import ReadBudget

__all__ = ["Batch", "ClearTable"]

_MOST: Final = 512  # samples of one batch, or few more
_ALIASES: Final = {"stz2": "stsz", "co64": "stco"}
_ROWS: Final = {"stts": 8, "ctts": 8, "stsc": 12, "stss": 4, "stco": 4, "co64": 8}  # bytes of one
_BIT_WIDTHS: Final = {4: "B", 8: "B", 16: "H"}


class Batch(NamedTuple):
    """Samples that follow one another in decode order, wherever they lie."""

    offsets: Sequence[int]
    sizes: Sequence[int]
    description: int  # from 1, of all of them
    times: Sequence[int]  # when each is decoded; none, where nobody asked


class ClearTable:
    """The tables of one `trak`, of which none is held."""

    def __init__(self, source: ClearSource, track_id: int, trak: BoxTree) -> None:
        """Raises MalformedMediaError: a table is missing, or shorter than it says."""
        self._source = source
        self._place = f"{source.name}, track {track_id}"
        self._found: dict[str, FilePart] = {}
        for box in trak.one("mdia", "minf", "stbl").children:
            if box.type in TABLES and isinstance(box.body, FilePart):
                self._found.setdefault(_ALIASES.get(box.type, box.type), box.body)
        for part in self._found.values():
            if part.kind in _ROWS:
                part.require(8 + _ROWS[part.kind] * part.word(4))
        sizes = self._table("stsz")
        self.count = sizes.word(8)
        if sizes.kind == "stz2":
            sizes.require(12 + (self.count * (sizes.word(4) & 0xFF) + 7) // 8)
        elif not sizes.word(4):
            sizes.require(12 + 4 * self.count)

    def _table(self, kind: str) -> FilePart:
        if kind not in self._found:
            raise MalformedMediaError(f"a track lacks the {kind} box", where=self._place)
        return self._found[kind]

    def batches(self, *, is_timed: bool) -> Iterator[Batch]:
        """All samples in decode order.

        Raises:
            TruncatedMediaError: a sample lies outside the file.
            MalformedMediaError: two tables contradict one another.
        """
        if not self.count:
            return
        usage, limit = ReadBudget(self._source.size), self._source.size
        usage.add(self.count, 0, self._place)
        times = self._times(is_timed=is_timed)
        for offsets, sizes, description in self._places():
            usage.add(0, sum(sizes), self._place)
            if max(map(add, offsets, sizes)) > limit:
                raise self._outside(max(map(add, offsets, sizes)))
            yield Batch(offsets, sizes, description, list(islice(times, len(sizes))))

    def _places(self) -> Iterator[tuple[list[int], list[int], int]]:
        """Offsets and sizes of samples of one description, many at a time."""
        left, lengths = self.count, self._sizes()
        offsets: list[int] = []
        sizes: list[int] = []
        before = 0
        for begins, per_chunk, description in self._chunks():
            if sizes and (description != before or len(sizes) >= _MOST):
                yield offsets, sizes, before
                offsets, sizes = [], []
            before = description
            if per_chunk == 1:
                sizes += islice(lengths, min(len(begins), left))
                offsets += begins[:left]
                left -= min(len(begins), left)
                continue
            for begin in begins:
                at, in_chunk = begin, min(per_chunk, left)
                left -= in_chunk
                while in_chunk:
                    some = list(islice(lengths, min(in_chunk, _MOST)))
                    in_chunk -= len(some)
                    *begun, at = accumulate(some, initial=at)
                    offsets += begun
                    sizes += some
                    if len(sizes) >= _MOST:
                        yield offsets, sizes, description
                        offsets, sizes = [], []
            if not left:
                break
        if sizes:
            yield offsets, sizes, before
        if left:
            raise MalformedMediaError(
                "the chunks hold fewer samples than stsz lists",
                where=self._place,
                seen=f"{self.count - left} samples in {self._table('stco').word(4)} chunks, {self.count} sizes",
            )

    def _outside(self, end: int) -> TruncatedMediaError:
        return TruncatedMediaError(
            "a sample lies outside the file",
            where=self._place,
            seen=f"one ends at byte {end}, the file has {self._source.size}",
            maybe="a download or a copy that was interrupted",
        )

    def _sizes(self) -> Iterator[int]:
        table = self._table("stsz")
        width = table.word(4) & 0xFF
        if table.kind == "stsz":
            constant = table.word(4)
            return repeat(constant, self.count) if constant else table.numbers(12, self.count)
        if width not in _BIT_WIDTHS:
            raise MalformedMediaError(f"stz2 with fields of {width} bits; 4, 8 and 16 are defined", where=self._place)
        if width > 4:
            return table.numbers(12, self.count, _BIT_WIDTHS[width])
        pairs = table.numbers(12, (self.count + 1) // 2, "B")
        return chain.from_iterable((pair >> 4, pair & 15) for pair in pairs)

    def _times(self, *, is_timed: bool) -> Iterator[int]:
        """When each sample is decoded, if that is of interest. Raises when that is not told of all samples."""
        stts = self._table("stts")
        runs = stts.numbers(8, 2 * stts.word(4))
        told = 0
        for count in islice(runs, 0, None, 2):
            told += count
            if told >= self.count:
                break
        if told < self.count:
            raise MalformedMediaError(
                "stts ends before the samples do", where=self._place, seen=f"{self.count} samples, times for {told}"
            )
        if not is_timed:
            return iter(())
        runs = stts.numbers(8, 2 * stts.word(4))
        durations = chain.from_iterable(repeat(duration, count) for count, duration in zip(runs, runs, strict=False))
        return accumulate(durations, initial=0)

    def _chunks(self) -> Iterator[tuple[list[int], int, int]]:
        """Where some chunks begin, how many samples each has, and their description."""
        stsc, stco = self._table("stsc"), self._table("stco")
        chunks = stco.word(4)
        offsets = stco.numbers(8, chunks, "Q" if stco.kind == "co64" else "I")
        runs = stsc.numbers(8, 3 * stsc.word(4))
        first = next(runs, 1)
        if first != 1:
            raise self._not_rising()
        for per_chunk in runs:
            description, following = next(runs), next(runs, 0)
            if following and following <= first:
                raise self._not_rising()
            left = max(min(following or chunks + 1, chunks + 1) - first, 0)
            while left:
                some = list(islice(offsets, min(left, _MOST)))
                left -= len(some)
                yield some, per_chunk, description
            first = following
            if first > chunks:
                return

    def _not_rising(self) -> MalformedMediaError:
        return MalformedMediaError("the first chunks in stsc do not rise from 1", where=self._place)
