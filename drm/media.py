"""What travels along the path: tracks, samples and how each is encrypted; and what a file of any container gives.

Times are integers in the track's timescale; offsets and sizes are bytes. These are made per sample on the hot
path and cross the wire as they are, so they are msgspec structs in array form.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

import msgspec

from drm.keys import KeyId, SystemId

__all__ = [
    "ByteSource",
    "Edit",
    "InitBox",
    "KeyPart",
    "Presentation",
    "Protection",
    "Sample",
    "SampleCrypto",
    "SampleTime",
    "Scheme",
    "StreamDescriptor",
    "Subsample",
    "TrackInfo",
    "TrackType",
    "sample_time",
]


class Scheme(enum.StrEnum):
    """Protection schemes of ISO/IEC 23001-7, clause 4.2."""

    CENC = "cenc"
    CENS = "cens"
    CBC1 = "cbc1"
    CBCS = "cbcs"

    @property
    def is_cbc(self) -> bool:
        """AES-CBC (cbc1, cbcs); otherwise AES-CTR (cenc, cens)."""
        return self in (Scheme.CBC1, Scheme.CBCS)


class TrackType(enum.StrEnum):
    """What a track holds, by its handler."""

    VIDEO = "video"
    AUDIO = "audio"
    OTHER = "other"


Subsample: TypeAlias = tuple[int, int]
"""Clear bytes, then protected bytes (ISO/IEC 23001-7, clause 9.5)."""


class KeyPart(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What one more key protects of a sample of several keys; to this part, the bytes of other keys are clear ones."""

    key_id: KeyId
    iv: bytes
    subsamples: tuple[Subsample, ...]  # of the whole sample, never empty


