"""Playback gives the frames of the clear original, hash for hash: our samples and those of other tools.

The original is decoded by plain PyAV in the same run, which honours edit lists; its video by the ffmpeg program too.
"""

import hashlib
import struct

import av
import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.sources import open_source
from drm.cenc.decrypt import SampleDecrypter
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from sample_content.recipes import RECIPES
from tests.interop.command import frames
from tests.interop.reference import ffmpeg_video_hashes, picture_bytes, pyav_frames

PICTURE, SOUND = KeyId(bytes(range(16))), KeyId(bytes(range(16, 32)))
KEY = ContentKey(bytes(range(32, 48)))

CLEAR = [recipe.name for recipe in RECIPES.values() if recipe.scheme is None]
ENCRYPTED = [recipe.name for recipe in RECIPES.values() if recipe.scheme is not None]

# Of Shaka Packager, GPAC, FFmpeg, mp4ff, shaka-player and shaka-player-embedded.
EXACT = [
    "pk_cenc_iv8_v", "pk_cenc_iv16_v", "pk_cenc_clearlead_v", "pk_cenc_slices_v", "pk_cenc_iv8_a", "pk_cenc_av1_v",
    "pk_cenc_vp9_v", "pk_cbcs_1_9_v", "pk_cbcs_a", "pk_cbcs_ac3_a", "pk_cbcs_hevc_v", "pk_cbcs_clearlead_v",
    "pk_cbcs_slices_v", "pk_cenc_rot_v", "pk_hls_fmp4_v",
    "gp_ctr16_prog_av", "gp_cbcs_prog_av", "gp_roll_frag_v", "gp_cbcs_2_8_frag_v",
    "ff_cenc_prog_av",
    "mp4ff_cbcs", "mp4ff_prog_8s_enc_dashinit", "sp_clear_encrypted_video", "spe_encrypted_low",
]  # fmt: skip

# These packagers drop the edit list, so the AAC encoder's priming frame is presented too.
PRIMED = ["b4_mpeg-cenc_av", "b4_mpeg-cbcs_av", "ff_cenc_frag_av"]

WITHOUT_ORIGINAL = [
    "androidx_sample_fragmented_clearkey", "mp4parse_short_cenc", "sp_dash_clearkey", "sp_multidrm_video",
]  # fmt: skip


def test_the_edit_list_of_a_clear_sample_hides_a_frame(samples) -> None:
    """Or the tests below would hold for a player that ignores edit lists."""
    for name in CLEAR:
        whole = pyav_frames(samples[name].clear, ignore_edit_list=True)["audio 1"]
        presented = pyav_frames(samples[name].clear)["audio 1"]
        assert len(whole) == len(presented) + 1
        assert whole[1:] == presented


@pytest.mark.parametrize(("start", "length"), [(0, 2000), (700, 1500)])
def test_an_edit_list_that_presents_a_part_is_honoured(
    clearkey, own_vectors, tmp_path, start: int, length: int
) -> None:
    """Milliseconds; the second begins inside a group of pictures and inside a frame of sound.

    Starts lie within the first second: FFmpeg decodes sound from one second before an edit on, we from the beginning,
    and AAC's noise substitution depends on all that was decoded before.
    """
    clear, film, hashes = tmp_path / "clear.mp4", tmp_path / "film.mp4", tmp_path / "hashes"
    original = own_vectors / "clear" / "src_avc_aac.mp4"
    clear.write_bytes(with_edits(original.read_bytes(), start, length))
    encrypt_file(clear, film, scheme=Scheme.CENC, tracks={
        TrackType.VIDEO: TrackEncryption(PICTURE, KEY), TrackType.AUDIO: TrackEncryption(SOUND, KEY),
    })  # fmt: skip
    ran = clearkey("play", film, f"--key={PICTURE}:{KEY.secret.hex()}", f"--key={SOUND}:{KEY.secret.hex()}",
                   "--framemd5", hashes)  # fmt: skip
    assert ran.code == 0, ran.err
    part, whole = pyav_frames(clear), pyav_frames(original)
    assert len(part["video 1"]) < len(whole["video 1"])
    assert len(part["audio 1"]) < len(whole["audio 1"])
    assert frames(hashes.read_text()) == part


