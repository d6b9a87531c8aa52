"""The recorded table of what plays is what players do: a part of it is tried anew, and verdicts and page follow it."""

import random

import pytest

from drm.manifests.judging.played import played
from tests.browser import matrix, table
from tests.browser.matrix import FILMS, Trial, tried_again
from tests.browser.players import newest

KEYS = {kid: key for film in FILMS.values() for kid, key in film.keys.values()}
ROWS = matrix.recorded()


def sample() -> list[Trial]:
    """One trial of each version, the same at every run. Those that test_playback.py plays are not tried again."""
    chosen = random.Random("players")
    by_version: dict[str, list[Trial]] = {}
    for trial in matrix.trials():
        if trial.player in {newest(kind) for kind in ("shaka", "dashjs", "hlsjs")}:
            continue
        by_version.setdefault(trial.player.id, []).append(trial)
    return [chosen.choice(group) for group in by_version.values()]


@pytest.mark.parametrize("trial", sample(), ids=lambda trial: trial.id)
def test_a_player_does_what_is_recorded(trial: Trial, page, server, site_url: str, films_folder, clearkey) -> None:
    folder = trial.film.make(clearkey, films_folder, server.license_url)
    row = ROWS[trial.key]
    answer = tried_again(trial, page, site_url, server, folder)
    assert row == row | answer, "run `make players`, and look at what changed"


def test_every_trial_is_recorded() -> None:
    assert list(ROWS) == [trial.key for trial in matrix.trials()], "run `make players`"


def test_the_page_has_the_recorded_table() -> None:
    page = table.PAGE.read_text()
    assert table.written(page, ROWS.values()) == page, "run `make players`"


def test_every_row_is_read_by_verdicts() -> None:
    assert [row.player for row in played()] == [row["player"] for row in ROWS.values()]
