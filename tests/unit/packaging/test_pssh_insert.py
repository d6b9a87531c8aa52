"""A box of the common system put into files: no sample changes, and every offset still points to what it pointed to."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from drm.encrypting.source_file import SourceFile
from drm.errors import DRMError, InvalidArgumentError, MediaError, UnsupportedMediaError
from drm.isobmff.box import load_box, top_boxes
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import PLAYREADY, WIDEVINE, make_data
from drm.isobmff.samples import open_presentation
from drm.keys import COMMON_SYSTEM, KeyId
from drm.packaging.pssh_insert import insert_common_pssh

EXTRA = KeyId(b"one more key id.")
KID = KeyId.parse("10000000-1000-1000-1000-100000000001")
OWN = Path(__file__).parents[2] / "data" / "vectors"
FILES = sorted(path.name for path in (OWN / "generated").glob("*.mp4"))
FRAGMENTED = "pk_cenc_iv8_v.mp4"  # data offsets count from each moof


def samples(path: Path) -> dict[int, list[object]]:
    """Each sample's bytes and encryption, by track; a track that breaks off ends with the error."""
    found: dict[int, list[object]] = {}
    with SourceFile(path) as source:
        presentation = open_presentation(source)
        for track in presentation.tracks:
            of_track = found.setdefault(track.track_id, [])
            try:
                for sample in presentation.samples(track.track_id):
                    of_track.append((source.read_at(sample.offset, sample.size), sample.crypto, sample.dts))
            except MediaError as error:
                of_track.append(error.what)
    return found


def common_boxes(path: Path) -> list[Pssh]:
    with SourceFile(path) as source:
        moov = next(top for top in top_boxes(source) if top.type == "moov")
        boxes = [Pssh.parse(box) for box in load_box(source, moov).boxes() if box.type == "pssh"]
    return [box for box in boxes if box.system_id == COMMON_SYSTEM]


def index_targets(path: Path) -> Iterator[tuple[str, str]]:
    """The kind of each index entry, and the kind of box that begins where it points."""
    with SourceFile(path) as source:
        starts = {top.start: top.type for top in top_boxes(source)} | {source.size: "end"}
        for top in top_boxes(source):
            if top.type == "sidx":
                box = load_box(source, top)
                version, _ = box.full_box()
                box.skip(8)
                at = top.end + box.unpack(struct.Struct(">QQ" if version else ">II"))[1]
                box.skip(2)
                for _ in range(box.u16()):
                    yield "sidx", starts.get(at, "nothing")
                    at += box.u32() & 0x7FFF_FFFF
                    box.skip(8)
                yield "sidx", starts.get(at, "nothing")
            elif top.type == "mfra":
                for box in load_box(source, top).boxes():
                    if box.type == "tfra":
                        version, _ = box.full_box()
                        box.skip(4)
                        lengths = box.u32()
                        for _ in range(box.u32()):
                            offset = box.unpack(struct.Struct(">QQ" if version else ">II"))[1]
                            box.skip(sum((lengths >> shift & 3) + 1 for shift in (4, 2, 0)))
                            yield "tfra", starts.get(offset, "nothing")


# ------------------------------------------------------------------------------------------------ every kind of file
def changed_nothing_but_the_box(path: Path, target: Path) -> int:
    before, targets = samples(path), list(index_targets(path))
    done = insert_common_pssh(path, target, [EXTRA])
    assert samples(target) == before
    assert list(index_targets(target)) == targets
    (box,) = common_boxes(target)
    assert (box.version, box.data, box.key_ids) == (1, b"", done.key_ids)
    assert EXTRA in done.added
    assert target.stat().st_size - path.stat().st_size == done.moved
    return len(targets)


def tried(by_ffmpeg: Callable[..., dict[str, list[bytes]]], path: Path) -> object:
    """FFmpeg's packets, or the kind of its error: it does not read all of these files."""
    try:
        return by_ffmpeg(path)
    except av.FFmpegError as error:
        return type(error)


@pytest.mark.parametrize("name", FILES)
def test_no_sample_of_ours_changes(name: str, tmp_path: Path, by_ffmpeg: Callable[..., dict[str, list[bytes]]]) -> None:
    path, target = OWN / "generated" / name, tmp_path / name
    changed_nothing_but_the_box(path, target)
    assert tried(by_ffmpeg, target) == tried(by_ffmpeg, path)


