"""An application whose media source says of protected bytes what it likes: the attacks on outputs, and what they find.

The bytes are 64 of a protected sample that the application does not know. It has them as they are stored, chooses IV,
subsamples and clear bytes around them, and names the decoder.
"""

from __future__ import annotations

import array
import hashlib
from collections.abc import Sequence

import msgspec

from drm.cenc.encrypt import SampleEncrypter
from drm.class_ids import CLEARKEY_ITA
from drm.component import SourceCharacteristic
from drm.keys import ContentKey, KeyId
from drm.media import Protection, Sample, SampleCrypto, Scheme, StreamDescriptor, TrackInfo, TrackType

KEY_ID, KEY = KeyId(b"a protected film"), ContentKey(b"sixteen secrets!")
SECRET = bytes((37 * n * n + 11 * n + 5) % 251 for n in range(64))
IV = b"film IV."


def stored(clear: bytes = SECRET, iv: bytes = IV, key: ContentKey = KEY) -> bytes:
    """What the film holds of `clear`."""
    made = bytearray(len(clear))
    SampleEncrypter(key).encrypt_into(memoryview(clear), SampleCrypto(KEY_ID, Scheme.CENC, iv), memoryview(made))
    return bytes(made)


class Mislabelled:
    """A media source of the application's own: samples of one stream, each with its encryption, under any label."""

    characteristics = SourceCharacteristic.CAN_SEEK
    duration = 0

    def __init__(self, track: TrackInfo, samples: Sequence[tuple[bytes, SampleCrypto]]) -> None:
        self.track, self.samples = track, samples
        self._next = 0

    def streams(self) -> tuple[StreamDescriptor, ...]:
        return (StreamDescriptor(self.track, (KEY_ID,)),)

    def set_pmp_host(self, host) -> None:
        self._host = host

    def get_input_trust_authority(self, stream_id: int) -> object:
        told = {"track_id": stream_id, "scheme": "cenc", "key_ids": [str(KEY_ID)]}
        return self._host.create_object(CLEARKEY_ITA, msgspec.json.encode(told))

    def select(self, stream_ids, position: int = 0) -> None:
        self._next = 0

    def next_sample(self, stream_id: int) -> Sample | None:
        if self._next >= len(self.samples):
            return None
        number, self._next = self._next, self._next + 1
        data, crypto = self.samples[number]
        return Sample(stream_id, number * 8, 0, 8, True, number, len(data), 1, crypto)

    def read_into(self, sample: Sample, into: memoryview) -> None:
        into[:] = self.samples[sample.offset][0]


def track(decoder: str, codec: str, config: bytes = b"", kind: TrackType = TrackType.AUDIO, **more: int) -> TrackInfo:
    told = {"sample_rate": 8000, "channels": 1, "bit_rate": 64_000, "block_align": 1} | more
    return TrackInfo(1, kind, codec, 8000, decoder=decoder, codec_config=config,
                     protections=(Protection(Scheme.CENC, KEY_ID, 8),), **told)  # fmt: skip


def as_pcm(label: str = "pcm_u8") -> Mislabelled:
    """Raw sound, one byte more with each sample: the MD5 of each is one of 256."""
    data = stored()
    return Mislabelled(
        track(label, "raw "), [(data[: n + 1], SampleCrypto(KEY_ID, Scheme.CENC, IV)) for n in range(len(data))]
    )


def found_in_pcm(lines: Sequence[str]) -> bytes:
    """Every byte that the hashes of `as_pcm` give, each looked up among 256."""
    known = b""
    for line in lines:
        wanted = line.split(",")[-1].strip()
        known += next(
            bytes([byte])
            for byte in range(256)
            if _md5(array.array("h", ((each - 128) << 8 for each in known + bytes([byte]))).tobytes()) == wanted
        )
    return known


def as_flac(*, whole: bool = False) -> Mislabelled:
    """A coded form that is as good as raw: FLAC's verbatim subframes, fifteen clear bytes and one protected one more.

    `whole`: all of the protected sample each time, of which the frame takes only so many bytes.
    """
    data = stored()
    samples = []
    for n in range(len(data)):
        # sync, 8-bit block size, rate and one channel as in STREAMINFO, 8 bits a sample; frame 0, n + 1 samples
        head = bytes([0xFF, 0xF8, 0x60, 0x02, n % 128, n + 15])
        head += bytes([_crc8(head), 0x02])  # and a verbatim subframe
        sound = bytes(15)
        size = len(data) if whole else n + 1
        body = head + sound + data[:size] + bytes(2)
        samples.append((body, SampleCrypto(KEY_ID, Scheme.CENC, IV, ((len(head) + len(sound), size), (2, 0)))))
    info = bytes.fromhex("0010 0100 000000 000000 01f40070 00000000".replace(" ", "")) + bytes(16)
    return Mislabelled(track("flac", "fLaC", info), samples)


def found_in_flac(lines: Sequence[str]) -> bytes:
    known = b""
    for line in lines:
        wanted = line.split(",")[-1].strip()
        before = bytes(15) + known
        known += next(
            bytes([byte])
            for byte in range(256)
            if _md5(array.array("h", (((each ^ 128) - 128) << 8 for each in before + bytes([byte]))).tobytes())
            == wanted
        )
    return known


def as_one_whole_sample_twice(decoder: str = "pcm_u8") -> Mislabelled:
    """The sample as it is, and then with one bit of it changed."""
    data = stored()
    changed = bytes([data[0] ^ 1]) + data[1:]
    crypto = SampleCrypto(KEY_ID, Scheme.CENC, IV)
    return Mislabelled(track(decoder, "raw "), [(data, crypto), (changed, crypto)])


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07 if value & 0x80 else value << 1) & 0xFF
    return value
