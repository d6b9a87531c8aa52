"""The one file of others that is in the repository is what its publisher published."""

import re

from tests.browser.players import VENDORED, sha256


def test_shaka_player_is_the_published_file() -> None:
    recorded = dict(
        reversed(line.split("  ")) for line in (VENDORED / "shaka-player.txt").read_text().splitlines()
        if re.match(r"[0-9a-f]{64}  ", line)
    )  # fmt: skip
    assert set(recorded) == {"shaka-player.compiled-es2021.js", "shaka-player.LICENSE.txt"}
    assert {name: sha256(VENDORED / name) for name in recorded} == recorded
