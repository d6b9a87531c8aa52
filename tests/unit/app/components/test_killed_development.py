"""A development authority that is killed on the way signs all the same next time, and nothing is left lying about."""

import json
import subprocess
import sys

import pytest

from drm.app.components.development import DevelopmentAuthority
from drm.trust.authority.source_folder import archive_of

PROGRAM = """
import hashlib, json, logging, os, shutil, signal, sys
from pathlib import Path
import drm.trust.authority.self_signing  # before the fork: each child would import it anew
from drm.app.components.development import DevelopmentAuthority
from drm.trust.verifier import verify_trust

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod"}
STEP = 7  # each change takes seven times as long, and has been tried
archive, ready, work = (Path(word) for word in sys.argv[1:])
archive = archive.read_bytes()
logging.disable(logging.CRITICAL)
points = 0
while True:
    if ready.exists():
        shutil.copytree(ready, work, symlinks=True)
    child = os.fork()
    if not child:
        seen = 0
        def hook(event, args):
            global seen
            writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
            if writes or event in CHANGES:
                seen += 1
                if seen > STEP * points:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        DevelopmentAuthority(work).vouch([archive])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        assert status == 0
        break
    stored = DevelopmentAuthority(work).vouch([archive])
    hashes = {entry.sha256 for entry in verify_trust(stored.root, stored.files).components}
    assert hashes == {hashlib.sha256(archive).hexdigest()}, points
    if ready.exists():
        assert stored.root == (ready / "repository/metadata/1.root.json").read_bytes(), "made anew without need"
    assert len(list((work / "keys").iterdir())) == 6, points
    assert not [path for path in work.rglob("*") if path.name.endswith((".part", ".new"))], points
    shutil.rmtree(work)
    points += 1
print(json.dumps(points))
"""


@pytest.mark.parametrize("first", [True, False], ids=["when it is made", "when a source was edited"])
def test_killed_at_any_change_of_a_file_it_recovers(tmp_path, component, first):
    source, ready = component(), tmp_path / "ready"
    if not first:
        DevelopmentAuthority(ready).vouch([archive_of(source)])
    (source / "sink.py").write_text("class Sink: edited = True\n")
    (tmp_path / "archive").write_bytes(archive_of(source))
    words = [sys.executable, "-c", PROGRAM, tmp_path / "archive", ready, tmp_path / "work"]
    run = subprocess.run(words, check=False, capture_output=True, text=True, timeout=90)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) >= (15 if first else 8)
