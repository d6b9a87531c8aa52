"""The attacks that The Update Framework is about, against a store with a trusted component in it.

Each names what the attacker has: the network alone, or keys too. After each, the component that was trusted is trusted
still, and the genuine server is believed again.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata

from drm.app.update_errors import UpdateTamperedError, UpdateTooLargeError
from drm.trust.authority.founding import init
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.publishing import publish
from drm.trust.authority.revocation_list import encode_list
from drm.trust.authority.revoking import revoke
from drm.trust.authority.rotating import rotate
from drm.trust.authority.staged_repository import DELEGATED, ROLES, StagedRepository
from drm.trust.errors import (
    ComponentDamagedError,
    ComponentRevokedError,
    ListFormatError,
    MetadataError,
    MetadataExpiredError,
    NotRenewableError,
    RevocationListError,
    RollbackError,
)
from drm.trust.revocations import Reason, Revocation

CLASS = UUID("0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111")
ROGUE = CryptoSigner(Ed25519PrivateKey.generate())


class Forged(StagedRepository):
    """Signs what an attacker wants, with the keys that it has."""

    def __init__(self, *words) -> None:
        super().__init__(*words)
        self.twist: dict[str, Callable[[Metadata], object]] = {}  # by role; before it is signed
        self.rogue: set[str] = set()  # roles that the attacker has no keys of

    def close(self, role, md):
        super().close(role, md)
        if role in self.twist or role in self.rogue:
            self.twist.get(role, lambda _md: None)(md)
            keys = [self._keys.signer(key) for key in self._keys_of(role)]
            md.signatures.clear()
            for signer in [ROGUE] if role in self.rogue else keys:
                md.sign(signer, append=True)
            name = "timestamp.json" if role == "timestamp" else f"{md.signed.version}.{role}.json"
            (self.tree / "metadata" / name).write_bytes(md.to_bytes())

    def _keys_of(self, role):
        delegator = self.targets() if role in DELEGATED else self.root()
        return [delegator.get_key(key_id) for key_id in delegator.get_delegated_role(role).keyids]


class Attack:
    """The attacker's own server, which begins as a copy of the genuine one."""

    def __init__(self, home, installation, folder) -> None:
        self.home, self.installation, self.folder = home, installation, folder
        self.numbers = itertools.count(1)

    def copy(self):
        """Keep what is published now, to be served later."""
        place = self.folder / str(next(self.numbers))
        shutil.copytree(self.home.trees.shown, place)
        return place

    def forge(self, *, rogue=(), twist=None, change=lambda repository: None):
        place = self.copy()
        repository = Forged(place, self.home.keys, self.home.lifetimes, self.home.now)
        repository.rogue, repository.twist = set(rogue), twist or {}
        change(repository)
        for role in {*repository.rogue, *repository.twist} - {"root", "snapshot", "timestamp"}:
            repository.renew(role)
        repository.finish(renew_snapshot=True)
        return place

    def refused(self, place, kind, hresult):
        """Serve `place`: it is refused, nothing changes, and the genuine server is believed afterwards."""
        genuine, self.installation.server.shown = self.installation.server.shown, place
        before = self.installation.store.read()
        with pytest.raises(kind) as refused:
            self.installation.update()
        assert type(refused.value) is kind
        assert refused.value.hresult == hresult
        assert refused.value.exit_code == 7
        after = self.installation.store.read()
        assert (before and before.files) == (after and after.files)
        assert self.installation.is_tidy()
        self.installation.server.shown = genuine


@pytest.fixture
def scene(home, installation, component, tmp_path):
    publish(home, [component()])
    installation.update()
    return Attack(home, installation, tmp_path)


@pytest.fixture
def attack(scene):
    """A scene that ends well."""
    yield scene
    assert scene.installation.version() == "1.0.0"
    scene.installation.server.shown = scene.home.trees.shown
    scene.installation.server.instead.clear()
    scene.installation.update()
    assert scene.installation.version() == "1.0.0"


# ------------------------------------------------------------------------------------------------------- network alone
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
    other = AuthorityHome(tmp_path / "other", lambda: "another passphrase")
    init(other)
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
    (attack.installation.store.folder / "current").unlink()
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


# ---------------------------------------------------------------------------------------- with some of the keys stolen
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
        (attack.installation.store.folder / "current").unlink()  # a new client, too
        attack.refused(place, MetadataError, 0xC00D716A)
        attack.installation.update()


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
    other = [Revocation(id="x", reason=Reason.FLAW, class_id=CLASS, versions=("0.8.0",))]
    same = attack.forge(change=lambda repository: repository.set_list(encode_list(2, clock.now, other)))
    attack.refused(same, RevocationListError, 0xC00D716A)
    for gone in ("current", "floor.json"):  # either of the two remembers
        kept = (attack.installation.store.folder / gone).rename(attack.folder / "aside")
        attack.installation.server.shown = lower
        with pytest.raises(RollbackError):
            attack.installation.update()
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
