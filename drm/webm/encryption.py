"""Encryption of WebM: what ContentEncodings say of a track, and what each frame begins with.

Matroska's elements (RFC 9559, section 5.1.4.1.31) name the key; the WebM encryption format puts a signal byte, an IV
and a table of partitions before the frame. AES-CTR with one key stream over all encrypted regions: the scheme cenc.
"""

from __future__ import annotations

from typing import Final

from drm.keys import KeyId
from drm.media import Protection, SampleCrypto, Scheme, Subsample
from drm.webm.ebml import Ebml, Element
from drm.webm.names import id_of

__all__ = ["IV_SIZE", "FrameHeader", "parse_encodings", "read_frame_header"]

IV_SIZE: Final = 8  # bytes: the upper half of the counter block
_KEY_ID: Final = 16
_MAX_KEY_ID: Final = 1 << 10
_MAX_ENCODINGS: Final = 16

_ENCRYPTED, _PARTITIONED, _EXTENSION = 0x01, 0x02, 0x80  # bits of the signal byte
_MAX_TABLE: Final = 1 + 255 * 4  # bytes of a count and its offsets

_ALGORITHMS: Final = {0: "none", 1: "DES", 2: "3DES", 3: "Twofish", 4: "Blowfish", 5: "AES"}
_MODES: Final = {0: "none", 1: "CTR", 2: "CBC"}
_COMPRESSIONS: Final = {0: "zlib", 1: "bzlib", 2: "lzo1x", 3: "header stripping"}

_CONTENT_ENCODING = id_of("ContentEncoding")
_SCOPE, _TYPE = id_of("ContentEncodingScope"), id_of("ContentEncodingType")
_COMPRESSION, _ENCRYPTION = id_of("ContentCompression"), id_of("ContentEncryption")
_COMP_ALGO, _ENC_ALGO = id_of("ContentCompAlgo"), id_of("ContentEncAlgo")
_KEY, _AES, _MODE = id_of("ContentEncKeyID"), id_of("ContentEncAESSettings"), id_of("AESSettingsCipherMode")


def parse_encodings(ebml: Ebml, encodings: Element) -> tuple[Protection | None, str]:
    """Read ContentEncodings: how the track is protected, or a refusal that names what is not read.

    Raises:
        MalformedMediaError: the elements break their format.
    """
    found: list[tuple[Protection | None, str]] = []
    for child in ebml.children(encodings):
        if child.id == _CONTENT_ENCODING:
            found.append(_encoding(ebml, child))
            if len(found) > _MAX_ENCODINGS:
                ebml.fail(f"more than {_MAX_ENCODINGS} content encodings", child.start, child)
    for _, refusal in found:
        if refusal:
            return None, refusal
    if len(found) > 1:
        return None, f"{len(found)} content encodings, one over the other"
    return found[0] if found else (None, "")


def _encoding(ebml: Ebml, encoding: Element) -> tuple[Protection | None, str]:
    scope, kind = 1, 0  # the defaults of RFC 9559
    compression = encryption = None
    for child in ebml.children(encoding):
        if child.id == _SCOPE:
            scope = ebml.uint(child)
        elif child.id == _TYPE:
            kind = ebml.uint(child)
        elif child.id == _COMPRESSION:
            compression = child
        elif child.id == _ENCRYPTION:
            encryption = child
    if encryption is None and compression is not None:
        algorithm = _first_uint(ebml, compression, _COMP_ALGO, 0)
        return None, f"compressed frames ({_COMPRESSIONS.get(algorithm, f'algorithm {algorithm}')})"
    if kind != 1 or encryption is None:
        return None, f"a content encoding of type {kind}"
    if scope != 1:
        return None, f"an encryption of scope {scope}; only that of the frames alone (1) is"
    return _encryption(ebml, encryption)


def _encryption(ebml: Ebml, encryption: Element) -> tuple[Protection | None, str]:
    algorithm, mode, key_id = 0, 0, b""
    for child in ebml.children(encryption):
        if child.id == _ENC_ALGO:
            algorithm = ebml.uint(child)
        elif child.id == _KEY:
            key_id = ebml.take(child, _MAX_KEY_ID)
        elif child.id == _AES:
            mode = _first_uint(ebml, child, _MODE, 0)
    if algorithm != 5:
        return None, f"the encryption algorithm {algorithm} ({_ALGORITHMS.get(algorithm, 'unknown')})"
    if mode != 1:
        return None, f"the AES cipher mode {mode} ({_MODES.get(mode, 'unknown')})"
    if len(key_id) != _KEY_ID:
        return None, f"a key id of {len(key_id)} bytes ({key_id[:32].hex()}); one of 16 is"
    return Protection(Scheme.CENC, KeyId(key_id), IV_SIZE), ""


def _first_uint(ebml: Ebml, parent: Element, ident: int, default: int) -> int:
    return next((ebml.uint(child) for child in ebml.children(parent) if child.id == ident), default)


# ------------------------------------------------------------------------------------------------ frames
FrameHeader = tuple[int, SampleCrypto | None]
"""Bytes before the frame's own, and how the frame is encrypted; None: it is clear."""


def read_frame_header(ebml: Ebml, key_id: KeyId, start: int, end: int, block: Element) -> FrameHeader:
    """Read what stands before a frame of an encrypted track. The frame lies from `start` to `end`, inside `block`.

    Raises:
        MalformedMediaError: the frame is shorter than its header, or its partitions do not fit into it.
        UnsupportedMediaError: the extension bit is set.
    """
    head = ebml.peek(start, min(end - start, 1 + IV_SIZE + 1))
    if not head:
        ebml.fail("a frame of an encrypted track has no signal byte", start, block)
    signal = head[0]
    if signal & _EXTENSION:
        ebml.refuse(
            "a frame uses an extension of the encryption format that is not read",
            start,
            block,
            seen=f"the signal byte is 0x{signal:02x}",
        )
    if not signal & _ENCRYPTED:
        return 1, None
    if len(head) < 1 + IV_SIZE:
        ebml.fail("a frame ends inside its IV", start, block, seen=f"a frame of {end - start} bytes")
    iv = head[1 : 1 + IV_SIZE]
    if not signal & _PARTITIONED:
        return 1 + IV_SIZE, SampleCrypto(key_id, Scheme.CENC, iv)
    if len(head) < 1 + IV_SIZE + 1:
        ebml.fail("a frame ends before its table of partitions", start, block)
    count = head[1 + IV_SIZE]
    size = 1 + IV_SIZE + 1 + 4 * count
    if size > end - start:
        ebml.fail(
            "a frame ends inside its table of partitions",
            start,
            block,
            seen=f"{count} partitions in a frame of {end - start} bytes",
        )
    table = ebml.peek(start + 1 + IV_SIZE + 1, 4 * count)
    walls = [int.from_bytes(table[at : at + 4], "big") for at in range(0, len(table), 4)]
    return size, SampleCrypto(key_id, Scheme.CENC, iv, _regions(ebml, walls, end - start - size, start, block))


def _regions(ebml: Ebml, walls: list[int], size: int, start: int, block: Element) -> tuple[Subsample, ...]:
    """Pairs of clear and protected bytes: the walls part the frame into regions that alternate, a clear one first."""
    regions = []
    at = 0
    for wall in (*walls, size):
        if wall < at or wall > size:
            ebml.fail(
                "the partitions of a frame do not fit into it",
                start,
                block,
                seen=f"one ends at {wall}, the one before at {at}, the frame at {size}",
            )
        regions.append(wall - at)
        at = wall
    if len(regions) % 2:
        regions.append(0)
    return tuple(zip(regions[::2], regions[1::2], strict=True))
