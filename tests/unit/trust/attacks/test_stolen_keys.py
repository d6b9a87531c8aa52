"""Attacks by who stole some of the keys: what each role may not do, and what an exchange of its keys puts right.

After each, the component that was trusted is trusted still, and the genuine server is believed again.
"""

from __future__ import annotations

import shutil
from uuid import UUID

import pytest
from tuf.api.metadata import Metadata

from drm.errors import UpdateTamperedError
from drm.trust.authority.publishing import publish
from drm.trust.authority.revocation_list import encode_list
from drm.trust.authority.revoking import revoke
from drm.trust.authority.rotating import rotate
from drm.trust.authority.staged_repository import ROLES
from drm.trust.errors import (
    ComponentRevokedError,
    ListFormatError,
    MetadataError,
    NotRenewableError,
    RevocationListError,
    RollbackError,
)
from drm.trust.revocations import Reason, Revocation

CLASS = UUID("0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111")


@pytest.mark.parametrize("role", [role for role in ROLES if role != "root"])
def test_a_role_that_somebody_else_signed(attack, role):
    attack.refused(attack.forge(rogue=[role]), UpdateTamperedError, 0xC00D715C)


def test_a_root_that_one_of_two_signed(scene):
    """The threshold is 2 of 3."""
    place = scene.copy()
    root = Metadata.from_file(str(place / "metadata/1.root.json"))
    keys = [scene.home.keys.signer(root.signed.keys[key]) for key in root.signed.roles["root"].keyids]
    root.signed.version = 2
    root.signatures.clear()
    root.sign(keys[0], append=True)
    (place / "metadata/2.root.json").write_bytes(root.to_bytes())
    scene.refused(place, UpdateTamperedError, 0xC00D715C)
    root.sign(keys[1], append=True)
    (place / "metadata/2.root.json").write_bytes(root.to_bytes())
    scene.installation.server.shown = place  # two are enough, so it was the one signature that was refused
    assert scene.installation.update().trust.versions["root"] == 2


def test_lower_numbers_in_metadata_that_is_validly_signed(attack, component):
    publish(attack.home, [component("0.5.0")])
    attack.installation.update()

    def old_snapshot(md):
        md.signed.snapshot_meta.version -= 2

    def old_components(md):
        md.signed.meta["components.json"].version -= 1

    attack.refused(attack.forge(twist={"timestamp": old_snapshot}), RollbackError, 0xC00D716A)
    attack.refused(attack.forge(twist={"snapshot": old_components}), RollbackError, 0xC00D716A)


def test_a_snapshot_without_a_role(attack):
    for role in ("components", "revocations"):
        place = attack.forge(twist={"snapshot": lambda md, role=role: md.signed.meta.pop(f"{role}.json")})
        attack.refused(place, MetadataError, 0xC00D716A)
        shutil.rmtree(attack.installation.store.folder)  # a new client, too
        attack.refused(place, MetadataError, 0xC00D716A)
        attack.recover()


def test_a_snapshot_without_hashes(attack):
    """TUF allows it; then versions of one number could be exchanged."""

    def without(md):
        md.signed.meta["components.json"].hashes = None

    attack.refused(attack.forge(twist={"snapshot": without}), MetadataError, 0xC00D716A)


def test_a_lower_list_that_is_validly_signed(attack, clock):
    revoke(attack.home, Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("0.9.0",)))
    attack.installation.update()
    lower = attack.forge(change=lambda repository: repository.set_list(encode_list(1, clock.now, ())))
    attack.refused(lower, RollbackError, 0xC00D716A)
    attack.recover()
    other = [Revocation(id="x", reason=Reason.FLAW, class_id=CLASS, versions=("0.8.0",))]
    same = attack.forge(change=lambda repository: repository.set_list(encode_list(2, clock.now, other)))
    attack.refused(same, RevocationListError, 0xC00D716A)
    for gone in ("generations", "floor.json"):  # either of the two remembers
        attack.recover()
        lower = attack.forge(change=lambda repository: repository.set_list(encode_list(1, clock.now, ())))
        kept = (attack.installation.store.folder / gone).rename(attack.folder / gone)
        attack.installation.server.shown = lower
        with pytest.raises(RollbackError):
            attack.installation.update()
        shutil.rmtree(attack.installation.store.folder / gone, ignore_errors=True)
        kept.rename(attack.installation.store.folder / gone)
        attack.installation.server.shown = attack.home.trees.shown


