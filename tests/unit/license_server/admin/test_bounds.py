"""Everything that the administrator's API takes has a bound, the OpenAPI document says which, and it holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.rights.policy import Policy
from license_server.admin.blueprint import BASE, ROUTES
from license_server.admin.openapi import openapi_document
from license_server.store.audit import audit_rows
from license_server.store.opening import open_store
from tests.unit.license_server.admin.admin_server import Api, administered
from tests.unit.license_server.store_places import KEK, StorePlace

KID = KeyId(b"b" * 16)
LAST_ROW = 2**63 - 1
MEMBERS = (
    *("not_before", "expires", "min_level", "rental", "play_duration", "constrict", "hdcp", "cgms_a", "digital_only"),
    *("min_revocation_list", "max_revocation_age", "renew_before"),
)
WIDE = [2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, 10**400, -1, -(2**63), -(10**30)]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, module_place: StorePlace) -> Iterator[Api]:
    with administered(tmp_path_factory.mktemp("bounds"), module_place) as running:
        yield running


def parts_of(schema: dict[str, Any], whole: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A schema and all that it is made of, each with where it stands."""
    if "$ref" in schema:
        schema = whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield where, schema
    for name, inner in schema.get("properties", {}).items():
        yield from parts_of(inner, whole, f"{where}.{name}")
    for word in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(word), dict):
            yield from parts_of(schema[word], whole, f"{where}[{word}]")
    for inner in (*schema.get("anyOf", ()), *schema.get("prefixItems", ())):
        yield from parts_of(inner, whole, where)


def test_no_number_text_or_list_that_is_taken_is_without_a_bound() -> None:
    whole = openapi_document(ROUTES, BASE)
    needed = {"integer": ("minimum", "maximum"), "number": ("minimum", "maximum"), "string": ("maxLength",),
              "array": ("maxItems",)}  # fmt: skip
    seen, unbounded = 0, []
    for path, operations in whole["paths"].items():
        for method, operation in operations.items():
            taken = [(given["name"], given["schema"]) for given in operation.get("parameters", ())]
            if body := operation.get("requestBody"):
                taken.append(("body", body["content"]["application/json"]["schema"]))
            for name, schema in taken:
                for where, part in parts_of(schema, whole, f"{method} {path} {name}"):
                    if "enum" in part or "const" in part:
                        continue
                    seen += 1
                    said = {"minimum" if "exclusiveMinimum" in part else "", *part}
                    unbounded += [where for word in needed.get(part.get("type"), ()) if word not in said]
                    if part.get("type") == "object" and isinstance(part.get("additionalProperties"), dict):
                        unbounded += [where] if "maxProperties" not in part else []
    assert unbounded == []
    assert seen > 60


@pytest.mark.parametrize("number", WIDE)
def test_a_number_beyond_its_bound_is_refused_and_not_a_failure(api: Api, number: int) -> None:
    for path in (f"/audit?after={number}", f"/audit?limit={number}", f"/keys?limit={number}"):
        wanted = {200} if path.startswith("/audit?after") and 0 <= number <= LAST_ROW else {400}
        assert api("GET", path).status_code in wanted, path
    kid, key = "AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0ODw"
    told: list[tuple[str, str, object]] = [
        ("POST", "/keys", {"count": number}),
        ("POST", "/keys/import", {"keys": [{"kid": kid, "k": key}], "content": "c", "period": number}),
        ("POST", "/tokens/mint", {"life": number}),
    ]
    told += [("PUT", "/contents/policy", {"content": "bounded", "policy": {member: number}}) for member in MEMBERS]
    for method, path, order in told:
        answer = api(method, path, order)
        allowed = {400, 200} if 0 < number < 253_402_300_800 and path == "/contents/policy" else {400}
        assert answer.status_code in allowed, (path, order, answer.text)


def test_rules_that_could_not_be_read_again_are_not_stored(tmp_path: Path) -> None:
    with open_store(tmp_path / "keys.db", KEK) as store:
        store.keys.add({KID: ContentKey(bytes(16))})
        for policy in (Policy(expires=10**30), Policy(not_before=-5), Policy(min_level=4), Policy(rental=0)):
            with pytest.raises(InvalidArgumentError, match="these rules cannot be kept"):
                store.keys.set_policy(KID, policy)
            with pytest.raises(InvalidArgumentError, match="these rules cannot be kept"):
                store.contents.set_policy("film", policy)
        assert store.keys.row(KID).policy is None
        assert store.contents.rows() == []
        assert audit_rows(store.engine, after=LAST_ROW) == []
