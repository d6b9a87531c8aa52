"""What python-tuf, a fetcher and the disk raise during an update, as errors of ours. Application only."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    SlowRetrievalError,
    UnsignedMetadataError,
)
from tuf.api.serialization import DeserializationError

from drm.app.components.fetch_errors import FetchCancelledError, FetchTruncatedError, FetchUnreachableError
from drm.errors import (
    DiskFullError,
    DRMError,
    StorageError,
    UpdateCancelledError,
    UpdateError,
    UpdateHttpError,
    UpdateTamperedError,
    UpdateTimeoutError,
    UpdateTooLargeError,
    UpdateTruncatedError,
    UpdateUnreachableError,
)
from drm.trust.errors import MetadataError, MetadataExpiredError, RollbackError

__all__ = ["expired", "translated_failures"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_LATER: Final = "try again later; what is installed and not revoked goes on working"
_MADE_UP: Final = "somebody between here and the server changes what it sends, or it was published by mistake"


@contextmanager
def translated_failures(
    where: str, clock: Callable[[], datetime], server_date: Callable[[], datetime | None]
) -> Iterator[None]:
    """Raise what the block raises as a DRMError. `where`: the server, as it may be shown."""
    try:
        yield
    except DRMError:
        raise
    except ExpiredMetadataError as error:
        raise expired(str(error), where, clock(), server_date()) from None
    except (DownloadError, RepositoryError, OSError) as error:
        raise _translated(error, where) from None


def expired(what: str, where: str, clock: datetime, server_date: datetime | None) -> MetadataExpiredError:
    """Return the error for metadata past its end, which a wrong clock looks like."""
    told = f", the server's says {server_date:%Y-%m-%d %H:%M} UTC" if server_date else ""
    return MetadataExpiredError(
        f"the server's metadata has expired: {what}",
        where=where,
        seen=f"this machine's clock says {clock:%Y-%m-%d %H:%M} UTC{told}",
        maybe="the clock is wrong, or somebody holds newer metadata back",
        remedy="check the clock, and try again",
    )


def _translated(error: Exception, where: str) -> DRMError:
    if _is_disk_full(error):
        return DiskFullError("there is no room to store components", remedy="make room, and update again")
    # Before OSError: the errors of network libraries are OSErrors too.
    if isinstance(error, DownloadError):
        return _not_downloaded(error, where)
    if isinstance(error, OSError):
        return StorageError(f"components cannot be stored: {error.strerror or error}", where=str(error.filename or ""))
    if isinstance(error, (UnsignedMetadataError, LengthOrHashMismatchError)):
        return UpdateTamperedError(
            "what the server offers is not what was signed", where=where, seen=str(error), maybe=_MADE_UP
        )
    if isinstance(error, BadVersionNumberError):
        return RollbackError(
            "the server offers older metadata than was seen before", where=where, seen=str(error), maybe=_MADE_UP
        )
    captive = "a page came instead, as from a network that wants a sign-in"
    return MetadataError(
        "the server's metadata cannot be used",
        where=where,
        seen=str(error)[:300],
        maybe=captive if isinstance(error, DeserializationError) else _MADE_UP,
    )


def _not_downloaded(error: DownloadError, where: str) -> DRMError:
    seen = str(error)
    if isinstance(error, FetchCancelledError):
        return UpdateCancelledError("the update was cancelled", where=where)
    if isinstance(error, SlowRetrievalError):
        return UpdateTimeoutError("the update server is too slow", where=where, seen=seen, remedy=_LATER)
    if isinstance(error, DownloadHTTPError):
        return UpdateHttpError.of_status(
            error.status_code,
            f"the update server answered with status {error.status_code}",
            where=where,
            maybe="there is no component repository at this address" if error.status_code == 404 else "",
            remedy=_LATER,
        )
    if isinstance(error, DownloadLengthMismatchError):
        return UpdateTooLargeError("the server sends more than was signed", where=where, seen=seen, maybe=_MADE_UP)
    if isinstance(error, FetchTruncatedError):
        return UpdateTruncatedError("the server's answer ends early", where=where, seen=seen, remedy=_LATER)
    if isinstance(error, FetchUnreachableError):
        return UpdateUnreachableError("the update server cannot be reached", where=where, seen=seen, remedy=_LATER)
    return UpdateError("the update server's answer is not taken", where=where, seen=seen)


def _is_disk_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind it, however a library wrapped that."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
