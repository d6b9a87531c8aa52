"""Updates against a real authority: what they install, in which order, and what they leave when they fail."""

from __future__ import annotations

import hashlib
import socket
from datetime import timedelta
from uuid import UUID

import pytest
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError

from drm.app.components.fetch_errors import (
    FetchCancelledError,
    FetchRefusedError,
    FetchTruncatedError,
    FetchUnreachableError,
)
from drm.app.components.fetcher import ComponentFetcher
from drm.app.components.generation import Generation
from drm.app.components.store import ComponentStore
from drm.app.components.updater import update_components
from drm.errors import DRMError, StorageError, StoreBusyError, TrustError
from drm.trust.authority.component_folder import archive_of
from drm.trust.authority.published import stored_files
from drm.trust.authority.publishing import publish
from drm.trust.authority.revoking import revoke
from drm.trust.authority.rotating import rotate
from drm.trust.errors import ComponentRevokedError, MetadataError, NotRenewableError
from drm.trust.revocations import Reason, Revocation

CLASS = UUID("0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111")
OTHER = "1c9f1f0e-6f5e-4c8a-9d38-51f2a6f0c222"
ZIP_1_1 = ".1.1.0.zip"


class ResetError(DownloadError, ConnectionResetError):
    """What a network library raises is often an OSError too, and is not the disk's fault for that."""


def revoked(home, *versions):
    revoke(home, Revocation(id="-", reason=Reason.FLAW, text="reads too far", class_id=CLASS, versions=versions))


# ------------------------------------------------------------------------------------------- what an update installs
def test_a_first_update_installs_what_is_published(home, installation, component):
    publish(home, [component()])
    assert not installation.store.folder.exists()
    lines = []
    result = installation.update(progress=lines.append)
    assert (result.generation, result.changed) == (1, True)
    assert [entry.version for entry in result.downloaded] == ["1.0.0"]
    assert installation.version() == "1.0.0"
    assert installation.is_tidy()
    assert any("null-sink v1.0.0" in line for line in lines)
    assert installation.store.folder.stat().st_mode & 0o777 == 0o700


def test_only_the_best_version_of_each_component_is_downloaded(home, installation, component):
    publish(home, [component(), component("1.1.0"), component("2.0.0", name="other-sink", class_id=OTHER)])
    result = installation.update()
    assert sorted(entry.version for entry in result.downloaded) == ["1.1.0", "2.0.0"]
    assert installation.version() == "1.1.0"
    assert installation.version(OTHER) == "2.0.0"
    assert installation.update(api=2).downloaded == ()


def test_a_refresh_of_what_is_current_asks_for_two_files_and_installs_nothing(home, installation, component, clock):
    publish(home, [component()])
    installation.update()
    before = installation.store.read()
    installation.server.asked.clear()
    later = clock.now + timedelta(hours=1)
    result = installation.update(now=lambda: later)
    assert (result.generation, result.changed, result.downloaded) == (1, False, ())
    assert installation.server.asked == ["/metadata/2.root.json", "/metadata/timestamp.json"]
    after = installation.store.read()
    assert after.files == before.files
    assert after.refreshed == later.timestamp()
    assert before.refreshed < later.timestamp()


def test_a_revoked_component_is_replaced(home, installation, component):
    publish(home, [component()])
    installation.update()
    publish(home, [component("1.1.0")])
    revoked(home, "1.0.0")
    result = installation.update()
    assert result.trust.revocations.version == 2
    assert installation.version() == "1.1.0"
    assert len(installation.store.archives()) == 2  # a reader may be in the generation before
    installation.update()
    assert len(installation.store.archives()) == 1


def test_the_list_is_in_force_before_the_replacement_is_asked_for(home, installation, component):
    publish(home, [component()])
    installation.update()
    publish(home, [component("1.1.0")])
    revoked(home, "1.0.0")
    installation.server.instead[ZIP_1_1] = DownloadHTTPError("not for you", 403)
    with pytest.raises(DRMError) as failed:
        installation.update()
    assert failed.value.hresult == 0x80190193
    with pytest.raises(ComponentRevokedError, match=r"v1\.0\.0 is revoked"):
        installation.version()
    installation.server.instead.clear()
    installation.update()
    assert installation.version() == "1.1.0"


