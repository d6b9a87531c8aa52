"""What is mapped to be run in a worker, beside what is expected there: the probe by itself, and in real workers."""

from __future__ import annotations

import mmap
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drm.launch import process
from drm.lockdown import executable_maps
from tests.isolation.ordinary_user import NOBODY

HERE = Path(__file__).parent
FOLDERS = process.import_folders()
READ, WRITE, RUN = mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC


def of_file(path: Path, protection: int = READ | RUN, flags: int = mmap.MAP_PRIVATE) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), mmap.PAGESIZE, flags=flags, prot=protection)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A page of a file that root owns, and root alone can change."""
    path = tmp_path / "libcode.so"
    path.write_bytes(bytes(mmap.PAGESIZE))
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def nothing_else() -> Iterator[None]:
    """The control, before and after: this process has what an interpreter has."""
    assert executable_maps.look(FOLDERS) == ("yes", ())
    yield
    assert executable_maps.look(FOLDERS) == ("yes", ())


FOUND: dict[str, tuple[Callable[[Path], object], str]] = {
    "anonymous": (lambda _: mmap.mmap(-1, mmap.PAGESIZE, prot=READ | RUN), "memory that is no file's can be executed"),
    "private": (
        lambda _: mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=READ | RUN),
        "memory that is no file's can be executed",
    ),
    "writable": (lambda path: of_file(path, READ | WRITE | RUN), "{path} can be written and executed"),
    "gone": (lambda path: (of_file(path), path.unlink())[0], "{path} (deleted) is not on disk any more"),
}


@pytest.mark.parametrize("kind", FOUND)
def test_code_that_is_no_file_as_it_lies_on_disk_is_a_fault(code: Path, kind: str) -> None:
    make, said = FOUND[kind]
    with make(code):  # type: ignore[attr-defined]  # a mapping
        assert executable_maps.look(FOLDERS).layer == f"no: {said.format(path=code)}"


def test_code_in_shared_memory_of_a_memfd_is_a_fault() -> None:
    memory = os.memfd_create("code")
    os.ftruncate(memory, mmap.PAGESIZE)
    with mmap.mmap(memory, mmap.PAGESIZE, prot=READ | RUN):
        assert executable_maps.look(FOLDERS).layer == "no: memory that is no file's can be executed"
    os.close(memory)


@pytest.mark.parametrize(
    ("mode", "owner", "unlisted"), [(0o755, 0, ()), (0o775, 0, ("libcode.so",)), (0o757, 0, ("libcode.so",)),
                                    (0o755, NOBODY, ("libcode.so",))],
)  # fmt: skip
def test_a_file_that_somebody_can_change_is_told(code: Path, mode: int, owner: int, unlisted: tuple[str, ...]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a file that root owns")
    code.chmod(mode)
    os.chown(code, owner, -1)
    with of_file(code):
        assert executable_maps.look(FOLDERS) == ("yes", unlisted)
        assert executable_maps.look((*FOLDERS, code.parent)) == ("yes", ()), "unless it is a library of the worker's"


# ------------------------------------------------------------------------------------------------ workers
def test_a_worker_maps_what_its_interpreter_and_libraries_are_expected_to_map() -> None:
    report = process.probe_worker()
    assert report.layers["code_inventory"] == "yes"
    assert report.unlisted_code == ()


def test_a_worker_with_code_that_is_no_file_has_no_level(monkeypatch: pytest.MonkeyPatch) -> None:
    command = process.worker_command

    def changed(*words: object) -> list[str]:
        made = command(*words)  # type: ignore[arg-type]  # as called
        entry = next(at for at, word in enumerate(made) if word.endswith("__main__.py"))
        return [*made[:entry], str(HERE / "programs" / "with_code.py"), f"entry={made[entry]}", *made[entry + 1 :]]

    monkeypatch.setattr(process, "worker_command", changed)
    report = process.probe_worker()
    assert report.level == 0
    assert {name for name, said in report.layers.items() if said != "yes"} == {"code_inventory"}


def test_a_library_that_its_application_slips_in_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By LD_PRELOAD, which the interpreter's own flags do not stop."""
    own = next(Path(line.split()[5]) for line in Path("/proc/self/maps").read_text().splitlines() if "libz.so" in line)
    library = tmp_path / "libspy.so"
    shutil.copy(own, library)
    library.chmod(0o777)
    command = process.worker_command
    monkeypatch.setattr(
        process, "worker_command", lambda *words: ["/usr/bin/env", f"LD_PRELOAD={library}", *command(*words)]
    )
    report = process.probe_worker()
    assert report.unlisted_code == ("libspy.so",)
