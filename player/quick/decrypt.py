"""`clearkey decrypt` without click: takes the plain words of an everyday call, and leaves all others to the verb.

What it takes means the same to `player.verbs.decrypt`, and so do its results; it exists because a file of 20 MB is
decrypted in less time than the verb needs to import. Whatever is unusual about the words or the file ends in None,
before anything was said, and the verb starts from the beginning: it knows every option, and what to say.
"""

from __future__ import annotations

import os
import stat
import sys

from drm.decrypting.fast.fragmented import decrypt_fast
from drm.decrypting.unmark_boxes import OddLayoutError
from drm.whole_file import TargetError, WholeFile
from player.quick.common import KEY_IS_VISIBLE, MAX_JOBS, end_tidily, useful_jobs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["decrypt_at_once", "said_when_done"]

_MAX_KEYS_FILE = 64 << 10
_DASHES = [8, 13, 18, 23]  # in a UUID
_FLAGS = ("-q", "--quiet")
_OPTIONS = {"-o": "output", "--output": "output", "--key": "key", "--keys-file": "keys-file", "--jobs": "jobs"}


class _UnusualError(Exception):
    """The verb has to look at this."""


def decrypt_at_once(argv: list[str]) -> int | None:
    """Decrypt as `argv` says and return the exit code; None: nothing was done, and the verb is needed."""
    if sys.stderr is None:
        return None
    try:
        source_path, options, quiet = _read_words(argv)
        keys = _keys(options)
        jobs = int(options.get("jobs", ["1"])[-1])
        if not 1 <= jobs <= MAX_JOBS:
            return None
        source = os.open(source_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        at = os.fstat(source)
        if not stat.S_ISREG(at.st_mode):
            return None
    except (_UnusualError, ValueError, OSError):
        return None
    end_tidily()
    try:
        with WholeFile(options["output"][-1], keep=((at.st_dev, at.st_ino),)) as file, _Bar(quiet=quiet) as bar:
            jobs = useful_jobs(jobs, at.st_size)
            decrypt_fast(source, file.descriptor, keys, jobs=jobs, progress=bar.show)
    except (OddLayoutError, TargetError):
        return None
    except OSError as error:
        sys.stderr.write(f"error: {error.strerror}: {error.filename or 'no file named'}  [E-UNEXPECTED]\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    if not quiet:
        if "key" in options:
            sys.stderr.write(f"{KEY_IS_VISIBLE}\n")
        sys.stderr.write(f"{said_when_done(options['output'][-1])}\n")
    return 0


def said_when_done(target: str, *, checked: bool = False) -> str:
    """What a user is told at the end. A wrong key makes noise of a file; that nobody looked must not be hidden."""
    doubt = "" if checked else "  (whether the keys are right was not checked: --check decodes a little of it first)"
    return f"written: {target}{doubt}"


def _read_words(argv: list[str]) -> tuple[str, dict[str, list[str]], bool]:
    """The input, the options with a value by name, and whether to be quiet. Raises _UnusualError."""
    options: dict[str, list[str]] = {}
    sources = []
    quiet = False
    rest = iter(argv)
    for word in rest:
        name, equals, value = word.partition("=")
        if word in _FLAGS:
            quiet = True
        elif name in _OPTIONS and (not equals or name.startswith("--")):
            if not equals:
                value = next(rest, "")
            options.setdefault(_OPTIONS[name], []).append(value)
        elif word.startswith("-"):
            raise _UnusualError
        else:
            sources.append(word)
    once = all(len(options.get(name, ())) <= 1 for name in ("output", "keys-file", "jobs"))
    if len(sources) != 1 or not once or options.get("output", ["-"])[0] in {"", "-"}:
        raise _UnusualError
    return sources[0], options, quiet


def _keys(options: dict[str, list[str]]) -> dict[bytes, bytes]:
    """Keys by key id: `--key` and the lines of `--keys-file`, in hexadecimal; the KID as a UUID too."""
    pairs = list(options.get("key", ()))
    for path in options.get("keys-file", ()):
        if path == "-":
            raise _UnusualError
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs 3 ms to import
            text = file.read(_MAX_KEYS_FILE + 1)
        if len(text) > _MAX_KEYS_FILE or text[:1] in {b"{", b"["}:
            raise _UnusualError
        pairs += [line for line in text.decode().split("\n") if line]
    keys: dict[bytes, bytes] = {}
    for pair in pairs:
        kid_text, _, key_text = pair.partition(":")
        if [at for at, letter in enumerate(kid_text) if letter == "-"] == _DASHES:
            kid_text = kid_text.replace("-", "")
        if not (len(kid_text) == len(key_text) == 32 and kid_text.isalnum() and key_text.isalnum()):
            raise _UnusualError
        kid, key = bytes.fromhex(kid_text), bytes.fromhex(key_text)
        if keys.setdefault(kid, key) != key:
            raise _UnusualError
    if any(key in keys for key in keys.values()):
        raise _UnusualError
    return keys


class _Bar:
    """The progress bar, imported when somebody could see it."""

    def __init__(self, *, quiet: bool) -> None:
        self.show: Callable[[int, int], None] | None = None
        self._close: Callable[[], None] | None = None
        if not quiet and sys.stderr.isatty():
            from player.progress import Progress  # noqa: PLC0415 - see above

            progress = Progress(quiet=quiet, what="decrypting")
            self.show, self._close = progress.show, progress.close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._close is not None:
            self._close()
