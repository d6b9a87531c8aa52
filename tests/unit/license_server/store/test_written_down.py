"""Every verb that changes a store leaves a row in its audit log: who did what to which. Those that look leave none."""

from __future__ import annotations

import getpass
from pathlib import Path

from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer
from license_server.store.audit import AuditRow, RowKind, audit_rows
from tests.unit.license_server.store.test_keys_operation import verbs
from tests.unit.license_server.store_places import StorePlace

KID, OTHER = KeyId(b"k" * 16), KeyId(b"o" * 16)
KEY = ContentKey(b"Zq" * 8)
DEVICE = "D" * 43


def test_what_the_command_line_does_is_written_down(store_place: StorePlace, tmp_path: Path) -> None:
    keys = verbs(*store_place.words)
    (tmp_path / "keys.txt").write_text(f"{KID}:{KEY.secret.hex()}\n{OTHER}:{KEY.secret.hex()}\n")
    seen: list[AuditRow] = []

    def new_rows() -> list[tuple[str, str, str, str, str]]:
        with store_place.opened() as store:
            rows = audit_rows(store.engine, after=seen[-1].id if seen else 0)
        seen.extend(rows)
        assert {row.action for row in rows} <= {"command"}
        assert {RowKind.of(row.action, row.code) for row in rows} <= {RowKind.DEED}
        return [(row.code, row.kids, row.subject, row.token_id, row.device_id) for row in rows]

    me = getpass.getuser()
    film = f"{me}: content film"
    both = f"{KID.hex} {OTHER.hex}"
    for words, expected in (
        (
            ("import", tmp_path / "keys.txt", "--content", "film", "--track", "HD"),
            ("keys_imported", both, film, "", ""),
        ),
        (("list",), None),
        (("verify",), None),
        (("policy", KID), None),
        (("policy", KID, "--hdcp", 1), ("key_policy_set", KID.hex, me, "", "")),
        (("policy", "--content", "film", "--hdcp", 1), ("content_policy_set", "", film, "", "")),
        (("devices",), None),
        (("devices", "--enrol", DEVICE), ("device_enrolled", "", me, "", DEVICE)),
        (("revoke", KID), ("key_revoked", KID.hex, me, "", "")),
        (("revoke", KID, "--restore"), ("key_restored", KID.hex, me, "", "")),
        (("revoke", "--content", "film"), ("content_revoked", "", film, "", "")),
        (("revoke", "--token", "a token"), ("token_revoked", "", me, "a token", "")),
        (("revoke", "--device", "DDDD"), ("device_revoked", "", me, "", DEVICE)),
        (("devices", "--remove", DEVICE), ("device_removed", "", me, "", DEVICE)),
        (("remove", OTHER), ("key_removed", OTHER.hex, me, "", "")),
        (("rewrap",), ("rewrapped", "", me, "", "")),
    ):
        keys(*words)
        assert new_rows() == ([] if expected is None else [expected]), words
    keys("rotate", "film")
    ((code, kids, who, *_),) = new_rows()
    assert (code, who, len(kids.split())) == ("content_rotated", film, 1)
    keys("revoke", KeyId(b"?" * 16), code=4)
    assert new_rows() == [], "nothing was done"


def test_keys_that_a_server_brings_along_are_written_down_once(store_place: StorePlace) -> None:
    for _ in range(2):
        with LicenseServer(keys={KID: KEY}, **store_place.named):
            pass
    with store_place.opened() as store:
        rows = [(row.action, row.code, row.kids, row.subject) for row in audit_rows(store.engine)]
    assert rows == [("command", "keys_imported", KID.hex, "serve")]
