"""What an AV1 frame header takes from frames before it, and the choices that follow from their order.

AV1 bitstream specification, sections 5.9.22 (skip mode), 7.8 (set_frame_refs) and 7.20, 7.21 (the eight slots).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

__all__ = ["NO_FEATURES", "SLOTS", "Slot", "distance", "frame_references", "has_skip_mode"]

SLOTS: Final = 8
NO_FEATURES: Final = (0,) * 8
"""What each segment adds to the quantizer index when nothing says so."""
_LAST, _GOLDEN, _BACKWARD, _ALT2, _ALT = 0, 3, 4, 5, 6  # by place in ref_frame_idx
_FORWARD_ORDER: Final = (1, 2, _BACKWARD, _ALT2, _ALT)


class Slot(msgspec.Struct, frozen=True):
    """A frame that later ones may refer to."""

    frame_type: int
    upscaled_width: int
    width: int
    height: int
    order_hint: int
    quantizer_features: tuple[int, ...] = NO_FEATURES  # by segment: what it adds to the quantizer index


def distance(first: int, second: int, order_hint_bits: int) -> int:
    """get_relative_dist (section 5.9.3)."""
    if not order_hint_bits:
        return 0
    half = 1 << order_hint_bits - 1
    difference = first - second
    return (difference & half - 1) - (difference & half)


def frame_references(hints: Sequence[int], hint: int, bits: int, last: int, golden: int) -> list[int]:
    """ref_frame_idx where a frame tells only two of the seven: by order hints of the slots (section 7.8)."""
    current = 1 << bits - 1
    shifted = [current + distance(other, hint, bits) for other in hints]
    chosen: list[int | None] = [None] * 7
    chosen[_LAST], chosen[_GOLDEN] = last, golden
    unused = [slot for slot in range(SLOTS) if slot not in {last, golden}]

    def take(place: int, *, backward: bool, latest: bool) -> None:
        fitting = [slot for slot in unused if (shifted[slot] >= current) is backward]
        if chosen[place] is None and fitting:
            # Of equals the last one where the latest is sought, and the first one where the earliest is.
            key = (lambda slot: (shifted[slot], slot)) if latest else (lambda slot: (-shifted[slot], -slot))
            chosen[place] = slot = max(fitting, key=key)
            unused.remove(slot)

    take(_ALT, backward=True, latest=True)
    take(_BACKWARD, backward=True, latest=False)
    take(_ALT2, backward=True, latest=False)
    for place in _FORWARD_ORDER:
        take(place, backward=False, latest=True)
    earliest = min(range(SLOTS), key=lambda slot: (shifted[slot], slot))
    return [earliest if slot is None else slot for slot in chosen]


def has_skip_mode(hints: Sequence[int], hint: int, bits: int) -> bool:
    """skipModeAllowed: whether there are two references to skip with; `hints` are those of the seven references."""
    before = [other for other in hints if distance(other, hint, bits) < 0]
    if not before:
        return False
    if any(distance(other, hint, bits) > 0 for other in hints):
        return True
    nearest = before[0]
    for other in before:
        if distance(other, nearest, bits) > 0:
            nearest = other
    return any(distance(other, nearest, bits) < 0 for other in hints)
