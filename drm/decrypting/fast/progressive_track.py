"""One track of a progressive file: where its samples lie, and what is told of their encryption, told as it is needed.

The tables stay in the file (`drm.decrypting.fast.tables`); what is not as usual raises OddLayoutError.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from itertools import accumulate, islice, repeat

from drm.decrypting.fast.tables import bare_rows, fields, many_rows, numbers, one_rows, word
from drm.decrypting.unmark_boxes import OddLayoutError, is_of_encryption, read_exactly
from drm.decrypting.window_writer import WINDOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drm.decrypting.fast.movie_skeleton import Place
    from drm.decrypting.fast.tracks import FastCipher

__all__ = ["Piece", "ProgressiveTrack"]

_BATCH = 512  # samples

Piece = tuple[int, int, tuple[tuple[int, ...], "ProgressiveTrack"]]
"""Begin, end, and the sizes of the samples that lie there one behind the other, with their track."""


class ProgressiveTrack:
    """One track: its pieces in the order of its table, and what decrypts the samples of each."""

    def __init__(self, source: int, tables: dict[bytes, Place], ciphers: list[FastCipher | None], limit: int) -> None:
        self._source, self._tables = source, tables
        if any(ciphers) and len(ciphers) != 1:
            raise OddLayoutError("several sample descriptions")
        self.cipher = ciphers[0] if ciphers else None
        self._descriptions = len(ciphers)
        self.count = word(source, self._table(b"stsz"), 8)
        if self.count > limit:
            raise OddLayoutError("more samples than bytes")
        self._check_times()
        self.decrypt: Callable[[memoryview, int, tuple[int, ...]], None] | None = None
        self.skip: Callable[[int], None] | None = None
        self._rows: Iterator[object] | None = None
        if self.cipher is not None and self.count:
            self._find_entries(self.cipher, self.count)

    def _table(self, kind: bytes) -> Place:
        found = self._tables.get(kind)
        if found is None:
            raise OddLayoutError("a table is missing")
        return found

    def _check_times(self) -> None:
        """The tables of times must be there for all samples, though nothing here needs them."""
        for kind, width in ((b"stts", 8), (b"ctts", 8), (b"stss", 4)):
            if kind in self._tables:
                place = self._table(kind)
                fields(place, 8, width * word(self._source, place, 4))
        stts = self._table(b"stts")
        runs = numbers(self._source, fields(stts, 8, 8 * word(self._source, stts, 4)))
        if sum(islice(runs, None, None, 2)) < self.count:
            raise OddLayoutError("stts ends early")

    def pieces(self) -> Iterator[Piece]:
        """Samples that lie one behind the other, as many at a time as make about a window."""
        left = self.count
        sizes = self._sizes()
        for offset, per_chunk in self._chunks():
            at, in_chunk = offset, min(per_chunk, left)
            left -= in_chunk
            while in_chunk:
                batch = tuple(islice(sizes, min(in_chunk, _BATCH)))
                in_chunk -= len(batch)
                ends = list(accumulate(batch))
                done = 0
                while done < len(batch):
                    base = ends[done - 1] if done else 0
                    stop = max(done + 1, bisect_right(ends, base + WINDOW))
                    end = at + ends[stop - 1]
                    yield at + base, end, (batch[done:stop], self)
                    done = stop
                at += ends[-1]
            if not left:
                return
        if left:
            raise OddLayoutError("the chunks hold fewer samples")

    def _sizes(self) -> Iterator[int]:
        place = self._table(b"stsz")
        constant = word(self._source, place, 4)
        if constant:
            return repeat(constant, self.count)
        return numbers(self._source, fields(place, 12, 4 * self.count))

    def _chunks(self) -> Iterator[tuple[int, int]]:
        """Where each chunk begins and how many samples it has."""
        source, stsc = self._source, self._table(b"stsc")
        wide = b"co64" in self._tables
        if wide and b"stco" in self._tables:
            raise OddLayoutError("two tables of chunks")
        stco = self._table(b"co64" if wide else b"stco")
        chunks = word(source, stco, 4)
        offsets = numbers(source, fields(stco, 8, (8 if wide else 4) * chunks), "Q" if wide else "I")
        runs = numbers(source, fields(stsc, 8, 12 * word(source, stsc, 4)))
        first = next(runs, 0)
        if self.count and first != 1:
            raise OddLayoutError("stsc does not begin with the first chunk")
        while first:
            per_chunk, description = next(runs), next(runs)
            following = next(runs, 0)
            if not 1 <= description <= self._descriptions or (following and following <= first):
                raise OddLayoutError("an unusual stsc")
            for offset in islice(offsets, min(following or chunks + 1, chunks + 1) - first if first <= chunks else 0):
                yield offset, per_chunk
            first = following

    # -------------------------------------------------------------------------------------------- encryption
    def _find_entries(self, cipher: FastCipher, count: int) -> None:
        """Entries by saiz and saio if there are both, in `senc` otherwise: as `drm.isobmff.progressive` has it."""
        aux = b"saiz" in self._tables, b"saio" in self._tables
        if aux == (True, True):
            self._from_saio(cipher, self._table(b"saiz"), self._table(b"saio"))
        elif aux != (False, False):
            raise OddLayoutError("one of saiz and saio")
        elif b"senc" in self._tables:
            self._from_senc(cipher, self._table(b"senc"))
        elif cipher.iv_size:
            raise OddLayoutError("no IVs")
        else:
            self._take(cipher.whole, repeat((b"",), count))

    def _from_saio(self, cipher: FastCipher, saiz: Place, saio: Place) -> None:
        source, iv_size, count = self._source, cipher.iv_size, self.count
        skips = []
        for place in (saiz, saio):
            head = bytearray(min(12, place[1] - place[0]))
            read_exactly(source, memoryview(head), place[0])
            if len(head) < 9 or not is_of_encryption(head, 0, len(head)) or head[0] > 1:
                raise OddLayoutError("auxiliary information of something else")
            skips.append((12 if head[3] & 1 else 4, head[0]))
        at = skips[0][0]
        default = word(source, saiz, at) >> 24
        if word(source, saiz, at + 1) != count or word(source, saio, skips[1][0]) != 1:
            raise OddLayoutError("not one piece of information for all samples")
        offset = word(source, saio, skips[1][0] + 4)
        if skips[1][1]:
            offset = offset << 32 | word(source, saio, skips[1][0] + 8)
        if default:
            lengths: Iterator[int] = repeat(default, count)
            total, least, most = default * count, default, default
        else:
            table = fields(saiz, at + 5, count)
            total, least, most = 0, 255, 0
            for value in numbers(source, table, "B"):
                total += value
                least, most = min(least, value), max(most, value)
            lengths = numbers(source, table, "B")
        place = offset, offset + total
        if place[1] > os.fstat(source).st_size:
            raise OddLayoutError("saio points outside the file")
        if least == most == iv_size + 8:
            self._take(cipher.one, one_rows(source, place, iv_size))
        elif iv_size and least == most == iv_size:
            self._take(cipher.whole, bare_rows(source, place, iv_size))
        elif least < iv_size + 2:
            raise OddLayoutError("samples without information")
        else:
            self._take(cipher.many, many_rows(source, place, iv_size, lengths))

    def _from_senc(self, cipher: FastCipher, senc: Place) -> None:
        source, iv_size, count = self._source, cipher.iv_size, self.count
        flags = word(source, senc, 0)
        if flags & ~2 or word(source, senc, 4) != count:
            raise OddLayoutError("an unusual senc")
        place = senc[0] + 8, senc[1]
        size = place[1] - place[0]
        if not flags:
            if not iv_size or size != iv_size * count:
                raise OddLayoutError("an unusual senc")
            self._take(cipher.whole, bare_rows(source, place, iv_size))
        elif size == (iv_size + 8) * count:
            self._take(cipher.one, one_rows(source, place, iv_size))
        else:
            self._take(cipher.many, many_rows(source, place, iv_size, None))

    def _take(self, method: Callable[..., None], rows: Iterator[object]) -> None:
        def decrypt(data: memoryview, at: int, sizes: tuple[int, ...]) -> None:
            entries = list(islice(rows, len(sizes)))
            if len(entries) != len(sizes):
                raise OddLayoutError("fewer entries than samples")
            method(data, at, sizes, entries)

        def skip(count: int) -> None:
            if sum(1 for _ in islice(rows, count)) != count:
                raise OddLayoutError("fewer entries than samples")

        self.decrypt, self.skip, self._rows = decrypt, skip, rows

    def finish(self) -> None:
        """To be called behind the last sample: nothing may be left over. Raises OddLayoutError."""
        if self._rows is not None and next(self._rows, None) is not None:
            raise OddLayoutError("more entries than samples")
