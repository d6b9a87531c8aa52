"""What a `senc` box says (ISO/IEC 23001-7, clause 7.2): counts, and its first entries field by field.

It cannot be read alone: how long its IVs are stands in `tenc` or in a sample group. Here nothing is decrypted by the
answer, so where those are missing, or a group says otherwise, the size under which the entries fit is taken.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from drm.errors import MalformedMediaError, MediaError
from drm.isobmff.reader import Reader
from drm.isobmff.sample_aux import Senc

__all__ = ["IvSizes", "senc_details"]

_SHOWN: Final = 3  # entries
_TRIED: Final = 4096  # entries that must fit before an IV size is believed
_MOST_KEYS: Final = 64  # of a group, whose IV sizes are kept
_SUBSAMPLE: Final = Struct(">HI")
_KEYED: Final = Struct(">HHI")


class IvSizes:
    """What `tenc` and `seig` have said of IVs so far, track by track, as boxes come in the order of the file."""

    def __init__(self) -> None:
        self._track = 0
        self._sizes: dict[int, dict[int, None]] = {}
        self._keys: dict[int, tuple[int, ...]] = {}

    def enter(self, track_id: int) -> None:
        """What comes now is of this track."""
        self._track = track_id

    def tell(self, iv_size: int, key_sizes: tuple[int, ...] = ()) -> None:
        """A `tenc` or `seig` says this; `key_sizes` where samples have several keys."""
        if key_sizes:
            self._keys[self._track] = key_sizes[:_MOST_KEYS]
        else:
            self._sizes.setdefault(self._track, {})[iv_size] = None

    @property
    def candidates(self) -> tuple[int, ...]:
        """Sizes of IVs, in bytes, the likely ones first."""
        return tuple(dict.fromkeys((*self._sizes.get(self._track, ()), 8, 16, 0)))

    @property
    def of_keys(self) -> tuple[int, ...]:
        """The sizes by key, of samples with several keys."""
        return self._keys.get(self._track, ())


def senc_details(r: Reader, ivs: IvSizes) -> tuple[str, tuple[str, ...]]:
    """Say what the box at `r` tells. Raises MediaError for a broken one."""
    box = Senc.parse(r)
    told = f"{box.sample_count} entries{', subsamples' if box.has_subsamples else ''}"
    lines: list[str] = []
    if box.override is not None:
        algorithm, size, key_id = box.override
        lines.append(f"overrides the track: algorithm {algorithm}, IV of {size} bytes, KID {key_id}")
    payload = box.entries()
    if box.version and not box.is_piff:
        told = f"several keys for each sample, {told}"
        lines += _keyed_entries(payload, min(box.sample_count, _SHOWN), ivs.of_keys)
    else:
        candidates = ivs.candidates if box.override is None else (box.override[1],)
        fitting = [size for size in candidates if _fits(box, size)]
        if not fitting:
            return f"{told}, which do not fit into the box", tuple(lines)
        size = fitting[0]
        told += f", IV of {size} bytes" if size else ", no IVs of their own"
        if size or box.has_subsamples:
            lines += [_entry(payload, n, size, box) for n in range(1, min(box.sample_count, _SHOWN) + 1)]
    more = box.sample_count - _SHOWN
    if more > 0 and lines:
        lines.append(f"… {more} more")
    return f"PIFF senc: {told}" if box.is_piff else told, tuple(lines)


def _fits(box: Senc, iv_size: int) -> bool:
    r = box.entries()
    if not box.has_subsamples:
        return r.remaining == box.sample_count * iv_size
    try:
        for _ in range(min(box.sample_count, _TRIED)):
            r.skip(iv_size)
            r.skip(_SUBSAMPLE.size * r.u16())
    except MalformedMediaError:
        return False
    return box.sample_count > _TRIED or not r.remaining


def _entry(r: Reader, number: int, iv_size: int, box: Senc) -> str:
    iv = f"IV {r.take(iv_size).hex()}" if iv_size else ""
    if not box.has_subsamples:
        return f"{number}: {iv}"
    rows = _SUBSAMPLE.iter_unpack(r.take(_SUBSAMPLE.size * r.u16()))
    parts = " ".join(f"{clear}+{protected}" for clear, protected in _first(list(rows)))
    return f"{number}: {iv}{', ' if iv else ''}clear+protected {parts or 'none'}"


def _keyed_entries(r: Reader, count: int, sizes: tuple[int, ...]) -> list[str]:
    lines: list[str] = []
    try:
        for number in range(1, count + 1):
            ivs = []
            for _ in range(r.u16()):
                key = r.u16()
                if not 1 <= key <= len(sizes):
                    return lines  # no group has said what stands here
                ivs.append(f"IV {r.take(sizes[key - 1]).hex()} of key {key}")
            rows = _KEYED.iter_unpack(r.take(_KEYED.size * r.u32()))
            parts = " ".join(f"{clear}+{protected} by {key}" for key, clear, protected in _first(list(rows)))
            lines += [f"{number}: {', '.join(ivs)}", f"   clear+protected {parts}"]
    except MediaError:
        lines.append("the next entry does not fit into the box")
    return lines


def _first(rows: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return rows[:4]  # the line is for people; --samples tells them all
