"""A media source over what a container reader found: the same for every container.

Lives in the application, which never decrypts; told `set_pmp_host` during topology resolution, it creates its input
trust authorities inside the worker. The file is not trusted; the reader gives sound samples or raises.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from drm.class_ids import CLEARKEY_ITA
from drm.component import ByteStream, PMPHost, SourceCharacteristic
from drm.errors import InvalidArgumentError, InvalidRequestError, TruncatedMediaError
from drm.hresult import HResult
from drm.media import InitBox, Presentation, Sample, SampleTime, StreamDescriptor, TrackInfo, TrackType
from drm.wire.specs import RemoteObject

__all__ = ["PresentationSource"]

_HUNDRED_NS: Final = 10_000_000  # units of presentation time in a second
_SOUND_BEFORE: Final = 4  # packets of sound that a decoder wants to have heard before the one that counts


class PresentationSource:
    """Keeps `drm.component.MediaSource` and `PMPClient`. A stream's id is its track id; each is read on its own."""

    def __init__(self, stream: ByteStream, presentation: Presentation) -> None:
        self._stream = stream
        self._presentation = presentation
        self._descriptors = {found.track.track_id: found for found in presentation.streams()}
        self._iterators: dict[int, Iterator[Sample]] = {}
        self._host: PMPHost | None = None
        self._authorities: dict[int, RemoteObject] = {}

    @property
    def characteristics(self) -> SourceCharacteristic:
        """A file can be paused, and read from any place."""
        able = SourceCharacteristic.CAN_SEEK | SourceCharacteristic.CAN_PAUSE
        if getattr(self._stream, "uses_network", False):
            return able
        return able | SourceCharacteristic.DOES_NOT_USE_NETWORK

    @property
    def duration(self) -> int:
        """Of its longest track; 0 where the file does not say, as fragmented files often do not."""
        tracks = [found.track for found in self._descriptors.values() if found.track.decoder]
        return max((each.duration * _HUNDRED_NS // max(1, each.timescale) for each in tracks), default=0)

    def streams(self) -> Sequence[StreamDescriptor]:
        """The presentation: every track of the file."""
        return tuple(self._descriptors.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd in the file and was read all the same; grows while samples are read."""
        return self._presentation.warnings

    @property
    def pssh(self) -> Sequence[InitBox]:
        """What the file says to protection systems."""
        return self._presentation.pssh

    def set_pmp_host(self, host: PMPHost) -> None:
        """Take the host in whose worker the trust authorities are made."""
        self._host = host
        self._authorities.clear()

    def get_input_trust_authority(self, stream_id: int) -> RemoteObject | None:
        """Make the stream's Clear Key authority in the worker, the first time; None for a clear stream.

        Raises:
            InvalidRequestError: `set_pmp_host` was not called.
            TrustError: the host refuses to make one.
        """
        descriptor = self._descriptor(stream_id)
        if not descriptor.is_protected:
            return None
        if self._host is None:
            raise InvalidRequestError(
                "set_pmp_host comes before an input trust authority can be made", hresult=HResult.MF_E_NO_PMP_HOST
            )
        if stream_id not in self._authorities:
            self._authorities[stream_id] = self._host.create_object(CLEARKEY_ITA, self._init_data(descriptor))
        return self._authorities[stream_id]

    def select(self, stream_ids: Iterable[int], position: int = 0) -> None:
        """Deliver these streams and no others, each from its last sync sample at or before `position` (100 ns)."""
        self._iterators = {each: self._from(self._descriptor(each).track, position) for each in stream_ids}

    def _from(self, track: TrackInfo, position: int) -> Iterator[Sample]:
        if position <= 0:
            return self._presentation.samples(track.track_id)
        # Times are gone through first, then samples: keeping them would take memory by the file's length.
        first = _first_needed(self._presentation.times(track.track_id), track, position)
        return self._presentation.samples(track.track_id, first)

    def next_sample(self, stream_id: int) -> Sample | None:
        """Return the next sample of the stream, or None at its end.

        Raises:
            InvalidRequestError: the stream is not selected.
            MediaError: the file is broken at this place.
        """
        iterator = self._iterators.get(stream_id)
        if iterator is None:
            raise InvalidRequestError(f"stream {stream_id} is not selected")
        return next(iterator, None)

    def read_into(self, sample: Sample, into: memoryview) -> None:
        """Read the sample's bytes as stored. Raises TruncatedMediaError, and InvalidArgumentError for a wrong size."""
        if len(into) != sample.size:
            raise InvalidArgumentError(f"a sample of {sample.size} bytes, and {len(into)} to read it into")
        count = self._stream.read_into(sample.offset, into)
        if count != sample.size:
            raise TruncatedMediaError(
                "the file ends inside a sample",
                where=f"{self._stream.name}, track {sample.track_id}, at byte {sample.offset}",
                seen=f"{count} of {sample.size} bytes",
            )

    def interrupt(self) -> None:
        """Let a read that waits for its byte stream go, from any thread, where the stream can do that."""
        interrupt = getattr(self._stream, "interrupt", None)
        if interrupt is not None:
            interrupt()

    def _descriptor(self, stream_id: int) -> StreamDescriptor:
        if stream_id not in self._descriptors:
            raise InvalidArgumentError(f"there is no stream {stream_id}")
        return self._descriptors[stream_id]

    def _init_data(self, descriptor: StreamDescriptor) -> bytes:
        """What the authority is told: which key ids it will need, and what the file says to protection systems."""
        return msgspec.json.encode(
            {
                "track_id": descriptor.track.track_id,
                "scheme": descriptor.track.scheme,
                "key_ids": [str(key_id) for key_id in descriptor.key_ids],
                "pssh": [base64.b64encode(box.encode()).decode() for box in self._presentation.pssh],
            }
        )


def _first_needed(times: Iterator[SampleTime], track: TrackInfo, position: int) -> int:
    """The index of the sample that decoding must begin at to present `position` (ISO/IEC 14496-12, 8.6.6: edits)."""
    moment = position * track.timescale // _HUNDRED_NS
    empty = sum(edit.duration for edit in itertools.takewhile(lambda edit: edit.media_time < 0, track.edits))
    begin = next((edit.media_time for edit in track.edits if edit.media_time >= 0), 0)
    target = moment + begin - empty * track.timescale // max(1, track.movie_timescale)
    found = 0
    for index, (dts, cts_offset, is_sync) in enumerate(times):
        if dts > target:
            break
        if is_sync and dts + cts_offset <= target:
            found = index
    return max(0, found - _SOUND_BEFORE) if track.type is TrackType.AUDIO else found
