"""What `clearkey components` and `doctor` say of components, in lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from drm.errors import TrustError
from player.verbs.components.state import AuthorityState, ComponentRow, Components

__all__ = ["as_json", "authority_lines", "component_lines", "summary"]

_HEADS: Final = ("component", "version", "class id", "signed by", "state")
_SHORT_CLASS: Final = 8
_SHORT_KEY: Final = 12


def component_lines(rows: Sequence[ComponentRow]) -> list[str]:
    """The table, its head first; the last column is as long as it needs to be."""
    if not any(row.name for row in rows):
        return ["no component is at hand"]
    table = [_HEADS] + [
        (
            row.name or "?",
            row.version or "-",
            row.class_id[:_SHORT_CLASS],
            row.signer[:_SHORT_KEY] or "-",
            _state(row),
        )
        for row in rows
    ]
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEADS) - 1)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
            for row in table]  # fmt: skip


def authority_lines(authority: AuthorityState) -> list[str]:
    """Where one authority's word comes from, and how old it is."""
    root = "the root of this package" if authority.is_pinned else "another root than the package's, so test-signed"
    lines = [f"metadata:         {authority.origin}", f"verified against: {root} ({authority.root[:_SHORT_KEY]})"]
    if not authority.versions:
        return [lines[0], "                  not verified"]
    assert authority.issued is not None
    assert authority.expires is not None
    until = "until" if authority.freshness == "fresh" else "since"
    lines.append(
        f"revocation list:  {authority.revocation_list} of {_date(authority.issued)}, "
        f"{authority.freshness} {until} {_date(authority.expires)}"
    )
    assert authority.signed is not None
    lines.append(f"signed as newest: {_date(authority.signed)}")
    lines += [f"  revoked:        {entry}" for entry in authority.revoked]
    confirmed = _date(authority.confirmed) if authority.confirmed else "never by a server"
    return [*lines, f"last confirmed:   {confirmed}"]


def summary(components: Components) -> str:
    """All of it in one line."""
    bad = [row for row in components.rows if row.is_needed and not row.runs]
    first = components.authorities[0]
    whence = f"revocation list {first.revocation_list}, {first.freshness}; {first.origin}"
    if not first.versions:
        return f"components: not verified; {first.origin}"
    if bad:
        named = ", ".join(f"{row.name or row.class_id} {row.version} {row.state}".replace("  ", " ") for row in bad)
        return f"components: must not run: {named}; {whence}"
    return f"components: {sum(row.runs for row in components.rows)} {components.signed}; {whence}"


def as_json(components: Components) -> dict[str, object]:
    """The same for programs."""
    return {
        "signed": components.signed,
        "components": msgspec.to_builtins(components.rows),
        "authorities": msgspec.to_builtins(components.authorities),
        "faults": [_fault(error) for error in components.faults],
    }


def _fault(error: TrustError) -> dict[str, object]:
    said: dict[str, object] = dict(error.to_dict())
    return said


def _state(row: ComponentRow) -> str:
    said = f"{row.state}: {row.reason}" if row.reason else row.state
    return f"{said}; update available: {row.update}" if row.update else said


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
