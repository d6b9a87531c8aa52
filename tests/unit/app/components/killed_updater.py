"""Run by test_killed_updater: kill an update at every call that changes a file, and look at what is left.

Usage: killed_updater.py WORK SCENARIO, with an empty folder to work in. Prints one JSON object.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from uuid import UUID

from drm.trust.authority.create import create_authority
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.published import root_bytes
from drm.trust.authority.publishing import publish
from drm.trust.authority.revoking import revoke
from drm.trust.errors import ComponentDamagedError, ComponentRevokedError, TrustAbsentError
from drm.trust.revocations import Reason, Revocation

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}


def shared() -> ModuleType:
    spec = importlib.util.spec_from_file_location("trust_conftest", Path(__file__).parents[2] / "trust" / "conftest.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONFTEST = shared()

# What a new process may see after a kill, and what it sees after the next update: nothing in between is half there.
SCENARIOS = {
    "first": ({"nothing", "no archive", "1.0.0"}, "1.0.0"),  # metadata is in force before its archives come
    "replace": ({"1.0.0", "revoked", "1.1.0"}, "1.1.0"),
    "heal": ({"no archive", "1.0.0"}, "1.0.0"),
    "unchanged": ({"1.0.0"}, "1.0.0"),
}


def prepare(work: Path, scenario: str) -> None:
    """Make the authority and the store before the update, in the folders `authority` and `store`."""
    home = AuthorityHome(work / "authority", lambda _key: CONFTEST.PASSPHRASE)
    create_authority(home)
    publish(home, [CONFTEST.write_component(work / "source")])
    installation = opened(work, work / "store")
    if scenario == "first":
        return
    for _ in range(3):  # so that the next one removes a generation
        with home.writing(("again",)), home.change(("again",)) as repository:
            repository.finish()
        installation.update()
    if scenario == "replace":
        publish(home, [CONFTEST.write_component(work / "newer", version="1.1.0")])
        revoke(home, Revocation(id="-", reason=Reason.FLAW, class_id=UUID(CONFTEST.CLASS), versions=("1.0.0",)))
    if scenario == "heal":
        [blob] = (work / "store/blobs").iterdir()
        blob.unlink()
        blob.mkdir()


def opened(work: Path, store: Path) -> object:
    shown = work / "authority/repository"
    return CONFTEST.Installation(store, shown, root_bytes(shown, 1))


def killed_at(point: int, installation: object) -> bool:
    """Update in a child that dies just before its change number `point`; return whether it got that far."""
    child = os.fork()
    if not child:
        seen = 0

        def hook(event: str, args: tuple[object, ...]) -> None:
            nonlocal seen
            writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
            if writes or event in CHANGES:
                seen += 1
                if seen == point:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            installation.update()
        except BaseException as error:  # noqa: BLE001 - the child must not go on as its parent
            print(f"point {point}: {error!r}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0, f"the update failed by itself before point {point}"
    return False


def seen(installation: object) -> str:
    """What a process finds that starts now. Metadata that does not verify is no answer: that raises."""
    try:
        return str(installation.version())
    except TrustAbsentError:
        assert installation.store.read() is None
        return "nothing"
    except ComponentRevokedError:
        return "revoked"
    except ComponentDamagedError:
        return "no archive"


def main(work: Path, scenario: str) -> None:
    prepare(work, scenario)
    allowed, final = SCENARIOS[scenario]
    opened(work, work / "warm").update()  # imports everything, which is not what is tried here
    found: Counter[str] = Counter()
    for point in itertools.count(1):
        place = work / str(point)
        if (work / "store").exists():
            shutil.copytree(work / "store", place, symlinks=True)
        installation = opened(work, place)
        was_killed = killed_at(point, installation)
        state = seen(installation)
        assert state in allowed, f"point {point}: {state}"
        found[state] += 1
        if was_killed:
            installation.update()
        assert seen(installation) == final, point
        assert installation.is_tidy(), point
        assert not any(path.name.endswith(".part") for path in place.rglob("*"))
        assert len(list((place / "generations").iterdir())) <= 3
        shutil.rmtree(place)
        if not was_killed:
            print(json.dumps({"points": point - 1, "found": found}))
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
