"""A worker that is kept, and what is revoked while it lives: what plays plays on, and nothing new begins there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing

import pytest

from drm.app.server import PMPServer, create_pmp_server
from drm.app.session_configuration import SessionConfiguration
from drm.app.session_proxy import MediaSessionProxy, create_pmp_media_session
from drm.app.worker_configuration import WorkerConfiguration
from drm.class_ids import AV_DECODER
from drm.errors import RestartRequiredError
from drm.hresult import HResult
from drm.session.events import MediaEventType as E
from drm.trust.errors import ComponentRevokedError, RollbackError, TrustAbsentError
from tests.conformance.mfcreatemediasession.world import Stage
from tests.publisher import MARKED, Publisher, User, short_film


@pytest.fixture
def user(publisher: Publisher) -> User:
    return publisher.user()


@pytest.fixture
def server(user: User) -> Iterator[PMPServer]:
    with create_pmp_server(WorkerConfiguration(trust=user.trust)) as made:
        yield made


def session_in(server: PMPServer) -> MediaSessionProxy:
    return create_pmp_media_session(configuration=SessionConfiguration(server_context=server))


def session_of(user: User) -> MediaSessionProxy:
    return create_pmp_media_session(configuration=SessionConfiguration(trust=user.trust))


def test_what_plays_goes_on_to_its_end_and_new_sessions_are_refused(
    publisher: Publisher, user: User, server: PMPServer
) -> None:
    with closing(Stage(session_in(server), short_film())) as at:
        at.playing()
        at.session.pause()  # until the update is through, however long that takes here
        at.until(E.SESSION_PAUSED)
        publisher.publish_built_in("av_decoder", "1.0.1")
        publisher.revoke(class_id=AV_DECODER, versions=("1.0.0",))
        user.supply().update(replacements=False)
        for _ in range(2):
            with pytest.raises(RestartRequiredError) as refused:
                session_in(server)
            assert refused.value.hresult == HResult.MF_E_PROCESS_RESTART_REQUIRED == 0xC00D716D
            assert "av-decoder v1.0.0" in refused.value.seen
            assert refused.value.enabler_activate is None, "nothing that is fetched helps this process"
        at.session.start()
        end = at.until(E.SESSION_ENDED)[-1]
        assert end.status == HResult.S_OK
        assert end.values["sink0.frames"] > 30, "every picture, and the sound"
    with pytest.raises(ComponentRevokedError):
        session_of(user)
    user.supply().update()
    with session_of(user) as session:
        assert session.pid != server.pid
    with pytest.raises(RestartRequiredError):
        session_in(server)  # what it has loaded stays loaded, whatever lies in the store now


def test_a_component_that_nothing_plays_with_counts_too(publisher: Publisher, user: User, server: PMPServer) -> None:
    """Anybody may ask for it by its class id. Where it was never loaded, its revocation does not matter."""
    publisher.publish_marked()
    user.install()
    with create_pmp_server(WorkerConfiguration(trust=user.trust)) as later:
        publisher.revoke(sha256=(publisher.sha256(MARKED),))
        user.supply().update(replacements=False)
        with pytest.raises(RestartRequiredError) as refused:
            session_in(later)
        assert "marked v1.0.0" in refused.value.seen
        with session_in(server) as session:
            assert session.pid == server.pid


def test_older_metadata_is_refused_by_its_timestamp_alone(publisher: Publisher, user: User, server: PMPServer) -> None:
    before = publisher.files()
    publisher.publish_marked()  # the same list of revocations, under a newer timestamp
    user.install()
    with session_in(server):
        pass
    user.install(before)
    with pytest.raises(RollbackError, match="timestamp"):
        session_in(server)
    with session_of(user):
        pass  # control: a new worker has seen nothing newer
    user.install()
    with session_in(server) as session:
        assert session.pid == server.pid


def test_metadata_that_is_gone_does_not_make_a_worker_forget(
    publisher: Publisher, user: User, server: PMPServer
) -> None:
    shutil.rmtree(user.store / "generations")
    with pytest.raises(TrustAbsentError):
        session_in(server)
    user.install()
    with session_in(server):
        pass


def test_a_snapshot_that_has_not_changed_costs_no_message(publisher: Publisher, user: User, server: PMPServer) -> None:
    def calls() -> int:
        before = server.link._calls
        session_in(server).shutdown()
        return server.link._calls - before

    usual = calls()
    assert [calls() for _ in range(3)] == [usual] * 3
    publisher.publish_marked()
    user.install()
    assert calls() == usual + 1, "what is new is handed over once"
    assert calls() == usual
