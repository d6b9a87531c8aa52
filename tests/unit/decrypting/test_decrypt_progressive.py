"""The fast way through progressive files: every table read a window at a time, and no more taken for usual than is."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drm.decrypting.fast import progressive_track, tables
from drm.decrypting.fast.fragmented import decrypt_fast
from drm.decrypting.file import decrypt_file
from drm.decrypting.unmark_boxes import OddLayoutError
from drm.encrypting.source_file import SourceFile
from drm.isobmff.box import encode_box, encode_full_box
from drm.isobmff.box_tree import box_tree
from drm.keys import ContentKey, KeyId

OWN = Path(__file__).parents[2] / "data" / "vectors"
VECTORS: dict[str, Any] = {each["id"]: each for each in json.loads((OWN / "vectors.json").read_text())["vectors"]}
AUDIO = VECTORS["gp_ctr16_prog_av"]
KEYS = {KeyId.parse(key["kid"]): ContentKey.parse(key["key"]) for key in AUDIO["keys"]}
PEAK = """
import pathlib, sys
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak of the process that this one was forked from
from drm.decrypting.fast.fragmented import decrypt_fast
keys = dict(zip(*[iter(map(bytes.fromhex, sys.argv[3:]))] * 2))
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "w+b") as target:
    decrypt_fast(source.fileno(), target.fileno(), keys)
print(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def decrypted_fast(source: Path, target: Path, keys: dict[KeyId, ContentKey], jobs: int = 1) -> bytes:
    with source.open("rb") as file, target.open("w+b") as out:
        decrypt_fast(file.fileno(), out.fileno(), {kid.value: key.secret for kid, key in keys.items()}, jobs=jobs)
    return target.read_bytes()


def flat(nodes: Any, path: str = "") -> Iterator[tuple[str, int, int]]:
    for node in nodes:
        here = f"{path}/{node.type}"
        yield here, node.start, node.size
        yield from flat(node.children, here)


class Film:
    """A file of one track of sound with `count` samples, its tables in the forms that are asked for."""

    def __init__(self, count: int, per_chunk: int = 7) -> None:
        with SourceFile(OWN / AUDIO["files"][0]["path"]) as source:
            whole = source.read_at(0, source.size)
            self.parts = {path: whole[at : at + size] for path, at, size in flat(box_tree(source))}
        self.count = count
        self.sizes = [30 + index % 11 for index in range(count)]
        self.chunks = [self.sizes[at : at + per_chunk] for at in range(0, count, per_chunk)]
        runs = [(1, per_chunk, 1)]
        if count % per_chunk:
            runs.append((len(self.chunks), count % per_chunk, 1))
        self.stsc = runs
        self.wide = False  # co64
        self.entry: Callable[[int], bytes] = lambda index: index.to_bytes(16, "big")
        self.has_subsamples = False
        self.by_saio = True
        self.more_in_stbl = b""
        self.lie = 0  # added to what saiz says of the last sample

    def write(self, path: Path) -> None:
        start = len(self._file(0, 0)) - sum(self.sizes)
        told = self._file(start, 0)
        at = told.rindex(b"senc") + 12
        path.write_bytes(self._file(start, at))

    def _file(self, media: int, entries: int) -> bytes:
        sound = "/moov/trak/mdia"  # the last trak stands for its path
        full = encode_full_box
        table, at = [], media
        for chunk in self.chunks:
            table.append(at)
            at += sum(chunk)
        packed = [self.entry(index) for index in range(self.count)]
        lengths = bytearray(map(len, packed))
        lengths[-1] += self.lie
        code, kind = ("Q", "co64") if self.wide else ("I", "stco")
        boxes = [
            self.parts[f"{sound}/minf/stbl/stsd"],
            full("stts", 0, 0, struct.pack(">III", 1, self.count, 1024)),
            full("stsc", 0, 0, struct.pack(">I", len(self.stsc)), *(struct.pack(">III", *run) for run in self.stsc)),
            full("stsz", 0, 0, struct.pack(f">II{self.count}I", 0, self.count, *self.sizes)),
            full(kind, 0, 0, struct.pack(f">I{len(table)}{code}", len(table), *table)),
            self.more_in_stbl,
        ]
        if self.by_saio:
            boxes.append(full("saiz", 0, 0, struct.pack(">BI", 0, self.count), bytes(lengths)))
            boxes.append(full("saio", 0, 0, struct.pack(">II", 1, entries)))
        boxes.append(full("senc", 0, 2 * self.has_subsamples, struct.pack(">I", self.count), *packed))
        dinf = self.parts[f"{sound}/minf/dinf"]
        minf = encode_box("minf", self.parts[f"{sound}/minf/smhd"], dinf, encode_box("stbl", *boxes))
        mdia = encode_box("mdia", self.parts[f"{sound}/mdhd"], self.parts[f"{sound}/hdlr"], minf)
        trak = encode_box("trak", self.parts["/moov/trak/tkhd"], mdia)
        moov = encode_box("moov", self.parts["/moov/mvhd"], trak)
        return self.parts["/ftyp"] + moov + encode_box("mdat", bytes(index & 255 for index in range(sum(self.sizes))))


def several(index: int) -> bytes:
    """One to three subsamples of at most thirty bytes in all."""
    pairs = [(3, 5)] * (1 + index % 3)
    return index.to_bytes(16, "big") + struct.pack(f">H{'HI' * len(pairs)}", len(pairs), *sum(pairs, ()))


def bend_wide(film: Film) -> None:
    film.wide = True


def bend_senc(film: Film) -> None:
    film.by_saio = False


def bend_one(film: Film) -> None:
    film.has_subsamples = True
    film.entry = lambda index: index.to_bytes(16, "big") + struct.pack(">HHI", 1, index % 13, 17)


def bend_many(film: Film) -> None:
    film.has_subsamples, film.entry = True, several


def bend_many_in_senc(film: Film) -> None:
    film.has_subsamples, film.entry, film.by_saio = True, several, False


FORMS = [lambda _: None, bend_wide, bend_senc, bend_one, bend_many, bend_many_in_senc]


@pytest.mark.parametrize("bend", FORMS, ids=["bare", "co64", "senc", "one", "many", "many in senc"])
@pytest.mark.parametrize("window", [1 << 20, 500])
def test_every_form_of_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bend: Callable[[Film], None], window: int
) -> None:
    """Held against the general way, with windows that cut every table and every chunk somewhere."""
    film = Film(1234)
    bend(film)
    film.write(tmp_path / "in.mp4")
    monkeypatch.setattr(tables, "_WINDOW", min(window, 32 << 10))
    monkeypatch.setattr(tables, "_LONGEST", 200)
    monkeypatch.setattr(progressive_track, "WINDOW", window)
    written = decrypted_fast(tmp_path / "in.mp4", tmp_path / "fast.mp4", KEYS)
    assert decrypted_fast(tmp_path / "in.mp4", tmp_path / "again.mp4", KEYS, jobs=3) == written
    decrypt_file(tmp_path / "in.mp4", tmp_path / "general.mp4", KEYS, fast=False)
    assert written == (tmp_path / "general.mp4").read_bytes()
    assert written != (tmp_path / "in.mp4").read_bytes()


