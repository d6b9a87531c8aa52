"""Words that act on their reader, and how it is told that they did not get through."""

from __future__ import annotations

import unicodedata

__all__ = ["EVIL", "NAUGHTY", "is_clean"]

EVIL = "\x1b]52;c;aGk=\x07 \u202eevil\u2066 \x9b2J\u200b\u2028\r\nerror: faked [E-NONE]\ufeff\x7f"
NAUGHTY = ("\x1b", "\x07", "\u202e", "\u2066", "\x9b", "\u200b", "\u2028", "\r", "\ufeff", "\x7f")


def is_clean(text: str, *, lines: int | None = None) -> bool:
    """No raw control or format character but the ends of lines, and no line that begins as the fake does."""
    raw = [char for char in text if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    assert not raw, (raw, text)
    assert not any(line.startswith("error: faked") for line in text.splitlines()), text
    assert lines is None or len(text.splitlines()) == lines, text
    return True