def test_the_files_have_indices_to_be_corrected(tmp_path: Path) -> None:
    """The control of the test above: without `tfra` and `sidx` among the files it would say nothing about them."""
    kinds = {kind for name in FILES for kind, _ in index_targets(OWN / "generated" / name)}
    assert kinds == {"sidx", "tfra"}


def test_no_sample_of_other_tools_files_changes(vectors_folder: Path, tmp_path: Path) -> None:
    listed = json.loads((vectors_folder / "vectors.json").read_text())
    paths = [vectors_folder / file["path"] for vector in listed["vectors"] for file in vector["files"]]
    count = 0
    for path in paths:
        if path.suffix != ".mp4" or path.parent.name == "generated":
            continue
        with SourceFile(path) as source:
            if not any(top.type == "moov" for top in top_boxes(source)):
                continue
        changed_nothing_but_the_box(path, tmp_path / "out.mp4")
        count += 1
    assert count >= 10


# ------------------------------------------------------------------------------------------------ which key ids
def with_boxes(data: bytes, *boxes: bytes, behind: bytes = b"") -> bytes:
    """`data` (fragmented, relative offsets) with boxes at the end of its moov, and `behind` after it."""
    start = data.index(b"moov") - 4
    size = int.from_bytes(data[start : start + 4], "big")
    more = b"".join(boxes)
    moov = struct.pack(">I", size + len(more)) + data[start + 4 : start + size] + more
    return data[:start] + moov + behind + data[start + size :]


@pytest.fixture
def bare() -> bytes:
    """A fragmented file whose own pssh became `free`: the room is too small for a box of two key ids."""
    data = bytearray((OWN / "generated" / FRAGMENTED).read_bytes())
    at = data.index(b"pssh")
    data[at - 4 : at + 4] = struct.pack(">I4s", int.from_bytes(data[at - 4 : at], "big"), b"wxyz")
    return bytes(data)


def inserted(data: bytes, tmp_path: Path, *key_ids: KeyId) -> tuple[object, Path]:
    path, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    path.write_bytes(data)
    return insert_common_pssh(path, target, key_ids), target


def test_key_ids_come_from_tracks_and_from_other_systems_data(bare: bytes, tmp_path: Path) -> None:
    widevine = Pssh(WIDEVINE, (), make_data(WIDEVINE, (EXTRA, KID)), 0).encode()
    third = KeyId(b"third key id 003")
    playready = Pssh(PLAYREADY, (), make_data(PLAYREADY, (third,)), 0).encode()
    done, target = inserted(with_boxes(bare, widevine, playready), tmp_path)
    assert done.key_ids == done.added == (KID, EXTRA, third)
    with SourceFile(target) as source:
        assert [box.system_id for box in open_presentation(source).pssh] == [WIDEVINE, PLAYREADY, COMMON_SYSTEM]


def test_a_kid_in_guid_order_is_left_out_and_said(bare: bytes, tmp_path: Path) -> None:
    widevine = Pssh(WIDEVINE, (), make_data(WIDEVINE, (KID.byte_reversed,)), 0).encode()
    done, _ = inserted(with_boxes(bare, widevine), tmp_path)
    assert done.key_ids == (KID,)
    assert f"names {KID.byte_reversed}: left out, since it is {KID} in GUID order" in done.notes[0]


def test_what_one_box_names_is_copied_and_two_become_one(bare: bytes, tmp_path: Path) -> None:
    done, target = inserted(with_boxes(bare, Pssh.common(EXTRA, KID).encode()), tmp_path)
    assert (done.is_copy, target.read_bytes()) == (True, (tmp_path / "in.mp4").read_bytes())
    done, target = inserted(with_boxes(bare, *(Pssh.common(each).encode() for each in (EXTRA, KID))), tmp_path)
    assert (done.added, done.is_copy, len(common_boxes(target))) == ((), False, 1)


def test_boxes_of_the_common_system_become_one(bare: bytes, tmp_path: Path) -> None:
    unusable = Pssh(COMMON_SYSTEM, (), bytes(200), 0).encode()
    done, target = inserted(with_boxes(bare, Pssh.common(EXTRA).encode(), unusable), tmp_path)
    (box,) = common_boxes(target)
    assert box.key_ids == done.key_ids == (EXTRA, KID)
    assert done.moved == 0, "what the two took away became a free box"
    assert samples(target) == samples(tmp_path / "in.mp4")


