"""What was installed before, held against what is offered or stored now."""

from __future__ import annotations

import dataclasses

import pytest

from drm.trust.authority.publishing import publish
from drm.trust.errors import MetadataError, RevocationListError, RollbackError
from drm.trust.floor import Floor, parse_floor, verify_stored
from drm.trust.revocations import RevocationList


@pytest.fixture
def trust(home, component):
    publish(home, [component()])
    return home.trust()


def changed(trust, *, versions=None, key_ids=None, number=None, digest="0" * 64):
    revocations = trust.revocations
    if number is not None:
        revocations = RevocationList(number, revocations.issued, (), digest)
    return dataclasses.replace(
        trust,
        versions=dict(trust.versions) | (versions or {}),
        key_ids=dict(trust.key_ids) | (key_ids or {}),
        revocations=revocations,
    )


@pytest.mark.parametrize("role", ["timestamp", "targets", "components", "revocations"])
def test_a_lower_number_is_refused_while_any_old_key_signs(trust, role):
    seen = changed(trust, versions={role: 9})
    floor = Floor.of(seen)
    for is_new in (True, False):
        floor.check(seen, is_new=is_new)
        floor.check(changed(trust, versions={role: 10}), is_new=is_new)
        with pytest.raises(RollbackError, match=f"{role} 8 is offered"):
            floor.check(changed(trust, versions={role: 8}), is_new=is_new)
        both = {role: (*trust.key_ids[role], "f" * 64)}
        with pytest.raises(RollbackError):
            floor.check(changed(trust, versions={role: 8}, key_ids=both), is_new=is_new)
        floor.check(changed(trust, versions={role: 8}, key_ids={role: ("f" * 64,)}), is_new=is_new)


def test_new_snapshot_keys_begin_what_a_snapshot_vouches_for_anew(trust):
    floor = Floor.of(changed(trust, versions={"targets": 9, "components": 9}))
    floor.check(changed(trust, key_ids={"snapshot": ("f" * 64,)}), is_new=True)


def test_a_root_is_binding_for_what_is_new_alone(trust):
    floor = Floor.of(changed(trust, versions={"root": 3}))
    floor.check(trust, is_new=False)
    with pytest.raises(RollbackError, match="root 1 is offered where root 3 was seen"):
        floor.check(trust, is_new=True)


def test_the_list_counts_by_itself(trust):
    floor = Floor.of(changed(trust, number=5))
    with pytest.raises(RollbackError, match="revocation list 4"):
        floor.check(changed(trust, number=4, key_ids={"snapshot": ("f" * 64,)}), is_new=True)
    with pytest.raises(RevocationListError, match="two different"):
        floor.check(changed(trust, number=5, digest="1" * 64), is_new=False)
    floor.check(changed(trust, number=6), is_new=False)
    floor.check(changed(trust, number=1, key_ids={"revocations": ("f" * 64,)}), is_new=True)


def test_it_is_read_as_it_was_written_and_damage_is_none(trust):
    data = Floor.of(trust).encode()
    assert parse_floor(data) == Floor.of(trust)
    for damage in (b"", b"{}", data[:-1], data + b"}", b"\xff", b"[" * 10_000, data.replace(b'"root":', b'"root":-')):
        assert parse_floor(damage) is None


def test_a_damaged_floor_is_refused_and_none_is_not(home, installation, trust):
    installation.update()
    files = installation.store.read().files
    assert verify_stored(installation.pinned_root, files, None).revocations.version == 1
    for damage in (b"", b"{}"):
        with pytest.raises(MetadataError) as refused:
            verify_stored(installation.pinned_root, files, damage)
        assert "components update" in refused.value.remedy
