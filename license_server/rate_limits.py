"""How often a license is asked for: attempts per title, by token or by client address.

Players try again by themselves, up to eight times for a title with two keys, so fewer than eight would refuse them.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from typing import Final

from drm.errors import InvalidArgumentError
from license_server.problems import ProblemError

__all__ = ["DEFAULT_LIMIT", "Limit", "RateLimit"]

LEAST: Final = 8  # attempts that a player makes for one title without anybody doing wrong


@dataclass(frozen=True, slots=True)
class Limit:
    """`attempts` within `seconds`. `storage` is a URI that the library `limits` knows; workers share what it holds."""

    attempts: int
    seconds: int
    storage: str = "memory://"

    @classmethod
    def parse(cls, text: str, storage: str = "memory://") -> Limit:
        """Read ATTEMPTS/SECONDS. Raises InvalidArgumentError."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if not match or int(match[1]) < LEAST or int(match[2]) < 1:
            raise InvalidArgumentError(
                "this is no rate limit",
                seen=repr(text[:32]),
                remedy=f"give ATTEMPTS/SECONDS as 8/10, with {LEAST} attempts or more: players try that often",
            )
        return cls(int(match[1]), int(match[2]), storage)


DEFAULT_LIMIT: Final = Limit(LEAST, 10)


class RateLimit:
    """Counts attempts, good and bad ones alike. Without a shared storage each worker counts for itself."""

    def __init__(self, limit: Limit) -> None:
        # 100 ms that a server without a limit does not need.
        from limits import RateLimitItemPerSecond  # noqa: PLC0415
        from limits.storage import storage_from_string  # noqa: PLC0415
        from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415

        self._item = RateLimitItemPerSecond(limit.attempts, limit.seconds)
        try:
            self._limiter = MovingWindowRateLimiter(storage_from_string(limit.storage))
        except Exception as error:  # noqa: BLE001 - whatever kind of error a storage has
            # The URI may hold a password, so it is not shown.
            raise InvalidArgumentError(
                "the storage of the rate limit cannot be used", seen=f"{type(error).__name__}"
            ) from None

    def count(self, who: str, title: str, now: float | None = None) -> None:
        """Count one attempt. Raises ProblemError when it is one too many; it says when to come again."""
        if self._limiter.hit(self._item, who, title):
            return
        reset = self._limiter.get_window_stats(self._item, who, title).reset_time
        wait = max(1, math.ceil(reset - (time.time() if now is None else now)))
        raise ProblemError(
            429,
            "rate_limited",
            f"{self._item.amount} attempts in {self._item.get_expiry()} seconds are allowed for a title;"
            f" come again in {wait} seconds",
            headers=(("Retry-After", str(wait)),),
        )
