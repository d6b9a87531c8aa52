"""Corrects the indices of a file whose boxes have moved: `sidx` (ISO/IEC 14496-12, 8.16.3) and `tfra` (8.8.10)."""

from __future__ import annotations

from struct import Struct, pack
from typing import BinaryIO, Final

from drm.errors import UnsupportedMediaError
from drm.isobmff.box import TopBox
from drm.isobmff.reader import Reader

__all__ = ["Moves"]

_REFERENCE: Final = Struct(">III")  # type and size, duration, access points


class Moves:
    """Where each outermost box stood, and where it stands now."""

    def __init__(self) -> None:
        self._new: dict[int, int] = {}
        self._indices: list[tuple[TopBox, int]] = []
        self._source_end = 0

    def note(self, top: TopBox, at: int) -> None:
        """`top` is about to be written at `at`."""
        self._new[top.start] = at
        self._source_end = top.end
        if top.type in {"sidx", "mfra"}:
            self._indices.append((top, at))

    def correct(self, out: BinaryIO) -> None:
        """Overwrite the indices in `out`, which is complete; leaves it at its end.

        Raises:
            UnsupportedMediaError: an index points where no box begins.
        """
        out.seek(0, 2)
        end = out.tell()
        self._new[self._source_end] = end
        for top, at in self._indices:
            out.seek(at)
            box = Reader(out.read(top.size), base=top.start).next_box()
            fixed = self._sidx(box, top.end, at + top.size) if top.type == "sidx" else self._mfra(box)
            out.seek(at + top.header)
            out.write(fixed)
        out.seek(end)

    def _moved(self, offset: int, what: str) -> int:
        if offset not in self._new:
            raise UnsupportedMediaError(
                f"{what} points to byte {offset}, where no box begins",
                remedy="write the file without indices: "
                "ffmpeg -i IN -c copy -movflags +frag_keyframe+empty_moov+skip_trailer OUT",
            )
        return self._new[offset]

    def _sidx(self, box: Reader, old_anchor: int, new_anchor: int) -> bytes:
        """The payload with referenced sizes as they are now."""
        payload = bytearray(box.copy().rest())
        version, _flags = box.full_box()
        box.skip(8)
        shape = Struct(">QQ" if version else ">II")
        earliest, first_offset = box.unpack(shape)
        box.skip(2)
        count = box.u16()
        at = old_anchor + first_offset
        begin = self._moved(at, "sidx")
        head = payload[:12] + shape.pack(earliest, begin - new_anchor) + pack(">HH", 0, count)
        rows = []
        for _ in range(count):
            word, duration, access = box.unpack(_REFERENCE)
            at += word & 0x7FFF_FFFF
            end = self._moved(at, "sidx")
            rows.append(_REFERENCE.pack(word & 0x8000_0000 | end - begin, duration, access))
            begin = end
        return bytes(head) + b"".join(rows) + box.rest()

    def _mfra(self, mfra: Reader) -> bytes:
        """The payload with the offsets of fragments as they are now."""
        made = []
        for box in mfra.boxes():
            payload = box.copy().rest()
            made.append(pack(">I", len(payload) + 8) + box.type.encode("latin-1"))
            made.append(self._tfra(box) if box.type == "tfra" else payload)
        return b"".join(made)

    def _tfra(self, box: Reader) -> bytes:
        head = box.copy().take(16)
        version, _flags = box.full_box()
        box.skip(4)
        lengths = box.u32()
        rest = sum((lengths >> shift & 3) + 1 for shift in (4, 2, 0))
        count = box.u32()
        shape = Struct(">QQ" if version else ">II")
        rows = []
        for _ in range(count):
            time, offset = box.unpack(shape)
            rows += [shape.pack(time, self._moved(offset, "tfra")), box.take(rest)]
        return head + b"".join(rows) + box.rest()
