"""A renewal of components as `play` and `trace` tell of it: a bar on a terminal, lines elsewhere, all on stderr."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

import click

from drm.errors import TrustError
from drm.hresult import name_of
from player.component_renewal import Renewal
from player.progress import Progress

__all__ = ["RenewalLines"]


class RenewalLines:
    """Keeps `player.component_renewal.RenewalWatch`."""

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
            click.echo(line, err=True)
