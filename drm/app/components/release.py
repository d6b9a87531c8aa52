"""What a release brings with it: the pinned root, and the signed bundle that is generation 0. Application only.

drm/trust/root.json     the root that workers of this package verify against
drm/trust/bundle/       a generation of metadata as a store has it, blobs/<sha256>, and url, where it is renewed from

A checkout has neither: they are made by a release step and are never part of the repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from drm.app.components.generation import Generation, opened_folder, read_bounded, read_generation
from drm.app.components.store import read_blobs

__all__ = ["packaged_archives", "packaged_generation", "packaged_root", "packaged_url"]

_TRUST: Final = Path(__file__).resolve().parents[2] / "trust"
_BUNDLE: Final = _TRUST / "bundle"
_LARGEST_ROOT: Final = 512 << 10  # bytes
_LONGEST_URL: Final = 2048


def packaged_root() -> bytes | None:
    """The root that this package pins, or None in a checkout."""
    with opened_folder(_TRUST) as folder:
        return read_bounded("root.json", folder, _LARGEST_ROOT)


def packaged_generation() -> Generation | None:
    """The metadata of the bundle, or None where there is none."""
    try:
        with opened_folder(_BUNDLE) as folder:
            return read_generation(folder, 0)
    except OSError:
        return None


def packaged_archives() -> dict[str, bytes]:
    """The archives of the bundle by the sha256 that their names claim; what they hold is not believed."""
    try:
        with opened_folder(_BUNDLE) as folder:
            return read_blobs(folder)
    except OSError:
        return {}


def packaged_url() -> str:
    """Where the publisher of this package renews its components from; empty: nowhere."""
    try:
        with opened_folder(_BUNDLE) as folder:
            return (read_bounded("url", folder, _LONGEST_URL) or b"").decode("ascii", "replace").strip()
    except OSError:
        return ""
