"""The import contracts of pyproject.toml hold, and each of them breaks when what it forbids is done.

A contract whose modules were renamed under it is kept for ever. So a breach of each is planted: an import that is added
to the graph of the real tree, and for the gravest one, a line in a copy of the tree that `lint-imports` reads.
"""

import copy
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.api import read_configuration
from importlinter.contracts import forbidden, independence, layers

ROOT = Path(__file__).parents[2]
SETTINGS = read_configuration(str(ROOT / "pyproject.toml"))
SESSION = SETTINGS["session_options"]
CONTRACTS = {contract["name"]: contract for contract in SETTINGS["contracts_options"]}
PACKAGES: list[str] = SESSION["root_packages"]
KINDS = {
    "forbidden": forbidden.ForbiddenContract,
    "independence": independence.IndependenceContract,
    "layers": layers.LayersContract,
}
SERVICE = "The service brokers workers, and knows no media, no key and no application"
DECRYPT = "The application cannot decrypt"

# Who imports what, and the contract that forbids it. More than one may break: what is asked is whether this one does.
BREACHES = [
    ("drm.app.rights.media_url", "drm.decrypting.fast.fragmented", DECRYPT),
    ("drm.app.rights.media_url", "drm.cenc.decrypt", DECRYPT),
    ("player.playback", "ita.authority", DECRYPT),
    ("drm.pmp.session_service", "requests", "The worker reaches no network, program or application code"),
    ("drm.components.hash_sink.sink", "subprocess", "The worker reaches no network, program or application code"),
    ("ita.authority", "drm.app.server", "The worker reaches no network, program or application code"),
    ("drm.session.topology", "drm.decrypting.mp4", "Files are decrypted by developer verbs alone"),
    ("license_server.issuing.licenses", "drm.decrypting.file", "Files are decrypted by developer verbs alone"),
    ("sample_content.maker", "drm.decrypting.webm", "Files are decrypted by developer verbs alone"),
    ("ita.authority", "drm.whole_file", "The worker opens no files"),
    ("drm.pmp.session_service", "drm.keyfile.formats", "The worker opens no files"),
    ("drm.components.mp4_source.source", "drm.encrypting.source_file", "The worker opens no files"),
    ("license_server.store.keys", "license_server.issuing.service", "Floors of the license server"),
    ("license_server.issuing.licenses", "license_server.web.updates", "Floors of the license server"),
    ("license_server.web.updates", "license_server.admin.route", "Floors of the license server"),
    ("license_server.pages.media", "license_server.serving.app", "Floors of the license server"),
    ("drm.pmp.host_service", "ita.authority", "The worker knows components by manifest only"),
    ("drm.pmp.host_service", "drm.components.hash_sink.sink", "The worker knows components by manifest only"),
    ("drm.session.topology", "drm.trust.authority.signing_keys", "What runs in the worker signs nothing"),
    ("drm.lockdown.lockdown", "av", "Only the reviewed list of what components may import touches PyAV in the worker"),
    ("ita.authority", "drm.components.hash_sink.sink", "Components do not know one another"),
    ("drm.components.hash_sink.sink", "drm.components.snapshot_sink.sink", "Components do not know one another"),
    ("drm.service.broker", "drm.app.server", SERVICE),
    ("drm.service.broker", "drm.license.sealed", SERVICE),
    ("drm.codecs.layouts", "socket", "Shared code does no I/O of its own"),
    ("drm.rights.policy", "requests", "Shared code does no I/O of its own"),
    ("drm.manifests.forms", "subprocess", "Shared code does no I/O of its own"),
]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Of the tree as it is, not of what the loader of components made in other tests."""
    with pytest.MonkeyPatch.context() as patched:
        for package in PACKAGES:
            patched.delitem(sys.modules, package, raising=False)
        own = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("drm.")]
        patched.setattr(sys, "meta_path", own)
        return grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)


def is_kept(name: str, graph: grimp.ImportGraph) -> bool:
    contract = CONTRACTS[name]
    return KINDS[contract["type"]](name, SESSION, contract).check(copy.deepcopy(graph), verbose=False).kept


def with_import(graph: grimp.ImportGraph, importer: str, imported: str) -> grimp.ImportGraph:
    """The same tree with one import more, in a module that is there."""
    planted = copy.deepcopy(graph)
    assert importer in planted.modules
    if imported not in planted.modules:
        assert importlib.util.find_spec(imported), imported
        planted.add_module(imported, is_squashed=True)
    planted.add_import(importer=importer, imported=imported, line_number=1, line_contents=f"import {imported}")
    return planted


# ------------------------------------------------------------------------------------------------ each one holds
@pytest.mark.parametrize("name", CONTRACTS)
def test_it_is_kept(graph: grimp.ImportGraph, name: str) -> None:
    assert is_kept(name, graph)


@pytest.mark.parametrize(("importer", "imported", "name"), BREACHES)
def test_a_breach_is_seen(graph: grimp.ImportGraph, importer: str, imported: str, name: str) -> None:
    assert not is_kept(name, with_import(graph, importer, imported))


def test_every_contract_is_tried() -> None:
    assert len(CONTRACTS) == len(SETTINGS["contracts_options"]), "two have one name"
    assert {*CONTRACTS} == {name for _, _, name in BREACHES} | {"Floors"}


# ------------------------------------------------------------------------------------------------ floors
FLOORS = [[room.strip() for room in floor.replace(":", "|").split("|")] for floor in CONTRACTS["Floors"]["layers"]]


def module_of(room: str, graph: grimp.ImportGraph) -> str:
    """A module of the room that is no `__init__`, if it has several."""
    return min(graph.find_children(room), default=room)


@pytest.mark.parametrize("room", [room for floor in FLOORS[1:] for room in floor])
def test_no_room_imports_from_the_floor_above(graph: grimp.ImportGraph, room: str) -> None:
    number = next(number for number, floor in enumerate(FLOORS) if room in floor)
    for above in FLOORS[number - 1]:
        planted = with_import(graph, module_of(room, graph), module_of(above, graph))
        assert not is_kept("Floors", planted), above


@pytest.mark.parametrize("floor", [floor for floor in FLOORS if len(floor) > 1], ids=" | ".join)
def test_rooms_of_one_floor_do_not_know_each_other(graph: grimp.ImportGraph, floor: list[str]) -> None:
    one, other = floor[:2]
    assert not is_kept("Floors", with_import(graph, module_of(one, graph), module_of(other, graph)))


def test_everything_stands_on_a_floor(graph: grimp.ImportGraph) -> None:
    rooms = {room for floor in FLOORS for room in floor}
    ours = {*PACKAGES, *graph.find_children("drm")} - {"drm"}
    assert ours == rooms


# ------------------------------------------------------------------------------------------------ by the command
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("", 0),
        ("from drm.decrypting.fast.fragmented import decrypt_fast", 1),
        ("from drm.cenc.decrypt import SampleDecrypter", 1),
    ],
    ids=["sound", "fast", "general"],
)
def test_a_line_in_the_application_that_decrypts(tmp_path: Path, line: str, code: int) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    module = tmp_path / "drm" / "app" / "rights" / "media_url.py"
    module.write_text(f"{module.read_text()}\n{line}\n")
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == code, ran.stdout
    assert f"{DECRYPT} {'BROKEN' if code else 'KEPT'}" in ran.stdout
