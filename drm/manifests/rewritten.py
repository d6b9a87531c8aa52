"""What the signaller takes and gives: what the media says of itself, and a manifest with its verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from drm.errors import MediaError
from drm.isobmff.samples import open_presentation
from drm.keys import COMMON_SYSTEM, KeyId
from drm.manifests.verdicts import Verdict
from drm.media import ByteSource, Scheme

__all__ = ["ANY", "Initialization", "Kids", "Signalled", "read_initialization"]

ANY = ""
"""The name under which `Kids` holds what is true of every initialization segment that it does not name."""


class Initialization(msgspec.Struct, frozen=True):
    """What an initialization segment, or a whole file, says of its protection; no key ids: it is clear."""

    key_ids: tuple[KeyId, ...] = ()
    scheme: Scheme | None = None
    named: tuple[KeyId, ...] | None = None  # by its `pssh` of the common system; None: not known

    @property
    def names_its_keys(self) -> bool:
        """Whether a request can be made from it alone, as hls.js does."""
        return self.named is None or set(self.key_ids) <= set(self.named)


Kids: TypeAlias = Mapping[str, Initialization]
"""By the URI as the manifest, once resolved against itself, spells it; and `ANY`."""


class Signalled(msgspec.Struct, frozen=True):
    """A manifest, and what each player that reads its kind makes of it."""

    data: bytes
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()


def read_initialization(source: ByteSource) -> Initialization:
    """Read what `source`, an initialization segment or a file that begins with one, says. Raises MediaError."""
    opened = open_presentation(source)
    tracks = opened.tracks
    protections = [known for track in tracks for known in track.protections if known]
    if not tracks:
        raise MediaError("this initialization segment has no track", where=source.name)
    key_ids = tuple(dict.fromkeys(known.key_id for known in protections))
    named = tuple(kid for box in opened.pssh if box.system_id == COMMON_SYSTEM for kid in box.key_ids)
    return Initialization(key_ids, protections[0].scheme if protections else None, named)
