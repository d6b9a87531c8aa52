"""Calls of code that is not the session's own, and that may fail in any way or never come back.

Media sources, sinks and topology loaders: each object's calls run on a thread of its own, one after another, and who
waits for one is told when it takes too long. Both processes.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar, cast

from drm.errors import DRMError, InvalidRequestError, NotBackError
from drm.hresult import HResult

__all__ = ["ANSWER_LIMIT", "BoundedCalls"]

ANSWER_LIMIT: Final = 60.0
"""Seconds that a media source, a sink or a topology loader may take for one call, unless the session says otherwise.

A sink's `write` is not among these: one that waits for whoever reads from it holds playback up, and no more.
"""

logger = logging.getLogger(__name__)

_LOOK: Final = 0.02  # seconds between two looks whether nobody waits any more

_T = TypeVar("_T")


class _Call:
    def __init__(self, run: Callable[[], object], *, is_last: bool = False) -> None:
        self.run = run
        self.is_last = is_last
        self.done = threading.Event()
        self.result: object = None
        self.error: BaseException | None = None


class BoundedCalls:
    """Makes the calls of one object, never two at once. Any thread, one at a time; close it."""

    def __init__(self, whose: str, limit: float = ANSWER_LIMIT) -> None:
        """`whose` names the object in errors; `limit`: seconds for one call."""
        self._whose = whose
        self._limit = limit
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._out: _Call | None = None  # was not waited for to its end
        self._starting = threading.Lock()

    def __call__(self, what: str, run: Callable[[], _T], is_called_off: Callable[[], bool] | None = None) -> _T:
        """Have `run` called; return what it returns. `what` names it in errors; `is_called_off` ends the wait.

        Raises:
            NotBackError: it did not come back in time, or has not from a call before.
            InvalidRequestError: it was called off (MF_E_OPERATION_CANCELLED).
            DRMError: it raised what no `except Exception` takes: SystemExit, KeyboardInterrupt.
            Exception: what else it raised.
        """
        call = _Call(run)
        self._begin(call)
        end = time.monotonic() + self._limit
        before, self._out = self._out, call
        while not call.done.wait(_LOOK if is_called_off else self._limit):
            if is_called_off is not None and is_called_off():
                raise InvalidRequestError("nobody waits any more", hresult=HResult.MF_E_OPERATION_CANCELLED)
            if time.monotonic() >= end:
                late = "a call before" if before is not None and not before.done.is_set() else what
                raise NotBackError(
                    f"{self._whose} did not come back from {late}",
                    seen=f"nothing within {self._limit:g} s",
                    maybe="it waits for something that does not come",
                )
        self._out = None
        if call.error is None:
            return cast("_T", call.result)
        if isinstance(call.error, Exception):
            raise call.error
        raise DRMError(f"{self._whose} failed in {what}: {type(call.error).__name__}: {call.error}")

    def _begin(self, call: _Call) -> None:
        with self._starting:
            self._calls.put(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name=f"calls of {self._whose}", daemon=True)
                self._thread.start()

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call.result = call.run()
            except BaseException as error:
                call.error = error
                if call.is_last:
                    logger.exception("%s failed when it was needed no more", self._whose)
            call.done.set()

    @property
    def is_out(self) -> bool:
        """Whether a call that nobody waits for any more has not come back."""
        return self._out is not None and not self._out.done.is_set()

    def at_last(self, run: Callable[[], object]) -> None:
        """Have `run` called after all others, and do not wait for it: what it raises is logged."""
        self._begin(_Call(run, is_last=True))

    def close(self) -> None:
        """Let the thread end, once it is back. Idempotent."""
        self._calls.put(None)
