"""The later steps of an update (the TUF specification, 5.4 to 5.7): what is refused, and what is remembered then.

Each case changes a repository of which the client has version 1 of everything. It is refused unless it says otherwise,
and what the steps before the fault verified is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tuf.api.metadata import Signed

from drm.app.components.metadata import NO_LIST
from tests.interop.tuf.conftest import Client
from tests.interop.tuf.repository import ALL, ENDLESS, Repository

ONE = dict.fromkeys(sorted(ALL), 1)
TARGETS = ("targets", "components", "revocations")  # in the order in which they are asked for: the last is the list's
ORDER = ("timestamp", "snapshot", "targets", "revocations", "components")

Change = Callable[[Repository], None]


def kept(**versions: int) -> dict[str, int]:
    return ONE | versions


def before(role: str) -> dict[str, int]:
    """What is remembered when everything has a version 2, and that of this role is refused."""
    return kept(**dict.fromkeys(ORDER[: ORDER.index(role)], 2))


def refuses(client: Client, expected: dict[str, int]) -> None:
    assert not client.refresh(), client.said
    assert client.versions() == expected


# --------------------------------------------------------------------------------------------------------- signatures
@pytest.mark.parametrize("role", ORDER)
def test_nobody_signed_it(repository: Repository, updated: Client, role: str) -> None:
    repository.roles[role].signers.clear()
    repository.publish(*ALL[1:])
    refuses(updated, before(role))


@pytest.mark.parametrize("role", ORDER)
def test_a_stranger_signed_it(repository: Repository, updated: Client, role: str) -> None:
    repository.roles[role].signers = [Repository().roles[role].signers[0]]
    repository.publish(*ALL[1:])
    refuses(updated, before(role))


@pytest.mark.parametrize("role", ORDER)
def test_too_few_signed_it(repository: Repository, updated: Client, role: str) -> None:
    for _ in range(2):
        repository.add_key(role)
    repository.threshold(role, 3)
    repository.publish(*ALL)
    assert updated.refresh(), updated.said
    repository.roles[role].signers.pop()
    repository.publish(*ALL[1:])
    expected = dict.fromkeys(sorted(ALL), 2) | dict.fromkeys(ORDER[: ORDER.index(role)], 3)
    refuses(updated, expected)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_more_are_to_sign_than_there_are(repository: Repository, updated: Client, role: str) -> None:
    repository.threshold(role, 2)
    repository.publish(*ALL)
    refuses(updated, before(role) | {"root": 2})


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_one_signature_does_not_count_twice(repository: Repository, updated: Client, role: str) -> None:
    repository.add_key(role)
    repository.threshold(role, 2)
    repository.roles[role].signers.pop()
    repository.publish(*ALL)
    name = "timestamp.json" if role == "timestamp" else "2.snapshot.json"
    repository.rewrite(name, lambda document: document["signatures"].append(document["signatures"][0]))  # type: ignore[attr-defined]
    assert not updated.refresh()
    assert updated.versions()[role] == 1


def test_a_bad_signature_beside_good_ones(repository: Repository, updated: Client) -> None:
    repository.add_key("timestamp")
    repository.publish("root", "timestamp")
    for text in ("00" * 64, ""):
        repository.publish("timestamp")
        repository.rewrite("timestamp.json", lambda d, text=text: d["signatures"][0].update(sig=text))  # type: ignore[misc]
        assert updated.refresh(), updated.said


# ------------------------------------------------------------------------------------------------------------- numbers
def test_an_older_timestamp(repository: Repository, updated: Client) -> None:
    old = repository.files["metadata/timestamp.json"]
    repository.publish("timestamp")
    assert updated.refresh()
    repository.files["metadata/timestamp.json"] = old
    refuses(updated, kept(timestamp=2))
    assert "E-TRUST-ROLLBACK" in updated.said


def test_the_same_timestamp_with_another_content(repository: Repository, updated: Client) -> None:
    """5.4.3.1: one number is one timestamp; what is new under it is passed over."""
    repository.timestamp.version = 0
    repository.publish("snapshot")
    repository.publish("timestamp")
    assert updated.refresh()
    assert updated.versions() == ONE


def test_a_timestamp_that_names_an_older_snapshot(repository: Repository, updated: Client) -> None:
    old = repository.timestamp.snapshot_meta
    repository.publish("snapshot", "timestamp")
    assert updated.refresh()
    repository.timestamp.snapshot_meta = old
    repository.publish("timestamp")
    refuses(updated, kept(snapshot=2, timestamp=2))


@pytest.mark.parametrize("role", TARGETS)
def test_a_snapshot_that_names_something_older(repository: Repository, updated: Client, role: str) -> None:
    old = repository.snapshot.meta[f"{role}.json"]
    repository.publish(*ALL[1:])
    assert updated.refresh()
    repository.snapshot.meta[f"{role}.json"] = old
    repository.publish("snapshot", "timestamp")
    refuses(updated, dict.fromkeys(sorted(ALL), 2) | {"root": 1, "timestamp": 3})


@pytest.mark.parametrize("role", TARGETS)
def test_a_snapshot_that_leaves_a_role_out(repository: Repository, updated: Client, role: str) -> None:
    del repository.snapshot.meta[f"{role}.json"]
    repository.publish("snapshot", "timestamp")
    refuses(updated, kept(timestamp=2))


@pytest.mark.parametrize("role", ORDER[1:])
def test_a_file_that_calls_itself_another_version(repository: Repository, updated: Client, role: str) -> None:
    def twist(name: str, signed: Signed) -> None:
        signed.version += name == role

    repository.publish(*ALL[1:], twist=twist)
    refuses(updated, before(role))


def test_numbers_that_ran_ahead_end_with_new_keys(repository: Repository, updated: Client) -> None:
    """5.3.11: recovery from a fast-forward attack."""
    repository.timestamp.version = repository.snapshot.version = 1_000_000
    repository.publish("snapshot", "timestamp")
    assert updated.refresh()
    repository.timestamp.version = repository.snapshot.version = 0
    repository.publish("snapshot", "timestamp")
    refuses(updated, kept(snapshot=1_000_001, timestamp=1_000_001))
    for role in ("timestamp", "snapshot"):
        repository.rotate(role)
    repository.publish("root", "snapshot", "timestamp")
    assert updated.refresh(), updated.said
    assert updated.versions() == kept(root=2, snapshot=2, timestamp=2)


def test_targets_that_ran_ahead_end_with_a_new_snapshot_key(repository: Repository, updated: Client) -> None:
    repository.targets.version = 1_000_000
    repository.publish("targets", "snapshot", "timestamp")
    assert updated.refresh()
    repository.targets.version = 1
    repository.rotate("snapshot")
    repository.publish("root", "targets", "snapshot", "timestamp")
    assert updated.refresh(), updated.said
    assert updated.versions() == kept(root=2, targets=2, snapshot=3, timestamp=3)


def test_a_list_is_not_gone_back_from_with_a_new_snapshot_key(repository: Repository, updated: Client) -> None:
    """What TUF would take: ours counts the list by itself, as long as the key that signs it stays."""
    repository.update(number=5)
    assert updated.refresh()
    repository.rotate("snapshot")
    repository.set_list(4)
    repository.publish(*ALL)
    assert not updated.refresh()
    assert "E-TRUST-ROLLBACK" in updated.said
    repository.update(number=6)
    assert updated.refresh(), updated.said


# --------------------------------------------------------------------------------------------------- what has expired
@pytest.mark.parametrize("role", ORDER)
def test_it_is_past_its_end(repository: Repository, updated: Client, role: str) -> None:
    repository.set_expiry(role, -1)
    repository.publish(*ALL[1:])
    refuses(updated, before(role))
    assert "E-TRUST-EXPIRED" in updated.said
    repository.set_expiry(role, 30)
    repository.publish(*ALL[1:])
    assert updated.refresh(), updated.said
    assert updated.versions() == dict.fromkeys(sorted(ALL), 3) | {"root": 1}


# ------------------------------------------------------------------------------------------- what is not what was named
def spoil(repository: Repository, role: str, data: bytes | None) -> None:
    name = "metadata/timestamp.json" if role == "timestamp" else f"metadata/2.{role}.json"
    if data is None:
        del repository.files[name]
    else:
        repository.files[name] = data if data != b"+" else repository.files[name] + b"\n"


SPOILT = {"gone": None, "longer": b"+", "empty": b"", "no metadata": b"{}", "deep": b"[" * 50_000, "endless": ENDLESS}


# Nothing names the timestamp's length: white space at its end is the same document.
SPOILT_ROLES = [(role, how) for role in ORDER for how in SPOILT if (role, how) != ("timestamp", "longer")]


@pytest.mark.parametrize(("role", "how"), SPOILT_ROLES)
def test_it_is_not_what_was_named(repository: Repository, updated: Client, role: str, how: str) -> None:
    data = SPOILT[how]
    repository.publish(*ALL[1:])
    spoil(repository, role, data)
    refuses(updated, before(role))


@pytest.mark.parametrize("role", ORDER[1:])
def test_an_older_file_in_the_place_of_a_newer(repository: Repository, updated: Client, role: str) -> None:
    """A mix of two states, each validly signed."""
    old = repository.files[f"metadata/1.{role}.json"]
    repository.publish(*ALL[1:])
    repository.files[f"metadata/2.{role}.json"] = old
    refuses(updated, before(role))


@pytest.mark.parametrize("role", ORDER)
def test_another_type_in_its_place(repository: Repository, updated: Client, role: str) -> None:
    repository.publish(*ALL[1:])
    spoil(repository, role, repository.files["metadata/1.root.json"])
    refuses(updated, before(role))


def without_hash(what: str) -> Callable[[Repository], Any]:
    def change(repository: Repository) -> None:
        repository.publish(*ALL[1:4])
        setattr(repository.snapshot.meta["components.json"], what, None)
        repository.publish("snapshot", "timestamp")

    return change


@pytest.mark.parametrize("what", ["hashes", "length"])
def test_a_snapshot_without_hashes_or_lengths(repository: Repository, updated: Client, what: str) -> None:
    """TUF allows it; here two files of one version could then be exchanged."""
    without_hash(what)(repository)
    assert not updated.refresh()
    assert "without its length and sha256" in updated.said


# ------------------------------------------------------------------------------------------------------------- targets
def test_the_list_is_not_what_was_signed(repository: Repository, updated: Client) -> None:
    repository.update(number=2)
    [name] = [name for name in repository.files if name.startswith("targets/")][-1:]
    whole = repository.files[name]
    for data in (whole.replace(b'"version": 2', b'"version": 3'), whole + b" ", whole[:-1], b"", ENDLESS):
        repository.files[name] = data
        refuses(updated, kept(revocations=2, snapshot=2, timestamp=2))
    del repository.files[name]
    refuses(updated, kept(revocations=2, snapshot=2, timestamp=2))
    repository.files[name] = whole
    assert updated.refresh()


def test_a_role_lists_what_was_not_delegated_to_it(repository: Repository, updated: Client) -> None:
    """Whoever may list archives cannot say that there is another revocation list."""
    components, revocations = repository.roles["components"].signed, repository.roles["revocations"].signed
    components.targets, revocations.targets = revocations.targets, {}  # type: ignore[attr-defined]
    repository.publish(*ALL[1:])
    updated.refresh()
    assert NO_LIST in updated.said


def test_a_role_that_is_delegated_no_more(repository: Repository, updated: Client) -> None:
    delegations = repository.targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    del delegations.roles["revocations"]
    repository.publish("targets", "snapshot", "timestamp")
    updated.refresh()
    assert NO_LIST in updated.said


# --------------------------------------------------------------------------------------------------------------- bytes
def test_what_is_kept_is_what_came(repository: Repository, client: Client) -> None:
    repository.files["metadata/timestamp.json"] += b" "
    assert client.refresh()
    for role in ORDER:
        name = "timestamp.json" if role == "timestamp" else f"1.{role}.json"
        assert (client.kept / f"{role}.json").read_bytes() == repository.files[f"metadata/{name}"]


def test_nothing_is_asked_for_twice(repository: Repository, updated: Client) -> None:
    assert dict(repository.asked) == {
        "metadata/2.root.json": 1,
        "metadata/timestamp.json": 1,
        **{f"metadata/1.{role}.json": 1 for role in ORDER[1:]},
        next(name for name in repository.files if name.startswith("targets/")): 1,
    }
    repository.asked.clear()
    assert updated.refresh()
    assert dict(repository.asked) == {"metadata/2.root.json": 1, "metadata/timestamp.json": 1}
