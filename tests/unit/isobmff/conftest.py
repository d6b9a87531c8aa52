"""Tiny MP4 files built box by box, so that a test can bend any one of them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from struct import pack

import pytest

from drm.isobmff.box import encode_box, encode_full_box
from drm.isobmff.fragment import Tfdt, Tfhd, Trun
from drm.isobmff.movie import Elst, Hdlr, Mdhd, Mvhd, Tkhd, Trex
from drm.isobmff.protection import Frma, Schm, Sinf, Tenc
from drm.isobmff.samples import MP4Presentation, open_presentation
from drm.keys import KeyId
from tests.sample_tables import Stco, Stsc, Stsz, Stts

KID = KeyId(bytes(range(16)))


class Bytes:
    """A byte stream in memory; counts what is read, so that a test can see how often."""

    def __init__(self, data: bytes, name: str = "memory.mp4") -> None:
        self.data = data
        self.name = name
        self.size = len(data)
        self.reads: list[tuple[int, int]] = []

    def read_at(self, offset: int, size: int) -> bytes:
        assert offset >= 0
        assert 0 <= size <= 1 << 30
        self.reads.append((offset, size))
        return self.data[offset : offset + size]

    def read_into(self, offset: int, into: memoryview) -> int:
        data = self.read_at(offset, len(into))
        into[: len(data)] = data
        return len(data)


class Build:
    """Makes files. Sizes and times are whatever a test asks for."""

    KID = KID
    Bytes = Bytes

    @staticmethod
    def entry(tenc: Tenc | None, scheme: str = "cenc", *, schm: bool = True) -> bytes:
        """A sample entry: clear `avc1`, or `encv` with this `tenc`."""
        if tenc is None:
            return encode_box("avc1", bytes(78))
        return encode_box("encv", bytes(78), Sinf(Frma("avc1"), Schm(scheme) if schm else None, tenc).encode())

    @staticmethod
    def trak(
        entries: Sequence[bytes], *tables: bytes, track_id: int = 1, stbl: bytes = b"", edits: bytes = b""
    ) -> bytes:
        """A video track; without `tables`, one whose samples lie in fragments."""
        empty = (Stts(array("I")), Stsc(array("I")), Stsz(0, 0, array("I")), Stco(array("I")))
        boxes = tables or tuple(box.encode() for box in empty)
        stsd = encode_full_box("stsd", 0, 0, pack(">I", len(entries)), *entries)
        minf = encode_box("minf", encode_box("stbl", stsd, *boxes, stbl))
        mdia = encode_box("mdia", Mdhd(1000).encode(), Hdlr("vide").encode(), minf)
        return encode_box("trak", Tkhd(track_id).encode(), edits, mdia)

    @classmethod
    def init(cls, *entries: bytes, tracks: int = 1, stbl: bytes = b"", trex: Trex | None = None) -> bytes:
        """An initialization segment whose tracks all have these entries."""
        traks = [cls.trak(entries, track_id=n, stbl=stbl) for n in range(1, tracks + 1)]
        trexs = [(trex or Trex(n, 1, 10)).encode() for n in range(1, tracks + 1)]
        return cls.moov(*traks, encode_box("mvex", *trexs))

    @staticmethod
    def moov(*boxes: bytes) -> bytes:
        return encode_box("ftyp", b"isom", bytes(4)) + encode_box("moov", Mvhd(1000).encode(), *boxes)

    @classmethod
    def traf(cls, sizes: Sequence[int], *boxes: bytes, offset: int | None, tfhd: Tfhd | None = None) -> bytes:
        """A track fragment with one run that starts at `offset`."""
        run = Trun(len(sizes), offset, None, None, array("I", sizes))
        return encode_box("traf", (tfhd or Tfhd(1)).encode(), *boxes, run.encode())

    @staticmethod
    def moof(*trafs: bytes) -> bytes:
        return encode_box("moof", encode_full_box("mfhd", 0, 0, pack(">I", 1)), *trafs)

    @classmethod
    def fragment(cls, media: bytes, sizes: Sequence[int], *boxes: bytes, tfhd: Tfhd | None = None) -> bytes:
        """moof and mdat: one track fragment whose run starts with the media."""
        draft = cls.moof(cls.traf(sizes, *boxes, offset=0, tfhd=tfhd))
        return cls.moof(cls.traf(sizes, *boxes, offset=len(draft) + 8, tfhd=tfhd)) + encode_box("mdat", media)

    @staticmethod
    def open(data: bytes) -> MP4Presentation:
        return open_presentation(Bytes(data))

    Elst, Tfdt = Elst, Tfdt


@pytest.fixture
def build() -> type[Build]:
    return Build
