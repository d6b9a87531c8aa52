"""Keys that change while a film plays: Shaka Player asks once for each new key, as the `pssh` in its fragment says."""

from pathlib import Path

from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer
from sample_content.clip import Clip, make_clip
from tests.browser.conftest import Ledger, trial_url
from tests.browser.films import shaka_packager
from tests.interop.command import Command

KID, KEY = bytes(range(16)), bytes(range(16, 32))
CLIP = Clip(width=320, height=180, frames=14 * 30, gop=30, sound=False, fragmented=True)
PERIODS = 4  # of four seconds, in fourteen seconds of film


def turned(value: bytes, period: int) -> bytes:
    """Shaka Packager makes the key of a period, and its id, from the first by turning the bytes."""
    return value[period:] + value[:period]


KEYS = {KeyId(turned(KID, period)): ContentKey(turned(KEY, period)) for period in range(PERIODS)}


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
    kids = {kid.hex for kid in KEYS}
    rows = ledger.new(PERIODS)
    assert {(action, status) for action, status, _code, _kids in rows} == {("license", 200)}
    assert sorted(asked for _action, _status, _code, asked in rows) == sorted([kid] for kid in kids)
    assert measured["statuses"] == dict.fromkeys(kids, "usable")
