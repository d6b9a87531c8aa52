"""What the parts of the path are to one another: the protocols that components and both processes keep.

Names are Media Foundation's in Python spelling: IMFMediaSource is `MediaSource`, IMFInputTrustAuthority is
`InputTrustAuthority`, and so on. Each docstring says in which process the object lives.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable
from uuid import UUID

import msgspec

from drm.errors import DRMError
from drm.media import Sample, StreamDescriptor, TrackInfo
from drm.rights.authorities import (
    AccessParameters,
    Decrypter,
    InputTrustAuthority,
    OutputTrustAuthority,
    ProtectedEnvironment,
    SetPolicyResult,
)
from drm.wire.specs import RemoteObject

__all__ = [
    "AccessParameters",
    "AudioFrame",
    "ByteStream",
    "Decoder",
    "Decrypter",
    "EventfulSink",
    "Frame",
    "InputTrustAuthority",
    "MediaSource",
    "OutputTrustAuthority",
    "PMPClient",
    "PMPHost",
    "PacketBuffer",
    "ProtectedEnvironment",
    "SetPolicyResult",
    "Sink",
    "SinkEvents",
    "SourceCharacteristic",
    "ToldSource",
    "Transform",
    "VideoFrame",
]


class SourceCharacteristic(enum.IntFlag):
    """MFMEDIASOURCE_CHARACTERISTICS: what a media source can do."""

    IS_LIVE = 1
    CAN_SEEK = 2
    CAN_PAUSE = 4
    HAS_SLOW_SEEK = 8
    HAS_MULTIPLE_PRESENTATIONS = 16
    CAN_SKIPFORWARD = 32
    CAN_SKIPBACKWARD = 64
    DOES_NOT_USE_NETWORK = 128


class ByteStream(Protocol):
    """Bytes at offsets (IMFByteStream, read side). Lives in the application; may block."""

    @property
    def name(self) -> str:
        """What a person calls it: a path or a URL."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end. Raises MediaError when it cannot."""

    def read_into(self, offset: int, into: memoryview) -> int:
        """Fill `into` from `offset`; return how many bytes were there."""


@runtime_checkable
class PMPClient(Protocol):
    """IMFPMPClient: a source that makes objects inside the PMP worker."""

    def set_pmp_host(self, host: PMPHost) -> None:
        """Called once by the session proxy during topology resolution, before any ITA is asked for."""


class PMPHost(Protocol):
    """IMFPMPHost: creates objects in the worker.

    The caller is not trusted: class ids are looked up among listed components, never in the file system.
    """

    def create_object(self, class_id: UUID, stream: bytes | None = None) -> RemoteObject:
        """Load the component registered under `class_id`, let it load `stream`, return a reference to it.

        Raises:
            UnknownComponentError: no component has this class id.
            TrustError: it has one, and its files are not those of the manifest.
        """


class MediaSource(Protocol):
    """IMFMediaSource: gives encrypted samples. Lives in the application, or in the worker in remote source mode."""

    @property
    def characteristics(self) -> SourceCharacteristic:
        """What it can do (IMFMediaSource::GetCharacteristics)."""

    @property
    def duration(self) -> int:
        """Length of the presentation in units of 100 ns; 0: not known (MF_PD_DURATION)."""

    def streams(self) -> Sequence[StreamDescriptor]:
        """The presentation: every stream, protected ones marked."""

    def get_input_trust_authority(self, stream_id: int) -> RemoteObject | None:
        """IMFTrustedInput: the ITA of one stream, or None for a clear one. Needs `set_pmp_host` first."""

    def select(self, stream_ids: Iterable[int], position: int = 0) -> None:
        """Deliver these streams and no others, from the last place before `position` (100 ns) that decodes by itself.

        IMFMediaSource::Start. Raises what keeps it from starting there; a source that cannot seek takes 0 alone.
        """

    def next_sample(self, stream_id: int) -> Sample | None:
        """Return the next sample of the stream in decode order, or None at its end. Its bytes are not read yet."""

    def read_into(self, sample: Sample, into: memoryview) -> None:
        """Read the sample's bytes as stored, encrypted ones still so. Raises TruncatedMediaError."""


