"""A file whose server gives no parts: read from its start into a temporary file, as far as it is wanted."""

from __future__ import annotations

import tempfile
from typing import Final

from drm.app.http.part import PartOfFile
from drm.errors import MediaUnreachableError

__all__ = ["Spool"]

_READ: Final = 64 << 10  # bytes


class Spool:
    """Keeps what has come. `answer` is the one answer there is: when it breaks off, the rest cannot be had."""

    def __init__(self, answer: PartOfFile, size: int | None, limit: int, name: str) -> None:
        """Raises MediaUnreachableError: there is more than `limit`. Without a size, all of it is read at once."""
        self._answer = answer
        self._name = name
        self._limit = limit
        if size is not None and size > limit:
            raise self._too_large(f"it has {size} bytes")
        self._file = tempfile.TemporaryFile(prefix="clearkey-")  # noqa: SIM115 - closed by `close`
        self._have = 0
        try:
            self.size = size if size is not None else self._all()
        except BaseException:
            self.close()
            raise

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes, which are there. Raises what the answer raises."""
        while self._have < offset + size:
            self._more()
        self._file.seek(offset)
        return self._file.read(size)

    def _all(self) -> int:
        while self._more():
            if self._have > self._limit:
                raise self._too_large("it does not say how long the file is")
        return self._have

    def _more(self) -> int:
        data = self._answer.read(_READ)
        self._file.seek(self._have)
        self._file.write(data)
        self._have += len(data)
        return len(data)

    def _too_large(self, seen: str) -> MediaUnreachableError:
        return MediaUnreachableError(
            f"the server gives no parts of the file, and more than {self._limit} bytes are not kept here",
            where=self._name,
            seen=seen,
            remedy="use a server that knows range requests, or download the file first",
        )

    def close(self) -> None:
        """Give the file back."""
        self._file.close()
