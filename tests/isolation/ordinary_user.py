"""An ordinary user with clearkey installed, for tests that prove nothing when root runs them.

As root: the wheel is built and installed, beside what it needs, for a Python that every account can run, in a
world-readable folder; programs run as uid 65534. Otherwise: the current installation and account.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534
_ABOUT = "import sys, sysconfig; print(sys.version_info[:2] >= (3, 11), sysconfig.get_config_var('SOABI'))"


class OrdinaryUser:
    """Runs programs as a user without privileges."""

    def __init__(self, python: Path, home: Path, uid: int | None) -> None:
        self.python = python  # has clearkey installed
        self.home = home  # a fresh folder of the user's own
        self._as = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}

    def _arguments(self, program: str | list[str], options: dict) -> tuple[list[str], dict]:
        argv = [str(self.python), "-c", program] if isinstance(program, str) else [str(word) for word in program]
        environment = {"HOME": str(self.home), "PATH": os.defpath + ":/usr/sbin:/sbin", "LANG": "C.UTF-8"}
        environment |= options.pop("env", {})
        return argv, {"cwd": self.home, "env": environment, "text": True} | self._as | options

    def run(self, program: str | list[str], *, check: bool = True, timeout: float = 60, **options):
        """Run Python code (a string) or a command line (a list); returns the CompletedProcess, output captured."""
        argv, options = self._arguments(program, options)
        options.setdefault("stdin", subprocess.DEVNULL)
        run = subprocess.run(argv, check=False, capture_output=True, timeout=timeout, **options)
        assert not check or run.returncode == 0, f"{argv[:3]} exited with {run.returncode}:\n{run.stdout}\n{run.stderr}"
        return run

    def popen(self, program: str | list[str], **options) -> subprocess.Popen:
        """Start Python code or a command line; stdout is a pipe. The caller ends it."""
        argv, options = self._arguments(program, options)
        return subprocess.Popen(argv, stdout=subprocess.PIPE, **options)


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[OrdinaryUser]:
    folder = Path(tempfile.mkdtemp(prefix="clearkey-user-"))
    try:
        home = folder / "home"
        home.mkdir()
        if os.geteuid() != 0:
            yield OrdinaryUser(Path(sys.executable), home, None)
        else:
            folder.chmod(0o755)
            shutil.copytree(Path(__file__).parent / "programs", folder / "programs")
            os.chown(home, NOBODY, NOBODY)
            yield OrdinaryUser(_install(folder), home, NOBODY)
    finally:
        shutil.rmtree(folder)


def _install(folder: Path) -> Path:
    """Install the wheel into a new environment in `folder`, readable by all; return its Python."""
    found = _python_for_everybody()
    if found is None:
        pytest.skip("no Python 3.11 or later that an ordinary user can run (apt-get install python3)")
    base, same_abi = found
    python = _make_environment(base, folder / "env")
    built = folder / "wheel"
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", built], cwd=REPOSITORY, check=True,
                   capture_output=True)  # fmt: skip
    (wheel,) = built.glob("*.whl")
    if same_abi:
        _link_requirements(Path(_purelib(python)))
    _install_wheel(wheel, python, with_requirements=not same_abi)
    return python


def _python_for_everybody() -> tuple[Path, bool] | None:
    """A Python that uid 65534 can run, and whether it can use our own libraries; one that can is preferred."""
    usable = []
    for name in (sys._base_executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        path = Path(name).resolve()
        try:
            run = subprocess.run([path, "-c", _ABOUT], check=False, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/",
                                 capture_output=True, text=True, env={})  # fmt: skip
        except OSError:
            continue
        new_enough, _, soabi = run.stdout.strip().partition(" ")
        if new_enough == "True":
            usable.append((path, soabi == sysconfig.get_config_var("SOABI")))
    return max(usable, key=lambda found: found[1], default=None)


def _make_environment(base: Path, folder: Path) -> Path:
    """A virtual environment by hand: Debian's Python makes none without another package."""
    python = folder / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.symlink_to(base)
    (folder / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    Path(_purelib(python)).mkdir(parents=True)
    return python


def _purelib(python: Path) -> str:
    code = f"import sysconfig; print(sysconfig.get_path('purelib', 'venv', dict(base='{python.parent.parent}')))"
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _install_wheel(wheel: Path, python: Path, *, with_requirements: bool) -> None:
    options = [] if with_requirements else ["--no-deps"]
    uv = shutil.which("uv")
    tool = (
        [uv, "pip", "install", "--python", python]
        if uv
        else [sys.executable, "-m", "pip", "--python", python, "install"]
    )
    subprocess.run([*tool, "-q", *options, wheel], check=True, capture_output=True, cwd="/")


def _link_requirements(target: Path) -> None:
    """Give the new environment the libraries of this one, by hard link where that can be."""
    for name in _requirements("clearkey", set()):
        for file in importlib.metadata.distribution(name).files or ():
            source = Path(file.locate())
            if ".." in file.parts or not source.is_file():
                continue  # commands, and bytecode that was never written
            place = target / file
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, place)
            except OSError:  # another file system
                shutil.copy2(source, place)


def _requirements(name: str, seen: set[str]) -> set[str]:
    for line in importlib.metadata.distribution(name).requires or ():
        required = re.match(r"[A-Za-z0-9._-]+", line)[0]
        if "extra ==" in line or required.lower() in seen:
            continue
        try:
            importlib.metadata.distribution(required)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system, by its marker
        seen.add(required.lower())
        _requirements(required, seen)
    return seen
