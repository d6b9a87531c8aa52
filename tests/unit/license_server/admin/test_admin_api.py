"""The administrator's API over a real server: what is answered, done and written down, and that no key is said."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drm.keys import ContentKey, KeyId
from drm.license.clearkey import b64url
from tests.unit.license_server.admin.admin_server import ALICE, BOB, KIDS, Api, administered, start
from tests.unit.license_server.store_places import StorePlace

DEVICE = "D" * 43
LIMIT = 20.0  # seconds within which anything here happens


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, module_place: StorePlace) -> Iterator[Api]:
    with administered(tmp_path_factory.mktemp("admin"), module_place) as running:
        yield running


@pytest.fixture
def viewer(api: Api) -> str:
    token: str = api.done("POST", "/tokens/mint", {"subject": "viewer"}, 201)["token"]
    return token


def becomes(api: Api, code: str, kid: str, token: str) -> bool:
    """Whether every worker comes to decide so."""
    ends = time.monotonic() + LIMIT
    while (found := api.license_code(kid, token)) != {code} and time.monotonic() < ends:
        time.sleep(0.05)
    return found == {code}


# ------------------------------------------------------------------------------------------------ keys
def test_keys_are_listed_page_by_page_each_once(api: Api) -> None:
    seen, after, pages = [], "", 0
    while True:
        page = api.done("GET", f"/keys?limit=3{after}")
        assert 1 <= len(page["keys"]) <= 3
        seen += [key["kid"] for key in page["keys"]]
        pages += 1
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == sorted(seen)
    assert len(set(seen)) == len(seen) == api.done("GET", "/status")["keys"]
    assert set(KIDS) <= set(seen)
    assert pages > 2


def test_a_key_is_found_by_any_notation(api: Api) -> None:
    kid = KeyId.parse(KIDS[0])
    found = [api.done("GET", f"/keys/{text}") for text in (str(kid), kid.hex, kid.base64url)]
    assert found[0] == found[1] == found[2]
    assert found[0]["check_value"]


def test_keys_are_made_for_the_tracks_of_a_content(api: Api) -> None:
    made = api.done("POST", "/keys", {"content": "made", "tracks": ["HD", "AUDIO"]}, 201)["keys"]
    assert [(key["content"], key["track"]) for key in made] == [("made", "HD"), ("made", "AUDIO")]
    deed = api.last_deed()
    assert (deed["action"], deed["code"], deed["subject"]) == ("admin", "keys_generated", "alice: content made")
    assert deed["kids"] == [key["kid"] for key in made]
    listed = api.done("GET", "/keys?content=made")["keys"]
    assert sorted(listed, key=str) == sorted(made, key=str)
    assert len(api.done("POST", "/keys", {"count": 3}, 201)["keys"]) == 3
    next_ones = api.done("POST", "/contents/rotate", {"content": "made"}, 201)["keys"]
    assert {(key["track"], key["period"]) for key in next_ones} == {("HD", 1), ("AUDIO", 1)}
    assert api.last_deed()["code"] == "content_rotated"


def test_what_is_imported_is_what_is_exported(api: Api) -> None:
    kid, key = KeyId(os.urandom(16)), ContentKey(os.urandom(16))
    jwk = {"kty": "oct", "kid": kid.base64url, "k": b64url(key.secret)}
    order = {"keys": [jwk], "content": "imported", "track": "SD", "period": 4, "type": "temporary"}
    assert api.done("POST", "/keys/import", order) == {"new": 1, "held": 0}
    assert api.done("POST", "/keys/import", order) == {"new": 0, "held": 1}
    assert api.last_deed()["code"] == "keys_imported"
    row = api.done("GET", f"/keys/{kid}")
    assert (row["content"], row["track"], row["period"]) == ("imported", "SD", 4)

    other = {**jwk, "k": b64url(os.urandom(16))}
    refused = api("POST", "/keys/import", {"keys": [other]})
    assert (refused.status_code, refused.json()["code"], refused.json()["kids"]) == (
        409, "key_differs", [kid.base64url],
    )  # fmt: skip
    exported = api("POST", "/keys/export", {"kids": [str(kid)]}, X_Clearkey_Confirm="export")
    assert exported.json()["keys"] == [jwk]
    assert api("POST", "/keys/import", {"keys": [other], "replace": True}).status_code == 200
    exported = api("POST", "/keys/export", {"content": "imported"}, X_Clearkey_Confirm="export")
    assert exported.json()["keys"] == [other]


def test_an_export_is_confirmed_and_written_down_with_its_name(api: Api) -> None:
    before = api.last_deed()["id"]
    for headers in ({}, {"X_Clearkey_Confirm": "yes"}):
        answer = api("POST", "/keys/export", {"kids": KIDS[:2]}, **headers)
        assert (answer.status_code, answer.json()["code"]) == (428, "confirmation_required")
    for order in ({}, {"kids": KIDS[:1], "content": "made"}, {"kids": [KIDS[0], str(KeyId(b"?" * 16))]}):
        answer = api("POST", "/keys/export", order, X_Clearkey_Confirm="export")
        assert answer.status_code in {400, 404}
    assert api.last_deed()["id"] == before
    assert api("POST", "/keys/export", {"kids": KIDS[:2]}, token=BOB, X_Clearkey_Confirm="export").status_code == 200
    deed = api.last_deed()
    assert (deed["action"], deed["code"], deed["subject"], deed["client"]) == ("export", "exported", "bob", "127.0.0.1")
    assert deed["kids"] == KIDS[:2]


# ------------------------------------------------------------------------------------------------ what is in force
def test_a_revocation_is_in_force_in_every_worker(api: Api, viewer: str) -> None:
    kid = KIDS[1]
    assert api.license_code(kid, viewer) == {"issued"}
    assert api.done("POST", f"/keys/{kid}/revoke")["revoked_at"]
    assert becomes(api, "key_revoked", kid, viewer)
    assert (api.last_deed()["code"], api.done("GET", "/status")["revocation_seconds"]) == ("key_revoked", 1.0)
    assert api.done("POST", f"/keys/{kid}/restore")["revoked_at"] is None
    assert becomes(api, "issued", kid, viewer)


def test_contents_and_tokens_are_revoked_and_restored(api: Api) -> None:
    (key,) = api.done("POST", "/keys", {"content": "a/b c", "tracks": ["HD"]}, 201)["keys"]
    order = {"contents": ["a/b c"], "token_id": "the id", "reusable": True}
    token = api.done("POST", "/tokens/mint", order, 201)["token"]
    assert becomes(api, "issued", key["kid"], token)
    assert api.done("POST", "/contents/revoke", {"content": "a/b c"})["revoked_at"]
    assert api.last_deed()["subject"] == "alice: content a/b c"
    assert becomes(api, "content_revoked", key["kid"], token)
    assert api.done("POST", "/contents/restore", {"content": "a/b c"})["revoked_at"] is None
    assert api.done("POST", "/tokens/revoke", {"token_id": "the id"})["revoked"] == ["the id"]
    assert (api.last_deed()["code"], api.last_deed()["token_id"]) == ("token_revoked", "the id")
    assert becomes(api, "token_revoked", key["kid"], token)
    assert api.done("POST", "/tokens/restore", {"token_id": "the id"})["revoked"] == []
    assert api.done("GET", "/tokens")["revoked"] == []
    assert "a/b c" in [row["content"] for row in api.done("GET", "/contents")["contents"]]


def test_rules_of_key_and_content_hold_together(api: Api, viewer: str) -> None:
    (key,) = api.done("POST", "/keys", {"content": "ruled", "tracks": ["HD"]}, 201)["keys"]
    path = f"/keys/{key['kid']}/policy"
    assert api.done("GET", path)["policy"] is None
    told = api.done("PUT", path, {"policy": {"actions": ["play"], "expires": 2_000_000_000}})
    assert told["policy"] == told["effective"] == {"actions": ["play"], "expires": 2_000_000_000}
    api.done(
        "PUT",
        "/contents/policy",
        {"content": "ruled", "policy": {"actions": ["play", "snapshot"], "sealed_only": True}},
    )
    both = {"actions": ["play"], "expires": 2_000_000_000, "sealed_only": True}
    assert api.done("GET", path)["effective"] == both
    assert becomes(api, "sealed_required", key["kid"], viewer)
    api.done("PUT", "/contents/policy", {"content": "ruled", "policy": None})
    assert api.done("PUT", path, {"policy": None})["policy"] is None
    assert api.last_deed()["code"] == "key_policy_set"
    assert becomes(api, "issued", key["kid"], viewer)


def test_devices_are_enrolled_revoked_and_restored(api: Api) -> None:
    assert api.done("POST", "/devices/enroll", {"device": DEVICE})["enrolled_at"]
    assert api.done("POST", "/devices/revoke", {"device": "DDDD"})["revoked_at"]
    assert (api.last_deed()["code"], api.last_deed()["device_id"]) == ("device_revoked", DEVICE)
    assert api.done("POST", "/devices/restore", {"device": DEVICE})["revoked_at"] is None
    assert [row["device_id"] for row in api.done("GET", "/devices")["devices"]] == [DEVICE]
    assert api("POST", "/devices/enroll", {"device": "none at all"}).json()["code"] == "request_malformed"


def test_audit_events_are_read_on_from_where_one_was(api: Api) -> None:
    api.done("POST", "/keys", {}, 201)
    api.done("POST", "/keys", {}, 201)
    seen, after = [], 0
    while events := (page := api.done("GET", f"/audit?after={after}&limit=2"))["events"]:
        seen += [event["id"] for event in events]
        after = page["next"]
    assert seen == sorted(set(seen))
    assert len(seen) >= 2
    assert api.done("GET", f"/audit?after={after}") == {"events": [], "next": after}


# ------------------------------------------------------------------------------------------------ what is malformed
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/keys", b"", 400, "request_malformed"),
        ("POST", "/keys", b"{", 400, "request_malformed"),
        ("POST", "/keys", b"\xff\xfe", 400, "request_malformed"),
        ("POST", "/keys", b"[" * 50_000, 400, "request_malformed"),
        ("POST", "/keys", b"[]", 400, "request_malformed"),
        ("POST", "/keys", b'{"count": 0}', 400, "request_malformed"),
        ("POST", "/keys", b'{"count": 101}', 400, "request_malformed"),
        ("POST", "/keys", b'{"count": 2, "content": "c", "tracks": ["HD"]}', 400, "request_malformed"),
        ("POST", "/keys", b'{"tracks": ["HD"]}', 400, "request_malformed"),
        ("POST", "/keys", b'{"content": "c", "tracks": ["HD", "HD"]}', 400, "request_malformed"),
        ("POST", "/keys", b'{"content": "c", "tracks": ["a/b"]}', 400, "request_malformed"),
        ("POST", "/keys", b'{"content": "c", "tracks": ["HD\\n"]}', 400, "request_malformed"),
        ("POST", "/keys/import", b'{"keys": [{"kid": "AAECAwQFBgcICQoLDA0ODw", "k": "AAECAwQFBgcICQoLDA0ODw"}],'
         b'"content": "c", "track": "a b"}', 400, "request_malformed"),
        ("POST", "/contents/rotate", b'{"content": "c", "tracks": ["a b"]}', 400, "request_malformed"),
        ("POST", "/tokens/revoke", b'{"token_id": "a\\u0000b"}', 400, "request_malformed"),
        ("POST", "/keys", b'{"content": "a\\u0000b"}', 400, "request_malformed"),
        ("POST", "/keys", b'{"contents": "c"}', 400, "request_malformed"),
        ("POST", "/keys/import", b'{"keys": []}', 400, "request_malformed"),
        ("POST", "/keys/import", b'{"keys": [{"kid": "AAECAwQFBgcICQoLDA0ODw", "k": "c2hvcnQ"}]}', 400,
         "request_malformed"),
        ("POST", "/keys/import", b'{"keys": [{"kty": "RSA", "kid": "AAECAwQFBgcICQoLDA0ODw", "k": "x"}]}', 400,
         "request_malformed"),
        ("POST", "/keys/import", b" " * ((4 << 20) + 1), 413, "request_too_large"),
        ("GET", "/keys?limit=0", None, 400, "request_malformed"),
        ("GET", "/keys?limit=1001", None, 400, "request_malformed"),
        ("GET", "/keys?limit=many", None, 400, "request_malformed"),
        ("GET", "/keys?after=here-is-no-key-id", None, 400, "request_malformed"),
        ("GET", "/keys?page=2", None, 400, "request_malformed"),
        ("GET", "/audit?after=-1", None, 400, "request_malformed"),
        ("GET", "/keys/7", None, 400, "request_malformed"),
        ("GET", f"/keys/{KeyId(b'?' * 16)}", None, 404, "key_unknown"),
        ("POST", f"/keys/{KeyId(b'?' * 16)}/revoke", None, 404, "key_unknown"),
        ("GET", f"/keys/{KeyId(b'?' * 16)}/policy", None, 404, "key_unknown"),
        ("PUT", f"/keys/{KIDS[0]}/policy", b'{"policy": {"hdcp": 9}}', 400, "request_malformed"),
        ("PUT", f"/keys/{KIDS[0]}/policy", b'{"policy": {"watermark": true}}', 400, "request_malformed"),
        ("PUT", f"/keys/{KIDS[0]}/policy", b"{}", 400, "request_malformed"),
        ("POST", "/contents/rotate", b'{"content": "nobody has this"}', 404, "key_unknown"),
        ("POST", "/tokens/revoke", b'{"token_id": ""}', 400, "request_malformed"),
        ("POST", "/tokens/mint", b'{"life": 0}', 400, "request_malformed"),
        ("POST", "/tokens/mint", b'{"kids": ["here-is-no-key-id"]}', 400, "request_malformed"),
        ("DELETE", "/keys", None, 405, "method_not_allowed"),
        ("GET", "/nothing", None, 404, "not_found"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_a_problem_document_and_changes_nothing(
    api: Api, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    before = api.done("GET", "/status")["epoch"], api.last_deed()["id"]
    answer = api(method, path, data=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    if not path.endswith("/revoke"):
        assert (api.done("GET", "/status")["epoch"], api.last_deed()["id"]) == before


def test_a_server_without_a_signing_key_mints_nothing(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(ALICE)
    process, url = start(tmp_path, "--store", tmp_path / "k.db", "--admin-token-file", tmp_path / "tokens")
    try:
        answer = Api(url)("POST", "/tokens/mint", {})
        assert (answer.status_code, answer.json()["code"]) == (409, "not_set_up")
        assert "--admin-signing-key" in answer.json()["detail"]
    finally:
        process.terminate()
        process.communicate(timeout=10)
