"""The event queue and its events (IMFMediaEventGenerator)."""

from __future__ import annotations

import threading
import time

import pytest

from drm.errors import DRMError, KeyWrongError, NoEventsAvailableError, SessionShutdownError
from drm.hresult import HResult
from drm.session.event_queue import EventQueue
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E


def test_events_come_first_in_first_out_and_are_the_same_objects() -> None:
    queue, events = EventQueue(), [MediaEvent(E.SESSION_STARTED), MediaEvent(9999, values={"a": 1})]
    for event in events:
        queue.queue_event(event)
    assert [queue.get_event() for _ in events] == events
    assert events[1].name == "9999"


def test_an_empty_queue_says_so_and_waits_no_longer_than_told() -> None:
    queue = EventQueue()
    start = time.monotonic()
    for words in ({"wait": False}, {"timeout": 0.05}):
        with pytest.raises(NoEventsAvailableError) as raised:
            queue.get_event(**words)
        assert raised.value.hresult == HResult.MF_E_NO_EVENTS_AVAILABLE == 0xC00D3E80
    assert 0.05 <= time.monotonic() - start < 2


def test_after_shutdown_everything_raises_and_whoever_waits_goes() -> None:
    queue, raised = EventQueue(), []

    def wait() -> None:
        try:
            queue.get_event()
        except SessionShutdownError as error:
            raised.append(error.hresult)

    waiting = threading.Thread(target=wait)
    waiting.start()
    queue.shutdown()
    queue.shutdown()
    waiting.join(5)
    assert raised == [HResult.MF_E_SHUTDOWN] == [0xC00D3E85]
    for call in (queue.get_event, lambda: queue.queue_event(MediaEvent(E.ERROR)), lambda: queue.get_event(wait=False)):
        with pytest.raises(SessionShutdownError):
            call()
    assert list(queue.events()) == []


def test_iteration_ends_with_closed() -> None:
    queue = EventQueue()
    for kind in (E.SESSION_STARTED, E.SESSION_CLOSED, E.ERROR):
        queue.queue_event(MediaEvent(kind))
    assert [event.type for event in queue.events()] == [E.SESSION_STARTED, E.SESSION_CLOSED]


def test_a_queue_that_nobody_reads_stays_bounded_and_keeps_what_matters() -> None:
    queue = EventQueue()
    queue.queue_event(MediaEvent(E.SESSION_TOPOLOGY_SET))
    for _ in range(10_000):
        queue.queue_event(MediaEvent(E.ENABLER_PROGRESS))
    queue.queue_event(MediaEvent(E.SESSION_CLOSED))
    kinds = [event.type for event in queue.events()]
    assert len(kinds) <= 4096
    assert (kinds[0], kinds[-1]) == (E.SESSION_TOPOLOGY_SET, E.SESSION_CLOSED)


def test_a_failed_event_raises_what_the_call_would_have() -> None:
    error = KeyWrongError("wrong", where="track 1", seen="noise", maybe="swapped", remedy="look", kids=("k",))
    event = MediaEvent(E.SESSION_TOPOLOGY_SET, error.hresult, {}, error.to_record())
    with pytest.raises(KeyWrongError) as raised:
        event.raise_for_status()
    assert raised.value.to_record() == error.to_record()
    with pytest.raises(DRMError, match="MF_E_INVALIDREQUEST"):
        MediaEvent(E.SESSION_STARTED, HResult.MF_E_INVALIDREQUEST).raise_for_status()
    for success in (HResult.S_OK, HResult.S_FALSE, HResult.NS_S_DRM_MONITOR_CANCELLED):
        MediaEvent(E.SESSION_STARTED, success).raise_for_status()
