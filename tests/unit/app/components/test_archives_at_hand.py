"""Which archives come, stay and go: mislisted ones, large ones, and those that a server does not give."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest
from tuf.api.exceptions import DownloadHTTPError

from drm.errors import TrustError, UpdateHttpError
from drm.trust.authority.publishing import publish
from drm.trust.authority.revoking import revoke
from drm.trust.authority.source_folder import archive_of
from drm.trust.authority.staged_repository import StagedRepository
from drm.trust.component_archive import MAX_TOGETHER, read_component
from drm.trust.entry import facts_of, target_path
from drm.trust.errors import ComponentDamagedError, ComponentRevokedError
from drm.trust.revocations import Reason, Revocation
from drm.trust.verifier import COMPONENTS

CLASS = UUID("0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111")


def other_class(number: int) -> str:
    return f"1c9f1f0e-6f5e-4c8a-9d38-51f2a6f0c{number:03}"


def mislist(home, source, version: str) -> None:
    """Publish an archive as another version than it says it is: no tool of ours does that."""
    tree = home.trees.stage(home.trees.number() + 1, lambda path: True)
    repository = StagedRepository(tree, home.keys, home.lifetimes, home.now)
    data = archive_of(source)
    facts = msgspec.to_builtins(facts_of(read_component(data, "a test").manifest)) | {"version": version}
    with repository.edit_targets(COMPONENTS) as listed:
        repository.add_archive(target_path(CLASS, version), data, facts, listed)
    repository.finish()
    home.trees.show(home.trees.number() + 1)


# ---------------------------------------------------------------------------------------------------------- mislisted
def test_a_mislisted_archive_is_passed_over_and_fetched_once(home, installation, component):
    publish(home, [component("0.9.0"), component()])
    mislist(home, component("1.0.1"), "2.0.0")
    assert [entry.version for entry in installation.update().downloaded] == ["1.0.0"]
    assert installation.version() == "1.0.0"
    installation.server.asked.clear()
    assert installation.update().downloaded == ()
    assert not installation.server.archives, "it is not fetched each time"
    assert installation.version() == "1.0.0"


def test_a_mislisted_archive_does_not_stop_what_runs(home, installation, component):
    publish(home, [component()])
    installation.update()
    mislist(home, component("1.0.1"), "2.0.0")
    installation.update()
    assert installation.version() == "1.0.0"


def test_a_mislisted_archive_alone_is_refused_by_name(home, installation, component):
    mislist(home, component("1.0.1"), "2.0.0")
    installation.update()
    with pytest.raises(ComponentDamagedError, match="something else of itself"):
        installation.version()


# -------------------------------------------------------------------------------------------------------------- large
def large(source, megabytes: float):
    for number in range(int(megabytes)):
        (source / f"data{number}.py").write_text(f"# {source.name} {number}\n".ljust((1 << 20) - 512, "#"))
    return source


def test_large_archives_are_fetched_once_and_run(home, installation, component):
    for patch in range(5):
        publish(home, [large(component(f"1.0.{patch}"), 13)])
        assert [entry.version for entry in installation.update().downloaded] == [f"1.0.{patch}"]
        assert installation.version() == f"1.0.{patch}"
        installation.server.asked.clear()
        assert installation.update().downloaded == ()
        assert not installation.server.archives
    sizes = [path.stat().st_size for path in (installation.store.folder / "blobs").iterdir()]
    assert sum(sizes) <= MAX_TOGETHER
    revoke(home, Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("1.0.4",)))
    installation.update()
    assert installation.version() == "1.0.3"


def test_more_than_a_worker_takes_is_refused_where_it_is_published(home, component):
    names = [(f"large-{number}", other_class(number)) for number in range(4)]
    publish(home, [large(component(name=name, class_id=class_id), 11) for name, class_id in names])
    with pytest.raises(TrustError, match="more than"):
        publish(home, [large(component("2.0.0", name="one-more", class_id=other_class(9)), 11)])
    assert len(home.trust().components) == 4


# ------------------------------------------------------------------------------------------------- what does not come
def test_a_replacement_that_the_server_does_not_have_is_named(home, installation, component):
    publish(home, [component()])
    installation.update()
    publish(home, [component("1.1.0")])
    installation.server.instead[".1.1.0.zip"] = DownloadHTTPError("gone", 404)
    with pytest.raises(UpdateHttpError) as missing:
        installation.update()
    assert "null-sink v1.1.0" in missing.value.what
    assert "repository at this address" not in missing.value.render()
    assert installation.version() == "1.0.0"
    revoke(home, Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("1.0.0",)))
    with pytest.raises(UpdateHttpError) as stuck:
        installation.update()
    assert "goes on working" not in stuck.value.render()
    assert "null-sink v1.0.0 is revoked, and does not run until its replacement is here" in stuck.value.render()
    with pytest.raises(ComponentRevokedError):
        installation.version()
