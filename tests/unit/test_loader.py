"""Components run from verified bytes, and from nothing else; each way to be refused has its own error."""

import importlib
import subprocess
import sys
import threading
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from drm import errors, loader
from drm.app.components.installed import collect_components, pack_components
from drm.loader import Loader
from drm.trust.archive import MAX_BUNDLE, Component, pack, unpack
from drm.trust.manifest import ComponentDescription, ComponentManifest, parse_description, parse_manifest

FOLDER = "drm/components/sample_part/"
PACKAGE = "drm.components.sample_part"
CLASS_ID = UUID("11111111-2222-3333-4444-555555555555")
FILES = {
    f"{FOLDER}__init__.py": b'"""A part."""\n',
    f"{FOLDER}part.py": b"from drm.components.sample_part.inner import VALUE\nclass Part:\n    value = VALUE\n",
    f"{FOLDER}inner.py": b"VALUE = 'verified'\n",
}


@pytest.fixture(autouse=True)
def own_finder(monkeypatch: pytest.MonkeyPatch):
    """A finder of this test's own, and the import system as it was when it ends."""
    meta_path, modules = list(sys.meta_path), dict(sys.modules)
    monkeypatch.setattr(loader, "_finder", loader._Finder())
    sys.meta_path[:] = [finder for finder in meta_path if not isinstance(finder, loader._Finder)]
    yield
    sys.meta_path[:] = meta_path
    for name in [name for name in sys.modules if loader._is_owned(name)]:
        del sys.modules[name]
    sys.modules.update({name: module for name, module in modules.items() if loader._is_owned(name)})


def described(**changes: object) -> ComponentDescription:
    fields = {"name": "sample-part", "class_id": CLASS_ID, "version": "1.0.0", "api": 1, "requires": ("drm",)}
    return ComponentDescription(**(fields | {"entry_point": f"{PACKAGE}.part:Part"} | changes))


def component(files: dict[str, bytes] = FILES, **changes: object) -> Component:
    return Component.of(described(**changes), files)


def repacked(manifest: ComponentManifest, members: list[tuple[str, bytes]]) -> bytes:
    """A bundle as an attacker packs it: nothing is checked."""
    return msgspec.msgpack.encode(["components-1", [[manifest.encode(), members]]])


def test_a_component_is_made_from_its_bytes_under_their_real_path() -> None:
    made = Loader([component()]).create(CLASS_ID)
    assert made.value == "verified"
    module = sys.modules[f"{PACKAGE}.part"]
    assert not hasattr(module, "__file__")
    assert module.__spec__.origin == f"{FOLDER}part.py"
    assert type(made).__module__ == f"{PACKAGE}.part"


def test_a_traceback_names_the_real_path_and_shows_the_verified_line() -> None:
    import traceback

    files = FILES | {f"{FOLDER}part.py": b"class Part:\n    def __init__(self):\n        raise KeyError('why')\n"}
    with pytest.raises(KeyError) as failed:
        Loader([component(files)]).create(CLASS_ID)
    frame = traceback.extract_tb(failed.tb)[-1]
    assert (frame.filename, frame.line) == (f"{FOLDER}part.py", "raise KeyError('why')")


def test_a_bundle_is_the_same_bytes_for_the_same_components_and_comes_back_whole() -> None:
    others = {path.replace("sample_part", "other_part"): b"" for path in FILES}
    other = component(
        others, name="other-part", class_id=UUID(int=7), entry_point="drm.components.other_part.part:Part"
    )
    assert pack([component(), other]) == pack([other, component()])
    back = unpack(pack([other, component()]))
    assert [c.manifest for c in back] == [other.manifest, component().manifest]
    assert back[1].files == FILES


def test_an_altered_file_is_refused() -> None:
    members = [(path, data.replace(b"verified", b"altered!")) for path, data in FILES.items()]
    with pytest.raises(errors.AlteredFileError, match=r"inner\.py"):
        Loader.from_bundle(repacked(component().manifest, members))


def test_an_unlisted_file_is_refused() -> None:
    members = [*FILES.items(), (f"{FOLDER}extra.py", b"")]
    with pytest.raises(errors.UnlistedFileError, match=r"extra\.py"):
        Loader.from_bundle(repacked(component().manifest, members))


def test_a_file_that_is_listed_and_missing_is_refused() -> None:
    members = list(FILES.items())[:-1]
    with pytest.raises(errors.TrustError, match=r"lacks .*inner\.py"):
        Loader.from_bundle(repacked(component().manifest, members))


