"""Runs the attacks of player/attacks, as root and as an ordinary user, and the programs of this folder."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.isolation.ordinary_user import OrdinaryUser, ordinary_user
from tests.isolation.pmp_service import film, root, service

__all__ = ["film", "ordinary_user", "root", "service"]

PROGRAMS = Path(__file__).parent / "programs"


@dataclass
class Account:
    """Who runs the application and its worker."""

    python: Path
    home: Path
    user: OrdinaryUser | None

    @property
    def programs(self) -> Path:
        return self.home.parent / "programs" if self.user and os.geteuid() == 0 else PROGRAMS

    def run(self, *words: object, timeout: float = 60, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run this account's Python with these words."""
        argv = [str(self.python), *map(str, words)]
        if self.user is not None:
            return self.user.run(argv, timeout=timeout, check=check)
        run = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, cwd=self.home, check=False,
                             env=os.environ | dict.fromkeys(("HOME", "CLEARKEY_HOME"), str(self.home)))  # fmt: skip
        assert not check or run.returncode == 0, run.stderr
        return run

    def application(self, program: str, *words: object, timeout: float = 60) -> dict:
        """Run a program of this folder as the application; returns the JSON that it prints."""
        return json.loads(self.run(self.programs / program, *words, timeout=timeout).stdout)

    def attack(self, origin: str, names: Sequence[str], *, protected: bool = True, under: str = "", **more) -> dict:
        """Have the attacks made; `under`: a program of this folder that goes on in the attacking one."""
        folder = Path(tempfile.mkdtemp(dir=self.home))
        if self.user is not None and os.geteuid() == 0:
            os.chown(folder, *self.home.stat()[4:6])
        request = {"origin": origin, "protected": protected, "names": names, "folder": str(folder)} | more
        wrapped = [self.programs / under, self.python] if under else []
        run = self.run(*wrapped, "-m", "player.attacks.application", json.dumps(request), timeout=110)
        answer = json.loads(run.stdout)
        assert answer["error"] is None, answer
        return answer


@pytest.fixture(scope="session", params=["ordinary", "root"])
def account(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Account:
    if request.param == "ordinary":
        user = request.getfixturevalue("ordinary_user")
        return Account(user.python, user.home, user)
    if os.geteuid() != 0:
        pytest.skip("only root can show what root's worker withstands")
    return Account(Path(sys.executable), tmp_path_factory.mktemp("root-home"), None)


@pytest.fixture(scope="session")
def ordinary(ordinary_user: OrdinaryUser) -> Account:
    return Account(ordinary_user.python, ordinary_user.home, ordinary_user)


@pytest.fixture(scope="session")
def table(account: Account) -> dict:
    """What `clearkey doctor --attack` says under this account: its JSON, with the exit code and the rows by name."""
    run = account.run("-m", "player.cli", "doctor", "--attack", "--json", check=False, timeout=110)
    assert run.stdout, run.stderr
    said = json.loads(run.stdout)
    return said | {"exit_code": run.returncode, "by_name": {row["name"]: row for row in said["rows"]}}
