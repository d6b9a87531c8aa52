"""Runs the attack programs, as root and as an ordinary user, on a locked worker and on one that is not."""

import json
import os
import subprocess
import sys
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

    def application(self, program: str, *words: object, timeout: float = 60) -> dict:
        """Run a program of this folder as the application; returns the JSON that it prints."""
        argv = [str(self.python), str(self.programs / program), *map(str, words)]
        if self.user is not None:
            run = self.user.run(argv, timeout=timeout)
        else:
            run = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, cwd=self.home, check=False,
                                 env=os.environ | dict.fromkeys(("HOME", "CLEARKEY_HOME"), str(self.home)))  # fmt: skip
            assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)


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
