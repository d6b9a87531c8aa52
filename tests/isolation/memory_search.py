"""Searches another process for secrets, as a third process: in its memory, words, environment and open files.

A searcher inside the process would find what it searches for.
"""

import base64
import os
from dataclasses import dataclass
from pathlib import Path

LARGEST_FILE = 64 << 20  # bytes of an open file that are read
CHUNK = 16 << 20


@dataclass
class Searched:
    """What was found, by kind of place and form, and how much was looked through."""

    found: set[tuple[str, str]]
    mappings: int = 0
    size: int = 0  # bytes of memory that could be read
    files: int = 0


def forms(secret: bytes) -> dict[str, bytes]:
    """The ways in which a key may lie about."""
    return {
        "raw": secret,
        "reversed": secret[::-1],
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "base64": base64.b64encode(secret).rstrip(b"="),
        "base64url": base64.urlsafe_b64encode(secret).rstrip(b"="),
    }


def search(pid: int, needles: dict[str, bytes]) -> Searched:
    """Look for `needles` in the process. What the searcher may not read at all is an error, not a clean bill."""
    searched = Searched(set())

    def look(place: str, data: bytes) -> None:
        # One plain search for each: a pattern of all of them was a hundred times slower.
        searched.found |= {(place, name) for name, needle in needles.items() if needle in data}

    look("arguments", Path(f"/proc/{pid}/cmdline").read_bytes())
    look("environment", Path(f"/proc/{pid}/environ").read_bytes())
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if link.is_file():
            searched.files += 1
            with link.open("rb") as file:
                look(f"open file {link.readlink()}", file.read(LARGEST_FILE))
    overlap = max(map(len, needles.values()))
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            area, rights, _offset, _device, inode, *_name = line.split()
            start, end = (int(word, 16) for word in area.split("-"))
            is_code = inode != "0" and "w" not in rights  # what a library's file holds, and cannot be written
            if rights[0] != "r" or is_code or line.endswith(("[vvar]", "[vvar_vclock]", "[vsyscall]")):
                continue
            searched.mappings += 1
            for at in range(start, end, CHUNK):
                size = min(CHUNK + overlap, end - at)
                data = _read(memory.fileno(), at, size)
                searched.size += min(len(data), CHUNK)
                look("memory", data)
    return searched


def _read(memory: int, at: int, size: int) -> bytes:
    try:
        return os.pread(memory, size, at)
    except OSError:  # a file's mapping past the end of that file
        return b""
