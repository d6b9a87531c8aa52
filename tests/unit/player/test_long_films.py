"""Films of a thousand samples and of a million: the process that reads one is not larger for its length."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.long_films import DURATION, KID, write_film

SHORT, LONG = 1_000, 1_000_000
ROOM = 32 << 10  # KiB that a thousand times as many samples may cost
ROOT = Path(__file__).parents[3]

PEAK = """
import pathlib, sys
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak of the process that this one was forked from
code = 0
try:
    {0}
except SystemExit as ended:
    code = ended.code
peak = pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(peak, code, file=sys.stderr)
"""
COMMAND = PEAK.format("from player.cli import main; main(sys.argv[1:])")
# What an application does that plays a film, and a worker that is given its bytes: seek, then take every sample.
SOURCE = PEAK.format(
    "from drm.app.byte_stream import FileByteStream\n"
    "    from drm.components.mp4_source.source import Mp4Source\n"
    "    source = Mp4Source(FileByteStream(sys.argv[1]))\n"
    "    for position in (int(sys.argv[2]), 0):\n"
    "        source.select([1], position)\n"
    "        while sample := source.next_sample(1):\n"
    "            source.read_into(sample, memoryview(bytearray(sample.size)))\n"
    "            code += 1"
)
KEY = ("--key", f"{KID.hex}:00112233445566778899aabbccddeeff")
COMMANDS: dict[str, tuple[str, ...]] = {
    "inspect": ("inspect", "FILM"),
    "inspect as JSON": ("inspect", "FILM", "--json"),
    "keys check": ("keys", "check", "FILM", *KEY),
    "decrypt, the general way": ("decrypt", "FILM", "-o", "OUT", "-q", "--dialect", "ctr-128-bit-carry", *KEY),
}
CODES = {"keys check": 5}  # the media is no H.264, which is said when all of it has been looked through for keys


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Path]:
    """Of both lengths, with every table as long as it can be and a `senc`, or as short and `saiz` with `saio`."""
    folder = tmp_path_factory.mktemp("films")
    found: dict[tuple[str, int], Path] = {}
    for form in ("senc", "saio"):
        for count in (SHORT, LONG):
            path = found[form, count] = folder / f"{form}-{count}.mp4"
            write_film(path, count, senc=form == "senc", reordered=form == "senc")
    return found


def run(script: str, *argv: str) -> tuple[int, int, str]:
    """Peak in KiB, exit code (or what was counted), standard output."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", script, *argv], capture_output=True, text=True, check=True, timeout=110, env=environment
    )
    peak, code = ran.stderr.splitlines()[-1].split()
    return int(peak), int(code), ran.stdout


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("saio", "inspect"),
        ("senc", "inspect as JSON"),
        ("senc", "keys check"),
        ("saio", "keys check"),
        ("senc", "decrypt, the general way"),
    ],
)
def test_commands(films: dict[tuple[str, int], Path], tmp_path: Path, form: str, name: str) -> None:
    peaks: dict[int, int] = {}
    for count in (SHORT, LONG):
        places = {"FILM": films[form, count], "OUT": tmp_path / "clear.mp4"}
        peaks[count], code, said = run(COMMAND, *(str(places.get(word, word)) for word in COMMANDS[name]))
        assert code == CODES.get(name, 0), said
        if name == "inspect as JSON":
            assert f'"samples_encrypted":{count},' in said
    assert peaks[LONG] - peaks[SHORT] < ROOM, f"{peaks} KiB"


@pytest.mark.parametrize("form", ["senc", "saio"])
def test_playing(films: dict[tuple[str, int], Path], form: str) -> None:
    peaks: dict[int, int] = {}
    for count in (SHORT, LONG):
        middle = count // 2 * DURATION * 10_000  # in units of 100 ns
        peaks[count], read, _ = run(SOURCE, str(films[form, count]), str(middle))
        assert count * 1.5 <= read <= count * 1.5 + 50
    assert peaks[LONG] - peaks[SHORT] < ROOM, f"{peaks} KiB"
