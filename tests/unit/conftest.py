"""Clear clips to encrypt, small and made once, and two independent ways to read what came of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from drm.cenc.decrypt import SampleDecrypter
from drm.encrypting.source_file import SourceFile
from drm.isobmff.samples import open_presentation
from drm.keys import ContentKey, KeyId
from sample_content.clip import Clip, make_clip

VIDEO_KEY = (KeyId(b"video key id 000"), ContentKey(bytes.fromhex("00a1b2c3d4e5f60718293a4b5c6d7e00")))
AUDIO_KEY = (KeyId(b"audio key id 000"), ContentKey(bytes.fromhex("ff0102030405060708090a0b0c0d0e0f")))


@pytest.fixture(scope="session")
def keys() -> tuple[tuple[KeyId, ContentKey], ...]:
    """KID and key of the video, KID and key of the sound. One key begins and ends with a zero byte."""
    return VIDEO_KEY, AUDIO_KEY


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`clips(fragmented=..., ...)` is the path of such a clip: a second and a half, small."""
    folder = tmp_path_factory.mktemp("clips")
    made: dict[Clip, Path] = {}

    def clip(**settings: Any) -> Path:
        wanted = Clip(**({"width": 320, "height": 180, "frames": 45, "gop": 15} | settings))
        if wanted not in made:
            made[wanted] = folder / f"{len(made)}.mp4"
            make_clip(made[wanted], wanted)
        return made[wanted]

    return clip


@pytest.fixture(scope="session")
def by_ffmpeg() -> Callable[..., dict[str, list[bytes]]]:
    """Packets by type of stream as FFmpeg demuxes, and with keys decrypts, them."""

    def packets(path: Path, *keys: tuple[KeyId, ContentKey]) -> dict[str, list[bytes]]:
        told = {"decryption_keys": ":".join(f"{kid.hex}={key.secret.hex()}" for kid, key in keys)} if keys else {}
        found: dict[str, list[bytes]] = {}
        with av.open(str(path), options=told) as file:
            for packet in file.demux():
                if packet.size:
                    found.setdefault(packet.stream.type, []).append(bytes(packet))
        return found

    return packets


@pytest.fixture(scope="session")
def by_us() -> Callable[..., dict[str, list[bytes]]]:
    """The same by our own reader and decrypter."""

    def samples(path: Path, *keys: tuple[KeyId, ContentKey]) -> dict[str, list[bytes]]:
        decrypters = {kid: SampleDecrypter(key) for kid, key in keys}
        found: dict[str, list[bytes]] = {}
        with SourceFile(path) as source:
            opened = open_presentation(source)
            assert not opened.warnings
            for track in opened.tracks:
                for sample in opened.samples(track.track_id):
                    data = memoryview(source.read(sample.offset, sample.size))
                    if sample.crypto is not None:
                        decrypters[sample.crypto.key_id].decrypt_into(data, sample.crypto, data)
                    found.setdefault(track.type, []).append(bytes(data))
        return found

    return samples


@pytest.fixture
def remux(tmp_path: Path) -> Callable[[Path, str], Path]:
    """`remux(path, movflags)`: the same packets in another layout of MP4."""

    def copy(path: Path, movflags: str) -> Path:
        target = tmp_path / "remuxed.mp4"
        options = {"movflags": movflags} if movflags else {}
        with av.open(str(path)) as source, av.open(str(target), "w", options=options) as out:
            streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
            for packet in source.demux():
                if packet.size:
                    packet.stream = streams[packet.stream.index]
                    out.mux(packet)
        return target

    return copy
