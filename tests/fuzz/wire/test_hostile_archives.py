"""Archives that lie, signed or swapped, in front of a real worker: no line of them runs, and what runs was hashed."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from drm.app.session_configuration import SessionConfiguration
from drm.app.session_proxy import create_pmp_media_session
from drm.errors import TrustError
from drm.hresult import HResult
from drm.session.services import Service
from drm.trust.authority.source_folder import archive_of
from drm.trust.manifest import DESCRIPTION
from tests.publisher import MARKED, UNLISTED, Publisher, User, ran, write_marked

REFUSED = HResult.MF_E_SIGNATURE_VERIFICATION_FAILED


def _renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    assert data.count(old) == 2  # its own header, and the directory
    return data.replace(old, new)


def _declared(data: bytes, size: int) -> bytes:
    """The last member says that it has so many bytes."""
    at = data.rindex(b"PK\x03\x04")
    return data[: at + 18] + struct.pack("<II", size, size) + data[at + 26 :]


ARCHIVES: dict[str, Callable[[bytes], bytes]] = {
    "leads out": lambda data: _renamed(data, b"part.py", b"../a.py"),
    "leads out further in": lambda data: _renamed(data, b"part.py", b"a/../.b"),
    "absolute": lambda data: _renamed(data, b"part.py", b"/aaa.py"),
    "twice": lambda data: _renamed(data, b"parx.py", b"part.py"),
    "a gigabyte": lambda data: _declared(data, 1 << 30),
    "four gigabytes": lambda data: _declared(data, 0xFFFF_FFFF),
    "bytes behind": lambda data: data + b"x",
    "bytes before": lambda data: b"x" + data,
    "cut short": lambda data: data[:-1],
    "empty": lambda data: b"PK\x05\x06" + bytes(18),
    "no archive": lambda data: b"import os\n" * 20,
}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = write_marked(tmp_path / "unlisted", name="unlisted", class_id=UNLISTED)
    (folder / "parx.py").write_text("")
    return folder


@pytest.fixture
def user(publisher: Publisher) -> User:
    """His store holds a listed component that tells what ran."""
    publisher.publish_marked()
    return publisher.user()


def made_of(user: User, class_id: UUID) -> list[str] | TrustError:
    """Make an object of this class in a new worker: the error, or what ran. The control runs in the same worker."""
    with create_pmp_media_session(configuration=SessionConfiguration(trust=user.trust)) as session:
        host = session.get_service(Service.PMP_SERVICE)
        try:
            return ran(host, class_id)
        except TrustError as error:
            assert ran(host, MARKED) == ["marked-1.0.0"], "something ran before it was refused"
            return error


@pytest.mark.parametrize("spoil", ARCHIVES)
def test_a_signed_archive_in_another_form_is_refused_before_any_of_it_runs(
    publisher: Publisher, user: User, hostile: Path, spoil: str
) -> None:
    data = ARCHIVES[spoil](archive_of(hostile))
    user.install(publisher.sign_archive(data, (hostile / DESCRIPTION).read_bytes()))
    user.put(data)
    began = time.monotonic()
    error = made_of(user, UNLISTED)
    assert isinstance(error, TrustError)
    assert error.hresult == REFUSED
    assert time.monotonic() - began < 10


def test_the_same_archive_in_its_own_form_runs(publisher: Publisher, user: User, hostile: Path) -> None:
    data = archive_of(hostile)
    user.install(publisher.sign_archive(data, (hostile / DESCRIPTION).read_bytes()))
    user.put(data)
    assert made_of(user, UNLISTED) == ["unlisted-1.0.0"]


def test_an_archive_that_calls_itself_another_class_than_its_listing_is_refused_as_both(
    publisher: Publisher, user: User, hostile: Path
) -> None:
    data, other = archive_of(hostile), UUID(int=UNLISTED.int + 7)
    described = (hostile / DESCRIPTION).read_bytes().replace(str(UNLISTED).encode(), str(other).encode())
    user.install(publisher.sign_archive(data, described))
    user.put(data)
    error = made_of(user, other)
    assert isinstance(error, TrustError)
    assert error.hresult == REFUSED
    assert "something else of itself" in error.what
    with create_pmp_media_session(configuration=SessionConfiguration(trust=user.trust)) as session:
        host = session.get_service(Service.PMP_SERVICE)
        with pytest.raises(Exception, match="class id"):
            host.create_object(UNLISTED, b"{}")
        assert ran(host, MARKED) == ["marked-1.0.0"]


def test_what_runs_is_what_was_hashed_though_the_store_is_swapped_in_between(
    publisher: Publisher, user: User, tmp_path: Path
) -> None:
    """Components are imported when they are needed, which may be long after they were verified."""
    blob = user.store / "blobs" / publisher.sha256(MARKED)
    other = archive_of(write_marked(tmp_path / "other", mark="swapped"))
    with create_pmp_media_session(configuration=SessionConfiguration(trust=user.trust)) as session:
        blob.unlink()
        blob.write_bytes(other)
        assert ran(session.get_service(Service.PMP_SERVICE)) == ["marked-1.0.0"]
    with create_pmp_media_session(configuration=SessionConfiguration(trust=user.trust)) as session:
        with pytest.raises(TrustError) as refused:
            session.get_service(Service.PMP_SERVICE).create_object(MARKED, b"{}")
        assert refused.value.hresult == REFUSED, "a new worker sees the swap"
