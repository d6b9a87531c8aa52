"""Level 3: an application of one account, workers of another, real processes of both."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drm.keys import ContentKey, KeyId
from drm.rights.policy import Policy
from license_server.process import LicenseServer
from player.attacks.tables import OUTSIDE, SERVICE
from tests.isolation.ordinary_user import NOBODY
from tests.isolation.pmp_service import KEY, SERVICE_UID, PMPService, run_clearkey, running_service

REACHES = [attack.name for attack in (*OUTSIDE, *SERVICE)]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a service under another account")


# ------------------------------------------------------------------------------------------------ what works
def test_what_plays_at_level_2_plays_at_level_3(ordinary_user, service: PMPService, film: Path) -> None:
    own, theirs = ordinary_user.home / "own.txt", ordinary_user.home / "theirs.txt"
    run_clearkey(ordinary_user, "play", film, "--key", KEY, "--framemd5", own)
    ran = run_clearkey(
        ordinary_user, "play", film, "--key", KEY, "--framemd5", theirs, "--service", service.socket, "--min-level", 3
    )
    assert "isolation level 3 (service)" in ran.stderr
    assert own.read_text() == theirs.read_text()
    assert own.read_text().count("\n") > 72


def test_the_report_says_what_was_probed(ordinary_user, service: PMPService) -> None:
    report = json.loads(run_clearkey(ordinary_user, "doctor", "--json", "--service", service.socket).stdout)
    assert report["level"] == 3
    assert set(report["layers"].values()) == {"yes"}
    assert {"own_account", "own_device_key", "code_not_writable"} <= set(report["layers"])


def test_without_a_service_level_3_is_refused_by_name(ordinary_user, film: Path) -> None:
    ran = run_clearkey(ordinary_user, "play", film, "--key", KEY, "--min-level", 3, check=False)
    assert ran.returncode == 9
    assert "no PMP service" in ran.stderr


def test_a_license_may_demand_it(ordinary_user, service: PMPService, film: Path, tmp_path: Path) -> None:
    """It is issued to the service's device once that is enrolled; the user's own device never has the level."""
    kid, key = KeyId.parse(KEY.split(":", maxsplit=1)[0]), ContentKey.parse(KEY.split(":")[1])
    store = tmp_path / "keys.db"
    devices = [sys.executable, "-m", "player.cli", "keys", "devices", "--store", str(store)]
    with LicenseServer(keys={kid: key}, policies={kid: Policy(min_level=3)}, store=store) as server:

        def play(*words: object) -> subprocess.CompletedProcess[str]:
            url = ("--license-url", server.license_url)
            return run_clearkey(ordinary_user, "play", film, *url, *words, check=False)

        assert "level_too_low" in play().stderr
        own = subprocess.run(devices, capture_output=True, text=True, check=True).stdout.split()[0]
        assert "level_too_low" in play("--service", service.socket).stderr
        rows = subprocess.run(devices, capture_output=True, text=True, check=True).stdout.splitlines()
        (theirs,) = {row.split()[0] for row in rows} - {own}
        subprocess.run([*devices, "--enrol", own, "--enrol", theirs], capture_output=True, check=True)
        ran = play("--service", service.socket)
        assert ran.returncode == 0, ran.stderr
        assert "isolation level 3 (service), license_path: sealed" in ran.stderr
        assert play().returncode == 8


# ------------------------------------------------------------------------------------------------ attacks
@pytest.fixture(scope="module")
def attacked(ordinary_user, service: PMPService) -> dict:
    """What `clearkey doctor --attack` says of a worker of the service, to an ordinary user."""
    state = service.device_key.parent
    return json.loads(
        run_clearkey(
            ordinary_user, "doctor", "--attack", "--json", "--service", service.socket, "--service-state", state
        ).stdout
    )


def test_the_list_of_attacks_is_whole(attacked: dict) -> None:
    assert {row["name"] for row in attacked["rows"]} == set(REACHES)
    assert attacked["level"] == 3
    assert attacked["attacker"] == "ordinary user"


@pytest.mark.parametrize("attack", REACHES)
def test_the_application_reaches_nothing_of_the_other_account(attacked: dict, attack: str) -> None:
    """The controls are made on a worker of one's own that is not locked down."""
    (row,) = (row for row in attacked["rows"] if row["name"] == attack)
    if "gdb" in attack and not shutil.which("gdb"):
        pytest.skip("this machine gives no gdb")
    assert (row["control"], row["verdict"]) == ("done", "refused"), row


