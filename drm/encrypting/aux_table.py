"""The auxiliary information of many samples, packed as it is written: saiz, saio and senc."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, iter_unpack, pack
from typing import Final

from drm.encrypting.box_tree import BoxTree
from drm.encrypting.long_payload import Spool
from drm.encrypting.protected_track import Entry, ProtectedTrack, refusal
from drm.errors import UnsupportedMediaError
from drm.isobmff.sample_aux import Saio, Saiz

__all__ = ["AuxTable", "SpooledAux"]

_LARGEST: Final = 255  # bytes of one sample's entry, as saiz tells it
_PAIR: Final = Struct(">HHI")  # the usual count, one, and its clear and protected bytes
_FULL_BOX: Final = 4  # bytes of version and flags


class AuxTable:
    """Of one fragment: held in memory."""

    def __init__(self, track: ProtectedTrack, sizes: bytearray | Spool, payload: bytearray | Spool) -> None:
        """`sizes` and `payload` are empty, and filled by this."""
        self._track = track
        self._with_subsamples = track.has_subsamples
        self._sizes, self._payload = sizes, payload

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, entries: Sequence[Entry]) -> None:
        """Take more samples. Raises UnsupportedMediaError: one has too many subsamples."""
        if not self._with_subsamples:
            self._sizes.extend(bytes((self._track.encryption.iv_size or 0,)) * len(entries))
            self._payload.extend(b"".join([iv for iv, _ in entries]))
            return
        packed = []
        pair = _PAIR.pack
        for iv, subsamples in entries:
            if len(subsamples) == 1:
                ((clear, protected),) = subsamples
                packed.append(iv + pair(1, clear, protected))
            else:
                flat = [part for each in subsamples for part in each]
                packed.append(iv + pack(">H" + "HI" * len(subsamples), len(subsamples), *flat))
        sizes = list(map(len, packed))
        if max(sizes, default=0) > _LARGEST:
            raise self._too_many(
                next(entry for entry in entries if len(entry[1]) == max(len(each[1]) for each in entries))
            )
        self._sizes.extend(bytes(sizes))
        self._payload.extend(b"".join(packed))

    def _too_many(self, entry: Entry) -> UnsupportedMediaError:
        iv, subsamples = entry
        return refusal(
            self._track.track,
            f"has a sample of {len(subsamples)} subsamples, and {(_LARGEST - 2 - len(iv)) // 6} can be told",
            "encode the video with fewer slices or tiles per picture",
        )

    def boxes(self) -> list[BoxTree]:
        """Return saiz, saio (its one offset still 0) and senc. No sample is added afterwards.

        Where no sample has an IV of its own or parts, there is no auxiliary information (ISO/IEC 23001-7, clause 7.2),
        and `senc` has entries of no bytes: without it Bento4 takes the samples for clear ones.
        """
        senc = BoxTree.full("senc", 0, 2 * self._with_subsamples, pack(">I", len(self)))
        if not self._payload:
            return [senc]
        # A size that all have is told once.
        size = self._one_size()
        saiz = BoxTree.of(Saiz(len(self), size or 0).encode())
        for box, data in ((senc, self._payload), (saiz, b"" if size else self._sizes)):
            if isinstance(data, Spool):
                box.body = data
            else:
                box.payload += data
        return [saiz, BoxTree.of(Saio((0,)).encode()), senc]

    def _one_size(self) -> int:
        """What every entry has, or 0."""
        pieces = self._sizes.pieces() if isinstance(self._sizes, Spool) else [self._sizes]
        sizes = set[int]().union(*pieces)
        return sizes.pop() if len(sizes) == 1 else 0


class SpooledAux(AuxTable):
    """Of a whole film: spooled in `folder`, and read again in the order in which it was added."""

    def __init__(self, track: ProtectedTrack, folder: str) -> None:
        """Raises OSError."""
        self._spools = Spool(folder), Spool(folder)
        super().__init__(track, *self._spools)
        self._done = self._at = 0  # samples, and bytes of their entries

    def take(self, count: int) -> list[Entry]:
        """The entries of the next `count` samples."""
        (sizes, payload), iv_size = self._spools, self._track.encryption.iv_size or 0
        lengths = sizes.read(self._done, count)
        total = sum(lengths)
        data = payload.read(self._at, total)
        self._done += count
        self._at += total
        if not self._with_subsamples:
            return (
                [(data[at : at + iv_size], ()) for at in range(0, total, iv_size)] if iv_size else [(b"", ())] * count
            )
        if lengths.count(iv_size + _PAIR.size) == count:
            return [(iv, ((clear, protected),)) for iv, _, clear, protected in iter_unpack(f">{iv_size}sHHI", data)]
        found: list[Entry] = []
        at = 0
        for length in lengths:
            end = at + length
            found.append((data[at : at + iv_size], tuple(iter_unpack(">HI", data[at + iv_size + 2 : end]))))
            at = end
        return found

    def close(self) -> None:
        """Free the files."""
        for spool in self._spools:
            spool.close()
