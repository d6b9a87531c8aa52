"""Run by test_killed_publisher: kill one command at every call that changes a file, and look at what is left.

Usage: killed_publisher.py WORK COMMAND, with an empty folder to work in. Prints one JSON object.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import ModuleType
from uuid import UUID

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata

from drm.trust.authority.create import create_authority
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.published import root_bytes
from drm.trust.authority.publishing import publish
from drm.trust.authority.revoking import revoke
from drm.trust.authority.rotating import rotate
from drm.trust.revocations import Reason, Revocation

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}


def shared() -> ModuleType:
    spec = importlib.util.spec_from_file_location("trust_conftest", Path(__file__).with_name("conftest.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONFTEST = shared()


def command(name: str, home: AuthorityHome) -> None:
    if name == "publish":
        publish(home, [home.folder / "source"])
    elif name == "revoke":
        revoke(home, Revocation(id="-", reason=Reason.FLAW, class_id=UUID(CONFTEST.CLASS), versions=("1.0.0",)))
    else:
        rotate(home, name)


def killed_at(point: int, home: AuthorityHome, name: str) -> bool:
    """Give the command in a child that dies just before its change number `point`; return whether it got that far."""
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
            command(name, home)
        except BaseException as error:  # noqa: BLE001 - the child must not go on as its parent
            print(f"point {point}: {error!r}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0, f"the command failed by itself before point {point}"
    return False


def prepare(prepared: Path, client_folder: Path) -> None:
    """Make an authority with one component published, which a client has seen, and another in the folder `source`."""
    home = AuthorityHome(prepared, lambda _key: CONFTEST.PASSPHRASE)
    create_authority(home)
    publish(home, [CONFTEST.write_component(prepared / "first")])
    CONFTEST.write_component(prepared / "source", version="1.1.0")
    assert CONFTEST.Client(client_folder, home.trees.shown, root_bytes(home.trees.shown)).has("1.0.0")


def main(work: Path, name: str) -> None:
    prepared, client_folder = work / "prepared", work / "client"
    prepare(prepared, client_folder)
    signers = opened_keys(prepared)
    pinned = (prepared / "trees/2/metadata/1.root.json").read_bytes()
    for point in itertools.count(1):
        place = work / str(point)
        shutil.copytree(prepared, place / "home", symlinks=True)
        shutil.copytree(client_folder, place / "client")
        home = open_home(place / "home", signers)
        was_killed = killed_at(point, home, name)
        client = CONFTEST.Client(place / "client", home.trees.shown, pinned)
        client.update()
        home.trust()  # from the first root
        if was_killed:
            command(name, home)
        check(name, home, client)
        if not was_killed:
            print(json.dumps({"points": point - 1}))
            return


def opened_keys(prepared: Path) -> dict[str, CryptoSigner]:
    """Every key, decrypted once for all runs: that takes its time by design, and is not what is tried here."""
    home = AuthorityHome(prepared, lambda _key: CONFTEST.PASSPHRASE)
    root, targets = home.reading().root(), home.reading().targets()
    keys = (*root.keys.values(), *targets.delegations.keys.values())
    return {key.keyid: home.keys.signer(key) for key in keys}


def open_home(folder: Path, signers: dict[str, CryptoSigner]) -> AuthorityHome:
    home = AuthorityHome(folder, lambda _key: CONFTEST.PASSPHRASE)
    home.keys._signers = dict(signers)
    return home


def check(name: str, home: AuthorityHome, client: object) -> None:
    """The command is done, once, and nothing of a killed run lies about."""
    trust = home.trust()
    assert home.unfinished is None
    assert len(list((home.folder / "trees").iterdir())) == 2
    assert trust.revocations.version == (2 if name == "revoke" else 1)
    versions = {"publish": ["1.0.0", "1.1.0"], "revoke": []}.get(name, ["1.0.0"])
    assert [entry.version for entry in trust.components] == versions
    assert client.has("1.0.0") == ("1.0.0" in versions)
    listed = {key for keys in trust.key_ids.values() for key in keys}
    assert listed <= set(home.keys.held()) <= ever_listed(home)  # no key that a killed run made for nothing


def ever_listed(home: AuthorityHome) -> set[str]:
    metadata = home.trees.shown / "metadata"
    roots = [Metadata.from_file(str(path)).signed for path in metadata.glob("*.root.json")]
    targets = [Metadata.from_file(str(path)).signed.delegations for path in metadata.glob("*.targets.json")]
    return {key for delegator in (*roots, *targets) for key in delegator.keys}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