def test_nothing_replaces_what_is_revoked(home, installation, component):
    publish(home, [component()])
    installation.update()
    revoked(home, "1.0.0")
    for _ in range(3):  # it goes on being revoked, and is not forgotten
        with pytest.raises(NotRenewableError) as stuck:
            installation.update()
        assert stuck.value.hresult == 0xC00D7160
        assert "reads too far" in stuck.value.seen
        assert installation.trust().revocations.version == 2
        with pytest.raises(ComponentRevokedError) as refused:
            installation.version()
        assert not refused.value.is_renewable
    publish(home, [component("1.1.0")])
    installation.update()
    assert installation.version() == "1.1.0"


def test_a_list_alone_can_be_refreshed(home, installation, component):
    publish(home, [component()])
    assert installation.update(replacements=False).downloaded == ()
    assert not installation.store.archives()
    installation.update()
    publish(home, [component("1.1.0")])
    revoked(home, "1.0.0")
    installation.server.asked.clear()
    installation.update(replacements=False)
    assert not installation.server.archives
    with pytest.raises(ComponentRevokedError):
        installation.version()


def test_what_came_with_the_package_is_not_downloaded(home, installation, component):
    source = component()
    publish(home, [source])
    data = archive_of(source)
    bundled = {hashlib.sha256(data).hexdigest(): data}
    base = Generation(0, stored_files(home.trees.shown), None)
    result = installation.update(base=base, present=lambda: bundled)
    assert result.downloaded == ()
    # The bundle is the beginning: its metadata is not asked for again.
    assert installation.server.asked == ["/metadata/2.root.json", "/metadata/timestamp.json"]
    assert not installation.store.archives()
    damaged = {name: data[:-1] for name, data in bundled.items()}
    assert [entry.version for entry in installation.update(present=lambda: damaged).downloaded] == ["1.0.0"]


def test_a_bundled_component_that_nothing_replaces(home, installation, component):
    source = component()
    publish(home, [source])
    data = archive_of(source)
    revoked(home, "1.0.0")
    with pytest.raises(NotRenewableError):
        installation.update(present=lambda: {hashlib.sha256(data).hexdigest(): data})


def test_three_generations_are_kept_and_no_archive_without_use(home, installation, component):
    for patch in range(6):
        publish(home, [component(f"1.0.{patch}")])
        installation.update()
    kept = sorted(path.name for path in (installation.store.folder / "generations").iterdir())
    assert kept == ["4", "5", "6"]
    (installation.store.folder / "blobs" / "note.txt").write_text("not ours")
    (installation.store.folder / "blobs" / ("0" * 64)).mkdir()
    installation.update()
    assert len(installation.store.archives()) == 3  # all are listed; the best is run
    assert len(list((installation.store.folder / "blobs").iterdir())) == 3
    assert installation.version() == "1.0.5"
    revoked(home, "1.0.5")
    installation.server.asked.clear()
    installation.update()
    assert installation.version() == "1.0.4"
    assert not installation.server.archives  # it was in reserve
    revoked(home, *(f"1.0.{patch}" for patch in range(4)))
    installation.update()
    installation.update()
    assert len(installation.store.archives()) == 1


# -------------------------------------------------------------------------------------------------- package and store
def test_the_newer_metadata_wins_whether_it_came_with_the_package_or_not(home, installation, component):
    publish(home, [component()])
    old_package = Generation(0, stored_files(home.trees.shown), None)
    installation.update()
    stored = installation.store.read()
    assert stored.order == old_package.order
    publish(home, [component("1.1.0")])
    new_package = Generation(0, stored_files(home.trees.shown), None)
    assert max(new_package, stored, key=lambda g: g.order) is new_package  # the package was upgraded, offline
    installation.update(base=new_package)
    stored = installation.store.read()
    assert max(old_package, stored, key=lambda g: g.order) is stored  # and downgraded
    assert stored.order > old_package.order
    # An update with an old package does not go back, and one that begins with a newer one is no roll-back.
    assert not installation.update(base=old_package).changed


def test_a_package_that_pins_an_older_root_finds_the_roots_in_between(home, installation, component):
    publish(home, [component()])
    first_pin = installation.pinned_root
    rotate(home, "root")
    installation.pinned_root = (home.trees.shown / "metadata/2.root.json").read_bytes()
    files = stored_files(home.trees.shown)
    installation.update(base=Generation(0, files, None))
    installation.pinned_root = first_pin
    assert installation.version() == "1.0.0"


