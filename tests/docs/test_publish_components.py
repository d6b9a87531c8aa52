"""The publisher's page, run: each section from nothing, after what went wrong, until a client updates.

A static server of the standard library serves what the page copied; publisher and client are the command itself.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from drm.trust.authority.create import create_authority
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.published import root_bytes
from drm.trust.authority.publishing import publish

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "publish-components.md").read_text(encoding="utf-8")
PASSPHRASE = "correct horse battery staple"
ONCE, SERVE, RELEASE = "Once: make an authority", "Serve it", "For each release"


def scripts(section: str) -> list[str]:
    """The commands of a section of the page."""
    [text] = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    found = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found, section
    return found


@dataclass
class Publisher:
    """Somebody with a home folder, a checkout, and a client who is served from `www`."""

    home: Path
    url: str = ""
    more: dict[str, str] = field(default_factory=dict)

    @property
    def authority(self) -> Path:
        return self.home / "clearkey-authority"

    def run(self, script: str, code: int = 0) -> str:
        """Run commands in a shell that ends at the first failure; return all that they print."""
        bin_folder = Path(sys.executable).parent
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CLEARKEY_")} | {
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "data"),
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "CLEARKEY_AUTHORITY": str(self.authority),
            "CLEARKEY_AUTHORITY_PASSPHRASE": PASSPHRASE,
            **self.more,
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.home / "checkout", env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        assert "Traceback" not in done.stdout
        assert PASSPHRASE not in done.stdout
        return done.stdout

    def section(self, name: str, number: int = 0) -> str:
        return self.run(scripts(name)[number])

    def update(self, code: int = 0) -> dict[str, Any]:
        """The client updates; return what the command says."""
        words = f"--json --root ~/root.json --store ~/store --url {self.url}"
        said = self.run(f"clearkey components update {words} 2>&1", code)
        return json.loads(said) if code == 0 else {"error": said}

    def publish_again(self) -> dict[str, Any]:
        """What every scenario ends with: another release, the copy, and a client that takes it."""
        self.run("""
            sed -i 's/^version = ".*"/version = "9.0.0"/' drm/components/discard_sink/component.toml
            clearkey authority publish drm/components/discard_sink
        """)
        self.section(SERVE)
        told = self.update()
        assert "discard-sink" in {each["name"] for each in told["downloaded"]}
        return told

    def forget_client(self) -> None:
        shutil.rmtree(self.home / "store", ignore_errors=True)


def checkout(home: Path) -> None:
    for name in ("ita", "drm/components"):
        shutil.copytree(ROOT / name, home / "checkout" / name, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The good day, by the page: an authority with a release, served, and a client that has it."""
    home = tmp_path_factory.mktemp("founded") / "home"
    home.mkdir()
    checkout(home)
    made = Publisher(home)
    made.section(ONCE)
    made.section(RELEASE)
    made.section(SERVE)
    return home


class _Handler(SimpleHTTPRequestHandler):
    missing = 404

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        super().send_error(self.missing if code == 404 else code, message, explain)

    def log_message(self, *_words: object) -> None:
        pass


class _ObjectStore(_Handler):
    """As one answers for what is not there to whoever may not list."""

    missing = 403


