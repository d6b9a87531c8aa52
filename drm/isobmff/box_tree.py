"""The tree of all boxes, for people to look at: it names boxes and never interprets them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from drm.isobmff.box import MAX_LOADED, top_boxes
from drm.isobmff.file_reader import open_box
from drm.isobmff.reader import Reader
from drm.isobmff.sample_entry import encrypted_fields
from drm.media import ByteSource

__all__ = ["BoxNode", "box_tree"]

MAX_NODES: Final = 100_000  # boxes inside one outermost box

_CONTAINERS: Final = frozenset(
    {"moov", "trak", "edts", "mdia", "minf", "dinf", "stbl", "mvex", "moof", "traf", "mfra", "udta", "sinf", "schi",
     "tref", "wave"}
)  # fmt: skip
_VISUAL: Final = 78  # bytes of a VisualSampleEntry before its boxes (ISO/IEC 14496-12, clause 12.1.3)
_AUDIO: Final = 28  # bytes of an AudioSampleEntry before its boxes (clause 12.2.3)


class BoxNode(msgspec.Struct, frozen=True):
    """One box in the tree. `payload` is a reader of its contents, for whoever wants to say more about it."""

    type: str
    start: int  # absolute offset of the header
    size: int  # bytes, header included
    uuid: str = ""  # hex, of an extended type
    payload: Reader | None = None  # None where the contents were not loaded (mdat)
    children: tuple[BoxNode, ...] = ()


def box_tree(source: ByteSource) -> Iterator[BoxNode]:
    """The tree, one outermost box at a time. Raises MediaError as the readers do, and above `MAX_NODES` boxes."""
    for top in top_boxes(source):
        if top.type in {"mdat", "free", "skip", "mfra"} or top.size > MAX_LOADED:
            yield BoxNode(top.type, top.start, top.size)
        else:
            yield _node(open_box(source, top), [MAX_NODES])


def _node(box: Reader, budget: list[int]) -> BoxNode:
    budget[0] -= 1
    if budget[0] < 0:
        box.fail(f"there are more than {MAX_NODES} boxes")
    payload, size = box.copy(), box.end - box.start
    children: tuple[BoxNode, ...] = ()
    if _descend(box):
        children = tuple(_node(child, budget) for child in box.boxes())
    return BoxNode(box.type, box.start, size, box.uuid.hex(), payload, children)


def _descend(box: Reader) -> bool:
    """Move to the first child; False when this box has none that we know of."""
    parent = box.path.rpartition("/")[0].rpartition("/")[2]
    if box.type in _CONTAINERS:
        return True
    if box.type == "meta" and parent != "stsd":
        # QuickTime's `meta` is no full box: the second word is then a four-cc.
        if box.copy().take(8)[4:] == b"hdlr" if box.remaining >= 8 else False:
            return True
        box.full_box()
        return True
    if box.type == "stsd":
        box.skip(8)
        return True
    if parent == "stsd":
        return _enter_sample_entry(box)
    return False


def _enter_sample_entry(box: Reader) -> bool:
    # Which kind of entry it is stands in `hdlr`; the tree is content with what looks like boxes.
    if box.type in {"enct", "encs", "encm", "encu"}:
        probe = box.copy()
        probe.skip(8)
        size = encrypted_fields(probe)
        box.skip(0 if size is None else 8 + size)
        return size is not None
    # Sound first: where its fields are passed over as if it were a picture, what follows can be boxes of `sinf`.
    for prefix in (_AUDIO, _VISUAL, 8):
        probe = box.copy()
        if probe.remaining < prefix + 8:
            continue
        probe.skip(prefix)
        if _looks_like_boxes(probe):
            box.skip(prefix)
            return True
    return False


def _looks_like_boxes(probe: Reader) -> bool:
    size, name = probe.u32(), probe.fourcc()
    return 8 <= size <= probe.remaining + 8 and name.isascii() and name.isprintable()
