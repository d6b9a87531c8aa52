"""One process at a time: a lock that the kernel releases, also when its holder is killed."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from drm.errors import AuthorityError

__all__ = ["one_writer"]

_WAIT: Final = 10.0  # seconds
_PAUSE: Final = 0.02


@contextmanager
def one_writer(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, which is made if it is not there.

    Raises:
        AuthorityError: another process holds it, and for long.
        OSError: it cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + _WAIT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise AuthorityError(f"another process is changing {path.parent}") from None
                time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)
