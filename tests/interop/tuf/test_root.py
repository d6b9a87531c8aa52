"""The first step of an update (the TUF specification, 5.3): the chain of roots, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Signed

from tests.interop.tuf.conftest import Client
from tests.interop.tuf.repository import ENDLESS, Repository


@dataclass
class Version:
    """One version of the root: which of ten keys it lists, how many must sign, and which do."""

    keys: tuple[int, ...]
    threshold: int
    signed_by: tuple[int, ...]


CHAINS = {
    "a key is replaced": ([Version((1,), 1, (1,)), Version((2,), 1, (2, 1)), Version((2,), 1, (2,))], 3),
    "signatures of strangers beside": ([Version((1,), 1, (3, 1, 4)), Version((2,), 1, (3, 2, 1, 4))], 2),
    "any three of five": ([Version((0, 1, 2, 3, 4), 3, (0, 2, 4)), Version((0, 1, 2, 3, 4), 3, (0, 1, 3))], 2),
    "one of five replaced": ([Version((0, 1, 2, 3, 4), 3, (0, 2, 4)), Version((0, 1, 3, 4, 5), 3, (0, 4, 1))], 2),
    "all five replaced": (
        [
            Version((0, 1, 2, 3, 4), 3, (0, 2, 4)),
            Version((5, 6, 7, 8, 9), 3, (0, 2, 4, 5, 6, 7)),
            Version((5, 6, 7, 8, 9), 3, (5, 6, 7)),
        ],
        3,
    ),
    "the threshold rises": ([Version((1, 2, 3), 1, (1,)), Version((1, 2, 3), 2, (1, 2))], 2),
    "the threshold falls": (
        [Version((1, 2, 3), 2, (1, 2)), Version((1, 2, 3), 1, (1, 2)), Version((1, 2, 3), 1, (3,))],
        3,
    ),
    "not signed by the old key": ([Version((1,), 1, (1,)), Version((2,), 1, (2, 3, 4))], 1),
    "not signed by the new key": ([Version((1,), 1, (1,)), Version((2,), 1, (1, 3, 4))], 1),
    "two of three old keys": ([Version((0, 1, 2, 3, 4), 3, (0, 2, 4)), Version((0, 1, 3, 4, 5), 3, (0, 4, 5))], 1),
    "two of three new keys": ([Version((0, 1, 2, 3, 4), 3, (0, 2, 4)), Version((0, 1, 3, 4, 5), 3, (0, 2, 4))], 1),
    "the new threshold is not reached": ([Version((1, 2, 3), 1, (1,)), Version((1, 2, 3), 2, (2,))], 1),
    "the old threshold is not reached": ([Version((1, 2, 3), 2, (1, 2)), Version((1, 2, 3), 1, (1,))], 1),
    "a fault after a sound one": (
        [Version((1,), 1, (1,)), Version((2,), 1, (1, 2)), Version((3,), 1, (3,)), Version((3,), 1, (3,))],
        2,
    ),
}


@pytest.mark.parametrize(("chain", "kept"), CHAINS.values(), ids=CHAINS)
def test_a_chain_of_roots(repository: Repository, client: Client, chain: list[Version], kept: int) -> None:
    signers = [CryptoSigner.generate_ed25519() for _ in range(10)]
    root = repository.root
    root.version = 0
    for version in chain:
        for key_id in list(root.roles["root"].keyids):
            root.revoke_key(key_id, "root")
        for number in version.keys:
            root.add_key(signers[number].public_key, "root")
        repository.threshold("root", version.threshold)
        repository.roles["root"].signers = [signers[number] for number in version.signed_by]
        repository.publish("root")
    pin = repository.files["metadata/1.root.json"]
    client._pin.write_bytes(pin)
    (client.kept.parent / "clearkey" / "root.json").write_bytes(pin)
    assert client.refresh() == (kept == len(chain)), client.said
    assert client.versions()["root"] == kept


def other_version(role: str, signed: Signed) -> None:
    if role == "root":
        signed.version += 1


def test_a_root_that_calls_itself_another_version(repository: Repository, updated: Client) -> None:
    repository.publish("root", twist=other_version)
    assert not updated.refresh()
    assert updated.versions()["root"] == 1


def test_roots_without_the_one_between(repository: Repository, updated: Client) -> None:
    repository.publish("root")
    repository.publish("root")
    del repository.files["metadata/2.root.json"]
    assert updated.refresh()
    assert updated.versions()["root"] == 1, "nobody knows of the third"


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 100_000, bytes(600_000), ENDLESS],
                         ids=["empty", "no metadata", "no text", "deep", "too long", "endless"])  # fmt: skip
def test_a_root_that_is_none(repository: Repository, updated: Client, data: bytes) -> None:
    repository.files["metadata/2.root.json"] = data
    assert not updated.refresh()
    assert updated.versions()["root"] == 1


def test_another_type_in_the_place_of_a_root(repository: Repository, updated: Client) -> None:
    repository.files["metadata/2.root.json"] = repository.files["metadata/timestamp.json"]
    assert not updated.refresh()
    assert updated.versions()["root"] == 1


def test_a_root_past_its_end_is_refused_and_remembered(repository: Repository, updated: Client) -> None:
    """5.3.10 comes after all of them were taken: what it said of keys is not forgotten for its age."""
    repository.set_expiry("root", -1)
    repository.publish("root")
    assert not updated.refresh()
    assert "E-TRUST-EXPIRED" in updated.said
    assert updated.versions()["root"] == 2
    repository.set_expiry("root", 30)
    repository.publish("root")
    assert updated.refresh()
    assert updated.versions()["root"] == 3


def test_a_root_is_kept_though_nothing_comes_after_it(repository: Repository, updated: Client) -> None:
    """5.3.8: else whoever has the old timestamp key, and hides this root, is believed again."""
    old = dict(repository.files)
    repository.rotate("timestamp")
    repository.publish("root", "timestamp")
    del repository.files["metadata/timestamp.json"]
    assert not updated.refresh()
    assert updated.versions()["root"] == 2
    repository.files = old
    assert not updated.refresh()
    assert updated.versions() == dict.fromkeys(("components", "revocations", "snapshot", "targets", "timestamp"), 1) | {
        "root": 2
    }


def test_a_pin_that_is_none_asks_nobody(repository: Repository, client: Client) -> None:
    for change in (lambda d: d["signed"].pop("version"), lambda d: d["signatures"][0].update(sig="00" * 64)):
        pin = Repository()
        pin.rewrite("1.root.json", change)
        (client.kept.parent / "clearkey" / "root.json").write_bytes(pin.files["metadata/1.root.json"])
        assert not client.refresh()
        assert not repository.asked


KINDS = {
    "ed25519": CryptoSigner.generate_ed25519,
    "ecdsa": CryptoSigner.generate_ecdsa,
    "rsa-pss": CryptoSigner.generate_rsa,
    "rsa-pkcs1v15": lambda: CryptoSigner.generate_rsa(scheme="rsa-pkcs1v15-sha256"),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_each_kind_of_key(repository: Repository, updated: Client, make) -> None:  # type: ignore[no-untyped-def]
    signer = repository.add_key("root", make())
    repository.threshold("root", 2)
    repository.publish("root")
    assert updated.refresh(), updated.said
    assert updated.versions()["root"] == 2
    repository.publish("root")

    def spoil(document) -> None:  # type: ignore[no-untyped-def]
        [found] = [each for each in document["signatures"] if each["keyid"] == signer.public_key.keyid]
        found["sig"] = f"{int(found['sig'][:2], 16) ^ 1:02x}{found['sig'][2:]}"

    repository.rewrite("3.root.json", spoil)
    assert not updated.refresh()
    assert updated.versions()["root"] == 2


def test_members_that_nobody_knows_are_signed_too(repository: Repository, updated: Client) -> None:
    repository.root.unrecognized_fields["colour"] = "red"
    repository.root.roles["root"].unrecognized_fields["shape"] = {"a": 1}
    repository.publish("root")
    assert updated.refresh(), updated.said
    assert updated.versions()["root"] == 2
    repository.publish("root")
    repository.rewrite("3.root.json", lambda document: document["signed"].update(colour="blue"))  # type: ignore[attr-defined]
    assert not updated.refresh()
