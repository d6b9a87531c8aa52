"""The walk through Clusters: blocks with their times, read header by header and never held.

Clusters and Segments of unknown size end where an element begins that cannot be in them (RFC 8794, section 6.2).
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Final

from drm.webm.block import Block, read_block
from drm.webm.ebml import Ebml, Element
from drm.webm.names import LEVEL_1, id_of, name_of

__all__ = ["Found", "blocks", "cluster_elements", "found_in"]

_CLUSTER, _TIMESTAMP, _SEGMENT, _EBML = id_of("Cluster"), id_of("Timestamp"), id_of("Segment"), id_of("EBML")
_SIMPLE, _GROUP, _BLOCK = id_of("SimpleBlock"), id_of("BlockGroup"), id_of("Block")
_DURATION, _REFERENCE, _ENCRYPTED = id_of("BlockDuration"), id_of("ReferenceBlock"), id_of("EncryptedBlock")
_OUTERMOST: Final = frozenset({_EBML, _SEGMENT})


@dataclass(frozen=True, slots=True)
class Found:
    """A block of one of the tracks that were asked for."""

    element: Element  # the SimpleBlock, or the Block inside a BlockGroup
    block: Block
    ticks: int  # of the file's TimestampScale
    is_sync: bool
    duration: int | None  # ticks, as BlockDuration tells


def blocks(ebml: Ebml, segment: Element, start: int, tracks: Container[int]) -> Iterator[Found]:
    """The blocks of these tracks, in the order of the file. `start` is where the first Cluster begins.

    Raises:
        MalformedMediaError: elements break the format or contradict one another.
        TruncatedMediaError: the file ends before what a Segment, a Cluster or an element announces.
        UnsupportedMediaError: an EncryptedBlock, which Matroska has dropped and nothing describes.
    """
    for element, time in cluster_elements(ebml, segment, start):
        found = found_in(ebml, element, time, tracks)
        if found is not None:
            yield found


def found_in(ebml: Ebml, element: Element, time: int | None, tracks: Container[int]) -> Found | None:
    """The block that `element`, out of `cluster_elements`, is or holds; None: none of these tracks. Raises as they."""
    if element.id not in {_SIMPLE, _GROUP, _ENCRYPTED}:
        return None
    if element.id == _ENCRYPTED:
        ebml.refuse("an EncryptedBlock is not read", element.start, element, seen="Matroska's obsolete element")
    found = _simple(ebml, element, tracks) if element.id == _SIMPLE else _group(ebml, element, tracks)
    if found is None:
        return None
    if time is None:
        ebml.fail("a block comes before the Timestamp of its Cluster", element.start, element)
    block, holder, is_sync, duration = found
    return Found(holder, block, time + block.ticks, is_sync, duration)


def cluster_elements(ebml: Ebml, segment: Element, start: int) -> Iterator[tuple[Element, int | None]]:
    """Every element of every Cluster, with the Cluster's time as far as it is known. Raises as `blocks`."""
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


def _simple(ebml: Ebml, element: Element, tracks: Container[int]) -> _Read | None:
    block = read_block(ebml, element)
    return (block, element, block.is_key, None) if block.track in tracks else None


def _group(ebml: Ebml, group: Element, tracks: Container[int]) -> _Read | None:
    """A BlockGroup: a block that refers to no other is a sync sample."""
    found: tuple[Block, Element] | None = None
    duration: int | None = None
    is_sync = True
    for child in ebml.children(group):
        if child.id == _BLOCK:
            if found is not None:
                ebml.fail("a BlockGroup has two blocks", child.start, child)
            block = read_block(ebml, child)
            if block.track not in tracks:
                return None
            found = block, child
        elif child.id == _DURATION:
            duration = ebml.uint(child)
        elif child.id == _REFERENCE:
            is_sync = False
    if found is None:
        ebml.fail("a BlockGroup has no block", group.start, group)
    return (*found, is_sync, duration)
