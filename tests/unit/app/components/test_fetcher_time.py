"""The fetcher under python-tuf's client ends in time: beside slow servers, and when it is cancelled."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.exceptions import SlowRetrievalError

from drm.app.components.fetcher import ComponentFetcher, FetchCancelledError, FetchLimits
from tests.unit.app.components.raw_server import BODY, Answer, Peer, Server, ended_within, flood, head, then, whole

MAX = 1000
STAYS_OPEN = FetchLimits(connect=2.0, gap=30.0, total=30.0)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


# ------------------------------------------------------------------------------------------------ time
SLOW: dict[str, tuple[Answer, FetchLimits, str]] = {
    "silent": (lambda peer: peer.sleep(9), FetchLimits(gap=0.3, total=9.0), "nothing for 0.3 seconds"),
    "silent inside": (
        then(head() + BODY[:9], lambda peer: peer.sleep(9)), FetchLimits(gap=0.3, total=9.0), "nothing for 0.3"),
    "silent for longer than there is": (
        lambda peer: peer.sleep(9), FetchLimits(gap=9.0, total=0.4), "not there within 0.4 seconds"),
    "a head in drops": (
        lambda peer: peer.drip(head(), 0.03), FetchLimits(gap=9.0, total=0.4), "not there within 0.4 seconds"),
    "a body in drops": (
        then(head(), lambda peer: peer.drip(BODY, 0.03)), FetchLimits(gap=9.0, total=0.4), "not there within 0.4"),
    "a body below the rate": (
        then(head(), lambda peer: peer.drip(BODY, 0.03)), FetchLimits(gap=9.0, total=9.0, settle=0.2), "too slowly"),
    "silent below the rate": (
        then(head(), lambda peer: peer.sleep(9)), FetchLimits(gap=9.0, total=9.0, settle=0.2), "too slowly: 0 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("fault", SLOW)
def test_a_slow_server_is_left(server: Server, tmp_path: Path, fault: str) -> None:
    answer, limits, words = SLOW[fault]
    server.answers = [answer, whole()]
    with ComponentFetcher(tmp_path, limits=limits) as fetcher:
        began = time.monotonic()
        with pytest.raises(SlowRetrievalError, match=words):
            fetcher.download_bytes(server.url, MAX)
        assert time.monotonic() - began < 1
        assert fetcher.requests == 1
        assert ended_within(0.5), "the thread that read goes on reading"
        assert fetcher.download_bytes(server.url, MAX) == BODY  # the same fetcher, after that


def test_a_steady_server_is_not_too_slow(server: Server, tmp_path: Path) -> None:
    server.answers = [then(head(), lambda peer: peer.drip(BODY, 0.005))]
    with ComponentFetcher(tmp_path, limits=FetchLimits(settle=0.1, rate=20.0)) as fetcher:
        assert fetcher.download_bytes(server.url, MAX) == BODY


# ------------------------------------------------------------------------------------------------ cancelling
def server_waits(peer: Peer) -> None:
    if not peer.is_left(2):
        raise AssertionError("the connection was not closed")


@pytest.mark.parametrize(
    "answer",
    [
        server_waits,
        then(head() + BODY[:40], server_waits),
        flood(head("200 OK", 1 << 40), bytes(4096)),
        whole(b"", "503 Busy"),
    ],
    ids=["before the head", "inside the body", "while much comes", "between two tries"],
)
def test_a_fetch_is_cancelled_at_once(server: Server, tmp_path: Path, answer: Answer) -> None:
    cancel = threading.Event()
    server.answers = [answer]
    with ComponentFetcher(tmp_path, limits=STAYS_OPEN, cancel=cancel) as fetcher:
        timer = threading.Timer(0.2, cancel.set)
        timer.start()
        began = time.monotonic()
        with pytest.raises(FetchCancelledError):
            fetcher.download_bytes(server.url, 1 << 40)
        assert 0.1 < time.monotonic() - began < 0.6
        timer.join()
        assert ended_within(0.6)
        asked = fetcher.requests
        assert asked <= 2, "it was asked again after that"
        with pytest.raises(FetchCancelledError):
            fetcher.download_bytes(server.url, MAX)
        assert fetcher.requests == asked


def test_a_taker_that_stops_early_ends_the_fetch(server: Server, tmp_path: Path) -> None:
    server.answers = [then(head("200 OK", 1 << 40) + BODY, lambda peer: peer.sleep(9))]
    pieces = ComponentFetcher(tmp_path, limits=STAYS_OPEN).fetch(server.url)
    assert next(pieces)
    pieces.close()  # type: ignore[attr-defined]  # it is a generator
    assert ended_within(0.5)
