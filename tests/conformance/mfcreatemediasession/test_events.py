"""The session as a generator of events (IMFMediaEventGenerator): MF-012 to MF-019."""

from __future__ import annotations

import threading

from drm.app.local_session import LocalMediaSession
from drm.errors import InvalidRequestError
from drm.hresult import HResult
from drm.session.event_queue import BeginResult, GetEventResult
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from tests.conformance.mfcreatemediasession.world import LIMIT, Stage, eventually, raises_code


def nothing(_result: GetEventResult) -> None:
    pass


def something_else(_result: GetEventResult) -> None:
    pass


def test_mf_012_an_empty_queue_has_no_events(at: Stage) -> None:
    with raises_code(HResult.MF_E_NO_EVENTS_AVAILABLE):
        at.session.get_event(wait=False)


def test_mf_013_no_callback_is_an_invalid_argument_before_and_after_shutdown(at: Stage) -> None:
    with raises_code(HResult.E_INVALIDARG):
        at.session.begin_get_event(None)
    at.session.shutdown()
    with raises_code(HResult.E_INVALIDARG):
        at.session.begin_get_event(None)


def test_mf_014_same_callback_and_state_twice_is_one_wait(at: Stage) -> None:
    called = threading.Semaphore(0)
    results: list[GetEventResult] = []

    def callback(result: GetEventResult) -> None:
        results.append(result)
        called.release()

    assert at.session.begin_get_event(callback, "state") is BeginResult.STARTED
    again = at.session.begin_get_event(callback, "state")
    assert again is BeginResult.ALREADY_PENDING
    assert int(again) == HResult.MF_S_MULTIPLE_BEGIN
    mine = MediaEvent(900)
    at.session.queue_event(mine)
    at.session.queue_event(MediaEvent(901))
    assert called.acquire(timeout=LIMIT)
    assert results[0].state == "state"
    assert at.session.end_get_event(results[0]) is mine
    assert not called.acquire(timeout=0.1)  # one wait, one call
    assert at.event().type == 901


def test_mf_015_same_callback_with_another_state_is_refused(at: Stage) -> None:
    at.session.begin_get_event(nothing, "one")
    with raises_code(HResult.MF_E_MULTIPLE_BEGIN):
        at.session.begin_get_event(nothing, "two")


def test_mf_016_another_callback_is_refused(at: Stage) -> None:
    at.session.begin_get_event(nothing, "one")
    with raises_code(HResult.MF_E_MULTIPLE_SUBSCRIBERS):
        at.session.begin_get_event(something_else, "one")


def test_mf_018_after_shutdown_the_generator_is_shut_down(at: Stage) -> None:
    at.session.shutdown()
    calls = (
        lambda: at.session.get_event(wait=False),
        lambda: at.session.begin_get_event(nothing),
        lambda: at.session.queue_event(MediaEvent(E.EXTENDED_TYPE)),
    )
    for call in calls:
        with raises_code(HResult.MF_E_SHUTDOWN):
            call()


def test_mf_019_events_come_first_in_first_out_as_the_same_objects(at: Stage) -> None:
    first, second = MediaEvent(900, values={"number": 1}), MediaEvent(900, values={"number": 2})
    at.session.queue_event(first)
    at.session.queue_event(second)
    assert at.event() is first
    assert at.event() is second


def test_a_callback_that_raises_leaves_the_next_its_turn(at: Stage) -> None:
    called = threading.Event()

    def faulty(_result: GetEventResult) -> None:
        raise ZeroDivisionError("planted")

    at.session.begin_get_event(faulty)
    at.session.queue_event(MediaEvent(900))
    while True:  # until its claim is gone
        try:
            at.session.begin_get_event(lambda _result: called.set())
        except Exception:  # noqa: BLE001 - MF_E_MULTIPLE_SUBSCRIBERS for a moment
            continue
        break
    at.session.queue_event(MediaEvent(901))
    assert called.wait(LIMIT)


def test_mf_169_no_outcome_is_lost_however_long_nobody_reads(at: Stage) -> None:
    """Of progress, which tells no outcome, the oldest goes."""
    count = 1500
    for _ in range(count):
        at.session.clear_topologies()
    for number in range(count):
        at.session.queue_event(MediaEvent(E.ENABLER_PROGRESS, values={"text": str(number)}))
    at.session.close()
    events = at.until(E.SESSION_CLOSED)
    assert sum(event.type == E.SESSION_TOPOLOGIES_CLEARED for event in events) == count
    assert sum(event.type == E.ENABLER_PROGRESS for event in events) < count


def test_mf_170_a_program_can_ask_whether_it_is_inside_a_callback(at: Stage) -> None:
    """There blocking calls into a worker are refused; a session in this process refuses none."""
    found: list[tuple[bool, bool]] = []

    def callback(_result: GetEventResult) -> None:
        try:
            at.session.get_session_capabilities()
        except InvalidRequestError:
            found.append((at.session.in_callback(), True))
        else:
            found.append((at.session.in_callback(), False))

    is_local = isinstance(at.session, LocalMediaSession)
    assert at.session.in_callback() is False
    at.session.begin_get_event(callback)
    at.session.queue_event(MediaEvent(777))
    eventually(lambda: found == [(not is_local, not is_local)])
    assert at.session.in_callback() is False
