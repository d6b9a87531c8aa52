"""Structures that several HEVC headers hold (ITU-T H.265, clause 7.3), passed over or, where slices need them, read."""

from __future__ import annotations

from typing import Final, TypeAlias

from drm.codecs.bits import BitReader
from drm.errors import MalformedMediaError

__all__ = [
    "ReferenceSet", "bounded", "read_reference_set", "skip_hrd", "skip_profile_tier_level", "skip_scaling_lists",
    "skip_vui",
]  # fmt: skip

ReferenceSet: TypeAlias = tuple[tuple[tuple[int, bool], ...], tuple[tuple[int, bool], ...]]
"""A short-term reference picture set: (distance in output order, whether the picture itself uses it), first those
before it, then those behind it."""

_MOST_REFERENCES: Final = 16
_MOST_SCHEDULES: Final = 32
_EXTENDED_SAR: Final = 255


def bounded(value: int, most: int, what: str) -> int:
    """Return `value`. Raises MalformedMediaError when it is more than the standard allows."""
    if value > most:
        raise MalformedMediaError(f"{what} of {value} in an HEVC header, where at most {most} is allowed")
    return value


def skip_profile_tier_level(r: BitReader, sub_layers: int) -> None:
    """Clause 7.3.3, with general profile; `sub_layers` is sps_max_sub_layers_minus1."""
    r.u(88)
    r.u(8)
    present = [(r.flag(), r.flag()) for _ in range(sub_layers)]
    if sub_layers:
        r.u(2 * (8 - sub_layers))
    for profile, level in present:
        r.u(88 * profile)
        r.u(8 * level)


def skip_scaling_lists(r: BitReader) -> None:
    """Clause 7.3.4."""
    for size in range(4):
        for _matrix in range(0, 6, 3 if size == 3 else 1):
            if not r.flag():
                r.ue()
                continue
            if size > 1:
                r.se()
            for _ in range(min(64, 1 << 4 + 2 * size)):
                r.se()


def read_reference_set(r: BitReader, sets: list[ReferenceSet], index: int, count: int) -> ReferenceSet:
    """Clause 7.3.7, st_ref_pic_set(index), where the sequence has `count` sets and `sets` are those known so far.

    Raises:
        MalformedMediaError: it names a set that is not there, or has more pictures than can be kept.
    """
    if index and r.flag():
        back = bounded(r.ue() + 1, index, "a distance to another reference set") if index == count else 1
        return _predicted(r, sets[index - back])
    before = bounded(r.ue(), _MOST_REFERENCES, "a number of reference pictures")
    behind = bounded(r.ue(), _MOST_REFERENCES - before, "a number of reference pictures")
    halves = []
    for number, sign in ((before, -1), (behind, 1)):
        half, distance = [], 0
        for _ in range(number):
            distance += sign * (r.ue() + 1)
            half.append((distance, r.flag()))
        halves.append(tuple(half))
    return halves[0], halves[1]


def _predicted(r: BitReader, reference: ReferenceSet) -> ReferenceSet:
    """A set told by its difference from another (clause 7.4.8, equations 7-61 and 7-62)."""
    sign = r.flag()
    delta = (1 - 2 * sign) * (r.ue() + 1)
    before, behind = reference
    chosen = []  # (used_by_curr_pic_flag, use_delta_flag), one for each picture of the other set and one for itself
    for _ in range(len(before) + len(behind) + 1):
        used = r.flag()
        chosen.append((used, used or r.flag()))
    old = [distance for distance, _ in (*before, *behind)] + [0]
    made = {distance + delta: used for distance, (used, kept) in zip(old, chosen, strict=True) if kept}
    made.pop(0, None)
    bounded(len(made), _MOST_REFERENCES, "a number of reference pictures")
    return (
        tuple((distance, made[distance]) for distance in sorted(made, reverse=True) if distance < 0),
        tuple((distance, made[distance]) for distance in sorted(made) if distance > 0),
    )


def skip_vui(r: BitReader, sub_layers: int) -> None:
    """Clause E.2.1."""
    if r.flag() and r.u(8) == _EXTENDED_SAR:
        r.u(32)
    if r.flag():
        r.flag()
    if r.flag():
        r.u(4)
        if r.flag():
            r.u(24)
    if r.flag():
        r.ue()
        r.ue()
    r.u(3)
    if r.flag():
        for _ in range(4):
            r.ue()
    if r.flag():  # timing
        r.u(64)
        if r.flag():
            r.ue()
        if r.flag():
            skip_hrd(r, sub_layers)
    if r.flag():
        r.u(3)
        for _ in range(5):
            r.ue()


def skip_hrd(r: BitReader, sub_layers: int) -> None:
    """Clause E.2.2, hrd_parameters(1, sub_layers)."""
    nal, vcl = r.flag(), r.flag()
    pictures = False
    if nal or vcl:
        pictures = r.flag()
        if pictures:
            r.u(19)
        r.u(8)
        if pictures:
            r.u(4)
        r.u(15)
    for _ in range(sub_layers + 1):
        fixed = r.flag() or r.flag()  # fixed_pic_rate_general_flag implies fixed_pic_rate_within_cvs_flag
        low_delay = False
        if fixed:
            r.ue()
        else:
            low_delay = r.flag()
        schedules = 1 if low_delay else bounded(r.ue() + 1, _MOST_SCHEDULES, "a number of HRD schedules")
        for _ in range(schedules * (nal + vcl)):
            for _ in range(4 if pictures else 2):
                r.ue()
            r.flag()
