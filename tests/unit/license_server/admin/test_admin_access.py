"""The door of the administrator's API, and its documentation: who is let in, and that both know the same routes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from drm.errors import InvalidArgumentError
from license_server.admin.access import AdminRules, admin_tokens_of
from license_server.admin.blueprint import BASE, ROUTES
from license_server.health import Health
from license_server.issuing.licenses import IssuingContext
from license_server.issuing.service import LicenseService
from license_server.metrics import Counters
from license_server.rules import ServerRules
from license_server.serving.app import create_app
from license_server.store.keyring import find_keyring
from license_server.store.opening import open_store
from tests.unit.license_server.admin.admin_server import ALICE, BOB, KIDS, Api, administered, start
from tests.unit.license_server.store_places import place_of


@pytest.fixture(scope="module")
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("admin")
    with place_of("sqlite", request, folder) as place, administered(folder, place) as running:
        yield running


# ------------------------------------------------------------------------------------------------ the door
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_no_route_opens_without_a_token(api: Api, route: Any) -> None:
    path = route.path.replace("{kid}", KIDS[0])
    for header in ("", "Bearer", "Bearer ", f"Basic {ALICE}", ALICE):
        answer = requests.request(
            route.method, f"{api.url}{BASE}{path}", data=b"{", headers={"Authorization": header}, timeout=5
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "admin_token_missing")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_wrong_token_is_refused_and_guessing_ends(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(ALICE)
    process, url = start(tmp_path, "--store", tmp_path / "k.db", "--admin-token-file", tmp_path / "tokens")
    one = Api(url)
    try:
        for wrong in ("c" * 40, ALICE[:-1], f"{ALICE}a", ALICE.upper(), BOB):
            answer = one("GET", "/status", token=wrong)
            assert (answer.status_code, answer.json()["code"]) == (401, "admin_token_wrong")
        codes = [one("GET", "/status", token=f"{number:040}").status_code for number in range(30)]
        assert codes[0] == 401
        assert codes[-1] == 429
        assert one("GET", "/status").status_code == 200, "who has a token is let in all the same"
        one.done("POST", "/keys", {}, 201)
        assert one.last_deed()["subject"] == "admin"
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_without_a_token_configured_it_says_what_to_do(clearkey_server: Any) -> None:
    answer = requests.get(f"{clearkey_server.url}{BASE}/keys", headers={"Authorization": "Bearer x"}, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (404, "admin_not_set_up")
    assert "--admin-token-file" in answer.json()["detail"]


def test_no_page_of_another_site_reads_it(api: Api) -> None:
    for method, path in (("GET", "/status"), ("OPTIONS", "/status"), ("GET", "/none"), ("DELETE", "/keys")):
        answer = api(method, path, Origin="http://page.example")
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    answer = requests.get(f"{api.url}/health", headers={"Origin": "http://page.example"}, timeout=5)
    assert "Access-Control-Allow-Origin" in answer.headers, "this search finds nothing at all"


@pytest.mark.parametrize(
    ("text", "words"),
    [("short\n", "24 characters"), ("", "no administrator's token"), (f"a b {ALICE}", "NAME TOKEN"), ("# x\n", "no")],
)
def test_a_token_file_that_guards_nothing_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "tokens").write_text(text)
    with pytest.raises(InvalidArgumentError, match=words) as caught:
        admin_tokens_of(tmp_path / "tokens")
    assert ALICE not in caught.value.render()


# ------------------------------------------------------------------------------------------------ the document
def test_the_document_is_whole_and_names_every_route_that_is_mounted(api: Api, tmp_path: Path) -> None:
    answer = api("GET", "/openapi.json")
    document = answer.json()
    assert document["openapi"].startswith("3.1.")
    assert {"title", "version"} <= document["info"].keys()
    names = []
    for path, operations in document["paths"].items():
        assert path.startswith("/")
        for method, told in operations.items():
            names.append(told["operationId"])
            assert told["responses"], path
            assert all(each["description"] for each in told["responses"].values())
            declared = {each["name"] for each in told.get("parameters", []) if each["in"] == "path"}
            assert declared == ({"kid"} if "{kid}" in path else set())
            assert all({"name", "in", "required", "schema"} <= each.keys() for each in told.get("parameters", []))
            assert ("requestBody" in told) <= (method in {"post", "put"})
    assert len(names) == len(set(names)) == len(ROUTES)
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)  # what OpenAPI 3.1 has for schemas
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    assert requests.get(f"{api.url}{BASE}/openapi.json", timeout=5).status_code == 401

    documented = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations} | {
        ("GET", "/openapi.json")
    }
    assert mounted(tmp_path) == documented


def mounted(folder: Path) -> set[tuple[str, str]]:
    """What the application itself routes below the API's path."""
    with open_store(folder / "k.db", find_keyring(folder / "k.db", None)) as store:
        office = IssuingContext(keys=store.licenses, devices=store.devices)
        rules = ServerRules(admin=AdminRules(tokens=()))
        app = create_app(LicenseService(office), Health(store, Counters(0).part(0)), rules)
    return {
        (method, rule.rule.removeprefix(BASE).replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/admin")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from _references(each)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)
