"""What is said when keys for a file are missing: all of them by name, and where the first is needed."""

from __future__ import annotations

from collections.abc import Mapping

from drm.errors import KeyMissingError
from drm.keys import KeyId
from drm.media import TrackInfo

__all__ = ["Needed", "key_missing"]

Needed = tuple[TrackInfo, float]
"""The track of the first sample that needs a key, and the sample's time in seconds."""


def key_missing(name: str, missing: Mapping[KeyId, Needed], held: int) -> KeyMissingError:
    """The error for the file `name`, given `held` keys and none of those that are `missing`."""
    key_id, (track, seconds) = next(iter(missing.items()))
    others = ", ".join(str(other) for other in list(missing)[1:])
    return KeyMissingError(
        f"there is no key for KID {key_id}" + (f", nor for {others}" if others else ""),
        where=f"{name}, track {track.track_id} ({track.type.value} {track.codec}), at {seconds:.3f} s",
        seen=f"keys given: {held}, none of them of this KID",
        remedy=f"add --key {key_id}:KEY, or a line with this KID to --keys-file",
        kids=tuple(map(str, missing)),
    )
