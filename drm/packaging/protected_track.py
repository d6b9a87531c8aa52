"""A track that is being encrypted: its new sample descriptions, and the encryption data of each of its samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import pack
from typing import Final

from drm.cenc.encrypt import SampleEncrypter
from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.box import encode_box, encode_full_box
from drm.isobmff.protection import Frma, Schm, Sinf
from drm.isobmff.reader import printable
from drm.isobmff.sample_aux import Saio, Saiz, Senc, encode_entry
from drm.isobmff.tracks import Track
from drm.media import SampleCrypto, Scheme, Subsample, TrackType
from drm.packaging.avc import AvcLayout
from drm.packaging.track_encryption import IvSource, TrackEncryption
from drm.packaging.tree import BoxTree

__all__ = ["ProtectedTrack", "SampleJob", "aux_boxes", "without_overlap"]

_ENCRYPTED_ENTRIES: Final = {TrackType.VIDEO: "encv", TrackType.AUDIO: "enca"}
_AVC: Final = frozenset({"avc1", "avc3"})
_MOST_CLEAR: Final = 0xFFFF  # bytes in one subsample entry


@dataclass(frozen=True, slots=True)
class SampleJob:
    """One sample to encrypt, where it lies in the source."""

    offset: int
    size: int
    crypto: SampleCrypto
    encrypter: SampleEncrypter

    @property
    def end(self) -> int:
        """Offset behind it."""
        return self.offset + self.size


class ProtectedTrack:
    """How one track is encrypted. Asked for samples in decode order, since IVs rise."""

    def __init__(self, track: Track, encryption: TrackEncryption, scheme: Scheme, ivs: IvSource) -> None:
        """Check that the track can be encrypted. Raises UnsupportedMediaError and names what it cannot be."""
        kind = track.info.type
        self.track = track
        self.scheme = scheme
        self.encryption = encryption.settled(scheme, kind)
        self.encrypter = SampleEncrypter(encryption.key)
        self.lead = round(encryption.clear_lead * track.info.timescale)  # in the track's timescale
        self._ivs = ivs.take(self.encryption, scheme)
        self._layouts: list[AvcLayout] = []
        for entry in track.entries:
            if entry.format != entry.codec or entry.scheme_type or entry.refusal:
                raise _refusal(track, "is encrypted already", "give the clear original")
            if kind is TrackType.VIDEO:
                if entry.format not in _AVC or "avcC" not in entry.boxes:
                    raise _refusal(
                        track, f"has {printable(entry.format)} video; avc1 and avc3 can be encrypted", "encode as H.264"
                    )
                self._layouts.append(AvcLayout(entry.boxes["avcC"], scheme))
            elif kind is not TrackType.AUDIO:
                raise _refusal(track, "is neither video nor sound", "leave it clear")

    @property
    def has_subsamples(self) -> bool:
        """Whether samples are told in parts: video is, sound is protected whole."""
        return bool(self._layouts)

    def crypto(self, sample: memoryview, description_index: int) -> SampleCrypto:
        """The encryption data of the next sample. Raises MalformedMediaError, UnsupportedMediaError."""
        subsamples: tuple[Subsample, ...] = ()
        if self._layouts:
            if not 1 <= description_index <= len(self._layouts):
                raise MalformedMediaError(
                    f"a sample names description {description_index}, and stsd has {len(self._layouts)}"
                )
            subsamples = self._layouts[description_index - 1].subsamples(sample)
        return self._crypto(subsamples)

    def clear_crypto(self, size: int) -> SampleCrypto:
        """Encryption data that leaves the next sample, of `size` bytes, as it is."""
        whole = [(_MOST_CLEAR, 0)] * (size // _MOST_CLEAR)
        return self._crypto((*whole, (size % _MOST_CLEAR, 0)))

    def _crypto(self, subsamples: tuple[Subsample, ...]) -> SampleCrypto:
        told = self.encryption
        crypt, skip = told.pattern or (0, 0)
        iv = next(self._ivs) or told.constant_iv
        return SampleCrypto(told.key_id, self.scheme, iv, subsamples, crypt, skip)

    def protect_descriptions(self, stsd: BoxTree, *, clear_copies: bool) -> None:
        """Make each entry of `stsd` an encrypted one; `clear_copies` puts the clear ones behind them."""
        r = stsd.reader()
        version, _flags = r.full_box()
        r.u32()
        entries = [(box.type, box.rest()) for box in r.boxes()]
        made = [self._protected_entry(*entry) for entry in entries]
        if clear_copies:
            made += [encode_box(*entry) for entry in entries]
        stsd.payload = encode_full_box("stsd", version, 0, pack(">I", len(made)), *made)[8:]

    def _protected_entry(self, entry_format: str, payload: bytes) -> bytes:
        sinf = Sinf(Frma(entry_format), Schm(self.scheme.value), self.encryption.tenc(self.scheme))
        return encode_box(_ENCRYPTED_ENTRIES[self.track.info.type], payload, sinf.encode())


def aux_boxes(track: ProtectedTrack, cryptos: Sequence[SampleCrypto], *, with_subsamples: bool) -> list[BoxTree]:
    """Return saiz, saio (its one offset still 0) and senc; nothing where the sample descriptions say it all.

    That is so for a constant IV without subsamples; ISO/IEC 23001-7, clause 7.2, then has no auxiliary information.
    """
    own_iv = track.encryption.iv_size > 0
    if not own_iv and not with_subsamples:
        return []
    entries = [(crypto.iv if own_iv else b"", crypto.subsamples) for crypto in cryptos]
    sizes = [len(encode_entry(iv, subsamples, with_subsamples=with_subsamples)) for iv, subsamples in entries]
    senc = Senc.pack(entries, with_subsamples=with_subsamples)
    return [BoxTree.of(box.encode()) for box in (Saiz.of(sizes), Saio((0,)), senc)]


def without_overlap(jobs: Iterable[SampleJob]) -> list[SampleJob]:
    """The jobs by offset. Raises UnsupportedMediaError when two share bytes: these cannot be encrypted for both."""
    ordered = sorted(jobs, key=lambda job: job.offset)
    for before, after in itertools.pairwise(ordered):
        if before.end > after.offset:
            raise UnsupportedMediaError(
                f"two samples share the bytes from {after.offset} to {min(before.end, after.end)}",
                remedy="write the file anew: ffmpeg -i IN -c copy OUT.mp4",
            )
    return ordered


def _refusal(track: Track, what: str, remedy: str) -> UnsupportedMediaError:
    return UnsupportedMediaError(f"track {track.info.track_id} {what}", remedy=remedy)
