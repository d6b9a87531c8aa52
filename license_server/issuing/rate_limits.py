"""How often a license is asked for: attempts per title, by token or by client address.

Players try again by themselves, up to eight times for a title with two keys, so fewer than eight would refuse them.
Some ask for the keys of all periods of a manifest at once, each by a request of its own (Shaka Player): a request for a
key that was not asked for lately is no repetition, and uses up no attempt. That is bounded, too: beyond `MOST_NEW_KEYS`
such keys by one client, whatever their titles, each request is an attempt again.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, Protocol

from drm.errors import InvalidArgumentError
from drm.keys import KeyId
from license_server.problems import ProblemError

__all__ = ["DEFAULT_LIMIT", "MOST_NEW_KEYS", "Limit", "RateLimit"]

_IN_MEMORY: Final = "memory://"
_NONE: Final[AbstractSet[KeyId]] = frozenset()
LEAST: Final = 8  # attempts that a player makes for one title without anybody doing wrong

MOST_NEW_KEYS: Final = 64
"""Keys that one client may ask for anew within a window, besides its attempts: as many as one request may name."""


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

    def count(self, who: str, title: str, kids: Sequence[KeyId] = ()) -> None:
        """Count one attempt. Raises ProblemError when it is one too many; it says when to come again.

        `kids` are keys that would be issued: a request for one that `who` did not ask for lately is no repetition.
        """
        left = self._window.hit(who, title, kids)
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
    def hit(self, who: str, title: str, kids: Sequence[KeyId]) -> float:
        """Count an attempt, and return 0; or the seconds until there is room for it."""


class _Here:
    """The moments of the last attempts, and the keys that were asked for, in this process.

    The library's own storage in memory goes through all of them a hundred times a second, which a busy server pays
    with most of its speed. Here those of the window before the last are forgotten all at once.
    """

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._now: dict[tuple[str, str], deque[float]] = {}
        self._before: dict[tuple[str, str], deque[float]] = {}
        self._asked: dict[str, set[KeyId]] = {}
        self._asked_before: dict[str, set[KeyId]] = {}
        self._since = time.monotonic()

    def hit(self, who: str, title: str, kids: Sequence[KeyId]) -> float:
        moment, name = time.monotonic(), (who, title)
        with self._lock:
            if moment - self._since >= self._limit.seconds:
                is_next = moment - self._since < 2 * self._limit.seconds
                self._before, self._now, self._since = (self._now if is_next else {}), {}, moment
                self._asked_before, self._asked = (self._asked if is_next else {}), {}
            times = self._now.get(name)
            if times is None:
                times = self._before.get(name) or deque(maxlen=self._limit.attempts)
                self._now[name] = times
            is_new = self._is_new(who, kids)
            if is_new and times and moment - times[-1] < self._limit.seconds:
                return 0.0
            left = self._limit.seconds - (moment - times[0]) if len(times) == self._limit.attempts else 0.0
            if left <= 0:
                times.append(moment)
            return left

    def _is_new(self, who: str, kids: Sequence[KeyId]) -> bool:
        """Whether one of the keys was not asked for in this window and the one before, and may be; it is known then."""
        asked, before = self._asked.get(who, _NONE), self._asked_before.get(who, _NONE)
        new = [kid for kid in kids if kid not in asked and kid not in before]
        if not new or len(new) + len(asked) + len(before) > MOST_NEW_KEYS:
            return False
        self._asked.setdefault(who, set()).update(new)
        return True


class _Shared:
    """What the library `limits` keeps, in a storage that all workers and hosts reach."""

    def __init__(self, limit: Limit) -> None:
        # 100 ms that a server without such a storage does not need.
        from limits import RateLimitItemPerSecond  # noqa: PLC0415
        from limits.storage import storage_from_string  # noqa: PLC0415
        from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415

        self._item = RateLimitItemPerSecond(limit.attempts, limit.seconds)
        self._once = RateLimitItemPerSecond(1, limit.seconds, "key")
        self._new = RateLimitItemPerSecond(MOST_NEW_KEYS, limit.seconds, "new-keys")
        try:
            self._limiter = MovingWindowRateLimiter(storage_from_string(limit.storage))
        except Exception as error:  # noqa: BLE001 - whatever kind of error a storage has
            # The URI may hold a password, so it is not shown.
            raise InvalidArgumentError(
                "the storage of the rate limit cannot be used", seen=f"{type(error).__name__}"
            ) from None

    def hit(self, who: str, title: str, kids: Sequence[KeyId]) -> float:
        new = sum(self._limiter.hit(self._once, who, kid.hex) for kid in kids)
        is_first = self._limiter.get_window_stats(self._item, who, title).remaining == self._item.amount
        if new and not is_first and self._limiter.hit(self._new, who, cost=new):
            return 0.0
        if self._limiter.hit(self._item, who, title):
            return 0.0
        return max(0.01, self._limiter.get_window_stats(self._item, who, title).reset_time - time.time())
