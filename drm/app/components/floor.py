"""The highest numbers that were ever seen, so that nothing older is taken even when the stored metadata is gone.

Pure. Numbers count while the same keys sign: whoever stole a key can sign any number, and the remedy for that is new
keys, which begin where they like (the TUF specification, 5.3.11: recovery from a fast-forward attack).
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from drm.trust.errors import RevocationListError, RollbackError
from drm.trust.verifier import REVOCATIONS, VerifiedTrust

__all__ = ["FLOOR_FILE", "Floor", "parse_floor"]

FLOOR_FILE: Final = "floor.json"

_Number = Annotated[int, msgspec.Meta(ge=0)]


class _Mark(msgspec.Struct, frozen=True):
    """A number, and the keys of the role that it is of."""

    version: _Number
    key_ids: tuple[str, ...]

    def is_above(self, offered: _Mark) -> bool:
        return self.is_of(offered) and offered.version < self.version

    def is_of(self, offered: _Mark) -> bool:
        return set(self.key_ids) == set(offered.key_ids)


class Floor(msgspec.Struct, frozen=True):
    """What was seen."""

    root: _Number
    timestamp: _Mark
    revocations: _Mark  # the number of the list itself, not of the metadata that signs it
    list_digest: str  # of the list without its date: one number, one digest

    @classmethod
    def of(cls, trust: VerifiedTrust) -> Floor:
        """The floor after `trust` was taken; it passed the floor before, so no number is lower without new keys."""
        return cls(
            trust.versions["root"],
            _Mark(trust.versions["timestamp"], trust.key_ids["timestamp"]),
            _Mark(trust.revocations.version, trust.key_ids[REVOCATIONS]),
            trust.revocations.content_digest,
        )

    def check(self, trust: VerifiedTrust) -> None:
        """Return if `trust` is not older than what was seen.

        Raises:
            RollbackError: it is.
            RevocationListError: its list has the number of one that was seen, and says something else.
        """
        offered = Floor.of(trust)
        if offered.root < self.root:
            raise RollbackError(f"root {offered.root} is offered where root {self.root} was seen")
        for what, seen, now in (
            ("timestamp", self.timestamp, offered.timestamp),
            ("revocation list", self.revocations, offered.revocations),
        ):
            if seen.is_above(now):
                raise RollbackError(f"{what} {now.version} is offered where {what} {seen.version} was seen")
        is_same = self.revocations.is_of(offered.revocations) and self.revocations.version == trust.revocations.version
        if is_same and self.list_digest != offered.list_digest:
            raise RevocationListError(f"two different revocation lists have the number {trust.revocations.version}")

    def encode(self) -> bytes:
        """Return what `parse_floor` reads."""
        return msgspec.json.encode(self)


def parse_floor(data: bytes) -> Floor | None:
    """Read a floor; None: what is there is none."""
    try:
        return msgspec.json.decode(data, type=Floor)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
