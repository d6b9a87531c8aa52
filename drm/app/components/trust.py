"""Which authority vouches for a worker's components, and where its word is stored and renewed. Application only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ComponentTrust"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentTrust:
    """How an application chooses. The worker believes none of it: it verifies, against the root of its own package.

    Without anything: the root that the package pins, its bundle or what was stored since, whichever is newer. In a
    checkout, which pins none, a development authority signs the sources, and sessions say test-signed.
    """

    root: bytes | None = None  # another authority's root, alone: what it vouches for is test-signed
    store: Path | None = None  # folder of stored metadata and archives; None: one in the user's data folder
    repository: str = ""  # URL to renew from: metadata/ and targets/ are below it; empty: the package's, if it has one
    cacert: str | None = None  # certificates to trust for that URL instead of the usual ones
    development: bool = False  # sign the sources of the platform, though the package has a bundle of its own
