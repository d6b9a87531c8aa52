"""Revocation as an application meets it: at creation, in the enabler's words and work, and by a license's wish."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drm.app.rights.content_enabler import ContentEnabler
from drm.app.rights.enabler import EnablerActivation
from drm.app.rights.managers import LicenseManager
from drm.app.server import PMPServer, create_pmp_server
from drm.app.session_configuration import SessionConfiguration
from drm.app.session_proxy import create_pmp_media_session
from drm.app.worker_configuration import WorkerConfiguration
from drm.class_ids import AV_DECODER
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.errors import TrustError
from drm.hresult import HResult
from drm.media import Scheme, TrackType
from drm.rights.enablers import EnableType, EnableURL, URLTrustStatus
from drm.rights.policy import Action, Policy
from drm.session.events import MediaEventType as E
from drm.trust.authority.revocation_list import encode_list
from drm.trust.errors import ComponentRevokedError, RollbackError
from drm.trust.renewal import RevokedComponent, parse_renewals
from tests.conformance.mfcreatemediasession.world import LIMIT, Stage, eventually
from tests.conformance.pmp_media_session.trusted_world import RenewingManager, SealingManager
from tests.publisher import Publisher, User, completed, in_memory, short_film
from tests.unit.app.components.raw_server import Server
from tests.unit.app.pmp import keys_of

KEYS = keys_of(9)
((KID, KEY),) = KEYS.items()


@pytest.fixture(scope="module")
def film() -> Path:
    path = in_memory() / "revocation.mp4"
    encrypt_file(short_film(), path, scheme=Scheme.CENC, tracks={TrackType.VIDEO: TrackEncryption(KID, KEY)})
    return path


@pytest.fixture
def revoked(publisher: Publisher) -> User:
    """Somebody whose decoder is revoked by its sha256, with another to take its place, and who knows the list."""
    user = publisher.user()
    publisher.publish_built_in("av_decoder", "1.0.1")
    publisher.revoke(sha256=(publisher.sha256(AV_DECODER),))
    user.supply().update(replacements=False)
    return user


def refused(user: User) -> ComponentRevokedError:
    with pytest.raises(ComponentRevokedError) as error:
        create_pmp_media_session(configuration=SessionConfiguration(trust=user.trust))
    return error.value


def enabler_of(error: TrustError) -> ContentEnabler:
    assert isinstance(error.enabler_activate, EnablerActivation)
    return error.enabler_activate.activate_object()


# ------------------------------------------------------------------------------------------------ a component
def test_mf_086_a_revoked_component_fails_creation_with_the_activation_of_its_enabler(revoked: User) -> None:
    error = refused(revoked)
    assert error.hresult == HResult.MF_E_COMPONENT_REVOKED == 0xC00D7151
    assert enabler_of(error).get_enable_type() is EnableType.UPDATE_UNTRUSTED_COMPONENT
    assert str(EnableType.UPDATE_UNTRUSTED_COMPONENT.value) == "9879f3d6-cee2-48e6-b573-9767ab172f16"
    assert "reads too far" in error.seen


def test_mf_086_a_list_that_names_nothing_at_hand_is_no_failure(publisher: Publisher) -> None:
    user = publisher.user()
    publisher.revoke(sha256=("00" * 32,))
    user.supply().update(replacements=False)
    with create_pmp_media_session(configuration=SessionConfiguration(trust=user.trust)) as session:
        report = session.protection_report.trust
        assert report is not None
        assert report.revocation_list == 2


def test_mf_087_the_enabler_names_the_component_the_reason_both_hashes_and_a_trusted_url(
    publisher: Publisher, revoked: User
) -> None:
    enabler = enabler_of(refused(revoked))
    renewals = parse_renewals(enabler.get_enable_data())
    (component,) = renewals.components
    assert component == RevokedComponent(
        reason=0x2000 | 0x1,
        header_hash=publisher_hash(revoked),
        public_key_hash=publisher.component_key,
        name="av-decoder",
        version="1.0.0",
        class_id=str(AV_DECODER),
        text="R-2-1: flaw, reads too far",
        replacement="1.0.1",
    )
    assert renewals.version == 0
    assert enabler.get_enable_url() == EnableURL(publisher.url, URLTrustStatus.TRUSTED)


def publisher_hash(user: User) -> str:
    """The sha256 of the decoder that lies in the store."""
    revocations = user.publisher.home.trust().revocations
    (sha256,) = revocations.entries[0].sha256
    assert sha256 in user.supply().store.archives()
    return sha256


def test_mf_087_a_component_without_a_replacement_says_so(publisher: Publisher) -> None:
    user = publisher.user()
    publisher.revoke(class_id=AV_DECODER, below="2.0")
    user.supply().update(replacements=False)
    error = refused(user)
    (component,) = parse_renewals(enabler_of(error).get_enable_data()).components
    assert (component.replacement, component.public_key_hash) == ("", publisher.component_key)
    assert "not renewable" in error.maybe
    _, end = completed(enabler_of(error))
    assert end.status == HResult.MF_E_GRL_RENEWAL_NOT_FOUND == 0xC00D7160
    assert refused(user).hresult == HResult.MF_E_COMPONENT_REVOKED


def test_mf_088_the_enabler_fetches_and_installs_and_the_second_creation_succeeds(
    publisher: Publisher, revoked: User
) -> None:
    enabler = enabler_of(refused(revoked))
    publisher.asked.clear()
    texts, end = completed(enabler)
    assert (end.status, end.error) == (HResult.S_OK, None)
    assert texts
    assert all(texts)
    assert any("av-decoder v1.0.1" in text for text in texts)
    archives = [path for path in publisher.asked if path.endswith(".zip")]
    assert [path.rsplit(".", 4)[1:4] for path in archives] == [["1", "0", "1"]], "what replaces it, and nothing else"
    with create_pmp_media_session(configuration=SessionConfiguration(trust=revoked.trust)) as session:
        report = session.protection_report.trust
        assert report is not None
        assert {c.name: c.version for c in report.components}["av-decoder"] == "1.0.1"
        assert report.revocation_list == 2


def test_mf_088_an_enabler_that_is_cancelled_says_so_and_leaves_all_as_it_was(revoked: User) -> None:
    """The server never answers: the way ends all the same, and the next creation gives another enabler."""
    with Server() as silent:
        silent.answers = [lambda peer: peer.sleep(60)]
        nowhere = User(revoked.publisher, revoked.store, repository=f"http://127.0.0.1:{silent.port}")
        enabler = enabler_of(refused(nowhere))
        enabler.automatic_enable()
        assert enabler.get_event(timeout=LIMIT).type == E.ENABLER_PROGRESS
        enabler.cancel()
        assert enabler.wait_completed().status == HResult.MF_E_OPERATION_CANCELLED
        eventually(lambda: not any(thread.name == "content-enabler" for thread in threading.enumerate()))
    again = enabler_of(refused(revoked))
    assert again is not enabler
    assert completed(again)[1].status == HResult.S_OK


# ------------------------------------------------------------------------------------------------ the list
@pytest.fixture
def stage(film: Path) -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(manager: object, **configuration: object) -> Stage:
        told = SessionConfiguration(content_protection_manager=manager, **configuration)  # type: ignore[arg-type]
        made.append(Stage(create_pmp_media_session(configuration=told), film))
        return made[-1]

    yield make
    for each in made:
        each.close()


DEMANDS_LIST_2 = Policy(actions=(Action.PLAY, Action.HASH), min_revocation_list=2)


def test_mf_090_a_list_that_is_too_old_and_cannot_be_renewed_ends_the_topology(
    publisher: Publisher, stage: Callable[..., Stage]
) -> None:
    """Nothing newer is published: the enabler is asked for once, and does not help."""
    manager = RenewingManager(KEYS, DEMANDS_LIST_2)
    at = stage(manager, trust=publisher.user().trust)
    at.session.set_topology(at.topology())
    end = at.until(E.SESSION_TOPOLOGY_SET)[-1]
    assert end.status == HResult.MF_E_GRL_VERSION_TOO_LOW == 0xC00D715F
    assert manager.kinds == [EnableType.LICENSE_ACQUISITION, EnableType.UPDATE_REVOCATION_INFORMATION]
    assert str(EnableType.UPDATE_REVOCATION_INFORMATION.value) == "e558b0b5-b3c4-44a0-924c-50d178932385"
    data = parse_renewals(manager.asked[1].get_enable_data())
    assert (data.list_demanded, data.list_held) == (2, 1)
    assert at.lines() == []


class Players(LicenseManager):
    """The player's own manager for all but licenses."""

    def begin_enable_content(self, activation: EnablerActivation, *others: Any) -> None:
        if activation.activate_object().get_enable_type() is EnableType.LICENSE_ACQUISITION:
            SealingManager(KEYS, DEMANDS_LIST_2).begin_enable_content(activation, *others)
        else:
            super().begin_enable_content(activation, *others)


