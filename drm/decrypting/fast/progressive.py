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
from drm.decrypting.fast.movie_skeleton import MovieSkeleton
from drm.decrypting.fast.progressive_track import ProgressiveTrack
from drm.decrypting.fast.tracks import track_ciphers
from drm.decrypting.unmark_boxes import OddLayoutError, boxes, file_boxes, patch_moov, read_exactly, track_id_of
from drm.decrypting.window_writer import Writer, windows
from drm.forked_work import share_out

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

    def fill(offset: int, into: memoryview) -> None:
        read_exactly(source, into, offset)

    def work(share: int) -> None:
        tracks = _tracks(source, skeleton, keys)
        writer = Writer(fill, size, target, None if share else progress, spare=SPARE)
        writer.write(windows(_in_order(tracks, media)), _decrypt, share, jobs, skip=_skip)
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
    """The pieces of all tracks by place. Raises OddLayoutError: overlapping, large, or not in the media."""
    waiting = [(piece, pieces) for pieces in (track.pieces() for track in tracks) if (piece := next(pieces, None))]
    starts = [start for start, _ in media]
    reached = 0
    while waiting:
        index = min(range(len(waiting)), key=lambda at: waiting[at][0][0])
        piece, pieces = waiting[index]
        begin, end, _ = piece
        holder = bisect_right(starts, begin) - 1
        if begin < reached or holder < 0 or end > media[holder][1]:
            raise OddLayoutError("samples out of order, or outside the media")
        if end - begin > _MAX_SAMPLE:
            raise OddLayoutError("a large sample")
        reached = end
        yield piece
        following = next(pieces, None)
        if following is None:
            del waiting[index]
        else:
            waiting[index] = following, pieces


def _decrypt(piece: Piece, buffer: memoryview, at: int) -> None:
    sizes, track = piece[2]
    if track.decrypt is not None:
        track.decrypt(buffer, at, sizes)


def _skip(piece: Piece) -> None:
    sizes, track = piece[2]
    if track.skip is not None:
        track.skip(len(sizes))
