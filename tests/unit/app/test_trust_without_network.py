"""What a session says of its components, and what licenses make of it: offline for a year, edited, signed by a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from drm.app.components.trust import ComponentTrust
from drm.app.session_configuration import PMPSessionFlags, SessionConfiguration
from drm.app.session_proxy import MediaSessionProxy, create_pmp_media_session
from drm.class_ids import DISCARD_SINK
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.hresult import HResult
from drm.media import Scheme, TrackType
from drm.protection import TrustReport
from drm.rights.enablers import EnableType
from drm.rights.policy import Action, Policy
from drm.session.events import MediaEventType as E
from drm.session.services import Service
from drm.trust.renewal import parse_renewals
from tests.conformance.mfcreatemediasession.world import Stage
from tests.conformance.pmp_media_session.trusted_world import RenewingManager
from tests.publisher import MARKED, Publisher, in_memory, of_built_in, ran, short_film, write_marked
from tests.unit.app.pmp import keys_of

KEYS = keys_of(8)
((KID, KEY),) = KEYS.items()
NOWHERE = "http://127.0.0.1:1/components"  # where nobody listens
LICENSE, LIST = EnableType.LICENSE_ACQUISITION, EnableType.UPDATE_REVOCATION_INFORMATION
DAY = 86_400


@pytest.fixture(scope="module")
def film() -> Path:
    path = in_memory() / "without-network.mp4"
    encrypt_file(short_film(), path, scheme=Scheme.CENC, tracks={TrackType.VIDEO: TrackEncryption(KID, KEY)})
    return path


@pytest.fixture
def stage(film: Path) -> Iterator[Callable[..., Stage]]:
    """Makes a session whose licenses have these rules; its manager is `asked` what it was."""
    made: list[Stage] = []

    def make(rules: Policy, trust: ComponentTrust, flags: int = 0, **more: object) -> Stage:
        manager = RenewingManager(KEYS, msgspec.structs.replace(rules, actions=(Action.PLAY, Action.HASH)))
        told = SessionConfiguration(content_protection_manager=manager, trust=trust, **more)  # type: ignore[arg-type]
        made.append(Stage(create_pmp_media_session(PMPSessionFlags(flags), told), film))
        made[-1].manager = manager  # type: ignore[attr-defined]
        return made[-1]

    yield make
    for each in made:
        each.close()


def report_of(session: MediaSessionProxy) -> TrustReport:
    found = session.protection_report.trust
    assert found is not None
    return found


def ends_with(at: Stage) -> int:
    """How setting the topology ends."""
    at.session.set_topology(at.topology())
    return at.outcome(E.SESSION_TOPOLOGY_SET)


# ------------------------------------------------------------------------------------------------ offline
@pytest.mark.parametrize(("days", "freshness"), [(0, "fresh"), (10, "stale"), (400, "expired")])
def test_a_session_is_made_and_plays_however_old_its_metadata_is(
    stage: Callable[..., Stage], days: int, freshness: str
) -> None:
    user = Publisher(days_ago=days).user(repository=NOWHERE)
    at = stage(Policy(), user.trust)
    assert report_of(at.session).freshness == freshness
    at.set()
    at.to_the_end()
    assert sum(line.startswith("0,") for line in at.lines()) == 30


DEMANDS = {"age": Policy(max_revocation_age=DAY), "fresh": Policy(allow_stale=False)}
UNREACHABLE = 0x80072EFD


@pytest.mark.parametrize("demand", DEMANDS)
@pytest.mark.parametrize("days", [10, 400])
def test_a_license_that_wants_a_list_of_today_is_not_used_with_an_old_one(
    stage: Callable[..., Stage], demand: str, days: int
) -> None:
    user = Publisher(days_ago=days).user(repository=NOWHERE)
    at = stage(DEMANDS[demand], user.trust)
    assert ends_with(at) == UNREACHABLE, "why it cannot be renewed"
    assert at.manager.kinds == [LICENSE, LIST]
    assert parse_renewals(at.manager.asked[1].get_enable_data()).list_held == 1
    assert at.lines() == []


@pytest.mark.parametrize("demand", DEMANDS)
def test_the_same_license_is_used_with_a_list_of_today(stage: Callable[..., Stage], demand: str) -> None:
    at = stage(DEMANDS[demand], Publisher().user(repository=NOWHERE).trust)
    assert ends_with(at) == HResult.S_OK
    assert at.manager.kinds == [LICENSE]


def test_the_applications_word_makes_no_old_list_young(stage: Callable[..., Stage]) -> None:
    """It says when a server last confirmed the metadata; no server confirms what has expired."""
    publisher = Publisher(days_ago=400)
    user = publisher.user(repository=NOWHERE)
    files = publisher.files()
    publisher.now = Publisher().now
    user.install(files)  # with the moment of now beside it
    at = stage(DEMANDS["age"], user.trust)
    assert report_of(at.session).freshness == "expired"
    assert ends_with(at) == UNREACHABLE


# ------------------------------------------------------------------------------------------------ test-signed
TAKES_NO_TEST = Policy(allow_test_signed=False)


def test_a_root_that_the_application_hands_over_makes_everything_test_signed(
    publisher: Publisher, stage: Callable[..., Stage]
) -> None:
    trust = publisher.user().trust
    at = stage(TAKES_NO_TEST, trust)
    report = report_of(at.session)
    assert report.signed == "test-signed"
    assert {component.state for component in report.components} == {"test-signed"}
    assert {component.signer for component in report.components} == {publisher.component_key}
    assert ends_with(at) == HResult.MF_E_TEST_SIGNED_COMPONENTS_NOT_ALLOWED == 0xC00D7179
    assert at.manager.kinds == [LICENSE], "no renewal mends that"
    assert at.lines() == []
    assert ends_with(stage(Policy(), trust)) == HResult.S_OK


def test_the_next_session_runs_the_edit_and_says_test_signed(tmp_path: Path, stage: Callable[..., Stage]) -> None:
    folder = write_marked(tmp_path / "marked", mark="as-written")
    trust = ComponentTrust()  # a checkout's

    def marks() -> list[str]:
        with create_pmp_media_session(configuration=SessionConfiguration(components=(folder,))) as session:
            assert report_of(session).signed == "test-signed"
            return ran(session.get_service(Service.PMP_SERVICE), MARKED)

    assert marks() == ["as-written"]
    assert marks() == ["as-written"]
    text = (folder / "part.py").read_text()
    (folder / "part.py").write_text(text.replace("as-written", "edited"))
    assert marks() == ["edited"], "under the same version"
    at = stage(TAKES_NO_TEST, trust, components=(folder,))
    assert ends_with(at) == HResult.MF_E_TEST_SIGNED_COMPONENTS_NOT_ALLOWED


def test_an_edited_copy_of_a_released_component_runs_in_its_place_under_a_higher_version(
    publisher: Publisher, tmp_path: Path
) -> None:
    copy = of_built_in("discard_sink", tmp_path / "copy", "1.0.1")
    text = (copy / "sink.py").read_text()
    assert 'return {"frames": self._frames}' in text
    (copy / "sink.py").write_text(text.replace('{"frames": self._frames}', '{"frames": -7}'))
    told = SessionConfiguration(trust=publisher.user().trust, components=(copy,))
    at = Stage(create_pmp_media_session(configuration=told), short_film())
    try:
        versions = {each.class_id: each.version for each in report_of(at.session).components}
        assert versions[str(DISCARD_SINK)] == "1.0.1"
        at.set(at.in_time())
        assert at.to_the_end()[-1].values["sink0.frames"] == -7
    finally:
        at.close()


# ------------------------------------------------------------------------------------------------ unprotected
def test_an_unprotected_worker_runs_what_nobody_signed_and_gets_no_keys(
    tmp_path: Path, stage: Callable[..., Stage]
) -> None:
    folder = write_marked(tmp_path / "marked")
    at = stage(Policy(), ComponentTrust(), PMPSessionFlags.UNPROTECTED_PROCESS, components=(folder,))
    assert ran(at.session.get_service(Service.PMP_SERVICE)) == ["marked-1.0.0"]
    assert at.session.protection_report.trust is None
    assert ends_with(at) == HResult.MF_E_NON_PE_PROCESS
    assert at.manager.asked == [], "no license request left"
    assert at.lines() == []