def test_a_list_of_a_format_to_come(attack):
    newer = b'{"format": 2}'
    attack.refused(attack.forge(change=lambda repository: repository.set_list(newer)), ListFormatError, 0xC00D716B)


def test_a_list_that_is_too_long(attack):
    longer = b" " * ((4 << 20) + 1)
    place = attack.forge(change=lambda repository: repository.set_list(longer))
    attack.installation.server.asked.clear()
    attack.refused(place, RevocationListError, 0xC00D716A)
    assert not [path for path in attack.installation.server.asked if path.startswith("/targets/")]


def test_a_list_in_the_metadata_of_another_role(attack):
    """Who may list archives cannot say that there is another revocation list."""

    def claim(md):
        md.signed.targets["revocations.json"] = next(iter(md.signed.targets.values()))

    place = attack.forge(twist={"components": claim})
    attack.installation.server.shown = place
    assert attack.installation.update().trust.revocations.version == 1
    for role in ("timestamp", "snapshot"):  # the genuine numbers are lower
        rotate(attack.home, role)


def fast_forward(md):
    md.signed.version = 2**31


def test_numbers_that_run_ahead_end_with_the_keys_that_signed_them(attack):
    ahead = attack.forge(twist={"timestamp": fast_forward})
    attack.installation.server.shown = ahead
    assert attack.installation.update().trust.versions["timestamp"] == 2**31
    attack.installation.server.shown = attack.home.trees.shown
    with pytest.raises(RollbackError):
        attack.installation.update()
    assert attack.installation.version() == "1.0.0"
    rotate(attack.home, "timestamp")
    assert attack.installation.update().trust.versions["timestamp"] < 100


def test_a_list_number_that_runs_ahead_ends_with_its_key(attack, clock):
    ahead = attack.forge(change=lambda repository: repository.set_list(encode_list(2**40, clock.now, ())))
    attack.installation.server.shown = ahead
    assert attack.installation.update().trust.revocations.version == 2**40
    attack.installation.server.shown = attack.home.trees.shown
    for role in ("timestamp", "snapshot"):  # the attacker had those too
        rotate(attack.home, role)
    with pytest.raises(RollbackError):
        attack.installation.update()
    rotate(attack.home, "revocations")
    assert attack.installation.update().trust.revocations.version == 1


@pytest.mark.parametrize("role", ROLES)
def test_a_key_that_was_lost_is_replaced_and_nothing_else(attack, role):
    lost = attack.home.trust().key_ids[role]
    rotate(attack.home, role)
    attack.installation.server.asked.clear()
    result = attack.installation.update()
    assert not set(lost) & set(result.trust.key_ids[role])
    assert result.downloaded == ()
    assert not attack.installation.server.archives
    attack.installation.server.instead[""] = ConnectionError("there is no network now")
    assert attack.installation.version() == "1.0.0"
    attack.installation.server.instead.clear()


def test_the_lost_key_of_components_signs_nothing_any_more(attack, component):
    """And a list that names it revokes what it had signed."""
    [lost] = attack.home.trust().key_ids["components"]
    before = attack.copy()
    rotate(attack.home, "components")
    attack.installation.update()
    attack.refused(before, RollbackError, 0xC00D716A)
    revoke(attack.home, Revocation(id="-", reason=Reason.KEY_COMPROMISE, keyid=lost))
    assert attack.installation.update().trust.revocations.version == 2


def test_a_revoked_component_stays_revoked_whatever_is_served(scene):
    old = scene.copy()
    home, installation = scene.home, scene.installation
    wanted = Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("1.0.0",))
    revoke(home, wanted)
    with pytest.raises(NotRenewableError):
        installation.update()
    installation.server.shown = old
    with pytest.raises(RollbackError):
        installation.update()
    with pytest.raises(ComponentRevokedError):
        installation.version()
