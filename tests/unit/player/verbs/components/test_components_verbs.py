"""`clearkey components`, and what `play` makes of components that must not run: real commands, workers and servers."""

from __future__ import annotations

import json
import os
import pty
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drm.class_ids import AV_DECODER, BUILT_IN
from drm.keys import ContentKey, KeyId
from drm.rights.policy import Policy
from drm.trust.authority.bundling import write_bundle
from license_server.process import LicenseServer
from tests.interop.command import Command, Ran, is_one_paragraph
from tests.publisher import Publisher, User

ROOT = Path(__file__).parents[5]
KID, KEY = "10000000100010001000100000000001", "3a2a1b68dd2bd9b2eeb25e84c4776668"

Says = Callable[..., Ran]


@pytest.fixture(scope="module")
def clearkey(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("clearkey-home"))


@pytest.fixture
def user(publisher: Publisher) -> User:
    return publisher.user()


def variables(user: User) -> dict[str, str]:
    root = user.publisher.folder / "root.json"
    root.write_bytes(user.publisher.root)
    return {
        "CLEARKEY_COMPONENTS_ROOT": str(root),
        "CLEARKEY_COMPONENTS_STORE": str(user.store),
        "CLEARKEY_COMPONENTS_URL": user.trust.repository,
    }


@pytest.fixture
def says(clearkey: Command, user: User) -> Iterator[Says]:
    """The command in the environment of this user."""
    usual = clearkey.environment
    clearkey.environment = usual | variables(user)
    yield clearkey
    clearkey.environment = usual


@pytest.fixture(scope="session")
def film(own_vectors: Path) -> Path:
    return own_vectors / "generated" / "pk_cenc_iv8_v.mp4"


def revoke_decoder(publisher: Publisher) -> None:
    publisher.publish_built_in("av_decoder", "1.0.1")
    publisher.revoke(class_id=AV_DECODER, versions=("1.0.0",))


# ------------------------------------------------------------------------------------------------ list, verify
def test_list_asks_nobody(says: Says, user: User) -> None:
    ran = says("components", "list")
    assert (ran.code, ran.err) == (0, "")
    assert len([line for line in ran.out.splitlines() if line.endswith("  test-signed")]) == len(BUILT_IN)
    assert "revocation list:  1 of " in ran.out
    assert user.publisher.asked == []


def test_options_and_variables_are_the_same(says: Says, clearkey: Command, user: User) -> None:
    """And an option goes before its variable."""
    by_variable = json.loads(says("components", "list", "--json").out)
    names = variables(user)
    clearkey.environment = {**clearkey.environment, "CLEARKEY_COMPONENTS_STORE": "/nonexistent/store"}
    options = ["--root", names["CLEARKEY_COMPONENTS_ROOT"], "--store", names["CLEARKEY_COMPONENTS_STORE"]]
    assert json.loads(says("components", "list", "--json", *options).out) == by_variable
    assert json.loads(says("components", "list", "--json").out)["signed"] == "", "the control"


def test_verify_has_a_worker_verify_it_too(says: Says) -> None:
    ran = says("components", "verify")
    assert (ran.code, ran.err) == (0, "")
    assert "verified here:    8 of 8 components" in ran.out
    assert "verified there:   8 components" in ran.out
    assert ran.out.splitlines()[-1] == "test-signed"
    said = json.loads(says("components", "verify", "--json").out)
    assert said["worker"]["trust"]["signed"] == said["signed"] == "test-signed"


def test_what_is_revoked_is_exit_7_and_one_paragraph(says: Says, user: User) -> None:
    revoke_decoder(user.publisher)
    assert says("components", "update", "--list-only", "-q").code == 0
    listed = says("components", "list")
    assert listed.code == 7
    assert "revoked: R-2-1: flaw, reads too far; update available: 1.0.1" in listed.out
    assert is_one_paragraph(listed)
    verified = says("components", "verify")
    assert verified.code == 7
    assert "0xC00D7151 MF_E_COMPONENT_REVOKED" in verified.out
    assert is_one_paragraph(verified)
    assert "E-TRUST-REVOKED" in verified.err


