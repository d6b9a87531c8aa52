"""What sources are told, and what becomes of what they raise: MF-160 to MF-162."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from drm.errors import MediaError, PMPProcessDiedError, SessionShutdownError
from drm.hresult import HResult
from drm.media import TrackType
from drm.session.events import MediaEventType as E
from tests.conformance.mfcreatemediasession.world import OK, Stage, eventually

ERRORS = [
    (MediaError("planted"), HResult.MF_E_INVALID_FILE_FORMAT),
    (SessionShutdownError("planted"), HResult.MF_E_SHUTDOWN),
    (PMPProcessDiedError("planted"), HResult.RPC_E_SERVER_DIED),
    (OSError("planted"), HResult.E_FAIL),
    (SystemExit("planted"), HResult.E_FAIL),
]


class Planted:
    """A source that does what the test says when one of its methods is called, and notes what it is told."""

    def __init__(self, inner: Any, acts: dict[str, Callable[[], object]]) -> None:
        self._inner, self._acts = inner, acts
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _act(self, method: str) -> None:
        self._acts.get(method, lambda: None)()

    def select(self, stream_ids: Any, position: int = 0) -> None:
        self._act("select")
        self._inner.select(stream_ids, position)

    def next_sample(self, stream_id: int) -> Any:
        self._act("next_sample")
        return self._inner.next_sample(stream_id)

    def on_pause(self) -> None:
        self.told.append("pause")
        self._act("on_pause")

    def on_stop(self) -> None:
        self.told.append("stop")
        self._act("on_stop")

    def on_shutdown(self) -> None:
        self.told.append("shutdown")


def raising(error: BaseException) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


def ready(at: Stage, **acts: Callable[[], object]) -> Planted:
    """A topology over such a source, ready to be started."""
    source = Planted(at.source(), acts)
    at.ready(at.in_time(), source=source, only=TrackType.VIDEO)
    return source


@pytest.mark.parametrize(("error", "status"), ERRORS, ids=lambda value: type(value).__name__)
def test_mf_160_what_a_source_raises_is_the_status_of_the_event_that_waits(
    stage: Callable[..., Stage], error: BaseException, status: int
) -> None:
    at = stage()
    ready(at, select=raising(error))
    at.session.start()
    assert at.outcome(E.SESSION_STARTED) == status
    at = stage()
    ready(at, next_sample=raising(error))
    at.session.start()
    assert at.outcome(E.SESSION_STARTED) == OK
    assert at.outcome(E.ERROR) == status
    at.session.close()
    assert at.outcome(E.SESSION_CLOSED) == OK


@pytest.mark.parametrize("method", ["select", "next_sample", "on_pause", "on_stop"])
def test_mf_161_a_source_that_does_not_come_back_holds_nothing_up_for_longer_than_it_may(
    stage: Callable[..., Stage], method: str
) -> None:
    at, back = stage(answer_limit=0.3), threading.Event()
    try:
        ready(at, **{method: lambda: back.wait(15)})
        at.session.start()
        started = at.until(E.SESSION_STARTED)[-1]
        if method == "select":
            assert started.status == HResult.ERROR_TIMEOUT
        elif method == "next_sample":
            assert at.outcome(E.ERROR) == HResult.ERROR_TIMEOUT
        else:
            (at.session.pause if method == "on_pause" else at.session.stop)()
            kind = E.SESSION_PAUSED if method == "on_pause" else E.SESSION_STOPPED
            assert at.outcome(kind) == HResult.ERROR_TIMEOUT
        at.session.close()
        assert at.outcome(E.SESSION_CLOSED) == OK
    finally:
        back.set()


def test_mf_162_a_source_is_told_of_pause_stop_and_the_end(stage: Callable[..., Stage]) -> None:
    at = stage()
    source = ready(at)
    at.session.start()
    at.until(E.SESSION_STARTED)
    at.session.pause()
    assert at.outcome(E.SESSION_PAUSED) == OK
    assert source.told == ["pause"]
    at.session.start()
    at.until(E.SESSION_STARTED)
    at.session.stop()
    assert at.outcome(E.SESSION_STOPPED) == OK
    assert source.told == ["pause", "stop"]
    at.session.close()
    at.until(E.SESSION_CLOSED)
    eventually(lambda: source.told == ["pause", "stop", "shutdown"])


def test_mf_162_a_source_of_two_topologies_is_told_of_the_end_with_the_second(stage: Callable[..., Stage]) -> None:
    at = stage()
    source = Planted(at.source(), {})
    at.ready(source=source, only=TrackType.VIDEO)
    second = at.set(at.in_time(), source=source, only=TrackType.VIDEO)
    at.session.start()
    at.until_status(second, 200)  # the first is over
    at.session.pause()
    at.until(E.SESSION_PAUSED)
    assert "shutdown" not in source.told
    at.session.close()
    at.until(E.SESSION_CLOSED)
    eventually(lambda: source.told.count("shutdown") == 1)


@pytest.mark.parametrize("error", [each for each, _ in ERRORS], ids=lambda value: type(value).__name__)
def test_mf_162_a_source_that_cannot_pause_or_stop_says_so_in_the_event(
    stage: Callable[..., Stage], error: BaseException
) -> None:
    at = stage()
    status = {type(each): code for each, code in ERRORS}[type(error)]
    ready(at, on_pause=raising(error), on_stop=raising(error))
    at.session.start()
    at.until(E.SESSION_STARTED)
    at.session.pause()
    assert at.outcome(E.SESSION_PAUSED) == status
    at.session.stop()
    assert at.outcome(E.SESSION_STOPPED) == status
    at.session.start()
    assert at.outcome(E.SESSION_STARTED) == OK
