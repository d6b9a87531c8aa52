"""Shares work among forked processes that write to one file, each at its own offsets."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NoReturn

__all__ = ["share_out", "write_at"]


def share_out(work: Callable[[int], None], jobs: int) -> None:
    """Call `work(share)` once for each share from 0 to `jobs` - 1: share 0 here, the others in forked processes.

    `work` does a part that depends on its share alone. A share that fails elsewhere is done here once more: if the
    reason was the file or the disk, it fails here too and says why. Raises what `work` raises.
    """
    if jobs == 1:
        work(0)
        return
    children: dict[int, int] = {}
    try:
        _fork_all(work, jobs, children)
        work(0)
        while children:
            child, share = next(iter(children.items()))
            # A signal may end this here: a child is forgotten while its number is its own, so that no other is killed.
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
            del children[child]
            if os.waitpid(child, 0)[1]:
                work(share)
    except BaseException:
        for child in children:
            os.kill(child, 9)
        for child in children:
            os.waitpid(child, 0)
        raise


def _fork_all(work: Callable[[int], None], jobs: int, children: dict[int, int]) -> None:
    """Put the child of each share into `children`. No signal ends this halfway, with a child that nobody knows."""
    import signal  # noqa: PLC0415 - a decryption without jobs has no need of it

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        for share in range(1, jobs):
            child = os.fork()
            if child == 0:
                _end_after(work, share, mask)
            children[child] = share
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _end_after(work: Callable[[int], None], share: int, mask: Iterable[int]) -> NoReturn:
    """Do the share and end this process. Nothing that the parent began is finished: no clean-up, no words."""
    import signal  # noqa: PLC0415 - as above

    status = 1
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
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
