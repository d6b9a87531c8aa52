"""Join encryption data with the samples that it is about: what comes out is sound, or nothing does.

IVs and subsamples stand in one box, their sizes in a second, which samples they are about in a third and how long those
are in a fourth (ISO/IEC 23001-7, clauses 5 to 7). A `SampleCrypto` that leaves here has an IV, and its subsamples fit
into the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final, NoReturn

from drm.errors import MalformedMediaError
from drm.isobmff.multi_key import MultiKeyProtection, read_multi_key_entry
from drm.isobmff.reader import Reader
from drm.isobmff.sample_aux import Senc
from drm.media import Protection, SampleCrypto, Subsample

__all__ = ["Cryptos", "PackedEntries", "Rules", "crypto_from_aux", "crypto_without_aux"]

Rules = Sequence[Protection | None]
"""What holds for each sample: its group's or its description's protection; None for a clear one."""
Cryptos = Sequence[SampleCrypto | None]

_ONE_SUBSAMPLE: Final = {n: Struct(f">{n}sHHI") for n in (0, 8, 16)}  # IV, 1, clear, protected: the usual entry
_SUBSAMPLE: Final = Struct(">HI")
_LONGEST: Final = 16 + 2 + 6 * 0xFFFF  # bytes of an entry under one key
_WINDOW: Final = 128 << 10  # bytes of senc that are read at a time; more only for a longer entry


def fail(place: str, what: str, seen: str = "") -> NoReturn:
    """Raise MalformedMediaError at `place`."""
    raise MalformedMediaError(what, where=place, seen=seen, maybe="a packager's mistake, or a damaged file")


def crypto_without_aux(rules: Rules, place: str) -> list[SampleCrypto | None]:
    """For samples that have no encryption data of their own: constant IV, protected as a whole."""
    made: dict[Protection, SampleCrypto] = {}
    return [None if rule is None else made.get(rule) or made.setdefault(rule, _whole(rule, place)) for rule in rules]


def _whole(rule: Protection, place: str) -> SampleCrypto:
    if isinstance(rule, MultiKeyProtection):
        fail(place, "samples of several keys lack what says which key is where: there is neither senc nor saiz")
    if rule.iv_size:
        fail(
            place, f"encrypted samples lack their IVs of {rule.iv_size} bytes: there is neither senc nor saiz with saio"
        )
    return _crypto(rule, b"", (), place)


def _crypto(rule: Protection, iv: bytes, subsamples: tuple[Subsample, ...], place: str) -> SampleCrypto:
    iv = iv or rule.constant_iv
    if not iv:
        fail(place, "an encrypted sample has no IV: neither one of its own nor a constant one")
    return SampleCrypto(rule.key_id, rule.scheme, iv, subsamples, rule.crypt_blocks, rule.skip_blocks)


def _usual_entries(data: memoryview, sizes: Sequence[int], rule: Protection, place: str) -> list[SampleCrypto] | None:
    """Entries that all have exactly one subsample, in one go; None when they are not so."""
    shape = _ONE_SUBSAMPLE[rule.iv_size]
    if len(data) != shape.size * len(sizes) or not (rule.iv_size or rule.constant_iv):
        return None
    rows = list(shape.iter_unpack(data))
    if any(count != 1 for _, count, _, _ in rows):
        return None
    for index, ((_, _, clear, protected), size) in enumerate(zip(rows, sizes, strict=True)):
        if clear + protected > size:
            _too_long(place, index, clear + protected, size)
    key_id, scheme, constant = rule.key_id, rule.scheme, rule.constant_iv
    crypt, skip = rule.crypt_blocks, rule.skip_blocks
    if not rule.iv_size:
        return [SampleCrypto(key_id, scheme, constant, ((clear, prot),), crypt, skip) for _, _, clear, prot in rows]
    return [SampleCrypto(key_id, scheme, iv, ((clear, prot),), crypt, skip) for iv, _, clear, prot in rows]


def _bare_ivs(data: memoryview, rule: Protection) -> list[SampleCrypto]:
    """Entries that are an IV and nothing else: the samples are protected as a whole."""
    key_id, scheme, crypt, skip = rule.key_id, rule.scheme, rule.crypt_blocks, rule.skip_blocks
    return [SampleCrypto(key_id, scheme, iv, (), crypt, skip) for (iv,) in Struct(f"{rule.iv_size}s").iter_unpack(data)]


def _too_long(place: str, index: int, told: int, size: int) -> NoReturn:
    fail(
        place, "subsamples are longer than their sample", f"{told} bytes in the {size} bytes of sample {index + 1} here"
    )


def _subsamples(data: memoryview, at: int, count: int) -> tuple[Subsample, ...]:
    return tuple(_SUBSAMPLE.iter_unpack(data[at : at + 6 * count]))


class PackedEntries:
    """The entries of a `senc`, opened from the front as samples come; a window of them is held.

    Args:
        senc: the box.
        clear_iv_size: bytes of IV in the entry of an unprotected sample; None when those have no entry at all.
        place: for error messages.
    """

    def __init__(self, senc: Senc, *, clear_iv_size: int | None, place: str) -> None:
        self._senc = senc
        self._box = senc.entries()  # stands behind the window
        self._size = self._left = self._box.remaining
        self._data, self._at = memoryview(b""), 0
        self._has_subsamples = senc.has_subsamples
        self._clear_iv_size = clear_iv_size
        self._place = place

    @property
    def remaining(self) -> int:
        """Bytes that no sample has claimed yet; 0 when all fitted."""
        return len(self._data) - self._at + self._left

    def _fill(self, size: int) -> None:
        """Have the next `size` bytes in the window, or all that are left."""
        held = self._data[self._at :]
        if self._left and len(held) < size:
            more = self._box.take_view(min(self._left, max(size, _WINDOW)))
            self._data, self._at = memoryview(b"".join((held, more))) if held else more, 0
            self._left = self._box.remaining

    def skip(self, count: int, iv_size: int) -> None:
        """Pass over `count` entries."""
        if not self._has_subsamples:  # they may have no bytes at all, so counting them one by one might never end
            self._fill(count * iv_size)
            end = self._at + count * iv_size
            self._need(end)
            self._at = end
            return
        for _ in range(count):
            self._entry(iv_size)

    def take(self, sizes: Sequence[int], rules: Rules) -> Cryptos:
        """Open the entries of the next samples."""
        first = rules[0]
        if type(first) is Protection and rules.count(first) == len(rules):
            width = first.iv_size + (8 if self._has_subsamples else 0)
            self._fill(width * len(sizes))
            end = self._at + width * len(sizes)
            chunk = self._data[self._at : end]
            made: list[SampleCrypto] | None = None
            if self._has_subsamples:
                made = _usual_entries(chunk, sizes, first, self._place)
            elif width and len(chunk) == width * len(sizes):
                made = _bare_ivs(chunk, first)
            if made is not None:
                self._at = end
                return made
        return [self._next(size, rule, index) for index, (size, rule) in enumerate(zip(sizes, rules, strict=True))]

    def _next(self, size: int, rule: Protection | None, index: int) -> SampleCrypto | None:
        if rule is None:
            if self._clear_iv_size is not None:
                self._entry(self._clear_iv_size)
            return None
        if isinstance(rule, MultiKeyProtection):
            return self._keyed(size, rule)
        iv, subsamples = self._entry(rule.iv_size)
        told = sum(map(sum, subsamples))
        if told > size:
            _too_long(self._place, index, told, size)
        # A count of 0 under the subsample flag means the whole sample, as FFmpeg and Bento4 have it.
        return _crypto(rule, iv, subsamples, self._place)

    def _keyed(self, size: int, rule: MultiKeyProtection) -> SampleCrypto | None:
        """An entry that says how long it is as it goes: taken from the box, and the window is given up."""
        box = self._senc.entries()
        box.path = f"{self._place}, encryption data"
        box.skip(self._size - self.remaining)
        crypto = read_multi_key_entry(box, rule, size)
        self._box, self._left = box, box.remaining
        self._data, self._at = memoryview(b""), 0
        return crypto

    def _entry(self, iv_size: int) -> tuple[bytes, tuple[Subsample, ...]]:
        if self._left and len(self._data) - self._at < _LONGEST:
            self._fill(_LONGEST)
        data, at = self._data, self._at
        if not self._has_subsamples:
            end = at + iv_size
            self._need(end)
            self._at = end
            return bytes(data[at:end]), ()
        middle = at + iv_size + 2
        self._need(middle)
        count = data[middle - 2] << 8 | data[middle - 1]
        end = middle + 6 * count
        self._need(end)
        self._at = end
        return bytes(data[at : middle - 2]), _subsamples(data, middle, count)

    def _need(self, end: int) -> None:
        if end > len(self._data):
            fail(self._place, "the encryption data ends before its samples do", f"{self._size} bytes in senc")


def crypto_from_aux(data: bytes, aux_sizes: Sequence[int], sizes: Sequence[int], rules: Rules, place: str) -> Cryptos:
    """Join contiguous auxiliary information, cut by `saiz`, with its samples.

    `data` is exactly as long as the sizes say. A size of 0 means no information: a constant IV where there is one,
    otherwise a clear sample.
    """
    view = memoryview(data)
    first = rules[0]
    same = type(first) is Protection and rules.count(first) == len(rules)
    if first is not None and same and set(aux_sizes) == {first.iv_size + 8}:
        made = _usual_entries(view, sizes, first, place)
        if made is not None:
            return made
    if first is not None and same and set(aux_sizes) == {first.iv_size}:
        return _bare_ivs(view, first) if first.iv_size else crypto_without_aux(rules, place)
    cryptos: list[SampleCrypto | None] = []
    at = 0
    for index, (aux, size, rule) in enumerate(zip(aux_sizes, sizes, rules, strict=True)):
        end = at + aux
        if rule is None or (aux == 0 and rule.iv_size):
            cryptos.append(None)
        elif isinstance(rule, MultiKeyProtection):
            reader = _reader(view, at, end, place)
            cryptos.append(read_multi_key_entry(reader, rule, size))
            reader.expect_end()
        else:
            iv = bytes(view[at : at + rule.iv_size])
            subsamples = _cut(view, at + rule.iv_size, end, place) if aux else ()
            told = sum(map(sum, subsamples))
            if told > size:
                _too_long(place, index, told, size)
            cryptos.append(_crypto(rule, iv, subsamples, place))
        at = end
    return cryptos


def _reader(view: memoryview, at: int, end: int, place: str) -> Reader:
    """The entries between `at` and `end`; offsets in its errors count from the first entry."""
    reader = Reader(view, at=at, end=end)
    reader.path = f"{place}, encryption data"
    return reader


def _cut(view: memoryview, at: int, end: int, place: str) -> tuple[Subsample, ...]:
    """The subsamples between `at` and `end`, which must be filled exactly; nothing there: none are told."""
    if at == end:
        return ()
    count = (view[at] << 8 | view[at + 1]) if at + 2 <= end else 0
    if at + 2 + 6 * count != end:
        fail(place, "auxiliary information does not have the length that saiz gives", f"{end - at} bytes behind the IV")
    return _subsamples(view, at + 2, count)
