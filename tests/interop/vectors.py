"""The encrypted files of other tools, by the names that vectors.json gives them."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Vector:
    """One vector, all of its files there."""

    name: str
    files: tuple[Path, ...]  # an init segment and its media segments, or one file
    keys: tuple[tuple[str, str], ...]  # KID and key, in hex
    clear: tuple[Path, ...]  # its clear original, empty when there is none
    tracks: tuple[dict, ...]  # as vectors.json has them


def has_all_files(folder: Path, name: str) -> bool:
    """Whether the files of a vector, and those of its clear original, lie in this folder."""
    told = _entry(folder, name)
    if told is None:
        return False
    names = [file["path"] for file in told["files"]] + told.get("clear_reference", [])
    return all((folder / path).is_file() for path in names)


def read_vector(folder: Path, name: str) -> Vector:
    """Raises AssertionError if vectors.json lists none of this name."""
    told = _entry(folder, name)
    assert told is not None, f"{folder}/vectors.json lists no {name}"
    return Vector(
        name,
        tuple(folder / file["path"] for file in told["files"]),
        tuple((pair["kid"], pair["key"]) for pair in told["keys"]),
        tuple(folder / path for path in told.get("clear_reference", [])),
        tuple(told["tracks"]),
    )


def _entry(folder: Path, name: str) -> dict | None:
    listed = json.loads((folder / "vectors.json").read_text(encoding="utf-8"))["vectors"]
    return next((entry for entry in listed if entry["id"] == name), None)
