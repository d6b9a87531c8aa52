"""The server's own log on standard error: a line for each record, whoever's words are in it."""

from __future__ import annotations

import logging

from drm.readable import readable

__all__ = ["log_to_stderr"]


class _Readable(logging.Formatter):
    """Paths, names and what a database says are others' words. Only a traceback has more lines, and it is indented."""

    def format(self, record: logging.LogRecord) -> str:
        return readable(super().format(record), None, lines=True)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        record.message = readable(record.message, None)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's own name
        text = super().formatException(ei)  # type: ignore[arg-type]  # sys.exc_info()'s tuple, whose name is private
        return "\n".join(f"  {readable(line, None)}" for line in text.splitlines())


def log_to_stderr(level: int) -> None:
    """Log records of `level` and above, from now on and in processes that are forked later. Once for a process."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Readable("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)
