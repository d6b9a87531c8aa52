"""Progressive files of every form of table, encrypted in memory that does not grow with them."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drm.app.byte_stream import FileByteStream
from drm.decrypting.file import decrypt_file
from drm.encrypting.box_tree import BoxTree
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.encrypting.long_payload import Spool
from drm.encrypting.source_file import SourceFile
from drm.errors import DRMError, MalformedMediaError, UnsupportedMediaError
from drm.isobmff.box import encode_box, load_box, top_boxes
from drm.media import Scheme, TrackType
from player.digests import digest_tracks

PEAK = """
import pathlib, sys
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak of the process that this one was forked from
from player.quick.encrypt import encrypt_at_once
assert encrypt_at_once(sys.argv[1:]) == 0
print(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def table(code: str, values: Any) -> bytes:
    made = array(code, values)
    if sys.byteorder == "little":
        made.byteswap()
    return made.tobytes()


class Film:
    """A clear file of one track of sound whose tables come in the forms that are asked for; its bytes are no AAC."""

    def __init__(self, clip: Path, count: int, per_chunk: int = 7) -> None:
        with SourceFile(clip) as source:
            tops = {top.type: top for top in top_boxes(source)}
            self.ftyp = source.read_at(tops["ftyp"].start, tops["ftyp"].size)
            self.moov = BoxTree.parse(load_box(source, tops["moov"]))
        sound = next(trak for trak in self.moov.all("trak") if trak.one("mdia", "hdlr").payload[8:12] == b"soun")
        self.moov.children = [self.moov.one("mvhd"), sound]
        self.stbl = sound.one("mdia", "minf", "stbl")
        self.count, self.per_chunk = count, per_chunk
        self.sizes = [30 + index % 11 for index in range(count)]
        self.order: Callable[[list[int]], list[int]] = list  # of chunks in the file
        self.wide = self.behind = False  # co64; moov behind the media data
        self.bits = 0  # of stz2
        self.shift = 0  # added to the offset of the last chunk
        self.stsc: list[tuple[int, int, int]] = []
        self.stts = [(count // 2, 1024), (count - count // 2, 512)]

    def write(self, path: Path) -> None:
        chunks = [self.sizes[at : at + self.per_chunk] for at in range(0, self.count, self.per_chunk)]
        runs = self.stsc or [(1, self.per_chunk, 1)]
        if not self.stsc and self.count % self.per_chunk:
            runs.append((len(chunks), self.count % self.per_chunk, 1))
        places, at = [0] * len(chunks), 0
        for number in self.order(list(range(len(chunks)))):
            places[number] = at
            at += sum(chunks[number])
        places[-1] += self.shift
        media = encode_box("mdat", bytes(index & 255 for index in range(251)) * (at // 251) + bytes(at % 251))
        for _ in range(2):
            start = len(self.ftyp) + (0 if self.behind else self.moov.size) + 8
            self.stbl.children = [self.stbl.one("stsd"), *self._tables(runs, [start + each for each in places])]
        parts = [self.ftyp, self.moov.encode(), media]
        path.write_bytes(b"".join([parts[0], parts[2], parts[1]] if self.behind else parts))

    def _tables(self, runs: list[tuple[int, int, int]], places: list[int]) -> list[BoxTree]:
        full, count = BoxTree.full, self.count
        if self.bits:
            nibbles = [*self.sizes, 0]
            pairs = (nibbles[at] << 4 | nibbles[at + 1] for at in range(0, count, 2))
            packed = table("B", pairs) if self.bits == 4 else table({8: "B", 16: "H"}[self.bits], self.sizes)
            sizes = full("stz2", 0, 0, struct.pack(">II", self.bits, count), packed)
        else:
            sizes = full("stsz", 0, 0, struct.pack(">II", 0, count), table("I", self.sizes))
        kind, code = ("co64", "Q") if self.wide else ("stco", "I")
        return [
            full("stts", 0, 0, struct.pack(">I", len(self.stts)), *(struct.pack(">II", *run) for run in self.stts)),
            full("stsc", 0, 0, struct.pack(">I", len(runs)), *(struct.pack(">III", *run) for run in runs)),
            sizes,
            full(kind, 0, 0, struct.pack(">I", len(places)), table(code, places)),
        ]


def hashes(path: Path, keys: Any = ()) -> list[tuple[int, str]]:
    with FileByteStream(path) as stream:
        digests, _ = digest_tracks(stream, dict(keys), frozenset())
    return [(track.samples, track.sha256) for track in digests]


def wide(film: Film) -> None:
    film.wide = True


def behind(film: Film) -> None:
    film.behind = True


def backwards(film: Film) -> None:
    film.order = lambda chunks: chunks[::-1]


def compact(film: Film) -> None:
    film.bits = 8


def words(film: Film) -> None:
    film.bits = 16
    film.sizes = [300] * film.count


def nibbles(film: Film) -> None:
    film.bits = 4
    film.sizes = [1 + index % 15 for index in range(film.count)]


def empty_ones(film: Film) -> None:
    film.sizes[::5] = [0] * len(film.sizes[::5])


def one_each(film: Film) -> None:
    film.per_chunk = 1


def one_chunk(film: Film) -> None:
    film.per_chunk = film.count


def one_sample_of_two_megabytes(film: Film) -> None:
    film.sizes[film.count // 2] = 2 << 20


FORMS = [wide, behind, backwards, compact, words, nibbles, empty_ones, one_each, one_chunk, one_sample_of_two_megabytes]
SETTINGS: dict[str, dict[str, Any]] = {"plain": {}, "lead": {"clear_lead": 3.0}, "periods": {"period": 5.0}}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_of_table(
    tmp_path: Path, clips: Any, keys: Any, form: Callable[[Film], None], settings: str
) -> None:
    film = Film(clips(fragmented=False), 1501)
    form(film)
    clear, back = tmp_path / "clear.mp4", tmp_path / "back.mp4"
    film.write(clear)
    told: dict[str, Any] = {"first_iv": bytes(8)} | SETTINGS[settings]
    told |= {"later_keys": (keys[0],)} if settings == "periods" else {}
    tracks = {TrackType.AUDIO: TrackEncryption(keys[1][0], keys[1][1], **told)}
    made = []
    for jobs in (1, 3):
        sealed = tmp_path / f"sealed{jobs}.mp4"
        encrypt_file(clear, sealed, scheme=Scheme.CENC, tracks=tracks, jobs=jobs)
        made.append(sealed.read_bytes())
    assert made[0] == made[1]
    assert hashes(tmp_path / "sealed1.mp4", keys) == hashes(clear)
    assert made[0][-len(clear.read_bytes()) // 2 :] != clear.read_bytes()[-len(clear.read_bytes()) // 2 :]
    decrypt_file(tmp_path / "sealed1.mp4", back, dict(keys))
    assert hashes(back) == hashes(clear)
    assert {path.name for path in tmp_path.iterdir()} == {"clear.mp4", "back.mp4", "sealed1.mp4", "sealed3.mp4"}


def overlapping(film: Film) -> None:
    film.shift = -1


def outside(film: Film) -> None:
    film.shift = 1
    film.behind = True


def beyond(film: Film) -> None:
    film.shift = 1


def early_times(film: Film) -> None:
    film.stts = [(film.count - 1, 1024)]


def few_chunks(film: Film) -> None:
    film.stsc = [(1, 6, 1)]


def falling(film: Film) -> None:
    film.stsc = [(1, 7, 1), (1, 7, 1)]


def not_from_one(film: Film) -> None:
    film.stsc = [(2, 7, 1)]


def other_description(film: Film) -> None:
    film.stsc = [(1, 7, 2)]


BROKEN = [
    (overlapping, UnsupportedMediaError, "share the bytes"),
    (outside, MalformedMediaError, "outside the media data"),
    (beyond, DRMError, "outside the file"),
    (early_times, MalformedMediaError, "stts ends before"),
    (few_chunks, MalformedMediaError, "fewer samples than stsz"),
    (falling, MalformedMediaError, "do not rise"),
    (not_from_one, MalformedMediaError, "do not rise"),
    (other_description, MalformedMediaError, "description 2"),
]


@pytest.mark.parametrize(("bend", "kind", "said"), BROKEN, ids=[row[0].__name__ for row in BROKEN])
def test_tables_that_contradict_one_another(
    tmp_path: Path, clips: Any, keys: Any, bend: Callable[[Film], None], kind: type[DRMError], said: str
) -> None:
    film = Film(clips(fragmented=False), 1498)
    bend(film)
    film.write(tmp_path / "clear.mp4")
    tracks = {TrackType.AUDIO: TrackEncryption(*keys[1])}
    with pytest.raises(kind, match=said):
        encrypt_file(tmp_path / "clear.mp4", tmp_path / "sealed.mp4", scheme=Scheme.CENC, tracks=tracks)
    assert [path.name for path in tmp_path.iterdir()] == ["clear.mp4"]


@pytest.mark.parametrize("name", ["stts", "stsc", "stco", "stsz"])
def test_a_table_that_says_more_than_it_holds(tmp_path: Path, clips: Any, keys: Any, name: str) -> None:
    film = Film(clips(fragmented=False), 700)
    film.stts = [(6000, 1024)]
    film.write(tmp_path / "clear.mp4")
    data = bytearray((tmp_path / "clear.mp4").read_bytes())
    at = data.index(name.encode()) + (12 if name == "stsz" else 8)
    data[at : at + 4] = struct.pack(">I", 6000)  # no more than the file has bytes
    (tmp_path / "clear.mp4").write_bytes(data)
    with pytest.raises(MalformedMediaError, match=f"the {name} box ends before its contents do"):
        encrypt_file(
            tmp_path / "clear.mp4", tmp_path / "sealed.mp4", scheme=Scheme.CENC,
            tracks={TrackType.AUDIO: TrackEncryption(*keys[1])},
        )  # fmt: skip


def test_broken_tables_of_tracks_that_stay_clear_or_lie_in_fragments(tmp_path: Path, clips: Any, keys: Any) -> None:
    """They are copied as they are: what comes out would be broken as well."""
    for fragmented in (True, False):
        data = bytearray(clips(fragmented=fragmented).read_bytes())
        at = data.rindex(b"stco") + 8
        data[at : at + 4] = b"\x7f\xff\xff\xff"
        (tmp_path / "clear.mp4").write_bytes(data)
        with pytest.raises(MalformedMediaError, match="the stco box ends before its contents do"):
            encrypt_file(
                tmp_path / "clear.mp4", tmp_path / "sealed.mp4", scheme=Scheme.CENC,
                tracks={TrackType.VIDEO: TrackEncryption(*keys[0])},
            )  # fmt: skip


def test_memory_does_not_grow_with_the_film(tmp_path: Path, clips: Any, keys: Any) -> None:
    """Tables and entries of 400,000 samples have 6 MB here; the process may not be a third of that larger for it."""
    peaks = []
    for count in (1_000, 400_000):
        Film(clips(fragmented=False), count, per_chunk=40).write(tmp_path / "in.mp4")
        kid, key = keys[1]
        told = [
            str(tmp_path / "in.mp4"),
            "-o",
            str(tmp_path / "out.mp4"),
            "--key",
            f"{kid.hex}:{key.secret.hex()}",
            "-q",
        ]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
        ran = subprocess.run(
            [sys.executable, "-c", PEAK, *told], capture_output=True, text=True, check=True, timeout=60, env=environment
        )
        peaks.append(int(ran.stdout))
    assert peaks[1] - peaks[0] < 3_000, f"{peaks} KiB"


def test_a_spool_gives_back_what_it_was_given(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    data = bytes(index * 7 & 255 for index in range(1 << 20))
    for at in range(0, len(data), 10_007):
        spool.extend(data[at : at + 10_007])
    assert len(spool) == len(data)
    assert b"".join(spool.pieces()) == data
    assert all(spool.read(at, 5_000) == data[at : at + 5_000] for at in range(0, len(data) - 5_000, 4_999))
    assert not list(tmp_path.iterdir())
    spool.close()


def test_a_full_disk_leaves_nothing(tmp_path: Path, clips: Any, keys: Any) -> None:
    Film(clips(fragmented=False), 60_000, per_chunk=40).write(tmp_path / "in.mp4")
    kid, key = keys[1]
    words = [sys.executable, "-c", PEAK, str(tmp_path / "in.mp4"), "-o", str(tmp_path / "out.mp4")]
    ran = subprocess.run(
        [*words, "--key", f"{kid.hex}:{key.secret.hex()}", "-q"],
        capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert ran.returncode
    assert "out.mp4" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