@runtime_checkable
class ToldSource(Protocol):
    """A media source that wants to know what becomes of playback: one that has all three of these.

    Called one at a time with the source's other calls, in order. What `on_pause` or `on_stop` raises is the status of
    the session's event.
    """

    def on_pause(self) -> None:
        """Playback stands (IMFMediaSource::Pause). `select`, or another call for samples, is the end of it."""

    def on_stop(self) -> None:
        """Playback was stopped (IMFMediaSource::Stop): the next thing is `select`."""

    def on_shutdown(self) -> None:
        """The topology is over, or its session: nothing more is read for it. Failures are logged."""


class VideoFrame(msgspec.Struct):
    """A decoded picture. `native` is the decoder's own object; planes are read through it, never copied here."""

    pts: int  # in the track's timescale, edit list applied
    duration: int
    width: int
    height: int
    format: str  # the pixel format's FFmpeg name
    native: object


class AudioFrame(msgspec.Struct):
    """Decoded sound. `skip` samples at its front are before the edit list's start and are not to be presented."""

    pts: int
    duration: int
    samples: int
    sample_rate: int
    channels: int
    format: str
    native: object
    skip: int = 0


Frame: TypeAlias = VideoFrame | AudioFrame


class PacketBuffer(Protocol):
    """Memory that a decoder owns and a decrypter fills: clear bytes exist nowhere else."""

    def view(self) -> memoryview:
        """The writable bytes; release the view before `Decoder.decode`."""


class Decoder(Protocol):
    """Packets to frames. Worker only (or the in-process session, for clear content)."""

    def open(self, track: TrackInfo, *, strict: bool = False) -> None:
        """Get ready for `track`. `strict`: the first sign of damage raises. Raises UnsupportedMediaError."""

    def buffer(self, size: int) -> PacketBuffer:
        """New memory for one packet; never used twice."""

    def decode(self, buffer: PacketBuffer, sample: Sample) -> list[Frame]:
        """Decode one packet. Raises MediaError when the decoder finds it damaged."""

    def drain(self) -> list[Frame]:
        """Give what is still inside, at the end of the stream."""

    def flush(self) -> None:
        """Forget what is inside and be ready for a sync sample: a seek, or the stream from its start again."""


class Transform(Protocol):
    """A step between decoder and sinks (a transform node's IMFTransform). Lives with the session.

    One that lets frames out itself is a trusted output (IMFTrustedOutput): it has `output_trust_authorities`, and
    `is_final` when what it hands on needs no protection any more.
    """

    def load(self, stream: bytes) -> None:
        """Read its options (JSON)."""

    def process(self, track: TrackInfo, frame: Frame) -> Sequence[Frame]:
        """Return what the frame becomes: none, one or several, in presentation order."""

    def flush(self) -> None:
        """Forget what is inside."""


class SinkEvents(Protocol):
    """Where a sink says what becomes of it (its IMFMediaEventGenerator). Any thread; returns at once."""

    def invalidate(self, error: DRMError | None = None) -> None:
        """It can show nothing any more: SINK_INVALIDATED, with this error as status, and its topology ends."""

    def renderer_event(self, values: Mapping[str, float]) -> None:
        """RENDERER_EVENT with these numbers, at most sixteen: counts and sizes, never anything of the picture."""


@runtime_checkable
class EventfulSink(Protocol):
    """A sink that has something to say by itself."""

    def set_events(self, events: SinkEvents) -> None:
        """Called once, after `load` and before `open`."""


class Sink(Protocol):
    """The end of a branch. Worker only: frames leave through what a sink writes, and through nothing else."""

    @property
    def is_rateless(self) -> bool:
        """True: it takes frames as fast as they come. False: each at its presentation time, as a screen does."""

    def load(self, stream: bytes) -> None:
        """Read its options (JSON)."""

    def output_trust_authorities(self) -> Sequence[OutputTrustAuthority]:
        """IMFTrustedOutput; empty: an untrusted output, which no protected stream may reach. Asked once a stream."""

    def open(self, tracks: Sequence[TrackInfo], descriptor: int | None) -> None:
        """Get ready; `descriptor` is what the application handed in to write to, or None: the sink's to close."""

    def write(self, track_id: int, frame: Frame) -> None:
        """Take one frame, in the order of the stream; after a seek or a restart, times begin anew."""

    def finish(self) -> dict[str, int]:
        """The presentation ended: write what is in hand. It may be started again.

        Return counts for the application: never anything of the picture.
        """

    def close(self) -> None:
        """End for good and give the descriptor back. Idempotent."""
