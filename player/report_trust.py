"""The components of a protection report as the page shows them. The worker said it; nothing here believes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["TrustTable", "TrustedComponent", "trust_of"]

_MOST_COMPONENTS: Final = 512
_SHORT_CLASS: Final = 8
_SHORT_HASH: Final = 16
_MEANING: Final = {
    "trusted": "The root that the package pins vouches for every component.",
    "test-signed": "Another root than the package's vouches for some of them. A license can refuse that.",
}


@dataclass(frozen=True, slots=True)
class TrustedComponent:
    """One row; ids are cut to what tells them apart."""

    name: str
    version: str
    class_id: str
    signer: str
    sha256: str
    state: str

    @property
    def is_trusted(self) -> bool:
        """Whether the root of the package vouches for it."""
        return self.state == "trusted"


@dataclass(frozen=True, slots=True)
class TrustTable:
    """All of it, and what it comes to."""

    signed: str
    meaning: str
    list_number: str
    freshness: str
    verify_ms: str
    components: tuple[TrustedComponent, ...]


def trust_of(trust: object) -> TrustTable | None:
    """Read a TrustReport that is a mapping (`msgspec.to_builtins`); None: nothing was verified."""
    if not isinstance(trust, Mapping):
        return None
    rows = trust.get("components", ())
    rows = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list | tuple) else []
    signed = str(trust.get("signed", ""))
    took = trust.get("verify_ms")
    return TrustTable(
        signed=signed,
        meaning=_MEANING.get(signed, ""),
        list_number=str(trust.get("revocation_list", 0)),
        freshness=str(trust.get("freshness", "")) or "not known",
        verify_ms=f"{took:.1f} ms" if isinstance(took, int | float) else "not known",
        components=tuple(_row(row) for row in rows[:_MOST_COMPONENTS]),
    )


def _row(row: Mapping[str, object]) -> TrustedComponent:
    def text(name: str, most: int | None = None) -> str:
        return str(row.get(name, ""))[:most]

    return TrustedComponent(
        name=text("name"),
        version=text("version"),
        class_id=text("class_id", _SHORT_CLASS),
        signer=text("signer", _SHORT_HASH),
        sha256=text("sha256", _SHORT_HASH),
        state=text("state"),
    )