@pytest.fixture(params=[_Handler])
def publisher(request: pytest.FixtureRequest, founded: Path, tmp_path: Path) -> Iterator[Publisher]:
    shutil.copytree(founded, tmp_path / "home", symlinks=True)
    home = tmp_path / "home"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(request.param, directory=str(home / "www")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made = Publisher(home, f"http://127.0.0.1:{server.server_port}/")
    made.update()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


# --------------------------------------------------------------------------------------------------------- good days
@pytest.mark.parametrize("publisher", [_Handler, _ObjectStore], indirect=True, ids=["static server", "object store"])
def test_a_release_by_any_server_of_files(publisher: Publisher) -> None:
    assert not any(path.is_symlink() for path in (publisher.home / "www").rglob("*"))
    assert "hash-sink" in publisher.run("clearkey components list --root ~/root.json --store ~/store || true")
    told = publisher.publish_again()
    assert told["revocation_list"] == 1


def test_a_version_that_is_bad(publisher: Publisher) -> None:
    said = publisher.section("When a version is bad")
    assert "hash-sink v1.0.0 (flaw, reads past the end)" in said
    publisher.section(SERVE)
    told = publisher.update()
    assert [(each["name"], each["version"]) for each in told["downloaded"]] == [("hash-sink", "1.0.1")]
    publisher.publish_again()


def test_a_key_that_was_stolen(publisher: Publisher) -> None:
    assert "what the key" in publisher.section("When a key is lost or stolen")
    publisher.section(SERVE)
    assert publisher.update()["revocation_list"] == 2
    publisher.publish_again()


def test_a_bundle_is_what_the_checkout_holds_or_is_said_not_to_be(publisher: Publisher) -> None:
    (publisher.home / "checkout/drm/trust").mkdir()
    publisher.run("clearkey authority publish $(dirname ita/component.toml drm/components/*/component.toml)")
    publisher.run("clearkey authority bundle drm/trust --url https://updates.example.org/")
    publisher.run("echo '# edited' >> drm/components/hash_sink/sink.py")
    said = publisher.run("clearkey authority bundle drm/trust --url https://updates.example.org/", code=2)
    assert "hash-sink v1.0.0 (v1.0.0 is published)" in said
    assert "--as-published" in said
    publisher.run("clearkey authority bundle drm/trust --as-published --url https://updates.example.org/")
    publisher.publish_again()


NAMES: dict[str, Callable[[dict[str, Any]], str]] = {
    "name and version": lambda _listed: "hash-sink 1.0.0",
    "as it is printed": lambda _listed: "hash-sink v1.0.0",
    "as a file that waited": lambda _listed: "hash-sink-1.0.0.zip",
    "class id": lambda listed: f"{listed['class_id']} --version 1.0.0",
    "name": lambda _listed: "hash-sink --below 2.0",
    "hash": lambda listed: listed["sha256"],
    "beginning of the hash": lambda listed: listed["sha256"][:8],
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_what_status_prints_can_be_revoked(publisher: Publisher, name: Callable[[dict[str, Any]], str]) -> None:
    status = json.loads(publisher.run("clearkey authority status --json 2>/dev/null"))
    [listed] = [each for each in status["components"] if each["name"] == "hash-sink"]
    publisher.run("""
        sed -i 's/^version = "1.0.0"/version = "2.0.0"/' drm/components/hash_sink/component.toml
        clearkey authority publish drm/components/hash_sink
    """)
    publisher.run(f"clearkey authority revoke {name(listed)} --reason flaw")
    after = json.loads(publisher.run("clearkey authority status --json 2>/dev/null"))
    assert [each["version"] for each in after["components"] if each["name"] == "hash-sink"] == ["2.0.0"]
    said = publisher.run("clearkey authority status 2>&1")
    assert "R-2-1: hash-sink" in said or "R-2-1: the archive" in said
    publisher.publish_again()


# ---------------------------------------------------------------------------------------------------------- bad days
def test_an_authority_that_is_lost_and_its_keys_are_not(publisher: Publisher) -> None:
    publisher.section("When a version is bad")
    publisher.section(SERVE)
    assert publisher.update()["revocation_list"] == 2
    (publisher.authority / "keys").rename(publisher.home / "keys-backup")
    shutil.rmtree(publisher.authority)
    said = publisher.section("The authority is lost, and its keys are not")
    assert "revocation list 2" in said
    assert publisher.publish_again()["revocation_list"] == 2


def test_without_keys_what_is_published_is_taken_over_and_the_missing_ones_are_named(publisher: Publisher) -> None:
    shutil.rmtree(publisher.authority)
    said = publisher.run("clearkey authority recover ~/www")
    assert "0 of the 2 keys that sign root are here" in said
    assert "0 of the 1 keys that sign timestamp are here" in said
    said = publisher.run("clearkey authority publish drm/components/discard_sink", code=4)
    assert "--keys" in said


def test_what_is_recovered_is_verified(publisher: Publisher) -> None:
    shutil.rmtree(publisher.authority)
    stamp = publisher.home / "www/metadata/timestamp.json"
    whole = stamp.read_bytes()
    stamp.write_bytes(whole.replace(b'"version":', b'"version":1', 1))
    publisher.run("clearkey authority recover ~/www", code=7)
    assert not publisher.authority.exists() or not (publisher.authority / "repository").exists()
    stamp.write_bytes(whole)
    publisher.run("clearkey authority recover ~/www")


@pytest.mark.parametrize("is_served", [True, False], ids=["served since", "served from a backup too"])
def test_yesterday_s_backup(publisher: Publisher, is_served: bool) -> None:
    shutil.copytree(publisher.authority, publisher.home / "backup", symlinks=True)
    shutil.copytree(publisher.home / "www", publisher.home / "www-backup")
    publisher.run("clearkey authority revoke hash-sink 1.0.0 --reason flaw")
    publisher.section(SERVE)
    assert "not-renewable" in publisher.update(7)["error"].lower(), "nothing takes its place"
    shutil.rmtree(publisher.authority)
    (publisher.home / "backup").rename(publisher.authority)
    if not is_served:
        shutil.rmtree(publisher.home / "www")
        (publisher.home / "www-backup").rename(publisher.home / "www")
        assert "E-TRUST-ROLLBACK" in publisher.update(7)["error"]
    said = publisher.section("The authority came back from yesterday's backup")
    if not is_served:
        assert "stays" in said, "there is nothing newer"
        said = publisher.section("The authority came back from yesterday's backup", 1)
        assert "revoke again what was revoked in between" in said
    publisher.run("""
        sed -i 's/^version = "1.0.0"/version = "1.0.1"/' drm/components/hash_sink/component.toml
        clearkey authority publish drm/components/hash_sink
    """)
    told = publisher.publish_again()
    assert told["revocation_list"] == 2 if is_served else told["revocation_list"] > 100
    assert "hash-sink" in {each["name"] for each in told["downloaded"]}


COPIES = ["cp -a", "cp -r", "cp -rL"]


@pytest.mark.parametrize("copy", COPIES)
def test_another_machine(publisher: Publisher, copy: str) -> None:
    publisher.run(
        f"{copy} ~/clearkey-authority ~/moved && rm -r ~/clearkey-authority && mv ~/moved ~/clearkey-authority"
    )
    publisher.run("chmod 700 ~/clearkey-authority/keys && chmod 600 ~/clearkey-authority/keys/*.pem")
    publisher.section("The authority moves to another machine")
    publisher.publish_again()
    assert (publisher.authority / "repository").is_symlink()


def test_passphrases_of_their_own(publisher: Publisher) -> None:
    publisher.section("Passphrases")
    said = publisher.run("clearkey authority publish drm/components/discard_sink", code=5)
    assert "does not open" in said
    publisher.more["CLEARKEY_AUTHORITY_PASSPHRASE"] = f"{PASSPHRASE}\nanother one, for this role alone\n"
    publisher.publish_again()


def test_root_keys_that_are_never_here(publisher: Publisher) -> None:
    status = json.loads(publisher.run("clearkey authority status --json 2>/dev/null"))
    [root] = [role for role in status["roles"] if role["role"] == "root"]
    for key_id, stick in zip(root["key_ids"], ("first-stick", "second-stick", "third-stick"), strict=True):
        (publisher.home / stick).mkdir(mode=0o700)
        (publisher.authority / f"keys/{key_id}.pem").rename(publisher.home / stick / f"{key_id}.pem")
    said = publisher.run("clearkey authority rotate timestamp", code=4)
    assert "root-request" in said
    publisher.run("""
        clearkey authority root-request timestamp -o ~/early.json
        clearkey authority countersign ~/early.json --keys ~/first-stick
    """)
    assert "countersign" in publisher.run("clearkey authority accept ~/early.json", code=4)
    said = publisher.section("Root keys that are never on this machine")
    assert "root 2: timestamp gets the key" in said
    assert "root 3: timestamp loses the key" in said
    publisher.section(SERVE)
    publisher.update()
    publisher.run("""
        clearkey authority root-request root -o ~/longer.json
        clearkey authority countersign ~/longer.json --keys ~/second-stick --keys ~/third-stick
        clearkey authority accept ~/longer.json
    """)
    assert "another is published" in publisher.run("clearkey authority accept ~/early.json", code=2)
    publisher.publish_again()


def test_an_end_that_was_overlooked(publisher: Publisher) -> None:
    """All of it, root too: signed 400 days ago by the same code with another clock."""
    shutil.rmtree(publisher.authority)
    publisher.forget_client()
    then = datetime.now(UTC) - timedelta(days=400)
    home = AuthorityHome(publisher.authority, lambda _key: PASSPHRASE, now=lambda: then)
    create_authority(home)
    publish(home, [publisher.home / "checkout/drm/components/hash_sink"])
    (publisher.home / "root.json").write_bytes(root_bytes(home.trees.published, 1))
    shutil.rmtree(publisher.home / "www")
    publisher.section(SERVE)
    said = publisher.update(7)["error"]
    assert "E-TRUST-EXPIRED" in said
    assert "expired" in publisher.run("clearkey authority verify", code=6)
    assert "root has expired: clients refuse to update" in publisher.section("Something has expired")
    publisher.run("clearkey authority verify")
    publisher.section(SERVE)
    publisher.update()
    publisher.publish_again()


def test_every_section_with_commands_is_run() -> None:
    said = Path(__file__).read_text(encoding="utf-8")
    for section in re.findall(r"^## (.*)$", PAGE, re.MULTILINE):
        if re.search(rf"^## {re.escape(section)}\n(?:(?!^## ).*\n)*?```sh", PAGE, re.MULTILINE):
            assert f'"{section}"' in said, section
