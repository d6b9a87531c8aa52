"""Writing to a descriptor that was handed in: whole, and with errors that a person can act on."""

from __future__ import annotations

import contextlib
import os

from drm.errors import DRMError

__all__ = ["close_quietly", "write_all"]


def write_all(descriptor: int, data: bytes) -> bool:
    """Write all of `data`. Return False when it is a pipe whose reader went away: nobody wants the rest.

    Raises:
        DRMError: it cannot be written, for instance because the disk is full.
    """
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
    except BrokenPipeError:
        return False
    except OSError as error:
        raise DRMError(
            f"the output cannot be written: {error.strerror}", remedy="make room, or write elsewhere"
        ) from None
    return True


def close_quietly(descriptor: int) -> None:
    """Close a descriptor; one that is closed already is no mistake."""
    with contextlib.suppress(OSError):
        os.close(descriptor)
