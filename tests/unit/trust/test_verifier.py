"""Offline verification: what is whole is accepted whatever its age, and nothing else is."""

from datetime import timedelta

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, TargetFile, Timestamp

from drm.errors import TrustError
from drm.trust.authority.published import root_bytes, stored_files
from drm.trust.authority.publishing import publish
from drm.trust.authority.revocation_list import encode_list
from drm.trust.authority.rotating import rotate
from drm.trust.errors import ListFormatError, MetadataError, TrustAbsentError
from drm.trust.freshness import GRACE, Freshness
from drm.trust.revocations import Reason, Revocation
from drm.trust.verifier import COMPONENTS, LIST_FILE, LIST_TARGET, REVOCATIONS, verify_trust


@pytest.fixture
def stored(home, component):
    """Pinned root 1, and files after every kind of rotation."""
    pinned = root_bytes(home.trees.shown, 1)
    publish(home, [component(), component("1.1.0")])
    rotate(home, "root")
    rotate(home, "timestamp")
    return pinned, stored_files(home.trees.shown)


def test_what_is_whole_is_told_whole(home, stored):
    trust = verify_trust(*stored)
    assert [(entry.name, entry.version, entry.api) for entry in trust.components] == [
        ("null-sink", "1.0.0", 1),
        ("null-sink", "1.1.0", 1),
    ]
    assert trust.revocations.version == 1
    assert trust.versions["root"] == 4
    assert set(trust.versions) == set(trust.expiries) == set(trust.key_ids)
    assert all(entry.key_ids == trust.key_ids[COMPONENTS] for entry in trust.components)


def test_age_is_told_and_not_judged(stored, clock):
    trust = verify_trust(*stored)
    assert trust.freshness(clock.now) is Freshness.FRESH
    end = trust.expiries["timestamp"]
    assert trust.freshness(end + timedelta(days=1)) is Freshness.STALE
    assert trust.freshness(end + GRACE) is Freshness.EXPIRED


def test_a_store_that_is_younger_than_the_pin_needs_no_older_roots(home, stored):
    _, files = stored
    newest = root_bytes(home.trees.shown)
    del files["root_history/1.root.json"]
    files["root_history/2.root.json"] = b"damaged, and never asked for"
    assert verify_trust(newest, files).versions["root"] == 4


