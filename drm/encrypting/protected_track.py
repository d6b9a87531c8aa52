"""A track that is being encrypted: its new sample descriptions, and the encryption data of each of its samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from struct import pack
from typing import Final, TypeAlias

from drm.cenc.encrypt import SampleEncrypter
from drm.cenc.engines import BLOCK
from drm.cenc.layout import Pattern
from drm.codecs.layouts import SampleLayout, layout_for
from drm.encrypting.box_tree import BoxTree
from drm.encrypting.settings import IvSource, TrackEncryption
from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.box import encode_box, encode_full_box
from drm.isobmff.protection import Frma, Schm, Sinf
from drm.isobmff.tracks import Track
from drm.media import Scheme, Subsample, TrackType

__all__ = ["Entry", "ProtectedTrack", "group_boxes", "refusal"]

_ENCRYPTED_ENTRIES: Final = {TrackType.VIDEO: "encv", TrackType.AUDIO: "enca"}
_IN_BAND: Final = frozenset({"avc3", "dvav", "hev1", "dvhe", "av01", "dav1", "vp08", "vp09"})
"""Formats in which a sample may say how to read the next ones."""

_RESTARTING: Final = frozenset({"av01", "dav1", "vp08", "vp09"})

_MOST_CLEAR: Final = 0xFFFF  # bytes in one subsample entry

Entry: TypeAlias = tuple[bytes, tuple[Subsample, ...]]
"""The IV of a sample (empty: the constant one) and its subsamples (none: it is protected whole)."""


class ProtectedTrack:
    """How one track is encrypted. Asked for samples in decode order, since IVs rise."""

    def __init__(
        self, track: Track, encryption: TrackEncryption, scheme: Scheme, ivs: IvSource, *, in_fragments: bool
    ) -> None:
        """Check that the track can be encrypted. Raises UnsupportedMediaError and names what it cannot be."""
        kind = track.info.type
        self.track = track
        self.scheme = scheme
        self.encryption = encryption.settled(scheme, kind)
        self.lead = round(encryption.clear_lead * track.info.timescale)  # in the track's timescale
        # How many there were, how many of them were not to stay clear, and how many have a byte that is encrypted.
        self.samples = self.chosen = self.protected = 0
        self._least = 1 if scheme is Scheme.CENC else BLOCK  # bytes of a protected range that has such a byte
        self._period = encryption.period * track.info.timescale
        self.is_timed = bool(self.lead or self._period)  # whether it depends on a sample's time what becomes of it
        self._keys = [(ivs.place_of(key, encryption.first_iv), SampleEncrypter(key)) for _, key in self.encryption.keys]
        self._ivs = ivs
        self._layouts: list[SampleLayout | None] = []
        for entry in track.entries:
            if entry.format != entry.codec or entry.scheme_type or entry.refusal:
                raise refusal(track, "is encrypted already", "give the clear original")
            if kind not in _ENCRYPTED_ENTRIES:
                raise refusal(track, "is neither video nor sound", "leave it clear")
            self._layouts.append(layout_for(entry, scheme))
        self.learns = any(entry.format in _IN_BAND for entry in track.entries)
        # Their sync samples are key frames, which say anew all that the frames behind them build on.
        self.restarts = all(entry.format in _RESTARTING for entry in track.entries)
        self.has_layout = any(self._layouts)
        # Whole samples of cens would leave it to the reader whether a last partial block is encrypted, and readers
        # differ. The clear lead of a progressive file is told by subsamples, and then all its samples have them. And
        # GPAC takes up a later key with auxiliary information alone, which whole samples of cbcs have none of.
        self.has_subsamples = (
            self.has_layout
            or scheme is Scheme.CENS
            or (self.lead > 0 and not in_fragments)
            or (len(self._keys) > 1 and not self.encryption.iv_size)
        )
        if self.has_subsamples and scheme in {Scheme.CENS, Scheme.CBCS} and self.encryption.pattern == (0, 0):
            # The same blocks, in other words: FFmpeg refuses subsamples under 0:0.
            self.encryption = replace(self.encryption, pattern=(1, 0))
        self._pattern = Pattern(*(self.encryption.pattern or (0, 0)))

    def key_at(self, time: int) -> int:
        """The number of the key, from 0, that a sample of this decode time is encrypted with."""
        return int(time // self._period) % len(self._keys) if self._period else 0

    def plan(self, samples: Iterable[memoryview], sizes: Sequence[int], description: int, key: int) -> list[Entry]:
        """Say how the next samples are encrypted. `samples` are asked for where `has_layout` is true.

        Raises MalformedMediaError, UnsupportedMediaError.
        """
        if not 1 <= description <= len(self._layouts):
            raise MalformedMediaError(f"a sample names description {description}, and stsd has {len(self._layouts)}")
        ivs = self._ivs.take(self._keys[key][0], len(sizes), self.encryption.iv_size or 0, self.scheme)
        self.samples += len(sizes)
        self.chosen += len(sizes)
        layout = self._layouts[description - 1]
        entries = self._entries(samples, sizes, layout, ivs)
        has_byte = self.has_encrypted_byte
        self.protected += sum(has_byte(size, parts) for (_, parts), size in zip(entries, sizes, strict=True))
        return entries

    def has_encrypted_byte(self, size: int, parts: Sequence[Subsample]) -> bool:
        """Whether a sample of `size` bytes with these subsamples has a byte that the scheme encrypts."""
        least = self._least
        if not parts:
            return size >= least
        return parts[-1][1] >= least or any(protected >= least for _, protected in parts)

    def _entries(
        self, samples: Iterable[memoryview], sizes: Sequence[int], layout: SampleLayout | None, ivs: Sequence[bytes]
    ) -> list[Entry]:
        if layout is None:
            if not self.has_subsamples:
                return [(iv, ()) for iv in ivs]
            # A partial block is clear but with cenc, and only cbcs has a word on where in the range it lies.
            odd = 0 if self.scheme in {Scheme.CENC, Scheme.CBCS} else BLOCK - 1
            return [(iv, ((size & odd, size & ~odd),)) for iv, size in zip(ivs, sizes, strict=True)]
        find = layout.subsamples
        return [(iv, find(sample)) for iv, sample in zip(ivs, samples, strict=True)]

    def pass_over(self, count: int, key: int | None) -> None:
        """The next samples are planned and counted by another process; no key: they stay clear."""
        self.samples += count
        if key is None:
            return
        self.chosen += count
        if self.encryption.iv_size:
            self._ivs.skip(self._keys[key][0], count)

    def look_at(self, samples: Iterable[memoryview], count: int, description: int) -> None:
        """`count` samples that stay clear: take what they say of those that follow, where `learns` is true."""
        self.samples += count
        self.learn(samples, description)

    def learn(self, samples: Iterable[memoryview], description: int) -> None:
        """The same for samples that are counted elsewhere."""
        layout = self._layouts[description - 1] if 1 <= description <= len(self._layouts) else None
        if layout is None or not self.learns:
            return
        for sample in samples:
            layout.subsamples(sample)

    def clear_entry(self, size: int) -> Entry:
        """An entry that leaves the next sample, of `size` bytes, as it is."""
        (iv,) = self._ivs.take(self._keys[0][0], 1, self.encryption.iv_size or 0, self.scheme)
        whole = [(_MOST_CLEAR, 0)] * (size // _MOST_CLEAR)
        return iv, (*whole, (size % _MOST_CLEAR, 0))

    def encrypt(
        self, data: memoryview, begins: Iterable[int], sizes: Iterable[int], entries: Iterable[Entry], key: int
    ) -> None:
        """Encrypt the samples that begin at `begins` in `data`, in place, as `plan` said."""
        self._keys[key][1].encrypt_run(
            data, begins, sizes, entries, self.scheme, self._pattern, self.encryption.constant_iv
        )

    def require_protected(self) -> None:
        """See that of the samples that were to be encrypted one byte is. Raises UnsupportedMediaError."""
        if not self.chosen or self.protected:
            return
        info = self.track.info
        least = "" if self._least == 1 else f": no range of {BLOCK} bytes, which {self.scheme.value} encrypts whole"
        scheme = "" if self._least == 1 else f"--scheme {Scheme.CENC.value} encrypts each byte; or "
        raise UnsupportedMediaError(
            f"not one byte of track {info.track_id} ({info.type.value} {info.codec}) would be encrypted",
            seen=f"{self.chosen} samples without a protected byte{least}",
            remedy=f"{scheme}leave the track clear: --clear {info.track_id}",
        )

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


def group_boxes(
    track: ProtectedTrack, runs: Sequence[tuple[int, int]], keys: Sequence[int], base: int
) -> list[BoxTree]:
    """Return `sbgp` and `sgpd` that give samples keys of their own.

    `runs` are counts of samples with an index into `keys`, from 1, or 0: the key of the sample description. `base` is
    added to each index but 0. Entries have one length for all, which ExoPlayer insists on.
    """
    entries = [track.encryption.seig(key).encode() for key in keys]
    rows = [pack(">II", count, index and base + index) for count, index in runs]
    sbgp = encode_full_box("sbgp", 0, 0, b"seig", pack(">I", len(rows)), *rows)
    sgpd = encode_full_box("sgpd", 1, 0, b"seig", pack(">II", len(entries[0]), len(entries)), *entries)
    return [BoxTree.of(sbgp), BoxTree.of(sgpd)]


def refusal(track: Track, what: str, remedy: str) -> UnsupportedMediaError:
    """The error that says `what` is with the track, and what to do."""
    return UnsupportedMediaError(f"track {track.info.track_id} {what}", remedy=remedy)
