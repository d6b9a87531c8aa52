"""What the blocks of a WebM file say in a line each: of an encrypted track, the signal byte, the IV and the partitions.

After the WebM encryption format: bit 0 of the signal byte says encrypted, bit 1 partitioned; then 8 bytes of IV.
"""

from __future__ import annotations

from typing import Final

from drm.errors import MediaError
from drm.keys import KeyId
from drm.webm.block import read_block
from drm.webm.ebml import Ebml, Element
from drm.webm.encryption import read_frame_header
from drm.webm.names import id_of
from player.verbs.inspect.box_listing import ListedBox

__all__ = ["block_details", "encrypted_tracks"]

_TIMESTAMP, _BLOCK, _GROUP = id_of("Timestamp"), id_of("Block"), id_of("BlockGroup")
_ANY_KEY: Final = KeyId(bytes(16))


def encrypted_tracks(tracks: ListedBox | None) -> frozenset[int]:
    """The numbers of the tracks whose blocks begin with a signal byte, out of what is listed of Tracks."""
    found = set()
    for entry in tracks.children if tracks else ():
        numbers = [child.detail for child in entry.children if child.type == "TrackNumber"]
        if numbers and numbers[0].isdigit() and any(child.type == "ContentEncodings" for child in entry.children):
            found.add(int(numbers[0]))
    return frozenset(found)


def block_details(ebml: Ebml, element: Element, encrypted: frozenset[int]) -> tuple[str, tuple[str, ...], bool]:
    """Say what a child of a Cluster tells, on its line and below, and whether it is encrypted.

    Raises:
        MediaError: it is broken.
    """
    if element.id == _TIMESTAMP:
        return str(ebml.uint(element)), (), False
    if element.id == _GROUP:
        blocks = [child for child in ebml.children(element) if child.id == _BLOCK]
        if not blocks:
            return "", (), False
        element = blocks[0]
    block = read_block(ebml, element)
    told = f"track {block.track}, {block.ticks:+d}"
    if block.track not in encrypted:
        return told, (), False
    if block.end <= block.start:
        return f"{told}, no signal byte", (), False
    signal = ebml.peek(block.start, 1)[0]
    told += f", signal byte 0x{signal:02x}"
    try:
        _, crypto = read_frame_header(ebml, _ANY_KEY, block.start, block.end, element)
    except MediaError as error:
        return f"{told}, broken: {error}", (), True
    if crypto is None:
        return f"{told}: clear", (), False
    parts = " ".join(f"{clear}+{protected}" for clear, protected in crypto.subsamples[:4])
    below = f"IV {crypto.iv.hex()}, " + (f"clear+encrypted {parts}" if parts else "encrypted whole")
    return f"{told}: encrypted{', partitioned' if signal & 2 else ''}", (below,), True
