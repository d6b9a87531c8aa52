"""IMFActivate as enablers have it, and how often one is asked: MF-166 and MF-167."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from drm.app import ContentEnabler, EnablerActivation
from drm.hresult import HResult
from drm.license.clearkey import encode_jwk_set
from drm.rights.enablers import EnablerActivate, EnableType, LicensePath
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from tests.conformance.mfcreatemediasession.world import Stage, kinds, raises_code
from tests.conformance.pmp_media_session.rights.world import KEYS, PICTURE, Asked, ByHand


@pytest.fixture
def told() -> list[MediaEvent]:
    return []


@pytest.fixture
def activation(told: list[MediaEvent]) -> EnablerActivation:
    return EnablerActivation(EnablerActivate(EnableType.LICENSE_ACQUISITION, (PICTURE,), b"{}"), told.append)


@pytest.mark.parametrize("interface", [ContentEnabler, "ContentEnabler"])
def test_mf_166_it_gives_the_interface_that_it_is_asked_for(activation: EnablerActivation, interface: object) -> None:
    made = activation.activate_object(interface)  # type: ignore[arg-type]
    assert isinstance(made, ContentEnabler)
    assert activation.activate_object() is made


@pytest.mark.parametrize("interface", [UUID, "IMFMediaSink", "Sink"])
def test_mf_166_any_other_interface_is_refused(activation: EnablerActivation, interface: object) -> None:
    with raises_code(HResult.E_NOINTERFACE):
        activation.activate_object(interface)  # type: ignore[arg-type]


def test_mf_166_an_object_that_is_shut_down_is_cancelled_and_made_anew(
    activation: EnablerActivation, told: list[MediaEvent]
) -> None:
    activation.shutdown_object()  # there is none yet
    first = activation.activate_object()
    activation.shutdown_object()
    assert [(event.type, event.status) for event in told] == [(E.ENABLER_COMPLETED, HResult.MF_E_OPERATION_CANCELLED)]
    assert first.cancelled.is_set()
    assert activation.activate_object() is not first


def test_mf_166_an_object_that_is_detached_goes_on(activation: EnablerActivation, told: list[MediaEvent]) -> None:
    first = activation.activate_object()
    activation.detach_object()
    assert not told
    first.complete(b"{}", LicensePath.LOCAL)
    assert activation.outcome == (LicensePath.LOCAL, b"{}")
    assert activation.activate_object() is not first


def test_mf_166_a_detached_enabler_brings_the_keys_all_the_same(
    session: Callable[..., Stage], silent_film: object
) -> None:
    def act(asked: Asked) -> None:
        enabler = asked.activate.activate_object(ContentEnabler)
        asked.activate.detach_object()
        enabler.complete(encode_jwk_set(KEYS), LicensePath.LOCAL)
        asked.answer()

    at = session(ByHand(act), silent_film)
    at.session.set_topology(at.topology())
    assert at.outcome(E.SESSION_TOPOLOGY_SET) == HResult.S_OK


def test_mf_167_an_enabler_that_brings_nothing_is_asked_once_more(session: Callable[..., Stage]) -> None:
    """A license without the key that was wanted: twice, and no more."""
    manager = ByHand(lambda asked: asked.give_keys({}))
    at = session(manager)
    at.session.set_topology(at.topology())
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert events[-1].status != HResult.S_OK
    assert len(manager.asked) <= 2
    assert kinds(events).count(114) <= 2


def test_mf_167_the_second_time_may_do_better(session: Callable[..., Stage], silent_film: object) -> None:
    def act(asked: Asked) -> None:
        if len(manager.asked) > 1:
            asked.give_keys()
        else:
            asked.enabler.complete(b"", LicensePath.NONE)  # nothing needs to be sent, it thinks
            asked.answer()

    manager = ByHand(act)
    at = session(manager, silent_film)
    at.session.set_topology(at.topology())
    assert at.outcome(E.SESSION_TOPOLOGY_SET) == HResult.S_OK
    assert len(manager.asked) == 2
