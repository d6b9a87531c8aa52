"""What an earlier encryption left in a clear file is taken out, and encrypted is what has encrypted bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drm.app.byte_stream import FileByteStream
from drm.encrypting.box_tree import BoxTree
from drm.encrypting.file import Encryption, TrackEncryption, encrypt_file
from drm.encrypting.source_file import SourceFile
from drm.errors import UnsupportedMediaError
from drm.isobmff.box import load_box, top_boxes
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.samples import open_presentation
from drm.keys import COMMON_SYSTEM, ContentKey, KeyId
from drm.media import Scheme, TrackType
from player.digests import digest_tracks

FIELD = Path(__file__).parents[2] / "data" / "field"
PICTURE = "91da6df112ffcfe320507d1395d1ef35363a829e08d6c2a7042a2aed5c12040d"
VIDEO, AUDIO = TrackType.VIDEO, TrackType.AUDIO


def digests(path: Path, keys: Any = ()) -> list[str]:
    with FileByteStream(path) as stream:
        return [track.sha256 for track in digest_tracks(stream, dict(keys), frozenset())[0]]


def boxes(path: Path, kind: str) -> list[BoxTree]:
    with SourceFile(path) as source:
        return [BoxTree.parse(load_box(source, top)) for top in top_boxes(source) if top.type == kind]


def common(path: Path) -> list[Pssh]:
    (moov,) = boxes(path, "moov")
    found = [Pssh.parse(box.reader()) for box in moov.children if box.type == "pssh"]
    return [box for box in found if box.system_id == COMMON_SYSTEM]


# ------------------------------------------------------------------------------------------------ leftovers
@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize(("name", "types"), [("F15", "saio, saiz, senc"), ("F15g", "sbgp, sgpd")])
def test_leftovers_in_fragments(tmp_path: Path, keys: Any, scheme: Scheme, name: str, types: str) -> None:
    sealed = tmp_path / "sealed.mp4"
    done = encrypt_file(
        FIELD / "leftover_boxes" / f"{name}.mp4", sealed, scheme=scheme, tracks={VIDEO: TrackEncryption(*keys[0])}
    )
    assert digests(sealed, keys) == [PICTURE]
    assert [note for note in done.warnings if types in note], "the user reads that they are gone"
    for moof in boxes(sealed, "moof"):
        for traf in moof.all("traf"):
            kinds = [box.type for box in traf.children]
            assert kinds.count("senc") == 1
            assert not {"sbgp", "sgpd"} & set(kinds)


def with_boxes(clear: Path, path: Path, *added: BoxTree) -> Path:
    """The progressive file `clear`, whose movie box comes last, with `added` in each `stbl`."""
    data = clear.read_bytes()
    with SourceFile(clear) as source:
        (place,) = (top for top in top_boxes(source) if top.type == "moov")
        moov = BoxTree.parse(load_box(source, place))
    assert place.end == len(data), "nothing may stand behind it, or offsets would change"
    for stbl in moov.all("trak", "mdia", "minf", "stbl"):
        stbl.children += added
    path.write_bytes(data[: place.start] + moov.encode())
    return path


@pytest.fixture
def last(clips: Any, remux: Any) -> Path:
    return remux(clips(), "")


@pytest.mark.parametrize("scheme", [Scheme.CENC, Scheme.CBCS])
def test_leftovers_in_a_progressive_file(
    tmp_path: Path, last: Path, keys: Any, scheme: Scheme, by_ffmpeg: Callable[..., Any]
) -> None:
    """Groups that nobody reads, a table of one IV, and one of auxiliary sizes with its type."""
    old = with_boxes(
        last,
        tmp_path / "old.mp4",
        BoxTree.full("senc", 0, 0, (1).to_bytes(4, "big"), bytes(8)),
        BoxTree.full("saiz", 0, 1, b"cenc", bytes(4), b"\x08", (1).to_bytes(4, "big")),
        BoxTree.full("saio", 0, 1, b"cenc", bytes(4), (1).to_bytes(4, "big"), bytes(4)),
        BoxTree.full("sbgp", 0, 0, b"seig", bytes(4)),
        BoxTree.full("sbgp", 0, 0, b"roll", bytes(4)),
    )
    sealed = tmp_path / "sealed.mp4"
    tracks = {VIDEO: TrackEncryption(*keys[0])}
    done = encrypt_file(old, sealed, scheme=scheme, tracks=tracks)
    assert digests(sealed, keys) == digests(last)
    assert by_ffmpeg(sealed, *keys) == by_ffmpeg(last)
    assert len([note for note in done.warnings if "left behind" in note]) == 2, "the sound stays clear, and is cleaned"
    video, audio = boxes(sealed, "moov")[0].all("trak", "mdia", "minf", "stbl")
    assert [box.type for box in video.children].count("senc") == 1
    assert "senc" not in [box.type for box in audio.children]
    assert [box.payload[4:8] for box in video.children if box.type == "sbgp"] == [b"roll"], "what is not ours stays"


def test_auxiliary_information_of_another_kind_is_refused_by_name(tmp_path: Path, last: Path, keys: Any) -> None:
    other = with_boxes(
        last, tmp_path / "other.mp4", BoxTree.full("saio", 0, 1, b"abcd", bytes(4), (1).to_bytes(4, "big"), bytes(4))
    )
    with pytest.raises(UnsupportedMediaError, match="abcd"):
        encrypt_file(other, tmp_path / "no.mp4", scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})
    assert not (tmp_path / "no.mp4").exists()


# ------------------------------------------------------------------------------------------------ pssh
def test_there_is_one_common_pssh_and_it_names_what_counts(tmp_path: Path, clips: Any, keys: Any) -> None:
    one, two, clear = tmp_path / "one.mp4", tmp_path / "two.mp4", tmp_path / "clear.mp4"
    (video, _), (audio, _) = keys
    encrypt_file(clips(), one, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})
    assert [box.key_ids for box in common(one)] == [(video,)]
    encrypt_file(one, two, scheme=Scheme.CENC, tracks={AUDIO: TrackEncryption(*keys[1])})
    assert [box.key_ids for box in common(two)] == [(video, audio)], "the picture is still encrypted"
    assert digests(two, keys) == digests(clips())
    # A clear file with two boxes of an earlier encryption; its fragments name no place of the file.
    data = (FIELD / "leftover_boxes" / "F15.mp4").read_bytes()
    (moov,) = boxes(FIELD / "leftover_boxes" / "F15.mp4", "moov")
    at, size = data.index(b"moov") - 4, moov.size
    moov.children += [BoxTree.of(Pssh.common(KeyId(b"\7" * 16)).encode()) for _ in range(2)]
    clear.write_bytes(data[:at] + moov.encode() + data[at + size :])
    encrypt_file(clear, two, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})
    assert [box.key_ids for box in common(two)] == [(video,)]


def test_a_clear_fragment_loses_the_common_pssh_of_an_earlier_period(tmp_path: Path, keys: Any) -> None:
    """It would name a key that nothing needs any more, and a player would ask for it."""
    source = FIELD / "leftover_boxes" / "F15.mp4"
    data, stale = source.read_bytes(), Pssh.common(KeyId(b"\7" * 16)).encode()
    at = data.index(b"moof") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    moof = bytearray(data[at : at + size])
    trun = moof.index(b"trun") + 12
    offset = int.from_bytes(moof[trun : trun + 4], "big") + len(stale)
    moof[trun : trun + 4] = offset.to_bytes(4, "big")
    moof[:4] = (size + len(stale)).to_bytes(4, "big")
    old, sealed = tmp_path / "old.mp4", tmp_path / "sealed.mp4"
    old.write_bytes(data[:at] + moof + stale + data[at + size :])
    encrypt_file(old, sealed, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})
    assert digests(sealed, keys) == [PICTURE]
    assert sealed.read_bytes().count(b"pssh") == 1


# ------------------------------------------------------------------------------------------------ no byte
@pytest.mark.parametrize("scheme", [Scheme.CBCS, Scheme.CBC1, Scheme.CENS])
def test_a_track_of_which_no_byte_would_be_encrypted_is_refused(tmp_path: Path, keys: Any, scheme: Scheme) -> None:
    target = tmp_path / "sealed.mov"
    with pytest.raises(UnsupportedMediaError, match="not one byte of track 1") as refused:
        encrypt_file(FIELD / "pcm_cbcs" / "a_pcm.mov", target, scheme=scheme, tracks={AUDIO: TrackEncryption(*keys[0])})
    assert "--scheme cenc" in refused.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_with_cenc_every_byte_of_it_is(tmp_path: Path, keys: Any) -> None:
    source, target = FIELD / "pcm_cbcs" / "a_pcm.mov", tmp_path / "sealed.mov"
    done = encrypt_file(source, target, scheme=Scheme.CENC, tracks={AUDIO: TrackEncryption(*keys[0])})
    assert (done.tracks[0].encrypted, done.tracks[0].too_short) == (9600, 0)
    assert digests(target, keys) == digests(source)


def encrypted_truly(clear: Path, sealed: Path) -> int:
    """How many samples of the first track differ from the clear file's."""
    with FileByteStream(clear) as first, FileByteStream(sealed) as second:
        pairs = []
        for stream in (first, second):
            track = open_presentation(stream)
            pairs.append([(stream, each) for each in track.samples(track.tracks[0].track_id)])
        return sum(
            one.read_at(here.offset, here.size) != two.read_at(there.offset, there.size)
            for (one, here), (two, there) in zip(*pairs, strict=True)
        )


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("fragmented", [True, False])
def test_samples_without_an_encrypted_byte_are_not_counted(
    tmp_path: Path, clips: Any, keys: Any, scheme: Scheme, jobs: int, fragmented: bool
) -> None:
    """Pictures in which nothing changes have a few bytes behind their headers."""
    clear, sealed = clips(fragmented=fragmented), tmp_path / "sealed.mp4"
    encryption = TrackEncryption(KeyId(b"\1" * 16), ContentKey(b"\2" * 16))
    done: Encryption = encrypt_file(clear, sealed, scheme=scheme, tracks={VIDEO: encryption}, jobs=jobs)
    track = done.tracks[0]
    assert track.encrypted == encrypted_truly(clear, sealed)
    assert track.samples == track.encrypted + track.too_short


def test_a_lead_that_is_longer_than_the_film_is_no_mistake(tmp_path: Path, clips: Any, keys: Any) -> None:
    told = TrackEncryption(*keys[0], clear_lead=100)
    done = encrypt_file(clips(fragmented=True), tmp_path / "a.mp4", scheme=Scheme.CBCS, tracks={VIDEO: told})
    assert done.tracks[0].encrypted == 0
