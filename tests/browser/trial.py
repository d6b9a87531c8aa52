"""One film in one player: what is asked of it, and what counts as playing."""

import time
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.browser.players import Player, fetched, newest

FRAMES = 50  # of the 72 that a film has
STALLS = ("stalls", "asks for no license")
_PATIENT, _BRIEF = 30.0, 6.0  # seconds in which nothing is shown and nothing new asked for: it has stalled
_LIMIT = 45.0  # seconds; no player tries for longer than that


@dataclass(frozen=True)
class Watched:
    """What was seen of a trial. `measured` is what its page tells; `asked` the requests for licenses and keys."""

    measured: dict
    pictures: tuple[bytes, ...]
    asked: tuple

    @property
    def plays(self) -> bool:
        """Whether frames were decoded, the picture moved and nothing went wrong."""
        return (
            self.measured["decoded"] >= FRAMES
            and self.measured["errors"] == []
            and self.measured["error"] is None
            and len(set(self.pictures)) > 1
        )

    @property
    def cause(self) -> str:
        """Why it does not play, in the player's word: its code, or what the element says, or that it stalls."""
        if self.plays:
            return ""
        for error in self.measured["errors"]:
            return str(error["code"])
        if self.measured["error"] is not None:
            return self.measured["error"].partition(":")[0]
        return STALLS[0] if self.asked else STALLS[1]


def trial_url(site_url: str, player: Player | str, **options: str) -> str:
    """The page of a player, or of the newest one of a kind, with what it is to play."""
    scripts = []
    if player != "eme":  # which is no player at all
        player = newest(player) if isinstance(player, str) else player
        scripts = [("script", script) for script in fetched(player)]
    kind = player if isinstance(player, str) else player.kind
    return f"{site_url}/pages/trial.html?{urlencode([('kind', kind), *scripts, *options.items()])}"


def watch(page, url: str, server_url: str, *, will_stall: bool = False) -> Watched:
    """Open a trial and look at it till it has played, failed or stalled; for a short time if it is known to stall."""
    quiet = _BRIEF if will_stall else _PATIENT
    asked = []
    heard = set()

    def hear(request) -> None:
        heard.add((request.url, request.headers.get("range")))
        if request.url.startswith(server_url):
            asked.append(request)

    page.on("request", hear)
    page.goto(url)
    pictures: list[bytes] = []
    began = changed = time.monotonic()
    state = None
    while True:
        measured = page.evaluate("window.measured()")
        if len(pictures) < 2 and measured["time"] > (0.2, 2)[len(pictures)]:
            pictures.append(page.locator("video").screenshot())
        if measured["errors"] or measured["error"] or (measured["decoded"] >= FRAMES and len(pictures) == 2):
            break
        now = (measured["decoded"], measured["time"], len(heard))
        if now != state:
            state, changed = now, time.monotonic()
        if time.monotonic() > min(changed + quiet, began + _LIMIT):
            break
        page.wait_for_timeout(50)
    page.remove_listener("request", hear)
    return Watched(measured, tuple(pictures), tuple(asked))
