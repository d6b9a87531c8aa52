"""What an application does when components must not run: it runs the enabler of the failure, and calls again.

MFCreatePMPMediaSession hands out an activation object when it fails, and is called a second time once that has done its
work. A license that demands a newer revocation list is enabled inside the session; when the new list revokes what runs
there, that session fails too, and another one is to be made.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

from drm.app.components.renewal import RENEWING
from drm.app.rights.content_enabler import ContentEnabler
from drm.app.rights.enabler import EnablerActivation
from drm.errors import DRMError, RestartRequiredError, TrustError
from drm.hresult import name_of
from drm.rights.enablers import EnableType
from drm.session.events import MediaEventType
from player.one_line import echo_line
from player.options import URL_VARIABLE
from player.progress import Progress

__all__ = ["Renewal", "RenewalLines", "RenewalWatch", "renewing"]

_BYTES: Final = re.compile(r"(?P<name>\S+): (?P<got>\d+) of (?P<total>\d+) bytes")
_SILENCE: Final = 120.0  # seconds without a word of the enabler; its own limits are shorter

_T = TypeVar("_T")


class RenewalWatch(Protocol):
    """Who is told how far a renewal is; drawn or printed."""

    def refused(self, error: TrustError) -> None:
        """The session was not made for this reason, and an enabler is run now."""

    def step(self, line: str) -> None:
        """What it does now."""

    def received(self, got: int, total: int) -> None:
        """How far the file is that it fetches."""

    def renewed(self, renewal: Renewal) -> None:
        """The enabler is through."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What one enabler did."""

    error: TrustError  # of the session that was not made
    received: int  # bytes, metadata and archives
    seconds: float


def renewing(make: Callable[[], _T], watch: RenewalWatch, *, may_update: bool) -> _T:
    """Call `make`, which makes a session; where components keep it from that, renew them and call it again.

    Each kind of renewal is done once: the metadata, then the components. `may_update` False: nothing is asked of any
    server, and the error says what its user can do.

    Raises:
        DRMError: of `make`, the last time; or of the update, when that failed.
    """
    left = set(RENEWING)
    is_restart_left = True
    while True:
        try:
            return make()
        except RestartRequiredError as error:
            if not may_update:
                error.remedy = "run `clearkey components update` and play again, or play with --update-components"
            if not is_restart_left or not may_update:
                raise
            is_restart_left = False
        except TrustError as error:
            enabler = _enabler(error)
            if enabler is None or enabler.get_enable_type() not in left:
                raise
            if not may_update:
                error.remedy = f"{error.remedy}, or play with --update-components".removeprefix(", or ")
                raise
            left.remove(enabler.get_enable_type())
            watch.refused(error)
            watch.renewed(_run(error, enabler, watch))


def _enabler(error: TrustError) -> ContentEnabler | None:
    """The enabler that puts this right by itself, or None."""
    activation = error.enabler_activate
    if not isinstance(activation, EnablerActivation):
        return None
    enabler = activation.activate_object()
    if enabler.is_automatic_supported:
        return enabler
    if enabler.get_enable_type() is EnableType.UPDATE_UNTRUSTED_COMPONENT:
        error.remedy = f"get it from its publisher: `clearkey components update --url URL`, or {URL_VARIABLE}"
    return None


def _run(error: TrustError, enabler: ContentEnabler, watch: RenewalWatch) -> Renewal:
    """Run the enabler to its end. Raises what went wrong; an interrupt cancels it."""
    began = time.monotonic()
    files: dict[str, int] = {}
    enabler.automatic_enable()
    try:
        while (event := enabler.get_event(timeout=_SILENCE)).type != MediaEventType.ENABLER_COMPLETED:
            line = str(event.values.get("text", ""))
            if progress := _BYTES.fullmatch(line):
                files[progress["name"]] = int(progress["got"])
                watch.received(int(progress["got"]), int(progress["total"]))
            else:
                watch.step(line)
    except (DRMError, KeyboardInterrupt):
        enabler.cancel()
        raise
    event.raise_for_status()
    return Renewal(error, sum(files.values()), time.monotonic() - began)


class RenewalLines:
    """A renewal as `play` tells of it: a bar on a terminal, lines elsewhere, all on stderr.

    Keeps `RenewalWatch`.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._is_drawn = sys.stderr.isatty()
        self._progress = Progress(quiet=quiet, what="updating")

    def refused(self, error: TrustError) -> None:
        """Say why no session was made."""
        self._say(f"refused: {error.what}, 0x{error.hresult:08X} {name_of(error.hresult)}; its enabler runs")

    def step(self, line: str) -> None:
        """Name the bar by it, or print it."""
        self._progress.name(line)
        if not self._is_drawn:
            self._say(line)

    def received(self, got: int, total: int) -> None:
        """Draw how far it is."""
        self._progress.show(got, total)

    def renewed(self, renewal: Renewal) -> None:
        """Say what it took."""
        self._progress.clear()
        self._say(f"renewed: {renewal.received:,} bytes in {renewal.seconds:.2f} s; the session is made again")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.close()

    def _say(self, line: str) -> None:
        if not self._quiet:
            echo_line(line, err=True)
