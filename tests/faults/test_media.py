"""Files that are truncated, hostile or no MP4 at all: one paragraph that names the file, in time, never a traceback."""

import os
import random
import struct
import subprocess

import pytest

from tests.interop.command import is_one_paragraph, write_keys

QUICK = 15.0  # seconds; what is refused is refused at once


@pytest.fixture
def keys(film, sound_film, tmp_path):
    return write_keys(tmp_path / "keys", {*film.keys, *sound_film.keys})


@pytest.fixture
def play(clearkey, keys, tmp_path):
    """Play bytes, or a file, that must be refused; return what was said."""

    def run(what, *, code: int = 3):
        path = what
        if isinstance(what, bytes):
            path = tmp_path / "film.mp4"
            path.write_bytes(what)
        hashes = tmp_path / "hashes"
        ran = clearkey("play", path, "--keys-file", keys, "--framemd5", hashes, timeout=QUICK)
        assert ran.code == code, ran.err
        assert is_one_paragraph(ran), ran.err
        assert path.name in ran.err
        assert not hashes.exists()
        assert not [left for left in tmp_path.iterdir() if left.name.endswith(".part")]
        return ran

    return run


def tops(data: bytes) -> dict[str, int]:
    """Where each top-level box ends; of several of a name, the first."""
    found, at = {}, 0
    while at + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        at += size
        found.setdefault(name.decode(), at)
    return found


@pytest.mark.parametrize("layout", ["fragmented", "progressive"])
@pytest.mark.parametrize("place", ["in-ftyp", "in-moov", "in-the-first-mdat", "nearly-whole"])
def test_a_truncated_file(play, film, sound_film, layout: str, place: str) -> None:
    data = (film if layout == "fragmented" else sound_film).files[0].read_bytes()
    assert (b"moof" in data) == (layout == "fragmented")
    ends = tops(data)
    cut = {
        "in-ftyp": 12,
        "in-moov": ends["moov"] - 40,
        "in-the-first-mdat": ends["mdat"] - 700,
        "nearly-whole": (len(data) if layout == "fragmented" else ends["mdat"]) - 1,
    }[place]
    said = play(data[:cut]).err
    assert "E-MEDIA" in said


def test_a_truncated_fragment_in_the_middle_of_play(play, film) -> None:
    """The header is whole, and the keys are right: the end comes when frames are out already, and they are not kept."""
    data = film.files[0].read_bytes()
    assert data.count(b"moof") == 3
    said = play(data[: data.rindex(b"moof") + 3000]).err
    assert "E-MEDIA-TRUNCATED" in said


def test_a_missing_file_and_a_folder(play, tmp_path) -> None:
    assert "No such file" in play(tmp_path / "nowhere.mp4", code=2).err
    (tmp_path / "folder").mkdir()
    assert "directory" in play(tmp_path / "folder", code=2).err


@pytest.mark.parametrize("verb", ["inspect", "digest", "keys check"])
def test_the_other_verbs_refuse_too(clearkey, keys, film, tmp_path, verb: str) -> None:
    path = tmp_path / "film.mp4"
    for data, code in ((b"", 3), (b"hello, world\n" * 20, 3), (film.files[0].read_bytes()[:700], 3), (None, 2)):
        path.unlink() if data is None else path.write_bytes(data)
        words = [] if verb == "inspect" else ["--keys-file", keys]
        ran = clearkey(*verb.split(), *words, path, timeout=QUICK)
        assert ran.code == code, (data, ran.err)
        assert "Traceback" not in ran.said
        assert code == 2 or is_one_paragraph(ran), ran.err


def test_an_empty_file(play) -> None:
    assert "empty" in play(b"").err


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"#EXTM3U\n#EXT-X-VERSION:7\n", "playlist"),
        (b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>', "MPD"),
        (b"These are only words.\n" * 40, ""),
        (bytes(5000), ""),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), ""),
        (b"ID3\x04" + bytes(100), ""),
    ],
    ids=["hls", "dash", "text", "zeros", "png", "mp3"],
)
def test_what_is_no_mp4(play, data: bytes, name: str) -> None:
    said = play(data).err
    assert name in said
    assert "  try " in said or "  maybe " in said, "what to do about it"


@pytest.mark.parametrize(("name", "word"), [("pk_hls_ts/v_1.ts", "MPEG")])
def test_other_containers_are_named(play, own_vectors, name: str, word: str) -> None:
    assert word in play(own_vectors / "generated" / name).err


