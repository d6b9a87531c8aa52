"""Samples of a progressive file: its sample table, joined with what is told of their encryption, a batch at a time.

ISO/IEC 14496-12, clauses 8.6 and 8.7; ISO/IEC 23001-7, clause 7. Nothing is held that has a row for each sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final, Protocol

from drm.isobmff.box import MediaData
from drm.isobmff.fragment_crypto import aux_sizes, check_version
from drm.isobmff.read_budget import ReadBudget
from drm.isobmff.sample_aux import Saio, Saiz, Senc
from drm.isobmff.sample_crypto import Cryptos, PackedEntries, Rules, crypto_from_aux, crypto_without_aux, fail
from drm.isobmff.sample_protection import SampleProtection, group_indices
from drm.isobmff.sample_table import Batch, outside
from drm.isobmff.tracks import Track
from drm.media import ByteSource, Sample

__all__ = ["table_samples"]

_WINDOW: Final = 64 << 10  # bytes of auxiliary information read ahead


def table_samples(
    track: Track, source: ByteSource, media: MediaData, usage: ReadBudget, start: int = 0
) -> Iterator[Sample]:
    """The samples that a track's own table lists, in decode order; the first `start` are passed over.

    Raises:
        TruncatedMediaError: a sample lies outside the file.
        MalformedMediaError: two tables contradict one another, or a sample lies outside the media data.
    """
    table, track_id, limit = track.table, track.info.track_id, source.size
    if not table.count:
        return
    place = f"{source.name}, track {track_id}"
    usage.add(table.count, 0, place)
    rules = _BatchRules(track, place)
    crypto_source = _crypto_source(track, source, place)
    times = table.durations(place), table.cts_offsets(), table.sync_flags(place)
    dts, left = 0, start  # to be passed over
    for batch in table.batches(usage, place, by_chunk=crypto_source.by_chunk):
        description = batch.description
        cryptos = crypto_source.take(batch, rules.take(batch))
        rows = zip(batch.offsets, batch.sizes, cryptos, *times, strict=False)
        if left:
            dts += sum(row[3] for row in islice(rows, left))
            left -= min(left, len(batch.sizes))
        for offset, size, crypto, duration, cts_offset, is_sync in rows:
            if offset + size > limit:
                raise outside(place, offset, size, limit)
            media.require(offset, offset + size, place)
            yield Sample(track_id, dts, cts_offset, duration, is_sync, offset, size, description, crypto)
            dts += duration
    crypto_source.finish()


class _BatchRules:
    """What protection holds for the samples of each batch, one batch after the other."""

    def __init__(self, track: Track, place: str) -> None:
        self._book = SampleProtection(track, place)
        self._group = self._book.default_group
        sbgp = track.encryption.sbgp
        self._groups = None if sbgp is None else group_indices(sbgp, self._group)

    def take(self, batch: Batch) -> Rules:
        rule, count = self._book.rule, len(batch.sizes)
        if self._groups is None:
            return [rule(batch.description, self._group)] * count
        return [rule(batch.description, group) for group in islice(self._groups, count)]


# ------------------------------------------------------------------------------------------------ encryption data
class _CryptoSource(Protocol):
    """Says how samples are encrypted, batch after batch."""

    by_chunk: bool  # whether a batch may not span two chunks

    def take(self, batch: Batch, rules: Rules) -> Cryptos:
        """For the samples of `batch`, under these `rules`. Raises MediaError."""

    def finish(self) -> None:
        """Behind the last batch. Raises MalformedMediaError: something is left over."""


def _crypto_source(track: Track, source: ByteSource, place: str) -> _CryptoSource:
    """What tells the encryption of this track: saiz with saio (absolute offsets), senc, or nothing."""
    boxes = track.encryption
    if all(entry.protection is None for entry in track.entries):
        return _NoAux(place)
    if boxes.saiz is not None and boxes.saio is not None and boxes.saiz.sample_count and boxes.saio.offsets:
        return _Aux(boxes.saiz, boxes.saio, track, source, place)
    if boxes.senc is not None:
        return _SencBox(boxes.senc, track, source, place)
    return _NoAux(place)


class _NoAux:
    by_chunk = False

    def __init__(self, place: str) -> None:
        self._place = place

    def take(self, batch: Batch, rules: Rules) -> Cryptos:  # noqa: ARG002 - one shape for three
        return crypto_without_aux(rules, self._place)

    def finish(self) -> None:
        pass


class _Aux:
    """saiz and saio. With one offset all information is contiguous; otherwise there is an offset for each chunk."""

    def __init__(self, saiz: Saiz, saio: Saio, track: Track, source: ByteSource, place: str) -> None:
        chunks, told = track.table.chunks, len(saio.offsets)
        if told not in {1, chunks}:
            fail(place, "saio has neither one offset nor one for each chunk", f"{told}, {chunks} chunks")
        self.by_chunk = told > 1
        self._offsets = iter(saio.offsets)
        self._chunk, self._at = 0, next(self._offsets)
        self._lengths = aux_sizes(saiz, track.table.count, place)
        self._source = source
        self._place = place
        self._window, self._window_at = b"", 0

    def take(self, batch: Batch, rules: Rules) -> Cryptos:
        lengths = bytes(islice(self._lengths, len(batch.sizes)))
        if self.by_chunk and batch.chunk != self._chunk:
            self._at = next(islice(self._offsets, batch.chunk - self._chunk - 1, None))
            self._chunk = batch.chunk
        data = self._read(sum(lengths))
        return crypto_from_aux(data, lengths, batch.sizes, rules, self._place)

    def _read(self, size: int) -> bytes:
        begin = self._at - self._window_at
        if begin < 0 or begin + size > len(self._window):
            self._window, self._window_at = self._source.read_at(self._at, max(size, _WINDOW)), self._at
            begin = 0
        data = self._window[begin : begin + size]
        if len(data) != size:
            fail(self._place, "saio points outside the file", f"{size} bytes at {self._at}, {self._source.size} in all")
        self._at += size
        return data

    def finish(self) -> None:
        pass


class _SencBox:
    """A senc in stbl: it speaks of all samples, or of the protected ones alone."""

    by_chunk = False

    def __init__(self, senc: Senc, track: Track, source: ByteSource, place: str) -> None:
        samples = track.table.count
        # In version 1 a clear sample has an entry of no bytes, which is to say none.
        clear_iv_size: int | None = None if senc.version and not senc.is_piff else 0
        if senc.sample_count != samples:
            protected = _count_protected(track, source, place)
            if senc.sample_count != protected:
                seen = f"{senc.sample_count} entries, {samples} samples, {protected} protected"
                fail(place, "senc does not match the samples", seen)
            clear_iv_size = None
        self._place = place
        self._senc = senc
        self._entries = PackedEntries(senc, clear_iv_size=clear_iv_size, place=place)

    def take(self, batch: Batch, rules: Rules) -> Cryptos:
        check_version(self._senc, rules, self._place)
        return self._entries.take(batch.sizes, rules)

    def finish(self) -> None:
        if self._entries.remaining:
            fail(self._place, "senc is longer than its entries", f"{self._entries.remaining} bytes too many")


def _count_protected(track: Track, source: ByteSource, place: str) -> int:
    rules = _BatchRules(track, place)
    batches = track.table.batches(ReadBudget(source.size), place)
    return sum(rule is not None for batch in batches for rule in rules.take(batch))
