"""Tiny WebM files built element by element, so that a test can bend any one of them."""

from __future__ import annotations

import pytest

from drm.keys import KeyId
from drm.webm.ebml import encode_element, encode_size
from drm.webm.names import id_of
from drm.webm.presentation import WebMPresentation, open_webm

KID = KeyId(bytes(range(16)))
IV = bytes(range(100, 108))


class Bytes:
    """A byte stream in memory; counts what is read, so that a test can see how much."""

    def __init__(self, data: bytes, name: str = "memory.webm") -> None:
        self.data = data
        self.name = name
        self.size = len(data)
        self.read = 0

    def read_at(self, offset: int, size: int) -> bytes:
        assert offset >= 0
        assert 0 <= size <= 1 << 20
        found = self.data[offset : offset + size]
        self.read += len(found)
        return found


def el(name: str, *payload: bytes, width: int = 0) -> bytes:
    return encode_element(id_of(name), *payload, width=width)


def num(name: str, value: int) -> bytes:
    return el(name, value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Build:
    """Makes files of one video track, number 1, whose ticks are milliseconds."""

    KID, IV, Bytes = KID, IV, Bytes
    el, num = staticmethod(el), staticmethod(num)

    HEADER = el("EBML", el("DocType", b"webm"), num("DocTypeReadVersion", 2))
    INFO = el("Info", num("TimestampScale", 1_000_000))

    @staticmethod
    def encryption(algorithm: int = 5, mode: int = 1, key_id: bytes = KID.value) -> bytes:
        aes = el("ContentEncAESSettings", num("AESSettingsCipherMode", mode))
        return el("ContentEncryption", num("ContentEncAlgo", algorithm), el("ContentEncKeyID", key_id), aes)

    @classmethod
    def encodings(cls, *fields: bytes, scope: int = 1, kind: int = 1) -> bytes:
        """ContentEncodings of one encoding; without fields, the encryption that WebM knows."""
        head = num("ContentEncodingScope", scope) + num("ContentEncodingType", kind)
        return el("ContentEncodings", el("ContentEncoding", head, *(fields or (cls.encryption(),))))

    @staticmethod
    def entry(*fields: bytes, number: int = 1, codec: bytes = b"V_VP8", kind: int = 1) -> bytes:
        head = num("TrackNumber", number) + num("TrackType", kind) + el("CodecID", codec)
        return el("TrackEntry", head, *fields)

    @staticmethod
    def frame(payload: bytes, *walls: int, signal: int | None = None) -> bytes:
        """A frame of an encrypted track: plain, or partitioned at `walls`."""
        signal = (3 if walls else 1) if signal is None else signal
        table = bytes([len(walls)]) + b"".join(wall.to_bytes(4, "big") for wall in walls) if signal & 2 else b""
        return bytes([signal]) + IV + table + payload

    @staticmethod
    def block(payload: bytes, time: int = 0, *, flags: int = 0x80, track: int = 1) -> bytes:
        """What SimpleBlock and Block hold."""
        return encode_size(track) + time.to_bytes(2, "big", signed=True) + bytes([flags]) + payload

    @classmethod
    def simple(cls, payload: bytes, time: int = 0, *, flags: int = 0x80, track: int = 1) -> bytes:
        return el("SimpleBlock", cls.block(payload, time, flags=flags, track=track))

    @classmethod
    def group(cls, payload: bytes, *fields: bytes, time: int = 0, flags: int = 0) -> bytes:
        return el("BlockGroup", el("Block", cls.block(payload, time, flags=flags)), *fields)

    @staticmethod
    def cluster(time: int, *blocks: bytes) -> bytes:
        return el("Cluster", num("Timestamp", time), *blocks)

    @classmethod
    def file(cls, *clusters: bytes, entries: bytes | None = None, info: bytes | None = None) -> bytes:
        """A whole file. Without entries, one clear track."""
        tracks = el("Tracks", cls.entry() if entries is None else entries)
        return cls.HEADER + el("Segment", cls.INFO if info is None else info, tracks, *clusters)

    @classmethod
    def encrypted(cls, *blocks: bytes) -> bytes:
        return cls.file(cls.cluster(0, *blocks), entries=cls.entry(cls.encodings()))

    @staticmethod
    def open(data: bytes) -> WebMPresentation:
        return open_webm(Bytes(data))


@pytest.fixture
def build() -> type[Build]:
    return Build
