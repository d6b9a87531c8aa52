"""What verbs print with --json: one document, valid whatever files are called."""

from __future__ import annotations

import msgspec

from drm.readable import readable

__all__ = ["encode_json"]


def encode_json(document: object, *, indent: int = 0) -> str:
    r"""Return `document`, of built-in types and msgspec's, as JSON; on one line where `indent` is 0.

    A file's name need not be UTF-8, and JSON is (RFC 8259, section 8.1): other bytes are told as `\xff`. Values stay
    what they are; characters that a terminal would obey are written as `\u001b` (section 7), which readers undo.
    """
    try:
        encoded = msgspec.json.encode(document)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(_decodable(msgspec.to_builtins(document)))
    text = (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()
    if readable(text, None, lines=True) == text:
        return text
    return "".join(char if readable(char, None, lines=True) == char else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD7C0 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _decodable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {_decodable(name): _decodable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_decodable(each) for each in value]
    return value