def test_mf_090_a_list_that_is_too_old_and_comes_from_nowhere_ends_the_topology(
    publisher: Publisher, stage: Callable[..., Stage]
) -> None:
    """Nothing names a repository, so the enabler has no way of its own."""
    at = stage(Players(), trust=publisher.user(repository="").trust)
    at.session.set_topology(at.topology())
    end = at.until(E.SESSION_TOPOLOGY_SET)[-1]
    assert end.status == HResult.MF_E_GRL_VERSION_TOO_LOW
    assert end.error is not None
    assert end.error.remedy


def test_mf_090_the_enabler_of_the_manager_renews_the_list_and_the_session_plays(
    publisher: Publisher, stage: Callable[..., Stage]
) -> None:
    manager = RenewingManager(KEYS, DEMANDS_LIST_2)
    at = stage(manager, trust=publisher.user().trust)
    publisher.revoke(sha256=("00" * 32,))
    assert at.session.protection_report.trust.revocation_list == 1
    at.set()
    assert manager.kinds == [EnableType.LICENSE_ACQUISITION, EnableType.UPDATE_REVOCATION_INFORMATION]
    assert at.session.protection_report.trust.revocation_list == 2, "the report tells of the list in force"
    at.to_the_end()
    assert sum(line.startswith("0,") for line in at.lines()) == 30


