"""Edits to the bytes of MP4 files, for tests: boxes found by their path, fields patched, boxes put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from drm.isobmff.box import encode_box

Edit = Callable[[bytes], bytes]

_CONTAINERS = {"moov", "trak", "mdia", "minf", "stbl", "mvex", "moof", "traf", "sinf", "schi", "edts"}
_ENTRIES = {"encv": 78, "enca": 28, "avc1": 78, "mp4a": 28}  # bytes of fields before the boxes


@dataclass(frozen=True)
class At:
    """One box: absolute offsets of its header and end, and what is around it."""

    path: str
    start: int
    end: int
    parents: tuple[int, ...]  # starts

    @property
    def body(self) -> int:
        return self.start + 8


def boxes(
    data: bytes, start: int = 0, end: int | None = None, path: str = "", up: tuple[int, ...] = ()
) -> Iterator[At]:
    """Every box, parents first."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8].decode("latin-1")
        size = size or end - start
        own = f"{path}/{kind}".lstrip("/")
        yield At(own, start, start + size, up)
        inner = 8 if kind in _CONTAINERS else 16 if kind == "stsd" else 8 + _ENTRIES.get(kind, -8)
        if inner:
            yield from boxes(data, start + inner, start + size, own, (*up, start))
        start += size


def box(data: bytes, path: str, number: int = 0) -> At:
    """The `number`th box whose path ends so."""
    found = [each for each in boxes(data) if f"/{each.path}".endswith(f"/{path}")]
    return found[number]


def put(data: bytes, at: int, new: bytes) -> bytes:
    """Overwrite bytes."""
    return data[:at] + new + data[at + len(new) :]


def field(path: str, offset: int, new: bytes, number: int = 0) -> Edit:
    """An edit that overwrites bytes at `offset` of a box's payload (version and flags are its first four)."""
    return lambda data: put(data, box(data, path, number).body + offset, new)


def renamed(path: str, name: str, number: int = 0) -> Edit:
    """An edit that gives a box another type."""
    return lambda data: put(data, box(data, path, number).start + 4, name.encode("latin-1"))


def appended(path: str, new: bytes, number: int = 0) -> Edit:
    """An edit that puts boxes at the end of another, in a file whose offsets count from the moof.

    In a moof its runs' data moves away by as much; in the movie box nothing hangs on it.
    """

    def edit(data: bytes) -> bytes:
        parent = box(data, path, number)
        for start in (parent.start, *parent.parents):
            data = put(data, start, (int.from_bytes(data[start : start + 4], "big") + len(new)).to_bytes(4, "big"))
        if "moof" in parent.path:
            moof = parent.parents[0] if parent.parents else parent.start
            for run in [each for each in boxes(data, moof, parent.end) if each.path.endswith("trun")]:
                offset = int.from_bytes(data[run.body + 8 : run.body + 12], "big") + len(new)
                data = put(data, run.body + 8, offset.to_bytes(4, "big"))
        return data[: parent.end] + new + data[parent.end :]

    return edit


def both(*edits: Edit) -> Edit:
    """One edit after another."""

    def edit(data: bytes) -> bytes:
        for each in edits:
            data = each(data)
        return data

    return edit


# ------------------------------------------------------------------------------------------------ entries of senc
@dataclass(frozen=True)
class Entry:
    """One entry of senc: its IV lies at `at`, its subsamples behind it."""

    at: int
    iv_size: int
    subsamples: int
    end: int

    def pair(self, data: bytes, number: int = 0) -> tuple[int, int, int]:
        """Where a subsample lies, its clear and its protected bytes."""
        at = self.at + self.iv_size + 2 + 6 * number
        return at, int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 6], "big")


def entries(data: bytes, iv_size: int, number: int = 0) -> list[Entry]:
    """The entries of the `number`th senc."""
    found = box(data, "senc", number)
    has_subsamples = data[found.body + 3] & 2
    count, at = int.from_bytes(data[found.body + 4 : found.body + 8], "big"), found.body + 8
    listed = []
    for _ in range(count):
        told = int.from_bytes(data[at + iv_size : at + iv_size + 2], "big") if has_subsamples else 0
        end = at + iv_size + (2 + 6 * told if has_subsamples else 0)
        listed.append(Entry(at, iv_size, told, end))
        at = end
    return listed


def moved(iv_size: int, entry: int, into_protected: int, subsample: int = 0, number: int = 0) -> Edit:
    """An edit that makes so many clear bytes of a subsample protected ones (or, negative, the other way round)."""

    def edit(data: bytes) -> bytes:
        at, clear, protected = entries(data, iv_size, number)[entry].pair(data, subsample)
        assert clear >= into_protected
        assert protected >= -into_protected
        new = (clear - into_protected).to_bytes(2, "big") + (protected + into_protected).to_bytes(4, "big")
        return put(data, at, new)

    return edit


def none_protected(iv_size: int, number: int = 0) -> Edit:
    """An edit that makes all bytes clear of all samples that a senc speaks of."""

    def edit(data: bytes) -> bytes:
        for entry in entries(data, iv_size, number):
            for index in range(entry.subsamples):
                at, clear, protected = entry.pair(data, index)
                data = put(data, at, (clear + protected).to_bytes(2, "big") + bytes(4))
        return data

    return edit


def iv(size: int, entry: int, new: bytes | int, plus: int = 0, number: int = 0) -> Edit:
    """An edit that gives an entry another IV: these bytes, or that of another entry and so many more."""

    def edit(data: bytes) -> bytes:
        found = entries(data, size, number)
        value = new
        if isinstance(value, int):
            other = found[value]
            value = (int.from_bytes(data[other.at : other.at + size], "big") + plus).to_bytes(size, "big")
        return put(data, found[entry].at, value)

    return edit


def one_iv(size: int, count: int) -> Edit:
    """An edit that gives every sample of the first `count` senc boxes the first one's IV."""

    def edit(data: bytes) -> bytes:
        first = entries(data, size)[0]
        value = data[first.at : first.at + size]
        for number in range(count):
            for entry in entries(data, size, number):
                data = put(data, entry.at, value)
        return data

    return edit


def empty_box(name: str, *payload: bytes) -> bytes:
    """A full box of version 0."""
    return encode_box(name, bytes(4), *payload)
