"""Questions about `pssh` boxes that stand side by side: what a browser gets as one initialization data.

W3C's "cenc" initialization data: concatenated boxes, "each for a unique SystemID". Of two of one system browsers ask
for the keys of the first alone, so that the key that the second one names is never fetched.
"""

from __future__ import annotations

from collections import Counter

from drm.content_checks.facts import PsshRow
from drm.content_checks.judgement import Judgement
from drm.isobmff.pssh.box import Pssh
from drm.keys import COMMON_SYSTEM, SystemId

__all__ = ["common_twice", "other_twice"]


def common_twice(row: PsshRow) -> Judgement | None:
    """Whether two boxes of the common system that differ stand side by side."""
    boxes = [box for box in row.boxes if box.system_id == COMMON_SYSTEM]
    if not boxes:
        return None
    if len(set(boxes)) < 2:
        return Judgement.no()
    kids = [", ".join(map(str, box.key_ids)) or "no KID" for box in dict.fromkeys(boxes)]
    text = (
        f"{len(boxes)} pssh boxes of the common system stand side by side: browsers ask for the keys of the first "
        "alone; make one that names every KID"
    )
    return Judgement.yes(text, f"{row.where}: one names {kids[0]}, another {kids[1]}")


def other_twice(row: PsshRow) -> Judgement | None:
    """Whether two boxes of any other system, or two equal ones of the common system, stand side by side."""
    if not row.boxes:
        return None
    doubled = [system for system, count in Counter(box.system_id for box in row.boxes).items() if count > 1]
    told = [system for system in doubled if system != COMMON_SYSTEM or _are_equal(row, system)]
    if not told:
        return Judgement.no()
    names = ", ".join(system.name for system in told)
    same = "; they are equal" if all(_are_equal(row, system) for system in told) else ""
    text = f"pssh boxes of one system stand side by side ({names}{same}): players take the first alone"
    return Judgement.yes(text, f"{row.where}: {len(row.boxes)} boxes in a row")


def _are_equal(row: PsshRow, system: SystemId) -> bool:
    boxes: set[Pssh] = {box for box in row.boxes if box.system_id == system}
    return len(boxes) == 1
