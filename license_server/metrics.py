"""What the server counts, over all its workers.

The numbers lie in memory that main process and workers share, a part for each: a request costs an addition, whichever
worker is asked for `/metrics` sums up all of them, and what a worker counted outlives it.
"""

from __future__ import annotations

import mmap
import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from license_server.problems import CODES

if TYPE_CHECKING:
    from prometheus_client.core import Metric

# ruff: noqa: PLC0415 - prometheus_client is 60 ms that the start of a server is shorter by

__all__ = ["ACTIONS", "MEDIA_TYPE", "Counters", "Metrics", "Times", "exposition"]

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

ACTIONS: Final = ("license", "hls_key", "individualize", "packager")
"""What clients ask for. Whatever else the audit log holds is what an operator did."""

_RESULTS: Final = ("issued", "sealed", "registered", *CODES, "other")
_BOUNDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)  # seconds
_DROPPED: Final = len(ACTIONS) * len(_RESULTS)
_RESTARTS: Final = _DROPPED + 1
_HISTOGRAMS: Final = _RESTARTS + 1
_BUCKETS: Final = len(_BOUNDS) + 2  # one for what is longer, and the sum in microseconds
_SIZE: Final = _HISTOGRAMS + len(ACTIONS) * _BUCKETS  # numbers of 8 bytes in each part
_FIRST: Final = {action: _HISTOGRAMS + row * _BUCKETS for row, action in enumerate(ACTIONS)}
_AT: Final = {
    (action, result): row * len(_RESULTS) + column
    for row, action in enumerate(ACTIONS)
    for column, result in enumerate(_RESULTS)
}


class Counters:
    """The shared memory. Make it before workers are forked; part 0 is the main process's."""

    def __init__(self, workers: int) -> None:
        self._numbers = memoryview(mmap.mmap(-1, (workers + 1) * _SIZE * 8)).cast("B").cast("Q")
        self._parts = workers + 1

    def part(self, number: int) -> Metrics:
        """What process `number` counts into."""
        return Metrics(self, self._numbers[number * _SIZE : (number + 1) * _SIZE])

    def total(self, at: int) -> int:
        """Sum over all parts."""
        return sum(self._numbers[at::_SIZE])


@dataclass(frozen=True, slots=True)
class Times:
    """How long decisions of one action took: how many were done within each bound, and all seconds together."""

    action: str
    within: tuple[tuple[str, int], ...]
    seconds: float


class Metrics:
    """The counters of one process. Safe for its threads."""

    def __init__(self, counters: Counters, numbers: memoryview[int]) -> None:
        self._counters = counters
        self._numbers = numbers
        self._lock = threading.Lock()

    def count(self, action: str, result: str, seconds: float) -> None:
        """Count one answered request."""
        at = _AT.get((action, result), _AT[action, "other"])
        first = _FIRST[action]
        bucket = bisect_left(_BOUNDS, seconds)
        with self._lock:
            self._numbers[at] += 1
            self._numbers[first + bucket] += 1
            self._numbers[first + _BUCKETS - 1] += int(seconds * 1e6)

    def count_dropped(self, rows: int) -> None:
        """Count audit rows that were lost."""
        with self._lock:
            self._numbers[_DROPPED] += rows

    def count_restart(self) -> None:
        """Count a worker that ended by itself and was replaced."""
        with self._lock:
            self._numbers[_RESTARTS] += 1

    def requests(self) -> Iterator[tuple[str, str, int]]:
        """Yield action, result and number of all requests, over all processes."""
        for (action, result), at in _AT.items():
            if number := self._counters.total(at):
                yield action, result, number

    def times(self) -> Iterator[Times]:
        """Yield the times of each action, over all processes."""
        total = self._counters.total
        for row, action in enumerate(ACTIONS):
            first = _HISTOGRAMS + row * _BUCKETS
            running, within = 0, []
            for bound, at in zip((*map(str, _BOUNDS), "+Inf"), range(first, first + _BUCKETS - 1), strict=True):
                running += total(at)
                within.append((bound, running))
            yield Times(action, tuple(within), total(first + _BUCKETS - 1) / 1e6)

    @property
    def dropped(self) -> int:
        """Audit rows that were lost."""
        return self._counters.total(_DROPPED)

    @property
    def restarts(self) -> int:
        """Workers that were replaced."""
        return self._counters.total(_RESTARTS)


def exposition(metrics: Metrics) -> bytes:
    """What `/metrics` answers, of type `MEDIA_TYPE`: the sums over all workers, as Prometheus reads them."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Sums(metrics))
    return generate_latest(registry)


class _Sums:
    """Keeps `prometheus_client.registry.Collector`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        requests = CounterMetricFamily(
            "clearkey_requests", "Answered requests for licenses and keys", labels=("action", "result")
        )
        for action, result, number in self._metrics.requests():
            requests.add_metric((action, result), number)
        yield requests
        times = HistogramMetricFamily("clearkey_request_seconds", "Time of a decision", labels=("action",))
        for each in self._metrics.times():
            times.add_metric((each.action,), list(each.within), each.seconds)
        yield times
        yield CounterMetricFamily("clearkey_audit_dropped", "Audit rows that were lost", self._metrics.dropped)
        yield CounterMetricFamily("clearkey_worker_restarts", "Workers that were replaced", self._metrics.restarts)
