"""The last wall before a terminal: whatever is printed, no control or direction-changing character gets out raw.

Texts of others are made readable where they are put into a line (`drm.readable`); what forgot to do so ends here. Only
our own styling passes: bold, dim, a colour, and their end.
"""

from __future__ import annotations

import io
import sys

from drm.readable import readable

__all__ = ["GuardedText", "guard_output"]

_STYLES = tuple(f"\x1b[{number}m" for number in (0, 1, 2, *range(30, 38)))


class GuardedText(io.TextIOWrapper):
    """Standard output or standard error, made readable as it is written."""

    def write(self, text: str, /) -> int:
        """Write `text` with all that is not to be printed told by its number."""
        super().write(text if text.isprintable() else _guarded(text))
        return len(text)


def guard_output() -> None:
    """Put the guard before both streams of this process, for as long as it runs."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, GuardedText):
            stream.flush()
            guarded = GuardedText(
                stream.buffer,
                encoding=stream.encoding,
                errors=stream.errors,
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
            setattr(sys, name, guarded)


def _guarded(text: str) -> str:
    made, at = [], 0
    while (found := text.find("\x1b", at)) >= 0:
        style = next((each for each in _STYLES if text.startswith(each, found)), "")
        made += [readable(text[at:found], None, lines=True), style or "\\x1b"]
        at = found + max(1, len(style))
    return "".join([*made, readable(text[at:], None, lines=True)])
