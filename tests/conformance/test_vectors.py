"""Every vector of the manifest: samples by hash, pictures by hash, frames through a real worker, or a refusal by name.

The manifest's numbers come from other tools: each sample hash from the clear original, or from two or more of FFmpeg,
Bento4, Shaka Packager and GPAC; each picture hash from FFmpeg's decoders over the decrypted samples.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.rights.managers import LocalKeysManager
from drm.app.sources import component_loader
from drm.cenc.decrypt import SampleDecrypter, decrypt_sample
from drm.cenc.dialect import Dialect
from drm.class_ids import AV_DECODER
from drm.component import Decoder
from drm.container import open_container
from drm.errors import KeyMissingError, UnsupportedMediaError
from drm.keys import ContentKey, KeyId
from drm.media import Presentation, Sample, TrackInfo, TrackType
from drm.session.edit_list import EditList
from drm.session.key_check import KeyOutcome
from player.digests import digest_tracks
from player.playback import Playback
from player.verbs.keys.check_file import run as key_check
from player.verbs.keys.check_file import verdicts
from tests.interop.reference import picture_bytes

OWN = Path(__file__).parents[1] / "data" / "vectors"
FOREIGN = [
    "mp4ff_cbcs", "mp4ff_prog_8s_enc_dashinit", "mp4ff_piff_audio", "mp4ff_piff_wma",
    "androidx_sample_fragmented_clearkey", "mp4parse_short_cenc", "spe_encrypted_low", "spe_encrypted_low_cbcs",
    "sp_dash_clearkey", "sp_multidrm_video", "sp_clear_encrypted_video", "sp_hls_sample_aes",
]  # fmt: skip
TRANSPORT_STREAM = "pk_hls_ts"
PARSE_ONLY = [
    "spe_encrypted_key_rotation", "bipbop_cbcs_video_init", "bipbop_cbcs_audio_init", "sp_sintel_video",
    "androidx_sample_fragmented_widevine", "androidx_subsample_encrypted_altref",
]  # fmt: skip
NOT_MEDIA = (".m3u8", ".bin")

Vector = dict[str, Any]


@functools.cache
def manifest(folder: Path, part: str = "vectors") -> dict[str, Vector]:
    return {each["id"]: each for each in json.loads((folder / "vectors.json").read_text())[part]}


NAMES = [name for name in (*manifest(OWN), *FOREIGN) if name != TRANSPORT_STREAM]


class Opened:
    """A vector's files with its keys, read as every developer's verb reads them."""

    def __init__(self, folder: Path, vector: Vector) -> None:
        self.vector = vector
        self.paths = [folder / file["path"] for file in vector["files"] if not file["path"].endswith(NOT_MEDIA)]
        pairs = [pair for pair in vector["keys"] if pair["kid"]]
        self.keys = {KeyId.parse(pair["kid"]): ContentKey.parse(pair["key"]) for pair in pairs}
        self.told = {track["track_id"]: track for track in vector["tracks"]}
        self.dialects = frozenset(map(Dialect, vector.get("needs_dialect", ())))
        self.stream = FileByteStream([str(path) for path in self.paths])
        self.media: Presentation = open_container(self.stream)

    def frames_told(self, track: TrackInfo) -> int:
        """How many frames are to be presented.

        The manifest counts those of the clear original, whose edit list drops the first frame of sound; where the
        packager left the edit list out, it is there again.
        """
        told: int = self.told[track.track_id].get("decoded_frames") or 0
        dropped = track.decoder == "aac" and not track.edits and told == self.told[track.track_id]["samples"] - 1
        return told + dropped

    def clear_samples(self, track_id: int, dialects: frozenset[Dialect]) -> Iterator[tuple[Sample, bytes]]:
        ciphers = {key_id: SampleDecrypter(key, dialects=dialects) for key_id, key in self.keys.items()}
        for sample in self.media.samples(track_id):
            data = memoryview(bytearray(sample.size))
            assert self.stream.read_into(sample.offset, data) == sample.size
            if sample.crypto is not None:
                decrypt_sample(data, sample.crypto, data, ciphers.__getitem__)
            yield sample, bytes(data)

    def sha256(self, track_id: int, dialects: frozenset[Dialect]) -> str:
        whole = hashlib.sha256()
        for _, data in self.clear_samples(track_id, dialects):
            whole.update(data)
        return whole.hexdigest()

    def decoded(self, track: TrackInfo) -> tuple[int, str]:
        """How many frames there are to present, and the hash of those that the decoder gave, if they are pictures."""
        decoder = cast("Decoder", component_loader().create(AV_DECODER))
        decoder.open(track)
        presentation, shown, pictures = EditList(track), 0, hashlib.sha256()

        def take(frames) -> None:
            nonlocal shown
            for frame in frames:
                if track.type is TrackType.VIDEO:
                    pictures.update(picture_bytes(frame.native))
                shown += presentation.present(frame) is not None

        for sample, data in self.clear_samples(track.track_id, self.dialects):
            buffer = decoder.buffer(sample.size)
            with buffer.view() as target:
                target[: sample.size] = data
            take(decoder.decode(buffer, sample))
        take(decoder.drain())
        return shown, pictures.hexdigest()


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    folder = OWN if request.param in manifest(OWN) else request.getfixturevalue("vectors_folder")
    found = Opened(folder, manifest(folder)[request.param])
    with found.stream:
        yield found


every_vector = pytest.mark.parametrize("opened", NAMES, indirect=True)
vectors_of_dialects = pytest.mark.parametrize(
    "opened", ["gp_ctrwrap_prog_v", "gp_multikey_prog_v", "ff_cenc_frag_av", "spe_encrypted_low_cbcs"], indirect=True
)


# ------------------------------------------------------------------------------------------------ what plays
@every_vector
def test_samples(opened: Opened) -> None:
    assert {t.track_id: t.type.value for t in opened.media.tracks} == {
        track_id: told["type"] for track_id, told in opened.told.items()
    }
    for track_id, told in opened.told.items():
        samples = list(opened.clear_samples(track_id, opened.dialects))
        assert len(samples) == told["samples"]
        assert hashlib.sha256(b"".join(data for _, data in samples)).hexdigest() == told["sha256"]
        for name, (_, data) in (("first", samples[0]), ("last", samples[-1])):
            assert hashlib.sha256(data).hexdigest() == told.get(
                f"{name}_sample_sha256", hashlib.sha256(data).hexdigest()
            )
        encrypted = [sample.crypto for sample, _ in samples if sample.crypto]
        if told["samples_encrypted"] is not None:
            assert len(encrypted) == told["samples_encrypted"]
        if told["kids"]:
            assert {kid.hex for crypto in encrypted for kid in crypto.key_ids} == set(told["kids"])
        named = {stream.track.track_id: stream.key_ids for stream in opened.media.streams()}[track_id]
        # A license is asked for what is named before playback: nothing that a sample needs may be missing there.
        assert {kid for crypto in encrypted for kid in crypto.key_ids} <= set(named)


@every_vector
def test_pictures_and_frames(opened: Opened) -> None:
    decoded = 0
    for track in opened.media.tracks:
        told = opened.told[track.track_id]
        if not opened.frames_told(track):
            continue
        frames, pictures = opened.decoded(track)
        assert frames == opened.frames_told(track)
        if told.get("decoded_video_sha256"):
            assert pictures == told["decoded_video_sha256"]
        decoded += 1
    assert decoded or opened.vector["id"] == "sp_hls_sample_aes"


@every_vector
def test_frames_through_the_worker(opened: Opened) -> None:
    playback = Playback(
        [str(path) for path in opened.paths],
        manager=LocalKeysManager(opened.keys),
        dialects=tuple(dialect.value for dialect in opened.dialects),
    )
    result = playback.run()
    assert result.report.level >= 1
    told = sum(opened.frames_told(track) for track in opened.media.tracks)
    assert result.frames == (told or 1500)  # the one whose pictures nobody hashed has 1500 of them


# ------------------------------------------------------------------------------------------------ dialects
@vectors_of_dialects
def test_dialects_with_and_without_their_switch(opened: Opened) -> None:
    """Two of them change what a sample decrypts to; of two the boxes tell enough, and the switch changes nothing."""
    changes = opened.dialects & {Dialect.CTR_128_BIT_CARRY, Dialect.SHORT_RUN_IS_CLEAR}
    same = [
        opened.sha256(track_id, frozenset()) == told["sha256"]
        for track_id, told in opened.told.items()
        if told["samples_encrypted"] != 0
    ]
    assert all(opened.sha256(track_id, opened.dialects) == told["sha256"] for track_id, told in opened.told.items())
    assert all(same) is not bool(changes)


@pytest.mark.parametrize("opened", ["gp_ctrwrap_prog_v", "spe_encrypted_low_cbcs"], indirect=True)
def test_the_wrong_dialect_is_an_error_or_a_note_and_the_check_names_the_right_one(opened: Opened) -> None:
    found = verdicts([str(path) for path in opened.paths], opened.keys).verdicts
    assert [verdict.outcome for verdict in found] == [KeyOutcome.RIGHT]
    assert found[0].failed
    assert found[0].dialect in opened.dialects


@pytest.mark.parametrize("opened", ["ff_cenc_frag_av"], indirect=True)
def test_too_many_entries_are_read_with_a_warning(opened: Opened) -> None:
    opened.sha256(2, frozenset())
    assert any("too many entries" in warning for warning in opened.media.warnings)


# ------------------------------------------------------------------------------------------------ what does not
def test_a_transport_stream_is_refused_by_name() -> None:
    vector = manifest(OWN)[TRANSPORT_STREAM]
    for name, says in (("v_1.ts", "MPEG transport stream"), ("a_1.aac", "MPEG audio")):
        path = next(OWN / file["path"] for file in vector["files"] if file["path"].endswith(name))
        for attempt in (lambda path: open_container(FileByteStream([path])), lambda path: Playback([path]).run()):
            with pytest.raises(UnsupportedMediaError, match=says) as refused:
                attempt(str(path))
            assert refused.value.remedy
            assert refused.value.exit_code == 3


@pytest.mark.parametrize("name", PARSE_ONLY)
def test_files_whose_keys_nobody_published(vectors_folder: Path, name: str) -> None:
    told = manifest(vectors_folder, "parse_only")[name]
    with FileByteStream([str(vectors_folder / path) for path in told["files"]]) as stream:
        media = open_container(stream)
        assert (media.container == "WebM") == told["files"][0].endswith(".webm")
        if media.container == "WebM":
            assert all(sample.crypto for track in media.tracks for sample in media.samples(track.track_id))
            return
        streams = {descriptor.track.track_id: descriptor for descriptor in media.streams()}
        for row in told["tracks"]:
            track = row["track"]
            assert list(media.sample_entries(track)) == [entry.rstrip("/") for entry in row["sample_entries"]]
            protections = streams[track].track.protections
            assert [p.scheme.value if p else "" for p in protections] == row["schemes"]
            for protection, tenc in zip(protections, row["tenc"], strict=True):
                if protection is None:
                    assert tenc is None
                    continue
                pattern = protection.crypt_blocks, protection.skip_blocks
                assert (protection.key_id.hex, protection.iv_size, protection.constant_iv.hex(), *pattern) == (
                    tenc["kid"], tenc["ivs"], tenc["civ"], tenc["cb"], tenc["sb"],
                )  # fmt: skip
            samples = list(media.samples(track))
            kids = [sample.crypto.key_id.hex for sample in samples if sample.crypto]
            assert (len(samples), len(kids)) == (row["samples"], row["encrypted"])
            assert list(dict.fromkeys(kids)) == row["kids_in_order"]
        boxes = [
            (box.version, box.system_id.value.hex(), [kid.hex for kid in box.key_ids], len(box.encode()))
            for box in media.pssh
        ]
        assert boxes == [(box["version"], box["system_id"], box["kids"], box["size"]) for box in told["pssh"]]


def test_no_vector_is_left_out(vectors_folder: Path) -> None:
    assert set(manifest(vectors_folder)) == {*NAMES, TRANSPORT_STREAM}
    assert len(NAMES) == 68
    assert set(manifest(vectors_folder, "parse_only")) == set(PARSE_ONLY)


# ------------------------------------------------------------------------------------------------ a key left out
ROTATED = ["pk_cenc_rot_v", "pk_cbcs_rot_v", "gp_roll_prog_v", "gp_cbcs_roll_frag_v", "mp4parse_short_cenc",
           "b4_mpeg-cenc_av", "gp_multikey_prog_v", "pk_webm_vp9_v"]  # fmt: skip


def left_out(opened: Opened) -> Iterator[tuple[KeyId, dict[KeyId, ContentKey]]]:
    """Each key that the media needs, with the others."""
    needed = {
        kid
        for track in opened.media.tracks
        for sample in opened.media.samples(track.track_id)
        if sample.crypto
        for kid in sample.crypto.key_ids
    }
    for absent in needed:
        yield absent, {key_id: key for key_id, key in opened.keys.items() if key_id != absent}


@every_vector
def test_a_missing_key_is_named_by_the_verbs(opened: Opened) -> None:
    paths = [str(path) for path in opened.paths]
    for absent, held in left_out(opened):
        for verb in (
            lambda held: key_check(paths[0], paths[1:], held),
            lambda held: digest_tracks(opened.stream, held, opened.dialects),
        ):
            with pytest.raises(KeyMissingError, match=str(absent)) as missing:
                verb(held)
            assert missing.value.exit_code == 4
            assert missing.value.kids == (str(absent),)


@pytest.mark.parametrize("opened", ROTATED, indirect=True)
def test_a_missing_key_is_named_before_anything_is_shown(opened: Opened) -> None:
    for absent, held in left_out(opened):
        shown: list[str] = []
        playback = Playback(
            [str(path) for path in opened.paths],
            manager=LocalKeysManager(held),
            on_event=lambda event, shown=shown: shown.append(event.name),
        )
        with pytest.raises(KeyMissingError, match=str(absent)) as missing:
            playback.run()
        assert missing.value.exit_code == 4
        assert missing.value.kids == (str(absent),)
        assert "SESSION_STARTED" not in shown


@every_vector
def test_right_keys_are_never_called_wrong(opened: Opened) -> None:
    found = verdicts([str(path) for path in opened.paths], opened.keys).verdicts
    assert not [verdict for verdict in found if verdict.outcome in {KeyOutcome.WRONG, KeyOutcome.MISSING}]
    assert any(verdict.checked for verdict in found) or not any(track["kids"] for track in opened.told.values())
