"""What this process finds out about components: by the worker's own verifier, from whatever lies in a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drm.app.components.trust import ComponentTrust
from drm.class_ids import AV_DECODER, BUILT_IN
from drm.errors import DRMError
from drm.trust.authority.source_folder import archive_of
from drm.trust.errors import MetadataError, TrustAbsentError
from player.verbs.components.state import Components, look_at_components
from player.verbs.components.text import as_json, component_lines, summary
from tests.publisher import Publisher, User, write_marked


@pytest.fixture
def user(publisher: Publisher) -> User:
    return publisher.user()


def row(found: Components, name: str):
    (only,) = (row for row in found.rows if row.name == name)
    return only


def blob(user: User, sha256: str) -> Path:
    return user.store / "blobs" / sha256


def test_what_is_installed_runs_and_is_test_signed(user: User) -> None:
    found = look_at_components(user.trust)
    assert {row.class_id for row in found.rows} == {str(class_id) for class_id in BUILT_IN}
    assert {(row.state, row.version, row.update) for row in found.rows} == {("test-signed", "1.0.0", "")}
    assert {row.signer for row in found.rows} == {user.publisher.component_key}
    assert (found.signed, found.faults) == ("test-signed", ())
    (authority,) = found.authorities
    assert (authority.revocation_list, authority.freshness, authority.is_pinned) == (1, "fresh", False)
    assert authority.origin == f"store generation 1, {user.store}"
    assert authority.confirmed is not None


def test_a_checkout_without_options_has_its_development_authority() -> None:
    found = look_at_components(ComponentTrust())
    assert found.signed == "test-signed"
    assert [authority.origin for authority in found.authorities] == ["development authority of this copy"]
    assert {row.class_id for row in found.rows} >= {str(class_id) for class_id in BUILT_IN}


def test_a_better_version_that_is_listed_is_told(user: User) -> None:
    user.publisher.publish_built_in("hash_sink", "1.0.1")
    (held,) = (data for data in user.publisher.archives() if b'version = "1.0.1"' in data)
    user.install()
    sha256 = row(look_at_components(user.trust), "hash-sink").sha256
    assert len(held) == blob(user, sha256).stat().st_size, "the control: with its archive, the better one runs"
    blob(user, sha256).unlink()
    found = row(look_at_components(user.trust), "hash-sink")
    assert (found.version, found.state, found.update) == ("1.0.0", "test-signed", "1.0.1")


def revoke(user: User) -> None:
    user.publisher.publish_built_in("av_decoder", "1.0.1")
    user.publisher.revoke(class_id=AV_DECODER, versions=("1.0.0",))
    with user.supply().store.writing() as writer:
        from drm.app.components.generation import RefreshState

        writer.install(user.publisher.files(), RefreshState(user.publisher.now.timestamp()))


def overwrite(user: User) -> None:
    path = blob(user, user.publisher.sha256(AV_DECODER))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def remove(user: User) -> None:
    blob(user, user.publisher.sha256(AV_DECODER)).unlink()


@pytest.mark.parametrize(
    ("change", "state", "reason", "update", "faults"),
    [
        (revoke, "revoked", "R-2-1: flaw, reads too far", "1.0.1", ["E-TRUST-REVOKED"]),
        (overwrite, "damaged", "", "", ["E-TRUST-DAMAGED", "E-TRUST-DAMAGED"]),  # what is missing, and what lies there
        (remove, "damaged", "", "", ["E-TRUST-DAMAGED"]),
    ],
    ids=["revoked", "overwritten", "removed"],
)
def test_what_must_not_run_is_told_with_its_reason(
    user: User, change: Callable[[User], None], state: str, reason: str, update: str, faults: list[str]
) -> None:
    change(user)
    found = look_at_components(user.trust)
    decoder = row(found, "av-decoder")
    assert (decoder.state, decoder.version, decoder.reason, decoder.update) == (state, "1.0.0", reason, update)
    assert [error.code for error in found.faults] == faults
    assert found.signed == "", "no worker would start"
    assert f"av-decoder 1.0.0 {state}" in summary(found)
    assert {other.state for other in found.rows if other is not decoder} == {"test-signed"}


def test_a_copy_that_nobody_lists_keeps_nothing_from_running(user: User, tmp_path: Path) -> None:
    user.put(archive_of(write_marked(tmp_path / "marked")))
    found = look_at_components(user.trust)
    assert (row(found, "marked").state, row(found, "marked").is_needed) == ("not listed", False)
    assert found.signed == "test-signed"
    assert [error.code for error in found.faults] == ["E-TRUST-UNLISTED"]


def test_what_was_never_fetched_is_not_at_hand(user: User) -> None:
    """Listed by an authority, and no component of this user's: neither a row nor a fault."""
    user.publisher.publish_marked()
    user.install()
    assert row(look_at_components(user.trust), "marked").state == "test-signed", "the control"
    blob(user, row(look_at_components(user.trust), "marked").sha256).unlink()
    found = look_at_components(user.trust)
    assert not [row for row in found.rows if row.name == "marked"]
    assert found.faults == ()


def test_metadata_that_does_not_verify_makes_nothing_trusted(user: User) -> None:
    files = user.publisher.files()
    user.install({**files, "components.json": files["components.json"].replace(b"1.0.0", b"1.0.9", 1)})
    found = look_at_components(user.trust)
    assert {row.state for row in found.rows} == {"not verified"}
    assert row(found, "av-decoder").version == "1.0.0", "what the archive calls itself"
    (fault,) = found.faults
    assert isinstance(fault, MetadataError)
    assert str(user.store) in fault.where
    assert found.signed == ""
    assert "not verified" in summary(found)


def test_another_root_vouches_for_nothing(user: User) -> None:
    stranger = Publisher(another=True)
    found = look_at_components(ComponentTrust(root=stranger.root, store=user.store))
    assert found.signed == ""
    assert {row.state for row in found.rows} == {"not verified"}


def test_where_nothing_is_stored_nothing_is_at_hand(publisher: Publisher) -> None:
    found = look_at_components(publisher.user(empty=True).trust)
    assert [type(error) for error in found.faults] == [TrustAbsentError]
    assert found.signed == ""
    assert component_lines(found.rows) == ["no component is at hand"]


def test_an_expired_list_is_told_and_goes_on_running() -> None:
    found = look_at_components(Publisher(days_ago=60).user().trust)
    assert found.signed == "test-signed"
    assert found.authorities[0].freshness == "expired"


def test_the_table_and_the_document_say_the_same(user: User) -> None:
    revoke(user)
    found = look_at_components(user.trust)
    said = as_json(found)
    table = component_lines(found.rows)
    assert len(table) == 1 + len(found.rows)
    for line, component in zip(table[1:], said["components"], strict=True):  # type: ignore[call-overload]
        cells = line.split(maxsplit=4)
        assert cells[:2] == [component["name"], component["version"]]
        assert component["class_id"].startswith(cells[2])
        assert cells[4].startswith(component["state"])
    assert [fault["code"] for fault in said["faults"]] == ["E-TRUST-REVOKED"]  # type: ignore[attr-defined]
    assert all(isinstance(fault, DRMError) for fault in found.faults)
