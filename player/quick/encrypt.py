"""`clearkey encrypt` without click: takes the words of a usual call, and leaves all others to the verb.

What it takes means the same to `player.verbs.encrypt`. Words that are unusual in any way end in None, before anything
was said or done, and the verb starts from the beginning: it knows what to say.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from drm.errors import DRMError
from drm.media import Scheme
from drm.whole_file import TargetError
from player.quick.common import MAX_JOBS
from player.quick.encrypt_run import IV_SIZES, PSSH, Request, encrypt

__all__ = ["encrypt_at_once", "read_words"]

_Reads = Callable[[str], Any]


def _key(word: str) -> str:
    if word.strip()[:1] in {"@", "-"}:  # a keys file
        raise ValueError(word)
    return word


def _one_of(*names: str) -> _Reads:
    def read(word: str) -> str:
        if word not in names:
            raise ValueError(word)
        return word

    return read


def _jobs(word: str) -> int:
    number = int(word)
    if not 1 <= number <= MAX_JOBS:
        raise ValueError(word)
    return number


# Option: the field of the request, and how its value is read. Those of `_MANY` may stand more than once.
_VALUES: Final[dict[str, tuple[str, _Reads]]] = {
    "-o": ("output", str),
    "--output": ("output", str),
    "--key": ("key_words", _key),
    "--keys-file": ("keys_file", str),
    "--scheme": ("scheme", _one_of(*(scheme.value for scheme in Scheme))),
    "--pattern": ("pattern", str),
    "--iv-size": ("iv_size", _one_of(*IV_SIZES)),
    "--clear-lead": ("clear_lead", float),
    "--rotate": ("rotate", float),
    "--clear": ("clear_words", str),
    "--pssh": ("pssh", _one_of(*PSSH)),
    "--jobs": ("jobs", _jobs),
}
_MANY: Final = frozenset({"key_words", "clear_words"})
_FLAGS: Final = {"-q": "quiet", "--quiet": "quiet", "--json": "as_json"}


def encrypt_at_once(argv: list[str]) -> int | None:
    """Encrypt as `argv` says and return the exit code; None: nothing was done, and the verb is needed."""
    if sys.stderr is None or sys.stdout is None:
        return None
    try:
        request = read_words(argv)
    except (ValueError, OSError, DRMError):
        return None
    try:
        encrypt(request)
    except DRMError as error:
        sys.stderr.write(f"{error.render()}\n")
        return error.exit_code
    except TargetError:
        return None
    except OSError as error:
        sys.stderr.write(f"error: {error.strerror or error}: {error.filename or 'no file named'}  [E-UNEXPECTED]\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


def read_words(argv: list[str]) -> Request:
    """The request. Raises ValueError, OSError or DRMError: the verb has to look at these words."""
    fields: dict[str, Any] = {}
    rest = iter(argv)
    for word in rest:
        name, equals, value = word.partition("=")
        if word in _FLAGS:
            fields[_FLAGS[word]] = True
        elif name in _VALUES and (not equals or name.startswith("--")):
            field, read = _VALUES[name]
            value = read(value if equals else next(rest, ""))
            if field in _MANY:
                fields.setdefault(field, []).append(value)
            elif fields.setdefault(field, value) is not value:
                raise ValueError(field)
        elif word.startswith("-") or "source" in fields:
            raise ValueError(word)
        else:
            fields["source"] = word
    if not fields.get("source") or not fields.get("output"):
        raise ValueError(argv)
    path = fields.get("keys_file")
    if path is not None:
        from drm.keyfile.formats import MAX_KEYS_FILE, parse_keys_file  # noqa: PLC0415 - it knows XML and more, which costs

        with open(path, "rb") as file:  # noqa: PTH123 - a string is at hand
            fields["keys_of_file"] = list(parse_keys_file(file.read(MAX_KEYS_FILE + 1)).items())
    return Request(**fields)
