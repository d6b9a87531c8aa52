"""What a release carries: the pinned root and generation 0, as an authority published them, whole or not at all."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from drm.app.components.installed import component_folders
from drm.class_ids import BUILT_IN, HASH_SINK
from drm.errors import AuthorityError, InvalidArgumentError
from drm.trust.authority.bundling import write_bundle
from drm.trust.authority.publishing import publish
from drm.trust.authority.revoking import revoke
from drm.trust.authority.rotating import rotate
from drm.trust.errors import ComponentDamagedError
from drm.trust.manifest import PLATFORM_API
from drm.trust.revocations import Reason, Revocation
from drm.trust.verifier import VerifiedTrust, verify_trust

REPOSITORY = Path(__file__).parents[3]
PACKAGES = ("drm", "ita", "license_server", "player", "sample_content")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "verifier.py").write_bytes(b"")
    return tmp_path / "package"


def files(target: Path) -> dict[str, bytes]:
    bundle = target / "bundle"
    return {path.relative_to(bundle).as_posix(): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}


def verified(target: Path) -> VerifiedTrust:
    return verify_trust((target / "root.json").read_bytes(), files(target))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------------------------ what it holds
def test_it_holds_what_a_client_stores_and_every_archive(home, target, component):
    publish(home, [component(), component("1.1.0")])
    bundle = write_bundle(home, target, needed=(), url="https://example.org/components/")
    trust = verified(target)
    assert [entry.version for entry in trust.components] == ["1.0.0", "1.1.0"]
    for entry in trust.components:
        assert entry.component((target / "bundle" / "blobs" / entry.sha256).read_bytes()).manifest.name == "null-sink"
    assert files(target)["url"] == b"https://example.org/components/\n"
    assert (bundle.root, bundle.list_version, bundle.entries) == (1, 1, trust.components)
    assert names(target) == ["bundle", "root.json", "verifier.py"]


def test_archives_of_another_platform_api_stay_out(home, target, component):
    other = component("2.0.0")
    text = (other / "component.toml").read_text().replace("api = 1", f"api = {PLATFORM_API + 1}")
    (other / "component.toml").write_text(text)
    publish(home, [component(), other])
    write_bundle(home, target, needed=())
    kept = {entry.sha256 for entry in verified(target).components if entry.api == PLATFORM_API}
    assert {path.name for path in (target / "bundle/blobs").iterdir()} == kept
    assert len(kept) == 1


def test_any_root_can_be_pinned_and_later_ones_lead_on_from_it(home, target, component):
    publish(home, [component()])
    rotate(home, "root")
    newest = home.trust().versions["root"]
    assert newest > 1
    for root in (None, 1):
        pinned = write_bundle(home, target, needed=(), root=root).root
        assert pinned == (root or newest)
        history = {name for name in files(target) if name.startswith("root_history/")}
        assert history == {f"root_history/{number}.root.json" for number in range(pinned, newest + 1)}
        assert verified(target).versions["root"] == newest
    with pytest.raises(AuthorityError, match="no root 99"):
        write_bundle(home, target, needed=(), root=99)


# ------------------------------------------------------------------------------------------------ what is refused
def test_a_bundle_with_which_nothing_would_play_is_not_written(home, target, component):
    publish(home, [component()])
    with pytest.raises(AuthorityError, match=str(HASH_SINK)):
        write_bundle(home, target, needed=(HASH_SINK,))
    assert names(target) == ["verifier.py"]


def test_what_does_not_verify_is_not_written(home, target, component):
    publish(home, [component()])
    write_bundle(home, target, needed=())
    before = files(target)
    path = next((home.trees.shown / "targets/components").rglob("*.zip"))
    path.unlink()
    path.write_bytes(b"altered")
    with pytest.raises(ComponentDamagedError, match="not the one that was signed"):
        write_bundle(home, target, needed=())
    assert files(target) == before
    assert names(target) == ["bundle", "root.json", "verifier.py"]


@pytest.mark.parametrize("url", ["ftp://example.org/", "example.org", "https://example.org/ü", "https://" + "a" * 3000])
def test_what_is_no_url_is_not_written(home, target, url):
    with pytest.raises(InvalidArgumentError):
        write_bundle(home, target, needed=(), url=url)
    assert names(target) == ["verifier.py"]


# ------------------------------------------------------------------------------------------------ whole or not at all
def test_a_new_bundle_takes_the_place_of_the_former_one(home, target, component):
    publish(home, [component()])
    write_bundle(home, target, needed=(), url="https://example.org/")
    publish(home, [component("1.1.0")])
    revoke(home, Revocation(id="-", reason=Reason.FLAW, sha256=(verified(target).components[0].sha256,)))
    write_bundle(home, target, needed=())
    trust = verified(target)
    assert [entry.version for entry in trust.components] == ["1.1.0"]
    assert trust.revocations.version == 2
    assert set(files(target)) >= {f"blobs/{trust.components[0].sha256}"}
    assert len([name for name in files(target) if name.startswith("blobs/")]) == 1
    assert "url" not in files(target)


KILLED = """
import json, os, shutil, signal, sys
from pathlib import Path
from drm.trust.authority.bundling import write_bundle
from drm.trust.authority.home import AuthorityHome
from drm.trust.verifier import verify_trust

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}
home, former, work = AuthorityHome(Path(sys.argv[1]), str), Path(sys.argv[2]), Path(sys.argv[3])
found = []
while True:
    shutil.copytree(former, work)
    child = os.fork()
    if not child:
        seen = 0
        def hook(event, args):
            global seen
            writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
            if writes or event in CHANGES:
                seen += 1
                if seen > len(found):
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        write_bundle(home, work, needed=())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        break
    if (work / "root.json").exists():
        bundle = work / "bundle"
        files = {str(p.relative_to(bundle)): p.read_bytes() for p in bundle.rglob("*") if p.is_file()}
        trust = verify_trust((work / "root.json").read_bytes(), files)
        assert {f"blobs/{entry.sha256}" for entry in trust.components} == {n for n in files if n.startswith("blobs/")}
        found.append(len(trust.components))
    else:
        found.append(0)
    write_bundle(home, work, needed=())
    assert sorted(p.name for p in work.iterdir()) == ["bundle", "root.json", "verifier.py"]
    shutil.rmtree(work)
