"""`clearkey explain`: what an error code means, and what to do. The text is that of the classes themselves."""

from __future__ import annotations

import difflib
import inspect
import json
import re
import shutil
import textwrap
from typing import Final

import click
import msgspec

import drm.trust.errors  # noqa: F401 - its classes join the tree
from drm.errors import DRMError, InvalidArgumentError, error_classes
from drm.hresult import HResult, name_of

__all__ = ["Entry", "command", "entries", "entries_of"]

_HEX: Final = re.compile(r"(?:0X)?([0-9A-F]{8})")
_HTTP_FACILITY: Final = 0x80190000  # the low word is an HTTP status
_LABEL: Final = 11  # columns


class Entry(msgspec.Struct, frozen=True):
    """What there is to say of one code."""

    code: str
    class_name: str
    hresult: int
    exit_code: int
    exit_name: str
    meaning: str
    advice: str

    @classmethod
    def of(cls, kind: type[DRMError]) -> Entry:
        """Return what the class says of itself."""
        first = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]
        return cls(
            kind.code,
            kind.__name__,
            int(kind.default_hresult),
            int(kind.exit_code),
            kind.exit_code.name.lower().replace("_", " "),
            first.replace("\n", " "),
            kind.advice,
        )

    def to_dict(self) -> dict[str, object]:
        """Return it for JSON output, with the names that the JSON of an error has."""
        return {
            "code": self.code,
            "class": self.class_name,
            "hresult": f"0x{self.hresult:08X}",
            "hresult_name": name_of(self.hresult),
            "exit_code": self.exit_code,
            "meaning": self.meaning,
            "try": self.advice,
        }


def entries() -> list[Entry]:
    """Return an entry for each code, by code."""
    return [Entry.of(kind) for _, kind in sorted(error_classes().items())]


def entries_of(word: str) -> list[Entry]:
    """Return what `word` names, in either case: a code, a class, an HRESULT or its name. Several may share an HRESULT.

    Raises:
        InvalidArgumentError: nothing is called so; the message names what is nearly called so.
    """
    wanted = word.strip().strip("[]").upper()
    every = entries()
    if found := [each for each in every if {wanted, f"{wanted}ERROR"} & {each.code, each.class_name.upper()}]:
        return found
    number = _number(wanted)
    if number is None:
        raise _unknown(word, wanted, every)
    found = [each for each in every if number == each.hresult]
    if not found and number & 0xFFFF0000 == _HTTP_FACILITY:
        found = [each for each in every if each.hresult == _HTTP_FACILITY]
    if not found:
        known = f"{name_of(number)} (0x{number:08X})" if number in set(HResult) else f"0x{number:08X}"
        raise InvalidArgumentError(
            f"no error has the HRESULT {known} as its own",
            maybe="a place that knows better gave it in the place of its error's own",
            remedy="give the code that stands in brackets behind the error's message, as in `clearkey explain E-RATE`",
        )
    return found


def _number(wanted: str) -> int | None:
    if wanted in HResult.__members__:
        return int(HResult[wanted])
    match = _HEX.fullmatch(wanted)
    return int(match[1], 16) if match else None


def _unknown(word: str, wanted: str, every: list[Entry]) -> InvalidArgumentError:
    names = {each.code: each.code for each in every} | {each.class_name.upper(): each.code for each in every}
    names |= {name_of(each.hresult): each.code for each in every if each.hresult != HResult.E_FAIL}
    near = difflib.get_close_matches(wanted[:80], names, n=3, cutoff=0.6)
    near += [each.code for each in every if len(wanted) > 2 and wanted in each.code][:5]
    codes = list(dict.fromkeys(names[each] for each in near))
    return InvalidArgumentError(
        f"no error is called {word[:80]!r}",
        maybe=f"{' or '.join(codes)} is meant" if codes else "",
        remedy=f"clearkey explain {codes[0]}" if codes else "clearkey explain, which lists all codes",
    )


@click.command("explain")
@click.argument("code", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(code: str | None, *, as_json: bool) -> None:
    """Say what an error code means, and what to do about it. Without CODE: list all codes.

    CODE is what stands in brackets behind an error's message, as in E-KEY-WRONG; or its class's name (KeyWrongError),
    its HRESULT (0xC00D36E2) or the HRESULT's name (MF_E_INVALID_KEY). Upper and lower case are the same.
    """
    found = entries() if code is None else entries_of(code)
    if as_json:
        click.echo(json.dumps({"errors": [each.to_dict() for each in found]}, indent=2))
    elif code is None:
        width = max(len(each.code) for each in found)
        for each in found:
            click.echo(f"{each.code:<{width}}  {each.meaning.partition('. ')[0].rstrip('.')}")
    else:
        click.echo("\n\n".join(_text(each) for each in found))


def _text(entry: Entry) -> str:
    width = max(40, min(110, shutil.get_terminal_size().columns))
    parts = (
        ("means", entry.meaning),
        ("try", entry.advice),
        ("class", entry.class_name),
        ("HRESULT", f"0x{entry.hresult:08X} {name_of(entry.hresult)}".removesuffix(f" 0x{entry.hresult:08X}")),
        ("exit code", f"{entry.exit_code}, {entry.exit_name}"),
    )
    lines = [entry.code]
    for label, text in parts:
        lines += textwrap.wrap(
            text,
            width,
            initial_indent=f"  {label:<{_LABEL - 2}}  ",
            subsequent_indent=" " * (_LABEL + 2),
            break_on_hyphens=False,
            break_long_words=False,
        )
    return "\n".join(lines)
