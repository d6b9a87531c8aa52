"""What `clearkey package` and `clearkey signal` write plays in browsers' players, from the manifest alone."""

import pytest

from license_server.process import LicenseServer
from tests.browser.conftest import Ledger
from tests.browser.films import Film
from tests.browser.trial import trial_url, watch
from tests.interop.command import Command

OURS = [Film(codec, scheme) for codec in ("h264", "vp9", "av1") for scheme in ("cenc", "cbcs")]
SHAKAS = [Film("h264", "cenc", "packager"), Film("h264", "cbcs", "packager"), Film("vp9", "cenc", "packager"),
          Film("av1", "cbcs", "packager")]  # fmt: skip
KEYS = {kid: key for film in OURS + SHAKAS for kid, key in film.keys.values()}

# by name: its page, what it reads, how it asks for keys, and the Content-Type that it sends
PLAYERS = {
    "shaka": ("shaka", "manifest.mpd", "license", None),
    "shaka-hls": ("shaka", "shaka.m3u8", "hls_key", None),
    "dash.js": ("dashjs", "manifest.mpd", "license", "application/json"),
    "hls.js": ("hlsjs", "hlsjs.m3u8", "license", None),
    "bare-page": ("eme", "manifest.mpd", "license", None),
}


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("film", OURS + SHAKAS, ids=lambda film: film.name)
def test_it_plays(
    player: str, film: Film, page, server: LicenseServer, ledger: Ledger, site_url: str, films_folder, clearkey: Command
) -> None:
    film.make(clearkey, films_folder, server.license_url)
    kind, manifest, action, content_type = PLAYERS[player]
    ledger.new(0)
    options = {"manifest": f"{site_url}/films/{film.name}/{manifest}", "rate": "2", "scheme": film.scheme}
    if player == "hls.js":
        options["license"] = server.license_url
    watched = watch(page, trial_url(site_url, kind, **options), server.url)
    assert watched.plays, (watched.cause, watched.measured)
    kids = sorted(kid.hex for kid, _ in film.keys.values())
    rows = ledger.new(len(kids))
    assert {(row[0], row[1]) for row in rows} == {(action, 200)}
    assert sorted(kid for row in rows for kid in row[3]) == kids, "each key is asked for once"
    posts = [request for request in watched.asked if request.method == "POST"]
    assert {request.headers.get("content-type") for request in posts} <= {content_type}
    if action == "license":
        assert watched.measured["statuses"] == dict.fromkeys(kids, "usable")
