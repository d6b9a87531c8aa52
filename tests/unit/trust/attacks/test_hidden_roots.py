"""Keys of timestamp and snapshot that were stolen, replaced, and whose replacement the thief then hides.

A client that saw the new roots must not go back to the old ones: not when its update failed right after them, and not
when it lost most of what it had.
"""

from __future__ import annotations

import shutil
from uuid import UUID

import pytest
from tuf.api.exceptions import DownloadHTTPError

from drm.errors import UpdateHttpError, UpdateTamperedError
from drm.trust.authority.revoking import revoke
from drm.trust.authority.rotating import rotate
from drm.trust.errors import RollbackError
from drm.trust.revocations import Reason, Revocation

CLASS = UUID("0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111")


def ahead(md):
    md.signed.version += 1000


@pytest.fixture
def stolen(attack):
    """What the thief serves: signed with the old keys, by numbers above all others; list 1."""
    place = attack.forge(twist={"timestamp": ahead}, change=lambda repository: repository.renew("snapshot"))
    revoke(attack.home, Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("0.9.0",)))
    attack.installation.update()
    for role in ("timestamp", "snapshot"):
        rotate(attack.home, role)
    return place


def test_roots_are_kept_when_the_update_fails_after_them(attack, stolen):
    attack.installation.server.instead["timestamp.json"] = DownloadHTTPError("cut off", 500)
    with pytest.raises(UpdateHttpError):
        attack.installation.update()
    assert attack.installation.trust().versions["root"] == 1, "what is installed goes on as it is"
    attack.installation.server.instead.clear()
    attack.refused(stolen, UpdateTamperedError, 0xC00D715C)
    attack.installation.server.shown = attack.home.trees.shown
    assert attack.installation.update().trust.versions["root"] == 5


def test_roots_are_kept_by_a_first_update_that_fails(attack, stolen):
    """Nothing is installed, so nothing but what was verified on the way remembers."""
    shutil.rmtree(attack.installation.store.folder)
    attack.installation.server.instead["timestamp.json"] = DownloadHTTPError("cut off", 500)
    with pytest.raises(UpdateHttpError):
        attack.installation.update()
    attack.installation.server.instead.clear()
    attack.refused(stolen, UpdateTamperedError, 0xC00D715C)
    attack.installation.server.shown = attack.home.trees.shown
    attack.installation.update()


@pytest.mark.parametrize("lost", ["refresh", "generations", "refresh and generations"])
def test_one_of_three_that_remember_is_enough(attack, stolen, lost):
    assert attack.installation.update().trust.versions["root"] == 5
    for name in lost.split(" and "):
        shutil.rmtree(attack.installation.store.folder / name)
    kind = RollbackError if "and" in lost else UpdateTamperedError
    attack.refused(stolen, kind, 0xC00D716A if "and" in lost else 0xC00D715C)
    attack.installation.server.shown = attack.home.trees.shown
    attack.recover()


def test_the_root_between_that_lists_both_keys_does_not_forget_numbers(attack, stolen):
    """The thief shows the first of the two roots of each exchange, and hides the second, which drops the old key."""
    for version in (2, 3, 4):
        shutil.copy(attack.home.trees.shown / f"metadata/{version}.root.json", stolen / "metadata")
    (stolen / "metadata/3.root.json").unlink()
    (stolen / "metadata/4.root.json").unlink()
    attack.refused(stolen, RollbackError, 0xC00D716A)
    attack.installation.server.shown = attack.home.trees.shown
    attack.recover()
    assert attack.installation.trust().revocations.version == 2


def test_what_each_later_step_verified_is_kept_too(attack):
    """A timestamp and a snapshot that were seen are not gone back from, though what they name never came."""
    before = attack.copy()
    revoke(attack.home, Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("0.9.0",)))
    for missing in (".snapshot.json", ".components.json", ".revocations.json", ".revocations.list"):
        attack.installation.server.instead[missing] = DownloadHTTPError("cut off", 500)
    with pytest.raises(UpdateHttpError):
        attack.installation.update()
    attack.installation.server.instead.clear()
    attack.refused(before, RollbackError, 0xC00D716A)