def test_media_that_last_to_the_end_of_the_file(tmp_path: Path) -> None:
    """A box of size 0 (ISO/IEC 14496-12, clause 4.2) is as long as what is left."""
    Film(1234).write(tmp_path / "in.mp4")
    whole = bytearray((tmp_path / "in.mp4").read_bytes())
    head = whole.index(b"mdat") - 4
    whole[head : head + 4] = bytes(4)
    (tmp_path / "in.mp4").write_bytes(whole)
    written = decrypted_fast(tmp_path / "in.mp4", tmp_path / "fast.mp4", KEYS)
    decrypt_file(tmp_path / "in.mp4", tmp_path / "general.mp4", KEYS, fast=False)
    assert written == (tmp_path / "general.mp4").read_bytes()
    assert written != whole


def lie_in_saiz(film: Film) -> None:
    bend_many(film)
    film.lie = 6


def empty_entry(film: Film) -> None:
    film.entry = lambda index: b"" if index == 9 else index.to_bytes(16, "big")


def too_long(film: Film) -> None:
    film.has_subsamples = True
    film.entry = lambda index: index.to_bytes(16, "big") + struct.pack(">HHI", 1, 13, 170)


def too_few_chunks(film: Film) -> None:
    film.stsc = [(1, 6, 1)]


def out_of_order(film: Film) -> None:
    film.stsc = [(1, 7, 1), (1, 7, 1)]


def overlapping(film: Film) -> None:
    film.chunks[3:3] = [[]]  # two chunks at one place


def another_description(film: Film) -> None:
    film.stsc = [(1, 7, 2)]


def twice(film: Film) -> None:
    film.more_in_stbl = encode_full_box("stsz", 0, 0, struct.pack(">II", 5, film.count))


def groups(film: Film) -> None:
    film.more_in_stbl = encode_full_box("sbgp", 0, 0, b"seig", struct.pack(">I", 0))


def too_short_senc(film: Film) -> None:
    bend_many_in_senc(film)
    film.entry = lambda index: b"" if index == 1233 else several(index)


ODD = [lie_in_saiz, empty_entry, too_long, too_few_chunks, out_of_order, overlapping, another_description, twice,
       groups, too_short_senc]  # fmt: skip


@pytest.mark.parametrize("bend", ODD, ids=lambda bend: bend.__name__)
def test_what_is_left_to_the_general_way(tmp_path: Path, bend: Callable[[Film], None]) -> None:
    film = Film(1234)
    bend(film)
    film.write(tmp_path / "in.mp4")
    for jobs in (1, 2):
        with pytest.raises(OddLayoutError):
            decrypted_fast(tmp_path / "in.mp4", tmp_path / "out.mp4", KEYS, jobs=jobs)


def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    """A table of 300,000 samples has 6 MB here; the process may not be a third of that larger for it."""
    told = [word for kid, key in KEYS.items() for word in (kid.hex, key.secret.hex())]
    peaks = []
    for count in (1_000, 300_000):
        Film(count, per_chunk=1000).write(tmp_path / "in.mp4")
        words = [sys.executable, "-c", PEAK, str(tmp_path / "in.mp4"), str(tmp_path / "out.mp4"), *told]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
        ran = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, env=environment)
        peaks.append(int(ran.stdout))
    assert peaks[1] - peaks[0] < 2_500, f"{peaks} KiB"
    assert peaks[1] < 32 << 10, "the bar for any file"