# ------------------------------------------------------------------------------------------------ hostile
def box(name: bytes, body: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack(">I4s", len(body) + 8 if size is None else size, name) + body


FTYP = box(b"ftyp", b"isom\0\0\2\0isomiso6")


@pytest.mark.parametrize(
    "data",
    [
        FTYP,
        FTYP + box(b"moov"),
        FTYP + box(b"moov", size=0xFFFFFFFF),
        FTYP + box(b"moov", size=4),
        FTYP + struct.pack(">I4sQ", 1, b"moov", 1 << 62),
        FTYP + struct.pack(">I4sQ", 1, b"moov", 3),
        FTYP + box(b"moov", box(b"trak") * 20_000),
        FTYP + box(b"free") * 50_000 + box(b"moov"),
        FTYP + box(b"moov", box(b"mvhd", bytes(100)) + box(b"pssh", bytes(20) + b"\xff\xff\xff\xff")),
        FTYP + b"".join(struct.pack(">I4s", 8 * (3000 - deep), b"moov") for deep in range(3000)),
        box(b"mdat", bytes(64)),
    ],
    ids=["only-ftyp", "empty-moov", "4-GiB-moov", "size-4", "64-bit-size", "64-bit-size-3", "20000-traks",
         "50000-boxes", "huge-pssh", "3000-deep", "only-mdat"],
)  # fmt: skip
def test_hostile_boxes(play, data: bytes) -> None:
    play(data)


def altered(data: bytes, name: bytes, offset: int, value: bytes) -> bytes:
    """Overwrite `value` at `offset` bytes after the first four-character code `name`."""
    at = data.index(name) + 4 + offset
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("name", "offset", "value"),
    [
        (b"trun", 4, b"\xff\xff\xff\xff"),  # sample count
        (b"trun", 8, b"\x7f\xff\xff\xff"),  # data offset
        (b"trun", 12, b"\xff\xff\xff\xff"),  # the first sample's duration or size
        (b"senc", 4, b"\xff\xff\xff\xff"),
        (b"senc", 16, b"\xff\xff"),  # subsamples of the first sample
        (b"senc", 18, b"\xff\xff\xff\xff\xff\xff"),  # their sizes
        (b"saiz", 5, b"\xff\xff\xff\xff"),
        (b"tenc", 7, b"\x05"),  # IV size
    ],
    ids=["trun-count", "trun-offset", "trun-sizes", "senc-count", "senc-subsamples", "senc-sizes", "saiz-count",
         "tenc-iv-size"],
)  # fmt: skip
def test_hostile_values_in_a_real_file(play, film, name: bytes, offset: int, value: bytes) -> None:
    play(altered(film.files[0].read_bytes(), name, offset, value))


@pytest.mark.parametrize(("name", "offset", "value"), [
    (b"stsz", 8, b"\xff\xff\xff\xff"), (b"stco", 8, b"\xff\xff\xff\x00"), (b"stsc", 8, b"\0\0\0\x09"),
    (b"stts", 4, b"\xff\xff\xff\xff"), (b"mdhd", 12, b"\0\0\0\0"),
])  # fmt: skip
def test_hostile_values_in_a_sample_table(clearkey, sound_film, tmp_path, name, offset, value) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(altered(sound_film.files[0].read_bytes(), name, offset, value))
    ran = clearkey("play", path, "--keys-file", write_keys(tmp_path / "keys", sound_film.keys), timeout=QUICK)
    assert ran.code == 3, ran.err
    assert is_one_paragraph(ran), ran.err


@pytest.mark.parametrize("seed", range(5))
def test_random_damage_never_ends_in_a_traceback_or_a_hang(clearkey, film, tmp_path, seed: int) -> None:
    """Bytes of the headers altered at random: it plays, or it is refused as what it is."""
    dice = random.Random(seed)
    data = bytearray(film.files[0].read_bytes())
    headers = tops(data)["moov"] + 2000
    for _ in range(8):
        data[dice.randrange(8, headers)] = dice.randrange(256)
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    ran = clearkey("play", path, "--keys-file", write_keys(tmp_path / "keys", film.keys), timeout=QUICK)
    assert ran.code in {0, 3, 4, 5}, ran.err
    assert "Traceback" not in ran.said
    assert ran.code == 0 or is_one_paragraph(ran), ran.err


def test_damaged_media_data_under_the_right_key(clearkey, film, keys, tmp_path) -> None:
    """A few samples of noise in the middle: whether they decode or not, it ends, and the key is not blamed."""
    data = bytearray(film.files[0].read_bytes())
    middle = data.rindex(b"mdat") + 9000
    data[middle : middle + 600] = random.Random(1).randbytes(600)
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    ran = clearkey("play", path, "--keys-file", keys, timeout=QUICK)
    assert ran.code in {0, 3}, ran.err
    assert "Traceback" not in ran.said


def test_a_pipe_that_never_gives_anything_is_refused(clearkey, tmp_path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    try:
        ran = clearkey("play", pipe, timeout=QUICK)
    except subprocess.TimeoutExpired:
        pytest.fail("opening a pipe waits for a writer for ever")
    assert ran.code in {2, 3}, ran.err
    assert is_one_paragraph(ran), ran.err
