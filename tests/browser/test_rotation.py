"""Keys that change while a film plays: Shaka Player asks once for each new key, as the `pssh` in its fragment says."""

from pathlib import Path

from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer
from sample_content.maker import make_samples
from tests.browser.conftest import Ledger, trial_url
from tests.browser.films import shaka_packager
from tests.interop.command import Command

KID, KEY = bytes(range(16)), bytes(range(16, 32))
PERIODS = 3  # in eight seconds of film: Shaka Packager changes keys at the first segment after two seconds, or four


def turned(value: bytes, period: int) -> bytes:
    """Shaka Packager makes the key of a period, and its id, from the first by turning the bytes."""
    return value[period:] + value[:period]


KEYS = {KeyId(turned(KID, period)): ContentKey(turned(KEY, period)) for period in range(PERIODS)}


def test_each_new_key_is_asked_for_once(
    page, server: LicenseServer, ledger: Ledger, site_url: str, films_folder: Path, clearkey: Command, tmp_path: Path
) -> None:
    film = films_folder / "rotation"
    film.mkdir()
    clear = next(sample for sample in make_samples(tmp_path) if sample.name == "fragmented_clear").path
    shaka_packager(f"in={clear},stream=video,output=video.mp4,drm_label=video", "--enable_raw_key_encryption",
                   "--keys", f"label=video:key_id={KID.hex()}:key={KEY.hex()}", "--crypto_period_duration", "2",
                   "--protection_scheme", "cenc", "--clear_lead", "0", "--segment_duration", "1",
                   "--mpd_output", "packager.mpd", folder=film)  # fmt: skip
    ran = clearkey("signal", film / "packager.mpd", "-o", film / "manifest.mpd", "--license-url", server.license_url)
    assert ran.code == 0, ran.err
    page.goto(trial_url(site_url, "shaka", manifest=f"{site_url}/films/rotation/manifest.mpd", rate="2"))
    page.wait_for_function("measured().time > 7 || trial.errors.length", polling=50)
    measured = page.evaluate("measured()")
    assert measured["errors"] == []
    assert measured["frames"] > 120
    kids = {kid.hex for kid in KEYS}
    rows = ledger.new(PERIODS)
    assert {(action, status) for action, status, _code, _kids in rows} == {("license", 200)}
    assert sorted(asked for _action, _status, _code, asked in rows) == sorted([kid] for kid in kids)
    assert measured["statuses"] == dict.fromkeys(kids, "usable")