print(json.dumps(found))
"""


def test_whoever_is_killed_on_the_way_leaves_a_whole_bundle_or_none(home, target, component, tmp_path):
    """Killed before each change of a file in turn; without root.json a package takes no bundle for its own."""
    publish(home, [component()])
    write_bundle(home, target, needed=())
    publish(home, [component("1.1.0")])
    run = subprocess.run([sys.executable, "-c", KILLED, home.folder, target, tmp_path / "work"], check=True,
                         capture_output=True, text=True, timeout=60)  # fmt: skip
    found = json.loads(run.stdout)
    assert len(found) > 20
    assert [kind for kind, _ in itertools.groupby(found)] == [1, 0, 2]  # the former one, none, the new one


# ------------------------------------------------------------------------------------------------ the wheel
def build(source: Path, folder: Path) -> list[str]:
    """Build a wheel, unpack it into `folder` and return the names of what it holds of a bundle."""
    built = folder.with_name(f"{folder.name}-built")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", built], cwd=source, check=True,
                   capture_output=True)  # fmt: skip
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
        return [name for name in archive.namelist() if name.startswith(("drm/trust/root", "drm/trust/bundle"))]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that a wheel is built from, with the rules of what git passes over."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in filter(None, listing.stdout.split("\0")):
        parts = name.split("/")
        if (len(parts) == 1 or parts[0] in PACKAGES) and (REPOSITORY / name).is_file():
            (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, tmp_path / "checkout" / name)
    return tmp_path / "checkout"


INSTALLED = """
import sys
from drm.app.components import release as packaged
from drm.trust import manifest
from drm.class_ids import BUILT_IN
from drm.trust.resolver import resolve
from drm.trust.verifier import verify_trust
assert manifest.__file__.startswith(sys.argv[1]), manifest.__file__
root, generation = packaged.packaged_root(), packaged.packaged_generation()
if root is None:
    print("none", generation)
