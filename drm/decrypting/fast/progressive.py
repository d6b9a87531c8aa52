"""Decrypts the usual progressive MP4 fast, in little memory whatever its length: no table of samples is ever held.

Usual is: one `moov`, no fragments, chunks of all tracks one behind the other inside `mdat`, and of an encrypted track
one sample description, scheme cenc or cbcs, with entries for all of its samples in one piece, be they found by `saio`
or in `senc`. Anything else raises OddLayoutError, as in `drm.decrypting.fast.fragmented`, and the general way reads it.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from itertools import islice

from drm.decrypting.fast.ciphers import SPARE
from drm.decrypting.fast.file_boxes import file_boxes, read_exactly
from drm.decrypting.fast.movie_skeleton import MovieSkeleton
from drm.decrypting.fast.progressive_track import WINDOW, ProgressiveTrack
from drm.decrypting.fast.tracks import track_ciphers
from drm.decrypting.unmark_boxes import OddLayoutError, boxes, patch_moov, track_id_of
from drm.forked_work import share_out, write_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from drm.decrypting.fast.movie_skeleton import Place
    from drm.decrypting.fast.progressive_track import Piece

__all__ = ["decrypt_progressively"]

_MAX_SAMPLE = 8 << 20  # a larger one is the general way's business
_MAX_TOPS = 512  # outermost boxes


def decrypt_progressively(
    source: int,
    target: int,
    keys: Mapping[bytes, bytes],
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the file `source` decrypted to `target`. Arguments and errors are those of `decrypt_fast`."""
    size = os.fstat(source).st_size
    tops = list(islice(file_boxes(source, 0, size), _MAX_TOPS))
    moovs = [top for top in tops if top[0] == b"moov"]
    kinds = {top[0] for top in tops}
    if len(moovs) != 1 or len(tops) == _MAX_TOPS or kinds & {b"moof", b"imda", b"meta"}:
        raise OddLayoutError("not one moov, or fragments")
    media = [(body, end) for kind, _, body, end in tops if kind == b"mdat"]
    skeleton = MovieSkeleton(source, moovs[0])
    found = [kind for kind, _, _, _ in boxes(skeleton.data, 0, len(skeleton.data))]
    if b"mvex" in found:
        raise OddLayoutError("fragments may follow")

    def work(share: int) -> None:
        tracks = _tracks(source, skeleton, keys)
        _Copy(source, target, size, None if share else progress).run(_in_order(tracks, media), share, jobs)
        for track in tracks:
            track.finish()

    if not any(track.cipher for track in _tracks(source, skeleton, keys)):
        raise OddLayoutError("not encrypted")
    share_out(work, jobs)
    patch_moov(skeleton.data, 0, len(skeleton.data))
    skeleton.write_changes(target)


def _tracks(source: int, skeleton: MovieSkeleton, keys: Mapping[bytes, bytes]) -> list[ProgressiveTrack]:
    """Each track, its tables from their beginnings."""
    data, limit = skeleton.data, os.fstat(source).st_size
    places = [(body, end) for kind, _, body, end in boxes(data, 0, len(data)) if kind == b"trak"]
    if len({track_id_of(data, *place) for place in places}) != len(places):
        raise OddLayoutError("two tracks have the same id")
    return [
        ProgressiveTrack(source, tables, track_ciphers(data, *place, keys), limit)
        for place, tables in zip(places, skeleton.tables, strict=True)
    ]


def _in_order(tracks: list[ProgressiveTrack], media: list[Place]) -> Iterator[Piece]:
    """The pieces of all tracks by place. Raises OddLayoutError: they overlap, or do not all lie in the media."""
    waiting = [(piece, pieces) for pieces in (track.pieces() for track in tracks) if (piece := next(pieces, None))]
    starts = [start for start, _ in media]
    reached = 0
    while waiting:
        index = min(range(len(waiting)), key=lambda at: waiting[at][0][0])
        piece, pieces = waiting[index]
        begin, end = piece[0], piece[1]
        holder = bisect_right(starts, begin) - 1
        if begin < reached or holder < 0 or end > media[holder][1]:
            raise OddLayoutError("samples out of order, or outside the media")
        reached = end
        yield piece
        following = next(pieces, None)
        if following is None:
            del waiting[index]
        else:
            waiting[index] = following, pieces


# ------------------------------------------------------------------------------------------------ writing
class _Copy:
    """Copies the file through one reused buffer, and decrypts the pieces that pass."""

    def __init__(self, source: int, target: int, size: int, progress: Callable[[int, int], None] | None) -> None:
        self._source, self._target, self._size, self._progress = source, target, size, progress
        self._buffer = bytearray(WINDOW + SPARE)

    def run(self, pieces: Iterator[Piece], share: int, shares: int) -> None:
        """Write every window of this share, and what lies before it; share 0 ends with the rest."""
        at = number = 0
        held: list[Piece] = []
        for piece in pieces:
            if held and piece[1] > held[0][0] + WINDOW:
                at, number = self._window(held, at, mine=number % shares == share), number + 1
                held = []
            held.append(piece)
        if held:
            at = self._window(held, at, mine=number % shares == share)
        if share == 0:
            self._copy(at, self._size)

    def _window(self, held: list[Piece], at: int, *, mine: bool) -> int:
        start, end = held[0][0], held[-1][1]
        if not mine:
            for _, _, sizes, track in held:
                if track.skip is not None:
                    track.skip(len(sizes))
            return end
        self._copy(at, start)
        if end - start > _MAX_SAMPLE:
            raise OddLayoutError("a large sample")
        if end - start + SPARE > len(self._buffer):
            self._buffer = bytearray(end - start + SPARE)
        with memoryview(self._buffer) as view:
            read_exactly(self._source, view[: end - start], start)
            for begin, _, sizes, track in held:
                if track.decrypt is not None:
                    track.decrypt(view[begin - start :], sizes)
            write_at(self._target, view[: end - start], start)
        self._told(end)
        return end

    def _copy(self, start: int, end: int) -> None:
        with memoryview(self._buffer) as view:
            while start < end:
                part = view[: min(WINDOW, end - start)]
                read_exactly(self._source, part, start)
                write_at(self._target, part, start)
                start += len(part)
                self._told(start)

    def _told(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done, self._size)
