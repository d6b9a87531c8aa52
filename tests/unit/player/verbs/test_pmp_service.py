"""What `clearkey pmp-service install` writes, and what it refuses to have the service run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from drm.errors import IsolationError
from player.verbs.pmp_service import command
from player.verbs.pmp_service.units import require_roots_own, unit_files

FILES = {
    "usr/lib/systemd/system/clearkey-pmp.socket",
    "usr/lib/systemd/system/clearkey-pmp.service",
    "usr/lib/sysusers.d/clearkey-pmp.conf",
    "usr/lib/tmpfiles.d/clearkey-pmp.conf",
}


def test_every_file_is_printed() -> None:
    printed = CliRunner().invoke(command, ["install", "--print"]).stdout
    for name in FILES:
        assert f"# /{name}\n" in printed


def test_the_service_starts_as_an_account_of_its_own_and_by_its_socket() -> None:
    files = unit_files("/opt/clearkey/bin/clearkey")
    service = files["usr/lib/systemd/system/clearkey-pmp.service"]
    assert "ExecStart=/opt/clearkey/bin/clearkey pmp-service --state /var/lib/clearkey-pmp\n" in service
    assert "User=clearkey-pmp\n" in service
    assert "ListenSequentialPacket=/run/clearkey/pmp.sock\n" in files["usr/lib/systemd/system/clearkey-pmp.socket"]
    assert files["usr/lib/sysusers.d/clearkey-pmp.conf"].count("\nu clearkey-pmp ") == 1
    assert "d /var/lib/clearkey-pmp 0700 clearkey-pmp clearkey-pmp -" in files["usr/lib/tmpfiles.d/clearkey-pmp.conf"]


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    command_file = tmp_path / "clearkey"
    command_file.write_text("#!/bin/sh\n")
    command_file.chmod(0o755)
    units = []
    for name, text in unit_files(str(command_file)).items():
        if "/system/" in name:
            path = tmp_path / Path(name).name
            path.write_text(text)
            units.append(str(path))
    ran = subprocess.run([tool, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    assert "clearkey-pmp" not in ran.stderr.replace("User=clearkey-pmp", ""), ran.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file that root owns")
@pytest.mark.parametrize("spoil", ["owner", "group may write", "a folder above"])
def test_code_that_others_can_change_is_refused(tmp_path: Path, spoil: str) -> None:
    folder = tmp_path / "lib"
    folder.mkdir(mode=0o755)
    code = folder / "code.py"
    code.touch(mode=0o644)
    require_roots_own([code])
    if spoil == "owner":
        os.chown(code, 65534, 0)
    elif spoil == "group may write":
        code.chmod(0o664)
    else:
        folder.chmod(0o777)
    with pytest.raises(IsolationError) as refused:
        require_roots_own([code])
    assert refused.value.where == str(folder if spoil == "a folder above" else code)
