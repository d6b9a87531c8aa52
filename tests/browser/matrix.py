"""Every player in every version, with each form of manifest that it reads, each codec and each scheme: what plays.

    python -m tests.browser.matrix               tries all, and writes down what was measured
    python -m tests.browser.matrix WORD...       tries those that have a word in their name, and only prints

The answers are data of the product (drm/manifests/judging/played.json): verdicts on manifests name the versions. Tests
try a part of it anew at every run.
"""

import itertools
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from license_server.process import LicenseServer
from tests.browser import players
from tests.browser.chromium import chromium
from tests.browser.films import Film
from tests.browser.players import PLAYERS, Player
from tests.browser.site import PAGES, site
from tests.browser.table import PAGE, written
from tests.browser.trial import STALLS, trial_url, watch
from tests.interop.command import Command

RECORD = Path(__file__).parents[2] / "drm" / "manifests" / "judging" / "played.json"
CODECS = ("h264", "vp9", "av1")  # this Chromium has no decoder for HEVC
SCHEMES = ("cenc", "cbcs")


def _film(codec: str, scheme: str) -> Film:
    """A film whose key ids are the same in both base64 alphabets: with others dash.js 3.2 fails, whatever the codec."""
    films = (Film(codec, scheme, take=f"{number}") for number in itertools.count())
    return next(film for film in films if not any(set(kid.base64url) & set("-_") for kid, _ in film.keys.values()))


FILMS = {(codec, scheme): _film(codec, scheme) for codec in CODECS for scheme in SCHEMES}

# by kind: what an application tells the player besides the manifest, least first
SETTINGS = {
    "shaka": ("manifest", "config", "keys"),
    "dashjs": ("manifest", "config", "code"),
    "hlsjs": ("manifest", "config", "code"),
    "rxplayer": ("manifest", "code"),
    "videojs": ("manifest", "config"),
}


# by its name: of which kind the form is, and the manifest that has it. The first of each is what `signal` writes.
FORMS = {
    "clearkey:Laurl": ("DASH", "manifest.mpd"),
    "identity": ("HLS", "shaka.m3u8"),
    "org.w3.clearkey": ("HLS", "hlsjs.m3u8"),
}
_ANOTHERS = {("shaka", "org.w3.clearkey"), ("hlsjs", "identity")}
# Other spellings of the license URL, as packagers write them.
_OURS = re.compile(r"<clearkey:(Laurl Lic_type=[^>]*>)([^<]*)</clearkey:Laurl>")
_CK = r'<ck:Laurl xmlns:ck="http://dashif.org/guidelines/clearKey" Lic_type="EME-1.0">\2</ck:Laurl>'
_DASHIF = r'<dashif:Laurl xmlns:dashif="https://dashif.org/CPS">\2</dashif:Laurl>'
SPELLINGS = {"dashif:Laurl": _DASHIF, "ck:Laurl": _CK, "two of Laurl": _DASHIF + _CK}
_SPELT = ("vp9", "cenc")  # the film that they are tried with: a spelling has nothing to do with codecs


@dataclass(frozen=True)
class Trial:
    """One cell of the table."""

    player: Player
    form: str
    codec: str
    scheme: str

    @property
    def id(self) -> str:
        return f"{self.player.id}-{self.form}-{self.codec}-{self.scheme}".replace(" ", "-")

    @property
    def key(self) -> tuple[str, ...]:
        """What its row begins with."""
        return (self.player.name, self.player.version, self.form, self.codec, self.scheme)

    @property
    def film(self) -> Film:
        return FILMS[self.codec, self.scheme]


def trials() -> Iterator[Trial]:
    for player in PLAYERS:
        for form, (kind, _) in FORMS.items():
            if kind in player.reads and (player.kind, form) not in _ANOTHERS:
                yield from (Trial(player, form, codec, scheme) for codec, scheme in FILMS)
        if player.kind in {"shaka", "dashjs"}:
            yield from (Trial(player, form, *_SPELT) for form in SPELLINGS)


