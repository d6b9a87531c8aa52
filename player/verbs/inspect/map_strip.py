"""The bytes of one sample in an encryption map: the whole of it, and where protection begins, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from drm.keys import KeyId
from drm.media import Sample, SampleCrypto, Scheme
from player.verbs.inspect.map_model import OTHER
from player.verbs.inspect.map_style import Paths, colour_name, text

__all__ = ["STRIP_HEIGHT", "strip"]

STRIP_HEIGHT: Final = 98
BLOCK: Final = 16  # bytes
_WINDOW: Final = 64 * BLOCK  # bytes of the close-up
_BEFORE: Final = 8 * BLOCK  # clear bytes that the close-up shows before the first protected one
_MOST: Final = 400  # ranges of the whole sample that are drawn; what comes behind them is left clear
_BAR: Final = 16

Range = tuple[int, int]


def strip(x: float, y: float, width: float, told: str, sample: Sample, keys: dict[KeyId, int]) -> Iterator[str]:
    """Draw `sample`, whose encryption is told, in a row of `STRIP_HEIGHT` from `y` on."""
    assert sample.crypto is not None
    ranges = [(part, each) for part in sample.crypto.parts() for each in _ranges(part, sample.size)]
    size = max(sample.size, 1)
    start = max(0, min((begin for _, (begin, _) in ranges), default=0) - _BEFORE) // BLOCK * BLOCK
    end = min(size, start + _WINDOW)
    yield text(x, y + 12, told, "bold small")
    paths = Paths()
    paths.add(x, y + 20, width, _BAR, "clear")
    paths.add(x, y + 54, width, _BAR * 1.5, "clear")
    for part, (begin, stop) in ranges:
        colour = keys.get(part.key_id, OTHER)
        skips = _has_pattern(part)
        left, right = x + width * begin / size, x + width * stop / size
        paths.add(left, y + 20, right - left, _BAR, "page")  # what is pale lies on the page, not on grey
        paths.add(left, y + 20, max(right - left, 0.4), _BAR, f"s{colour}" if skips else colour_name(colour))
        if skips and size // BLOCK // (part.crypt_blocks + part.skip_blocks) <= _MOST:
            for run in _crypt_runs(part, begin, stop):
                paths.add(
                    x + width * run[0] / size, y + 20, width * (run[1] - run[0]) / size, _BAR, colour_name(colour)
                )
        for piece, kind in _pieces(part, begin, min(stop, end), colour):
            low, high = max(piece[0], start), min(piece[1], end)
            gap = 0.6 if kind[0] == "k" else 0.0  # lets blocks be counted
            scale = width / (end - start)
            for layer in ("page", kind):
                paths.add(x + (low - start) * scale, y + 54, (high - low) * scale - gap, _BAR * 1.5, layer)
    yield paths.svg()
    left, right = x + width * start / size, x + width * end / size
    edge = f"M{left:.1f} {y + 38}L{x} {y + 52}M{right:.1f} {y + 38}L{x + width} {y + 52}"
    yield f'<path class="line" d="{edge}M{left:.1f} {y + 38}H{right:.1f}"/>'
    yield text(x, y + 90, f"byte {start}", "quiet small")
    yield text(x + width, y + 90, f"byte {end}", "quiet small", "end")


def _ranges(part: SampleCrypto, size: int) -> Iterator[Range]:
    """The protected ranges, from the first byte."""
    if not part.subsamples:
        yield 0, size
        return
    at = 0
    for clear, protected in part.subsamples[:_MOST]:
        at += clear
        if protected:
            yield at, at + protected
        at += protected


def _has_pattern(part: SampleCrypto) -> bool:
    return part.scheme in {Scheme.CENS, Scheme.CBCS} and part.skip_blocks > 0


def _crypt_runs(part: SampleCrypto, begin: int, stop: int) -> Iterator[Range]:
    """What the pattern encrypts between `begin` and `stop`."""
    whole = begin + (stop - begin) // BLOCK * BLOCK
    for at in range(begin, whole, BLOCK * (part.crypt_blocks + part.skip_blocks)):
        yield at, min(at + BLOCK * part.crypt_blocks, whole)


def _pieces(part: SampleCrypto, begin: int, stop: int, colour: int) -> Iterator[tuple[Range, str]]:
    """The range from `begin` to `stop`, block by block where there are blocks."""
    solid, pale = colour_name(colour), f"s{colour}"
    if stop - begin > _WINDOW + BLOCK:  # far before the close-up or far behind: it is not looked at
        stop = begin + _WINDOW + BLOCK
    if part.scheme is Scheme.CENC:
        for at in range(begin, stop, BLOCK):
            yield (at, min(at + BLOCK, stop)), solid
        return
    whole = begin + (stop - begin) // BLOCK * BLOCK
    period = part.crypt_blocks + part.skip_blocks if _has_pattern(part) else 1
    crypt = part.crypt_blocks if _has_pattern(part) else 1
    for at in range(begin, whole, BLOCK):
        is_crypt = (at - begin) // BLOCK % period < crypt
        yield (at, at + BLOCK), solid if is_crypt else pale
    if whole < stop:
        yield (whole, stop), pale
