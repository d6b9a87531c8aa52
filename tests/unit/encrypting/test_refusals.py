"""What is not encrypted is refused by name, and whatever happens the target is the old file or a whole new one."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.encrypting.source_file import SourceFile
from drm.errors import DRMError, InvalidArgumentError, MediaError, TruncatedMediaError, UnsupportedMediaError
from drm.isobmff.box import top_boxes
from drm.isobmff.reader import Reader
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from tests.interop.peers.samples import samples_of

VIDEO, AUDIO = TrackType.VIDEO, TrackType.AUDIO


def test_an_encrypted_track_is_not_encrypted_again(tmp_path: Path, clips: Any, keys: Any) -> None:
    once = tmp_path / "once.mp4"
    encrypt_file(clips(), once, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})
    with pytest.raises(UnsupportedMediaError, match="track 1 is encrypted already"):
        encrypt_file(once, once, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})
    twice = tmp_path / "twice.mp4"
    encrypt_file(once, twice, scheme=Scheme.CENC, tracks={AUDIO: TrackEncryption(*keys[1])})


def test_another_video_codec_is_refused_by_name(tmp_path: Path, clips: Any, keys: Any) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clips().read_bytes().replace(b"avc1", b"vc-1"))
    with pytest.raises(UnsupportedMediaError, match="vc-1 video"):
        encrypt_file(path, tmp_path / "sealed.mp4", scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})


@pytest.mark.parametrize(
    ("scheme", "settings", "words"),
    [
        (Scheme.CENC, {"iv_size": 12}, "8 or 16 bytes, not 12"),
        (Scheme.CENC, {"constant_iv": bytes(16)}, "cenc has no constant IV"),
        (Scheme.CENC, {"pattern": (1, 9)}, "cenc has no pattern"),
        (Scheme.CBCS, {"constant_iv": bytes(8)}, "16 bytes, not 8"),
        (Scheme.CBCS, {"pattern": (0, 9)}, "a pattern of 0"),
        (Scheme.CENS, {"pattern": (1, 16)}, "a pattern of 1"),
        (Scheme.CENC, {"clear_lead": -1.0}, "clear lead of -1"),
        (Scheme.CENC, {"clear_lead": float("nan")}, "clear lead of nan"),
        (Scheme.CENC, {"period": float("inf")}, "periods of inf"),
        (Scheme.CENC, {"iv_size": 0}, "cenc has no constant IV"),
        (Scheme.CBC1, {"iv_size": 8}, "cbc1 has IVs of 16 bytes, not 8"),
        (Scheme.CENC, {"first_iv": bytes(16)}, "8 bytes, not 16"),
    ],
)
def test_settings_that_the_scheme_does_not_have(
    tmp_path: Path, clips: Any, keys: Any, scheme: Scheme, settings: Any, words: str
) -> None:
    tracks = {VIDEO: TrackEncryption(*keys[0], **settings)}
    with pytest.raises(InvalidArgumentError, match=words):
        encrypt_file(clips(), tmp_path / "sealed.mp4", scheme=scheme, tracks=tracks)
    assert list(tmp_path.iterdir()) == []


def test_a_track_that_is_not_there_is_named(tmp_path: Path, clips: Any, keys: Any) -> None:
    one = TrackEncryption(*keys[0])
    for name, tracks in (("7", {VIDEO: one, 7: one}), ("audio", {VIDEO: one, AUDIO: one})):
        with pytest.raises(InvalidArgumentError, match=f"no track {name}") as refused:
            encrypt_file(clips(sound=False), tmp_path / "sealed.mp4", scheme=Scheme.CENC, tracks=tracks)
        assert refused.value.seen == "tracks: 1 (video)"
    with pytest.raises(InvalidArgumentError, match="no track is to be encrypted"):
        encrypt_file(clips(), tmp_path / "sealed.mp4", scheme=Scheme.CENC, tracks={})


def test_what_is_not_mp4_is_named(tmp_path: Path, keys: Any) -> None:
    path = tmp_path / "page.mp4"
    path.write_text("<!doctype html><html><title>404</title></html>" * 9)
    with pytest.raises(UnsupportedMediaError, match="HTML"):
        encrypt_file(path, tmp_path / "sealed.mp4", scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})
    with pytest.raises(MediaError, match="cannot be opened"):
        encrypt_file(tmp_path / "none", path, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})


@pytest.mark.parametrize("fragmented", [True, False])
def test_a_cut_file_leaves_the_old_target_as_it_was(tmp_path: Path, clips: Any, keys: Any, fragmented: bool) -> None:
    whole = clips(fragmented=fragmented).read_bytes()
    cut, target = tmp_path / "cut.mp4", tmp_path / "target.mp4"
    target.write_bytes(b"old")
    for size in (len(whole) - 1, len(whole) // 2, 1500, 40):
        cut.write_bytes(whole[:size])
        with pytest.raises(TruncatedMediaError):
            encrypt_file(cut, target, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})
        assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.mp4", "target.mp4"]


def test_a_sample_outside_the_media_data_is_refused(tmp_path: Path, clips: Any, keys: Any) -> None:
    data = bytearray(clips().read_bytes())
    at = data.index(b"stco", data.index(b"mp4a")) + 12
    data[at : at + 4] = struct.pack(">I", 40)  # the first chunk of sound: into moov
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(data)
    with pytest.raises(MediaError, match="outside the media data"):
        encrypt_file(bad, tmp_path / "out.mp4", scheme=Scheme.CENC, tracks={AUDIO: TrackEncryption(*keys[1])})


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda data: data.replace(b"mvex", b"free"), "neither senc nor saiz"),  # nothing announces fragments
        (lambda data: data + data[data.index(b"moov") - 4 :], "a second moov box"),
    ],
    ids=["no mvex", "two movies"],
)
def test_what_the_reader_would_not_find_encrypted_is_refused(
    tmp_path: Path, clips: Any, keys: Any, edit: Callable[[bytes], bytes], said: str
) -> None:
    bad, target = tmp_path / "bad.mp4", tmp_path / "out.mp4"
    bad.write_bytes(edit(clips(fragmented=True).read_bytes()))
    with pytest.raises(MediaError) as refused:
        encrypt_file(bad, target, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})
    assert re.search(said, f"{refused.value.what} {refused.value.seen}")
    assert not target.exists()


def test_two_samples_in_the_same_bytes_are_refused(tmp_path: Path, clips: Any, keys: Any) -> None:
    data = bytearray(clips().read_bytes())
    at = data.index(b"stco", data.index(b"mp4a")) + 12
    data[at : at + 4] = data[at + 4 : at + 8]
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(data)
    with pytest.raises(UnsupportedMediaError, match="share the bytes"):
        encrypt_file(bad, tmp_path / "out.mp4", scheme=Scheme.CENC, tracks={AUDIO: TrackEncryption(*keys[1])})


def test_samples_in_moov_and_in_fragments_are_refused(tmp_path: Path, clips: Any, keys: Any, remux: Any) -> None:
    with pytest.raises(UnsupportedMediaError, match="both in moov and in fragments"):
        encrypt_file(
            remux(clips(), "frag_keyframe"),
            tmp_path / "out.mp4",
            scheme=Scheme.CENC,
            tracks={VIDEO: TrackEncryption(*keys[0])},
        )


def test_a_movie_box_behind_fragments_is_refused(tmp_path: Path, clips: Any, keys: Any) -> None:
    data = clips(fragmented=True).read_bytes()
    at = data.index(b"moov") - 4
    end = at + int.from_bytes(data[at : at + 4], "big")
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(data[:at] + data[end:] + data[at:end])
    with pytest.raises(UnsupportedMediaError, match="behind fragments"):
        encrypt_file(bad, tmp_path / "out.mp4", scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})


@pytest.mark.parametrize("fragmented", [True, False])
def test_flipped_bits_are_refused_in_words_or_encrypted(
    tmp_path: Path, clips: Any, keys: Any, fragmented: bool
) -> None:
    whole = clips(fragmented=fragmented).read_bytes()
    bad, target = tmp_path / "bad.mp4", tmp_path / "target.mp4"
    chance = random.Random(5)
    tracks = {VIDEO: TrackEncryption(*keys[0]), AUDIO: TrackEncryption(*keys[1])}
    refused, encrypted = 0, 0
    for turn in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(3000)] ^= 1 << chance.randrange(8)
        bad.write_bytes(data)
        try:
            encrypt_file(bad, target, scheme=Scheme.CENC, tracks=tracks)
        except DRMError:  # anything else is a traceback for a user, and fails here
            refused += 1
            assert list(tmp_path.iterdir()) == [bad], f"turn {turn}: something was left behind"
            continue
        encrypted += 1
        # What was not refused was understood: it decrypts to the samples that the clear file has, spoilt as it is.
        clear, hidden = samples_of(bad), samples_of(target)
        assert samples_of(target, dict(keys)) == clear, f"turn {turn}"
        assert all(hidden[kind] != samples for kind, samples in clear.items() if samples), f"turn {turn}"
        target.unlink()
    assert refused > 15
    assert encrypted > 15


@pytest.mark.parametrize("movflags", ["dash+delay_moov+global_sidx", "dash+delay_moov", "frag_keyframe+delay_moov"])
def test_indices_point_to_the_boxes_where_they_are_now(
    tmp_path: Path, clips: Any, keys: Any, remux: Any, movflags: str
) -> None:
    clear, sealed = remux(clips(), movflags), tmp_path / "sealed.mp4"
    encrypt_file(clear, sealed, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})
    pointed = []
    has_index = b"sidx" in clear.read_bytes()
    for path in (clear, sealed):
        with SourceFile(path) as source:
            tops = list(top_boxes(source))
            found = []
            named = [(top.start, top.type) for top in tops if has_index or top.type != "sidx"]
            starts = {start: number for number, (start, _) in enumerate(named)} | {source.size: len(named)}
            for top in tops:
                box = Reader(source.read_at(top.start, top.size), base=top.start).next_box()
                if top.type == "sidx" and has_index:
                    found += [starts[at] for at in _sidx_targets(box, top.end)]
                elif top.type == "mfra":
                    found += [
                        starts[at] for inner in box.boxes() if inner.type == "tfra" for at in _tfra_targets(inner)
                    ]
        assert found
        pointed.append(found)
    assert pointed[0] == pointed[1]


def _sidx_targets(box: Reader, anchor: int) -> list[int]:
    version, _ = box.full_box()
    box.skip(8)
    box.skip(8 if version else 4)
    at = anchor + (box.u64() if version else box.u32())
    box.skip(2)
    targets = [at]
    for _ in range(box.u16()):
        at += box.u32() & 0x7FFFFFFF
        box.skip(8)
        targets.append(at)
    return targets


def _tfra_targets(box: Reader) -> list[int]:
    version, _ = box.full_box()
    box.skip(4)
    lengths = box.u32()
    assert lengths == 0
    targets = []
    for _ in range(box.u32()):
        box.skip(8 if version else 4)
        targets.append(box.u64() if version else box.u32())
        box.skip(3)
    return targets


def test_places_that_no_file_has(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"abc")
    with SourceFile(tmp_path / "short") as source:
        assert source.read_at(2, 1 << 70) == b"c"
        assert source.read_at(1 << 63, 8) == source.read_at(1 << 70, 8) == source.read_at(-1, 2) == b""
        for offset in (-1, 1 << 63, 1 << 70):
            with pytest.raises(TruncatedMediaError):
                source.read(offset, 1)


def test_one_kind_of_iv_at_a_time() -> None:
    told = TrackEncryption(KeyId(bytes(16)), ContentKey(bytes(16)), iv_size=16, constant_iv=bytes(16))
    with pytest.raises(InvalidArgumentError, match="IVs of 16 bytes for each sample, and a constant IV"):
        told.settled(Scheme.CBCS, TrackType.VIDEO)