def manifest(trial: Trial, folder: Path) -> str:
    """The name of the trial's manifest in the folder of its film; another spelling is written there first."""
    if trial.form in FORMS:
        return FORMS[trial.form][1]
    made = folder / f"{trial.form.replace(':', '-').replace(' ', '-')}.mpd"
    text, changed = _OURS.subn(SPELLINGS[trial.form], (folder / "manifest.mpd").read_text())
    assert changed, "the manifest has no license URL in our spelling"
    made.write_text(text)
    return made.name


def tried(trial: Trial, page, site_url: str, server: LicenseServer, folder: Path) -> dict[str, str]:
    """Play it with as few words from the application as it takes: `plays` names them, `cause` is why fewer do not."""
    return _tried(trial, page, site_url, server, folder, SETTINGS[trial.player.kind])


def tried_again(trial: Trial, page, site_url: str, server: LicenseServer, folder: Path) -> dict[str, str]:
    """The same with the words that are recorded to be enough, more of them, and the last that are not."""
    settings = SETTINGS[trial.player.kind]
    plays = recorded()[trial.key]["plays"]
    first = settings.index(plays) if plays in settings else len(settings)
    return _tried(trial, page, site_url, server, folder, settings[max(first - 1, 0) :])


def recorded() -> dict[tuple[str, ...], dict[str, str]]:
    """The rows by what they begin with."""
    return {tuple(row.values())[:5]: row for row in json.loads(RECORD.read_text())}


def _tried(
    trial: Trial, page, site_url: str, server: LicenseServer, folder: Path, settings: Sequence[str]
) -> dict[str, str]:
    row = recorded().get(trial.key, {"plays": "", "cause": ""})
    cause = ""
    may_play = False
    for setting in settings:
        may_play = may_play or setting == row["plays"]
        options = {"manifest": f"{site_url}/films/{folder.name}/{manifest(trial, folder)}", "rate": "2"}
        if setting in ("config", "code"):
            options["license"] = server.license_url
        if setting == "code":
            options["request"] = "1"
        if setting == "keys":
            options["keys"] = json.dumps({kid.hex: key.secret.hex() for kid, key in trial.film.keys.values()})
        url = trial_url(site_url, trial.player, **options)
        will_stall = not may_play and row["cause"] in STALLS
        watched = watch(page, url, server.url, will_stall=will_stall)
        if watched.plays:
            return {"plays": setting, "cause": cause}
        # A short look does not tell one way to stall from the other.
        cause = row["cause"] if will_stall and watched.cause in STALLS else watched.cause
    return {"plays": "no", "cause": cause}


def measured(words: list[str]) -> Iterator[dict[str, str]]:
    """Try all of it, or those that have one of `words` in their name; one row for each trial."""
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        films = folder / "films"
        clearkey = Command(folder / "home")
        keys = {kid: key for film in FILMS.values() for kid, key in film.keys.values()}
        folders = {"pages": PAGES, "films": films, "vendored": players.VENDORED, "players": players.CACHE}
        with LicenseServer(keys=keys, store=folder / "keys.db") as server, site(folders) as site_url:
            for trial in trials():
                if words and not any(word in trial.id for word in words):
                    continue
                made = trial.film.make(clearkey, films, server.license_url)
                context = browser.new_context()
                answer = tried(trial, context.new_page(), site_url, server, made)
                context.close()
                yield dict(zip(("player", "version", "form", "codec", "scheme"), trial.key, strict=True)) | answer


def main() -> None:
    rows = []
    try:
        for row in measured(sys.argv[1:]):
            rows.append(row)
            print(*row.values(), file=sys.stderr, flush=True)
    except pytest.skip.Exception as lacking:
        sys.exit(f"nothing is written: {lacking}")
    if not sys.argv[1:]:
        RECORD.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
        PAGE.write_text(written(PAGE.read_text(), rows))


if __name__ == "__main__":
    main()
