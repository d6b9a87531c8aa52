"""python-tuf's client, our fetcher, a license server's process and an authority's own files: the way of an update."""

from pathlib import Path

from tuf.ngclient import Updater

from drm.app.components.fetcher import ComponentFetcher
from drm.trust.authority.create import create_authority
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.publishing import publish
from license_server.process import LicenseServer

CLASS = "0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111"


def source(folder: Path, version: str) -> Path:
    folder.mkdir()
    (folder / "component.toml").write_text(
        f'name = "null-sink"\nclass_id = "{CLASS}"\nversion = "{version}"\napi = 1\n'
        'entry_point = "drm.components.null_sink.sink:Sink"\n'
    )
    (folder / "sink.py").write_text(f"VERSION = {version!r}\n\n\nclass Sink: ...\n")
    return folder


def updater(folder: Path, server: LicenseServer, fetcher: ComponentFetcher, root: bytes) -> Updater:
    base = server.components_url
    made = Updater(str(folder), f"{base}metadata/", str(folder), f"{base}targets/", fetcher, bootstrap=root)
    made.refresh()
    return made


def test_a_component_is_published_found_and_downloaded(tmp_path: Path) -> None:
    home = AuthorityHome(tmp_path / "authority", lambda _key: "correct horse battery")
    create_authority(home)
    publish(home, [source(tmp_path / "first", "1.0.0")])
    root = (home.trees.shown / "metadata" / "1.root.json").read_bytes()
    client, scratch = tmp_path / "client", tmp_path / "scratch"
    client.mkdir()
    scratch.mkdir()
    with LicenseServer(components=home.trees.shown) as server, ComponentFetcher(scratch) as fetcher:
        fresh = updater(client, server, fetcher, root)
        target = fresh.get_targetinfo(f"components/{CLASS}/1.0.0.zip")
        assert target is not None
        archive = Path(fresh.download_target(target, str(client / "archive"))).read_bytes()
        assert len(archive) == target.length
        assert archive == next((home.trees.shown / "targets/components" / CLASS).iterdir()).read_bytes()

        # Nothing new: the next root, which is not there, and the timestamp.
        before = fetcher.requests
        again = updater(client, server, fetcher, root)
        assert again.get_targetinfo(f"components/{CLASS}/1.0.0.zip") is not None
        assert fetcher.requests - before == 2

        publish(home, [source(tmp_path / "second", "1.0.1")])
        newer = updater(client, server, fetcher, root)
        target = newer.get_targetinfo(f"components/{CLASS}/1.0.1.zip")
        assert target is not None
        assert Path(newer.download_target(target, str(client / "archive"))).read_bytes() != archive
    assert not list(scratch.iterdir())
