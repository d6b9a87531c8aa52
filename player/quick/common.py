"""What `decrypt` and `encrypt` share: little, since a one-shot command pays for what it loads."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

__all__ = ["KEY_IS_VISIBLE", "MAX_JOBS", "end_tidily", "require_no_url", "useful_jobs"]

KEY_IS_VISIBLE = (
    "note: a key on the command line is visible to other users in the process list; --keys-file keeps it private"
)
MAX_JOBS = 64
_WORTH_SHARING = 64 << 20  # bytes of a file from which on a second process gains more than it costs


def useful_jobs(jobs: int, size: int) -> int:
    """How many of `jobs` processes a file of `size` bytes deserves."""
    return jobs if size >= _WORTH_SHARING else 1


def require_no_url(path: str, verb: str) -> None:
    """Raise InvalidArgumentError for a URL, which may hold a token and is not repeated, where a file is needed."""
    if path.lower().startswith(("http://", "https://")):
        from drm.errors import InvalidArgumentError  # noqa: PLC0415 - for those who need it

        raise InvalidArgumentError(
            f"{verb} reads files, and not over the network",
            remedy=f"curl -fLO URL, then clearkey {verb} FILE; play, inspect, digest, keys check and pssh read URLs",
        )


def end_tidily() -> None:
    """Let SIGTERM and SIGHUP end this process as SIGINT does: through the `with` blocks, which remove drafts."""
    import signal  # noqa: PLC0415 - for this command only

    def end(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
