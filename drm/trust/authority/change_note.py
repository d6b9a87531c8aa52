"""The note that a change to the repository is under way: written before anything else, removed after everything.

Whoever finds one knows that a run was killed. What became of the change stands in the repository itself: it shows the
tree that the plan announces, then the change is done, or it does not, then nothing of it was published.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from drm.errors import StorageError
from drm.whole_file import sync_folder, write_whole

__all__ = ["Plan"]


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is under way."""

    command: tuple[str, ...]  # the same words for the same wish
    tree: int  # the number of the tree that will be published
    new_keys: tuple[str, ...] = ()  # ids of keys made for it
    format: int = 1

    @property
    def words(self) -> str:
        """The command for people."""
        return " ".join(self.command)

    def write(self, path: Path) -> None:
        """Announce the change."""
        write_whole(path, msgspec.json.encode(self), only_writer=True)

    @staticmethod
    def remove(path: Path) -> None:
        """The change is done, or undone."""
        path.unlink(missing_ok=True)
        sync_folder(path.parent)

    @classmethod
    def read(cls, path: Path) -> Plan | None:
        """Return what is under way, or None. Raises StorageError."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StorageError(
                "the note of an unfinished change cannot be read", where=str(path), seen=str(error)
            ) from None
