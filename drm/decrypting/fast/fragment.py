"""Decrypts whole fragments in the buffer that holds them, and takes the marks of encryption out of their boxes."""

from __future__ import annotations

from itertools import repeat
from struct import Struct, unpack_from

from drm.decrypting.unmark_boxes import PIFF_PSSH, PIFF_SENC, OddLayoutError, boxes, is_of_encryption, unprotect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from drm.decrypting.fast.ciphers import ManyRanges
    from drm.decrypting.fast.tracks import FastCipher, FastTrack

__all__ = ["FragmentDecrypter"]

_U32 = Struct(">I")
_ONE_SUBSAMPLE = {n: Struct(f">{n}sHHI") for n in (0, 8, 16)}  # IV, 1, clear, protected: the usual entry
_BARE = {n: Struct(f"{n}s") for n in (8, 16)}
_SUBSAMPLE = Struct(">HI")

_BASE_DATA_OFFSET, _DESCRIPTION, _DURATION, _SIZE, _BASE_IS_MOOF = 0x1, 0x2, 0x8, 0x10, 0x20000  # of tfhd
_DATA_OFFSET, _FIRST_FLAGS, _SIZES = 0x1, 0x4, 0x200  # of trun
_COLUMNS = (0x100, 0x200, 0x400, 0x800)


class FragmentDecrypter:
    """Knows the tracks of a file and decrypts its fragments, a buffer of them at a time."""

    def __init__(self, tracks: Mapping[int, FastTrack]) -> None:
        self._tracks = tracks

    def decrypt(self, data: bytearray, base: int, tops: Sequence[tuple[bytes, int, int, int]]) -> None:
        """Decrypt the fragments among `tops`: type, start, start of the payload and end of outermost boxes in the file.

        `data` holds them all, its first byte being the file's byte `base`, and `ciphers.SPARE` bytes more.

        Raises:
            OddLayoutError: a fragment is not as usual.
        """
        moof: tuple[int, int, int] | None = None
        with memoryview(data) as view:
            for kind, start, body, end in tops:
                if kind == b"moof":
                    if moof is not None:
                        break
                    moof = start - base, body - base, end - base
                elif kind == b"mdat" and moof is not None:
                    _Fragment(data, view, moof[0], body - base, end - base).decrypt(moof[1], moof[2], self._tracks)
                    moof = None
        if moof is not None:
            raise OddLayoutError("a fragment without data of its own")


