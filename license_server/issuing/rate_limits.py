"""How often a license is asked for: attempts per title, by token or by client address.

Players try again by themselves, up to eight times for a title with two keys, so fewer than eight would refuse them.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from drm.errors import InvalidArgumentError
from license_server.problems import ProblemError

__all__ = ["DEFAULT_LIMIT", "Limit", "RateLimit"]

_IN_MEMORY: Final = "memory://"
LEAST: Final = 8  # attempts that a player makes for one title without anybody doing wrong


@dataclass(frozen=True, slots=True)
class Limit:
    """`attempts` within `seconds`. `storage` is a URI that the library `limits` knows; workers share what it holds."""

    attempts: int
    seconds: int
    storage: str = _IN_MEMORY

    @classmethod
    def parse(cls, text: str, storage: str = _IN_MEMORY) -> Limit:
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
    """Counts attempts, good and bad ones alike; what was refused does not count again. Safe for several threads."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._window: _Window = _Here(limit) if limit.storage == _IN_MEMORY else _Shared(limit)

    def count(self, who: str, title: str) -> None:
        """Count one attempt. Raises ProblemError when it is one too many; it says when to come again."""
        left = self._window.hit(who, title)
        if left <= 0:
            return
        wait = max(1, math.ceil(left))
        raise ProblemError(
            429,
            "rate_limited",
            f"{self._limit.attempts} attempts in {self._limit.seconds} seconds are allowed for a title;"
            f" come again in {wait} seconds",
            headers=(("Retry-After", str(wait)),),
        )


class _Window(Protocol):
    def hit(self, who: str, title: str) -> float:
        """Count an attempt, and return 0; or the seconds until there is room for it."""


class _Here:
    """The moments of the last attempts, in this process.

    The library's own storage in memory goes through all of them a hundred times a second, which a busy server pays
    with most of its speed. Here those of the window before the last are forgotten all at once.
    """

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._now: dict[tuple[str, str], deque[float]] = {}
        self._before: dict[tuple[str, str], deque[float]] = {}
        self._since = time.monotonic()

    def hit(self, who: str, title: str) -> float:
        moment, name = time.monotonic(), (who, title)
        with self._lock:
            if moment - self._since >= self._limit.seconds:
                is_next = moment - self._since < 2 * self._limit.seconds
                self._before, self._now, self._since = (self._now if is_next else {}), {}, moment
            times = self._now.get(name)
            if times is None:
                times = self._before.get(name) or deque(maxlen=self._limit.attempts)
                self._now[name] = times
            left = self._limit.seconds - (moment - times[0]) if len(times) == self._limit.attempts else 0.0
            if left <= 0:
                times.append(moment)
            return left


class _Shared:
    """What the library `limits` keeps, in a storage that all workers and hosts reach."""

    def __init__(self, limit: Limit) -> None:
        # 100 ms that a server without such a storage does not need.
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

    def hit(self, who: str, title: str) -> float:
        if self._limiter.hit(self._item, who, title):
            return 0.0
        return max(0.01, self._limiter.get_window_stats(self._item, who, title).reset_time - time.time())
