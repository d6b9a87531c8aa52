"""The counters as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from license_server.metrics import Metrics

__all__ = ["MEDIA_TYPE", "exposition"]

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def exposition(metrics: Metrics) -> bytes:
    """What `/metrics` answers, of type `MEDIA_TYPE`: the sums over all workers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Sums(metrics))
    return generate_latest(registry)


class _Sums(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
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