class _Fragment:
    """One `moof` that begins at `start` of `data`, and the `mdat` behind it, whose payload is from `at` to `end`."""

    __slots__ = ("_at", "_data", "_end", "_start", "_view")

    def __init__(self, data: bytearray, view: memoryview, start: int, at: int, end: int) -> None:
        self._data, self._view, self._start = data, view, start
        self._at = at  # where the samples end that were met so far: none may overlap another
        self._end = end

    def decrypt(self, body: int, stop: int, tracks: Mapping[int, FastTrack]) -> None:
        """Decrypt the samples that the `moof` with its payload from `body` to `stop` tells of."""
        data = self._data
        is_first = True
        for kind, at, inner, inner_end in boxes(data, body, stop):
            if kind == b"traf":
                self._traf(inner, inner_end, tracks, is_first=is_first)
                is_first = False
            elif kind == b"pssh" or (kind == b"uuid" and data[inner : inner + 16] == PIFF_PSSH):
                unprotect(data, at)

    def _traf(self, body: int, stop: int, tracks: Mapping[int, FastTrack], *, is_first: bool) -> None:
        data = self._data
        tfhd = senc = (0, 0)
        truns: list[tuple[int, int]] = []
        marks: list[int] = []
        aux = False
        for kind, at, inner, inner_end in boxes(data, body, stop):
            if kind == b"trun":
                truns.append((inner, inner_end))
            elif kind == b"tfhd":
                tfhd = inner, inner_end
            elif kind == b"senc":
                if senc[0]:
                    raise OddLayoutError("two senc")
                senc = inner, inner_end
                marks.append(at)
            elif kind in {b"saiz", b"saio"}:
                if is_of_encryption(data, inner, inner_end):
                    aux = True
                    marks.append(at)
            elif kind in {b"sbgp", b"csgp", b"sgpd"}:
                if data[inner + 4 : inner + 8] == b"seig":
                    raise OddLayoutError("encryption groups")
            elif kind == b"uuid" and data[inner : inner + 16] == PIFF_SENC:
                raise OddLayoutError("the boxes of PIFF")
        track, description, size = self._tfhd(*tfhd, tracks, is_first=is_first)
        if not 1 <= description <= len(track.ciphers):
            raise OddLayoutError("no such sample description")
        runs = [self._trun(*trun, size, is_first=number == 0) for number, trun in enumerate(truns)]
        if not any(track.ciphers):
            return
        for mark in marks:
            unprotect(data, mark)
        cipher = track.ciphers[description - 1]
        if cipher is not None:
            if aux and not senc[0]:
                raise OddLayoutError("auxiliary information without senc")
            self._samples(cipher, runs, *senc)

    def _tfhd(
        self, at: int, end: int, tracks: Mapping[int, FastTrack], *, is_first: bool
    ) -> tuple[FastTrack, int, int]:
        """The track, its sample description and the default size of its samples (ISO/IEC 14496-12, clause 8.8.7)."""
        if end - at < 8:
            raise OddLayoutError("no tfhd")
        flags, track_id = _U32.unpack_from(self._data, at)[0], _U32.unpack_from(self._data, at + 4)[0]
        track = tracks.get(track_id)
        if track is None or flags & _BASE_DATA_OFFSET or not (flags & _BASE_IS_MOOF or is_first):
            raise OddLayoutError("no such track, or offsets that count from elsewhere")
        description, size = track.default_description, track.default_size
        at += 8
        if flags & _DESCRIPTION:
            description = self._u32(at, end)
            at += 4
        at += 4 * bool(flags & _DURATION)
        if flags & _SIZE:
            size = self._u32(at, end)
        return track, description, size

    def _trun(self, at: int, end: int, size: int, *, is_first: bool) -> tuple[int, Sequence[int]]:
        """Where a run of samples begins, and their sizes (clause 8.8.8)."""
        data = self._data
        flags, count = self._u32(at, end), self._u32(at + 4, end)
        at += 8
        begin = self._at
        if flags & _DATA_OFFSET:
            begin = self._start + self._u32(at, end)  # a negative one comes out as beyond the end
            at += 4
        elif is_first:
            raise OddLayoutError("data that begins with the moof")
        at += 4 * bool(flags & _FIRST_FLAGS)
        columns = [column for column in _COLUMNS if flags & column]
        width = len(columns)
        if end - at < 4 * width * count:
            raise OddLayoutError("trun is cut")
        if flags & _SIZES:
            sizes: Sequence[int] = unpack_from(f">{width * count}I", data, at)[columns.index(_SIZES) :: width]
            total = sum(sizes)
        else:
            total = size * count
            if count > len(data) or total > len(data):
                raise OddLayoutError("more samples than bytes")
            sizes = [size] * count
        if begin < self._at or begin + total > self._end:
            raise OddLayoutError("a run outside its mdat, or out of order")
        self._at = begin + total
        return begin, sizes

    def _samples(self, cipher: FastCipher, runs: Sequence[tuple[int, Sequence[int]]], at: int, end: int) -> None:
        """Open `senc`, whose payload is from `at` to `end`, and decrypt (ISO/IEC 23001-7, clause 7.2)."""
        view, iv_size = self._view, cipher.iv_size
        count = sum(len(sizes) for _, sizes in runs)
        flags, told = (self._u32(at, end), self._u32(at + 4, end)) if at else (0, count)
        at += 8 * bool(at)
        if flags & ~2 or told != count:
            raise OddLayoutError("an unusual senc")
        if not flags:
            if end - at != iv_size * count:
                raise OddLayoutError("senc has another length")
            bare: Iterable[tuple[bytes]] = (
                _BARE[iv_size].iter_unpack(bytes(view[at:end])) if iv_size else repeat((b"",))
            )
            for begin, sizes in runs:
                cipher.whole(view, begin, sizes, bare)
        elif end - at == (iv_size + 8) * count:
            # A copy: CPython 3.11 crashes when its collector meets an iterator like this, half-way through a view.
            usual = _ONE_SUBSAMPLE[iv_size].iter_unpack(bytes(view[at:end]))
            for begin, sizes in runs:
                cipher.one(view, begin, sizes, usual)
        else:
            rows = iter(self._entries(iv_size, count, at, end))
            for begin, sizes in runs:
                cipher.many(view, begin, sizes, rows)

    def _entries(self, iv_size: int, count: int, at: int, end: int) -> list[ManyRanges]:
        data, view = self._data, self._view
        entries = []
        for _ in range(count):
            iv = bytes(view[at : at + iv_size])
            at += iv_size + 2
            if at > end:
                raise OddLayoutError("senc is cut")
            stop = at + 6 * (data[at - 2] << 8 | data[at - 1])
            if stop > end:
                raise OddLayoutError("senc is cut")
            entries.append((iv, list(_SUBSAMPLE.iter_unpack(view[at:stop]))))
            at = stop
        if at != end:
            raise OddLayoutError("senc has another length")
        return entries

    def _u32(self, at: int, end: int) -> int:
        if end - at < 4:
            raise OddLayoutError("a box is cut")
        value: int = _U32.unpack_from(self._data, at)[0]
        return value
