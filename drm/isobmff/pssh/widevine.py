"""What stands in the data of Widevine's `pssh` box: a protocol-buffers message, read and written by field number.

The fields are those of the public `WidevinePsshData` message, as open-source packagers carry it. Of entitled keys the
content key id is read; the wrapped keys beside it are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drm.errors import MalformedMediaError
from drm.keys import KeyId

__all__ = ["WidevineData"]

_MAX: Final = 1 << 20  # bytes of the whole message; real ones stay below a thousand
_KEY_IDS, _PROVIDER, _CONTENT_ID, _PERIOD, _SCHEME, _TYPE, _ENTITLED = 2, 3, 4, 7, 9, 11, 14
_KNOWN: Final = frozenset(range(1, 32))
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_MAX_SHOWN: Final = 256  # bytes of a text that a person may have to read


@dataclass(frozen=True, slots=True)
class WidevineData:
    """The message, as far as it is of use to others."""

    key_ids: tuple[KeyId, ...] = ()
    scheme: str = ""  # "cenc", "cbcs"; empty: not said
    provider: str = ""
    content_id: bytes = b""
    crypto_period: int | None = None  # of rotating keys
    entitled: bool = False  # the key ids are those of entitled keys
    odd_key_ids: tuple[bytes, ...] = ()  # those that do not have sixteen bytes
    foreign_fields: int = 0  # fields that the public message does not have

    @classmethod
    def parse(cls, data: bytes) -> WidevineData:
        """Read it. Raises MalformedMediaError, also for what is no such message."""
        key_ids: dict[KeyId, None] = {}
        odd: list[bytes] = []
        scheme = provider = ""
        content_id, period, entitled, foreign = b"", None, False, 0
        for field, value in _fields(data):
            if field == _KEY_IDS and isinstance(value, bytes):
                _sort(value, key_ids, odd)
            elif field == _ENTITLED and isinstance(value, bytes):
                entitled = True
                for inner, key_id in _fields(value):
                    if inner == 2 and isinstance(key_id, bytes):
                        _sort(key_id, key_ids, odd)
            elif field == _PROVIDER and isinstance(value, bytes):
                provider = value[:_MAX_SHOWN].decode("utf-8", "replace")
            elif field == _CONTENT_ID and isinstance(value, bytes):
                content_id = value
            elif field == _PERIOD and isinstance(value, int):
                period = value
            elif field == _SCHEME and isinstance(value, int):
                scheme = _scheme(value)
            elif field not in _KNOWN:
                foreign += 1
        return cls(tuple(key_ids), scheme, provider, content_id, period, entitled, tuple(odd), foreign)

    def encode(self) -> bytes:
        """Return the smallest message with these key ids, scheme, provider and content id."""
        parts = [_bytes_field(_KEY_IDS, key_id.value) for key_id in self.key_ids]
        if self.provider:
            parts.append(_bytes_field(_PROVIDER, self.provider.encode()))
        if self.content_id:
            parts.append(_bytes_field(_CONTENT_ID, self.content_id))
        if self.scheme:
            parts.append(_varint(_SCHEME << 3) + _varint(int.from_bytes(self.scheme.encode("ascii"), "big")))
        return b"".join(parts)


def _sort(value: bytes, key_ids: dict[KeyId, None], odd: list[bytes]) -> None:
    if len(value) == 16:
        key_ids[KeyId(value)] = None
    else:
        odd.append(value)


def _scheme(value: int) -> str:
    """A four-cc as a big-endian number; early writers gave 0 and 1 for the one scheme there was."""
    text = value.to_bytes(8, "big").lstrip(b"\0").decode("latin-1")
    return text if len(text) == 4 and text.isalnum() and text.isascii() else "" if value < 2 else f"0x{value:x}"


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values. Raises MalformedMediaError where the message breaks off or is none."""
    if len(data) > _MAX:
        raise MalformedMediaError(f"Widevine's data has {len(data)} bytes, more than {_MAX} are not read")
    at = 0
    while at < len(data):
        begin = at
        tag, at = _read_varint(data, at)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            yield _checked(field, begin), value
            continue
        if kind == _BYTES:
            size, at = _read_varint(data, at)
        elif kind in {_FIXED_32, _FIXED_64}:
            size = 4 if kind == _FIXED_32 else 8
        else:
            raise _broken(begin, f"a field of wire type {kind}")
        if size > len(data) - at:
            raise _broken(begin, f"a field of {size} bytes where {len(data) - at} are left")
        yield _checked(field, begin), data[at : at + size]
        at += size


def _checked(field: int, at: int) -> int:
    if not 1 <= field < 1 << 29:
        raise _broken(at, f"a field of number {field}")
    return field


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for place in range(at, min(at + 10, len(data))):
        value |= (data[place] & 0x7F) << shift
        if data[place] < 0x80:
            if value >> 64:
                break
            return value, place + 1
        shift += 7
    raise _broken(at, "a number that does not end")


def _broken(at: int, seen: str) -> MalformedMediaError:
    return MalformedMediaError("this is not the data of Widevine's pssh box", where=f"its byte {at}", seen=seen)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
