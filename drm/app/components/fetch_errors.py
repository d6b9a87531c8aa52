"""Why a file could not be fetched, as kinds of python-tuf's DownloadError: its client and ours handle one family.

DownloadError
├── DownloadHTTPError            an HTTP status that is no success; carries it
├── DownloadLengthMismatchError  longer than it may be
├── SlowRetrievalError           silent, or slower than it may be
├── FetchUnreachableError        no connection, or one that ended before the answer
├── FetchTruncatedError          the answer ends early
├── FetchRefusedError            an answer of a kind that is not taken: a redirect, a compressed one
└── FetchCancelledError          nobody wants it any more
"""

from __future__ import annotations

from tuf.api.exceptions import DownloadError

__all__ = ["FetchCancelledError", "FetchRefusedError", "FetchTruncatedError", "FetchUnreachableError"]


class FetchUnreachableError(DownloadError):
    """The server cannot be reached, or ended the connection before it answered."""


class FetchTruncatedError(DownloadError):
    """The answer ends before what it announced, or was cut."""


class FetchRefusedError(DownloadError):
    """The URL, or the answer, is of a kind that we do not take."""


class FetchCancelledError(DownloadError):
    """The event that cancels was set."""
