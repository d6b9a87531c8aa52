"""What stands in the data of PlayReady's `pssh` box: the PlayReady Object, and in it the header, versions 4.0 to 4.3.

After Microsoft's public "PlayReady Header specification". Its key ids are in the byte order of a Windows GUID: the
first three groups of a UUID are reversed. They are turned here, so that a `KeyId` is the same wherever it comes from.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import pack, unpack_from
from typing import Final
from xml.sax.saxutils import escape

from drm.bounded_xml import XmlElement, parse_xml
from drm.errors import InvalidArgumentError, MalformedMediaError
from drm.keys import KeyId

__all__ = ["PlayReadyData"]

_MAX: Final = 1 << 20  # bytes of a header; the specification allows 15 KiB
_HEADER: Final = 1  # the record type of the header; 3 is a license store
_NAMESPACE: Final = "http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader"


@dataclass(frozen=True, slots=True)
class PlayReadyData:
    """The header, as far as it is of use to others."""

    key_ids: tuple[KeyId, ...] = ()
    algorithm: str = ""  # "AESCTR", "AESCBC"; empty: not said
    license_url: str = ""  # LA_URL
    version: str = ""  # "4.0.0.0"
    has_license_store: bool = False

    @property
    def scheme(self) -> str:
        """The schemes of Common Encryption that the algorithm stands for; empty: not said."""
        return {"AESCTR": "cenc", "AESCBC": "cbcs"}.get(self.algorithm, "")

    @classmethod
    def parse(cls, data: bytes) -> PlayReadyData:
        """Read a PlayReady Object, or the header alone (as some manifests carry it). Raises MalformedMediaError."""
        if data[:2] in {b"<\0", b"\xff\xfe"} or data[:1] == b"<":
            return _header(data, has_license_store=False)
        headers, stores = [], 0
        for kind, record in _records(data):
            if kind == _HEADER:
                headers.append(record)
            stores += kind == 3
        if not headers:
            raise MalformedMediaError("the PlayReady Object holds no header")
        return _header(headers[0], has_license_store=stores > 0)

    def encode(self) -> bytes:
        """Return a PlayReady Object with the oldest version of the header that can say this.

        One key for AES-CTR is version 4.0, several are 4.2, and AES-CBC is 4.3. A checksum, which is optional, would
        need the keys, so there is none.
        """
        if not self.key_ids:
            raise InvalidArgumentError("a PlayReady header needs a key id")
        algorithm = self.algorithm or "AESCTR"
        url = f"<LA_URL>{escape(self.license_url)}</LA_URL>" if self.license_url else ""
        ids = [base64.b64encode(key_id.byte_reversed.value).decode() for key_id in self.key_ids]
        if algorithm == "AESCTR" and len(ids) == 1:
            version = "4.0.0.0"
            info = f"<KEYLEN>16</KEYLEN><ALGID>{algorithm}</ALGID></PROTECTINFO><KID>{ids[0]}</KID>"
        else:
            version = "4.2.0.0" if algorithm == "AESCTR" else "4.3.0.0"
            kids = "".join(f'<KID ALGID="{algorithm}" VALUE="{text}"></KID>' for text in ids)
            info = f"<KIDS>{kids}</KIDS></PROTECTINFO>"
        head = f'<WRMHEADER xmlns="{_NAMESPACE}" version="{version}"><DATA><PROTECTINFO>'
        record = f"{head}{info}{url}</DATA></WRMHEADER>".encode("utf-16-le")
        if len(record) > 0xFFFF:
            raise InvalidArgumentError(f"a PlayReady header of {len(record)} bytes; up to 65535 fit into a record")
        return pack("<IHHH", len(record) + 10, 1, _HEADER, len(record)) + record


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    if len(data) < 6 or len(data) > _MAX:
        raise _broken(0, f"{len(data)} bytes")
    size, count = unpack_from("<IH", data)
    if size != len(data):
        raise _broken(0, f"it says that it has {size} bytes, and has {len(data)}")
    at = 6
    for _ in range(count):
        if len(data) - at < 4:
            raise _broken(at, f"{count} records, and the bytes end before them")
        kind, length = unpack_from("<HH", data, at)
        at += 4
        if length > len(data) - at:
            raise _broken(at, f"a record of {length} bytes where {len(data) - at} are left")
        yield kind, data[at : at + length]
        at += length


def _header(record: bytes, *, has_license_store: bool) -> PlayReadyData:
    root = parse_xml(_text(record), "the PlayReady header", limit=_MAX)
    if root.name != "WRMHEADER":
        raise MalformedMediaError(f"the PlayReady header is an element {root.name[:40]}, not WRMHEADER")
    data = next(root.all("DATA"), XmlElement("DATA"))
    infos = list(data.all("PROTECTINFO"))
    key_ids: dict[KeyId, None] = {}
    algorithms = [element.text.strip() for info in infos for element in info.all("ALGID")]
    # 4.0 has the key id beside PROTECTINFO and as text; 4.1 in it and as an attribute; 4.2 and 4.3 in KIDS.
    places: Sequence[XmlElement] = [data, *infos, *(kids for info in infos for kids in info.all("KIDS"))]
    for element in (kid for place in places for kid in place.all("KID")):
        text = element.attributes.get("VALUE") or element.text
        key_ids[_key_id(text, element.line)] = None
        algorithms.append(element.attributes.get("ALGID", ""))
    return PlayReadyData(
        tuple(key_ids),
        next((name[:20] for name in algorithms if name), ""),
        next((element.text.strip() for element in data.all("LA_URL")), ""),
        root.attributes.get("version", "")[:20],
        has_license_store,
    )


def _text(record: bytes) -> str:
    encoding = "utf-8" if record[:1] == b"<" and record[1:2] != b"\0" else "utf-16-le"
    try:
        return record.decode(encoding).lstrip("\ufeff").rstrip("\0")
    except UnicodeDecodeError as error:
        raise MalformedMediaError(
            "the PlayReady header is not UTF-16", where=f"its byte {error.start}", maybe="the bytes are damaged"
        ) from None


def _key_id(text: str, line: int) -> KeyId:
    try:
        value = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != 16:
        raise MalformedMediaError(
            "a KID of the PlayReady header is not the base64 of sixteen bytes",
            where=f"line {line} of the header",
            seen=f"{len(text)} characters, {len(value)} bytes",
        )
    return KeyId(value).byte_reversed


def _broken(at: int, seen: str) -> MalformedMediaError:
    return MalformedMediaError("this is not a PlayReady Object", where=f"its byte {at}", seen=seen)
