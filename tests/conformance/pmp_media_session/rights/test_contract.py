"""The duties of a content protection manager, and what becomes of one that does not keep them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from drm.app.rights.enabler import EnableResult
from drm.app.rights.manager_call import BLOCKING
from drm.errors import DRMError, InvalidArgumentError, InvalidRequestError, LicenseError, ManagerBlocksError
from drm.hresult import HResult
from drm.rights.enablers import LicensePath
from drm.session.events import MediaEventType as E
from tests.conformance.mfcreatemediasession.world import Stage, eventually, kinds
from tests.conformance.pmp_media_session.rights.world import LIMIT, Asked, ByHand


class Refusing(ByHand):
    """Raises, and calls back all the same."""

    def __init__(self, error: Exception, *, before: bool = False) -> None:
        super().__init__()
        self._error, self._before = error, before

    def begin_enable_content(self, *arguments: object) -> None:
        super().begin_enable_content(*arguments)
        if self._before:
            self.asked[-1].give_keys()
        raise self._error


class Blocking(ByHand):
    """Does its work where it must not."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def begin_enable_content(self, *arguments: object) -> None:
        super().begin_enable_content(*arguments)
        assert self.go_on.wait(LIMIT)


def set_topology(at: Stage) -> None:
    at.session.set_topology(at.topology())


@pytest.mark.parametrize(
    ("error", "number"),
    [(LicenseError("not today"), HResult.NS_E_DRM_LICENSE_NOTACQUIRED), (ValueError("planted"), HResult.E_FAIL)],
    ids=["of-ours", "any-other"],
)
def test_a_manager_that_raises_is_asked_for_no_callback(
    session: Callable[..., Stage], error: Exception, number: int
) -> None:
    at = session(manager := Refusing(error))
    set_topology(at)
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert kinds(events) == [114, 115, 101]
    assert {event.status for event in events[1:]} == {number}
    assert str(error) in events[-1].error.what
    with pytest.raises(InvalidRequestError, match="no callback is owed"):
        manager.asked[0].answer()
    assert manager.asked[0].ended == []


def test_one_that_calls_back_and_then_raises_has_called_back(session: Callable[..., Stage]) -> None:
    at = session(Refusing(ValueError("too late"), before=True))
    set_topology(at)
    assert at.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.S_OK


def test_a_second_callback_is_refused(session: Callable[..., Stage]) -> None:
    at = session(manager := ByHand(lambda asked: asked.give_keys()))
    set_topology(at)
    at.until(E.SESSION_TOPOLOGY_STATUS)
    with pytest.raises(InvalidRequestError, match="no callback is owed"):
        manager.asked[0].answer()
    assert len(manager.asked[0].ended) == 1


def test_a_result_that_is_not_for_this_enabler_is_refused(session: Callable[..., Stage]) -> None:
    at = session(manager := ByHand())
    set_topology(at)
    asked = manager.wait()
    other = EnableResult(object())  # type: ignore[arg-type]
    for wrong in (other, None, asked.activate):
        with pytest.raises(InvalidArgumentError):
            asked.callback(wrong)  # type: ignore[arg-type]
    asked.give_keys()
    assert at.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.S_OK


def test_the_outcome_is_that_of_end_enable_content(session: Callable[..., Stage]) -> None:
    """Even when the enabler has what was wanted: the manager has the last word against, and none in favour."""
    at = session(manager := ByHand())
    set_topology(at)
    manager.wait().result.error = DRMError("second thoughts", hresult=HResult.E_UNEXPECTED)
    manager.end_enable_content = lambda result: result.raise_for_status()
    asked = manager.asked[0]
    asked.enabler.complete(b"{}", LicensePath.LOCAL)
    asked.callback(asked.result)
    assert at.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.E_UNEXPECTED
    set_topology(at)
    manager.end_enable_content = lambda _result: None
    second = manager.wait(2)
    second.enabler.fail(LicenseError("there is none"))
    second.callback(second.result)
    assert at.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.NS_E_DRM_LICENSE_NOTACQUIRED


def test_a_monitor_that_is_left_open_ends_with_the_callback(session: Callable[..., Stage]) -> None:
    def act(asked: Asked) -> None:
        asked.enabler.monitor_enable()
        asked.answer(LicenseError("gave up"))

    at = session(ByHand(act))
    set_topology(at)
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert kinds(events) == [114, 119, 115, 101]
    assert {event.status for event in events[1:]} == {HResult.NS_E_DRM_LICENSE_NOTACQUIRED}


def test_a_manager_that_blocks_is_reported_and_holds_up_nothing(session: Callable[..., Stage]) -> None:
    at = session(manager := Blocking())
    other = session(ByHand(lambda asked: asked.give_keys()))
    began = time.monotonic()
    set_topology(at)
    manager.wait()
    set_topology(other)
    assert other.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.S_OK
    assert at.session.get_session_capabilities() == 0
    assert time.monotonic() - began < BLOCKING
    reported = at.until(E.NON_FATAL_ERROR)[-1]
    with pytest.raises(ManagerBlocksError, match="blocks in begin_enable_content"):
        reported.raise_for_status()
    manager.go_on.set()
    manager.asked[0].give_keys()
    assert at.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.S_OK


def test_blocking_calls_are_refused_inside_the_managers_calls(session: Callable[..., Stage]) -> None:
    refused: list[str] = []

    class Nested(ByHand):
        def ask(self, where: str) -> None:
            try:
                at.session.get_session_capabilities()
            except InvalidRequestError:
                refused.append(where)

        def begin_enable_content(self, *arguments: object) -> None:
            self.ask("begin")
            super().begin_enable_content(*arguments)

        def end_enable_content(self, result: EnableResult) -> None:
            self.ask("end")

    at = session(Nested(lambda asked: asked.give_keys()))
    set_topology(at)
    at.until(E.SESSION_TOPOLOGY_SET)
    assert refused == ["begin", "end"]


@pytest.mark.parametrize("end", ["close", "shutdown"])
def test_a_callback_after_the_end_is_harmless(session: Callable[..., Stage], end: str) -> None:
    at = session(manager := ByHand())
    set_topology(at)
    asked = manager.wait()
    getattr(at.session, end)()
    if end == "close":
        at.until(E.SESSION_CLOSED)
    eventually(asked.enabler.cancelled.is_set)
    asked.answer()
    assert len(asked.ended) == 1, "the manager drops what it held"
    if end == "close":
        at.no_more_events()
