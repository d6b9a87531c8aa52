"""Damaged files by number: input `index` of a seed is the same on every machine and in every run.

Mutations know where boxes and elements begin, because blind noise never gets past the first header.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from drm.isobmff.box_tree import BoxNode, box_tree
from drm.webm.ebml import Ebml, Element
from drm.webm.names import id_of

VECTORS = Path(__file__).parents[1] / "data" / "vectors" / "generated"
WORDS = (0, 1, 7, 8, 15, 16, 255, 256, 0xFFFF, 0x1_0000, 0x1_0001, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
TYPES = (
    b"tenc senc saiz saio trun stsz stz2 stsc stco co64 sgpd sbgp uuid free moof traf trak tfhd tfdt ctts stss elst "
    b"esds wave moov mvex trex schi sinf schm frma mdat pssh stsd encv enca avc1 avcC dOps dfLa"
).split()
_MASTERS = frozenset(map(id_of, ("Segment", "Tracks", "TrackEntry", "ContentEncodings", "ContentEncoding",
                                 "ContentEncryption", "ContentEncAESSettings", "Video", "Audio", "Cluster",
                                 "BlockGroup", "Info")))  # fmt: skip


class Bytes:
    """A file in memory that refuses to be read where nothing is, or more than any box may have."""

    name = "damaged"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, size: int) -> bytes:
        assert offset >= 0
        assert 0 <= size <= 1 << 28
        return self._data[offset : offset + size]


@dataclass(frozen=True)
class Span:
    """A box or an element: where its header starts, where its payload starts, where it ends."""

    start: int
    body: int
    end: int


@dataclass(frozen=True)
class Seed:
    """A sound file, and where its parts are."""

    name: str
    data: bytes
    spans: tuple[Span, ...]
    fields: tuple[tuple[int, int], ...]  # ranges of metadata: what a reader looks at
    is_mp4: bool

    @classmethod
    def load(cls, path: Path) -> Seed:
        data = path.read_bytes()
        if path.suffix == ".webm":
            spans = tuple(_elements(Ebml(Bytes(data)), None, 0, len(data)))
            # A block's media is not looked at: its first bytes, with the signal byte, the IV and the partitions, are.
            fields = tuple((s.start, min(s.end, s.body + 24)) for s in spans)
            return cls(path.stem, data, spans, fields, is_mp4=False)
        nodes = list(_nodes(box_tree(Bytes(data))))
        spans = tuple(Span(n.start, n.start + 8, n.start + n.size) for n in nodes)
        fields = tuple(
            (s.start, s.end if not n.children else s.body)
            for n, s in zip(nodes, spans, strict=True)
            if n.type not in {"mdat", "free"}
        )
        return cls(path.stem, data, spans, fields, is_mp4=True)


def seeds(suffixes: tuple[str, ...] = (".mp4", ".webm")) -> list[Seed]:
    """Every vector of the repository that is one file."""
    return [Seed.load(path) for path in sorted(VECTORS.iterdir()) if path.suffix in suffixes]


def mutant(found: list[Seed], seed: int, index: int) -> tuple[Seed, bytes]:
    """Input `index` of `seed`: which file it came from, and its bytes."""
    # A string seeds Random through SHA-512, so neighbouring numbers have nothing in common.
    random = Random(f"{seed}:{index}")
    origin = random.choice(found)
    data = bytearray(origin.data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        random.choices(_CHANGES, _WEIGHTS)[0](random, data, origin, found)
    return origin, bytes(data)


def _nodes(nodes: Iterable[BoxNode]) -> list[BoxNode]:
    flat = []
    for node in nodes:
        flat.append(node)
        flat += _nodes(node.children)
    return flat


def _elements(ebml: Ebml, parent: Element | None, at: int, end: int) -> list[Span]:
    spans: list[Span] = []
    while at < end:
        found = ebml.element(at, parent)
        stop = end if found.end is None else found.end
        spans.append(Span(at, found.data, stop))
        if found.id in _MASTERS:
            spans += _elements(ebml, found, found.data, stop)
        at = stop
    return spans


# ------------------------------------------------------------------------------------------------ changes
def _place(random: Random, data: bytearray, origin: Seed) -> int:
    start, end = random.choice(origin.fields)
    return random.randrange(start, max(start + 1, end)) % len(data)


def _flip(random: Random, data: bytearray, origin: Seed, _: list[Seed]) -> None:
    data[_place(random, data, origin)] ^= 1 << random.randrange(8)


def _byte(random: Random, data: bytearray, origin: Seed, _: list[Seed]) -> None:
    data[_place(random, data, origin)] = random.randrange(256)


def _word(random: Random, data: bytearray, origin: Seed, _: list[Seed]) -> None:
    """A number that is about to overflow, where numbers are: at multiples of two from the payload's start."""
    span = random.choice(origin.spans)
    at = span.body + 2 * random.randrange(max(1, min(64, (span.end - span.body) // 2)))
    if at + 4 <= len(data):
        data[at : at + 4] = random.choice(WORDS).to_bytes(4, "big")


def _size(random: Random, data: bytearray, origin: Seed, _: list[Seed]) -> None:
    """A size that lies, overlaps its neighbour, or leads back."""
    span = random.choice(origin.spans)
    if origin.is_mp4:
        size = random.choice((*WORDS, span.end - span.start + random.randint(-16, 16), len(data)))
        data[span.start : span.start + 4] = max(0, size).to_bytes(8, "big")[-4:]
    elif span.body <= len(data):
        data[span.body - 1] = random.randrange(256)


def _delete(random: Random, data: bytearray, origin: Seed, _: list[Seed]) -> None:
    at = _place(random, data, origin)
    del data[at : at + random.randint(1, 24)]
    if not data:
        data.append(0)


def _insert(random: Random, data: bytearray, origin: Seed, _: list[Seed]) -> None:
    at = _place(random, data, origin)
    data[at:at] = random.randbytes(random.randint(1, 24))


def _cut(random: Random, data: bytearray, origin: Seed, _: list[Seed]) -> None:
    span = random.choice(origin.spans)
    end = random.choice((span.start, span.body, span.end, span.end - 1, random.randrange(len(data))))
    if 0 < end < len(data):
        del data[end:]


def _rename(random: Random, data: bytearray, origin: Seed, _: list[Seed]) -> None:
    span = random.choice(origin.spans)
    if origin.is_mp4:
        data[span.start + 4 : span.start + 8] = random.choice(TYPES)
    else:
        other = random.choice(origin.spans)
        width = min(4, other.body - other.start)
        data[span.start : span.start + width] = origin.data[other.start : other.start + width]


def _graft(random: Random, data: bytearray, origin: Seed, found: list[Seed]) -> None:
    """A part of this file or of another in the place of one here: boxes twice, in each other, in the wrong order."""
    donor = random.choice([origin, random.choice([each for each in found if each.is_mp4 == origin.is_mp4])])
    theirs, ours = random.choice(donor.spans), random.choice(origin.spans)
    part = donor.data[theirs.start : min(theirs.end, theirs.start + 65536)]
    if ours.end <= len(data):
        data[ours.start : ours.end if random.random() < 0.5 else ours.start] = part


_CHANGES = (_flip, _byte, _word, _size, _delete, _insert, _cut, _rename, _graft)
_WEIGHTS = (5, 4, 6, 2, 1, 1, 1, 2, 1)
