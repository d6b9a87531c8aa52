"""Kill -9 before every call that changes a file: clients go on, and the same command, given again, completes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drm.trust.authority.publishing import publish

# Of the six rotations the one in root and the one in targets: the others differ from these in names alone.
COMMANDS = ("publish", "revoke", "timestamp", "components")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_kill_at_any_change_harms_nobody(home, client, component, tmp_path, command):
    publish(home, [component()])
    assert client.has("1.0.0")
    component("1.1.0").rename(home.folder / "source")
    (tmp_path / "work").mkdir()
    script = Path(__file__).with_name("killed_publisher.py")
    run = subprocess.run(
        [sys.executable, script, home.folder, tmp_path / "work", client.folder, command],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    # A hook that saw too little would prove too little: plan, files and their names, links, the swap, what is removed.
    assert json.loads(run.stdout)["points"] > 25
