"""`clearkey trace`: the log of a real session in a real worker is what Media Foundation documents, number by number."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from sample_content.clip import Clip, make_clip
from tests.interop.command import Command

KEY_ID, KEY = KeyId(b"the traced key's"), ContentKey(b"and the very key")

# Numbers of mfobjects.idl; a topology's status beside 111.
RIGHTS = [114, 119, 115]
# A device that the server does not know yet registers first.
SEALED_RIGHTS = [114, 118, 119, 115, 116, 118, 119, 117, 114, 118, 118, 119, 115]
READY = [101, 112, 110, (111, "READY")]
STARTED = [(111, "STARTED_SOURCE"), 110, 103]
ENDED = [211, (111, "ENDED"), 110, 107]
CLOSED = [110, 106]
DOCUMENTED = {
    "play": RIGHTS + READY + STARTED + ENDED + CLOSED,
    "seek": RIGHTS + READY + STARTED + [110, 104] + [110, 103] + [110, 105] + CLOSED,
    "queue": RIGHTS + READY + [101] + STARTED
    + [211, (111, "ENDED"), 112, (111, "READY"), (111, "STARTED_SOURCE"), (111, "SINK_SWITCHED")] + ENDED + CLOSED,
    "license": SEALED_RIGHTS + READY + CLOSED,
}  # fmt: skip
STATUS = {100: "READY", 200: "STARTED_SOURCE", 300: "SINK_SWITCHED", 400: "ENDED"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "cenc.mp4"
    make_clip(path, Clip(width=160, height=90, frames=45, gop=15, sound=False))
    encrypt_file(path, path, scheme=Scheme.CENC, tracks={TrackType.VIDEO: TrackEncryption(KEY_ID, KEY)}, in_place=True)
    return path


@pytest.fixture
def trace(tmp_path: Path, film: Path) -> Callable[..., list[dict]]:
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{KEY_ID}:{KEY.secret.hex()}\n")

    def run(*words: str) -> list[dict]:
        ran = Command(tmp_path / "home")("trace", film, "--keys-file", keys, "--json", *words)
        assert ran.code == 0, ran.err
        document = json.loads(ran.out)
        assert document["level"] >= 1
        log: list[dict] = document["log"]
        return log

    return run


def numbers(log: list[dict]) -> list[object]:
    events = [row for row in log if row["side"] == "event"]
    return [(111, STATUS[row["values"]["status"]]) if row["number"] == 111 else row["number"] for row in events]


@pytest.mark.parametrize("scenario", DOCUMENTED)
def test_the_log_is_the_documented_order(trace: Callable[..., list[dict]], scenario: str) -> None:
    log = trace("--scenario", scenario)
    found = numbers(log)
    if scenario == "seek":  # the source of a film this short may be done at any moment of it
        found = [number for number in found if number != 211]
    assert found == DOCUMENTED[scenario]
    moments = [row["seconds"] for row in log]
    assert moments == sorted(moments)
    assert moments[0] == 0


def test_rights_are_enabled_between_start_and_completion(trace: Callable[..., list[dict]]) -> None:
    log = trace("--scenario", "license")
    begins = [index for index, row in enumerate(log) if row["name"] == "begin_enable_content"]
    ends = [index for index, row in enumerate(log) if row["name"] == "end_enable_content"]
    assert [log[index]["values"]["type"] for index in begins] == [
        "LICENSE_ACQUISITION", "INDIVIDUALIZATION", "LICENSE_ACQUISITION",
    ]  # fmt: skip
    for begin, end in zip(begins, ends, strict=True):
        around = [row["number"] for row in log[begin - 1 : end + 2] if row["side"] == "event"]
        assert around[0] in {114, 116}
        assert around[-2:] in ([119, 115], [119, 117])
    sealed = [row["values"]["license_path"] for row in log if row["number"] == 115]
    assert sealed == ["none", "sealed"]


def test_people_read_lines(tmp_path: Path, film: Path) -> None:
    ran = Command(tmp_path)("trace", film, "--seconds", "0.5")
    assert ran.code == 4, ran.err  # no key
    lines = ran.out.splitlines()
    assert lines[0].split() == ["ms", "side", "no.", "name", "what", "it", "says"]
    failed = next(line for line in lines if "SESSION_TOPOLOGY_SET" in line)
    assert failed.split()[1:5] == ["event", "101", "SESSION_TOPOLOGY_SET", "MF_E_NO_CONTENT_PROTECTION_MANAGER"]
    assert "--keys-file" in ran.err
