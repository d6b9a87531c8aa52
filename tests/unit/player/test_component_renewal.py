"""When a session is made again, and when not: at most one renewal of each kind, and none that nobody allowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drm.app.rights.content_enabler import ContentEnabler
from drm.app.rights.enabler import EnablerActivation
from drm.errors import DRMError, RestartRequiredError, TrustError, UpdateUnreachableError
from drm.rights.enablers import EnablerActivate, EnableType, LicensePath
from drm.trust.errors import ComponentRevokedError, TrustAbsentError
from player.component_renewal import Renewal, renewing

COMPONENT = EnableType.UPDATE_UNTRUSTED_COMPONENT
LIST = EnableType.UPDATE_REVOCATION_INFORMATION


class Way:
    """An automatic way that obtains nothing, and counts."""

    url = "http://127.0.0.1:9/components"

    def __init__(self, failure: DRMError | None = None) -> None:
        self.asked = 0
        self._failure = failure

    def obtain(self, enabler: ContentEnabler) -> tuple[LicensePath, bytes]:
        self.asked += 1
        for line in ("asking", "a.zip: 10 of 30 bytes", "a.zip: 30 of 30 bytes", "b.zip: 5 of 5 bytes"):
            enabler.progress(line)
        if self._failure is not None:
            raise self._failure
        return LicensePath.NONE, b""


class Watch:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.bytes: list[tuple[int, int]] = []
        self.renewals: list[Renewal] = []

    def refused(self, error: TrustError) -> None:
        self.said.append(error.code)

    def step(self, line: str) -> None:
        self.said.append(line)

    def received(self, got: int, total: int) -> None:
        self.bytes.append((got, total))

    def renewed(self, renewal: Renewal) -> None:
        self.renewals.append(renewal)


def refusal(kind: EnableType, way: Way | None, error: type[TrustError] = ComponentRevokedError) -> TrustError:
    made = error("av-decoder v1.0.0 is revoked", remedy="update")
    made.enabler_activate = EnablerActivation(EnablerActivate(kind, (), b"{}"), lambda _event: None, automatic=way)
    return made


class Maker:
    """Makes a session after it has failed with these errors, one at a call; then, or always, with the last."""

    def __init__(self, *errors: Callable[[], DRMError], for_ever: bool = False) -> None:
        self._errors = list(errors)
        self._for_ever = for_ever
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        assert self.calls < 10, "it goes on for ever"
        if self._errors:
            is_last = self._for_ever and len(self._errors) == 1
            error = self._errors[0] if is_last else self._errors.pop(0)
            raise error()
        return "a session"


def test_the_second_call_succeeds() -> None:
    way, watch = Way(), Watch()
    make = Maker(lambda: refusal(COMPONENT, way))
    assert renewing(make, watch, may_update=True) == "a session"
    assert (make.calls, way.asked) == (2, 1)
    assert watch.said == ["E-TRUST-REVOKED", "asking"]
    assert watch.bytes == [(10, 30), (30, 30), (5, 5)]
    assert [renewal.received for renewal in watch.renewals] == [35], "each file once, at its largest"


def test_a_renewal_that_does_not_help_is_done_once() -> None:
    way = Way()
    make = Maker(lambda: refusal(COMPONENT, way), for_ever=True)
    with pytest.raises(ComponentRevokedError):
        renewing(make, Watch(), may_update=True)
    assert (make.calls, way.asked) == (2, 1)


def test_the_metadata_first_and_then_the_components() -> None:
    lists, components = Way(), Way()
    make = Maker(lambda: refusal(LIST, lists, TrustAbsentError), lambda: refusal(COMPONENT, components))
    assert renewing(make, Watch(), may_update=True) == "a session"
    assert (lists.asked, components.asked) == (1, 1)


def test_what_runs_is_revoked_in_the_session_and_replaced_for_the_next() -> None:
    way = Way()
    make = Maker(lambda: RestartRequiredError("it runs and is revoked"), lambda: refusal(COMPONENT, way))
    assert renewing(make, Watch(), may_update=True) == "a session"
    assert way.asked == 1


def test_a_restart_that_does_not_help_is_one() -> None:
    make = Maker(lambda: RestartRequiredError("it runs and is revoked"), for_ever=True)
    with pytest.raises(RestartRequiredError):
        renewing(make, Watch(), may_update=True)
    assert make.calls == 2


@pytest.mark.parametrize("error", [lambda way: refusal(COMPONENT, way), lambda _way: RestartRequiredError("restart")],
                         ids=["revoked", "restart"])  # fmt: skip
def test_nobody_is_asked_who_may_not_be(error: Callable[[Way], DRMError]) -> None:
    way = Way()
    make = Maker(lambda: error(way))
    with pytest.raises(TrustError):
        renewing(make, Watch(), may_update=False)
    assert (make.calls, way.asked) == (1, 0)


def test_the_error_names_both_ways_out() -> None:
    with pytest.raises(TrustError) as raised:
        renewing(Maker(lambda: refusal(COMPONENT, Way())), Watch(), may_update=False)
    assert raised.value.remedy == "update, or play with --update-components"


def test_without_a_server_the_error_says_where_one_is_named() -> None:
    make = Maker(lambda: refusal(COMPONENT, None))
    with pytest.raises(ComponentRevokedError) as raised:
        renewing(make, Watch(), may_update=True)
    assert "CLEARKEY_COMPONENTS_URL" in raised.value.remedy
    assert make.calls == 1


def test_what_kept_the_update_from_succeeding_is_what_is_told() -> None:
    make = Maker(lambda: refusal(COMPONENT, Way(UpdateUnreachableError("no server"))))
    with pytest.raises(UpdateUnreachableError):
        renewing(make, Watch(), may_update=True)
    assert make.calls == 1


def test_other_failures_are_left_alone() -> None:
    make = Maker(lambda: DRMError("something else"))
    with pytest.raises(DRMError, match="something else"):
        renewing(make, Watch(), may_update=True)
    assert make.calls == 1
