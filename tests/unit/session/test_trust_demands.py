"""What a license demands of components and revocation list: kept in the session's process, renewed by an enabler."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from drm.errors import DRMError, LicenseError, TrustError
from drm.hresult import HResult
from drm.pmp.rights_proxy import RightsProxy
from drm.rights.enablers import EnableType, LicensePath
from drm.rights.policy import Action, Policy
from drm.session.events import MediaEventType as E
from drm.trust.errors import ListTooOldError, TestSignedError
from drm.trust.freshness import Freshness
from drm.trust.renewal import parse_renewals
from drm.trust.state import TrustState, check_demands
from drm.wire.messages import BeginEnableContent, EnablerFailed
from tests.unit.session.home import Environment, Home
from tests.unit.session.test_rights import DEVICE_KEY, sealed

GOOD = TrustState(is_test_signed=False, revocation_list=7, list_age=60.0, freshness=Freshness.FRESH)
NEWER = b"newer metadata"
TOO_OLD, TEST_SIGNED, RESTART = 0xC00D715F, 0xC00D7179, 0xC00D716D


@pytest.mark.parametrize(
    ("rules", "state", "hresult"),
    [
        ({}, {"is_test_signed": True, "revocation_list": 0, "freshness": Freshness.EXPIRED, "list_age": 1e9}, 0),
        ({"min_revocation_list": 7}, {}, 0),
        ({"min_revocation_list": 8}, {}, TOO_OLD),
        ({"max_revocation_age": 60}, {}, 0),
        ({"max_revocation_age": 59}, {}, TOO_OLD),
        ({"allow_test_signed": False}, {}, 0),
        ({"allow_test_signed": False}, {"is_test_signed": True}, TEST_SIGNED),
        ({"allow_stale": False}, {}, 0),
        ({"allow_stale": False}, {"freshness": Freshness.STALE}, TOO_OLD),
        ({"allow_stale": False}, {"freshness": Freshness.EXPIRED}, TOO_OLD),
        ({}, {"revoked": "it"}, 0),
        ({"min_revocation_list": 7}, {"revoked": "it"}, RESTART),
        ({"min_revocation_list": 8}, {"revoked": "it"}, RESTART),
        ({"max_revocation_age": 60}, {"revoked": "it"}, RESTART),
        ({"allow_stale": False}, {"revoked": "it"}, RESTART),
        ({"allow_test_signed": False}, {"revoked": "it"}, RESTART),
    ],
)
def test_each_demand_is_judged_by_itself(rules: dict[str, object], state: dict[str, object], hresult: int) -> None:
    policy, at = Policy(**rules), dataclasses.replace(GOOD, **state)
    if not hresult:
        check_demands(policy, at)
        return
    with pytest.raises(TrustError) as refused:
        check_demands(policy, at)
    assert refused.value.hresult == hresult
    assert refused.value.exit_code == 7


class Server:
    """A license server of the sealed form, and a manager that renews the list, or does not."""

    def __init__(self, rules: Policy, renews: Callable[[], None] | None, status: int = 0) -> None:
        rules = msgspec.structs.replace(rules, actions=(Action.PLAY, Action.HASH))
        self.licenses, self._renews, self._status = sealed(rules), renews, status

    def __call__(self, rights: RightsProxy, message: BeginEnableContent) -> None:
        if message.activate.type is EnableType.LICENSE_ACQUISITION:
            self.licenses(rights, message)
        elif self._renews is None:
            error = LicenseError("nobody does that here", hresult=self._status or HResult.E_FAIL)
            rights.failed(EnablerFailed(1, message.ticket, error.to_record()))
        else:
            self._renews()
            rights.answered(message.ticket, LicensePath.NONE, NEWER)


@pytest.fixture
def licensed(encrypted: Path, home: Callable[..., Home]) -> Callable[..., Home]:
    def make(rules: Policy, *, renewed: TrustState | None = None, status: int = 0, **state: object) -> Home:
        def renews() -> None:
            at.trust = renewed

        server = Server(rules, renews if renewed else None, status)
        at = home(encrypted, environment=Environment(device_key=DEVICE_KEY), answer=server)
        at.trust = dataclasses.replace(GOOD, **state)
        return at

    return make


def set_topology(at: Home) -> DRMError | None:
    at.session.set_topology(at.topology())
    try:
        at.until(E.SESSION_TOPOLOGY_SET)[-1].raise_for_status()
    except DRMError as error:
        return error
    return None


def asked(at: Home) -> list[EnableType]:
    return [message.activate.type for message in at.asked]


def test_the_list_is_renewed_by_an_enabler_and_playback_goes_on(licensed: Callable[..., Home]) -> None:
    at = licensed(Policy(min_revocation_list=8), renewed=dataclasses.replace(GOOD, revocation_list=8))
    assert set_topology(at) is None
    assert asked(at)[:2] == [EnableType.LICENSE_ACQUISITION, EnableType.UPDATE_REVOCATION_INFORMATION]
    assert at.renewed == [NEWER], "both streams are judged by the list that came for the first"
    wanted = parse_renewals(at.asked[1].activate.data)
    assert (wanted.list_demanded, wanted.list_held) == (8, 7)


def test_a_renewal_that_changes_nothing_is_not_tried_for_ever(licensed: Callable[..., Home]) -> None:
    at = licensed(Policy(min_revocation_list=9), renewed=dataclasses.replace(GOOD, revocation_list=8))
    error = set_topology(at)
    assert isinstance(error, ListTooOldError)
    assert error.hresult == HResult.MF_E_GRL_VERSION_TOO_LOW == TOO_OLD
    assert asked(at).count(EnableType.UPDATE_REVOCATION_INFORMATION) == 1


def test_a_renewal_that_fails_says_why(licensed: Callable[..., Home]) -> None:
    error = set_topology(licensed(Policy(min_revocation_list=8)))
    assert error is not None
    assert error.what == "nobody does that here"


def test_without_a_manager_the_demand_itself_is_the_error(licensed: Callable[..., Home]) -> None:
    error = set_topology(licensed(Policy(min_revocation_list=8), status=HResult.MF_E_NO_CONTENT_PROTECTION_MANAGER))
    assert isinstance(error, ListTooOldError)
    assert "demands revocation list 8" in error.what


def test_what_no_renewal_can_mend_is_refused_at_once(licensed: Callable[..., Home]) -> None:
    at = licensed(Policy(allow_test_signed=False), is_test_signed=True)
    assert isinstance(set_topology(at), TestSignedError)
    assert asked(at) == [EnableType.LICENSE_ACQUISITION]
