"""How far a play-through is: what progress bars show, and what is said when nothing came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from drm.app.remote_mode.source import RemoteMediaSource
from drm.app.session_proxy import MediaSessionProxy
from drm.component import MediaSource
from drm.errors import DRMError
from drm.media import Sample, StreamDescriptor

__all__ = ["Followed", "Watched", "seconds_of"]


class Watched:
    """The source, with an eye on how far it has been read: what progress bars show."""

    def __init__(self, source: MediaSource, streams: Sequence[StreamDescriptor]) -> None:
        self._source = source
        self._total = max((seconds_of(stream) for stream in streams), default=0.0)
        self._scale = {stream.track.track_id: max(1, stream.track.timescale) for stream in streams}
        self._read = dict.fromkeys(self._scale, 0)  # samples by stream
        self._done = 0.0
        self.streams = source.streams
        self.characteristics = source.characteristics
        self.duration = source.duration
        self.get_input_trust_authority = source.get_input_trust_authority
        self.read_into = source.read_into
        self.interrupt = getattr(source, "interrupt", lambda: None)
        self.set_pmp_host = getattr(source, "set_pmp_host", lambda _host: None)

    def select(self, stream_ids: Iterable[int], position: int = 0) -> None:
        """Begin anew."""
        self._done = 0.0
        self._source.select(stream_ids, position)

    def next_sample(self, stream_id: int) -> Sample | None:
        """Pass the sample on and note its time."""
        sample = self._source.next_sample(stream_id)
        if sample is not None:
            self._done = sample.dts / self._scale[stream_id]
            self._read[stream_id] += 1
        return sample

    def seen(self) -> str:
        """How many samples were read, for a person."""
        return ", ".join(f"track {track_id}: {count} samples" for track_id, count in self._read.items())

    def notes(self) -> list[str]:
        """Of each stream that nothing was read of, that it is so."""
        return [f"no sample of track {track_id} was reached" for track_id, count in self._read.items() if not count]

    def progress(self) -> tuple[float, float]:
        """Seconds read, seconds in all (0: not known)."""
        return self._done, self._total


class Followed:
    """A source in the worker: how far it is, the session's clock knows."""

    def __init__(
        self, source: RemoteMediaSource, session: MediaSessionProxy, streams: Sequence[StreamDescriptor]
    ) -> None:
        self._session = session
        self._total = max((seconds_of(stream) for stream in streams), default=0.0) or source.duration / 10_000_000
        self._done = 0.0

    def seen(self) -> str:
        """How many samples were read: the worker reads them."""
        return ""

    def notes(self) -> list[str]:
        """Nothing: the worker reads the samples."""
        return []

    def progress(self) -> tuple[float, float]:
        """Seconds played, seconds in all (0: not known)."""
        with suppress(DRMError):  # before the first start there is no time
            self._done = self._session.get_clock().get_time() / 10_000_000
        return self._done, self._total


def seconds_of(stream: StreamDescriptor) -> float:
    """How long the stream says it is; 0: it does not say."""
    return stream.track.duration / max(1, stream.track.timescale)
