"""What code is in the worker is a reviewed list, and what components import is on it."""

import ast
import base64
import sys
import zlib
from pathlib import Path

import pytest

from drm.app.components.installed import collect_components
from drm.launch import process
from drm.launch.process import PMPProcess, import_folders, probe_worker
from drm.pmp import platform
from drm.trust.archive import Component

REPOSITORY = Path(__file__).parents[2]
ROOTS = REPOSITORY / "tests" / "data" / "worker_roots.txt"

COMPONENTS = collect_components()


@pytest.fixture(scope="module")
def modules() -> list[str]:
    """sys.modules of a locked worker, told by itself when it has sent its report."""
    stand_in = REPOSITORY / "tests" / "isolation" / "programs" / "canary_worker.py"
    usual = process.worker_command

    def command(*words) -> list[str]:
        made = usual(*words)
        entry = next(index for index, word in enumerate(made) if word.endswith("__main__.py"))
        made[entry : entry + 1] = [str(stand_in), f"entry={made[entry]}"]
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "worker_command", command)
        with PMPProcess(report_only=True) as worker:
            assert worker.wait(30)
            assert worker.exit_code == 0, worker.stderr
            return zlib.decompress(base64.b64decode(worker.stderr.split()[-1])).decode().splitlines()


def test_the_worker_holds_the_reviewed_roots_and_no_others(modules: list[str]) -> None:
    roots = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"__main__"}
    # Cython names a module after its own version; which version is PyAV's matter.
    assert {_unversioned(root) for root in roots} == {_unversioned(root) for root in ROOTS.read_text().split()}


def _unversioned(root: str) -> str:
    return "_cython" if root.startswith("_cython_") else root


def test_the_worker_knows_every_error(modules: list[str]) -> None:
    """What the application tells it of is an error's code; tests/unit/test_errors.py says which files have them."""
    assert {"drm.errors", "drm.trust.errors"} <= set(modules)


def test_the_worker_holds_nothing_forbidden(modules: list[str]) -> None:
    assert not set(platform.FORBIDDEN) & set(modules)


def test_the_forbidden_names_are_at_least_those_that_reach_the_network_or_run_foreign_code() -> None:
    assert {
        "asyncio", "flask", "http.client", "multiprocessing", "numpy", "pickle", "requests", "ssl", "urllib3",
    } <= set(platform.FORBIDDEN)  # fmt: skip


def test_the_worker_holds_no_module_of_the_application_and_no_component(modules: list[str]) -> None:
    outside = (
        "drm.launch",
        "drm.service",
        "drm.app",
        "drm.components.",
        "ita",
        "player",
        "license_server",
        "sample_content",
        "drm.packaging",
        "drm.encrypting",
        "drm.decrypting",
        "drm.manifests",
        "drm.keyfile",
    )
    assert not [name for name in modules if f"{name}.".startswith(tuple(f"{o.rstrip('.')}." for o in outside))]


def test_everything_on_the_list_is_in_the_worker(modules: list[str]) -> None:
    assert set(platform.COMPONENTS_MAY_IMPORT) <= set(modules)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.manifest.name)
def test_a_component_imports_nothing_that_is_not_on_the_list(component: Component) -> None:
    """After the lock an import that is not loaded fails, perhaps only in an error path: so read the source."""
    allowed = {*platform.names(), *sys.builtin_module_names, "__future__"}
    own = f"{component.manifest.package}."
    for path, data in component.files.items():
        if path.endswith(".py"):
            foreign = {name for name in _imports(ast.parse(data)) if not f"{name}.".startswith(own)}
            assert not {name for name in foreign if name not in allowed}, path
            roots = {name.partition(".")[0] for name in foreign} - sys.stdlib_module_names
            declared = {name.partition(".")[0] for name in component.manifest.requires}
            assert roots <= declared, f"{path} imports what component.toml does not require"


def _imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {
                f"{node.module}.{alias.name}" for alias in node.names if _is_module(f"{node.module}.{alias.name}")
            }
    return found


def _is_module(name: str) -> bool:
    return name.startswith("drm.") and (REPOSITORY / (name.replace(".", "/") + ".py")).exists()


def test_the_worker_imports_from_two_folders_at_most() -> None:
    assert str(REPOSITORY) in import_folders() or len(import_folders()) == 1
    assert len(import_folders()) <= 2


def test_no_forbidden_library_is_mapped() -> None:
    """What a library loads past the import system shows in the memory map, which an unprotected worker lets us read."""
    with PMPProcess(unprotected=True, demanded_level=0) as worker:
        worker.channel_socket.settimeout(30)
        assert worker.channel_socket.recv(1 << 16)
        mapped = {Path(line.split()[-1]) for line in Path(f"/proc/{worker.pid}/maps").read_text().splitlines()}
    names = {path.name for path in mapped}
    assert any(name.startswith("libavcodec") for name in names), "the control: what is there must be seen"
    assert not [name for name in names if name.startswith(("_ssl.", "_asyncio.", "_pickle.", "_multiprocessing."))]
    assert not [path for path in mapped if "numpy" in path.parts]


def test_the_reference_engine_is_there_only_when_it_is_asked_for(modules: list[str]) -> None:
    assert not [name for name in modules if name.partition(".")[0] == "Crypto"]
    assert probe_worker(engine="pycryptodome").level >= 1
