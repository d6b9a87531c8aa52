"""What pages show of the audit log and of keys: counted by minute and reason, told by what was done, found by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drm.keys import KeyId
from license_server.decisions import Decision
from license_server.pages.events import event_of, latest_rows
from license_server.pages.key_list import found_rows
from license_server.pages.overview import hour_of
from license_server.store import audit as audit_log
from license_server.store.audit import Audit, AuditMode, record_admin_action
from license_server.store.keys import KeyRow, Place
from license_server.store.opening import Store, open_store
from license_server.store.wrapping import Kek
from tests.clocks import HeldClock

KID = KeyId.parse("00112233445566778899aabbccddeeff")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "keys.db", Kek(bytes(32), "of a test")) as opened:
        yield opened


def test_an_hour_is_counted_by_minute_and_reason(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What clients asked for, and nothing that an operator did."""
    now = 1_000_000 * 60.0 + 30
    audit = Audit(store.engine, AuditMode.SYNC)
    for at, code in ((now, "issued"), (now, "key_unknown"), (now - 60, "sealed"), (now - 59 * 60, "key_unknown"),
                     (now - 60 * 60, "issued")):  # fmt: skip
        audit.record("license", "here", Decision(200, "", b"", code), at, 0.002)
    with monkeypatch.context() as patch:
        HeldClock(now).hold(patch, audit_log)
        for action, code in (
            ("pages", "key_shown"),
            ("admin", "key_revoked"),
            ("export", "exported"),
            ("command", "x"),
        ):
            record_admin_action(store.engine, action, code, "alice", [KID])
    hour = hour_of(store.engine, now)
    assert (hour.issued[-1], hour.issued[-2], sum(hour.issued)) == (1, 1, 2)
    assert (hour.refused[0], hour.refused[-1], sum(hour.refused)) == (1, 1, 2)
    assert hour.reasons == (("key_unknown", 2),)
    assert hour.highest == 2
    assert (hour.p50, hour.p99) == (2.0, 2.0)


def test_the_newest_rows_are_shown_oldest_first(store: Store) -> None:
    assert latest_rows(store.engine, 2) == []
    audit = Audit(store.engine, AuditMode.SYNC)
    for number in range(5):
        audit.record("license", f"client {number}", Decision(200, "", b"", kids=(KID,)), 0.0, 0.0)
    rows = latest_rows(store.engine, 2)
    assert [row.client for row in rows] == ["client 3", "client 4"]
    assert event_of(rows[0])["kids"] == [str(KID)]


def test_a_row_is_told_by_what_was_done_and_not_by_its_code_alone(store: Store) -> None:
    audit = Audit(store.engine, AuditMode.SYNC)
    audit.record("license", "here", Decision(200, "", b"", "issued"), 0.0, 0.0)
    audit.record("license", "here", Decision(403, "", b"", "key_revoked"), 0.0, 0.0)
    record_admin_action(store.engine, "admin", "key_revoked", "alice")
    kinds = [event_of(row)["kind"] for row in latest_rows(store.engine, 9)]
    assert kinds == ["issued", "refused", "done"]


def row(place: Place, kid: KeyId = KID) -> KeyRow:
    return KeyRow(kid, None, "f00d", 0, place, None, None)


@pytest.mark.parametrize("query", [KID.hex, str(KID), KID.base64url, KID.hex[:5], " Big ", "hd", "F00D", ""])
def test_a_key_is_found_by_any_of_its_names(query: str) -> None:
    rows = [row(Place("a big film", "HD")), KeyRow(KeyId(bytes(16)), None, "beef", 0, Place("x", "y"), None, None)]
    assert found_rows(rows, query) == (rows[:1] if query else rows)
