"""Hashes of decrypted samples, track by track: proof that a file decrypts to the very bytes that were encrypted.

A developer's verb with the user's own keys, in this process; playback never works like this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from drm.cenc.decrypt import SampleDecrypter, decrypt_sample
from drm.cenc.dialect import Dialect
from drm.component import ByteStream
from drm.container import open_container
from drm.errors import KeyMissingError, NothingReachedError, TruncatedMediaError
from drm.keys import ContentKey, KeyId
from drm.media import Presentation, Sample, TrackInfo

__all__ = ["TrackDigest", "digest_presentation", "digest_tracks"]


class TrackDigest(msgspec.Struct, frozen=True):
    """One track. `sha256` is over all its samples, decrypted, in decode order."""

    track_id: int
    type: str
    scheme: str  # as the file spells it; empty: not encrypted
    samples: int
    samples_encrypted: int
    sha256: str


def digest_tracks(
    stream: ByteStream, keys: Mapping[KeyId, ContentKey], dialects: frozenset[Dialect]
) -> tuple[list[TrackDigest], tuple[str, ...]]:
    """Decrypt and hash every track; return the digests, and what was odd in the file.

    Text and metadata that cannot be read are left out beside other tracks, and named among what was odd.

    Raises:
        NothingReachedError: there is no sample to hash.
        KeyMissingError: a sample needs a key that is not in `keys`; names the KID and the track.
        MediaError: the file is neither MP4 nor WebM, is broken, or is encrypted in a way that is not read.
    """
    return digest_presentation(stream, open_container(stream), keys, dialects)


def digest_presentation(
    stream: ByteStream,
    presentation: Presentation,
    keys: Mapping[KeyId, ContentKey],
    dialects: frozenset[Dialect],
) -> tuple[list[TrackDigest], tuple[str, ...]]:
    """The same of what was opened already; `stream` is where its samples are read from."""
    decrypters = {key_id: SampleDecrypter(key, dialects=dialects) for key_id, key in keys.items()}
    readable = [track for track in presentation.tracks if not presentation.left_out(track.track_id)]
    digests = [_digest(stream, presentation, track, decrypters) for track in readable or presentation.tracks]
    if not any(digest.samples for digest in digests):
        raise NothingReachedError.of(stream.name)
    return digests, presentation.warnings


def _digest(
    stream: ByteStream, presentation: Presentation, track: TrackInfo, decrypters: Mapping[KeyId, SampleDecrypter]
) -> TrackDigest:
    digest = hashlib.sha256()
    count = encrypted = 0
    memory = memoryview(bytearray(1 << 16))
    for sample in presentation.samples(track.track_id):
        if sample.size > len(memory):
            memory = memoryview(bytearray(max(sample.size, 2 * len(memory))))
        data = memory[: sample.size]
        if stream.read_into(sample.offset, data) != sample.size:
            raise TruncatedMediaError("the file ends inside a sample", where=f"{stream.name}, track {track.track_id}")
        crypto = sample.crypto
        if crypto is not None:
            absent = [key_id for key_id in crypto.key_ids if key_id not in decrypters]
            if absent:
                raise _missing(stream, track, sample, absent[0], len(decrypters))
            decrypt_sample(data, crypto, data, decrypters.__getitem__)
            encrypted += 1
        digest.update(data)
        count += 1
    scheme = presentation.scheme_type(track.track_id)
    return TrackDigest(track.track_id, track.type.value, scheme, count, encrypted, digest.hexdigest())


def _missing(stream: ByteStream, track: TrackInfo, sample: Sample, key_id: KeyId, held: int) -> KeyMissingError:
    start = sample.dts / track.timescale
    return KeyMissingError(
        f"there is no key for KID {key_id}",
        where=f"{stream.name}, track {track.track_id} ({track.type.value} {track.codec}), at {start:.3f} s",
        seen=f"keys given: {held}, none of them of this KID",
        remedy=f"add --key {key_id}:KEY, or a line with this KID to --keys-file",
        kids=(str(key_id),),
    )
