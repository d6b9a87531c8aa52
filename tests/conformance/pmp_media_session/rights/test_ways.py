"""The automatic and the manual way of an enabler: URLs that are trusted, monitoring, cancelling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drm.app.rights.content_enabler import ContentEnabler
from drm.app.rights.enabler import EnablerActivation
from drm.app.rights.license_server import LicenseAccess
from drm.component import MediaSource
from drm.errors import DRMError, InvalidRequestError, NotAvailableError
from drm.hresult import HResult
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import PLAYREADY
from drm.isobmff.pssh.playready import PlayReadyData
from drm.rights.enablers import EnablerActivate, EnableType, EnableURL, URLTrustStatus
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from tests.conformance.mfcreatemediasession.world import Stage, eventually, kinds
from tests.conformance.pmp_media_session.rights.world import (
    LIMIT,
    PICTURE,
    Asked,
    ByHand,
    Door,
    Recorded,
    shown,
    with_pssh,
)

NOT_ACQUIRED = HResult.NS_E_DRM_LICENSE_NOTACQUIRED
CANCELLED, MONITOR_CANCELLED = HResult.MF_E_OPERATION_CANCELLED, HResult.NS_S_DRM_MONITOR_CANCELLED
OURS = "http://127.0.0.1:9/"


class Naming:
    """A source that says where licenses are to be had."""

    def __init__(self, inner: MediaSource, url: EnableURL) -> None:
        self._inner = inner
        self.enable_url = url

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def completions(events: list[MediaEvent]) -> list[int]:
    return [event.status for event in events if event.type == E.ENABLER_COMPLETED]


def failure(at: Stage) -> DRMError:
    with pytest.raises(DRMError) as raised:
        at.until(E.SESSION_TOPOLOGY_SET)[-1].raise_for_status()
    return raised.value


# ---------------------------------------------------------------- what an enabler has
@pytest.mark.parametrize("kind", list(EnableType), ids=lambda kind: kind.name.lower())
def test_mf_092_an_enabler_with_nothing_to_offer_says_so(kind: EnableType) -> None:
    enabler = ContentEnabler(EnablerActivate(kind, (), b""), [].append)
    for call in (enabler.get_enable_url, enabler.get_enable_data, enabler.automatic_enable):
        with pytest.raises(NotAvailableError) as raised:
            call()
        assert raised.value.hresult == HResult.MF_E_NOT_AVAILABLE
    assert not enabler.is_automatic_supported


def test_mf_092_a_real_enabler_has_data_and_without_a_server_no_url(session: Callable[..., Stage]) -> None:
    manager = ByHand()
    at = session(manager)
    at.session.set_topology(at.topology())
    enabler = manager.wait().enabler
    assert enabler.get_enable_type() is EnableType.LICENSE_ACQUISITION
    assert PICTURE.base64url.encode() in enabler.get_enable_data()
    with pytest.raises(NotAvailableError):
        enabler.get_enable_url()


def test_the_users_url_is_trusted_and_goes_before_that_of_the_media() -> None:
    activate = EnablerActivate(EnableType.LICENSE_ACQUISITION, (PICTURE,), b"{}")
    in_media = EnableURL("https://media.example/", URLTrustStatus.UNTRUSTED)
    told = EnablerActivation(activate, [].append, lambda: in_media).activate_object(automatic=LicenseAccess(OURS))
    assert told.get_enable_url() == EnableURL(OURS, URLTrustStatus.TRUSTED)
    assert told.is_automatic_supported
    assert ContentEnabler(activate, [].append, in_media=lambda: in_media).get_enable_url() == in_media


# ---------------------------------------------------------------- automatic, then manual
def test_mf_097_after_not_acquired_the_manual_way_is_taken_once(session: Callable[..., Stage], front: Door) -> None:
    manager = Recorded(front.url)
    front.refuses = 1
    states: list[str] = []
    front.at_request = lambda: states.append(manager.asked[-1].enabler._state.name)
    at = session(manager)
    at.session.set_topology(at.topology())
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert shown(events) == [114, 118, 119, 118, 119, 115, 114, 118, 119, 115, 101]
    assert completions(events) == [NOT_ACQUIRED, HResult.S_OK, HResult.S_OK]
    assert states == ["AUTOMATIC", "MONITORING", "AUTOMATIC"], "it monitors before it sends"
    assert all(event.values["text"] for event in events if event.type == E.ENABLER_PROGRESS)


def test_mf_097_and_not_a_second_time(session: Callable[..., Stage], front: Door) -> None:
    front.refuses = 99
    at = session(Recorded(front.url))
    at.session.set_topology(at.topology())
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert completions(events) == [NOT_ACQUIRED] * 2
    assert len(front.bodies) == 2
    assert events[-1].status == NOT_ACQUIRED


def test_mf_097_the_servers_last_word_is_not_asked_for_again(session: Callable[..., Stage], front: Door) -> None:
    at = session(Recorded(f"{front.url}/not-there"))
    at.session.set_topology(at.topology())
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert completions(events) == [HResult.MF_E_LICENSE_INCORRECT_RIGHTS]
    assert len(front.bodies) == 1


def test_mf_097_an_enabler_has_events_of_its_own(session: Callable[..., Stage], front: Door) -> None:
    each: list[list[MediaEvent]] = []  # of each enabler: another track's may begin before this one is looked at

    def act(asked: Asked) -> None:
        seen: list[MediaEvent] = []
        over = threading.Event()
        each.append(seen)
        enabler = asked.activate.activate_object(automatic=LicenseAccess(front.url))

        def on_event(result: object) -> None:
            seen.append(enabler.end_get_event(result))
            if seen[-1].type == E.ENABLER_COMPLETED:
                over.set()
            else:
                enabler.begin_get_event(on_event)

        enabler.begin_get_event(on_event)
        enabler.automatic_enable()
        with pytest.raises(InvalidRequestError):
            enabler.automatic_enable()
        assert over.wait(LIMIT)
        asked.answer()

    at = session(ByHand(act))
    at.session.set_topology(at.topology())
    at.until(E.LICENSE_ACQUISITION_COMPLETED)
    assert shown(each[0]) == [118, 119]
    told = [event for event in at.seen if event.type in {E.ENABLER_PROGRESS, E.ENABLER_COMPLETED}]
    assert each[0] == told[: len(each[0])]


# ---------------------------------------------------------------- URLs that are not trusted
@pytest.mark.parametrize("status", [URLTrustStatus.UNTRUSTED, URLTrustStatus.TAMPERED])
def test_mf_098_nothing_is_sent_to_a_url_that_is_not_trusted(
    session: Callable[..., Stage], front: Door, status: URLTrustStatus
) -> None:
    at = session(manager := Recorded())
    url = EnableURL(front.url, status)
    at.session.set_topology(at.topology(source=Naming(at.source(), url)))
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert manager.asked[0].enabler.get_enable_url() == url
    assert kinds(events) == [114, 119, 115, 101]
    assert {event.status for event in events[1:]} == {HResult.E_FAIL}
    assert front.bodies == []


def test_mf_098_the_url_in_a_playready_header_is_untrusted(
    session: Callable[..., Stage], front: Door, film: Path, tmp_path: Path
) -> None:
    header = PlayReadyData((PICTURE,), "AESCTR", front.url).encode()
    made = with_pssh(film, tmp_path / "film.mp4", Pssh(PLAYREADY, (), header, 0))
    at = session(manager := Recorded(), made)
    at.session.set_topology(at.topology())
    error = failure(at)
    assert error.hresult == HResult.E_FAIL
    assert front.url in error.seen
    assert "--license-url" in error.remedy
    assert manager.asked[0].enabler.get_enable_url() == EnableURL(front.url, URLTrustStatus.UNTRUSTED)
    assert front.bodies == []


# ---------------------------------------------------------------- monitoring
def test_mf_100_monitoring_tells_when_nothing_is_needed(session: Callable[..., Stage]) -> None:
    manager = ByHand()
    at = session(manager)
    at.session.set_topology(at.topology())
    first = manager.wait()
    first.enabler.cancel()
    first.answer()
    assert kinds(at.until(E.SESSION_TOPOLOGY_SET)) == [114, 119, 115, 101]
    at.session.set_topology(at.topology())
    second = manager.wait(2)
    assert second.enabler.monitor_enable() is True
    second.give_keys()
    at.until(E.SESSION_TOPOLOGY_STATUS)
    for asked in (first, second):  # the keys are there, whoever brought them
        eventually(lambda enabler=asked.enabler: enabler.monitor_enable() is False)
    at.no_more_events()


def test_mf_100_nothing_needed_is_no_error_and_access_is_asked_for_again(session: Callable[..., Stage]) -> None:
    """A manager that believes it: the session looks for itself, and does not go on without keys."""
    manager = ByHand(lambda asked: (setattr(asked.enabler, "_is_held", lambda: True), asked.enabler.monitor_enable(),
                                    asked.answer()))  # fmt: skip
    at = session(manager)
    at.session.set_topology(at.topology())
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert kinds(events) == [114, 115] * 2 + [101]
    assert "twice in a row" in events[-1].error.what


# ---------------------------------------------------------------- cancelling
def test_mf_101_a_cancelled_automatic_way_ends_once_with_its_status(session: Callable[..., Stage], front: Door) -> None:
    front.held.clear()
    at = session(manager := Recorded(front.url))
    at.session.set_topology(at.topology())
    eventually(lambda: front.bodies)
    began = time.monotonic()
    manager.asked[0].enabler.cancel()
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert time.monotonic() - began < 2
    assert completions(events) == [CANCELLED]
    assert kinds(events)[-3:] == [119, 115, 101]
    assert {event.status for event in events[-2:]} == {CANCELLED}
    manager.asked[0].enabler.cancel()
    front.held.set()
    at.no_more_events()


def test_mf_101_a_cancelled_monitor_has_a_success_code_and_enables_nothing(session: Callable[..., Stage]) -> None:
    def act(asked: Asked) -> None:
        assert asked.enabler.monitor_enable()
        with pytest.raises(InvalidRequestError):
            asked.enabler.monitor_enable()
        asked.enabler.cancel()
        asked.enabler.cancel()
        # A manager that believes the number: no failure, so all is well.
        status = asked.enabler.get_event().status
        asked.answer(DRMError("cancelled", hresult=status) if status >= 0x80000000 else None)

    at = session(ByHand(act))
    at.session.set_topology(at.topology())
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert kinds(events) == [114, 119, 115, 101]
    assert [event.status for event in events[1:]] == [MONITOR_CANCELLED, CANCELLED, CANCELLED]


def test_mf_101_a_success_code_that_a_manager_passes_on_as_an_error_stays_one(session: Callable[..., Stage]) -> None:
    def act(asked: Asked) -> None:
        asked.enabler.cancel()
        asked.answer(DRMError("cancelled", hresult=MONITOR_CANCELLED))

    at = session(ByHand(act))
    at.session.set_topology(at.topology())
    assert failure(at).hresult == CANCELLED


def test_mf_101_what_is_cancelled_is_not_completed_any_more(session: Callable[..., Stage]) -> None:
    manager = ByHand()
    at = session(manager)
    at.session.set_topology(at.topology())
    asked = manager.wait()
    asked.enabler.cancel()
    for call in (asked.give_keys, asked.enabler.automatic_enable, asked.enabler.monitor_enable):
        with pytest.raises((InvalidRequestError, NotAvailableError)):
            call()
    asked.enabler.progress("unheard")
    asked.answer()
    assert kinds(at.until(E.SESSION_TOPOLOGY_SET)) == [114, 119, 115, 101]
