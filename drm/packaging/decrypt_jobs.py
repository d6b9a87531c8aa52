"""Shares work among forked processes that write to one file, each at its own offsets."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["share_out", "write_at"]


def share_out(work: Callable[[int], None], jobs: int) -> None:
    """Call `work(share)` once for each share from 0 to `jobs` - 1: share 0 here, the others in forked processes.

    `work` does a part that depends on its share alone. A share that fails elsewhere is done here once more: if the
    reason was the file or the disk, it fails here too and says why. Raises what `work` raises.
    """
    children = {_fork(work, share): share for share in range(1, jobs)}
    try:
        work(0)
        while children:
            child, status = os.waitpid(next(iter(children)), 0)
            share = children.pop(child)
            if status:
                work(share)
    except BaseException:
        for child in children:
            os.kill(child, 9)
        for child in children:
            os.waitpid(child, 0)
        raise


def _fork(work: Callable[[int], None], share: int) -> int:
    child = os.fork()
    if child:
        return child
    # Nothing that the parent began is finished here: no clean-up, no output, no handlers at exit.
    status = 1
    try:
        work(share)
        status = 0
    except BaseException:  # noqa: BLE001, S110 - the parent does this share again and hears the reason itself
        pass
    finally:
        os._exit(status)


def write_at(target: int, data: memoryview, offset: int) -> None:
    """Write all of `data` at `offset`. Raises OSError."""
    done = os.pwrite(target, data, offset)
    while done < len(data):
        done += os.pwrite(target, data[done:], offset + done)