def test_key_ids_of_rotation_are_found_in_every_fragment(tmp_path: Path) -> None:
    done = insert_common_pssh(OWN / "generated" / "pk_cenc_rot_v.mp4", tmp_path / "out.mp4")
    with SourceFile(OWN / "generated" / "pk_cenc_rot_v.mp4") as source:
        presentation = open_presentation(source)
        used = {kid for sample in presentation.samples(1) if sample.crypto for kid in sample.crypto.key_ids}
    assert len(used) > 1
    assert used <= set(done.key_ids)
    assert KeyId(bytes(16)) not in done.key_ids, "the default of tenc, which no sample uses"


def test_the_id_of_zeros_is_named_when_samples_use_it(bare: bytes, tmp_path: Path) -> None:
    done, _ = inserted(
        with_boxes(bare.replace(KID.value, bytes(16)), Pssh(WIDEVINE, (), b"").encode()), tmp_path, EXTRA
    )
    assert done.key_ids == (KeyId(bytes(16)), EXTRA)


def test_boxes_of_fragments_are_read_too(vectors_folder: Path, tmp_path: Path) -> None:
    path = vectors_folder / "parse_only" / "spe_encrypted_key_rotation" / "encrypted_key_rotation.mp4"
    done = insert_common_pssh(path, tmp_path / "out.mp4")
    assert len(done.key_ids) == 10, "five of each of two periods, of which the file itself uses one each"
    assert samples(tmp_path / "out.mp4") == samples(path)


def test_a_movie_box_with_a_size_of_64_bits(bare: bytes, tmp_path: Path) -> None:
    at = bare.index(b"moov") - 4
    size = int.from_bytes(bare[at : at + 4], "big")
    data = bare[:at] + struct.pack(">I4sQ", 1, b"moov", size + 8) + bare[at + 8 :]
    done, target = inserted(data, tmp_path)
    assert (done.moved, len(common_boxes(target))) == (52, 1)
    assert samples(target) == samples(tmp_path / "in.mp4")


def test_an_initialization_segment_alone(tmp_path: Path, bare: bytes) -> None:
    moov = bare.index(b"moov")
    end = moov - 4 + int.from_bytes(bare[moov - 4 : moov], "big")
    done, target = inserted(bare[:end], tmp_path)
    (tmp_path / "whole.mp4").write_bytes(target.read_bytes() + bare[end:])
    (tmp_path / "before.mp4").write_bytes(bare)
    assert done.key_ids == (KID,)
    assert samples(tmp_path / "whole.mp4") == samples(tmp_path / "before.mp4")


# ------------------------------------------------------------------------------------------------ room
@pytest.mark.parametrize("room", [52, 60, 4096])
@pytest.mark.parametrize("inside", [True, False])
def test_a_free_box_with_room_keeps_the_media_in_place(bare: bytes, tmp_path: Path, room: int, *, inside: bool) -> None:
    free = struct.pack(">I4s", room, b"free") + bytes(room - 8)
    data = with_boxes(bare, free) if inside else with_boxes(bare, behind=free)
    done, target = inserted(data, tmp_path)
    assert done.moved == 0
    assert len(common_boxes(target)) == 1
    assert samples(target) == samples(tmp_path / "in.mp4")
    at = data.index(b"moof")
    assert target.read_bytes()[at:] == data[at:]


@pytest.mark.parametrize("room", [51, 53, 59])
def test_a_free_box_that_does_not_fit_is_left(bare: bytes, tmp_path: Path, room: int) -> None:
    free = struct.pack(">I4s", room, b"skip") + bytes(room - 8)
    done, target = inserted(with_boxes(bare, free), tmp_path)
    assert done.moved == 52
    assert free in target.read_bytes()


