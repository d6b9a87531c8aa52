"""What verbs print with --json: one document, valid whatever files are called."""

from __future__ import annotations

import msgspec

from drm.errors import readable

__all__ = ["encode_json"]


def encode_json(document: object, *, indent: int = 0) -> str:
    r"""Return `document`, of built-in types and msgspec's, as JSON; on one line where `indent` is 0.

    A file's name need not be UTF-8, and JSON is (RFC 8259, section 8.1): other bytes are told as `\xff`.
    """
    try:
        encoded = msgspec.json.encode(document)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(_readable(msgspec.to_builtins(document)))
    return (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()


def _readable(value: object) -> object:
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {_readable(name): _readable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(each) for each in value]
    return value
