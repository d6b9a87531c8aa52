"""Spoils MP4 files in the ways in which files of the field are spoilt: `spoil.py KIND IN OUT`."""

from __future__ import annotations

import sys
from pathlib import Path
from struct import pack

_MOVIE = ("moov", "trak", "mdia", "minf", "stbl")


def _tops(data: bytes) -> list[tuple[bytes, bytes]]:
    """The boxes at the top of a file, in order: type, and the whole box."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at : at + size]))
        at += size
    return found


def _box(kind: bytes, payload: bytes) -> bytes:
    return pack(">I", 8 + len(payload)) + kind + payload


def _appended(data: bytes, path: tuple[str, ...], box: bytes) -> bytes:
    """`data` with `box` behind the others in the first box at `path`."""
    made, done = b"", False
    for kind, whole in _tops(data):
        if kind.decode("latin-1") == path[0] and not done:
            inner = _appended(whole[8:], path[1:], box) if path[1:] else whole[8:] + box
            made, done = made + _box(kind, inner), True
        else:
            made += whole
    return made


def no_configuration(data: bytes) -> bytes:
    """Without avcC."""
    return data.replace(b"avcC", b"free", 1)


def shared(data: bytes) -> bytes:
    """Two chunks of sound lie in the same bytes."""
    at = data.index(b"stco", data.index(b"mp4a")) + 12
    return data[:at] + data[at + 4 : at + 8] + data[at + 4 :]


def auxiliary(data: bytes) -> bytes:
    """Auxiliary information of a kind that nobody knows; the movie box stands last, so that no offset changes."""
    return _appended(data, _MOVIE, _box(b"saiz", pack(">I4sIBI", 1, b"abcd", 0, 0, 0)))


def movie_last(data: bytes) -> bytes:
    """The movie box behind its fragments."""
    tops = [top for top in _tops(data) if top[0] not in {b"mfra", b"sidx"}]
    return b"".join(box for _, box in sorted(tops, key=lambda top: top[0] == b"moov"))


def gap(data: bytes) -> bytes:
    """Without the second fragment."""
    made, moofs = b"", 0
    for kind, box in _tops(data):
        moofs += kind == b"moof"
        if kind not in {b"mfra", b"sidx"} and not (moofs == 2 and kind in {b"moof", b"mdat"}):
            made += box
    return made


def index_beside(data: bytes) -> bytes:
    """An index that points beside the fragments; its first offset is of 4 or, from version 1 on, of 8 bytes."""
    at = data.index(b"sidx") - 4
    last = at + 12 + 8 + (8 if data[at + 8] == 0 else 16) - 1
    return data[:last] + bytes([data[last] ^ 3]) + data[last + 1 :]


def second_movie(data: bytes) -> bytes:
    """The movie box and all behind it once more, with another time scale."""
    at = data.index(b"moov") - 4
    tail = bytearray(data[at:])
    tail[tail.index(b"mvhd") + 19] ^= 1
    return data + tail


def cut(data: bytes) -> bytes:
    """The first two thirds."""
    return data[: 2 * len(data) // 3]


def head(data: bytes) -> bytes:
    """The initialization segment alone."""
    return data[: data.index(b"moof") - 4]


def tail(data: bytes) -> bytes:
    """The media segments alone."""
    return data[data.index(b"moof") - 4 :]


def outside(data: bytes) -> bytes:
    """The first chunk lies in the header."""
    at = data.index(b"stco") + 12
    return data[:at] + pack(">I", 4) + data[at + 4 :]


if __name__ == "__main__":
    made = globals()[sys.argv[1].replace("-", "_")](Path(sys.argv[2]).read_bytes())
    Path(sys.argv[3]).write_bytes(made)
