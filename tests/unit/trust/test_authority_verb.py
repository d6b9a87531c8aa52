"""`clearkey authority` as a publisher uses it: a real command, its words, its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root

ROOT = Path(__file__).parents[3]


@pytest.fixture
def clearkey(tmp_path):
    def run(*words, code=0, passphrase="correct horse battery", **more):
        environment = {**os.environ, "CLEARKEY_AUTHORITY": str(tmp_path / "authority"), "PYTHONPATH": str(ROOT)}
        environment.pop("CLEARKEY_AUTHORITY_PASSPHRASE", None)
        if passphrase is not None:
            environment["CLEARKEY_AUTHORITY_PASSPHRASE"] = passphrase
        done = subprocess.run(
            [sys.executable, "-m", "player.cli", "authority", *map(str, words)],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
            **more,
        )
        assert done.returncode == code, done.stderr.decode()
        assert b"Traceback" not in done.stderr
        assert b"correct horse" not in done.stdout + done.stderr
        return done.stdout.decode(), done.stderr.decode()

    return run


def test_a_component_from_its_folder_to_the_revocation_list(clearkey, component, tmp_path):
    clearkey("init")
    clearkey("sign", component(), component("1.1.0"))
    assert len(json.loads(clearkey("status", "--json", passphrase=None)[0])["waiting"]) == 2
    assert "null-sink v1.1.0" in clearkey("publish")[0]
    out, said = clearkey("revoke", "null-sink", "--below", "1.1", "--reason", "flaw", "--text", "reads too far")
    assert "revocation list 2: R-2-1: null-sink below v1.1 (flaw, reads too far)" in out
    assert "clients take v1.1.0" in said
    clearkey("rotate", "components")
    status = json.loads(clearkey("status", "--json", passphrase=None)[0])
    assert [(c["name"], c["version"]) for c in status["components"]] == [("null-sink", "1.1.0")]
    assert {role["role"]: role["threshold"] for role in status["roles"]}["root"] == 2
    assert len(status["unused_keys"]) == 1
    assert any("take them off" in warning for warning in status["warnings"])
    verified = json.loads(clearkey("verify", "--json", passphrase=None)[0])
    assert (verified["verified"], verified["list_version"], verified["freshness"]) == (True, 2, "fresh")
    clearkey("export-root", "-o", tmp_path / "root.json", passphrase=None)
    assert Metadata[Root].from_file(str(tmp_path / "root.json")).signed.version == 1
    clearkey("verify", "--root", tmp_path / "root.json", passphrase=None)
    archive = next((tmp_path / "authority/repository/targets/components").rglob("*.1.1.0.zip"))
    archive.write_bytes(archive.read_bytes()[:-1])
    assert "E-TRUST-DAMAGED" in clearkey("verify", code=7, passphrase=None)[1]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["status"], 2, "authority init"),
        (["publish"], 2, "E-AUTHORITY"),
        (["rotate", "sales"], 2, "sales"),
        (["init", "--life", "root=never"], 2, "ROLE=DAYS"),
        (["init", "--root-keys", "1", "--root-threshold", "2"], 2, "threshold"),
        (["init", "--authority", ROOT / "keys-of-mine"], 2, "work tree"),
        (["revoke", "--reason", "flaw"], 2, "--below"),
        (["revoke", "x", "--reason", "flaw"], 2, "authority init"),
    ],
)
def test_a_mistake_is_a_paragraph_with_a_remedy(clearkey, words, code, said):
    assert said in clearkey(*words, code=code)[1]


def test_without_a_terminal_the_passphrase_comes_from_the_environment(clearkey):
    assert "CLEARKEY_AUTHORITY_PASSPHRASE" in clearkey("init", code=5, passphrase=None)[1]
    clearkey("init")
    assert "does not open" in clearkey("rotate", "timestamp", code=5, passphrase="something else")[1]
