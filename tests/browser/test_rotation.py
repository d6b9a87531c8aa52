"""Keys that change while a film plays: each new key is asked for once.

Shaka Player goes by the `pssh` in the fragment, hls.js by the URI of the key line.
"""

from pathlib import Path

import pytest

from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer
from sample_content.clip import Clip, make_clip
from tests.browser.conftest import Ledger
from tests.browser.films import Film, shaka_packager
from tests.browser.players import PLAYERS, Player
from tests.browser.trial import trial_url
from tests.interop.command import Command

KID, KEY = bytes(range(16)), bytes(range(16, 32))
CLIP = Clip(width=320, height=180, frames=14 * 30, gop=30, sound=False, fragmented=True)
PERIODS = 4  # of four seconds, in fourteen seconds of film


def turned(value: bytes, period: int) -> bytes:
    """Shaka Packager makes the key of a period, and its id, from the first by turning the bytes."""
    return value[period:] + value[:period]


PARTS = [Film("vp9", "cenc", take=f"part-{number}") for number in range(2)]
KEYS = {KeyId(turned(KID, period)): ContentKey(turned(KEY, period)) for period in range(PERIODS)} | dict(
    part.keys["video"] for part in PARTS
)


def test_each_new_key_is_asked_for_once(
    page, server: LicenseServer, ledger: Ledger, site_url: str, films_folder: Path, clearkey: Command, tmp_path: Path
) -> None:
    film = films_folder / "rotation"
    film.mkdir()
    clear = tmp_path / "clear.mp4"
    make_clip(clear, CLIP)
    shaka_packager(f"in={clear},stream=video,output=video.mp4,drm_label=video", "--enable_raw_key_encryption",
                   "--keys", f"label=video:key_id={KID.hex()}:key={KEY.hex()}", "--crypto_period_duration", "4",
                   "--protection_scheme", "cenc", "--clear_lead", "0", "--segment_duration", "1",
                   "--mpd_output", "packager.mpd", folder=film)  # fmt: skip
    ran = clearkey("signal", film / "packager.mpd", "-o", film / "manifest.mpd", "--license-url", server.license_url)
    assert ran.code == 0, ran.err
    page.goto(trial_url(site_url, "shaka", manifest=f"{site_url}/films/rotation/manifest.mpd", rate="2"))
    page.wait_for_function("measured().time > 12.5 || trial.errors.length", polling=50)
    measured = page.evaluate("measured()")
    assert measured["errors"] == []
    assert measured["frames"] > 300
    kids = {turned(KID, period).hex() for period in range(PERIODS)}
    rows = [row for row in ledger.new(PERIODS) if row[0] != "command"]  # of the keys that it was started with
    assert {(action, status) for action, status, _code, _kids in rows} == {("license", 200)}
    assert sorted(asked for _action, _status, _code, asked in rows) == sorted([kid] for kid in kids)
    assert measured["statuses"] == dict.fromkeys(kids, "usable")


@pytest.mark.parametrize(
    "player", [player for player in PLAYERS if player.kind == "hlsjs"], ids=lambda player: player.id
)
def test_hls_js_asks_for_the_key_of_each_part(
    player: Player, page, server: LicenseServer, ledger: Ledger, site_url: str, films_folder: Path, clearkey: Command
) -> None:
    """Two films, one behind the other: each part has its own initialization segment and its own key line."""
    ledger.new(0)
    lines = []
    for part in PARTS:
        folder = part.make(clearkey, films_folder, server.license_url)
        text = (folder / "hlsjs-video.m3u8").read_text().replace("video.mp4", f"{folder.name}/video.mp4")
        lines += ["#EXT-X-DISCONTINUITY", *text.splitlines()[4:-1]]
    (films_folder / "parts.m3u8").write_text("\n".join([*text.splitlines()[:4], *lines[1:], "#EXT-X-ENDLIST", ""]))
    options = {"manifest": f"{site_url}/films/parts.m3u8", "rate": "2", "license": server.license_url}
    if player.version < "1.7":
        options["request"] = "1"
    page.goto(trial_url(site_url, player, **options))
    page.wait_for_function("measured().time > 5 || trial.errors.length", polling=50)
    measured = page.evaluate("measured()")
    assert measured["errors"] == []
    assert measured["decoded"] > 100
    kids = sorted(part.keys["video"][0].hex for part in PARTS)
    rows = ledger.new(len(kids))
    assert sorted(row[3] for row in rows) == [[kid] for kid in kids], "each key is asked for once, by itself"
    assert measured["statuses"] == dict.fromkeys(kids, "usable")
