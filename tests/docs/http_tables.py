"""The tables of docs/reference/http.md: made from the code and put between the marks in a page that people write."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from license_server.admin.blueprint import ROUTES
from license_server.problems import CODES, ProblemError
from license_server.serving.app import HTTP_CODES

__all__ = ["SPELT_OUT_NOWHERE", "statuses", "with_tables"]

SPELT_OUT_NOWHERE: Final = {
    "token_missing": 401, "token_invalid": 401, "token_expired": 401, "key_revoked": 403, "content_revoked": 403,
}  # fmt: skip
"""Codes whose status does not stand beside them; a test asks a server."""

SOURCES: Final = Path(__file__).parents[2] / "license_server"


def with_tables(page: str) -> str:
    """The page with its tables made anew. Raises KeyError for a mark that no table is for."""
    return re.sub(
        r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)",
        lambda found: "\n".join([found[1].rstrip(), *TABLES[found[2]](), found[3]]),
        page,
        flags=re.DOTALL,
    )


def statuses() -> dict[str, set[int]]:
    """The statuses that each code is sent with, as the sources say."""
    found: dict[str, set[int]] = {code: set() for code in CODES}
    for code, status in SPELT_OUT_NOWHERE.items():
        found[code].add(status)
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            words = [each.value for each in node.args if isinstance(each, ast.Constant)]
            numbers = [word for word in words if isinstance(word, int) and 400 <= word < 600]
            for code in [word for word in words if word in found]:
                if numbers:
                    found[str(code)].add(numbers[0])
    for kind, code in HTTP_CODES.items():
        found[code].add(kind.code or 500)
    return found


def _codes() -> Iterator[str]:
    yield "| status | `code` | `title` |"
    yield "| --- | --- | --- |"
    rows = [(sorted(sent), code) for code, sent in statuses().items()]
    for sent, code in sorted(rows):
        title = re.search(rb'"title":"([^"]*)"', ProblemError(400, code, "").body())
        assert title is not None
        yield f"| {', '.join(map(str, sent))} | `{code}` | {title[1].decode()} |"


def _admin() -> Iterator[str]:
    yield "| request | body | answer | |"
    yield "| --- | --- | --- | --- |"
    for route in ROUTES:
        body = f"`{route.body.__name__}`" if route.body is not None else ""
        query = f"?{'&'.join(route.query.__struct_fields__)}" if route.query is not None else ""
        yield (
            f"| `{route.method} {route.path}{query}` | {body} | {route.status} `{route.answers.__name__}`"
            f" | {route.summary} |"
        )


TABLES: Final[dict[str, Callable[[], Iterator[str]]]] = {"codes": _codes, "admin": _admin}
