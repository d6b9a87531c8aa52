"""What `clearkey package` and `clearkey signal` write plays in browsers' players, from the manifest alone."""

import pytest

from license_server.process import LicenseServer
from tests.browser.conftest import Ledger, trial_url
from tests.browser.films import Film
from tests.browser.players import fetched
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
FRAMES = 50  # of the 72 that a film has


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("film", OURS + SHAKAS, ids=lambda film: film.name)
def test_it_plays(
    player: str, film: Film, page, server: LicenseServer, ledger: Ledger, site_url: str, films_folder, clearkey: Command
) -> None:
    if player in ("dash.js", "hls.js"):
        fetched()
    film.make(clearkey, films_folder, server.license_url)
    kind, manifest, action, content_type = PLAYERS[player]
    asked = []
    page.on("request", lambda request: request.url.startswith(server.url) and asked.append(request))
    ledger.new(0)
    page.goto(
        trial_url(
            site_url,
            kind,
            manifest=f"{site_url}/films/{film.name}/{manifest}",
            rate="2",
            scheme=film.scheme,
            license=server.license_url if player == "hls.js" else "",
        )
    )

    seen = [shown(page, after) for after in (0.5, 2)]

    page.wait_for_function(
        "least => { const { frames, errors, error } = measured(); return frames >= least || errors.length || error; }",
        arg=FRAMES,
        polling=50,
    )
    measured = page.evaluate("measured()")
    assert measured["frames"] >= FRAMES
    assert measured["error"] is None
    assert measured["errors"] == []
    assert seen[0] != seen[1], "the picture does not move"
    kids = sorted(kid.hex for kid, _ in film.keys.values())
    rows = ledger.new(len(kids))
    assert {(row[0], row[1]) for row in rows} == {(action, 200)}
    assert sorted(kid for row in rows for kid in row[3]) == kids, "each key is asked for once"
    assert {request.headers.get("content-type") for request in asked if request.method == "POST"} <= {content_type}
    if action == "license":
        assert measured["statuses"] == dict.fromkeys(kids, "usable")


def shown(page, after: float) -> bytes:
    """What the screen shows once so many seconds have been played."""
    page.wait_for_function(
        "after => { const { time, errors, error } = measured(); return time > after || errors.length || error; }",
        arg=after,
        polling=50,
    )
    return page.locator("video").screenshot()