def test_in_place_and_twice(bare: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(bare)
    before = samples(path)
    assert insert_common_pssh(path, path).added
    assert samples(path) == before
    assert not insert_common_pssh(path, path).added


# ------------------------------------------------------------------------------------------------ offsets
def test_absolute_places_of_auxiliary_data_follow(tmp_path: Path) -> None:
    """Some writers count saio from the beginning of the file; without senc nothing else says where the IVs are."""
    data = bytearray((OWN / "generated" / FRAGMENTED).read_bytes())
    at = 0
    while (at := data.find(b"saio", at + 1)) > 0:
        moof = data.rfind(b"moof", 0, at) - 4
        flags = data[at + 7]
        field = at + 12 + 8 * (flags & 1)
        struct.pack_into(">I", data, field, moof + struct.unpack_from(">I", data, field)[0])
        senc = data.index(b"senc", moof)
        data[senc : senc + 4] = b"abcd"
    done, target = inserted(bytes(data), tmp_path, EXTRA)
    assert done.moved > 0
    assert all(crypto is not None for _, crypto, _ in samples(target)[1])
    assert samples(target) == samples(tmp_path / "in.mp4")


def test_a_base_outside_the_data_follows_the_data(tmp_path: Path, bare: bytes) -> None:
    """base_data_offset is an anchor: here it lies before the box that is put in, and the data behind."""
    data = bytearray(bare)
    moof, tfhd, trun = (data.index(name) - 4 for name in (b"moof", b"tfhd", b"trun"))
    flags = int.from_bytes(data[tfhd + 9 : tfhd + 12], "big")
    assert not flags & 1
    struct.pack_into(">I", data, tfhd + 8, flags & ~0x20000 | 1)
    data[tfhd + 16 : tfhd + 16] = struct.pack(">Q", 24)
    for at, grown in ((tfhd, 8), (data.index(b"traf") - 4, 8), (moof, 8)):
        struct.pack_into(">I", data, at, int.from_bytes(data[at : at + 4], "big") + grown)
    trun += 8
    offset = struct.unpack_from(">i", data, trun + 16)[0]
    struct.pack_into(">i", data, trun + 16, offset + 8 + moof - 24)
    sidx = data.index(b"sidx")
    data[sidx : sidx + 4] = b"wxyz"
    done, target = inserted(bytes(data), tmp_path)
    assert done.moved == 52
    assert len(samples(tmp_path / "in.mp4")[1]) > 30
    assert samples(target) == samples(tmp_path / "in.mp4")


def test_nothing_is_left_of_a_failure(bare: bytes, tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_bytes(bare + b"\0\0\0\x18meta" + bytes(4) + b"\0\0\0\x0cilocabcd")
    with pytest.raises(UnsupportedMediaError, match="items whose places would change"):
        insert_common_pssh(tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_an_offset_that_would_pass_its_bits(tmp_path: Path) -> None:
    data = bytearray((OWN / "generated" / "gp_ctr16_prog_av.mp4").read_bytes())
    at = data.index(b"stco")
    struct.pack_into(">I", data, at + 12, 0xFFFF_FFFF)
    (tmp_path / "in.mp4").write_bytes(data)
    with pytest.raises(UnsupportedMediaError, match="would pass 32 bits"):
        insert_common_pssh(tmp_path / "in.mp4", tmp_path / "out.mp4", [EXTRA])


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"\x1a\x45\xdf\xa3" + bytes(60), UnsupportedMediaError, "WebM"),
        (b"\0\0\0\x08moof", UnsupportedMediaError, "no movie box"),
    ],
)
def test_what_has_no_movie_box(data: bytes, kind: type[DRMError], words: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(data)
    with pytest.raises(kind, match=words):
        insert_common_pssh(tmp_path / "in", tmp_path / "out", [EXTRA])


def test_a_file_that_names_no_key_id(clips: Callable[..., Path], tmp_path: Path) -> None:
    path = clips(fragmented=True)
    with pytest.raises(InvalidArgumentError, match="names no key id"):
        insert_common_pssh(path, tmp_path / "out.mp4")
    before = samples(path)
    assert insert_common_pssh(path, tmp_path / "out.mp4", [EXTRA]).key_ids == (EXTRA,)
    assert samples(tmp_path / "out.mp4") == before


def test_broken_files_are_refused_whole(bare: bytes, tmp_path: Path) -> None:
    """Cut at any place, and with any byte of the head another one: a file or an error of ours, never half a file."""
    path, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    end = bare.index(b"mdat")
    damaged = [bare[:cut] for cut in range(0, end, 37)]
    damaged += [bare[:at] + bytes((bare[at] ^ 0xFF,)) + bare[at + 1 : end + 400] for at in range(4, end, 5)]
    for data in damaged:
        path.write_bytes(data)
        target.unlink(missing_ok=True)
        try:
            insert_common_pssh(path, target)
        except DRMError:
            assert not target.exists()
        assert {each.name for each in tmp_path.iterdir()} <= {"in.mp4", "out.mp4"}
