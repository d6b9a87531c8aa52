"""What `clearkey pssh show` prints: statements as lines for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import notes_for_players
from drm.keys import KeyId
from drm.manifests.key_ids import Statement
from player.verbs.pssh.inputs import PsshInput

__all__ = ["as_json", "as_lines", "notes"]


def as_lines(told: PsshInput) -> Iterator[str]:
    """The input as lines."""
    yield f"{told.name}: {told.kind}"
    for each in told.statements:
        yield from _lines(each)
    if not told.statements:
        yield "  no pssh box and no key id"
    for note in notes(told):
        yield f"note: {note}"


def notes(told: PsshInput) -> tuple[str, ...]:
    """What is odd about the boxes of a media file, given what its samples use."""
    used = [kid for each in told.statements if each.kind == "samples" for kid in each.box_kids]
    boxes = [
        Pssh(each.system, each.box_kids, each.data, each.version or 0)
        for each in told.statements
        if each.kind == "box" and each.system is not None and not each.problem
    ]
    return notes_for_players(boxes, used, told.name) if told.kind.endswith("MP4") else ()


def as_json(told: PsshInput) -> dict[str, object]:
    """The input as JSON values. `kids` are those in the box itself, `data_kids` those read out of its data."""
    return {
        "schema": "clearkey-pssh",
        "version": 1,
        "input": told.name,
        "kind": told.kind,
        "statements": [_json(each) for each in told.statements],
        "notes": notes(told),
    }


def _json(each: Statement) -> dict[str, object]:
    return {
        "where": each.where,
        "kind": each.kind,
        "system": each.name if each.system else None,
        "system_id": str(each.system) if each.system else None,
        "version": each.version,
        "kids": [str(kid) for kid in each.box_kids],
        "data_kids": [str(kid) for kid in each.contents.key_ids],
        "data_bytes": len(each.data),
        "scheme": each.contents.scheme,
        "license_url": each.contents.license_url or each.license_url,
        "details": list(each.contents.details),
        "times": each.times,
        "problem": each.problem or each.contents.problem,
    }


def _lines(each: Statement) -> Iterator[str]:
    if each.kind == "samples":
        yield f"{each.where}: {_kids(each.box_kids)}" if not each.problem else f"{each.where}: {each.problem}"
        return
    what = each.name
    if each.kind == "box":
        what += " pssh" if each.version is None else f" pssh, version {each.version}"
    if each.data:
        what += f", {len(each.data)} bytes of data"
    yield f"{each.where}: {what}" if each.system else f"{each.where}: a pssh box that cannot be read"
    for kid in each.box_kids:
        yield f"  KID {kid}"
    for kid in each.contents.key_ids:
        yield f"  KID {kid}, in its data"
    facts = [f"scheme {each.contents.scheme}"] if each.contents.scheme else []
    facts += each.contents.details
    if facts:
        yield f"  {_line('; '.join(facts))}"
    url = each.contents.license_url or each.license_url
    if url:
        yield f"  license URL {_line(url)}"
    problem = each.problem or each.contents.problem
    if problem:
        yield f"  problem: {_line(problem)}"


def _kids(key_ids: Iterable[KeyId]) -> str:
    return ", ".join(f"KID {kid}" for kid in key_ids)


def _line(text: str) -> str:
    """Text of a file for a terminal: on one line, and nothing that would steer the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:500])
