"""How long what each role signs is good for, as the authority's own settings file keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import msgspec

from drm.errors import StorageError
from drm.whole_file import write_whole

__all__ = ["DEFAULT_DAYS", "Lifetimes"]

DEFAULT_DAYS: Final[Mapping[str, int]] = {
    "root": 365,
    "targets": 365,
    "components": 365,
    "revocations": 30,
    "snapshot": 7,
    "timestamp": 7,
}

_Days = Annotated[int, msgspec.Meta(ge=1, le=36_500)]


class Lifetimes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days by role."""

    days: dict[str, _Days]
    format: int = 1

    def of(self, role: str) -> timedelta:
        """How long new metadata of `role` is good for."""
        return timedelta(days=self.days.get(role, DEFAULT_DAYS[role]))

    def write(self, path: Path) -> None:
        """Keep the settings."""
        write_whole(path, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n", only_writer=True)

    @classmethod
    def read(cls, path: Path) -> Lifetimes:
        """Read the settings. Raises StorageError."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StorageError("the authority's settings cannot be read", where=str(path), seen=str(error)) from None
