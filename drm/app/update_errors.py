"""What can go wrong while trusted components are updated. Application only.

Two families. An UpdateError is about getting there: no server, no answer, an answer that stops; the same call may do
better later, and what is installed goes on working. What came and must not be believed is a TrustError: those of
drm.trust.errors where one fits, and the two here. A disk is neither.

UpdateError                   E-UPDATE              8
├── UpdateUnreachableError    E-UPDATE-UNREACHABLE  8
├── UpdateTimeoutError        E-UPDATE-TIMEOUT      8   silent, or slower than it may be
├── UpdateCancelledError      E-UPDATE-CANCELLED    8
├── UpdateHttpError           E-UPDATE-HTTP         8   carries the status
└── UpdateTruncatedError      E-UPDATE-TRUNCATED    8   the answer ends early
TrustError
├── UpdateTamperedError       E-TRUST-TAMPERED      7   not the bytes, or not the signers, that it must be
└── UpdateTooLargeError       E-TRUST-TOO-LARGE     7   longer than what was signed
StorageError
├── DiskFullError             E-STORAGE-FULL        3
└── StoreBusyError            E-STORAGE-BUSY        3   another process updates
"""

from __future__ import annotations

from typing import Final

from drm.errors import DRMError, ExitCode, StorageError, TrustError
from drm.hresult import HResult

__all__ = [
    "DiskFullError",
    "StoreBusyError",
    "UpdateCancelledError",
    "UpdateError",
    "UpdateHttpError",
    "UpdateTamperedError",
    "UpdateTimeoutError",
    "UpdateTooLargeError",
    "UpdateTruncatedError",
    "UpdateUnreachableError",
]

# winerror.h: HTTP statuses stand under a facility of their own.
_HTTP: Final = 0x80190000  # FACILITY_HTTP: the status is the low word


class UpdateError(DRMError, code="E-UPDATE", exit_code=ExitCode.LICENSE_SERVER):
    """Components could not be updated; nothing that was offered was found wrong."""


class UpdateUnreachableError(UpdateError, code="E-UPDATE-UNREACHABLE", hresult=HResult.ERROR_INTERNET_CANNOT_CONNECT):
    """No connection to the update server, or none through a proxy."""


class UpdateTimeoutError(UpdateError, code="E-UPDATE-TIMEOUT", hresult=HResult.ERROR_TIMEOUT):
    """The server sent nothing for too long, or less than it must within the time that there is."""


class UpdateCancelledError(UpdateError, code="E-UPDATE-CANCELLED", hresult=HResult.ERROR_CANCELLED):
    """The update was cancelled by whoever asked for it."""


class UpdateHttpError(UpdateError, code="E-UPDATE-HTTP", hresult=_HTTP):
    """The server answered with a status that is no success; `status` is 0 when the error crossed a process boundary."""

    status: int = 0

    @classmethod
    def of_status(
        cls, status: int, what: str, *, where: str = "", maybe: str = "", remedy: str = ""
    ) -> UpdateHttpError:
        """Return the error of an HTTP status, in whose HRESULT the status stands."""
        error = cls(what, where=where, maybe=maybe, remedy=remedy, hresult=_HTTP | status & 0xFFFF)
        error.status = status
        return error


class UpdateTruncatedError(UpdateError, code="E-UPDATE-TRUNCATED", hresult=HResult.ERROR_INTERNET_CONNECTION_ABORTED):
    """The answer ended before what it announced."""


class UpdateTamperedError(TrustError, code="E-TRUST-TAMPERED"):
    """What came is not what was signed, or not signed by who must sign it. It was not installed."""


class UpdateTooLargeError(TrustError, code="E-TRUST-TOO-LARGE", hresult=HResult.ERROR_FILE_TOO_LARGE):
    """What came is longer than what was signed, or than anything of its kind may be. It was not read to its end."""


class DiskFullError(StorageError, code="E-STORAGE-FULL", hresult=HResult.ERROR_DISK_FULL):
    """There is no room left where components are stored."""


class StoreBusyError(StorageError, code="E-STORAGE-BUSY", hresult=HResult.ERROR_BUSY):
    """Another process is changing the stored components, and did not end within the time that there was."""
