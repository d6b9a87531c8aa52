"""Encrypts a progressive MP4: samples keep their places in `mdat`, `moov` is written anew around them.

The clear lead of a progressive file is told by subsamples that have no protected bytes. A second, clear sample
description would say it better, and is what fragmented files get; but FFmpeg reads only one description of a
progressive track and drops the samples of the others, and Bento4 leaves such files encrypted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO, Final

from msgspec.structs import replace

from drm.errors import MalformedMediaError
from drm.isobmff.box import TopBox
from drm.isobmff.sample_aux import Saio
from drm.isobmff.sample_table import Stco
from drm.isobmff.table import Table
from drm.isobmff.tracks import SampleTable
from drm.media import SampleCrypto
from drm.packaging.protected_track import ProtectedTrack, SampleJob, aux_boxes, without_overlap
from drm.packaging.source_file import SourceFile, copy_encrypting
from drm.packaging.tree import BoxTree

__all__ = ["encrypt_progressive"]

_ROUNDS: Final = 5  # moov's size depends on its offsets and they on it; two rounds are enough unless they pass 32 bits


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one sample of the table lies, and when it is decoded."""

    offset: int
    size: int
    description_index: int
    decode_time: int


def encrypt_progressive(
    source: SourceFile,
    tops: Sequence[TopBox],
    moov: BoxTree,
    protected: Mapping[int, ProtectedTrack],
    traks: Mapping[int, BoxTree],
    out: BinaryIO,
) -> None:
    """Write the encrypted file to `out`, which is empty. `moov` and its `traks` (by track id) are changed.

    Raises:
        MalformedMediaError, UnsupportedMediaError: as their words say.
    """
    jobs: list[SampleJob] = []
    for track_id, track in protected.items():
        jobs += _protect(source, track, traks[track_id])
    jobs = without_overlap(jobs)
    encoded = _settle(tops, moov)
    done = 0
    for top in tops:
        if top.type == "moov":
            out.write(encoded)
        elif top.type == "mdat":
            done = copy_encrypting(source, top.start, top.end, jobs, out, done)
        else:
            copy_encrypting(source, top.start, top.end, (), out)
    if done < len(jobs):
        raise MalformedMediaError("a sample lies outside the media data", where=source.name)


def _protect(source: SourceFile, track: ProtectedTrack, trak: BoxTree) -> Iterator[SampleJob]:
    """Put the boxes of encryption into `trak`; give the samples to encrypt."""
    stbl = trak.one("mdia", "minf", "stbl")
    track.protect_descriptions(stbl.one("stsd"), clear_copies=False)
    cryptos: list[SampleCrypto] = []
    for place in _places(track.track.table, source):
        if place.decode_time < track.lead:
            cryptos.append(track.clear_crypto(place.size))
            continue
        sample = memoryview(source.read(place.offset, place.size)) if track.has_subsamples else memoryview(b"")
        crypto = track.crypto(sample, place.description_index)
        # One senc has subsamples for all of its entries or for none.
        cryptos.append(replace(crypto, subsamples=crypto.subsamples or ((0, place.size),)))
        yield SampleJob(place.offset, place.size, crypto, track.encrypter)
    with_subsamples = track.has_subsamples or track.lead > 0
    stbl.children += aux_boxes(track, cryptos, with_subsamples=with_subsamples)


def _places(table: SampleTable, source: SourceFile) -> Iterator[_Place]:
    """Every sample in decode order. Raises MalformedMediaError when the tables do not agree."""
    stsz, chunks = table.stsz, table.stco.offsets
    count = stsz.sample_count
    if stsz.constant_size and count * stsz.constant_size > source.size:
        raise MalformedMediaError(f"{count} samples of {stsz.constant_size} bytes in a file of {source.size}")
    times = _decode_times(table, count)
    runs = list(zip(*(table.stsc.runs[column::3] for column in range(3)), strict=True))
    index = 0
    ends = [first for first, _, _ in runs[1:]] + [len(chunks) + 1]
    for (first, in_chunk, description), end in zip(runs, ends, strict=True):
        for chunk in range(first, min(end, len(chunks) + 1)):
            at = chunks[chunk - 1]
            for _ in range(min(in_chunk, count - index)):
                size = stsz.constant_size or stsz.sizes[index]
                yield _Place(at, size, description, next(times))
                at += size
                index += 1
    if index < count:
        raise MalformedMediaError(f"stsz has {count} samples, the chunks hold {index}", where=source.name)


def _decode_times(table: SampleTable, count: int) -> Iterator[int]:
    at = made = 0
    runs = table.stts.runs
    for length, duration in zip(runs[0::2], runs[1::2], strict=True):
        for _ in range(min(length, count - made)):
            yield at
            at += duration
            made += 1
    if made < count:
        raise MalformedMediaError(f"stsz has {count} samples, stts {made}")


def _settle(tops: Sequence[TopBox], moov: BoxTree) -> bytes:
    """Fill in chunk offsets and saio; return `moov` as it is written."""
    tables = [box for trak in moov.all("trak") for box in trak.one("mdia", "minf", "stbl").children]
    chunk_tables = [(box, Stco.parse(box.reader()).offsets) for box in tables if box.type in {"stco", "co64"}]
    place = next(top for top in tops if top.type == "moov")
    encoded = moov.encode()
    for _ in range(_ROUNDS):
        growth = len(encoded) - place.size
        for box, offsets in chunk_tables:
            # Bytes behind moov move by what it grew; those before it stay.
            moved = Table("Q", [offset + growth * (offset >= place.end) for offset in offsets])
            written = BoxTree.of(Stco(moved).encode())
            box.type, box.payload = written.type, written.payload
        _point_saio(moov, place.start)
        again = moov.encode()
        if len(again) == len(encoded):
            return again
        encoded = again
    raise MalformedMediaError("the offsets of moov do not settle")


def _point_saio(moov: BoxTree, start: int) -> None:
    """Let each saio point behind the count of the senc beside it (absolute: ISO/IEC 14496-12, 8.7.9)."""
    for trak in moov.all("trak"):
        stbl = trak.one("mdia", "minf", "stbl")
        for before, after in pairwise(stbl.children):
            if before.type == "saio" and after.type == "senc":
                offset = start + moov.offset_of(after) + 16
                before.payload = Saio((offset,)).encode()[8:]
