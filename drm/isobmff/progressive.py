"""Samples of a progressive file: the tables of `stbl`, joined a batch at a time (ISO/IEC 14496-12, 8.6 and 8.7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, groupby, islice, repeat
from typing import Final, TypeAlias

from drm.errors import MalformedMediaError, TruncatedMediaError
from drm.isobmff.fragment_crypto import aux_sizes, check_version
from drm.isobmff.read_budget import ReadBudget
from drm.isobmff.sample_aux import Saio, Saiz, Senc
from drm.isobmff.sample_crypto import Cryptos, PackedEntries, Rules, crypto_from_aux, crypto_without_aux, fail
from drm.isobmff.sample_protection import SampleProtection, group_indices
from drm.isobmff.table import Table
from drm.isobmff.tracks import SampleTable, Track
from drm.media import ByteSource, Sample

__all__ = ["table_samples"]

BATCH: Final = 512  # samples joined at a time
_WINDOW: Final = 64 << 10  # bytes of auxiliary information read ahead

_Place: TypeAlias = tuple[int, int, int, int]  # chunk (from 0), offset, size, description


def table_samples(track: Track, source: ByteSource, usage: ReadBudget) -> Iterator[Sample]:
    """The samples that a track's own table lists, in decode order.

    Raises:
        TruncatedMediaError: a sample lies outside the file.
        MalformedMediaError: two tables contradict one another.
    """
    table, track_id = track.table, track.info.track_id
    if not table.stsz.sample_count:
        return
    place = f"{source.name}, track {track_id}"
    usage.add(table.stsz.sample_count, 0, place)
    book = SampleProtection(track, place)
    groups = group_indices(track.encryption.sbgp, book.default_group)
    crypto_source = _crypto_source(track, source, place)
    times = zip(_durations(table, place), _cts_offsets(table), _sync_flags(table), strict=False)
    dts = 0
    for batch in _batches(_places(table, place), split=crypto_source.wants_chunks):
        chunks, offsets, sizes, descriptions = zip(*batch, strict=True)
        usage.add(0, sum(sizes), place)
        rules = [book.rule(description, group) for description, group in zip(descriptions, groups, strict=False)]
        cryptos = crypto_source.take(chunks[0], sizes, rules)
        rows = zip(offsets, sizes, descriptions, cryptos, times, strict=False)
        for offset, size, description, crypto, (duration, cts_offset, is_sync) in rows:
            if offset + size > source.size:
                raise TruncatedMediaError(
                    "a sample lies outside the file",
                    where=place,
                    seen=f"bytes {offset} to {offset + size}, the file has {source.size}",
                    maybe="a download or a copy that was interrupted",
                )
            yield Sample(track_id, dts, cts_offset, duration, is_sync, offset, size, description, crypto)
            dts += duration
    crypto_source.finish()


# ------------------------------------------------------------------------------------------------ places and times
def _places(table: SampleTable, place: str) -> Iterator[_Place]:
    """Where each sample lies. Raises when the chunks end before the samples do."""
    stsz, offsets, runs = table.stsz, table.stco.offsets, table.stsc.runs
    sizes = repeat(stsz.constant_size, stsz.sample_count) if stsz.constant_size else iter(stsz.sizes)
    done = 0
    ends = [first - 1 for first in runs[3::3]] + [len(offsets)]
    for first, per_chunk, description, end in zip(runs[0::3], runs[1::3], runs[2::3], ends, strict=False):
        for chunk in range(first - 1, min(end, len(offsets))):
            at = offsets[chunk]
            for size in islice(sizes, per_chunk):
                yield chunk, at, size, description
                at += size
                done += 1
            if done >= stsz.sample_count:
                return
    raise MalformedMediaError(
        "the chunks hold fewer samples than stsz lists",
        where=place,
        seen=f"{done} samples in {len(offsets)} chunks, {stsz.sample_count} sizes",
    )


def _batches(places: Iterator[_Place], *, split: bool) -> Iterator[Sequence[_Place]]:
    if split:
        for _, chunk in groupby(places, key=lambda row: row[0]):
            yield tuple(chunk)
        return
    while batch := tuple(islice(places, BATCH)):
        yield batch


def _durations(table: SampleTable, place: str) -> Iterator[int]:
    runs = table.stts.runs
    yield from chain.from_iterable(map(repeat, runs[1::2], runs[0::2]))
    fail(place, "stts ends before the samples do", f"{table.stsz.sample_count} samples")


def _cts_offsets(table: SampleTable) -> Iterator[int]:
    if table.ctts is None:
        return repeat(0)
    runs = table.ctts.runs
    counts = Table("I", runs[0::2].tobytes())
    return chain(chain.from_iterable(map(repeat, runs[1::2], counts)), repeat(0))


def _sync_flags(table: SampleTable) -> Iterator[bool]:
    if table.stss is None:
        yield from repeat(True)
        return
    last = 0
    for number in sorted(set(table.stss.numbers)):
        yield from repeat(False, number - last - 1)
        yield True
        last = number
    yield from repeat(False)


# ------------------------------------------------------------------------------------------------ encryption data
def _crypto_source(track: Track, source: ByteSource, place: str) -> _NoAux | _Aux | _SencBox:
    """What tells the encryption of this track: saiz with saio (absolute offsets), senc, or nothing."""
    boxes, table = track.encryption, track.table
    if all(entry.protection is None for entry in track.entries):
        return _NoAux(place)
    if boxes.saiz is not None and boxes.saio is not None and boxes.saiz.sample_count and boxes.saio.offsets:
        return _Aux(boxes.saiz, boxes.saio, table, source, place)
    if boxes.senc is not None:
        return _SencBox(boxes.senc, track, place)
    return _NoAux(place)


class _NoAux:
    wants_chunks = False

    def __init__(self, place: str) -> None:
        self._place = place

    def take(self, chunk: int, sizes: Sequence[int], rules: Rules) -> Cryptos:  # noqa: ARG002 - one shape for three
        return crypto_without_aux(rules, self._place)

    def finish(self) -> None:
        pass


class _Aux:
    """saiz and saio. With one offset all information is contiguous; otherwise there is an offset for each chunk."""

    def __init__(self, saiz: Saiz, saio: Saio, table: SampleTable, source: ByteSource, place: str) -> None:
        chunks = len(table.stco.offsets)
        if len(saio.offsets) not in {1, chunks}:
            fail(place, "saio has neither one offset nor one for each chunk", f"{len(saio.offsets)}, {chunks} chunks")
        self.wants_chunks = len(saio.offsets) > 1
        self._offsets = saio.offsets
        self._at = saio.offsets[0]
        self._lengths = aux_sizes(saiz, table.stsz.sample_count, place)
        self._done = 0
        self._source = source
        self._place = place
        self._window, self._window_at = b"", 0

    def take(self, chunk: int, sizes: Sequence[int], rules: Rules) -> Cryptos:
        lengths = self._lengths[self._done : self._done + len(sizes)]
        self._done += len(sizes)
        if self.wants_chunks:
            self._at = self._offsets[chunk]
        data = self._read(sum(lengths))
        return crypto_from_aux(data, lengths, sizes, rules, self._place)

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

    wants_chunks = False

    def __init__(self, senc: Senc, track: Track, place: str) -> None:
        samples = track.table.stsz.sample_count
        # In version 1 a clear sample has an entry of no bytes, which is to say none.
        clear_iv_size: int | None = None if senc.version and not senc.is_piff else 0
        if senc.sample_count != samples:
            protected = _count_protected(track, place)
            if senc.sample_count != protected:
                seen = f"{senc.sample_count} entries, {samples} samples, {protected} protected"
                fail(place, "senc does not match the samples", seen)
            clear_iv_size = None
        self._place = place
        self._senc = senc
        self._entries = PackedEntries(
            senc.payload, has_subsamples=senc.has_subsamples, clear_iv_size=clear_iv_size, place=place
        )

    def take(self, chunk: int, sizes: Sequence[int], rules: Rules) -> Cryptos:  # noqa: ARG002 - one shape for three
        check_version(self._senc, rules, self._place)
        return self._entries.take(sizes, rules)

    def finish(self) -> None:
        if self._entries.remaining:
            fail(self._place, "senc is longer than its entries", f"{self._entries.remaining} bytes too many")


def _count_protected(track: Track, place: str) -> int:
    book = SampleProtection(track, place)
    groups = group_indices(track.encryption.sbgp, book.default_group)
    places = _places(track.table, place)
    return sum(book.rule(row[3], group) is not None for row, group in zip(places, groups, strict=False))