def with_edits(data: bytes, start: int, length: int) -> bytes:
    """Let each track's only edit begin `start` milliseconds later and last `length`."""
    altered, at = bytearray(data), -1
    scales = iter([24 * 512, 48_000])
    while (at := data.find(b"elst", at + 1)) >= 0:
        _version, count, _length, media_time = struct.unpack(">IIIi", data[at + 4 : at + 20])
        assert count == 1
        struct.pack_into(">Ii", altered, at + 12, length, media_time + start * next(scales) // 1000)
    return bytes(altered)


@pytest.mark.parametrize("name", ENCRYPTED)
def test_a_sample_plays_as_its_clear_original(clearkey, samples, tmp_path, name: str) -> None:
    sample, hashes = samples[name], tmp_path / "hashes"
    ran = clearkey("play", sample.path, "--keys-file", sample.keys_file, "--framemd5", hashes)
    assert ran.code == 0, ran.err
    played = frames(hashes.read_text())
    assert played == pyav_frames(sample.clear)
    assert played["video 1"] == ffmpeg_video_hashes(sample.clear)
    assert len(set(played["video 1"])) > 200, "the picture moves, or equal hashes would say little"


@pytest.mark.parametrize("name", EXACT)
def test_a_vector_plays_as_its_clear_original(clearkey, vector, keys_of, tmp_path, name: str) -> None:
    file, hashes = vector(name), tmp_path / "hashes"
    ran = clearkey("play", *file.files, "--keys-file", keys_of(file), "--framemd5", hashes)
    assert ran.code == 0, ran.err
    played, original = frames(hashes.read_text()), pyav_frames(*file.clear)
    assert played.keys() == {f"{track['type']} 1" for track in file.tracks if track["type"] in {"video", "audio"}}
    assert played == {name: original[name] for name in played}  # a packager may have taken one track of two
    if "video 1" in played and len(file.clear) == 1:
        assert played["video 1"] == ffmpeg_video_hashes(*file.clear)


@pytest.mark.parametrize("name", PRIMED)
def test_a_dropped_edit_list_gives_one_more_frame_and_is_named(clearkey, vector, keys_of, tmp_path, name: str) -> None:
    file, hashes = vector(name), tmp_path / "hashes"
    words = ["--keys-file", keys_of(file), "--framemd5", hashes, "--compare", *file.clear]
    ran = clearkey("play", *file.files, *words)
    assert ran.code == 0, ran.err
    played, original = frames(hashes.read_text()), pyav_frames(*file.clear)
    assert played["video 1"] == original["video 1"] == ffmpeg_video_hashes(*file.clear)
    assert played["audio 1"][1:] == original["audio 1"]
    assert len(played["audio 1"]) == len(original["audio 1"]) + 1
    assert "audio 1: the packager dropped the edit list, so 1 leading priming frame came out too" in ran.err
    assert f"video 1: all {len(original['video 1'])} frames are equal" in ran.err


@pytest.mark.parametrize("name", WITHOUT_ORIGINAL)
def test_a_vector_without_original_plays_as_the_manifest_says(clearkey, vector, keys_of, tmp_path, name: str) -> None:
    """Its picture is tied to the manifest's hash through a decode of the decrypted samples by plain PyAV."""
    file, hashes = vector(name), tmp_path / "hashes"
    ran = clearkey("play", *file.files, "--keys-file", keys_of(file), "--framemd5", hashes)
    assert ran.code == 0, ran.err
    played = frames(hashes.read_text())
    told = {f"{track['type']} 1": track for track in file.tracks}
    assert {name: len(found) for name, found in played.items()} == {
        name: track["decoded_frames"] for name, track in told.items()
    }
    pictures = decoded_pictures(file)
    assert hashlib.sha256(b"".join(pictures)).hexdigest() == told["video 1"]["decoded_video_sha256"]
    assert played["video 1"] == [hashlib.md5(picture).hexdigest() for picture in pictures]


def decoded_pictures(file) -> list[bytes]:
    """Decrypt the first video track here, decode it with PyAV, and return its pictures, packed."""
    ciphers = {KeyId.parse(kid): SampleDecrypter(ContentKey.parse(key)) for kid, key in file.keys}
    pictures = []
    with FileByteStream([str(path) for path in file.files]) as stream:
        source = open_source(stream)
        track = next(each.track for each in source.streams() if each.track.type == "video")
        decoder = av.CodecContext.create(track.decoder, "r")
        decoder.extradata = track.codec_config
        source.select([track.track_id])
        while sample := source.next_sample(track.track_id):
            stored, clear = bytearray(sample.size), bytearray(sample.size)
            source.read_into(sample, memoryview(stored))
            if sample.crypto is None:
                clear = stored
            else:
                ciphers[sample.crypto.key_id].decrypt_into(memoryview(stored), sample.crypto, memoryview(clear))
            pictures += map(picture_bytes, decoder.decode(av.Packet(bytes(clear))))
    return pictures + list(map(picture_bytes, decoder.decode(None)))


# ------------------------------------------------------------------------------------------------ --compare
def test_compare_says_that_all_frames_are_equal(clearkey, samples) -> None:
    sample = samples["progressive_cbcs"]
    ran = clearkey("play", sample.path, "--keys-file", sample.keys_file, "--compare", sample.clear)
    assert ran.code == 0, ran.err
    assert "video 1: all 240 frames are equal" in ran.err
    assert ran.out == ""


def test_compare_tells_from_which_frame_on_another_clear_file_differs(clearkey, vector, keys_of) -> None:
    file, other = vector("pk_cenc_slices_v"), vector("pk_cenc_iv8_v")
    ran = clearkey("play", *file.files, "--keys-file", keys_of(file), "--compare", *other.clear)
    mine, theirs = pyav_frames(*file.clear)["video 1"], pyav_frames(*other.clear)["video 1"]
    first = next(at for at, (one, two) in enumerate(zip(mine, theirs, strict=False)) if one != two)
    assert ran.code == 1, ran.err
    assert f"video 1: different from frame {first} on" in ran.err


def test_compare_finds_one_altered_frame_far_into_the_file(clearkey, samples, tmp_path) -> None:
    sample = samples["fragmented_cenc"]
    altered = tmp_path / "altered.mp4"
    altered.write_bytes(with_one_damaged_packet(sample.clear))
    mine, theirs = pyav_frames(sample.clear)["video 1"], pyav_frames(altered)["video 1"]
    first = next(at for at, (one, two) in enumerate(zip(mine, theirs, strict=True)) if one != two)
    assert first > 100
    ran = clearkey("play", sample.path, "--keys-file", sample.keys_file, "--compare", altered)
    assert ran.code == 1, ran.err
    assert f"video 1: different from frame {first} on (240 frames against 240)" in ran.err


def with_one_damaged_packet(path) -> bytes:
    """Alter one byte near the end of the 150th coded picture: it still decodes, to something else."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as file:
        packet = [packet for packet in file.demux(video=0) if packet.size][150]
    data[packet.pos + packet.size - 6] ^= 0x10
    return bytes(data)


@pytest.mark.parametrize("name", CLEAR)
def test_a_file_that_is_not_encrypted_plays_and_is_said_to_be_so(clearkey, samples, tmp_path, name: str) -> None:
    hashes = tmp_path / "hashes"
    ran = clearkey("play", samples[name].path, "--framemd5", hashes)
    assert ran.code == 0, ran.err
    assert "track 1: video avc1, not encrypted" in ran.err
    assert "track 2: audio mp4a, not encrypted" in ran.err
    assert "license_path: none" in ran.err
    assert frames(hashes.read_text()) == pyav_frames(samples[name].path)


def test_hashes_go_to_stdout_and_everything_else_to_stderr(clearkey, vector, keys_of, tmp_path) -> None:
    file, hashes = vector("pk_cenc_iv8_v"), tmp_path / "hashes"
    keys = keys_of(file)
    assert clearkey("play", *file.files, "--keys-file", keys, "--framemd5", hashes).code == 0
    ran = clearkey("play", *file.files, "--keys-file", keys, "--framemd5", "-")
    assert ran.code == 0, ran.err
    assert ran.out == hashes.read_text()
    assert "played: 72 frames" in ran.err
