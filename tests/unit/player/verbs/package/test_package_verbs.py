"""`clearkey package` and `clearkey signal` as processes: words, exit codes, what is said and what is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import player
from drm.keys import ContentKey, KeyId

START = "from player.start import main; main()"
URL = "http://localhost:8000/license"
VIDEO = (KeyId(b"video key id 000"), ContentKey(b"v" * 16))
AUDIO = (KeyId(b"audio key id 000"), ContentKey(b"a" * 16))
SHAKAS = Path(__file__).parents[4] / "data" / "vectors" / "generated" / "pk_hls_fmp4"


SCHEMAS = Path(player.__file__).with_name("schemas")


def described(told: Any, name: str) -> Any:
    """`told`, which the published schema describes, all of it."""
    schema = json.loads((SCHEMAS / name).read_text())
    lists = [part["items"] for part in schema["properties"].values() if "properties" in part.get("items", {})]
    for part in (schema, *lists):
        part["additionalProperties"] = False
    jsonschema.Draft202012Validator(schema).validate(told)
    return told


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", START, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    path.write_text(f"{VIDEO[0].hex}:{VIDEO[1].secret.hex()}\n")
    return path


@pytest.fixture
def hls(tmp_path: Path) -> Path:
    """A copy of what Shaka Packager made."""
    for file in SHAKAS.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path / "master.m3u8"


# ------------------------------------------------------------------------------------------------ package
def test_a_package_digests_to_what_was_put_in(tmp_path: Path, clips: Any) -> None:
    keys = [f"--key={label}={kid.hex}:{key.secret.hex()}" for label, (kid, key) in
            (("video", VIDEO), ("audio", AUDIO))]  # fmt: skip
    ran = run("package", clips(), "-o", tmp_path / "out", *keys, "--license-url", URL, "--scheme", "cbcs", "--json")
    assert ran.returncode == 0, ran.stderr
    told = described(json.loads(ran.stdout), "package-1.json")
    assert [track["key_id"] for track in told["tracks"]] == [str(VIDEO[0]), str(AUDIO[0])]
    assert told["manifests"] == ["manifest.mpd", "shaka.m3u8", "hlsjs.m3u8"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(told["files"])
    assert "process list" in ran.stderr
    assert VIDEO[1].secret.hex() not in ran.stdout + ran.stderr
    clear = json.loads(run("digest", clips(), "--json").stdout)
    for name, (kid, key), before in zip(("video", "audio"), (VIDEO, AUDIO), _tracks(clear), strict=True):
        digest = run("digest", tmp_path / "out" / f"{name}.mp4", "--key", f"{kid.hex}:{key.secret.hex()}", "--json")
        assert digest.returncode == 0, digest.stderr
        assert _tracks(json.loads(digest.stdout)) == [before]


def _tracks(told: dict[str, Any]) -> list[str]:
    return [track["sha256"] for track in told["tracks"]]


def test_a_track_without_a_key_stays_clear_and_hls_is_for_whom_it_is_asked(tmp_path: Path, clips: Any) -> None:
    key = f"video={VIDEO[0].hex}:{VIDEO[1].secret.hex()}"
    ran = run(
        "package", clips(), "-o", tmp_path, "--key", key, "--license-url", URL, "--hls-for", "shaka", "--json", "-q"
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert [track["scheme"] for track in told["tracks"]] == ["cenc", None]
    assert told["manifests"] == ["manifest.mpd", "shaka.m3u8"]
    assert (tmp_path / "manifest.mpd").read_text().count("ClearKey1.0") == 1
    assert "EXT-X-KEY" not in (tmp_path / "shaka-audio.m3u8").read_text()


def test_words_that_do_not_fit_are_named(tmp_path: Path, clips: Any, keys_file: Path) -> None:
    for words, code, said in (
        (["--keys-file", keys_file], 2, "--license-url"),
        (["--license-url", URL], 2, "no key"),
        (["--clear", "--key", "00" * 16 + ":" + "01" * 16], 2, "--clear encrypts nothing"),
        (["--keys-file", keys_file, "--license-url", "license"], 2, "no absolute http"),
        (["--keys-file", keys_file, "--license-url", URL, "--scheme", "cens"], 2, "cens"),
    ):
        ran = run("package", clips(), "-o", tmp_path / "out", *words)
        assert (ran.returncode, said in ran.stderr) == (code, True), ran.stderr
        assert "Traceback" not in ran.stderr
        assert not (tmp_path / "out").exists()
    ran = run("package", tmp_path / "none.mp4", "-o", tmp_path / "out", "--clear")
    assert (ran.returncode, "cannot be opened" in ran.stderr) == (3, True)
    (tmp_path / "file").touch()
    ran = run("package", clips(), "-o", tmp_path / "file" / "x", "--clear")
    assert ran.returncode == 2
    assert "cannot write" in ran.stderr
    assert "Traceback" not in ran.stderr


# ------------------------------------------------------------------------------------------------ signal
def test_shaka_packagers_mpd_is_signalled_to_standard_output(hls: Path) -> None:
    mpd = hls.with_name("stream.mpd")
    check = run("signal", mpd, "--check", "--json")
    told = described(json.loads(check.stdout), "signal-1.json")
    assert [each["plays"] for each in told["verdicts"]] == ["config", "no"]
    ran = run("signal", mpd, "--license-url", URL)
    assert ran.returncode == 0
    assert ran.stderr.count("plays from the manifest alone") == 2
    out = hls.with_name("out.mpd")
    out.write_text(ran.stdout)
    again = run("signal", out, "--check", "--json")
    assert [each["plays"] for each in json.loads(again.stdout)["verdicts"]] == ["manifest", "manifest"]


def test_a_manifest_that_is_written_away_from_its_media_is_noted(hls: Path, tmp_path_factory: Any) -> None:
    away = tmp_path_factory.mktemp("away")
    for folder, is_noted in ((hls.parent, False), (away, True)):
        ran = run("signal", hls.with_name("stream.mpd"), "--license-url", URL, "-o", folder / "out.mpd")
        assert (ran.returncode, "belongs beside" in ran.stderr) == (0, is_noted)


@pytest.mark.parametrize(("player", "format_"), [("shaka", "identity"), ("hls.js", "org.w3.clearkey")])
def test_a_multivariant_playlist_takes_its_playlists_along(hls: Path, player: str, format_: str) -> None:
    out = hls.with_name("new.m3u8")
    ran = run("signal", hls, "--license-url", URL, "-o", out, "--for", player)
    assert ran.returncode == 0, ran.stderr
    text = out.read_text()
    assert 'URI="new-a.m3u8"' in text
    assert "\nnew-v.m3u8\n" in text
    assert "\nv.m3u8" not in text
    kids = {"v": "10000000100010001000100000000001", "a": "20000000200020002000200000000002"}
    for name, kid in kids.items():  # which stand in the initialization segments, and nowhere in the playlists
        assert kid not in hls.with_name(f"{name}.m3u8").read_text()
        line = next(line for line in hls.with_name(f"new-{name}.m3u8").read_text().splitlines() if "EXT-X-KEY" in line)
        assert kid in line
        assert f'KEYFORMAT="{format_}"' in line
    assert "written: " in ran.stderr


def test_hls_js_stalls_on_media_that_does_not_name_all_keys_and_that_is_said(hls: Path) -> None:
    out = hls.with_name("new.m3u8")

    def verdict() -> dict[str, str]:
        told = json.loads(run("signal", out, "--check", "--json").stdout)
        return next(each for each in told["verdicts"] if each["player"] == "hls.js")

    assert run("signal", hls, "--license-url", URL, "-o", out, "--for", "hls.js").returncode == 0
    assert verdict()["plays"] == "config"
    sound, video_kid = hls.with_name("a_init.mp4"), bytes.fromhex("10000000100010001000100000000001")
    whole = sound.read_bytes()
    assert whole.count(video_kid) == 1
    sound.write_bytes(whole.replace(video_kid, bytes(16)))
    assert (verdict()["plays"], "all tracks" in verdict()["why"]) == ("no", True)
    sound.write_bytes(whole.replace(b"pssh", b"free"))
    assert (verdict()["plays"], "its keys" in verdict()["why"]) == ("no", True)


def test_without_the_media_a_kid_is_asked_for_and_taken(hls: Path) -> None:
    playlist = hls.with_name("v.m3u8")
    hls.with_name("v_init.mp4").unlink()
    ran = run("signal", playlist, "--license-url", URL, "--for", "shaka")
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "v_init.mp4 was not read" in ran.stderr
    assert "--kid" in ran.stderr
    ran = run("signal", playlist, "--license-url", URL, "--for", "shaka", "--kid", str(VIDEO[0]))
    assert ran.returncode == 0
    assert f"hls/key/{VIDEO[0].hex}" in ran.stdout


def test_nothing_outside_the_folder_is_read(hls: Path) -> None:
    secret = hls.parent.parent / "outside.mp4"
    secret.write_bytes(hls.with_name("v_init.mp4").read_bytes())
    playlist = hls.with_name("v.m3u8")
    text = playlist.read_text()
    for uri in ("../outside.mp4", str(secret), f"file://{secret}", "%2e%2e/outside.mp4", "http://127.0.0.1:9/x"):
        playlist.write_text(text.replace("v_init.mp4", uri))
        ran = run("signal", playlist, "--license-url", URL, "--for", "shaka")
        assert ran.returncode == 4, ran.stderr
        assert "does not lie beside the manifest" in ran.stderr
    secret.unlink()


def test_words_of_signal_that_do_not_fit_are_named(hls: Path) -> None:
    bad = hls.with_name("bad.mpd")
    bad.write_text("<MPD>")
    for words, code, said in (
        ([hls], 2, "--license-url"),
        ([hls, "--check", "--license-url", URL], 2, "--license-url"),
        ([hls, "--license-url", URL], 2, "give -o"),
        ([hls.with_name("v.m3u8"), "--license-url", URL, "--for", "dash.js"], 2, "dash.js reads no HLS"),
        ([bad, "--check"], 3, "not XML"),
        ([hls.with_name("v_init.mp4"), "--check"], 3, "neither an MPD nor an HLS playlist"),
        ([hls.with_name("none.mpd"), "--check"], 2, "none.mpd"),
    ):
        ran = run("signal", *words)
        assert (ran.returncode, said in ran.stderr) == (code, True), ran.stderr
        assert "Traceback" not in ran.stderr
