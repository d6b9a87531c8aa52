"""A playback that cannot go on ends, whichever event says so: a start that failed is followed by no end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.command import Command
from tests.interop.vectors import Vector

STRANGE = Path(__file__).parents[1] / "data" / "field" / "unknown_scheme" / "N_scheme.mp4"
KEY = "6e2eabb85035a404d04f169c971e303b:00112233445566778899aabbccddeeff"
RUNS = 6  # where the failure arrives is a race between two threads: half of all runs met the start with it


@pytest.mark.parametrize("words", [("play",), ("trace",), ("play", "--remote-source")], ids=" ".join)
def test_a_scheme_that_nobody_knows_ends_every_run(clearkey: Command, words: tuple[str, ...]) -> None:
    for _ in range(RUNS):
        ran = clearkey(*words, STRANGE, "--key", KEY)  # an end that does not come is the command's time limit
        assert ran.code == 3, ran.said
        assert "scheme abcd is none of" in ran.err


def test_a_sample_that_breaks_off_ends_every_run(
    clearkey: Command, vector: Callable[[str], Vector], keys_of: Callable[[Vector], Path], tmp_path: Path
) -> None:
    """The same with another failure at the first samples: their bytes are not there."""
    sound = vector("pk_cenc_iv8_v")
    data = sound.files[0].read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: data.index(b"mdat") + 40])
    for _ in range(RUNS):
        ran = clearkey("play", cut, "--keys-file", keys_of(sound))
        assert ran.code == 3, ran.said
