"""The progress bar of a verb that takes a while: on a terminal only, and only once it has taken a while."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from drm.readable import readable

if TYPE_CHECKING:
    import rich.progress

__all__ = ["Progress"]

_PATIENCE: Final = 0.5  # seconds before a bar is drawn


class Progress:
    """Draws what is done of all there is, with rich, which is imported when the first bar is drawn."""

    def __init__(self, *, quiet: bool, what: str = "playing") -> None:
        self._what = readable(what, 200)
        self._wanted = not quiet and sys.stderr.isatty()
        self._began = time.monotonic()
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None

    def show(self, done: float, total: float) -> None:
        """Draw, or not yet. `total` 0: nobody knows it, as with fragmented files; then the bar tells how far it is."""
        if not self._wanted or time.monotonic() - self._began < _PATIENCE:
            return
        if self._bar is None:
            from rich.console import Console  # noqa: PLC0415 - costs 40 ms, so only when a bar is really drawn
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
            from rich.progress import Progress as Bar  # noqa: PLC0415

            # rich draws past the guard of standard error, and takes brackets in a text for its own markup.
            columns = (
                TextColumn("{task.description}", markup=False), BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn(),
            )  # fmt: skip
            self._bar = Bar(*columns, console=Console(file=sys.__stderr__), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=total or None)
        assert self._task is not None
        if total > 0:
            self._bar.update(self._task, description=self._what, completed=min(done, total), total=total)
        else:
            minutes, seconds = divmod(round(done), 60)
            self._bar.update(self._task, description=f"{self._what} {minutes}:{seconds:02}", total=None)

    def name(self, what: str) -> None:
        """Call what is under way by another name."""
        self._what = readable(what, 200)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=self._what)

    def clear(self) -> None:
        """Take the bar away; what is shown after this draws another. Idempotent."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def close(self) -> None:
        """Take the bar away for good. Idempotent."""
        self.clear()
        self._wanted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
