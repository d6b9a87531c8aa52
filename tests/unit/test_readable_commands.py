"""Files that speak to a terminal, before the whole command: what it says of them does nothing to its reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.app.pmp import clip
from tests.unit.hostile_words import EVIL, is_clean

FOURCC = b"\x1b[2J"
MPD = """<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="{0}"><Period id="{0}">
<AdaptationSet mimeType="{0}" codecs="{0}"><ContentProtection schemeIdUri="urn:{0}" value="{0}"/>
<Representation id="{0}" bandwidth="1"/></AdaptationSet></Period></MPD>"""


def spoiled(tmp_path: Path) -> dict[str, Path]:
    """Files that speak to a terminal: by name, brand, sample entry, manifest attribute, keys."""
    film = clip().read_bytes()
    made = {
        "brand": film.replace(b"isom", FOURCC),
        "sample entry": film.replace(b"mp4a", b"\x1b[0c").replace(b"avc1", FOURCC),
        "handler": film.replace(b"vide", FOURCC),
        "keys": EVIL.encode(),
        "keys of JSON": json.dumps({EVIL: EVIL, "keys": [{"kty": EVIL, "kid": EVIL, "k": EVIL}]}).encode(),
    }
    odd = EVIL.replace("\x1b", "").replace("\x07", "").replace("\ufeff", "")  # XML has no such controls
    made["manifest.mpd"] = MPD.format(odd.replace("\r\n", "&#13;&#10;")).encode()
    made["playlist.m3u8"] = f'#EXTM3U\n#EXT-X-KEY:METHOD={odd!s},URI="{odd!s}"\n#EXTINF:1,{EVIL}\n{EVIL}\n'.encode()
    paths = {}
    for name, data in made.items():
        paths[name] = tmp_path / f"{EVIL.replace('/', '')} {name}"
        paths[name].write_bytes(data)
    return paths


COMMANDS = [
    (name, words)
    for name in ("brand", "sample entry", "handler")
    for words in (["inspect"], ["inspect", "--boxes"], ["inspect", "--json"], ["digest"], ["digest", "--json"],
                  ["pssh", "read"], ["keys", "check"])
] + [
    ("keys", ["keys", "convert", "--to", "jwks"]), ("keys of JSON", ["keys", "convert", "--to", "jwks"]),
    ("manifest.mpd", ["signal", "--check"]), ("manifest.mpd", ["signal", "--check", "--json"]),
    ("playlist.m3u8", ["signal", "--check"]), ("manifest.mpd", ["pssh", "read"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words"), COMMANDS, ids=lambda each: "-".join([each] if isinstance(each, str) else each)
)
def test_a_file_says_nothing_to_a_terminal(tmp_path: Path, name: str, words: list[str]) -> None:
    path = spoiled(tmp_path)[name]
    run = subprocess.run(
        [sys.executable, "-m", "player.start", *words, str(path)],
        capture_output=True, timeout=60, check=False, env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert run.returncode != 1, run.stderr
    assert run.stdout + run.stderr
    for stream in (run.stdout, run.stderr):
        assert is_clean(stream.decode())
    if "--json" in words and run.returncode == 0:
        json.loads(run.stdout)
