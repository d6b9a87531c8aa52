"""A media source that lives in the worker, as the application holds it (remote source mode)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn, Self

from drm.component import SourceCharacteristic
from drm.errors import InvalidRequestError, WireError
from drm.media import Sample, StreamDescriptor
from drm.wire.messages import NeedSamples, RemoteObject, SelectStreams, SourceCreated, TellSource

__all__ = ["RemoteMediaSource", "RemoteReading"]


class RemoteMediaSource:
    """Keeps `drm.component.MediaSource`, without samples: those are read in the worker and never come here.

    Put it into a topology of the session whose resolver made it: all that crosses then is its object id. A context
    manager: leaving it shuts the source down.
    """

    def __init__(self, created: SourceCreated, owner: object, release: Callable[[int], None]) -> None:
        """`owner` tells whose it is; `release` lets the object in the worker go."""
        self.object_id = created.source
        self.owner = owner
        self._release = release
        self._streams = created.streams
        self._is_shut = False
        self.characteristics = SourceCharacteristic(created.characteristics & sum(SourceCharacteristic))
        self.duration = max(0, created.duration)
        self.warnings = created.warnings

    def streams(self) -> Sequence[StreamDescriptor]:
        """The presentation: every stream, as the worker described it."""
        return self._streams

    @property
    def is_shut_down(self) -> bool:
        """Whether `shutdown` was called."""
        return self._is_shut

    def shutdown(self) -> None:
        """Let it go (IMFMediaSource::Shutdown); a topology that reads from it plays on. Idempotent."""
        if not self._is_shut:
            self._is_shut = True
            self._release(self.object_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    # ------------------------------------------------------------------ what only the worker can do

    def get_input_trust_authority(self, stream_id: int) -> RemoteObject | None:
        """Raises InvalidRequestError: the source makes its authorities itself, where it lives."""
        self._refuse(f"the trust authority of stream {stream_id}")

    def select(self, stream_ids: Iterable[int], position: int = 0) -> None:
        """Raises InvalidRequestError: samples stay in the worker."""
        self._refuse(f"streams {list(stream_ids)} from {position}")

    def next_sample(self, stream_id: int) -> Sample | None:
        """Raises InvalidRequestError: samples stay in the worker."""
        self._refuse(f"a sample of stream {stream_id}")

    def read_into(self, sample: Sample, into: memoryview) -> None:
        """Raises InvalidRequestError: samples stay in the worker."""
        self._refuse(f"a sample of {sample.size} bytes into {len(into)}")

    def _refuse(self, seen: str) -> NoReturn:
        raise InvalidRequestError(
            "this media source lives in the worker, and gives nothing here but its description",
            seen=f"asked for: {seen}",
            remedy="put it into a topology",
        )


class RemoteReading:
    """A topology that reads from a source in the worker: there is nothing to be served from here."""

    def __init__(self, source: RemoteMediaSource) -> None:
        self.source = source

    def start(self) -> None:
        """The worker reads for itself."""

    def request(self, message: NeedSamples | SelectStreams | TellSource) -> None:
        """Raises WireError: no sound worker asks the application for samples of such a source."""
        raise WireError(f"the worker asks for samples of topology {message.topology_id}, whose source it has itself")

    def stop(self) -> None:
        """Nothing runs here."""

    def close(self) -> None:
        """Nothing runs here."""
