"""Which archive stands for a class id, and what is said when none does."""

import hashlib
from uuid import UUID

import pytest

from drm.errors import UnknownComponentError, UnlistedFileError
from drm.trust.authority.published import root_bytes, stored_files
from drm.trust.authority.publishing import publish
from drm.trust.authority.revocation_list import encode_list
from drm.trust.authority.revoking import revoke
from drm.trust.authority.source_folder import archive_of
from drm.trust.authority.staged_repository import StagedRepository
from drm.trust.errors import ComponentDamagedError, ComponentRevokedError
from drm.trust.resolver import resolve
from drm.trust.revocations import Reason, Renewal, Revocation
from drm.trust.verifier import verify_trust

CLASS = UUID("0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111")


class Store:
    """1.0.0, 1.2.0 and 1.10.0, published, and their blobs."""

    def __init__(self, home, component):
        self.home = home
        sources = [component(version) for version in ("1.0.0", "1.2.0", "1.10.0")]
        publish(home, sources)
        datas = [archive_of(source) for source in sources]
        self.names = dict(
            zip(("1.0.0", "1.2.0", "1.10.0"), (hashlib.sha256(d).hexdigest() for d in datas), strict=True)
        )
        self.blobs = dict(zip(self.names.values(), datas, strict=True))

    def resolve(self, *present: str, api: int = 1, **damaged: bytes):
        blobs = {self.names[version]: self.blobs[self.names[version]] for version in present}
        trust = verify_trust(root_bytes(self.home.trees.shown, 1), stored_files(self.home.trees.shown))
        return resolve(trust, CLASS, api, blobs | damaged)

    def revoke(self, **matchers):
        revoke(self.home, Revocation(id="-", reason=Reason.FLAW, text="reads too far", **matchers))

    def damaged(self, version: str) -> dict[str, bytes]:
        data = bytearray(self.blobs[self.names[version]])
        data[-30] ^= 1
        return {self.names[version]: bytes(data)}


@pytest.fixture
def store(home, component):
    return Store(home, component)


def test_the_highest_version_that_is_there_wins(store):
    assert store.resolve("1.0.0", "1.2.0", "1.10.0").entry.version == "1.10.0"
    chosen = store.resolve("1.0.0", "1.2.0")
    assert chosen.entry.version == chosen.component.manifest.version == "1.2.0"


def test_what_is_revoked_is_passed_over(store):
    store.revoke(class_id=CLASS, versions=("1.10.0",))
    assert store.resolve("1.0.0", "1.10.0").entry.version == "1.0.0"


def test_only_a_revoked_copy_is_at_hand(store):
    store.revoke(class_id=CLASS, below="1.10")
    with pytest.raises(ComponentRevokedError, match=r"v1\.2\.0 is revoked") as revoked:
        store.resolve("1.2.0")
    assert revoked.value.hresult == 0xC00D7151
    assert revoked.value.exit_code == 7
    assert "reads too far" in revoked.value.seen
    assert revoked.value.is_renewable
    assert "1.10.0" in revoked.value.remedy


def test_the_key_that_signs_beside_the_list_is_named_for_a_copy_that_is_listed_no_more(store, component):
    """Its own signature is gone with the metadata that listed it; who asks for a renewal must say whose it was."""
    store.revoke(class_id=CLASS, below="1.10")
    data = archive_of(component("0.9.0"))
    sha256 = hashlib.sha256(data).hexdigest()
    with pytest.raises(ComponentRevokedError, match=r"v0\.9\.0 is revoked") as revoked:
        store.resolve(**{sha256: data})
    (key,) = store.home.trust().key_ids["components"]
    assert revoked.value.component.public_key_hash == key
    assert revoked.value.component.header_hash == sha256


def test_nothing_can_take_the_place_of_what_is_revoked(store):
    store.revoke(sha256=(store.names["1.0.0"],))
    store.revoke(class_id=CLASS, below="2.0", renewal=Renewal(page="https://example.test/renew"))
    with pytest.raises(ComponentRevokedError) as revoked:
        store.resolve("1.0.0", "1.2.0")
    assert not revoked.value.is_renewable
    assert "not renewable" in revoked.value.maybe


def test_a_key_on_the_list_revokes_what_its_role_lists(store):
    """The authority would not publish this; a client that meets it fails closed."""
    trust = store.home.trust()
    [key] = trust.key_ids["components"]
    wanted = Revocation(id="a", reason=Reason.KEY_COMPROMISE, keyid=key)
    trees = store.home.trees
    tree = trees.stage(trees.number() + 1, lambda path: True)
    repository = StagedRepository(tree, store.home.keys, store.home.lifetimes, store.home.now)
    repository.set_list(encode_list(2, store.home.now(), [wanted]))
    repository.finish()
    trust = verify_trust(root_bytes(tree, 1), stored_files(tree))
    with pytest.raises(ComponentRevokedError) as revoked:
        resolve(trust, CLASS, 1, store.blobs)
    assert not revoked.value.is_renewable


def test_a_damaged_copy_is_not_run_and_a_lower_whole_one_is(store):
    with pytest.raises(ComponentDamagedError) as damaged:
        store.resolve(**store.damaged("1.10.0"))
    assert damaged.value.hresult == 0xC00D715C
    assert store.resolve("1.0.0", **store.damaged("1.10.0")).entry.version == "1.0.0"
    with pytest.raises(ComponentDamagedError):
        store.resolve()


def test_a_damaged_copy_of_something_revoked_is_damaged(store):
    store.revoke(class_id=CLASS, versions=("1.2.0",))
    with pytest.raises(ComponentDamagedError):
        store.resolve(**store.damaged("1.2.0"))


def test_a_blob_under_another_name_is_not_believed(store):
    store.revoke(class_id=CLASS, versions=("1.0.0",))
    good, other = store.names["1.10.0"], store.blobs[store.names["1.0.0"]]
    with pytest.raises(ComponentDamagedError):
        store.resolve(**{good: other})


def test_what_nothing_lists_and_what_nobody_knows(store):
    with pytest.raises(UnknownComponentError):
        store.resolve(api=2)
    with pytest.raises(UnlistedFileError):
        store.resolve("1.0.0", api=2)
