"""Writing a box's header, and the tree of all boxes for people to look at.

The tree names boxes and never interprets them; what they mean stands in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import pack
from typing import ClassVar, Final, Protocol, Self

import msgspec

from drm.errors import MalformedMediaError, TruncatedMediaError
from drm.isobmff.reader import Reader, printable
from drm.media import ByteSource

__all__ = ["Box", "BoxNode", "TopBox", "box_tree", "encode_box", "encode_full_box", "load_box", "top_boxes"]

MAX_LOADED: Final = 256 << 20  # bytes of one box (moov, moof …) that may be held in memory; mdat is never loaded
MAX_NODES: Final = 100_000  # boxes inside one outermost box, in a tree for people

_CONTAINERS: Final = frozenset(
    {"moov", "trak", "edts", "mdia", "minf", "dinf", "stbl", "mvex", "moof", "traf", "mfra", "udta", "sinf", "schi",
     "tref", "wave"}
)  # fmt: skip
_VISUAL: Final = 78  # bytes of a VisualSampleEntry before its boxes (ISO/IEC 14496-12, clause 12.1.3)
_AUDIO: Final = 28  # bytes of an AudioSampleEntry before its boxes (clause 12.2.3)


class Box(Protocol):
    """The one shape of a box: its fields, `parse` and `encode`."""

    TYPE: ClassVar[str]

    @classmethod
    def parse(cls, r: Reader) -> Self:
        """Read the fields from a reader that stands at the payload."""

    def encode(self) -> bytes:
        """Return the whole box, header included."""


def encode_box(box_type: str, *payload: bytes) -> bytes:
    """Put a header before `payload`; 64-bit sizes where they are needed."""
    size = 8 + sum(map(len, payload))
    if size > 0xFFFF_FFFF:
        return b"".join((pack(">I4sQ", 1, box_type.encode("latin-1"), size + 8), *payload))
    return b"".join((pack(">I4s", size, box_type.encode("latin-1")), *payload))


def encode_full_box(box_type: str, version: int, flags: int, *payload: bytes) -> bytes:
    """The same with version and flags (ISO/IEC 14496-12, clause 4.2)."""
    return encode_box(box_type, pack(">I", version << 24 | flags), *payload)


class TopBox(msgspec.Struct, frozen=True):
    """A box of the outermost level, by its place alone."""

    type: str
    start: int
    header: int  # bytes
    size: int  # bytes, header included

    @property
    def end(self) -> int:
        """Absolute offset behind it."""
        return self.start + self.size


def top_boxes(source: ByteSource, start: int = 0) -> Iterator[TopBox]:
    """Walk the outermost boxes from `start`, reading their headers and nothing else.

    Raises:
        TruncatedMediaError: a box says that it is longer than the file.
        MalformedMediaError: a box says that it is shorter than its own header.
    """
    size_of_file = source.size
    while start < size_of_file:
        head = source.read_at(start, 16)
        if len(head) < 8:
            if any(head):
                raise _cut(source, start, f"{len(head)} bytes are left, a box header has 8")
            return
        size, box_type, header = int.from_bytes(head[:4], "big"), head[4:8].decode("latin-1"), 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
            if len(head) < 16:
                raise _cut(source, start, f"{len(head)} bytes are left, this box header has 16")
        elif size == 0:
            size = size_of_file - start
        if size < header:
            raise MalformedMediaError(
                f"the {printable(box_type)} box has an impossible size",
                where=f"{source.name}, at byte {start}",
                seen=f"it says {size} bytes, its own header has {header}",
                maybe="the bytes here are not MP4: text, or another file that was appended",
            )
        if start + size > size_of_file:
            raise _cut(
                source, start, f"the {printable(box_type)} box says {size} bytes, {size_of_file - start} are left"
            )
        yield TopBox(box_type, start, header, size)
        start += size


def _cut(source: ByteSource, start: int, seen: str) -> TruncatedMediaError:
    return TruncatedMediaError(
        "the file ends inside a box",
        where=f"{source.name}, at byte {start} of {source.size}",
        seen=seen,
        maybe="a download or a copy that was interrupted",
        remedy="compare the file's size with the original's",
    )


def load_box(source: ByteSource, top: TopBox) -> Reader:
    """Read a whole outermost box into memory. Raises MalformedMediaError above `MAX_LOADED`."""
    if top.size > MAX_LOADED:
        raise MalformedMediaError(
            f"the {printable(top.type)} box has {top.size} bytes, more than {MAX_LOADED} are not read",
            where=f"{source.name}, at byte {top.start}",
        )
    data = source.read_at(top.start, top.size)
    if len(data) < top.size:
        raise _cut(source, top.start, f"{len(data)} of {top.size} bytes could be read")
    return Reader(data, base=top.start).next_box()


# ------------------------------------------------------------------------------------------------ the tree
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
            yield _node(load_box(source, top), [MAX_NODES])


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
