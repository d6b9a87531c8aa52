"""What two inputs say differently about key ids and systems, and whether one input agrees with itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from drm.keys import KeyId, SystemId
from drm.manifests.key_ids import Statement
from player.verbs.pssh.inputs import PsshInput

__all__ = ["Finding", "compare_inputs", "compare_within"]


class Finding(msgspec.Struct, frozen=True):
    """One line of the comparison."""

    differs: bool  # False: worth knowing, and means the same
    text: str


def compare_within(told: PsshInput) -> list[Finding]:
    """Hold the boxes of one input against the key ids that its samples use."""
    used = _used(told.statements)
    if not used:
        return [Finding(False, f"{told.name} does not say which key ids its samples use")]
    return list(_boxes_against(told.statements, used, "its samples"))


def compare_inputs(one: PsshInput, other: PsshInput) -> list[Finding]:
    """Hold two inputs against each other: systems, versions, key ids with their order, schemes, license URLs."""
    a, b = one.label, other.label
    if a == b:
        a, b = "the first", "the second"
    found: list[Finding] = []
    ours, theirs = _by_system(one.statements), _by_system(other.statements)
    if ours and theirs:
        for system in dict.fromkeys((*ours, *theirs)):
            if system not in theirs or system not in ours:
                name = (ours.get(system) or theirs[system])[0].name
                found.append(Finding(True, f"only {a if system in ours else b} has {name}"))
            else:
                found += _system(ours[system], theirs[system], a, b)
        common = [system for system in ours if system in theirs]
        if common != [system for system in theirs if system in ours]:
            found.append(Finding(False, "the systems come in another order"))
    used, their_used = _used(one.statements), _used(other.statements)
    if used and their_used:
        # A manifest speaks of several files; what it names beyond the one at hand is none of its faults.
        wider = 0
        if one.is_manifest is not other.is_manifest:
            wider = 1 if one.is_manifest else 2
        found += _kids("samples", used, their_used, a, b, wider)
    elif used and not ours:
        found += _boxes_against(other.statements, used, f"the samples of {a}")
    elif their_used and not theirs:
        found += _boxes_against(one.statements, their_used, f"the samples of {b}")
    elif used and theirs and not their_used:
        found += _boxes_against(other.statements, used, f"the samples of {a}")
    elif their_used and ours and not used:
        found += _boxes_against(one.statements, their_used, f"the samples of {b}")
    if not (ours or used) or not (theirs or their_used):
        empty = a if not (ours or used) else b
        found.append(Finding(True, f"{empty} says nothing about key ids"))
    return list(dict.fromkeys(found))


def _used(statements: Iterable[Statement]) -> list[KeyId]:
    return list(dict.fromkeys(kid for each in statements if each.kind == "samples" for kid in each.box_kids))


def _by_system(statements: Iterable[Statement]) -> dict[SystemId, list[Statement]]:
    found: dict[SystemId, list[Statement]] = {}
    for each in statements:
        if each.system is not None:
            found.setdefault(each.system, []).append(each)
    return found


def _ids(statements: Iterable[Statement]) -> list[KeyId]:
    return list(dict.fromkeys(kid for each in statements for kid in each.key_ids))


def _system(ours: Sequence[Statement], theirs: Sequence[Statement], a: str, b: str) -> Iterator[Finding]:
    """Two inputs' boxes of one system."""
    name = ours[0].name
    found = list(_kids(name, _ids(ours), _ids(theirs), a, b))
    facts: tuple[tuple[str, set[object], set[object]], ...] = (
        ("version", {e.version for e in ours}, {e.version for e in theirs}),
        ("scheme", {e.contents.scheme for e in ours}, {e.contents.scheme for e in theirs}),
        ("license URL", _urls(ours), _urls(theirs)),
        ("details", {d for e in ours for d in e.contents.details}, {d for e in theirs for d in e.contents.details}),
    )
    for fact, *both in facts:
        mine, others = (values - {None, ""} for values in both)
        if mine and others and mine != others:
            found.append(Finding(True, f"{name}: {fact} {_listed(mine)} in {a}, {_listed(others)} in {b}"))
    data, their_data = {e.data for e in ours if e.data}, {e.data for e in theirs if e.data}
    if not any(each.differs for each in found) and data and their_data and data != their_data:
        found.append(Finding(True, f"{name}: the key ids agree, and the data differs in fields that are not shown"))
    yield from found


def _urls(statements: Iterable[Statement]) -> set[object]:
    return {each.contents.license_url or each.license_url for each in statements}


def _listed(values: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, values)))


def _kids(
    name: str, ours: Sequence[KeyId], theirs: Sequence[KeyId], a: str, b: str, wider: int = 0
) -> Iterator[Finding]:
    """Key ids that only one of the two has, those in the other byte order, and another order of the same.

    `wider`: the first (1) or the second (2) may well name more.
    """
    if not ours or not theirs:
        if ours or theirs:
            yield Finding(False, f"{name}: {b if ours else a} names no key id")
        return
    lacking = [kid for kid in theirs if kid not in ours]
    for kid in ours:
        if kid in theirs:
            continue
        if kid.byte_reversed in lacking:
            lacking.remove(kid.byte_reversed)
            yield Finding(
                True, f"{name}: {kid} in {a} is {kid.byte_reversed} in {b}: the same KID, other byte order (GUID order)"
            )
        else:
            yield Finding(wider != 1, f"{name}: only {a} names KID {kid}")
    for kid in lacking:
        yield Finding(wider != 2, f"{name}: only {b} names KID {kid}")
    if sorted(ours) == sorted(theirs) and list(ours) != list(theirs):
        yield Finding(False, f"{name}: the same KIDs, in another order")


def _boxes_against(statements: Iterable[Statement], used: Sequence[KeyId], whose: str) -> Iterator[Finding]:
    """Hold boxes, system by system, against the key ids in use."""
    systems = _by_system(statements)
    if not systems:
        yield Finding(True, f"there is no pssh box for the {len(used)} KIDs of {whose}")
    for boxes in systems.values():
        name, named = boxes[0].name, _ids(boxes)
        for problem in dict.fromkeys(each.problem or each.contents.problem for each in boxes):
            if problem:
                yield Finding(True, f"{name}: {problem}")
        if not named:
            yield Finding(False, f"{name}: its box names no KID")
            continue
        for kid in used:
            if kid in named:
                continue
            reversed_too = kid.byte_reversed in named
            why = f" but {kid.byte_reversed}: the same KID, other byte order (GUID order)" if reversed_too else ""
            yield Finding(True, f"{name}: its box does not name KID {kid} of {whose}{why}")
        surplus = [kid for kid in named if kid not in used and kid.byte_reversed not in used]
        if surplus:
            listed = ", ".join(map(str, surplus))
            yield Finding(False, f"{name}: its box also names {listed}, which {whose} do not use")
