"""What the session reads from: the stand-in of an application's source, or a source of its own process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from drm.component import InputTrustAuthority, SourceCharacteristic
from drm.errors import InvalidRequestError
from drm.hresult import HResult
from drm.media import Sample
from drm.wire.specs import SourceState

__all__ = ["SessionSource", "cancelled"]


class SessionSource(Protocol):
    """A media source as the session sees it. The session's threads call it; each call may block."""

    @property
    def characteristics(self) -> SourceCharacteristic:
        """What it can do."""

    @property
    def duration(self) -> int:
        """Units of 100 ns; 0: not known."""

    def authority(self, stream_id: int) -> InputTrustAuthority | None:
        """The ITA of a stream; None: the stream is clear (IMFTrustedInput)."""

    def select(self, stream_ids: Iterable[int], position: int = 0) -> None:
        """Deliver these streams from the last place before `position` that decodes by itself.

        Raises what the source raised; after `interrupt`, reads work again.
        """

    def read(self, stream_id: int) -> tuple[Sample, memoryview] | None:
        """Wait for the next sample and its bytes as stored; None at the end. Raises what the source raised."""

    def is_finished(self, stream_id: int) -> bool:
        """Whether the source gave the last sample of this stream; some of them may still have to be read."""

    def done(self, stream_id: int) -> None:
        """The bytes of the last `read` of this stream are no longer needed; no view of them may be left."""

    def tell(self, state: SourceState) -> None:
        """The session was paused or stopped. Raises what the source raised, and NotBackError."""

    def interrupt(self) -> None:
        """Let a waiting `read` or `select` go with InvalidRequestError, and every other until the next `select`."""

    def cancel(self) -> None:
        """As `interrupt`, for good."""

    def close(self) -> None:
        """Nothing reads any more: give everything back. Idempotent."""


def cancelled() -> InvalidRequestError:
    """What a `read` raises when it is cancelled."""
    return InvalidRequestError("the pipeline was stopped", hresult=HResult.MF_E_OPERATION_CANCELLED)
