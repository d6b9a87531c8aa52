"""WebM decrypted to a file: read as clear by FFmpeg and by us, with the right samples, and with nothing moved."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import av
import pytest

from drm.app.byte_stream import FileByteStream
from drm.cenc.decrypt import SampleDecrypter
from drm.decrypting.file import decrypt_file
from drm.errors import DRMError, KeyMissingError, MalformedMediaError, UnsupportedMediaError
from drm.keys import ContentKey, KeyId
from drm.media import SampleCrypto, Scheme
from drm.webm.ebml import Ebml, encode_size, encode_void
from drm.webm.names import id_of
from drm.webm.presentation import open_webm
from player.digests import digest_tracks

OWN = Path(__file__).parents[2] / "data" / "vectors"
VECTORS: list[dict[str, Any]] = json.loads((OWN / "vectors.json").read_text())["vectors"]
WEBM = [each for each in VECTORS if each["files"][0]["path"].endswith(".webm")]
KEY = ContentKey(bytes(range(50, 66)))


def keys_of(vector: dict[str, Any]) -> dict[KeyId, ContentKey]:
    return {KeyId.parse(key["kid"]): ContentKey.parse(key["key"]) for key in vector["keys"]}


@pytest.mark.parametrize("vector", WEBM, ids=lambda vector: vector["id"])
def test_every_vector(tmp_path: Path, vector: dict[str, Any]) -> None:
    source, target, again = OWN / vector["files"][0]["path"], tmp_path / "clear.webm", tmp_path / "again.webm"
    (track,) = vector["tracks"]
    assert decrypt_file(source, target, keys_of(vector)).is_encrypted
    decrypt_file(source, again, keys_of(vector), jobs=3)
    assert again.read_bytes() == target.read_bytes()
    assert target.stat().st_size == source.stat().st_size
    with FileByteStream(target) as stream:
        (found,), _ = digest_tracks(stream, {}, frozenset())
        assert not open_webm(stream).tracks[0].is_protected
    assert (found.sha256, found.samples) == (track["sha256"], track["samples"])
    whole = hashlib.sha256()
    with av.open(str(target)) as file:
        for packet in file.demux():
            whole.update(bytes(packet))
    assert whole.hexdigest() == track["sha256"]
    with av.open(str(target), options={"err_detect": "explode"}) as file:
        assert sum(1 for _ in file.decode()) == track["decoded_frames"]
    assert vector["keys"][0]["kid"].encode() not in target.read_bytes()
    assert bytes.fromhex(vector["keys"][0]["kid"]) not in target.read_bytes()


@pytest.mark.parametrize("vector", WEBM, ids=lambda vector: vector["id"])
def test_seeking_by_its_index_still_finds_the_same_pictures(tmp_path: Path, vector: dict[str, Any]) -> None:
    """Cues count from the Segment: were a Cluster moved, a seek would land elsewhere, or nowhere."""
    source, target = OWN / vector["files"][0]["path"], tmp_path / "clear.webm"
    decrypt_file(source, target, keys_of(vector))
    found = []
    for path in (source, target):
        with av.open(str(path)) as file:
            file.seek(2_000_000)
            packet = next(packet for packet in file.demux() if packet.size)
            found.append((packet.pts, packet.pos is not None))
    assert found[0] == found[1]


# ------------------------------------------------------------------------------------------------ built by hand
def sealed(data: bytes, build: Any, subsamples: tuple[tuple[int, int], ...] = ()) -> bytes:
    """CTR is its own inverse."""
    view = memoryview(bytearray(data))
    SampleDecrypter(KEY).decrypt_into(view, SampleCrypto(build.KID, Scheme.CENC, build.IV, subsamples), view)
    return bytes(view)


def clear(tmp_path: Path, build: Any, data: bytes, **ways: Any) -> bytes:
    source, target = tmp_path / "in.webm", tmp_path / "out.webm"
    source.write_bytes(data)
    decrypt_file(source, target, {build.KID: KEY}, **ways)
    written = target.read_bytes()
    assert len(written) == len(data)
    return written


def samples(build: Any, data: bytes) -> list[bytes]:
    opened = build.open(data)
    assert not opened.tracks[0].is_protected
    return [data[s.offset : s.offset + s.size] for s in opened.samples(1)]


def unknown(name: str, *payload: bytes) -> bytes:
    return id_of(name).to_bytes(4, "big") + encode_size(None, 8) + b"".join(payload)


def test_every_form_of_block_in_every_form_of_cluster(tmp_path: Path, build: Any) -> None:
    payload = bytes(range(90))
    whole = build.frame(sealed(payload, build))
    parts = build.frame(sealed(payload, build, ((10, 20), (30, 30))), 10, 30, 60)
    bare = b"\0" + payload
    padding = build.el("DiscardPadding", b"\1\2\3")
    held = [
        build.simple(whole), build.simple(parts), build.simple(bare), build.group(whole, padding),
        build.group(bare, padding), build.group(parts), build.simple(b"\0"),
    ]  # fmt: skip
    tracks = build.el("Tracks", build.entry(build.encodings()))
    time = build.num("Timestamp", 0)
    for data in (
        build.file(build.cluster(0, *held), entries=build.entry(build.encodings())),
        build.HEADER + unknown("Segment", build.INFO, tracks, unknown("Cluster", time, *held), build.cluster(9, *held)),
    ):
        written = clear(tmp_path, build, data)
        assert samples(build, written) == [payload, payload, payload, payload, payload, payload, b""] * (
            data.count(id_of("Cluster").to_bytes(4, "big"))
        )
        assert written.count(padding) == data.count(padding)
        assert build.IV not in written
        if data.count(id_of("Cluster").to_bytes(4, "big")) == 1:
            assert written == clear(tmp_path, build, data, jobs=2)


def test_a_signal_byte_goes_where_the_size_field_cannot_grow(tmp_path: Path, build: Any) -> None:
    """A size of eight bytes gives one up, and a Void of two fills what is left."""
    block = build.el("SimpleBlock", build.block(b"\0frame"), width=8)
    assert samples(build, clear(tmp_path, build, build.encrypted(block))) == [b"frame"]
    header = build.el("EBML", build.num("EBMLMaxSizeLength", 1), build.el("DocType", b"webm"))
    small = build.simple(b"\0frame")
    data = build.encrypted(small).replace(build.HEADER, header)
    (tmp_path / "out.webm").unlink()
    with pytest.raises(UnsupportedMediaError, match="a byte shorter"):
        clear(tmp_path, build, data)
    assert not (tmp_path / "out.webm").exists()


def test_checksums_go_where_something_changed_and_stay_where_not(tmp_path: Path, build: Any) -> None:
    def summed(name: str, *payload: bytes) -> Any:
        held = b"".join(payload)
        return build.el(name, build.el("CRC-32", zlib.crc32(held).to_bytes(4, "little")), held)

    frame = build.frame(sealed(b"frame", build))
    time = build.num("Timestamp", 0)
    entries = build.entry(build.encodings()) + build.entry(number=2)
    group = summed("BlockGroup", build.el("Block", build.block(frame)))
    changed = summed("Cluster", time, build.simple(frame), group)
    clear_one = summed("Cluster", time, build.simple(b"other", track=2))
    segment = summed("Segment", summed("Info", build.num("TimestampScale", 1_000_000)), summed("Tracks", entries),
                     changed, clear_one)  # fmt: skip
    data = build.HEADER + segment
    written = clear(tmp_path, build, data)
    assert samples(build, written) == [b"frame", b"frame"]
    assert clear_one in written
    sums = data.count(b"\xbf\x84"), written.count(b"\xbf\x84")
    assert sums == (6, 2), "Info and the Cluster of the clear track keep theirs"


def test_clear_tracks_tags_and_what_is_behind_are_copied(tmp_path: Path, build: Any) -> None:
    frame = build.frame(sealed(b"frame", build))
    entries = build.entry(build.encodings()) + build.entry(number=2)
    tags = build.el("Tags", bytes(range(200)))
    others = build.simple(b"\1clear", track=2)
    data = build.file(build.cluster(0, build.simple(frame), others), tags, entries=entries) + b"behind"
    source, target = tmp_path / "in.webm", tmp_path / "out.webm"
    source.write_bytes(data)
    told = decrypt_file(source, target, {build.KID: KEY})
    written = target.read_bytes()
    assert any("behind the Segment" in warning for warning in told.warnings)
    assert samples(build, written) == [b"frame"]
    assert others in written and tags in written and written.endswith(b"behind")  # noqa: PT018 - one claim


def test_a_clear_file_is_copied(tmp_path: Path, build: Any) -> None:
    data = build.file(build.cluster(0, build.simple(b"\1frame")))
    (tmp_path / "in.webm").write_bytes(data)
    assert not decrypt_file(tmp_path / "in.webm", tmp_path / "out.webm", {}).is_encrypted
    assert (tmp_path / "out.webm").read_bytes() == data


def test_all_missing_keys_are_named_and_nothing_is_left(tmp_path: Path, build: Any) -> None:
    other = KeyId(bytes(16))
    entries = build.entry(build.encodings()) + build.entry(
        build.encodings(build.encryption(key_id=other.value)), number=2
    )
    frame = build.frame(b"frame")
    data = build.file(build.cluster(0, build.simple(frame), build.simple(frame, track=2)), entries=entries)
    (tmp_path / "in.webm").write_bytes(data)
    for jobs in (1, 2):
        with pytest.raises(KeyMissingError) as missing:
            decrypt_file(tmp_path / "in.webm", tmp_path / "out.webm", {}, jobs=jobs)
        assert missing.value.kids == (str(build.KID), str(other))
    bare = build.file(build.cluster(0, build.simple(b"\0x")), entries=build.entry(build.encodings()))
    (tmp_path / "bare.webm").write_bytes(bare)
    decrypt_file(tmp_path / "bare.webm", tmp_path / "out.webm", {})  # no frame of it needs the key
    assert samples(build, (tmp_path / "out.webm").read_bytes()) == [b"x"]


@pytest.mark.parametrize(
    ("frame", "flags", "error", "match"),
    [
        (b"\1" + bytes(20), 0x02, UnsupportedMediaError, "laced"),
        (b"\x81" + bytes(20), 0, UnsupportedMediaError, "extension"),
        (b"\1" + bytes(4), 0, MalformedMediaError, "inside its IV"),
    ],
)
def test_what_is_refused(tmp_path: Path, build: Any, frame: bytes, flags: int, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        clear(tmp_path, build, build.encrypted(build.simple(frame, flags=flags)))
    assert [path.name for path in tmp_path.iterdir()] == ["in.webm"]


def test_an_encryption_that_is_not_read_is_refused_and_a_compression_is_copied(tmp_path: Path, build: Any) -> None:
    cbc = build.file(build.cluster(0), entries=build.entry(build.encodings(build.encryption(mode=2))))
    with pytest.raises(UnsupportedMediaError, match="cipher mode 2"):
        clear(tmp_path, build, cbc)
    packed = build.el("ContentCompression", build.num("ContentCompAlgo", 3))
    data = build.file(build.cluster(0, build.simple(b"frame")), entries=build.entry(build.encodings(packed, kind=0)))
    assert clear(tmp_path, build, data) == data


@pytest.mark.parametrize("name", ["pk_webm_vp9_v", "pk_webm_opus_a"])
def test_cut_anywhere_it_is_refused_or_whole(tmp_path: Path, name: str) -> None:
    vector = next(each for each in WEBM if each["id"] == name)
    whole = (OWN / vector["files"][0]["path"]).read_bytes()
    source, target = tmp_path / "in.webm", tmp_path / "out.webm"
    for end in range(200, len(whole), len(whole) // 60):
        source.write_bytes(whole[:end])
        with pytest.raises(DRMError):
            decrypt_file(source, target, keys_of(vector))
        assert [path.name for path in tmp_path.iterdir()] == ["in.webm"]


def test_voids_of_every_size(build: Any) -> None:
    for size in (*range(2, 300), 16_380, 16_390, 70_000):
        data = encode_void(size)
        assert len(data) == size
        found = Ebml(build.Bytes(data)).element(0, None)
        assert (found.id, found.end) == (id_of("Void"), size)


def test_the_command(tmp_path: Path) -> None:
    vector = WEBM[0]
    ((kid, key),) = [(each["kid"], each["key"]) for each in vector["keys"]]
    target = tmp_path / "clear.webm"

    def ran(*more: str) -> subprocess.CompletedProcess[str]:
        source = str(OWN / vector["files"][0]["path"])
        words = [sys.executable, "-m", "player.cli", "decrypt", source, "-o", str(target), *more]
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    missing = ran("--key", f"{'0' * 31}1:{key}")
    assert (missing.returncode, target.exists()) == (4, False)
    assert str(KeyId.parse(kid)) in missing.stderr
    wrong = ran("--key", f"{kid}:{'5a' * 16}", "--check")
    assert (wrong.returncode, target.exists()) == (5, False), wrong.stderr
    assert ran("--key", f"{kid}:{key}", "--check").returncode == 0
    assert target.stat().st_size == vector["files"][0]["bytes"]
