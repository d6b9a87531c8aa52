"""Which bytes of an AV1 sample are protected: tiles (AV1 Codec ISO Media File Format Binding 1.3.0, section 4).

Clear are OBU headers and sizes, sequence, frame and tile group headers, tile sizes, metadata, padding and delimiters.
Each `decode_tile` structure, the bytes of one tile, is protected:

* `cbcs` (4.1): from its first byte to its last, a subsample of its own even if it is shorter than a block;
* `cenc` (4.1): its whole blocks, up to its last byte: what is left over is clear in front. A tile shorter than a block
  is clear. The binding has no `cens` and no `cbc1`; they are done as `cenc`, as their own rules on blocks ask for.

Shaka Packager begins at the first byte of a tile for `cenc` too, and leaves the odd bytes at its end clear.
"""

from __future__ import annotations

from typing import Final

from drm.codecs.av1.frame_header import Frame, Frames
from drm.codecs.av1.sequence_header import SequenceHeader
from drm.codecs.bits import Bits, OutOfBitsError
from drm.codecs.nal_layout import append_range
from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.media import Scheme, Subsample

__all__ = ["Av1Layout"]

_SEQUENCE, _FRAME_HEADER, _TILE_GROUP, _FRAME, _TILE_LIST = 1, 3, 4, 6, 8  # obu_type
_CONFIG_HEADER: Final = 4  # bytes of an AV1CodecConfigurationRecord before its OBUs
_TRIES: Final = (128, 1 << 14)  # bytes; no frame header comes near the second
_MOST_SIZE_BYTES: Final = 8  # of a leb128 number


class Av1Layout:
    """Finds the subsamples of one track's samples. Holds the sequence header and the reference slots."""

    def __init__(self, config: bytes, scheme: Scheme) -> None:
        """Read an AV1CodecConfigurationRecord (section 2.3). Raises MalformedMediaError, UnsupportedMediaError."""
        if len(config) < _CONFIG_HEADER or config[0] != 0x81:
            raise MalformedMediaError("the av1C box is not an AV1 configuration of version 1", where="stsd/av1C")
        self._is_aligned = scheme is not Scheme.CBCS
        self._frames = Frames()
        self._frame: Frame | None = None  # whose tile groups are coming
        self._next_tile = 0
        self._ranges(memoryview(config)[_CONFIG_HEADER:])

    def subsamples(self, sample: memoryview) -> tuple[Subsample, ...]:
        """Return (clear, protected) pairs that cover the sample; at least one.

        Raises:
            MalformedMediaError: its OBUs do not fill it, or break the syntax.
            UnsupportedMediaError: it has a list of tiles (large scale tile decoding).
        """
        found: list[Subsample] = []
        at = 0
        self._frame = None  # whatever a damaged sample before left behind
        for begin, end in self._ranges(sample):
            # Section 4.1, cenc: the protected part ends with the tile, so what is left over comes before it.
            start = end - (end - begin & ~15) if self._is_aligned else begin
            if start < end:
                append_range(found, start - at, end - start)
                at = end
        if at < len(sample) or not found:
            append_range(found, len(sample) - at, 0)
        return tuple(found)

    def _ranges(self, data: memoryview) -> list[tuple[int, int]]:
        """Walk the OBUs of a temporal unit; return where each tile begins and ends."""
        tiles: list[tuple[int, int]] = []
        at = 0
        while at < len(data):
            kind, temporal_id, spatial_id, begin, end = _obu(data, at)
            if kind == _SEQUENCE:
                self._frames.sequence = SequenceHeader.parse(Bits(bytes(data[begin:end])))
            elif kind in {_FRAME_HEADER, _FRAME}:
                # While tile groups are still to come, another frame header is a copy of the first (section 5.9.1).
                if self._frame is None:
                    begin += self._header(data[begin:end], temporal_id, spatial_id)
                    if kind == _FRAME:
                        self._tile_group(data, begin, end, tiles)
                elif kind == _FRAME:
                    raise MalformedMediaError("an AV1 frame begins before the one in front of it has all its tiles")
            elif kind == _TILE_GROUP:
                self._tile_group(data, begin, end, tiles)
            elif kind == _TILE_LIST:
                raise UnsupportedMediaError("AV1 tile lists (large scale tile decoding) are not encrypted here")
            at = end
        if self._frame is not None:
            raise MalformedMediaError("an AV1 sample ends before the last frame in it has all its tiles")
        return tiles

    def _header(self, payload: memoryview, temporal_id: int, spatial_id: int) -> int:
        """Take in a frame header; return how many bytes hold it."""
        for limit in _TRIES:
            r = Bits(bytes(payload[:limit]))
            try:
                frame = self._frames.read(r, temporal_id, spatial_id)
            except OutOfBitsError:
                if len(payload) <= limit:
                    raise
                continue
            if frame.tiles is None:
                self._frames.keep(frame)
            else:
                self._frame, self._next_tile = frame, 0
            return r.place + 7 >> 3
        raise MalformedMediaError(f"an AV1 frame header of more than {_TRIES[-1]} bytes")

    def _tile_group(self, data: memoryview, at: int, end: int, tiles: list[tuple[int, int]]) -> None:
        """Section 5.11.1, tile_group_obu, from `at`, where the payload or what is left of it begins."""
        if self._frame is None or self._frame.tiles is None:
            raise MalformedMediaError("AV1 tiles come without a frame header before them")
        told = self._frame.tiles
        first, last = 0, told.count - 1
        if told.count > 1:
            r = Bits(bytes(data[at : min(end, at + 4)]))
            if r.flag():
                first, last = r.u(told.index_bits), r.u(told.index_bits)
            at += r.place + 7 >> 3
        if first != self._next_tile or not first <= last < told.count:
            raise MalformedMediaError(
                f"an AV1 tile group has tiles {first} to {last}; tile {self._next_tile} of {told.count} comes next"
            )
        for _ in range(last - first):
            begin = at + told.size_bytes
            at = begin + int.from_bytes(data[at:begin], "little") + 1
            if at >= end:
                raise MalformedMediaError("an AV1 tile is longer than its tile group", seen=f"{at - end + 1} bytes")
            tiles.append((begin, at))
        if at >= end:
            raise MalformedMediaError("an AV1 tile group ends before its last tile")
        tiles.append((at, end))
        self._next_tile = last + 1
        if self._next_tile == told.count:
            self._frames.keep(self._frame)
            self._frame = None


def _obu(data: memoryview, at: int) -> tuple[int, int, int, int, int]:
    """Its type, temporal and spatial layer, and where its payload begins and ends (sections 5.3.1 to 5.3.3)."""
    head = data[at]
    if head & 0x80:
        raise MalformedMediaError(f"byte {at} of an AV1 sample begins no OBU: its forbidden bit is set")
    begin, temporal_id, spatial_id = at + 1, 0, 0
    if head & 4:
        if begin >= len(data):
            raise MalformedMediaError("an AV1 sample ends inside an OBU header")
        temporal_id, spatial_id = data[begin] >> 5, data[begin] >> 3 & 3
        begin += 1
    end = len(data)
    if head & 2:  # without a size it reaches to the end of the sample
        size = shift = 0
        for byte in data[begin : begin + _MOST_SIZE_BYTES]:
            begin += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        else:
            raise MalformedMediaError(f"the OBU at byte {at} of an AV1 sample has a size without an end")
        end = begin + size
    if end > len(data):
        raise MalformedMediaError(
            "an OBU is longer than its AV1 sample", seen=f"it ends at {end}, the sample has {len(data)} bytes"
        )
    return head >> 3 & 15, temporal_id, spatial_id, begin, end