def test_the_same_member_twice_is_refused() -> None:
    members = [*FILES.items(), (f"{FOLDER}inner.py", FILES[f"{FOLDER}inner.py"])]
    with pytest.raises(errors.DuplicateFileError, match="twice"):
        Loader.from_bundle(repacked(component().manifest, members))


@pytest.mark.parametrize(
    "path", ["json.py", "drm/keys.py", "drm/__init__.py", "drm/lockdown/libc.py", "os/__init__.py"]
)
def test_a_component_cannot_shadow_the_platform_or_the_standard_library(path: str) -> None:
    with pytest.raises(errors.ShadowingError):
        component(FILES | {path: b""})
    with pytest.raises(errors.ShadowingError):
        parse_manifest(component().manifest.encode().replace(f"{FOLDER}inner.py".encode(), path.encode()))


@pytest.mark.parametrize(
    "path",
    [
        "ita/authority.py",
        "drm/components/other/part.py",
        "drm/components/__init__.py",
        "drm/components/sample_part2/part.py",
        f"{FOLDER}../other/part.py",
        f"{FOLDER}part.so",
        f"/{FOLDER}part.py",
        f"{FOLDER}",
        "",
    ],
)
def test_a_file_outside_its_own_folder_is_refused(path: str) -> None:
    with pytest.raises(errors.WrongNamespaceError):
        component(FILES | {path: b""})


def test_an_unknown_class_id_is_refused() -> None:
    with pytest.raises(errors.UnknownComponentError, match="00000000-0000-0000-0000-000000000009"):
        Loader([component()]).create(UUID(int=9))


def test_two_components_of_one_name_or_class_id_are_refused() -> None:
    others = {path.replace("sample_part", "other_part"): data for path, data in FILES.items()}
    for changes in ({"name": "other-part"}, {"class_id": UUID(int=7)}):
        other = component(others, **changes, entry_point="drm.components.other_part.part:Part")
        with pytest.raises(errors.DuplicateFileError):
            Loader([component(), other])


def test_the_copy_on_disk_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one found on sys.path first, nor one that was imported before, nor one that is not listed."""
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    for name in ("__init__.py", "part.py", "inner.py", "unlisted.py"):
        (folder / name).write_text("VALUE = 'from disk'\nclass Part:\n    value = VALUE\n")
    monkeypatch.syspath_prepend(tmp_path)
    # By name and not as an attribute of `drm`, which may still be what another test's loader made.
    components = importlib.import_module("drm.components")
    monkeypatch.setattr(components, "__path__", [str(tmp_path / "drm" / "components")])

    on_disk = importlib.import_module(f"{PACKAGE}.part")
    assert on_disk.Part.value == "from disk", "the control must find the copy on disk, or nothing is proved"

    assert Loader([component()]).create(CLASS_ID).value == "verified"
    with pytest.raises(errors.UnlistedFileError):
        importlib.import_module(f"{PACKAGE}.unlisted")
    with pytest.raises(errors.UnlistedFileError):
        importlib.import_module("drm.components.nobodys")
    with pytest.raises(errors.UnlistedFileError):
        importlib.import_module("ita")


def test_the_finder_takes_its_place_back() -> None:
    made = Loader([component()])
    sys.meta_path.append(sys.meta_path.pop(0))
    assert made.create(CLASS_ID).value == "verified"
    assert isinstance(sys.meta_path[0], loader._Finder)


def test_other_files_of_a_loaded_component_need_a_new_process() -> None:
    Loader([component()]).create(CLASS_ID)
    Loader([component()]).create(CLASS_ID)  # the same files are no matter
    changed = FILES | {f"{FOLDER}inner.py": b"VALUE = 'newer'\n"}
    with pytest.raises(errors.RestartRequiredError):
        Loader([component(changed, version="1.0.1")])
    assert Loader([component()]).create(CLASS_ID).value == "verified"


def test_what_was_never_loaded_may_be_replaced() -> None:
    Loader([component()])
    changed = FILES | {f"{FOLDER}inner.py": b"VALUE = 'newer'\n"}
    assert Loader([component(changed, version="1.0.1")]).create(CLASS_ID).value == "newer"


def test_a_component_that_fails_to_import_can_be_tried_again() -> None:
    files = FILES | {f"{FOLDER}part.py": b"import drm.not_there\n"}
    made = Loader([component(files)])
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError):
            made.create(CLASS_ID)


def test_an_entry_point_that_is_no_class_is_refused() -> None:
    with pytest.raises(errors.TrustError, match="not a class"):
        Loader([component(entry_point=f"{PACKAGE}.inner:VALUE")]).create(CLASS_ID)


def test_many_threads_get_one_module() -> None:
    slow = FILES | {f"{FOLDER}inner.py": b"import time\ntime.sleep(0.05)\nVALUE = object()\n"}
    made = Loader([component(slow)])
    values: list[object] = []
    threads = [threading.Thread(target=lambda: values.append(made.create(CLASS_ID).value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(values) == 8
    assert len(set(map(id, values))) == 1


SEALED = """
import sys
from drm import errors, loader
from drm.trust.archive import unpack
bundle = sys.stdin.buffer.read()
loader.seal(["drm"])
for attempt in (lambda: loader.Loader.from_bundle(bundle).create(unpack(bundle)[0].manifest.class_id).value,
                lambda: __import__("wave"), lambda: __import__("_bisect"), lambda: __import__("xxsubtype")):
    try:
        print(attempt())
    except Exception as error:
        print(type(error).__name__)
