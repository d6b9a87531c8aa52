"""Attacks by who holds the network, or the server, and no key: those that The Update Framework is about.

After each, the component that was trusted is trusted still, and the genuine server is believed again.
"""

from __future__ import annotations

import itertools
import shutil
from datetime import timedelta
from uuid import UUID

import pytest

from drm.errors import UpdateTamperedError, UpdateTooLargeError
from drm.trust.authority.create import create_authority
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.publishing import publish
from drm.trust.authority.revoking import revoke
from drm.trust.authority.rotating import rotate
from drm.trust.errors import (
    ComponentDamagedError,
    MetadataExpiredError,
    RollbackError,
)
from drm.trust.revocations import Reason, Revocation

CLASS = UUID("0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111")


def test_an_arbitrary_archive(attack, component, tmp_path):
    source = component("1.1.0")
    publish(attack.home, [source])
    evil = attack.copy()
    [path] = (evil / "targets/components" / str(CLASS)).glob("*.1.1.0.zip")
    whole = path.read_bytes()
    for data in (whole[:-1], whole.replace(b"class Sink", b"class Evil"), b"\0" * len(whole)):
        path.write_bytes(data)
        attack.installation.server.shown = evil
        with pytest.raises(ComponentDamagedError) as refused:
            attack.installation.update()
        assert refused.value.hresult == 0xC00D715C
        assert attack.installation.version() == "1.0.0"
    attack.installation.server.shown = attack.home.trees.shown
    attack.installation.update()
    assert attack.installation.version() == "1.1.0"
    revoke(attack.home, Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("1.1.0",)))
    attack.installation.update()


def test_another_authority(attack, tmp_path):
    other = AuthorityHome(tmp_path / "other", lambda _key: "another passphrase")
    create_authority(other)
    for _ in range(5):
        rotate(other, "timestamp")  # its numbers are higher
    attack.refused(other.trees.shown, UpdateTamperedError, 0xC00D715C)


def test_an_old_server(attack, component):
    old = attack.copy()
    revoke(attack.home, Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("0.9.0",)))
    attack.installation.update()
    attack.refused(old, RollbackError, 0xC00D716A)


def test_an_old_server_after_the_metadata_was_removed(attack):
    """Nothing but the floor remembers."""
    old = attack.copy()
    revoke(attack.home, Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("0.9.0",)))
    attack.installation.update()
    for folder in ("generations", "refresh"):
        shutil.rmtree(attack.installation.store.folder / folder)
    attack.refused(old, RollbackError, 0xC00D716A)
    assert attack.installation.store.read() is None
    attack.installation.update()


def test_metadata_that_is_never_renewed(attack, clock):
    frozen = attack.copy()
    clock.advance(days=-400)  # what was signed then has expired now
    attack.refused(attack.forge(), MetadataExpiredError, 0xC00D715E)
    clock.advance(days=400)
    attack.installation.server.shown = frozen
    moment = clock.now + timedelta(days=8)
    with pytest.raises(MetadataExpiredError) as refused:
        attack.installation.update(now=lambda: moment)
    assert "clock" in refused.value.remedy
    attack.installation.server.shown = attack.home.trees.shown


def test_old_and_new_mixed(attack, component):
    old = attack.copy()
    publish(attack.home, [component("1.1.0")])
    for role in ("snapshot", "components"):
        mixed = attack.copy()
        newest = max(int(path.name.split(".")[0]) for path in (mixed / "metadata").glob(f"*.{role}.json"))
        source = max((old / "metadata").glob(f"*.{role}.json"), key=lambda path: int(path.name.split(".")[0]))
        (mixed / f"metadata/{newest}.{role}.json").write_bytes(source.read_bytes())
        attack.refused(mixed, UpdateTamperedError, 0xC00D715C)
    revoke(attack.home, Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("1.1.0",)))


@pytest.mark.parametrize("what", ["2.root.json", "timestamp.json", ".snapshot.json", ".components.json", ".json"])
def test_data_without_end(attack, component, what):
    publish(attack.home, [component("0.5.0")])
    attack.installation.server.instead[what] = itertools.repeat(b"\0" * 4096)
    attack.refused(attack.home.trees.shown, UpdateTooLargeError, 0x800700DF)
    attack.installation.server.instead.clear()
