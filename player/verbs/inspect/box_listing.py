"""The box tree for people: what the boxes about encryption say, and fragments that look alike told once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

from drm.errors import MediaError
from drm.isobmff.box_tree import BoxNode, box_tree
from drm.isobmff.protection import PIFF_TENC
from drm.isobmff.reader import printable
from drm.isobmff.sample_aux import PIFF_SENC
from drm.isobmff.sample_group import grouping_type
from drm.media import ByteSource
from player.verbs.inspect.box_details import IvSizes, describe

__all__ = ["ListedBox", "list_boxes"]

_ENCRYPTION: Final = frozenset(
    {"encv", "enca", "enct", "encs", "sinf", "frma", "schm", "schi", "tenc", "senc", "saiz", "saio", "pssh"}
)
_GROUPS: Final = frozenset({"sgpd", "sbgp", "csgp"})
_Shape: TypeAlias = tuple[object, ...]


class ListedBox(msgspec.Struct, omit_defaults=True):
    """One line of the tree, and the lines of `notes` below it.

    `alike` counts the groups of boxes behind this one that look the same and are left out.
    """

    type: str
    offset: int
    size: int
    uuid: str = ""
    encryption: bool = False
    detail: str = ""
    notes: tuple[str, ...] = ()
    children: tuple[ListedBox, ...] = ()
    alike: int = 0


def list_boxes(source: ByteSource) -> Iterator[ListedBox]:
    """The outermost boxes with all that is in them. Raises MediaError where the file breaks off."""
    ivs = IvSizes()
    last: ListedBox | None = None  # the last box of the fragment that was listed
    front: list[BoxNode] = []  # the group at hand: what stands before its moof,
    core: list[BoxNode] = []  # and the rest
    listed_front: list[_Shape] = []
    listed_core: list[_Shape] = []
    for node in box_tree(source):
        (core if core or node.type == "moof" else front).append(node)
        if node.type != "mdat" and not (node.type == "moov" and not core):
            continue
        # A group ends with its media: styp, sidx, moof and mdat belong together.
        front_shape, core_shape = list(map(_shape, front)), list(map(_shape, core))
        if last is not None and core and core_shape == listed_core and front_shape in ([], listed_front):
            last.alike += 1
        else:
            yield from ([] if last is None else [last])
            *before, last = (_listed(each, ivs) for each in front + core)
            yield from before
            listed_front, listed_core = front_shape, core_shape
        front, core = [], []
    yield from ([] if last is None else [last])
    yield from (_listed(each, ivs) for each in front + core)


def _shape(node: BoxNode) -> _Shape:
    # Fragments under another key are not alike, however equal their boxes are.
    named = node.payload.copy().rest() if node.payload is not None and node.type in {"pssh", "sgpd"} else b""
    return (node.type, node.uuid, named, *map(_shape, node.children))


def _listed(node: BoxNode, ivs: IvSizes) -> ListedBox:
    children = tuple(_listed(child, ivs) for child in node.children)
    is_ours = node.type in _ENCRYPTION or bytes.fromhex(node.uuid) in {PIFF_SENC, PIFF_TENC}
    detail = ""
    notes: tuple[str, ...] = ()
    if node.payload is not None:
        try:
            if node.type in _GROUPS:
                is_ours = grouping_type(node.payload) == "seig"
            detail, notes = describe(node.payload.copy(), ivs)
        except MediaError as error:
            detail = f"broken: {error}"
    return ListedBox(printable(node.type), node.start, node.size, node.uuid, is_ours, detail, notes, children)
