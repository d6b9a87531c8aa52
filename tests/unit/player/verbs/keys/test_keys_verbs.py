"""`clearkey keys` as a user types it: a process, its output, its exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

KID = "00112233445566778899aabbccddeeff"
UUID = "00112233-4455-6677-8899-aabbccddeeff"
KEY = "f0e1d2c3b4a5968778695a4b3c2d1e0f"
PAIR = f"{KID}:{KEY}"


@pytest.fixture
def keys(tmp_path: Path):
    def run(*arguments: object, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "player.cli", "keys", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            env={**os.environ, "CLEARKEY_HOME": str(tmp_path / "home")},
            timeout=30,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def test_new_keys_are_a_keys_file(keys, tmp_path: Path) -> None:
    made = keys("new", 3).stdout
    assert len({jwk["k"] for jwk in json.loads(made)["keys"]}) == 3
    assert re.fullmatch(r"([0-9a-f]{32}:[0-9a-f]{32}\n){2}", keys("new", 2, "--format", "lines").stdout)
    file = tmp_path / "keys.json"
    assert keys("new", "-o", file).stdout == ""
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_text()
    assert "not overwritten" in keys("new", "-o", file, code=2).stderr
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("text", "form", "shown"),
    [
        (UUID, "hex", KID),
        (KID, "uuid", UUID),
        (KID, "base64url", "ABEiM0RVZneImaq7zN3u_w"),
        ("guid-le:33221100-5544-7766-8899-aabbccddeeff", "uuid", UUID),
        (f"urn:uuid:{UUID}", "hex", KID),
        (PAIR, "lines", PAIR),
        (f"{UUID}:{KEY}", "base64url", "ABEiM0RVZneImaq7zN3u_w:8OHSw7Sllod4aVpLPC0eDw"),
    ],
)
def test_convert(keys, text: str, form: str, shown: str) -> None:
    assert keys("convert", text, "--to", form).stdout == shown + "\n"


def test_convert_a_file_and_standard_input(keys, tmp_path: Path) -> None:
    (tmp_path / "k").write_text(PAIR)
    jwks = keys("convert", tmp_path / "k", "--to", "jwk").stdout
    assert keys("convert", "-", "--to", "lines", stdin=jwks).stdout == PAIR + "\n"


@pytest.mark.parametrize(
    ("text", "form", "words"),
    [
        (KID, "jwk", "needs a KID and a key"),
        (KEY[:-1], "hex", "31 characters"),
        (f"{KID}:{KEY[:-1]}", "hex", "content key: 31 hex digits"),
    ],
)
def test_convert_what_cannot_be(keys, text: str, form: str, words: str) -> None:
    done = keys("convert", text, "--to", form, code=2)
    assert words in done.stderr
    assert KEY[:-1] not in done.stderr


def test_a_store_from_import_to_remove(keys, tmp_path: Path) -> None:
    (tmp_path / "k").write_text(PAIR)
    store = ["--store", tmp_path / "my.db"]
    first = keys("import", tmp_path / "k", *store)
    assert "1 new keys" in first.stderr
    assert "protects nothing" in first.stderr
    assert "protects nothing" not in keys("list", *store).stderr
    keys("policy", f"0x{KID}", "--expires", "2030-01-01T00:00:00Z", "--min-level", 2, "--actions", "play", *store)
    keys("policy", KID, "--sealed-only", *store)
    listed = json.loads(keys("list", "--json", *store).stdout)
    assert listed["keys"][0]["kid"] == UUID
    assert listed["keys"][0]["policy"] == {
        "actions": ["play"],
        "expires": 1893456000,
        "min_level": 2,
        "sealed_only": True,
    }
    assert "default rules" in keys("policy", UUID, "--reset", *store).stdout
    assert KEY not in keys("list", *store).stdout + keys("list", "--json", *store).stdout
    (tmp_path / "k").write_text(f"{KID}:{KID}")
    assert "another key" in keys("import", tmp_path / "k", *store, code=2).stderr
    keys("import", "--replace", tmp_path / "k", *store)
    keys("remove", UUID, *store)
    assert json.loads(keys("list", "--json", *store).stdout)["keys"] == []
    assert UUID in keys("remove", UUID, *store, code=4).stderr


def test_the_store_of_the_user_is_the_default(keys, tmp_path: Path) -> None:
    (tmp_path / "k").write_text(PAIR)
    keys("import", tmp_path / "k")
    assert UUID in keys("list").stdout
    assert (tmp_path / "home" / "license_server" / "keys.db").exists()


def test_rules_of_outputs_and_durations(keys, tmp_path: Path) -> None:
    (tmp_path / "k").write_text(PAIR)
    keys("import", tmp_path / "k")
    rules = ["--hdcp", 2, "--cgms-a", 5, "--digital-only", "--constrict", "yes", "--play-duration", 60, "--rental", 90]
    assert "--sealed-only" not in keys("policy", KID, *rules).stderr
    (row,) = json.loads(keys("list", "--json").stdout)["keys"]
    told = {"hdcp": 2, "cgms_a": 5, "digital_only": 1, "constrict": True, "play_duration": 60, "rental": 90}
    assert row["policy"].items() >= told.items()
    keys("policy", KID, "--constrict", "40000", "--analog-too")
    (row,) = json.loads(keys("list", "--json").stdout)["keys"]
    assert (row["policy"]["constrict"], row["policy"].get("digital_only")) == (40000, None)


def test_a_rule_that_seals_takes_extract_away_unless_it_is_asked_for(keys, tmp_path: Path) -> None:
    (tmp_path / "k").write_text(PAIR)
    keys("import", tmp_path / "k")

    def granted(*words: object) -> list[str]:
        keys("policy", KID, "--reset", *words)
        return json.loads(keys("list", "--json").stdout)["keys"][0]["policy"]["actions"]

    assert granted("--expires", "+1d") == ["play", "snapshot", "hash", "extract"]
    assert granted("--sealed-only") == ["play", "snapshot", "hash"]
    assert granted("--sealed-only", "--actions", "play,extract") == ["play", "extract"]


def test_a_key_is_for_a_kind_of_track(keys, tmp_path: Path) -> None:
    (tmp_path / "k").write_text(PAIR)
    keys("import", tmp_path / "k")
    assert "--sealed-only" not in keys("policy", KID, "--tracks", "video").stderr, "it is sealed by that"
    (row,) = json.loads(keys("list", "--json").stdout)["keys"]
    assert row["policy"]["tracks"] == {UUID: ["video"]}
    assert '"tracks"' not in keys("policy", KID, "--tracks", "any").stdout
    assert "kind of track" in keys("policy", KID, "--tracks", "films", code=2).stderr
    assert "about keys" in keys("policy", "--content", "x", "--tracks", "video", code=2).stderr


def test_rules_without_the_seal_are_said_to_bind_nobody(keys, tmp_path: Path) -> None:
    (tmp_path / "k").write_text(PAIR)
    keys("import", tmp_path / "k")
    assert "--sealed-only" in keys("policy", KID, "--actions", "play").stderr
    assert "--sealed-only" not in keys("policy", KID, "--sealed-only").stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--actions", "fly"], "action"),
        (["--expires", "soon"], "not a time"),
        (["--expires", "+1y"], "not a time"),
        (["--constrict", "8"], "16 pixels"),
        (["--constrict", "maybe"], "16 pixels"),
        (["--hdcp", "3"], "hdcp"),
    ],
)
def test_rules_that_cannot_be_read(keys, tmp_path: Path, options: list[str], words: str) -> None:
    (tmp_path / "k").write_text(PAIR)
    keys("import", tmp_path / "k")
    assert words in keys("policy", KID, *options, code=2).stderr


def test_files_that_are_off(keys, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text(f"{PAIR}\n{KID}:{KEY[:-2]}\n")
    done = keys("import", tmp_path / "bad", code=3)
    assert "bad, line 2" in done.stderr
    assert KEY[:-2] not in done.stderr
    assert "not a key store" in keys("list", "--store", tmp_path / "bad", "--kek-file", _kek(tmp_path), code=3).stderr


def _kek(folder: Path) -> Path:
    (folder / "kek").write_bytes(bytes(32))
    return folder / "kek"


def test_devices_when_there_are_none(keys, tmp_path: Path) -> None:
    assert "0 devices" in keys("devices").stderr
    assert "no registered devices" in keys("devices", "--enrol", "abc", code=2).stderr
    assert "A" * 43 in keys("devices", "--enrol", "A" * 43).stdout
    assert json.loads(keys("devices", "--json").stdout)["devices"][0]["device_id"] == "A" * 43


def test_help_is_quick_to_import_nothing_of_the_server() -> None:
    program = (
        "import sys; from player.verbs.keys import command; command.main(['--help'], standalone_mode=False);"
        "print(*sorted({'flask', 'sqlalchemy', 'alembic', 'av', 'requests'} & set(sys.modules)), file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "devices" in run.stdout
    assert run.stderr.strip() == ""