def test_every_file_is_needed_whole(stored):
    pinned, files = stored
    whole = verify_trust(pinned, files)
    accepted = 0
    for name in files.keys() - {"root_history/1.root.json"}:
        data = files[name]
        variants = [b"", data[:-1], data[: len(data) // 2], b"{}", b"[" * 50_000, b"\xff" * 10]
        variants += [data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :] for at in range(3, len(data), len(data) // 7)]
        for variant in variants:
            try:
                trust = verify_trust(pinned, files | {name: variant})
            except MetadataError:
                continue
            # One signature more than the threshold asks for may be damaged, in what no hash covers.
            assert name == "timestamp.json" or name.startswith("root_history/")
            assert (trust.components, trust.versions) == (whole.components, whole.versions)
            accepted += 1
    assert accepted < 10


def test_every_file_is_needed(stored):
    pinned, files = stored
    # Of the newest root nothing else tells: that it was there is for the store's floor to know.
    for name in files.keys() - {"root_history/1.root.json", "root_history/4.root.json", "timestamp.json"}:
        with pytest.raises(MetadataError) as refused:
            verify_trust(pinned, {key: data for key, data in files.items() if key != name})
        absent = name == "revocations.list"  # MF_E_GRL_ABSENT, as without any metadata
        assert refused.value.hresult == (0xC00D7172 if absent else 0xC00D716A)
    with pytest.raises(TrustAbsentError) as absent:
        verify_trust(pinned, {})
    assert absent.value.hresult == 0xC00D7172


def test_a_pin_of_somebody_else_is_refused(stored):
    pinned, files = stored
    other = Metadata.from_bytes(pinned)
    other.signatures.clear()
    for pin in (other.to_bytes(), files["targets.json"], b""):
        with pytest.raises(MetadataError):
            verify_trust(pin, files)


def test_old_metadata_is_not_mixed_with_new(home, stored, component):
    pinned, old = stored
    publish(home, [component("1.2.0")])
    new = stored_files(home.trees.shown)
    for name in ("timestamp.json", "snapshot.json", "components.json"):
        with pytest.raises(MetadataError):
            verify_trust(pinned, {**new, name: old[name]})


@pytest.mark.parametrize("role", ["snapshot", "targets", "components", "revocations"])
def test_one_version_signed_twice_is_not_exchanged(home, stored, role):
    pinned, files = stored
    repository = home.reading()
    other = Metadata.from_bytes(files[f"{role}.json"])
    other.signed.expires += timedelta(seconds=1)
    [key_id] = home.trust().key_ids[role]
    delegator = repository.targets() if role in (COMPONENTS, REVOCATIONS) else repository.root()
    other.sign(home.keys.signer(delegator.get_key(key_id)))
    with pytest.raises(MetadataError):
        verify_trust(pinned, files | {f"{role}.json": other.to_bytes()})


def test_a_root_needs_the_keys_of_the_one_before_it_and_its_own(home, stored):
    pinned, files = stored
    for signers in ("new", "old"):
        usurper = Metadata[Root].from_bytes(pinned)
        old = [home.keys.signer(usurper.signed.get_key(key_id)) for key_id in usurper.signed.roles["root"].keyids]
        new = [CryptoSigner.generate_ed25519() for _ in range(2)]
        for signer in old:
            usurper.signed.revoke_key(signer.public_key.keyid, "root")
        for signer in new:
            usurper.signed.add_key(signer.public_key, "root")
        usurper.signed.version = 2
        usurper.signatures.clear()
        for signer in new if signers == "new" else old:
            usurper.sign(signer, append=True)
        alone = {name: data for name, data in files.items() if not name.startswith("root_history/")}
        with pytest.raises(MetadataError, match="root was signed by"):
            verify_trust(pinned, alone | {"root_history/2.root.json": usurper.to_bytes()})


def test_a_root_chain_has_no_gaps_and_no_jumps(stored):
    pinned, files = stored
    with pytest.raises(MetadataError, match="root 3 is not there"):
        verify_trust(pinned, {key: data for key, data in files.items() if key != "root_history/3.root.json"})
    with pytest.raises(MetadataError, match="calls itself"):
        verify_trust(pinned, {**files, "root_history/2.root.json": files["root_history/3.root.json"]})


def test_metadata_over_its_limit_is_not_parsed(stored):
    pinned, files = stored
    with pytest.raises(MetadataError, match="bytes, more than"):
        verify_trust(pinned, {**files, "timestamp.json": files["timestamp.json"] + b" " * (16 << 10)})


# ---------------------------------------------------------------- metadata that is signed well and says what it may not
def test_a_role_has_no_say_outside_its_paths(home, stored, component):
    pinned, _ = stored
    hostile = encode_list(9, home.now(), ())
    with home.change(("test",)) as repository:
        with repository.edit_targets(COMPONENTS) as listed:
            listed.targets[LIST_TARGET] = TargetFile.from_data(LIST_TARGET, hostile, ["sha256"])
            for path in ("elsewhere/1.0.0.zip", "components/x.zip", "components/a/b/c.zip"):
                listed.targets[path] = TargetFile.from_data(path, b"x", ["sha256"])
        repository.finish()
    trust = verify_trust(pinned, stored_files(home.trees.shown))
    assert trust.revocations.version == 1
    assert [entry.version for entry in trust.components] == ["1.0.0", "1.1.0"]
    with pytest.raises(MetadataError):  # nor does the role `components` make the list its own by its bytes
        verify_trust(pinned, {**stored_files(home.trees.shown), LIST_FILE: hostile})


def refused(home, edit) -> TrustError:
    """Publish what `edit` does to a tree: the authority verifies as a client does, and so refuses it."""
    before = home.trees.number()
    with pytest.raises(TrustError) as error, home.change(("test",)) as repository:
        edit(repository)
    assert home.trees.number() == before
    return error.value


def test_a_snapshot_without_hashes_is_refused(home, stored):
    def edit(repository):
        with repository.edit_snapshot() as snapshot:
            snapshot.meta["targets.json"] = MetaFile(snapshot.meta["targets.json"].version)
        repository.do_timestamp(force=True)

    assert "without its length and sha256" in refused(home, edit).what


def test_a_snapshot_that_forgets_a_role_is_refused(home, stored):
    def edit(repository):
        with repository.edit_snapshot() as snapshot:
            del snapshot.meta["revocations.json"]
        repository.do_timestamp(force=True)

    assert isinstance(refused(home, edit), MetadataError)


@pytest.mark.parametrize("custom", [None, {}, {"clsid": "x"}, "another's place", "no version"])
def test_an_archive_that_is_listed_strangely_is_refused(home, stored, custom):
    entry = home.trust().components[0]
    facts = {"clsid": str(entry.class_id), "name": "x", "version": "7.0", "api": 1, "entry_point": "x"}
    path = f"components/{entry.class_id}/8.0.zip"
    if custom == "no version":
        facts["version"], path = "one", f"components/{entry.class_id}/one.zip"

    def edit(repository):
        with repository.edit_targets(COMPONENTS) as listed:
            target = TargetFile.from_data(path, b"x", ["sha256"])
            target.unrecognized_fields["custom"] = facts if isinstance(custom, str) else custom
            listed.targets[path] = target
        repository.finish()

    assert isinstance(refused(home, edit), MetadataError)


def test_an_archive_that_calls_itself_otherwise_is_refused(home, stored):
    entry = home.trust().components[0]
    data = (home.trees.shown / f"targets/components/{entry.class_id}/{entry.sha256}.1.0.0.zip").read_bytes()

    def edit(repository):
        facts = {"clsid": str(entry.class_id), "name": "null-sink", "version": "9.0.0", "api": 1}
        with repository.edit_targets(COMPONENTS) as listed:
            facts["entry_point"] = entry.entry_point
            repository.add_archive(f"components/{entry.class_id}/9.0.0.zip", data, facts, listed)
        repository.finish()

    assert "something else of itself" in refused(home, edit).what


def test_a_list_of_a_newer_format_says_so(home, stored):
    def edit(repository):
        repository.set_list(b'{"format": 2}')
        repository.finish()

    error = refused(home, edit)
    assert isinstance(error, ListFormatError)
    assert error.hresult == 0xC00D716B


def test_what_is_revoked_is_not_published_as_listed(home, stored):
    [key] = home.trust().key_ids[COMPONENTS]

    def edit(repository):
        repository.set_list(encode_list(2, home.now(), [Revocation(id="a", reason=Reason.FLAW, keyid=key)]))
        repository.finish()

    assert "listed and revoked" in refused(home, edit).what


def test_the_role_of_the_list_names_one(home, stored):
    def edit(repository):
        with repository.edit_targets(REVOCATIONS) as listed:
            listed.targets.clear()
        repository.finish()

    assert isinstance(refused(home, edit), MetadataError)


def test_types_are_not_exchanged(stored):
    pinned, files = stored
    assert Metadata[Root].from_bytes(pinned).signed.type == "root"
    assert Metadata[Timestamp].from_bytes(files["timestamp.json"]).signed.type == "timestamp"
    for name, other in (("timestamp.json", "snapshot.json"), ("targets.json", "components.json")):
        with pytest.raises(MetadataError):
            verify_trust(pinned, {**files, name: files[other]})
