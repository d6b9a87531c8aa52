"""cenc and cbcs over the samples of a track fragment, in place (ISO/IEC 23001-7, clauses 10.1 and 10.4).

`drm.cenc.decrypt` says these rules once for every scheme, sample by sample. Here two of them stand a second time, for
whole fragments, because a call for each sample and the modules that it needs would double the time of a one-shot
command; a test holds the two ways equal on every file that this one takes.

Each method takes samples that lie one behind the other from `at` on in `data` and have these `sizes`, and as many rows
of what `senc` says about them. It raises OddLayoutError for what does not fit, or is left to the general way. `data`
has `SPARE` bytes behind the last sample. One thread at a time.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR

from drm.decrypting.unmark_boxes import OddLayoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["SPARE", "CbcsCipher", "CencCipher"]

SPARE = 15  # bytes of room that OpenSSL wants behind the output of a block mode
_BLOCK = 16
_ZEROS = bytes(8)
_NEAR_THE_WRAP = b"\xff" * 4  # of the low half of a counter: OpenSSL would carry into the upper half
_BATCH = 256 << 10  # bytes of gathered blocks that are decrypted by one call, and stay in a processor's cache
_LARGE = 4 << 10  # bytes of a range from which on two calls in place cost less than two copies

OneRange = tuple[bytes, int, int, int]  # IV, count of subsamples, clear bytes, protected bytes
ManyRanges = tuple[bytes, list[tuple[int, int]]]  # IV, and clear and protected bytes of each subsample


class CencCipher:
    """CTR: one key stream for each sample, which runs on from subsample to subsample."""

    def __init__(self, key: bytes, iv_size: int, constant: bytes) -> None:
        self.iv_size = iv_size
        self._pad = _padding(iv_size, constant)
        if self._pad[8:12] == _NEAR_THE_WRAP:
            raise OddLayoutError("the counter may wrap")
        stream = Cipher(AES(key), CTR(bytes(_BLOCK))).encryptor()
        self._restart, self._update = stream.reset_nonce, stream.update_into

    def one(self, data: memoryview, at: int, sizes: Sequence[int], rows: Iterable[OneRange]) -> None:
        """Samples of one subsample each."""
        restart, update, pad = self._restart, self._update, self._pad
        for size, (iv, count, clear, protected) in zip(sizes, rows, strict=False):
            if count != 1 or clear + protected > size or iv[8:12] == _NEAR_THE_WRAP:
                raise OddLayoutError("an entry does not fit its sample")
            begin = at + clear
            at += size
            restart(iv + pad)
            part = data[begin : begin + protected]
            update(part, part)

    def whole(self, data: memoryview, at: int, sizes: Sequence[int], rows: Iterable[tuple[bytes]]) -> None:
        """Samples that are protected from their first byte to their last."""
        restart, update, pad = self._restart, self._update, self._pad
        for size, (iv,) in zip(sizes, rows, strict=False):
            if iv[8:12] == _NEAR_THE_WRAP:
                raise OddLayoutError("the counter may wrap")
            restart(iv + pad)
            part = data[at : at + size]
            update(part, part)
            at += size

    def many(self, data: memoryview, at: int, sizes: Sequence[int], rows: Iterable[ManyRanges]) -> None:
        """Samples of any number of subsamples; of none: protected from the first byte to the last."""
        for size, (iv, subsamples) in zip(sizes, rows, strict=False):
            if iv[8:12] == _NEAR_THE_WRAP:
                raise OddLayoutError("the counter may wrap")
            self._restart(iv + self._pad)
            for begin, length in _ranges(at, size, subsamples):
                part = data[begin : begin + length]
                self._update(part, part)
            at += size


class CbcsCipher:
    """CBC over the blocks that the pattern selects; pattern and chain start anew in each subsample."""

    def __init__(self, key: bytes, iv_size: int, constant: bytes, crypt: int, skip: int) -> None:
        self.iv_size = iv_size
        self._pad = _padding(iv_size, constant)
        self._crypt, self._skip = crypt, skip
        # Its own IV spoils one block, which is always the place of a range's IV.
        self._update = Cipher(AES(key), CBC(bytes(_BLOCK))).decryptor().update_into
        self._junk = memoryview(bytearray(_BLOCK + SPARE))
        self._scratch = memoryview(bytearray(_BATCH + SPARE))

    def one(self, data: memoryview, at: int, sizes: Sequence[int], rows: Iterable[OneRange]) -> None:
        """Samples of one subsample each."""
        pad = self._pad
        found = []
        for size, (iv, count, clear, protected) in zip(sizes, rows, strict=False):
            if count != 1 or clear + protected > size:
                raise OddLayoutError("an entry does not fit its sample")
            found.append((iv + pad, at + clear, protected))
            at += size
        self._decrypt(data, found)

    def whole(self, data: memoryview, at: int, sizes: Sequence[int], rows: Iterable[tuple[bytes]]) -> None:
        """Samples that are protected from their first byte to their last."""
        pad = self._pad
        found = []
        for size, (iv,) in zip(sizes, rows, strict=False):
            found.append((iv + pad, at, size))
            at += size
        self._decrypt(data, found)

    def many(self, data: memoryview, at: int, sizes: Sequence[int], rows: Iterable[ManyRanges]) -> None:
        """Samples of any number of subsamples; of none: protected from the first byte to the last."""
        found = []
        for size, (iv, subsamples) in zip(sizes, rows, strict=False):
            found += [(iv + self._pad, begin, length) for begin, length in _ranges(at, size, subsamples)]
            at += size
        self._decrypt(data, found)

    def _decrypt(self, data: memoryview, found: list[tuple[bytes, int, int]]) -> None:
        """Decrypt the ranges: IV, begin and length of each."""
        if self._skip:
            self._pattern(data, found)
        else:
            self._every_block(data, found)

    def _every_block(self, data: memoryview, found: list[tuple[bytes, int, int]]) -> None:
        update = self._update
        pieces: list[bytes | memoryview] = []  # IV, blocks, IV, blocks …
        gathered = 0
        for iv, begin, length in found:
            size = length & ~15
            if size >= _LARGE:
                update(iv, self._junk)
                update(data[begin : begin + size], data[begin : begin + size + SPARE])
            elif size:
                gathered += _BLOCK + size
                if gathered > _BATCH:
                    self._batch(pieces)
                    pieces, gathered = [], _BLOCK + size
                pieces.append(iv)
                pieces.append(data[begin : begin + size])
        self._batch(pieces)

    def _batch(self, pieces: list[bytes | memoryview]) -> None:
        scratch = self._scratch
        self._update(b"".join(pieces), scratch)
        at = 0
        for piece in pieces[1::2]:
            at += _BLOCK
            end = at + len(piece)
            piece[:] = scratch[at:end]  # type: ignore[index]  # every second one is a memoryview
            at = end

    def _pattern(self, data: memoryview, found: list[tuple[bytes, int, int]]) -> None:
        # Items of eight bytes are the largest that memoryviews copy by stride: two for a block.
        run, period = 2 * self._crypt, 2 * (self._crypt + self._skip)
        scratch, words = self._scratch, self._scratch[:_BATCH].cast("Q")
        spread: list[tuple[memoryview, memoryview]] = []
        at = 0
        for iv, begin, length in found:
            blocks = length >> 4
            periods, rest = divmod(2 * blocks, period)
            selected = periods * run + min(rest, run)
            if not selected:
                continue
            if at + 2 + selected > len(words):
                self._scatter(spread, run, period, at)
                spread, at = [], 0
                if 2 + selected > len(words):
                    raise OddLayoutError("a large sample")
            scratch[8 * at : 8 * at + _BLOCK] = iv
            at += 2
            packed = words[at : at + selected]
            source = data[begin : begin + _BLOCK * blocks].cast("Q")
            for word in range(run):
                packed[word::run] = source[word::period]
            spread.append((source, packed))
            at += selected
        self._scatter(spread, run, period, at)

    def _scatter(self, spread: list[tuple[memoryview, memoryview]], run: int, period: int, size: int) -> None:
        self._update(self._scratch[: 8 * size], self._scratch)
        for target, packed in spread:
            for word in range(run):
                target[word::period] = packed[word::run]


def _padding(iv_size: int, constant: bytes) -> bytes:
    """What makes sixteen bytes of an entry's IV: of 8 bytes, of 16, or of none."""
    if iv_size:
        return _ZEROS if iv_size == 8 else b""
    return constant.ljust(_BLOCK, b"\0")


def _ranges(at: int, size: int, subsamples: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Begin and length of each protected range of the sample at `at`."""
    if not subsamples:
        return [(at, size)]
    found = []
    end = at + size
    for clear, protected in subsamples:
        found.append((at + clear, protected))
        at += clear + protected
    if at > end:
        raise OddLayoutError("the subsamples are longer than their sample")
    return found
