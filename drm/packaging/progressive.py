"""Encrypts a progressive MP4: samples keep their places in `mdat`, `moov` is written anew around them.

The clear lead of a progressive file is told by subsamples that have no protected bytes. A second, clear sample
description would say it better, and is what fragmented files get; but FFmpeg reads only one description of a
progressive track and drops the samples of the others, and Bento4 leaves such files encrypted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import BinaryIO, Final

from msgspec.structs import replace

from drm.errors import MalformedMediaError
from drm.isobmff.box import TopBox
from drm.isobmff.progressive import table_samples
from drm.isobmff.sample_aux import Saio
from drm.isobmff.sample_table import Stco
from drm.isobmff.table import Table
from drm.isobmff.usage import Usage
from drm.media import SampleCrypto
from drm.packaging.protected_track import ProtectedTrack, SampleJob, aux_boxes, without_overlap
from drm.packaging.source_file import SourceFile, copy_encrypting
from drm.packaging.tree import BoxTree

__all__ = ["encrypt_progressive"]

_ROUNDS: Final = 5  # moov's size depends on its offsets and they on it; two rounds are enough unless they pass 32 bits


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
    for sample in table_samples(track.track, source, Usage(source.size)):
        if sample.dts < track.lead:
            cryptos.append(track.clear_crypto(sample.size))
            continue
        data = memoryview(source.read(sample.offset, sample.size)) if track.has_subsamples else memoryview(b"")
        crypto = track.crypto(data, sample.description_index)
        # One senc has subsamples for all of its entries or for none.
        cryptos.append(replace(crypto, subsamples=crypto.subsamples or ((0, sample.size),)))
        yield SampleJob(sample.offset, sample.size, crypto, track.encrypter)
    with_subsamples = track.has_subsamples or track.lead > 0
    stbl.children += aux_boxes(track, cryptos, with_subsamples=with_subsamples)


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