else:
    trust, archives = verify_trust(root, generation.files), packaged.packaged_archives()
    for class_id in BUILT_IN:
        resolve(trust, class_id, manifest.PLATFORM_API, archives)
    print(generation.number, *generation.order, packaged.packaged_url())
"""


def installed(folder: Path) -> str:
    run = subprocess.run([sys.executable, "-c", INSTALLED, folder], cwd=folder, check=True, capture_output=True,
                         text=True, env={**os.environ, "PYTHONPATH": str(folder)})  # fmt: skip
    return run.stdout.strip()


def test_a_release_s_wheel_carries_the_bundle_and_an_ordinary_one_does_not(home, checkout, tmp_path):
    assert build(checkout, tmp_path / "ordinary") == []
    assert installed(tmp_path / "ordinary") == "none None"
    publish(home, component_folders(checkout))
    words = [sys.executable, "-m", "player.cli", "authority", "bundle", "drm/trust", "--url", "https://example.org/c/"]
    subprocess.run([*words, "--authority", home.folder], cwd=checkout, check=True, capture_output=True,
                   stdin=subprocess.DEVNULL)  # fmt: skip
    carried = build(checkout, tmp_path / "release")
    assert "drm/trust/root.json" in carried
    assert len([name for name in carried if name.startswith("drm/trust/bundle/blobs/")]) == len(BUILT_IN)
    assert not [name for name in carried if ".part" in name or ".new" in name]
    assert installed(tmp_path / "release") == "0 1 2 https://example.org/c/"


def test_the_wheel_that_is_made_of_a_release_s_sdist_carries_the_bundle_too(home, checkout, tmp_path, http_server):
    """As an index's users and packagers make it; its client updates."""
    publish(home, component_folders(checkout))
    words = [sys.executable, "-m", "player.cli", "authority", "bundle", "drm/trust", "--url", f"{http_server}/"]
    subprocess.run([*words, "--authority", home.folder], cwd=checkout, check=True, capture_output=True,
                   stdin=subprocess.DEVNULL)  # fmt: skip
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path / "sdist"], cwd=checkout,
                   check=True, capture_output=True)  # fmt: skip
    [packed] = (tmp_path / "sdist").glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    [source] = (tmp_path / "unpacked").iterdir()
    assert "drm/trust/root.json" in build(source, tmp_path / "release")
    assert installed(tmp_path / "release") == f"0 1 2 {http_server}/"
    newer = tmp_path / "newer"
    shutil.copytree(checkout / "drm/components/discard_sink", newer)
    description = newer / "component.toml"
    description.write_text(description.read_text().replace('version = "1.0.0"', 'version = "1.0.1"'))
    publish(home, [newer])
    updated = subprocess.run(
        [sys.executable, "-m", "player.cli", "components", "update", "--json"], cwd=tmp_path / "release", check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "release"), "CLEARKEY_HOME": str(tmp_path / "user")},
        capture_output=True,
    )  # fmt: skip
    told = json.loads(updated.stdout)["downloaded"]
    assert [(each["name"], each["version"]) for each in told] == [("discard-sink", "1.0.1")]


def test_what_a_release_makes_is_never_committed():
    """The rules of .gitignore hold for each file of a bundle, wherever git is asked from."""
    made = ["drm/trust/root.json", "drm/trust/bundle/timestamp.json", "drm/trust/bundle/blobs/" + "0" * 64,
            "drm/trust/.bundle.new/url"]  # fmt: skip
    run = subprocess.run(["git", "-c", "safe.directory=*", "check-ignore", *made], cwd=REPOSITORY, check=False,
                         capture_output=True, text=True)  # fmt: skip
    assert run.stdout.split() == made
