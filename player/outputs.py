"""Files that appear whole or not at all: the worker writes to a descriptor, and the name comes when it is complete."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from drm.errors import InvalidArgumentError

__all__ = ["AtomicOutput"]


class AtomicOutput:
    """A file being made. `-` is standard output; that, a pipe and a device cannot be atomic and are written to.

    Leaving the `with` block without an error puts the file in its place; leaving it with one removes what there is.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.descriptor = -1
        self._draft: Path | None = None

    def __enter__(self) -> Self:
        if self.target == "-":
            if sys.stdout is None:  # its descriptor was closed, and the number may be another file's by now
                raise InvalidArgumentError("there is no standard output to write to", remedy="give a file instead of -")
            sys.stdout.flush()
            self.descriptor = os.dup(1)
            return self
        path = Path(self.target)
        try:
            if path.exists() and not path.is_file():
                self.descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
                return self
            draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
            self.descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            self._draft = draft
        except OSError as error:
            raise InvalidArgumentError(f"cannot write {self.target}: {error.strerror}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._draft is not None and kind is None:
                os.fsync(self.descriptor)
                self._draft.replace(self.target)
            elif self._draft is not None:
                self._draft.unlink(missing_ok=True)
        finally:
            os.close(self.descriptor)
