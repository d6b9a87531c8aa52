"""One call of the manager's `begin_enable_content`, and the callback that is owed for it. Application only.

The manager is the application's own code, and is held to its contract: it returns at once, and calls back exactly once
if it returned and never if it raised.
"""

from __future__ import annotations

import enum
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from drm.app.rights.content_enabler import Outcome
from drm.app.rights.enabler import ContentProtectionManager, EnablerActivation, EnableResult
from drm.component import MediaSource
from drm.errors import DRMError, InvalidArgumentError, InvalidRequestError, ManagerBlocksError
from drm.session.topology import Topology

__all__ = ["BLOCKING", "ManagerCall"]

logger = logging.getLogger(__name__)

BLOCKING: Final = 1.0  # seconds after which a call that must not block is reported


class _Duty(enum.Enum):
    BEGINNING = "begin_enable_content has not returned"
    OWED = "the callback is owed"
    DONE = "the callback came"
    REFUSED = "begin_enable_content raised"


class ManagerCall:
    """One enabler of one session, from `begin_enable_content` to the callback."""

    def __init__(
        self,
        ticket: int,
        manager: ContentProtectionManager,
        activation: EnablerActivation,
        topology: Topology[MediaSource],
        *,
        guard: Callable[[], AbstractContextManager[None]],
        report: Callable[[DRMError], None],
        ended: Callable[[ManagerCall, Outcome | None], None],
    ) -> None:
        """`guard` is entered around the manager's code, `report` takes what is to be said of it.

        `ended` is called once: with what it came to, or None when the session waits no longer.
        """
        self.ticket = ticket
        self._manager = manager
        self._activation = activation
        self._topology = topology
        self._guard = guard
        self._report = report
        self._ended = ended
        self._lock = threading.Lock()
        self._duty = _Duty.BEGINNING
        self.is_dropped = False

    def begin(self) -> None:
        """Call the manager on a thread of its own: the worker's messages are not held up, whatever it does."""
        threading.Thread(target=self._begin, name="begin-enable-content", daemon=True).start()

    def drop(self) -> None:
        """The session waits no longer: the enabler is cancelled, and what comes of it is not sent."""
        self.is_dropped = True
        self._activation.cancel()

    def _begin(self) -> None:
        try:
            with self._watched("begin_enable_content"):
                self._manager.begin_enable_content(self._activation, self._topology, self._called_back, None)
        except DRMError as error:
            self._refused(error)
        except BaseException as error:  # noqa: BLE001 - the application's own manager; the session must not wait for it
            self._refused(DRMError(f"the content protection manager failed: {type(error).__name__}: {error}"))
        else:
            with self._lock:
                if self._duty is _Duty.BEGINNING:
                    self._duty = _Duty.OWED

    def _refused(self, error: DRMError) -> None:
        with self._lock:
            is_late, self._duty = self._duty is _Duty.DONE, _Duty.REFUSED
        if is_late:
            logger.warning("the content protection manager called back, and then raised: %s", error.what)
            return
        self._end(error)

    def _called_back(self, result: object) -> None:
        """What the manager calls.

        Raises:
            InvalidArgumentError: the result is not one for this enabler.
            InvalidRequestError: the callback came before, or `begin_enable_content` raised.
        """
        if not isinstance(result, EnableResult) or result.enabler_activate is not self._activation:
            raise InvalidArgumentError("the callback takes an EnableResult for the enabler that it was given with")
        with self._lock:
            if self._duty in {_Duty.DONE, _Duty.REFUSED}:
                raise InvalidRequestError("no callback is owed", seen=self._duty.value)
            self._duty = _Duty.DONE
        outcome: Outcome
        try:
            with self._watched("end_enable_content"):
                self._manager.end_enable_content(result)
        except DRMError as error:
            outcome = error
        except BaseException as error:  # noqa: BLE001 - as above
            outcome = DRMError(f"the content protection manager failed: {type(error).__name__}: {error}")
        else:
            outcome = self._activation.outcome
        self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        if isinstance(outcome, DRMError):
            self._activation.end(outcome)
        self._ended(self, None if self.is_dropped else outcome)

    @contextmanager
    def _watched(self, call: str) -> Iterator[None]:
        """Run the manager's code inside: blocking calls of the session are refused there, and it is timed."""

        def blocks() -> None:
            logger.warning("the content protection manager blocks in %s", call)
            self._report(
                ManagerBlocksError(
                    f"the content protection manager blocks in {call}",
                    seen=f"it has not returned after {BLOCKING:g} s",
                    remedy="do the work on a thread of the manager's own, and return",
                )
            )

        timer = threading.Timer(BLOCKING, blocks)
        timer.daemon = True
        timer.start()
        try:
            with self._guard():
                yield
        finally:
            timer.cancel()
