"""The element tree of a WebM file for people: its head in full, with what the elements about encryption say.

Of Clusters the first one is listed, with its first blocks, and the others are counted.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Final

from drm.errors import MediaError
from drm.keys import KeyId
from drm.media import ByteSource
from drm.webm.block import read_block
from drm.webm.container import read_header
from drm.webm.ebml import Ebml, Element
from drm.webm.encryption import read_frame_header
from drm.webm.names import LEVEL_1, MASTERS, id_of, name_of
from player.verbs.inspect.box_listing import ListedBox

__all__ = ["list_elements"]

MAX_NODES: Final = 100_000  # elements of the head
MAX_DEPTH: Final = 12
_BLOCKS: Final = 4  # of the first Cluster, that are listed
_CLUSTER: Final = id_of("Cluster")
_TIMESTAMP, _BLOCK, _GROUP = id_of("Timestamp"), id_of("Block"), id_of("BlockGroup")
_ANY_KEY: Final = KeyId(bytes(16))
_IN_CLUSTER: Final = frozenset((_TIMESTAMP, id_of("SimpleBlock"), _GROUP))
_UNTOLD: Final = frozenset(map(id_of, ("SeekHead", "Cues", "Void", "CRC-32", "Tags", "Chapters", "Attachments")))
_ENCRYPTION: Final = frozenset(
    map(
        id_of,
        ("ContentEncodings", "ContentEncoding", "ContentEncodingOrder", "ContentEncodingScope", "ContentEncodingType",
         "ContentCompression", "ContentEncryption", "ContentEncAlgo", "ContentEncKeyID", "ContentEncAESSettings",
         "AESSettingsCipherMode"),
    )
)  # fmt: skip
_WORDS: Final = {
    id_of("TrackType"): {1: "video", 2: "audio", 17: "subtitles"},
    id_of("ContentEncodingType"): {0: "compression", 1: "encryption"},
    id_of("ContentEncAlgo"): {5: "AES"},
    id_of("AESSettingsCipherMode"): {1: "CTR", 2: "CBC"},
}


def list_elements(source: ByteSource) -> Iterator[ListedBox]:
    """The EBML header and the Segment with its head. Raises MediaError where the file breaks off."""
    ebml = Ebml(source)
    budget = [MAX_NODES]
    yield _listed(ebml, ebml.element(0, None), budget, 0)
    _, segment = read_header(ebml)
    size = segment.size or source.size - segment.data
    children = tuple(_segment(ebml, segment, budget))
    detail = "size not told" if segment.end is None else ""
    yield ListedBox("Segment", segment.start, segment.data - segment.start + size, detail=detail, children=children)


def _segment(ebml: Ebml, segment: Element, budget: list[int]) -> Iterator[ListedBox]:
    """The children of the Segment, neighbouring Clusters as one; a Cluster of unknown size ends the list."""
    at = segment.data
    end = min(ebml.size, ebml.size if segment.end is None else segment.end)
    cluster: ListedBox | None = None
    tracks: ListedBox | None = None
    while at < end:
        child = ebml.element(at, segment)
        if child.id not in LEVEL_1 and child.id in MASTERS:
            break  # another file was appended
        if child.id == _CLUSTER and cluster is not None and child.end is not None:
            cluster.alike += 1
        else:
            if cluster is not None:
                yield cluster
            listed = _listed(ebml, child, budget, 1)
            if listed.type == "Tracks":
                tracks = listed
            if child.id == _CLUSTER and cluster is None:
                listed.children = tuple(_blocks(ebml, child, _encrypted_tracks(tracks)))
            cluster = listed if child.id == _CLUSTER else None
            if cluster is None:
                yield listed
        if child.end is None:
            break
        at = child.end
    if cluster is not None:
        yield cluster


def _blocks(ebml: Ebml, cluster: Element, encrypted: frozenset[int]) -> Iterator[ListedBox]:
    """What a Cluster begins with. Raises MediaError where that is damaged."""
    at, end = cluster.data, ebml.size if cluster.end is None else cluster.end
    left = _BLOCKS + 1
    while at < end and left:
        child = ebml.element(at, cluster)
        if child.end is None or child.id not in _IN_CLUSTER:
            return
        detail, notes, is_encrypted = _block_details(ebml, child, encrypted)
        yield ListedBox(name_of(child.id), child.start, child.end - child.start, "", is_encrypted, detail, notes)
        at, left = child.end, left - 1


def _encrypted_tracks(tracks: ListedBox | None) -> frozenset[int]:
    """The numbers of the tracks whose blocks begin with a signal byte, out of what is listed of Tracks."""
    found = set()
    for entry in tracks.children if tracks else ():
        numbers = [child.detail for child in entry.children if child.type == "TrackNumber"]
        if numbers and numbers[0].isdigit() and any(child.type == "ContentEncodings" for child in entry.children):
            found.add(int(numbers[0]))
    return frozenset(found)


def _block_details(ebml: Ebml, element: Element, encrypted: frozenset[int]) -> tuple[str, tuple[str, ...], bool]:
    """Say what a child of a Cluster tells, on its line and below, and whether it is encrypted.

    Of an encrypted track these are the signal byte, the IV and the partitions, after the WebM encryption format: bit 0
    of the signal byte says encrypted, bit 1 partitioned; then 8 bytes of IV. Raises MediaError where it is broken.
    """
    if element.id == _TIMESTAMP:
        return str(ebml.uint(element)), (), False
    if element.id == _GROUP:
        blocks = [child for child in ebml.children(element) if child.id == _BLOCK]
        if not blocks:
            return "", (), False
        element = blocks[0]
    block = read_block(ebml, element)
    line = f"track {block.track}, {block.ticks:+d}"
    if block.track not in encrypted:
        return line, (), False
    if block.end <= block.start:
        return f"{line}, no signal byte", (), False
    signal = ebml.peek(block.start, 1)[0]
    line += f", signal byte 0x{signal:02x}"
    try:
        _, crypto = read_frame_header(ebml, _ANY_KEY, block.start, block.end, element)
    except MediaError as error:
        return f"{line}, broken: {error}", (), True
    if crypto is None:
        return f"{line}: clear", (), False
    parts = " ".join(f"{clear}+{protected}" for clear, protected in crypto.subsamples[:4])
    below = f"IV {crypto.iv.hex()}, " + (f"clear+encrypted {parts}" if parts else "encrypted whole")
    return f"{line}: encrypted{', partitioned' if signal & 2 else ''}", (below,), True


def _listed(ebml: Ebml, element: Element, budget: list[int], depth: int) -> ListedBox:
    budget[0] -= 1
    if budget[0] < 0 or depth > MAX_DEPTH:
        ebml.fail(f"there are more than {MAX_NODES} elements", element.start, element)
    children: tuple[ListedBox, ...] = ()
    detail = ""
    if element.end is None:
        detail = "size not told"
    elif element.id in MASTERS and element.id != _CLUSTER:
        children = tuple(_listed(ebml, child, budget, depth + 1) for child in ebml.children(element))
    elif element.id not in _UNTOLD and element.id != _CLUSTER:
        detail = _detail(ebml, element)
    end = ebml.size if element.end is None else element.end
    size = end - element.start
    return ListedBox(name_of(element.id), element.start, size, "", element.id in _ENCRYPTION, detail, (), children)


def _detail(ebml: Ebml, element: Element) -> str:
    describe = _DETAILS.get(name_of(element.id))
    try:
        if describe is not None:
            return describe(ebml, element)
        if element.id in _WORDS:
            value = ebml.uint(element)
            return f"{value} ({_WORDS[element.id].get(value, 'not known')})"
    except MediaError as error:
        return f"broken: {error}"
    return ""


def _uint(ebml: Ebml, element: Element) -> str:
    return str(ebml.uint(element))


def _text(ebml: Ebml, element: Element) -> str:
    # Whatever is no plain character is for a terminal to obey, not for a person to read.
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in ebml.text(element)[:80])


def _number(ebml: Ebml, element: Element) -> str:
    return f"{ebml.float(element):g}"


def _key_id(ebml: Ebml, element: Element) -> str:
    value = ebml.take(element)
    return f"KID {uuid.UUID(bytes=value)}" if len(value) == 16 else f"{len(value)} bytes: {value[:32].hex()}"


_DETAILS: Final[dict[str, Callable[[Ebml, Element], str]]] = {
    **dict.fromkeys(("DocType", "CodecID", "Language", "LanguageBCP47", "MuxingApp", "WritingApp", "Name"), _text),
    **dict.fromkeys(
        ("TrackNumber", "TrackUID", "TimestampScale", "DefaultDuration", "CodecDelay", "SeekPreRoll", "PixelWidth",
         "PixelHeight", "Channels", "ContentEncodingOrder", "ContentEncodingScope", "DocTypeVersion",
         "DocTypeReadVersion"),
        _uint,
    ),
    **dict.fromkeys(("Duration", "SamplingFrequency"), _number),
    "CodecPrivate": lambda _ebml, element: f"{element.size} bytes",
    "ContentEncKeyID": _key_id,
}  # fmt: skip