"""


def test_a_sealed_process_imports_verified_components_alone() -> None:
    run = subprocess.run([sys.executable, "-c", SEALED], input=pack([component()]), capture_output=True, check=True)
    assert run.stdout.decode().split() == ["verified", *["ModuleNotFoundError"] * 3]


def test_a_sealed_process_checks_what_a_component_requires() -> None:
    bundle = pack([component(requires=("drm", "numpy"))])
    run = subprocess.run([sys.executable, "-c", SEALED], input=bundle, capture_output=True, check=True)
    assert run.stdout.decode().split()[0] == "TrustError"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode(["components-1", []])[:-1],
        msgspec.msgpack.encode(["components-2", []]),
        msgspec.msgpack.encode(["components-1", [], 1]),
        msgspec.msgpack.encode(["components-1", [[b"{}", []]]]),
        msgspec.msgpack.encode(["components-1", [[b"\xff", []]]]),
        msgspec.msgpack.encode(["components-1", [[component().manifest.encode(), []]] * 65]),
        b"\x91" * 100_000,
        b"\x92\xacbundle\xdd\xff\xff\xff\xff",
    ],
    ids=range(10),
)
def test_a_bundle_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(errors.TrustError):
        unpack(data)


def test_a_bundle_beyond_its_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(errors.TrustError, match="more than"):
        unpack(bytes(MAX_BUNDLE + 1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", '"Sample Part"'),
        ("version", '"1"'),
        ("version", '"1.0rc1"'),
        ("class_id", '"not-a-uuid"'),
        ("api", '"1"'),
        ("entry_point", '"os:system"'),
        ("entry_point", '"drm.lockdown.lockdown:Lockdown"'),
        ("entry_point", '"drm.components:Part"'),
        ("surprise", "1"),
    ],
)
def test_a_description_that_is_off_is_refused_by_name(field: str, value: str) -> None:
    good = {
        "name": '"sample-part"',
        "class_id": f'"{CLASS_ID}"',
        "version": '"1.0.0"',
        "api": "1",
        "entry_point": f'"{PACKAGE}.part:Part"',
    }
    text = "\n".join(f"{name} = {text}" for name, text in good.items())
    assert parse_description(text.encode(), "here").module == f"{PACKAGE}.part"
    spoilt = "\n".join(f"{name} = {text}" for name, text in (good | {field: value}).items())
    with pytest.raises(errors.TrustError) as refused:
        parse_description(spoilt.encode(), "here")
    assert refused.value.where == "here"


def test_a_name_has_64_letters_at_most() -> None:
    """As many as metadata may say of it: a description that takes fewer, or more, could not be listed or read."""
    assert described(name="a" * 64).name == "a" * 64
    with pytest.raises(ValueError, match="lower-case words"):
        described(name="a" * 65)


def test_the_installed_components_are_collected_once_and_alike() -> None:
    assert pack_components() == pack_components()
    assert {"clearkey-ita", "av-decoder"} <= {c.manifest.name for c in collect_components()}


def test_a_link_in_a_component_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    (folder / "component.toml").write_text("")
    (folder / "part.py").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic link"):
        collect_components(tmp_path)
