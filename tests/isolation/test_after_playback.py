"""What a worker holds once it has opened a sealed license, decrypted, decoded and hashed a film: nothing forbidden."""

import sys
from pathlib import Path

import pytest

from drm.keys import ContentKey, KeyId
from drm.pmp import platform
from license_server.process import LicenseServer

ROOTS = Path(__file__).parents[1] / "data" / "worker_roots.txt"
FORBIDDEN = {"asyncio", "flask", "http.client", "multiprocessing", "numpy", "pickle", "requests", "ssl", "urllib3"}
COMPONENTS = {"ita", "drm.components"}


@pytest.fixture(scope="module")
def played(account):
    """A playback in the real worker, whose last words are its modules."""
    made = account.application("canary_make.py", account.home / "modules")
    keys = {KeyId.parse(kid): ContentKey.parse(key) for kid, key in made["keys"].items()}
    with LicenseServer(keys=keys) as server:
        return account.application("canary_modules.py", account.home / "modules" / "film.mp4", server.license_url)


def test_it_was_a_sealed_playback_in_a_locked_worker(played) -> None:
    assert {name: played[name] for name in ("frames", "level", "license_path")} == {
        "frames": 231, "level": 2, "license_path": "sealed",
    }  # fmt: skip


def test_the_worker_holds_what_the_playback_needed(played) -> None:
    """The control: the list is that of a worker which did all of it."""
    held = set(played["modules"])
    assert {
        "av",
        "cryptography",
        "joserfc",
        "msgspec",
        "drm.pmp.session_service",
        "ita.decrypter",
        "ita.key_ring",
    } <= held
    assert [name for name in held if name.startswith("drm.components.")]


def test_it_holds_nothing_forbidden(played) -> None:
    assert not (FORBIDDEN | set(platform.FORBIDDEN)) & set(played["modules"])


def test_its_third_party_roots_are_the_reviewed_ones(played) -> None:
    roots = {name.partition(".")[0] for name in played["modules"]} - sys.stdlib_module_names - {"__main__"}
    assert {unversioned(root) for root in roots} == {unversioned(root) for root in ROOTS.read_text().split()} | {"ita"}


def test_it_holds_nothing_of_the_application(played) -> None:
    outside = (
        "drm.app",
        "drm.packaging",
        "drm.encrypting",
        "drm.decrypting",
        "drm.manifests",
        "drm.keyfile",
        "player",
        "license_server",
        "sample_content",
    )
    assert not [name for name in played["modules"] if f"{name}.".startswith(tuple(f"{each}." for each in outside))]


def unversioned(root: str) -> str:
    return "_cython" if root.startswith("_cython_") else root
