"""`drm.app` is the public face: its names are there, and it costs nothing that is not asked for."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import drm.app

ROOT = Path(__file__).parents[3]

# What programs import. A name that is taken away, or moved, breaks them: add here, and take nothing off.
NAMES = [
    "ComponentSupply", "ComponentTrust", "ContentEnabler", "ContentProtectionManager", "EnableResult",
    "EnablerActivation", "FileByteStream", "HttpByteStream", "LicenseForm", "LicenseManager", "LocalKeysManager",
    "MediaSessionProxy", "NO_QUALITY_MANAGER", "PMPServer", "PMPSessionFlags", "SessionConfiguration", "SourceResolver",
    "WorkerConfiguration", "component_folders", "create_media_session", "create_pmp_media_session",
    "create_pmp_server", "open_source",
]  # fmt: skip
NETWORK = ["requests", "urllib3", "http.client", "ssl"]


def modules_after(program: str) -> set[str]:
    """What a fresh interpreter has imported after `program`."""
    program += "\nimport sys\nnames = sorted(sys.modules)\nimport json\nprint(json.dumps(names))"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return set(json.loads(ran.stdout))


def test_the_list_of_names() -> None:
    assert sorted(drm.app.__all__) == NAMES
    assert set(NAMES) <= set(dir(drm.app))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_that_of_the_module_below(name: str) -> None:
    place = importlib.import_module(f"drm.app.{drm.app._PLACES[name]}")
    assert getattr(drm.app, name) is getattr(place, name)
    assert name in place.__all__


@pytest.mark.parametrize("name", NAMES)
def test_a_name_can_be_had_first_of_all(name: str) -> None:
    """In a fresh interpreter: nothing that another name imported is needed."""
    assert f"drm.app.{drm.app._PLACES[name]}" in modules_after(f"from drm.app import {name}")


def test_a_star_gives_the_names() -> None:
    found: dict[str, object] = {}
    exec("from drm.app import *", found)
    assert sorted(set(found) - {"__builtins__"}) == NAMES


def test_another_name_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match=r"module 'drm.app' has no attribute 'create_session'") as error:
        drm.app.create_session  # type: ignore[attr-defined]  # noqa: B018
    assert error.value.name == "create_session"
    with pytest.raises(ImportError):
        exec("from drm.app import create_session", {})


@pytest.mark.parametrize(
    "program",
    [
        "import drm.app",
        "import drm.app.byte_stream",
        "from drm.app import FileByteStream",
        "import drm.app; dir(drm.app)",
    ],
)
def test_no_network_library_is_loaded(program: str) -> None:
    assert not set(NETWORK) & modules_after(program)


def test_the_control_of_the_test_above() -> None:
    assert set(NETWORK) <= modules_after("from drm.app import HttpByteStream")


def test_the_face_alone_loads_no_module_of_ours() -> None:
    assert {name for name in modules_after("import drm.app") if name.startswith("drm")} == {"drm", "drm.app"}


def test_a_type_checker_knows_the_names_and_no_others(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from drm.app import SessionConfiguration, create_pmp_media_session\n"
        "from drm.app import create_session\n"
        "configuration = SessionConfiguration(sealed='yes')\n"
        "with create_pmp_media_session(configuration=configuration) as session:\n"
        "    reveal_type(session)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(ROOT / ".mypy_cache"),
               str(program)]  # fmt: skip
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False).stdout
    assert 'Module "drm.app" has no attribute "create_session"' in said
    assert 'Argument "sealed" to "SessionConfiguration" has incompatible type "str"' in said
    assert 'Revealed type is "drm.app.session_proxy.MediaSessionProxy"' in said
    assert len(said.splitlines()) == 3, said