# -------------------------------------------------------------------------------------------------------------- faults
@pytest.mark.parametrize(
    ("fault", "hresult", "exit_code"),
    [
        (FetchUnreachableError("refused"), 0x80072EFD, 8),
        (SlowRetrievalError("drips"), 0x800705B4, 8),
        (FetchCancelledError("cancelled"), 0x800704C7, 8),
        (DownloadHTTPError("no", 500), 0x801901F4, 8),
        (DownloadHTTPError("no", 429), 0x801901AD, 8),
        (FetchTruncatedError("ends early"), 0x80072EFE, 8),
        (FetchRefusedError("a redirect"), 0x80004005, 8),
        (ResetError(104, "reset"), 0x80004005, 8),
        (b"<html>sign in to this network</html>", 0xC00D716A, 7),
        (b"", 0xC00D716A, 7),
        (b"x" * 20_000, 0x800700DF, 7),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
@pytest.mark.parametrize("place", ["timestamp.json", "components.json", ".zip"])
def test_a_fault_is_named_and_leaves_what_was_there(home, installation, component, fault, hresult, exit_code, place):
    publish(home, [component()])
    installation.update()
    publish(home, [component("1.1.0")])
    installation.server.instead[place] = fault
    with pytest.raises(DRMError) as failed:
        installation.update()
    if place == "timestamp.json" or isinstance(fault, Exception):
        assert failed.value.hresult == hresult
    assert failed.value.exit_code == exit_code
    assert failed.value.what
    assert installation.version() == "1.0.0"
    assert installation.is_tidy()
    installation.server.instead.clear()
    installation.update()
    assert installation.version() == "1.1.0"


def test_one_archive_that_is_refused_does_not_keep_the_others_back(home, installation, component):
    publish(home, [component(), component("2.0.0", name="other-sink", class_id=OTHER)])
    installation.server.instead[".1.0.0.zip"] = b"not an archive"
    with pytest.raises(TrustError):
        installation.update()
    assert installation.version(OTHER) == "2.0.0"


def test_a_publisher_in_the_middle_of_a_change_is_asked_again_once(home, installation, component):
    publish(home, [component()])
    old_snapshot = (home.trees.shown / "metadata/2.snapshot.json").read_bytes()
    publish(home, [component("1.1.0")])
    # The first try gets a new timestamp, and an old snapshot in the new one's place.
    answers = iter([old_snapshot, (home.trees.shown / "metadata/3.snapshot.json").read_bytes(), old_snapshot])

    def turn(path: str) -> None:
        if path.endswith("timestamp.json"):
            installation.server.instead["3.snapshot.json"] = next(answers)

    installation.server.before = turn
    assert installation.update().changed
    assert installation.version() == "1.1.0"


def test_an_update_waits_for_another_one_and_not_for_ever(installation):
    with installation.store.writing(), pytest.raises(StoreBusyError) as busy, installation.store.writing(0.05):
        pass
    assert busy.value.exit_code == 3


# ------------------------------------------------------------------------------------------------------ the real thing
def test_over_http(home, installation, component, http_server):
    publish(home, [component()])
    url = http_server
    with ComponentFetcher(installation.store.scratch) as fetcher:
        update_components(installation.store, installation.pinned_root, url, fetcher)
        assert installation.version() == "1.0.0"
        spent = fetcher.requests
        result = update_components(installation.store, installation.pinned_root, url, fetcher)
        assert not result.changed
        assert fetcher.requests - spent <= 3
        far = fetcher.server_date + timedelta(days=400)
        with pytest.raises(TrustError, match="expired") as expired:
            update_components(installation.store, installation.pinned_root, url, fetcher, now=lambda: far)
        assert expired.value.hresult == 0xC00D715E
        assert f"{fetcher.server_date:%Y-%m-%d}" in expired.value.seen
        assert "clock" in expired.value.remedy
        assert installation.version() == "1.0.0"


@pytest.mark.parametrize("pin", [b"", b"{}", b"\xff"])
def test_a_pin_that_is_no_root(installation, pin):
    installation.pinned_root = pin
    with pytest.raises(MetadataError, match="the root that everything") as refused:
        installation.update()
    assert refused.value.exit_code == 7
    assert not installation.server.asked


def test_a_store_that_cannot_be(installation, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file/store"):
        installation.store = ComponentStore(folder)
        with pytest.raises(StorageError):
            installation.update()


def test_no_server_is_there(installation):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with ComponentFetcher(installation.store.scratch) as fetcher, pytest.raises(DRMError) as failed:
        update_components(installation.store, installation.pinned_root, f"http://127.0.0.1:{port}", fetcher)
    assert failed.value.hresult == 0x80072EFD
    assert failed.value.exit_code == 8
