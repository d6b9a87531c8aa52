"""Which keys the samples of a track use, and from which sample on each can be judged. Nothing is decrypted here."""

from __future__ import annotations

from dataclasses import dataclass, field

from drm.component import MediaSource
from drm.errors import MediaError
from drm.keys import KeyId
from drm.media import StreamDescriptor
from drm.session.key_check import tells_of

__all__ = ["KeyUse", "TrackUse", "read_uses"]


@dataclass(slots=True)
class KeyUse:
    """Where one key is used. `start`: the number, from 0, of the sample to begin decoding with; None: there is none."""

    start: int | None = None
    protects: bool = False  # any byte: a clear lead can be told by samples under a key of which no byte is protected
    has_lead_in: bool = False  # it is a sync sample under other keys, and the first one of this key comes behind it


@dataclass(slots=True)
class TrackUse:
    """What a look at every sample of a track found."""

    samples: int = 0
    is_whole: bool = True  # False: damage ended it early
    by_key: dict[KeyId, KeyUse] = field(default_factory=dict)  # in the order of their first samples


def read_uses(source: MediaSource, descriptor: StreamDescriptor) -> tuple[TrackUse, MediaError | None]:
    """Go through the samples of one stream; return what was found, and what ended it before its end.

    A key is judged best from a sync sample of its own; one that begins inside a group of pictures is decoded from the
    sync sample before it. Raises MediaError only where not one sample could be read.
    """
    track_id = descriptor.track.track_id
    use = TrackUse()
    sync: int | None = None
    source.select([track_id])
    try:
        while sample := source.next_sample(track_id):
            sync = use.samples if sample.is_sync else sync
            for key_id in sample.crypto.key_ids if sample.crypto is not None else ():
                key = use.by_key.setdefault(key_id, KeyUse())
                if (key.start is None or key.has_lead_in) and tells_of(sample, key_id):
                    key.protects = True
                    if sample.is_sync:
                        key.start, key.has_lead_in = use.samples, False
                    elif key.start is None and sync is not None:
                        key.start, key.has_lead_in = sync, True
            use.samples += 1
    except MediaError as damage:
        if not use.samples:
            raise
        use.is_whole = False
        return use, damage
    return use, None
