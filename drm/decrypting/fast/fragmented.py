"""Decrypts the usual MP4 fast: same-size rewriting, a group of fragments at a time, in one reused buffer.

Usual is: one file, `moov` first, then fragments whose data lies behind them, `senc` in each, one key for each sample
description, scheme cenc or cbcs; or a progressive one as `drm.decrypting.fast.progressive` has it. Anything else
raises OddLayoutError, whatever is wrong or merely rare about it, and the caller goes the general way
(`drm.decrypting.mp4`), which reads every layout and says what is wrong.
So nothing is guessed here, and no error needs words.

A one-shot command on a file of 20 MB lives for some 40 ms. Hence the modules of this way import next to nothing: no
typing, no message and error classes, none of the readers.
"""

from __future__ import annotations

import os
from struct import error as StructError  # noqa: N812 - a class

from drm.decrypting.fast.ciphers import SPARE
from drm.decrypting.fast.fragment import FragmentDecrypter
from drm.decrypting.fast.tracks import read_tracks
from drm.decrypting.unmark_boxes import OddLayoutError, file_boxes, patch_moov, read_exactly
from drm.forked_work import share_out, write_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from drm.decrypting.unmark_boxes import BoxPlace

__all__ = ["decrypt_fast"]

_GROUP = 1 << 20  # bytes: so many fragments as make at least this go through the buffer together
_MAX_GROUP = 8 << 20  # larger fragments go through in parts, which is the general way's business
_MAX_HEADER = 4 << 20


def decrypt_fast(
    source: int,
    target: int,
    keys: Mapping[bytes, bytes],
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the file `source` decrypted to `target`; both are descriptors of regular files, `target` is empty.

    Args:
        source: is only read.
        target: is complete when this returns.
        keys: by key id, sixteen bytes each.
        jobs: processes that share the work; this one is the first of them.
        progress: told bytes done and bytes in all, after each group.

    Raises:
        OddLayoutError: not usual, or broken, or a key is missing; what was written so far is of no use.
        OSError: writing failed.
    """
    try:
        _decrypt(source, target, keys, jobs, progress)
    except (StructError, IndexError):
        raise OddLayoutError("a box is too short for its fields") from None


def _decrypt(
    source: int, target: int, keys: Mapping[bytes, bytes], jobs: int, progress: Callable[[int, int], None] | None
) -> None:
    size = os.fstat(source).st_size
    found = _header(source, size)
    if found is None:
        from drm.decrypting.fast.progressive import decrypt_progressively  # noqa: PLC0415 - others need it not

        decrypt_progressively(source, target, keys, jobs=jobs, progress=progress)
        return
    header, moov = found
    fragments = FragmentDecrypter(read_tracks(header, moov[2], moov[3], keys))
    patch_moov(header, moov[2], moov[3])
    write_at(target, memoryview(header), 0)

    def work(share: int) -> None:
        buffer = bytearray(3 * _GROUP)
        for number, group in enumerate(_groups(source, len(header), size)):
            if number % jobs != share:
                continue
            start, end = group[0][1], group[-1][3]
            if end - start > len(buffer) - SPARE:
                buffer = bytearray(end - start + SPARE)
            data = memoryview(buffer)[: end - start]
            read_exactly(source, data, start)
            fragments.decrypt(buffer, start, group)
            write_at(target, data, start)
            if progress is not None and share == 0:
                progress(end, size)

    share_out(work, jobs)


def _header(source: int, size: int) -> tuple[bytearray, BoxPlace] | None:
    """Everything before the first fragment, and where in it `moov` is. None: other boxes come first."""
    moov: BoxPlace | None = None
    for top in file_boxes(source, 0, size):
        kind, start, _, end = top
        if kind == b"moof":
            if moov is None or start > _MAX_HEADER:
                break
            header = bytearray(start)
            read_exactly(source, memoryview(header), 0)
            return header, moov
        if kind == b"moov" and moov is None:
            moov = top
        elif kind in {b"moov", b"mdat"} or end > _MAX_HEADER:
            break
    return None


def _groups(source: int, at: int, size: int) -> Iterator[list[BoxPlace]]:
    """The outermost boxes from `at` on, in groups that each begin with a fragment, or with what stands before it."""
    group: list[BoxPlace] = []
    for top in file_boxes(source, at, size):
        kind, start, _, end = top
        if kind == b"moof" and group and start - group[0][1] >= _GROUP:
            yield group
            group = []
        elif kind == b"moov":
            raise OddLayoutError("a second moov")
        group.append(top)
        if end - group[0][1] > _MAX_GROUP:
            raise OddLayoutError("a large fragment")
    if group:
        yield group
