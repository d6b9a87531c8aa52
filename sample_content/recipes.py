"""What each sample is: a clear clip, and how it is encrypted. Keys and IVs are fixed: these are published demo keys.

Eight seconds of picture and sound, with B-frames, so that edit lists and composition offsets matter.
"""

from __future__ import annotations

import hashlib
from typing import Final

import av
import msgspec

from drm.encrypting.file import TrackEncryption
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from sample_content.clip import Clip

__all__ = ["DEMO", "RECIPES", "Recipe"]

_MAKER: Final = 1  # raise it when the maker's code gives other bytes for the same recipe


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """One sample. KIDs and keys in hex, one pair per type of track; no scheme: it stays clear."""

    name: str
    clip: Clip
    scheme: Scheme | None = None
    keys: dict[TrackType, tuple[str, str]] = {}
    clear_lead: float = 0.0  # seconds, of the video

    @property
    def file_name(self) -> str:
        """Of the MP4."""
        return f"{self.name}.mp4"

    @property
    def digest(self) -> str:
        """Changes with whatever changes the bytes: this recipe, the maker, the libraries."""
        parts = (_MAKER, self, av.__version__, sorted(av.library_versions.items()))
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()

    @property
    def content_keys(self) -> dict[KeyId, ContentKey]:
        """What a license for it holds."""
        return {KeyId.parse(kid): ContentKey.parse(key) for kid, key in self.keys.values()}

    def track_encryptions(self) -> dict[int | TrackType, TrackEncryption]:
        """What the packager is told. IVs come from the KID, so that no two tracks and no two samples share any."""
        made: dict[int | TrackType, TrackEncryption] = {}
        for kind, (kid, key) in self.keys.items():
            seed = hashlib.sha256(f"{self.name} {kind} {kid}".encode()).digest()
            made[kind] = TrackEncryption(
                KeyId.parse(kid),
                ContentKey.parse(key),
                constant_iv=seed[:16] if self.scheme is Scheme.CBCS else b"",
                first_iv=seed[16:24],
                clear_lead=self.clear_lead if kind is TrackType.VIDEO else 0.0,
            )
        return made


_FRAGMENTED: Final = Clip(fragmented=True)
_PROGRESSIVE: Final = Clip()


def _keys(number: int) -> dict[TrackType, tuple[str, str]]:
    """Keys of their own for picture and sound. Derived in public, as demo keys may be."""
    pairs = {}
    for kind in (TrackType.VIDEO, TrackType.AUDIO):
        digest = hashlib.sha256(f"clearkey demo content, recipe {number}, {kind}".encode()).hexdigest()
        pairs[kind] = (digest[:32], digest[32:])
    return pairs


RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="fragmented_clear", clip=_FRAGMENTED),
        Recipe(name="fragmented_cenc", clip=_FRAGMENTED, scheme=Scheme.CENC, keys=_keys(1), clear_lead=2.0),
        Recipe(name="fragmented_cbcs", clip=_FRAGMENTED, scheme=Scheme.CBCS, keys=_keys(2)),
        Recipe(name="progressive_clear", clip=_PROGRESSIVE),
        Recipe(name="progressive_cenc", clip=_PROGRESSIVE, scheme=Scheme.CENC, keys=_keys(3)),
        Recipe(name="progressive_cbcs", clip=_PROGRESSIVE, scheme=Scheme.CBCS, keys=_keys(4)),
    )
}
"""Every sample by name, a clear original before what is made from it."""

DEMO: Final = "fragmented_cenc"
"""The one that the demonstration plays."""
