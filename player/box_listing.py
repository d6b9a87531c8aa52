"""The box tree for people: what the boxes about encryption say, and fragments that look alike told once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

from drm.errors import MediaError
from drm.isobmff.box import BoxNode, box_tree
from drm.isobmff.fragment import Tfhd, Trun
from drm.isobmff.movie import Hdlr, Tkhd
from drm.isobmff.protection import PIFF_TENC, Frma, PiffTenc, Schm, Tenc
from drm.isobmff.pssh import Pssh
from drm.isobmff.reader import ByteSource, Reader, printable
from drm.isobmff.sample_aux import PIFF_SENC, Saio, Saiz, Senc
from drm.isobmff.sample_group import Sgpd, grouping_type

__all__ = ["ListedBox", "list_boxes"]

_ENCRYPTION: Final = frozenset(
    {"encv", "enca", "enct", "encs", "sinf", "frma", "schm", "schi", "tenc", "senc", "saiz", "saio", "pssh"}
)
_GROUPS: Final = frozenset({"sgpd", "sbgp"})
_Shape: TypeAlias = tuple[object, ...]


class ListedBox(msgspec.Struct, omit_defaults=True):
    """One line of the tree. `alike` counts the groups of boxes behind this one that look the same and are left out."""

    type: str
    offset: int
    size: int
    uuid: str = ""
    encryption: bool = False
    detail: str = ""
    children: tuple[ListedBox, ...] = ()
    alike: int = 0


def list_boxes(source: ByteSource) -> Iterator[ListedBox]:
    """The outermost boxes with all that is in them. Raises MediaError where the file breaks off."""
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
            *before, last = map(_listed, front + core)
            yield from before
            listed_front, listed_core = front_shape, core_shape
        front, core = [], []
    yield from ([] if last is None else [last])
    yield from map(_listed, front + core)


def _shape(node: BoxNode) -> _Shape:
    # Fragments under another key are not alike, however equal their boxes are.
    named = node.payload.copy().rest() if node.payload is not None and node.type in {"pssh", "sgpd"} else b""
    return (node.type, node.uuid, named, *map(_shape, node.children))


def _listed(node: BoxNode) -> ListedBox:
    children = tuple(map(_listed, node.children))
    uuid = bytes.fromhex(node.uuid)
    is_ours = node.type in _ENCRYPTION or uuid in {PIFF_SENC, PIFF_TENC}
    detail = ""
    if node.payload is not None:
        try:
            if node.type in _GROUPS:
                is_ours = grouping_type(node.payload) == "seig"
            describe = _UUIDS.get(uuid) if uuid else _DETAILS.get(node.type)
            if describe and (node.type not in _GROUPS or is_ours):
                detail = describe(node.payload.copy())
        except MediaError as error:
            detail = f"broken: {error}"
    return ListedBox(printable(node.type), node.start, node.size, node.uuid, is_ours, detail, children)


def _ftyp(r: Reader) -> str:
    major = printable(r.fourcc())
    r.skip(4)
    brands = [printable(r.fourcc()) for _ in range(min(r.remaining // 4, 16))]
    return f"{major}, compatible with {' '.join(brands)}" if brands else major


def _tenc(r: Reader) -> str:
    box = Tenc.parse(r)
    if not box.is_protected:
        return f"KID {box.key_id}, not protected by default"
    iv = f"IV of {box.iv_size} bytes" if box.iv_size else f"constant IV {box.constant_iv.hex()}"
    pattern = f", pattern {box.crypt_blocks}:{box.skip_blocks}" if box.crypt_blocks or box.skip_blocks else ""
    return f"KID {box.key_id}, {iv}{pattern}"


def _piff_tenc(r: Reader) -> str:
    box = PiffTenc.parse(r)
    algorithm = {0: "not encrypted", 1: "AES-CTR", 2: "AES-CBC"}.get(box.algorithm, f"algorithm {box.algorithm}")
    return f"PIFF track encryption: KID {box.key_id}, {algorithm}, IV of {box.iv_size} bytes"


def _senc(r: Reader) -> str:
    box = Senc.parse(r)
    form = "PIFF sample encryption: " if box.is_piff else "multi-key, " if box.version else ""
    return f"{form}{box.sample_count} entries{', subsamples' if box.has_subsamples else ''}"


def _pssh(r: Reader) -> str:
    box = Pssh.parse(r)
    kids = f", KIDs {' '.join(map(str, box.key_ids))}" if box.key_ids else ""
    data = f", {len(box.data)} bytes of data" if box.data else ""
    return f"{box.system_id.name} ({box.system_id}), version {box.version}{kids}{data}"


def _saiz(r: Reader) -> str:
    box = Saiz.parse(r)
    return f"{box.sample_count} samples" + (f", {box.default_size} bytes each" if box.default_size else "")


def _saio(r: Reader) -> str:
    box = Saio.parse(r)
    return f"offset {box.offsets[0]}" if len(box.offsets) == 1 else f"{len(box.offsets)} offsets"


def _sgpd(r: Reader) -> str:
    entries = Sgpd.parse(r).entries
    return "; ".join(
        e.refusal or f"{'KIDs' if e.keys else 'KID'} {', '.join(map(str, e.key_ids))}" if e.is_protected else "clear"
        for e in entries[:8]
    )


_DETAILS: Final[dict[str, Callable[[Reader], str]]] = {
    "ftyp": _ftyp,
    "styp": _ftyp,
    "tkhd": lambda r: f"track {Tkhd.parse(r).track_id}",
    "hdlr": lambda r: printable(Hdlr.parse(r).handler),
    "tfhd": lambda r: f"track {Tfhd.parse(r).track_id}",
    "trun": lambda r: f"{Trun.parse(r).sample_count} samples",
    "frma": lambda r: f"was {printable(Frma.parse(r).format)}",
    "schm": lambda r: f"scheme {printable(Schm.parse(r).scheme)}",
    "tenc": _tenc,
    "senc": _senc,
    "saiz": _saiz,
    "saio": _saio,
    "sgpd": _sgpd,
    "sbgp": lambda _r: "samples to groups with keys of their own",
    "pssh": _pssh,
}
_UUIDS: Final[dict[bytes, Callable[[Reader], str]]] = {PIFF_TENC: _piff_tenc, PIFF_SENC: _senc}
