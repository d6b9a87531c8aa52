"""A package with a pinned root and a signed bundle: what its sessions trust, updated, upgraded, downgraded, offline.

Each runs a copy of the package, in a process of its own, with the bundle that the publisher's own tool wrote.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from drm.class_ids import AV_DECODER, BUILT_IN, DISCARD_SINK
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.hresult import HResult
from drm.media import Scheme, TrackType
from drm.trust.authority.bundling import write_bundle
from drm.trust.authority.revocation_list import encode_list
from drm.trust.snapshot import StoredTrust, TrustSnapshot, pack_snapshot
from tests.interop.packaged import KEY, KEY_ID
from tests.publisher import Publisher, User, in_memory, short_film, write_marked

REPOSITORY = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("packaged.py")
TAKES_NO_TEST = {"allow_test_signed": False}


@functools.cache
def film() -> Path:
    path = in_memory() / "packaged.mp4"
    encrypt_file(short_film(), path, scheme=Scheme.CENC, tracks={TrackType.VIDEO: TrackEncryption(KEY_ID, KEY)})
    return path


class Package:
    """A copy of the package, and the data of the user who runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder / "package", folder / "home"
        for name in ("drm", "ita"):  # bytecode too, or each of its processes would compile everything
            shutil.copytree(REPOSITORY / name, self.folder / name)

    def bundle(self, publisher: Publisher) -> None:
        """Release it, with what is published now: an installation, an upgrade or a downgrade."""
        write_bundle(publisher.home, self.folder / "drm" / "trust", needed=BUILT_IN, url=publisher.url)

    def __call__(self, **call: Any) -> dict[str, Any]:
        """Run the program and return what it says."""
        path = os.pathsep.join(map(str, (self.folder, REPOSITORY)))
        done = subprocess.run(
            [sys.executable, "-B", PROGRAM, json.dumps(call)],
            env=os.environ | {"PYTHONPATH": path, "CLEARKEY_HOME": str(self.home)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        assert said["package"] == str(self.folder), "another package ran"
        return said


@pytest.fixture
def package(publisher: Publisher) -> Iterator[Package]:
    """Released with list 1."""
    made = Package(publisher.folder)
    made.bundle(publisher)
    yield made
    shutil.rmtree(made.folder)


def test_a_session_of_a_released_package_is_trusted_and_runs_what_was_signed(
    publisher: Publisher, package: Package, tmp_path: Path
) -> None:
    sink = package.folder / "drm/components/discard_sink/sink.py"
    sink.write_text(sink.read_text() + "\nEDITED = True\n")
    said = package(film=str(film()), rules=TAKES_NO_TEST)
    assert (said["signed"], said["freshness"], said["revocation_list"], said["status"]) == ("trusted", "fresh", 1, 0)
    assert {each["state"] for each in said["components"]} == {"trusted"}
    assert {each["signer"] for each in said["components"]} == {publisher.component_key}
    hashes = {each["class_id"]: each["sha256"] for each in said["components"]}
    assert hashes == {str(class_id): publisher.sha256(class_id) for class_id in BUILT_IN}
    assert not package.home.joinpath("trust", "development").exists(), "nobody else was asked to sign"
    own = package(film=str(film()), rules=TAKES_NO_TEST, own=[str(write_marked(tmp_path / "own"))])
    assert (own["signed"], own["status"]) == ("test-signed", HResult.MF_E_TEST_SIGNED_COMPONENTS_NOT_ALLOWED)
    states = {each["name"]: each["state"] for each in own["components"]}
    assert {name for name, state in states.items() if state == "test-signed"} == {"marked"}


def test_the_edit_of_an_installed_source_runs_only_when_it_is_asked_for_and_is_test_signed(
    publisher: Publisher, package: Package
) -> None:
    description = package.folder / "drm/components/discard_sink/component.toml"
    description.write_text(description.read_text().replace('version = "1.0.0"', 'version = "1.0.1"'))
    assert package()["versions"]["discard-sink"] == "1.0.0"
    said = package(development=True)
    assert (said["signed"], said["versions"]["discard-sink"]) == ("test-signed", "1.0.1")
    assert publisher.sha256(DISCARD_SINK) not in {each["sha256"] for each in said["components"]}


def test_another_root_is_not_the_packages_whoever_hands_it_over(publisher: Publisher, package: Package) -> None:
    stranger = Publisher(another=True)
    theirs = stranger.user()
    (publisher.folder / "root").write_bytes(stranger.root)
    said = package(root=str(publisher.folder / "root"), store=str(theirs.store), film=str(film()), rules=TAKES_NO_TEST)
    assert (said["signed"], said["status"]) == ("test-signed", HResult.MF_E_TEST_SIGNED_COMPONENTS_NOT_ALLOWED)
    # Their metadata, newer than the bundle, in the place of the package's own.
    stranger.publish_marked()
    stranger.publish_marked("1.0.1")
    planted = User(stranger, package.home / "trust" / "release")
    planted.install()
    said = package()
    assert said["refused"] == HResult.MF_E_GRL_INVALID_FORMAT
    assert said["enabler"] == "UPDATE_REVOCATION_INFORMATION"
    package(update=True)
    assert package()["signed"] == "trusted", "and that enabler's way mends it"


def test_an_application_cannot_talk_a_worker_into_a_list_of_its_own(publisher: Publisher, package: Package) -> None:
    """Whatever a license demands, anybody can write on a list and sign: it counts for the pinned authority alone."""
    stranger = Publisher(another=True)
    files = stranger.sign(lambda repository: repository.set_list(encode_list(99, stranger.now, ())))
    snapshot = publisher.folder / "snapshot"
    rules = TAKES_NO_TEST | {"min_revocation_list": 99}
    for name, data in {
        "theirs": stranger.snapshot(files),
        "both": TrustSnapshot((StoredTrust(publisher.files()), *stranger.snapshot(files).sources)),
        "ours": TrustSnapshot((StoredTrust(publisher.files()),)),
    }.items():
        snapshot.write_bytes(pack_snapshot(data))
        said = package(then=str(snapshot), film=str(film()), rules=rules)
        taken = 0 if name == "ours" else HResult.MF_E_PROCESS_RESTART_REQUIRED
        assert (said["signed"], said["then"]) == ("trusted", taken)
        assert said["status"] == HResult.MF_E_GRL_VERSION_TOO_LOW


def test_what_was_fetched_since_wins_over_the_bundle_and_a_newer_package_over_that(
    publisher: Publisher, package: Package
) -> None:
    publisher.publish_built_in("av_decoder", "1.0.1")
    publisher.revoke(class_id=AV_DECODER, versions=("1.0.0",))
    assert seen(package()) == ("trusted", 1, "1.0.0"), "nothing is asked of the network when a session is made"
    package(update=True)
    publisher.asked.clear()
    assert seen(package()) == ("trusted", 2, "1.0.1")
    publisher.publish_built_in("av_decoder", "1.0.2")
    publisher.revoke(class_id=AV_DECODER, versions=("1.0.1",))
    package.bundle(publisher)
    assert seen(package()) == ("trusted", 3, "1.0.2"), "the package was upgraded"
    assert publisher.asked == [], "all of it offline"


def test_an_older_package_does_not_bring_back_what_was_revoked(publisher: Publisher, package: Package) -> None:
    shutil.copytree(package.folder / "drm/trust/bundle", publisher.folder / "old")
    publisher.publish_built_in("av_decoder", "1.0.1")
    publisher.revoke(class_id=AV_DECODER, versions=("1.0.0",))
    package(update=True)
    publisher.publish_marked()
    package.bundle(publisher)
    assert seen(package()) == ("trusted", 2, "1.0.1")
    shutil.rmtree(package.folder / "drm/trust/bundle")
    shutil.copytree(publisher.folder / "old", package.folder / "drm/trust/bundle")
    assert seen(package()) == ("trusted", 2, "1.0.1")
    shutil.rmtree(package.home / "trust")  # control: the old bundle by itself is whole
    assert seen(package()) == ("trusted", 1, "1.0.0")


@pytest.mark.parametrize("lost", [("generations",), ("generations", "refresh", "blobs"), ("generations", "floor.json")])
def test_a_store_that_lost_something_does_not_bring_the_bundle_back(
    publisher: Publisher, package: Package, lost: tuple[str, ...]
) -> None:
    publisher.publish_built_in("av_decoder", "1.0.1")
    publisher.revoke(class_id=AV_DECODER, versions=("1.0.0",))
    package(update=True)
    for name in lost:
        path = package.home / "trust" / "release" / name
        path.unlink() if path.is_file() else shutil.rmtree(path)
    said = package()
    assert said["refused"] == HResult.MF_E_GRL_INVALID_FORMAT
    assert said["enabler"] == "UPDATE_REVOCATION_INFORMATION"
    package(update=True)
    assert seen(package()) == ("trusted", 2, "1.0.1")


def test_a_newer_package_mends_a_store_that_lost_something(publisher: Publisher, package: Package) -> None:
    publisher.publish_marked()
    package(update=True)
    shutil.rmtree(package.home / "trust" / "release" / "generations")
    assert "refused" in package()
    publisher.publish_built_in("av_decoder", "1.0.1")
    publisher.revoke(class_id=AV_DECODER, versions=("1.0.0",))
    package.bundle(publisher)
    assert seen(package()) == ("trusted", 2, "1.0.1")


def test_nobody_makes_a_list_younger_than_it_was_signed() -> None:
    rules = {"max_revocation_age": 2 * 86_400}
    with Publisher(days_ago=3).serving() as publisher:
        package = Package(publisher.folder)
        package.bundle(publisher)
        publisher.publish_marked("0.9.0")
        package(update=True)
        assert package(film=str(film()), rules=rules)["status"] == HResult.MF_E_GRL_VERSION_TOO_LOW
        [state] = (package.home / "trust" / "release" / "generations").glob("*/state.json")
        for claimed in (0, time.time(), time.time() + 86_400):
            state.write_text(json.dumps({"refreshed": claimed}))
            assert package(film=str(film()), rules=rules)["status"] == HResult.MF_E_GRL_VERSION_TOO_LOW
        state.unlink()
        assert package(film=str(film()), rules={"max_revocation_age": 4 * 86_400})["status"] == 0
        publisher.now += timedelta(days=3)
        publisher.publish_marked()
        package(update=True)
        assert package(film=str(film()), rules=rules)["status"] == 0, "the list is the same, and was signed for anew"
        shutil.rmtree(package.folder)


def seen(said: dict[str, Any]) -> tuple[str, int, str]:
    return said["signed"], said["revocation_list"], said["versions"]["av-decoder"]