def test_what_the_package_pins_is_trusted(clearkey: Command, tmp_path: Path) -> None:
    """A copy of the package with a signed bundle in it, as a wheel has it; its server then revokes a component."""
    for package in ("drm", "ita", "player", "license_server"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    with Publisher().serving() as publisher:
        write_bundle(publisher.home, tmp_path / "drm" / "trust", needed=BUILT_IN, url=publisher.url)
        environment = clearkey.environment | {"PYTHONPATH": str(tmp_path), "CLEARKEY_HOME": str(tmp_path / "home")}

        def run(*words: str) -> Ran:
            done = subprocess.run(
                [sys.executable, "-m", "player.start", "components", *words],
                check=False,
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=40,
            )
            return Ran(done.returncode, done.stdout, done.stderr, 0.0)

        verified = run("verify")
        assert (verified.code, verified.err) == (0, "")
        assert verified.out.splitlines()[-1] == "trusted"
        assert "bundle of this package" in verified.out
        assert "the root of this package" in verified.out
        revoke_decoder(publisher)
        updated = run("update")
        assert updated.code == 0, updated.err
        assert "downloaded:      av-decoder 1.0.1" in updated.out
        assert updated.out.count("downloaded:") == 1, "the rest came with the package"
        assert run("verify").out.splitlines()[-1] == "trusted"


# ------------------------------------------------------------------------------------------------ update
def test_update_tells_what_changed(says: Says, user: User) -> None:
    revoke_decoder(user.publisher)
    only = says("components", "update", "--list-only")
    assert only.code == 0
    assert "revocation list: 2 of " in only.out
    assert "revoked:         R-2-1: flaw, reads too far" in only.out
    assert "warning: av-decoder 1.0.0 is revoked and runs no more" in only.err
    assert not [path for path in user.publisher.asked if path.endswith(".zip")]
    whole = says("components", "update")
    assert whole.code == 0
    assert "downloaded:      av-decoder 1.0.1, " in whole.out
    assert "revoked:" not in whole.out, "that is no news any more"
    assert "warning" not in whole.err
    again = says("components", "update")
    assert (again.code, again.out.splitlines()[-1]) == (0, "downloaded:      nothing")


def test_a_first_update_fills_an_empty_store(clearkey: Command, publisher: Publisher) -> None:
    names = variables(publisher.user(empty=True))
    words = ["--root", names["CLEARKEY_COMPONENTS_ROOT"], "--store", names["CLEARKEY_COMPONENTS_STORE"]]
    ran = clearkey("components", "update", "--json", *words, "--url", publisher.url)
    assert (ran.code, ran.err) == (0, "")
    said = json.loads(ran.out)
    assert {found["class_id"] for found in said["downloaded"]} == {str(class_id) for class_id in BUILT_IN}
    assert clearkey("components", "verify", *words).code == 0


def test_a_quiet_update_says_nothing(says: Says) -> None:
    ran = says("components", "update", "-q")
    assert (ran.code, ran.said) == (0, "")


@pytest.mark.parametrize(("words", "code", "told"), [
    (["--url", "http://127.0.0.1:9/"], 8, "E-UPDATE-UNREACHABLE"),
    (["--root", "/nonexistent/root.json"], 2, "authority export-root"),
    (["--root", "/dev/zero"], 2, "E-USAGE"),
    (["--root", "/dev/null"], 2, "an empty file"),
    (["--root", "/etc/hostname"], 7, "E-TRUST"),
    (["--cacert", "/nonexistent/ca.pem"], 2, "E-USAGE"),
], ids=["no server", "no root", "endless root", "empty root", "no root at all", "no certificates"])  # fmt: skip
def test_what_goes_wrong_is_one_paragraph(says: Says, words: list[str], code: int, told: str) -> None:
    ran = says("components", "update", "-q", *words)
    assert ran.code == code, ran.err
    assert told in ran.err
    assert is_one_paragraph(ran)


def test_another_authority_s_root_takes_nothing(clearkey: Command, user: User) -> None:
    stranger = Publisher(another=True).user(empty=True, repository=user.trust.repository)
    names = variables(stranger)
    ran = clearkey("components", "update", "-q", "--root", names["CLEARKEY_COMPONENTS_ROOT"], "--store", stranger.store,
                   "--url", user.trust.repository)  # fmt: skip
    assert ran.code == 7
    assert is_one_paragraph(ran)


def test_in_a_checkout_an_update_says_what_it_needs(clearkey: Command, user: User) -> None:
    ran = clearkey("components", "update")
    assert ran.code == 2
    assert is_one_paragraph(ran)
    assert "--root and --url" in ran.err
    root = variables(user)["CLEARKEY_COMPONENTS_ROOT"]
    assert "give --url" in clearkey("components", "update", "--root", root).err


# ------------------------------------------------------------------------------------------------ play
def test_play_refuses_what_is_revoked_and_says_what_to_do(says: Says, user: User, film: Path) -> None:
    revoke_decoder(user.publisher)
    says("components", "update", "--list-only", "-q")
    asked = len(user.publisher.asked)
    ran = says("play", film, "--key", f"{KID}:{KEY}")
    assert ran.code == 7
    assert is_one_paragraph(ran)
    assert "av-decoder v1.0.0 is revoked  [E-TRUST-REVOKED]" in ran.err
    assert "`clearkey components update`, or play with --update-components" in ran.err
    assert len(user.publisher.asked) == asked, "nobody asked for an update"


def test_play_renews_once_and_plays(says: Says, user: User, film: Path) -> None:
    revoke_decoder(user.publisher)
    says("components", "update", "--list-only", "-q")
    ran = says("play", film, "--key", f"{KID}:{KEY}", "--update-components")
    assert ran.code == 0, ran.err
    assert "refused: av-decoder v1.0.0 is revoked, 0xC00D7151 MF_E_COMPONENT_REVOKED" in ran.err
    assert ran.err.count("renewed: ") == 1
    assert "played: " in ran.err
    assert says("components", "list").code == 0


def test_a_terminal_is_enough(says: Says, clearkey: Command, user: User, film: Path) -> None:
    revoke_decoder(user.publisher)
    says("components", "update", "--list-only", "-q")
    here, there = pty.openpty()
    try:
        done = subprocess.run([clearkey.path, "play", str(film), "--key", f"{KID}:{KEY}"], check=False, stderr=there,
                              stdin=subprocess.DEVNULL, env=clearkey.environment, timeout=40)  # fmt: skip
        said = os.read(here, 1 << 16).decode()
    finally:
        os.close(here)
        os.close(there)
    assert done.returncode == 0, said
    assert "renewed: " in said
    assert "\ndownloading " not in said, "that is the bar's name here, and no line"


def test_a_license_that_demands_a_newer_list_has_it_fetched(says: Says, user: User, film: Path) -> None:
    """The list comes in the session, and revokes what runs there; then the replacement, in a second worker."""
    revoke_decoder(user.publisher)
    kid = KeyId.parse(KID)
    policies = {kid: Policy(min_revocation_list=2)}
    with LicenseServer(keys={kid: ContentKey.parse(KEY)}, policies=policies) as server:
        words = ["play", film, "--license-url", server.license_url]
        refused = says(*words)
        assert refused.code == 7
        assert is_one_paragraph(refused)
        assert "E-TRUST-RESTART" in refused.err
        assert "run `clearkey components update` and play again" in refused.err
        ran = says(*words, "--update-components")
        assert ran.code == 0, ran.err
        assert "license_path: sealed" in ran.err


def test_a_license_that_demands_a_list_which_nobody_has(clearkey: Command, film: Path) -> None:
    """No server of components is known: the license server is not asked for them, and the user is told."""
    kid = KeyId.parse(KID)
    with LicenseServer(keys={kid: ContentKey.parse(KEY)}, policies={kid: Policy(min_revocation_list=2)}) as server:
        ran = clearkey("play", film, "--license-url", server.license_url)
        assert ran.code == 7
        assert is_one_paragraph(ran)
        assert "E-TRUST-LIST-OLD" in ran.err
        assert "CLEARKEY_COMPONENTS_URL" in ran.err


def test_a_license_that_demands_a_newer_list_while_the_update_server_is_down(
    clearkey: Command, user: User, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went wrong in the application reaches the session in the worker, and comes back as what it is."""
    kid = KeyId.parse(KID)
    with (
        socket.socket() as nobody,
        LicenseServer(keys={kid: ContentKey.parse(KEY)}, policies={kid: Policy(min_revocation_list=2)}) as server,
    ):
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        down = User(user.publisher, user.store, repository=f"http://127.0.0.1:{nobody.getsockname()[1]}/components")
        monkeypatch.setattr(clearkey, "environment", clearkey.environment | variables(down))
        played = clearkey("play", film, "--license-url", server.license_url)
        updated = clearkey("components", "update", "-q")
    for ran in (played, updated):
        assert ran.code == 8, ran.said
        assert is_one_paragraph(ran)
        assert "[E-UPDATE-UNREACHABLE]" in ran.err
        assert down.trust.repository in ran.err
    assert "what is installed and not revoked goes on working" in updated.err
    assert "the license demands revocation list 2 where list 1 is in force" in played.err
    assert "run `clearkey components update`" in played.err
    assert "goes on working" not in played.err


def test_doctor_tells_of_components(says: Says, user: User) -> None:
    assert "components: 8 test-signed; revocation list 1, fresh" in says("doctor").out
    revoke_decoder(user.publisher)
    says("components", "update", "--list-only", "-q")
    said = json.loads(says("doctor", "--json").out)["components_trust"]
    assert said["signed"] == ""
    assert "av-decoder 1.0.0 revoked" in said["summary"]
