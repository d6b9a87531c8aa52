"""Encrypts a progressive MP4: samples keep their places in `mdat`, `moov` is written anew around them.

The clear lead of a progressive file is told by subsamples that have no protected bytes. A second, clear sample
description would say it better, and is what fragmented files get; but FFmpeg reads only one description of a
progressive track and drops the samples of the others, and Bento4 leaves such files encrypted. Samples under a later key
are a sample group of their own.

Neither the tables nor what is told of the samples is held: the tables are read twice, once to look at the samples and
to spool what `senc` says, once to encrypt by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import pairwise
from struct import pack
from typing import Final

from drm.encrypting.box_tree import BoxTree
from drm.encrypting.chunk_offsets import MovedChunks
from drm.encrypting.copier import Copier
from drm.encrypting.protected_track import ProtectedTrack
from drm.encrypting.sample_windows import Window, windows
from drm.encrypting.source_file import ClearSource
from drm.encrypting.track_plan import TrackPlan
from drm.errors import MalformedMediaError
from drm.forked_work import share_out
from drm.isobmff.box import TopBox
from drm.isobmff.sample_aux import Saio

__all__ = ["encrypt_progressive"]

_ROUNDS: Final = 5  # moov's size depends on its offsets and they on it; two rounds are enough unless they pass 32 bits


def encrypt_progressive(
    source: ClearSource,
    tops: Sequence[TopBox],
    moov: BoxTree,
    protected: Mapping[int, ProtectedTrack],
    traks: Mapping[int, BoxTree],
    target: int,
    folder: str,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the encrypted file to `target`, which is empty. `moov` and its `traks` (by id) are changed.

    `folder` has room for what is spooled: some twenty bytes for each sample.

    Raises:
        MalformedMediaError, UnsupportedMediaError: as their words say.
        OSError: the target or the folder cannot be written.
    """
    with ExitStack() as stack:
        plans = [
            stack.enter_context(closing(TrackPlan(source, track, traks[track_id], folder)))
            for track_id, track in protected.items()
        ]
        _settle(tops, moov)
        place = next(top for top in tops if top.type == "moov")

        def work(share: int) -> None:
            ordered = windows([plan.groups() for plan in plans], tops, source.name)
            copier = Copier(source, target, None if share else progress)
            begin, end = source.size * share // jobs, source.size * (share + 1) // jobs
            _write(copier, ordered, range(begin, end), place, moov, source.size)

        share_out(work, jobs)


def _write(
    copier: Copier, ordered: Iterator[Window], part: range, place: TopBox, moov: BoxTree, source_size: int
) -> None:
    """Write what lies in `part` of the source, encrypted; a part begins and ends where a window begins."""
    start, stop = (-1 if part.start else 0), source_size
    has_moov = False
    for begin, end, groups in ordered:
        if start < 0:
            if begin < part.start:
                continue
            start = begin
            copier.jump(start)
            copier.place(start + (moov.size - place.size) * (start >= place.end))
        if begin >= part.stop and part.stop < source_size:
            stop = begin
            break
        if start <= place.start < begin and not has_moov:
            has_moov = True
            _put(copier, place, moov)
        data = copier.view(begin, end - begin)
        for group in groups:
            begins = [offset - begin for offset in group.offsets]
            group.track.encrypt(data, begins, group.sizes, group.entries, group.key)
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


def _settle(tops: Sequence[TopBox], moov: BoxTree) -> None:
    """Fill in chunk offsets and saio, as they are when `moov` has the size that they give it."""
    tables = [box for trak in moov.all("trak") for box in trak.one("mdia", "minf", "stbl").children]
    place = next(top for top in tops if top.type == "moov")
    moved = [(box, MovedChunks(box.reader(), place.end)) for box in tables if box.type in {"stco", "co64"}]
    for _ in range(_ROUNDS):
        size = moov.size
        for box, chunks in moved:
            # Bytes behind moov move by what it grew; those before it stay.
            chunks.move(size - place.size)
            box.type, box.payload, box.body = chunks.kind, pack(">II", 0, chunks.count), chunks
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
