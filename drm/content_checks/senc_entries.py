"""The entries of a `senc` box as they lie there: how many, how long, and under which IV size they fill the box.

Which size of IV they have stands elsewhere, in `tenc` or in a sample group, and may be wrong there. An entry tells its
own length once the size is known (ISO/IEC 23001-7, clause 7.2), so that a wrong size hardly ever ends with the box.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from drm.content_checks.box_window import BoxSpan, Window, load
from drm.isobmff.sample_aux import PIFF_SENC

__all__ = ["IV_SIZES", "SencBox", "read_senc"]

IV_SIZES: Final = (8, 16, 0)  # bytes
_HEAD: Final = 64  # bytes of the box that are loaded: version, an override, the count
_WINDOW: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class SencBox:
    """One `senc`, or PIFF's form of it."""

    start: int  # absolute offset of the box
    entries: int  # absolute offset of the first entry
    end: int
    count: int
    has_subsamples: bool
    is_piff: bool
    version: int
    iv_size: int | None  # under which it was read: the one that is declared; None: none, or more than one
    fits: tuple[int, ...]  # IV sizes under which the entries fill the box; only the first of them if it is `iv_size`
    sizes: array[int] | None = None  # bytes of each entry under `iv_size`; None: not read, or all are `iv_size`

    @property
    def is_for_several_keys(self) -> bool:
        """Entries of the edition of 2023, which name the key of each part: they are not taken apart here."""
        return self.version > 0 and not self.is_piff

    def entry_sizes(self) -> Iterable[int]:
        """Bytes of each entry under `iv_size`, which must fit."""
        if self.sizes is not None:
            return self.sizes
        return array("I", (self.iv_size or 0,)) * self.count if self.iv_size else ()


def read_senc(window: Window, span: BoxSpan, declared: frozenset[int]) -> SencBox:
    """Read the box at `span`, in a track or fragment whose boxes declare these IV sizes. Raises MalformedMediaError."""
    head = BoxSpan(span.type, span.uuid, span.start, span.payload, min(span.end, span.payload + _HEAD), span.path)
    r = load(window, head)
    version, flags = r.full_box()
    is_piff = span.uuid == PIFF_SENC
    iv_size = next(iter(declared)) if len(declared) == 1 else None
    if is_piff and flags & 1:
        r.skip(3)
        iv_size = r.u8()
        r.skip(16)
    count, at = r.u32(), r.offset
    found = SencBox(span.start, at, span.end, count, bool(flags & 2), is_piff, version, iv_size, ())
    if found.is_for_several_keys:
        return found
    tried = IV_SIZES if iv_size is None else (iv_size, *(size for size in IV_SIZES if size != iv_size))
    fits: list[int] = []
    sizes: array[int] | None = None
    for size in tried:
        fitting, lengths = _fit(window, found, size)
        if fitting:
            fits.append(size)
            if size == iv_size:
                sizes = lengths
                break
    return SencBox(span.start, at, span.end, count, found.has_subsamples, is_piff, version, iv_size, tuple(fits), sizes)


def _fit(window: Window, box: SencBox, iv_size: int) -> tuple[bool, array[int] | None]:
    """Whether the entries fill the box with IVs of this size, and how long each then is, where they differ."""
    if not box.has_subsamples:
        return box.end - box.entries == box.count * iv_size, None
    sizes = array("I")
    at = base = box.entries
    chunk = b""
    for _ in range(box.count):
        head = at - base + iv_size
        if head + 2 > len(chunk):
            chunk, base, head = window.read_at(at, min(_WINDOW, box.end - at)), at, iv_size
            if head + 2 > len(chunk):
                return False, None
        size = iv_size + 2 + 6 * (chunk[head] << 8 | chunk[head + 1])
        sizes.append(size)
        at += size
        if at > box.end:
            return False, None
    return at == box.end, sizes
