"""An attacker, and a store with a trusted component in it that outlives each attack."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata

from drm.trust.authority.publishing import publish
from drm.trust.authority.rotating import rotate
from drm.trust.authority.staged_repository import DELEGATED, StagedRepository
from drm.trust.errors import RollbackError

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

    def recover(self):
        """Update from the genuine server, whose numbers may be lower than what stolen keys signed."""
        try:
            self.installation.update()
        except RollbackError:
            for role in ("timestamp", "snapshot"):
                rotate(self.home, role)
            self.installation.update()

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
    scene.recover()
    assert scene.installation.version() == "1.0.0"