class SampleCrypto(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """All that a decrypter is told about one sample. It asks nobody for anything that is not in here."""

    key_id: KeyId
    scheme: Scheme
    iv: bytes  # 8 or 16 bytes as stored; the constant IV where the scheme has one
    subsamples: tuple[Subsample, ...] = ()  # empty: the whole sample is protected
    crypt_blocks: int = 0  # pattern, in blocks of 16 bytes; 0:0 means every block
    skip_blocks: int = 0
    others: tuple[KeyPart, ...] = ()  # the parts under further keys (ISO/IEC 23001-7:2023); almost always none

    @property
    def key_ids(self) -> tuple[KeyId, ...]:
        """Every key that the sample needs, each once."""
        return (self.key_id, *(part.key_id for part in self.others))

    def parts(self) -> tuple[SampleCrypto, ...]:
        """The same by key: decrypted one after another, in place, they give the clear sample."""
        if not self.others:
            return (self,)
        scheme, crypt, skip = self.scheme, self.crypt_blocks, self.skip_blocks
        own = SampleCrypto(self.key_id, scheme, self.iv, self.subsamples, crypt, skip)
        return (own, *(SampleCrypto(p.key_id, scheme, p.iv, p.subsamples, crypt, skip) for p in self.others))


class Protection(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """How the samples of one sample description or group are protected: `schm` with `tenc` or `seig`."""

    scheme: Scheme
    key_id: KeyId
    iv_size: int  # 0, 8 or 16 bytes per sample
    constant_iv: bytes = b""
    crypt_blocks: int = 0
    skip_blocks: int = 0


class Sample(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One access unit, where it lies and how it is encrypted. `crypto` None: it is clear."""

    track_id: int
    dts: int
    cts_offset: int  # composition time = dts + cts_offset, before any edit list
    duration: int
    is_sync: bool
    offset: int  # in the byte source, or in the ring once it is on its way to the worker
    size: int
    description_index: int = 1  # 1-based index into `stsd`, the sample's own
    crypto: SampleCrypto | None = None


SampleTime: TypeAlias = tuple[int, int, bool]
"""Decode time and composition minus decode time, in the track's timescale; whether it is a sync sample."""


def sample_time(sample: Sample) -> SampleTime:
    """When `sample` is decoded."""
    return sample.dts, sample.cts_offset, sample.is_sync


class Edit(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One entry of an edit list (ISO/IEC 14496-12, clause 8.6.6); times of the media in the track's timescale."""

    duration: int  # in the movie's timescale; 0 means to the end
    media_time: int  # -1: an empty edit


class TrackInfo(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a decoder, a trust authority and a person need to know about a track."""

    track_id: int
    type: TrackType
    codec: str  # four-cc of the clear sample entry: "avc1", "mp4a"
    timescale: int  # units per second of this track's times
    movie_timescale: int = 1  # units per second of `Edit.duration`
    decoder: str = ""  # the decoder's name: "h264", "aac"; empty when none is known
    codec_config: bytes = b""  # AVCDecoderConfigurationRecord, AudioSpecificConfig …
    width: int = 0  # pixels
    height: int = 0
    sample_rate: int = 0  # hertz
    channels: int = 0
    language: str = ""
    duration: int = 0  # 0: not known before the end
    edits: tuple[Edit, ...] = ()
    protections: tuple[Protection | None, ...] = ()  # by sample description; None: a clear one
    codec_configs: tuple[bytes, ...] = ()  # by sample description, like `protections`
    bit_rate: int = 0  # bits per second, and
    block_align: int = 0  # bytes, of codecs that WAVEFORMATEX describes: their decoders need both

    @property
    def is_protected(self) -> bool:
        """Whether any of its sample descriptions is an encrypted one (MF_SD_PROTECTED)."""
        return any(self.protections)

    @property
    def scheme(self) -> str:
        """The scheme of its first protected description, or an empty string."""
        return next((p.scheme.value for p in self.protections if p), "")

    @property
    def key_ids(self) -> tuple[KeyId, ...]:
        """The default key ids of its sample descriptions, each once, in order."""
        return tuple(dict.fromkeys(p.key_id for p in self.protections if p))


class StreamDescriptor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One stream of a presentation (IMFStreamDescriptor). The stream's id is its track id."""

    track: TrackInfo
    key_ids: tuple[KeyId, ...] = ()  # every key id that the initialization data or the table of samples names

    @property
    def is_protected(self) -> bool:
        """MF_SD_PROTECTED."""
        return self.track.is_protected


class ByteSource(Protocol):
    """What a container's reader reads from: the part of `drm.component.ByteStream` that it needs."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end. Raises MediaError when it cannot."""


class InitBox(Protocol):
    """What the file says to one protection system: the fields of a `pssh` box (ISO/IEC 23001-7, clause 8.1)."""

    @property
    def system_id(self) -> SystemId:
        """The system that it speaks to."""

    @property
    def key_ids(self) -> tuple[KeyId, ...]:
        """The key ids that a box of version 1 lists."""

    @property
    def data(self) -> bytes:
        """What it says in the system's own language."""

    @property
    def version(self) -> int:
        """0 or 1."""

    def encode(self) -> bytes:
        """The whole box."""


class Presentation(Protocol):
    """What the reader of every container gives. Each track is iterated on its own, as often as one likes.

    The file is not trusted: a reader gives sound samples, or raises MediaError where the file is not.
    """

    @property
    def container(self) -> str:
        """The container's name for people: "fragmented MP4", "WebM"."""

    @property
    def tracks(self) -> tuple[TrackInfo, ...]:
        """Every track, in the order of the file."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd in the file and was read all the same. Grows while samples are read."""

    @property
    def pssh(self) -> Sequence[InitBox]:
        """Initialization data; empty where the container has none."""

    def streams(self) -> tuple[StreamDescriptor, ...]:
        """Every track with its key ids."""

    def scheme_type(self, track_id: int) -> str:
        """The scheme as the file spells it; empty for a track that is not encrypted."""

    def left_out(self, track_id: int) -> str:
        """Why a track that is neither picture nor sound cannot be read; empty for every other one."""

    def sample_entries(self, track_id: int) -> tuple[str, ...]:
        """What the file calls the form of the track's samples."""

    def times(self, track_id: int) -> Iterator[SampleTime]:
        """When the samples of one track are decoded, in decode order; for whoever looks for a place to begin."""

    def samples(self, track_id: int, start: int = 0) -> Iterator[Sample]:
        """The samples of one track in decode order, from number `start` (from 0) on, read as they are asked for."""