def test_mf_090_a_list_that_is_new_enough_is_not_renewed(publisher: Publisher, stage: Callable[..., Stage]) -> None:
    publisher.revoke(sha256=("00" * 32,))
    manager = RenewingManager(KEYS, DEMANDS_LIST_2)
    at = stage(manager, trust=publisher.user().trust)
    at.set()
    assert manager.kinds == [EnableType.LICENSE_ACQUISITION]


@pytest.fixture
def kept(publisher: Publisher) -> Iterator[tuple[User, PMPServer]]:
    user = publisher.user()
    with create_pmp_server(WorkerConfiguration(trust=user.trust)) as server:
        yield user, server


def test_mf_090_a_list_with_a_lower_number_than_one_seen_is_refused(
    publisher: Publisher, kept: tuple[User, PMPServer]
) -> None:
    """Even one that the authority signs anew, in metadata with higher numbers: what counts is what was revoked."""
    user, server = kept
    in_server = SessionConfiguration(server_context=server)
    first = publisher.home.trust().revocations
    publisher.revoke(sha256=("00" * 32,))
    user.supply().update()
    with create_pmp_media_session(configuration=in_server):
        pass
    user.install(publisher.sign(lambda repository: repository.set_list(encode_list(1, publisher.now, first.entries))))
    with pytest.raises(RollbackError) as rolled_back:
        create_pmp_media_session(configuration=in_server)
    assert rolled_back.value.hresult == HResult.MF_E_GRL_INVALID_FORMAT
    assert "list 1 is offered where list 2 was seen" in rolled_back.value.what
    user.install()
    with create_pmp_media_session(configuration=in_server) as session:
        assert session.pid == server.pid, "the process goes on, with the list that it has"
