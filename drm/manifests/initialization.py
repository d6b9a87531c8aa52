"""What media says of its own protection, read from an initialization segment or from a file that begins with one.

Which process: any that has the bytes; nothing is opened here. Who may be lying: the file; `drm.isobmff` bounds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final, TypeAlias

import msgspec

from drm.container import open_container
from drm.errors import DRMError, MediaError
from drm.keys import COMMON_SYSTEM, KeyId
from drm.manifests.codec_names import codec_name
from drm.media import ByteSource, Presentation, Scheme, TrackInfo

__all__ = ["ANY", "Initialization", "Kids", "read_initialization"]

ANY: Final = ""
"""The name under which `Kids` holds what somebody says of media that could not be read: nothing was looked at."""

_LOOKED_AT: Final = 20_000  # samples of a track, for the keys that they are under
_NO_KEY: Final = KeyId(bytes(16))


class Initialization(msgspec.Struct, frozen=True):
    """What an initialization segment, or a whole file, says of its protection; no key ids: it is clear."""

    key_ids: tuple[KeyId, ...] = ()
    scheme: Scheme | None = None
    named: tuple[KeyId, ...] | None = None  # by its `pssh` of the common system; None: not known
    codecs: tuple[str, ...] = ()  # of its tracks, RFC 6381
    rotates: bool = False  # one track is under several keys, or under none that is named at its beginning

    @property
    def names_its_keys(self) -> bool:
        """Whether a request can be made from it alone, as hls.js does."""
        return self.named is None or set(self.key_ids) <= set(self.named)


Kids: TypeAlias = Mapping[str, Initialization]
"""By the URI as the manifest, once resolved against itself, spells it; and `ANY`."""


def read_initialization(source: ByteSource) -> Initialization:
    """Read what `source` says. Raises MediaError: it is neither MP4 nor WebM, or has no tracks."""
    opened = open_container(source)
    tracks = opened.tracks
    if not tracks:
        raise MediaError("this initialization segment has no track", where=source.name)
    by_track = [_key_ids(opened, stream.track, stream.key_ids) for stream in opened.streams() if stream.key_ids]
    schemes = [known.scheme for track in tracks for known in track.protections if known]
    return Initialization(
        key_ids=tuple(dict.fromkeys(kid for kids in by_track for kid in kids)),
        scheme=schemes[0] if schemes else None,
        named=tuple(kid for box in opened.pssh if box.system_id == COMMON_SYSTEM for kid in box.key_ids),
        codecs=tuple(_codec(track) for track in tracks),
        rotates=any(len(kids) > 1 or _NO_KEY in kids for kids in by_track),
    )


def _key_ids(opened: Presentation, track: TrackInfo, named: tuple[KeyId, ...]) -> tuple[KeyId, ...]:
    """Those that samples use, where all samples are there to be looked at; else all that boxes name."""
    used: dict[KeyId, None] = {}
    count = 0
    try:
        for sample in islice(opened.samples(track.track_id), _LOOKED_AT):
            count += 1
            used.update(dict.fromkeys(sample.crypto.key_ids if sample.crypto else ()))
    except DRMError:  # what is damaged further on is for those to say who play it
        return named
    return tuple(used) if used and count < _LOOKED_AT else named


def _codec(track: TrackInfo) -> str:
    try:
        return codec_name(track)
    except MediaError:
        return track.codec
