"""Every box survives the round trip, and every truncation of it is refused, not misread."""

from __future__ import annotations

import pytest

from drm.errors import MalformedMediaError
from drm.isobmff.box import Box
from drm.isobmff.protection import Frma, PiffTenc, Schm, Sinf, Tenc
from drm.isobmff.pssh import Pssh
from drm.isobmff.reader import Reader
from drm.isobmff.sample_aux import Saio, Saiz, Senc
from drm.keys import KeyId, SystemId

KID = KeyId(bytes(range(16)))
OTHER = KeyId(bytes(range(16, 32)))
CBCS = Tenc(KID, 0, bytes(range(16)), 1, 9, version=1)

BOXES: list[Box] = [
    Pssh.common(KID, OTHER),
    Pssh(SystemId(bytes(16)), data=b"opaque", version=0),
    Frma("avc1"),
    Schm("cbcs"),
    Schm("cenc", uri=b"urn:x\0"),
    Tenc(KID, 8),
    CBCS,
    PiffTenc(1, 8, KID),
    Sinf(Frma("mp4a"), Schm("cbcs"), CBCS),
    Saiz.of([16, 16, 16]),
    Saiz(3, 0, b"\x10\x00\x16", "cenc"),
    Saio((4096,)),
    Saio((1 << 40, 3), "cbcs", 7, version=1),
]


def parse(kind: type[Box], data: bytes) -> Box:
    return kind.parse(Reader(data).next_box())


def ident(box: Box) -> str:
    return type(box).__name__


@pytest.mark.parametrize("box", BOXES, ids=ident)
def test_a_box_survives_the_round_trip(box: Box) -> None:
    assert parse(type(box), box.encode()) == box


@pytest.mark.parametrize("box", BOXES, ids=ident)
def test_a_box_cut_short_is_refused_not_misread(box: Box) -> None:
    whole = box.encode()
    for end in range(len(whole)):
        with pytest.raises(MalformedMediaError):
            parse(type(box), whole[:end])
