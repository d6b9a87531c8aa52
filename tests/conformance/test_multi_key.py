"""Two keys in each sample, by ISO/IEC 23001-7:2023: samples, key check and playback, and each key left out.

GPAC's own file lists two keys and uses one. So its samples are encrypted anew here, each half of every protected range
under a key of its own, and the auxiliary information is written behind the media, where `saio` then points.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from struct import pack

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.rights.managers import LocalKeysManager
from drm.cenc.decrypt import SampleDecrypter
from drm.cenc.encrypt import SampleEncrypter
from drm.errors import KeyMissingError, KeyWrongError
from drm.isobmff.box import encode_box
from drm.isobmff.sample_aux import Saio, Saiz
from drm.isobmff.samples import open_presentation
from drm.keys import ContentKey, KeyId
from drm.media import SampleCrypto, Scheme
from drm.session.key_check import KeyOutcome
from player.digests import digest_tracks
from player.playback import Playback
from player.verbs.keys.check_file import run as key_check
from player.verbs.keys.check_file import verdicts

VECTOR = Path(__file__).parents[1] / "data" / "vectors" / "generated" / "gp_multikey_prog_v.mp4"
A = KeyId.parse("10000000100010001000100000000001")
B = KeyId.parse("30000000300030003000300000000003")
WRONG = ContentKey(b"w" * 16)
KEYS = {
    A: ContentKey.parse("3a2a1b68dd2bd9b2eeb25e84c4776668"),
    B: ContentKey.parse("11223344556677889900aabbccddeeff"),
}
CLEAR_SHA256 = "931575a86462beabc6b275999690a7fe788edde3b43a7a14fa75d078332c5b52"
IV_A, IV_B = bytes(range(16)), bytes(range(16, 32))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = bytearray(VECTOR.read_bytes())
    entries = []
    with FileByteStream([str(VECTOR)]) as stream:
        decrypter = SampleDecrypter(KEYS[A])
        for sample in open_presentation(stream).samples(1):
            assert sample.crypto is not None
            media = memoryview(data)[sample.offset : sample.offset + sample.size]
            decrypter.decrypt_into(media, sample.crypto, media)
            ((clear, protected),) = sample.crypto.subsamples
            first = protected // 2
            for kid, iv, subsample in ((A, IV_A, (clear, first)), (B, IV_B, (clear + first, protected - first))):
                crypto = SampleCrypto(kid, Scheme.CENC, iv, (subsample,))
                SampleEncrypter(KEYS[kid]).encrypt_into(media, crypto, media)
            media.release()
            ivs = pack(">HH16sH16s", 2, 1, IV_A, 2, IV_B)
            entries.append(ivs + pack(">IHHIHHI", 2, 1, clear, first, 2, 0, protected - first))
    size = len(entries[0])
    # GPAC's saiz is of type 0, which nobody defines, so its senc is what is read; here saiz is what counts.
    told = Saiz(len(entries), 50, aux_type="\0\0\0\0", aux_parameter=1), Saiz(len(entries), size, aux_type="cenc")
    replace(data, told[0].encode()[8:], told[1].encode()[8:])
    replace(data, Saio((1792,), version=1).encode()[8:], Saio((len(data) + 8,), version=1).encode()[8:])
    data += encode_box("free", *entries)
    path = tmp_path_factory.mktemp("multi-key") / "two.mp4"
    path.write_bytes(data)
    return path


def replace(data: bytearray, old: bytes, new: bytes) -> None:
    assert len(old) == len(new)
    assert data.count(old) == 1
    at = data.index(old)
    data[at : at + len(new)] = new


def test_it_decrypts_to_the_clear_original(file: Path) -> None:
    assert hashlib.sha256(file.read_bytes()).digest() != hashlib.sha256(VECTOR.read_bytes()).digest()
    with FileByteStream([str(file)]) as stream:
        samples = list(open_presentation(stream).samples(1))
        assert {sample.crypto.key_ids for sample in samples if sample.crypto} == {(A, B)}
        (video, _audio), warnings = digest_tracks(stream, KEYS, frozenset())
    assert (video.samples_encrypted, video.sha256, warnings) == (72, CLEAR_SHA256, ())


def test_it_plays(file: Path) -> None:
    assert Playback([str(file)], manager=LocalKeysManager(KEYS)).run().frames == 72 + 141


@pytest.mark.parametrize("absent", [A, B], ids=["first", "second"])
def test_either_key_left_out_is_named(file: Path, absent: KeyId) -> None:
    held = {kid: key for kid, key in KEYS.items() if kid != absent}
    with FileByteStream([str(file)]) as stream:
        for verb in (
            lambda: digest_tracks(stream, held, frozenset()),
            lambda: key_check(str(file), [], held),
            lambda: Playback([str(file)], manager=LocalKeysManager(held)).run(),
        ):
            with pytest.raises(KeyMissingError, match=str(absent)) as missing:
                verb()
            assert missing.value.kids == (str(absent),)


@pytest.mark.parametrize("wrong", [A, B], ids=["first", "second"])
def test_either_key_wrong_is_seen_and_no_right_one_is_blamed(file: Path, wrong: KeyId) -> None:
    found = verdicts([str(file)], KEYS | {wrong: WRONG}).verdicts
    outcomes = {verdict.key_id: verdict.outcome for verdict in found}
    # Both halves are needed for one picture: which key spoils it, no decoder can tell.
    assert set(outcomes.values()) == {KeyOutcome.WRONG}
    with pytest.raises(KeyWrongError) as refused:
        key_check(str(file), [], KEYS | {wrong: WRONG})
    assert "or that of" in refused.value.maybe
    assert len(refused.value.kids) == 2


def test_right_keys_are_found_right(file: Path) -> None:
    assert [verdict.outcome for verdict in verdicts([str(file)], KEYS).verdicts] == [KeyOutcome.RIGHT, KeyOutcome.RIGHT]