def test_the_worker_outlives_the_attacks_and_ends_with_its_application(attacked: dict, service: PMPService) -> None:
    assert attacked["alive"]
    end = time.monotonic() + 30
    while service.workers and time.monotonic() < end:
        time.sleep(0.02)
    assert service.workers == []


def test_an_applications_own_root_is_not_taken(ordinary_user, root: Path, film: Path, tmp_path: Path) -> None:
    """The service pins another root; the development authority of the application vouches for nothing there."""
    folder = ordinary_user.home.parent / "pinned"
    folder.mkdir()
    other = folder / "other.json"
    other.write_bytes(root.read_bytes() + b"\n")
    other.chmod(0o644)
    with running_service(ordinary_user, folder, "--root", other) as running:
        ran = run_clearkey(
            ordinary_user, "play", film, "--key", KEY, "--service", running.socket, "--min-level", 3, check=False
        )
    assert ran.returncode == 7
    assert "its own root" in ran.stderr


def test_code_that_the_service_can_write_makes_no_level_3(ordinary_user, tmp_path: Path) -> None:
    folder = ordinary_user.home.parent / "writable"
    folder.mkdir()
    package = next((ordinary_user.python.parent.parent / "lib").glob("python3*/site-packages/drm"))
    told = package.stat()
    os.chown(package, SERVICE_UID, told.st_gid)
    try:
        with running_service(ordinary_user, folder) as running:
            ran = run_clearkey(ordinary_user, "doctor", "--json", "--service", running.socket)
    finally:
        os.chown(package, told.st_uid, told.st_gid)
    report = json.loads(ran.stdout)
    assert report["level"] == 2
    assert report["layers"]["code_not_writable"] == f"no: {package}"


def test_a_root_that_the_service_can_write_makes_no_level_3(ordinary_user, root: Path) -> None:
    folder = ordinary_user.home.parent / "own-root"
    folder.mkdir()
    own = folder / "root.json"
    own.write_bytes(root.read_bytes())
    os.chown(own, SERVICE_UID, SERVICE_UID)
    with running_service(ordinary_user, folder, "--root", own) as running:
        report = json.loads(run_clearkey(ordinary_user, "doctor", "--json", "--service", running.socket).stdout)
    assert report["level"] == 2
    assert report["layers"]["code_not_writable"] == f"no: {own}"


def test_root_gives_no_folder_of_somebody_elses_away(ordinary_user, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    command = [ordinary_user.python, "-I", ordinary_user.python.parent / "clearkey", "pmp-service"]
    words = ["--socket", tmp_path / "s", "--state", state, "--user", str(SERVICE_UID)]
    ran = subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode != 0
    assert "belongs to user id 0" in ran.stderr
    assert (state.stat().st_uid, state.stat().st_mode & 0o777) == (0, 0o755)


def test_a_service_of_ones_own_account_is_refused(service: PMPService) -> None:
    code = f"from drm.app.service_process import ServiceProcess\nServiceProcess({str(service.socket)!r})"
    environment = {"PATH": os.defpath, "HOME": "/"}
    python = next(Path(service.socket).parent.parent.glob("env/bin/python3"))
    ran = subprocess.run(
        [python, "-c", code], user=SERVICE_UID, group=SERVICE_UID, extra_groups=[], env=environment, cwd="/",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "the PMP service runs under your own account" in ran.stderr


def test_nobody_is_the_applications_account() -> None:
    assert NOBODY not in {0, SERVICE_UID}
