"""Classes that nobody listed: refused in a protected worker before a line of them runs, made in an unprotected one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from drm.app.host_proxy import HostProxy
from drm.app.session_configuration import PMPSessionFlags, SessionConfiguration
from drm.app.session_proxy import create_pmp_media_session
from drm.errors import TrustError, UnknownComponentError
from drm.hresult import HResult
from drm.session.services import Service
from drm.trust.authority.source_folder import archive_of
from tests.publisher import MARKED, UNLISTED, Publisher, User, ran, write_marked


@pytest.fixture
def unlisted(tmp_path: Path) -> Path:
    return write_marked(tmp_path / "unlisted", name="unlisted", class_id=UNLISTED)


@pytest.fixture
def user(publisher: Publisher, unlisted: Path) -> User:
    """Somebody whose store holds a listed component that tells what ran, and a whole archive that nobody listed."""
    publisher.publish_marked()
    user = publisher.user()
    user.put(archive_of(unlisted))
    return user


@pytest.fixture
def host(user: User) -> Iterator[HostProxy]:
    with create_pmp_media_session(configuration=SessionConfiguration(trust=user.trust)) as session:
        yield session.get_service(Service.PMP_SERVICE)


def test_mf_077_a_protected_worker_refuses_a_class_that_nobody_listed_and_never_imports_it(host: HostProxy) -> None:
    for _ in range(2):
        with pytest.raises(TrustError) as refused:
            host.create_object(UNLISTED, b"{}")
        assert refused.value.hresult == HResult.MF_E_SIGNATURE_VERIFICATION_FAILED == 0xC00D715C
    assert ran(host, MARKED) == ["marked-1.0.0"]


def test_mf_077_once_it_is_listed_the_same_class_is_made_and_runs(
    publisher: Publisher, user: User, unlisted: Path
) -> None:
    """Or the test above would hold for a worker that makes nothing at all."""
    publisher.publish(unlisted)
    user.install()
    with create_pmp_media_session(configuration=SessionConfiguration(trust=user.trust)) as session:
        assert ran(session.get_service(Service.PMP_SERVICE), UNLISTED) == ["unlisted-1.0.0"]


def test_mf_077_a_class_that_is_not_even_at_hand_is_not_registered(host: HostProxy) -> None:
    """There is nothing to be refused: REGDB_E_CLASSNOTREG, as for any other id."""
    with pytest.raises(UnknownComponentError):
        host.create_object(UUID(int=1))


def test_mf_077_an_unprotected_worker_makes_it(unlisted: Path) -> None:
    told = SessionConfiguration(components=(unlisted,))
    with create_pmp_media_session(PMPSessionFlags.UNPROTECTED_PROCESS, told) as session:
        assert ran(session.get_service(Service.PMP_SERVICE), UNLISTED) == ["unlisted-1.0.0"]
        assert session.protection_report.trust is None
