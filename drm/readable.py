"""What others say - a process, a server, a file - made fit to be read by people: one function, for every place.

A terminal obeys what it is sent: it moves its cursor, sets the clipboard, or shows a line from right to left. A log is
read line by line. So no text of another's goes there before it went through `readable`. Any script stays as it is.
Runs in both processes; one-shot commands load it, so it imports nothing.
"""

from __future__ import annotations

__all__ = ["LIMIT", "readable"]

LIMIT = 2000  # characters of a text that stands on one line
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and marks that show nothing
_BREAKS = frozenset("\t\n\v\f\r\x85\u2028\u2029")
_SPACES = frozenset("\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000")
_JOINERS = frozenset("\u200c\u200d")


def readable(text: str, limit: int | None = LIMIT, *, lines: bool = False) -> str:
    r"""Return `text` without what would act on its reader: nothing but printable characters.

    Controls, escape sequences and invisible or direction-changing characters are told by their number, as `\x1b` or
    `\u202e`; a byte of a file's name that is no UTF-8, as `\xff`. Every kind of space is a space. The joiners that
    Arabic, Indic scripts and emoji are spelled with stay where they join two such characters.

    Args:
        text: of any origin.
        limit: characters that are kept of it; how many more there were is said. None: all.
        lines: let line feeds and tabs stand: for documents of several lines, and for whole streams of output. Else a
            line break of any kind is a space, so that nobody fakes a line.
    """
    if limit is not None and len(text) > limit:
        text, more = text[:limit], f"… ({len(text) - limit} more characters)"
    else:
        more = ""
    if text.isprintable() and _INVISIBLE.isdisjoint(text):
        return text + more
    return "".join(_readable(text, at, char, lines=lines) for at, char in enumerate(text)) + more


def _readable(text: str, at: int, char: str, *, lines: bool) -> str:
    if lines and char in "\n\t":
        return char
    if char in _SPACES or (not lines and char in _BREAKS):
        return " "
    if (char.isprintable() and char not in _INVISIBLE) or (char in _JOINERS and _joins(text, at)):
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape, as Python has file names
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _joins(text: str, at: int) -> bool:
    return 0 < at < len(text) - 1 and _is_joined(text[at - 1]) and _is_joined(text[at + 1])


def _is_joined(char: str) -> bool:
    """Whether scripts spell words of this character with joiners: Arabic to Mongolian, and emoji."""
    return char.isprintable() and (
        "\u0620" <= char <= "\u18aa" or "\u2600" <= char <= "\u27bf" or char == "\ufe0f" or char >= "\U0001f000"
    )
