"""The OpenAPI 3.1 document: made of the routes and the types of their messages, so that it says what is.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from license_server.admin.route import Route
from license_server.problems import PROBLEM_TYPE

__all__ = ["CONFIRM_HEADER", "openapi_document"]

CONFIRM_HEADER: Final = "X-Clearkey-Confirm"

_JSON: Final = "application/json"
_REFUSALS: Final = {
    400: "The request cannot be read, or asks for what cannot be.",
    401: "There is no administrator's token, or a wrong one.",
    404: "The store holds no such key.",
    409: "The store holds other keys for these ids, or the server is not set up for this.",
    413: "The body is too large.",
    428: f"The header {CONFIRM_HEADER} is missing or says something else.",
    429: "Too many wrong tokens came from this address.",
}
_ALWAYS: Final = (400, 401, 429)
_PATH_PART: Final = {"type": "string", "minLength": 16, "maxLength": 64, "description": "A key id in any notation."}


class Problem(Struct):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    kids: list[str] = []


def openapi_document(routes: Sequence[Route], base: str) -> dict[str, Any]:
    """Return the document of `routes`, which are below the path `base`."""
    # By the types themselves: it adds those that they are made of.
    types = dict.fromkeys(kind for route in routes for kind in (route.answers, route.body) if kind is not None)
    _, components = msgspec.json.schema_components([*types, Problem], ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "clearkey license server: administration",
            "version": "1",
            "description": "Keys, contents, tokens, devices and the audit log of one store.",
        },
        "servers": [{"url": base}],
        "security": [{"administrator": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"administrator": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": {
            str(route.status): {"description": "Done.", "content": {_JSON: {"schema": _reference(route.answers)}}},
            **{str(status): _problem(_REFUSALS[status]) for status in sorted(_refusals(route))},
        },
    }
    if parameters := list(_parameters(route)):
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": _reference(route.body)}}}
    return operation


def _refusals(route: Route) -> set[int]:
    found = {*_ALWAYS, *route.refusals}
    if "{kid}" in route.path:
        found.add(404)
    if route.confirm:
        found.add(428)
    if route.body is not None:
        found.add(413)
    return found


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": _PATH_PART}
    if route.query is not None:
        schema = msgspec.json.schema(route.query)["$defs"][route.query.__name__]
        for name, of_it in schema["properties"].items():
            yield {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": of_it}
    if route.confirm:
        yield {
            "name": CONFIRM_HEADER, "in": "header", "required": True, "schema": {"const": route.confirm},
        }  # fmt: skip


def _reference(kind: type[Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {PROBLEM_TYPE: {"schema": _reference(Problem)}}}
