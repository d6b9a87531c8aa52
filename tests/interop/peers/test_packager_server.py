"""From the packager to the screen over one `clearkey serve`: it gives Shaka Packager keys, and licenses for them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from drm.manifests.judging.verdicts import Plays
from drm.manifests.rewrite import check_manifest, manifest_initializations
from license_server.store.audit import AuditRow, audit_rows
from license_server.store.keyring import find_keyring
from license_server.store.opening import open_store
from player.testing.fixture_server import FixtureServer
from player.verbs.signal.beside import Beside
from tests.interop.command import Command, end, frames
from tests.interop.peers.clips import PROGRESSIVE, Clips
from tests.interop.peers.programs import PeerError, Program
from tests.interop.reference import pyav_frames

AES_KEY, AES_IV = os.urandom(32), os.urandom(16)


@pytest.fixture
def packager(programs: dict[str, Program]) -> Program:
    if "packager" not in programs:
        pytest.skip("peer not on PATH: packager")
    return programs["packager"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


@pytest.fixture
def served(clearkey: Command, tmp_path: Path, store: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    signers = tmp_path / "signers.json"
    signers.write_text(json.dumps({"studio": {"aes_key": AES_KEY.hex(), "aes_iv": AES_IV.hex()}}))
    words = ("--port", 0, "--store", store, "--signers-file", signers, "--workers", 2, "--no-pages", "-vv")
    process = clearkey.start("serve", *words)
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("license server: ").strip()
    try:
        assert url, process.communicate(timeout=10)[1]
        yield url, process
    finally:
        end(process)


def package(packager: Program, source: Path, folder: Path, url: str, key: bytes = AES_KEY) -> dict[str, Path]:
    made = {kind: folder / f"{kind}.mp4" for kind in ("video", "audio")}
    streams = [f"in={source},stream={kind},output={path}" for kind, path in made.items()]
    packager.run(
        *streams, "--quiet", "--clear_lead", 0, "--segment_duration", 1, "--mpd_output", folder / "m.mpd",
        "--enable_widevine_encryption", "--key_server_url", f"{url}/packager/getkey", "--content_id", b"movie".hex(),
        "--signer", "studio", "--aes_signing_key", key.hex(), "--aes_signing_iv", AES_IV.hex(),
        makes=folder / "m.mpd",
    )  # fmt: skip
    return made


def packager_rows(store: Path) -> list[AuditRow]:
    with open_store(store, find_keyring(store, None)) as opened:
        return [row for row in audit_rows(opened.engine) if row.action == "packager"]


def test_what_the_packager_encrypts_with_our_keys_plays_by_our_license(
    packager: Program, clips: Clips, clearkey: Command, tmp_path: Path, store: Path,
    served: tuple[str, subprocess.Popen[str]],
) -> None:  # fmt: skip
    url, process = served
    clear = clips("avc+aac", PROGRESSIVE).path
    made = package(packager, clear, tmp_path, url)

    signalled = requests.post(f"{url}/signal", data=(tmp_path / "m.mpd").read_bytes(), timeout=10)
    kids = Beside(tmp_path, None).kids(manifest_initializations(signalled.content, "m"))
    assert {each.plays for each in check_manifest(signalled.content, "m", kids).verdicts} == {Plays.FROM_MANIFEST}

    wanted = pyav_frames(clear)
    for kind, path in made.items():
        hashes = tmp_path / f"{kind}.md5"
        ran = clearkey("play", path, "--license-url", f"{url}/license", "--framemd5", hashes)
        assert ran.code == 0, ran.err
        assert frames(hashes.read_text())[f"{kind} 1"] == wanted[f"{kind} 1"]

    process.terminate()
    out, err = process.communicate(timeout=10)
    (row,) = packager_rows(store)  # one request for both tracks
    assert (row.status, row.code, row.subject) == (200, "issued", "studio")
    with open_store(store, find_keyring(store, None)) as opened:
        held = opened.keys.get_many([each.kid for each in opened.keys.rows("movie")])
    assert len(row.kids.split()) == len(held) == 5
    assert all(str(kid) in err for kid in held), "this search finds nothing at all"
    kept = out + err + str(row)
    for found in held.values():
        assert found.key.secret.hex() not in kept
        assert base64.b64encode(found.key.secret).decode() not in kept


def test_a_packager_that_nobody_knows_is_refused_and_written_down(
    packager: Program, clips: Clips, tmp_path: Path, store: Path, served: tuple[str, subprocess.Popen[str]]
) -> None:
    url, process = served
    with pytest.raises(PeerError):
        package(packager, clips("avc+aac", PROGRESSIVE).path, tmp_path, url, bytes(32))
    process.terminate()
    process.communicate(timeout=10)
    rows = packager_rows(store)
    assert {(row.status, row.code, row.subject, row.kids) for row in rows} == {(403, "signature_failed", "", "")}


def test_a_server_without_signers_has_no_key_server(clearkey_server: FixtureServer) -> None:
    answer = requests.post(f"{clearkey_server.url}/packager/getkey", data=b"{}", timeout=5)
    assert answer.status_code == 404
