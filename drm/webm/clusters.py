"""The walk through Clusters: blocks with their times, read header by header and never held.

Clusters and Segments of unknown size end where an element begins that cannot be in them (RFC 8794, section 6.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drm.webm.block import Block, read_block
from drm.webm.ebml import Ebml, Element
from drm.webm.names import LEVEL_1, id_of, name_of

__all__ = ["Found", "blocks"]

_CLUSTER, _TIMESTAMP, _SEGMENT, _EBML = id_of("Cluster"), id_of("Timestamp"), id_of("Segment"), id_of("EBML")
_SIMPLE, _GROUP, _BLOCK = id_of("SimpleBlock"), id_of("BlockGroup"), id_of("Block")
_DURATION, _REFERENCE, _ENCRYPTED = id_of("BlockDuration"), id_of("ReferenceBlock"), id_of("EncryptedBlock")
_OUTERMOST: Final = frozenset({_EBML, _SEGMENT})


@dataclass(frozen=True, slots=True)
class Found:
    """A block of the track that was asked for."""

    element: Element
    block: Block
    ticks: int  # of the file's TimestampScale
    is_sync: bool
    duration: int | None  # ticks, as BlockDuration tells


def blocks(ebml: Ebml, segment: Element, start: int, track: int) -> Iterator[Found]:
    """The blocks of one track, in the order of the file. `start` is where the first Cluster begins.

    Raises:
        MalformedMediaError: elements break the format or contradict one another.
        TruncatedMediaError: the file ends before what a Segment, a Cluster or an element announces.
        UnsupportedMediaError: an EncryptedBlock, which Matroska has dropped and nothing describes.
    """
    for element, time in _in_clusters(ebml, segment, start):
        if element.id not in {_SIMPLE, _GROUP, _ENCRYPTED}:
            continue
        if element.id == _ENCRYPTED:
            ebml.refuse("an EncryptedBlock is not read", element.start, element, seen="Matroska's obsolete element")
        found = _simple(ebml, element, track) if element.id == _SIMPLE else _group(ebml, element, track)
        if found is None:
            continue
        if time is None:
            ebml.fail("a block comes before the Timestamp of its Cluster", element.start, element)
        block, holder, is_sync, duration = found
        yield Found(holder, block, time + block.ticks, is_sync, duration)


def _in_clusters(ebml: Ebml, segment: Element, start: int) -> Iterator[tuple[Element, int | None]]:
    """Every element of every Cluster, with the Cluster's time as far as it is known."""
    cluster: Element | None = None
    time: int | None = None
    at = start
    while True:
        if cluster is not None and at == cluster.end:
            cluster = None
        around = cluster or segment
        limit = around.limit
        if at == limit or (at >= ebml.size and limit is None):
            return
        if at >= ebml.size:
            ebml.cut("the file ends early", at, around, seen=f"byte {limit} is its end, the file has {ebml.size}")
        element = ebml.element(at, around)
        if cluster is not None and cluster.end is None and element.id in LEVEL_1:
            cluster = None
            element = element._replace(parent=segment)
        if element.id in _OUTERMOST and limit is None:
            return  # another file was appended
        if element.id == _CLUSTER and cluster is None:
            cluster, time, at = element, None, element.data
            continue
        if element.end is None or element.id == _CLUSTER or element.id in _OUTERMOST:
            ebml.fail(f"a {name_of(element.id)} element does not belong here", at, element)
        at = element.end
        if cluster is None:
            continue  # Cues, Tags …
        if element.id == _TIMESTAMP:
            time = ebml.uint(element)
        yield element, time


_Read = tuple[Block, Element, bool, int | None]


def _simple(ebml: Ebml, element: Element, track: int) -> _Read | None:
    block = read_block(ebml, element)
    return (block, element, block.is_key, None) if block.track == track else None


def _group(ebml: Ebml, group: Element, track: int) -> _Read | None:
    """A BlockGroup: a block that refers to no other is a sync sample."""
    found: tuple[Block, Element] | None = None
    duration: int | None = None
    is_sync = True
    for child in ebml.children(group):
        if child.id == _BLOCK:
            if found is not None:
                ebml.fail("a BlockGroup has two blocks", child.start, child)
            block = read_block(ebml, child)
            if block.track != track:
                return None
            found = block, child
        elif child.id == _DURATION:
            duration = ebml.uint(child)
        elif child.id == _REFERENCE:
            is_sync = False
    if found is None:
        ebml.fail("a BlockGroup has no block", group.start, group)
    return (*found, is_sync, duration)
