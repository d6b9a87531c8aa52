"""The component repository over HTTP: what a cache and a client are told, and what nobody gets."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from drm.errors import InvalidArgumentError, LicenseServerUnreachableError
from license_server.process import LicenseServer
from license_server.web.updates import updates

IMMUTABLE = "public, max-age=31536000, immutable"
ARCHIVE = "targets/components/0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111/ab12.1.0.0.zip"
HIDDEN = "targets/components/0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111/.ab12.1.0.0.zip.part"
FILES = {
    "metadata/timestamp.json": b'{"of": "one"}',
    "metadata/1.root.json": b'{"root": 1}',
    "metadata/.2.root.json.part": b"HIDDEN",
    "metadata/sub.json/x": b"inside",
    "targets/ab12.revocations.json": b"{}",
    "targets/notes": b"NOTES",
    ARCHIVE: bytes(200_000),
    HIDDEN: b"HIDDEN",
    "settings.json": b"HIDDEN",
}


def write_tree(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def show(shown: Path, tree: Path) -> None:
    """As an authority does: one rename."""
    draft = shown.with_name(".new")
    draft.symlink_to(tree)
    draft.rename(shown)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("authority")
    tree = write_tree(home / "trees" / "1", FILES)
    (home / "key.json").write_bytes(b"HIDDEN")
    (tree / "targets" / "out.json").symlink_to(home / "key.json")
    (tree / "targets" / "away").symlink_to(home)
    show(home / "repository", tree)
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[LicenseServer]:
    with LicenseServer(components=home / "repository") as server:
        yield server


def get(server: LicenseServer, name: str, method: str = "GET", **headers: str) -> requests.Response:
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    return requests.request(method, server.components_url + name, headers=names, timeout=5, allow_redirects=False)


def exchange(server: LicenseServer, request: bytes) -> bytes:
    """Send bytes as they are: HTTP libraries tidy paths before they send them."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        line, _, rest = request.partition(b"\r\n")
        connection.sendall(line + b"\r\nConnection: close\r\n" + rest)
        return b"".join(iter(lambda: connection.recv(65536), b""))


# ------------------------------------------------------------------------------------------------ what is served
@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("metadata/1.root.json", "application/json"),
        ("targets/ab12.revocations.json", "application/json"),
        ("targets/notes", "application/octet-stream"),
        (ARCHIVE, "application/zip"),
    ],
)
def test_what_never_changes_may_be_kept_for_ever(server: LicenseServer, name: str, media_type: str) -> None:
    whole, head = get(server, name), get(server, name, "HEAD")
    assert (whole.status_code, whole.content) == (200, FILES[name])
    assert (head.status_code, head.content) == (200, b"")
    for answer in (whole, head):
        assert answer.headers["Cache-Control"] == IMMUTABLE
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["Content-Length"] == str(len(FILES[name]))
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_timestamp_is_asked_for_each_time_and_sent_once(server: LicenseServer) -> None:
    name = "metadata/timestamp.json"
    first = get(server, name)
    assert (first.status_code, first.content) == (200, FILES[name])
    assert first.headers["Cache-Control"] == "no-cache"
    assert get(server, name, "HEAD").headers["ETag"] == first.headers["ETag"]
    for tag in (first.headers["ETag"], f"W/{first.headers['ETag']}", f'"other", {first.headers["ETag"]}', "*"):
        again = get(server, name, If_None_Match=tag)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["Cache-Control"] == "no-cache"
    assert get(server, name, If_None_Match='"other"').status_code == 200


def test_dates_are_sent_once(server: LicenseServer) -> None:
    """Two of them are joined to one that nobody can read, and a client's hint about a wrong clock is gone."""
    for name in ("metadata/timestamp.json", "metadata/1.root.json", "metadata/2.root.json"):
        request = f"GET /components/{name} HTTP/1.0\r\n\r\n".encode()
        assert exchange(server, request).partition(b"\r\n\r\n")[0].lower().count(b"\r\ndate: ") == 1


@pytest.mark.parametrize(
    "name", ["metadata/2.root.json", "targets/none.zip", "metadata/1.root.json/x", "metadata/sub.json"]
)
def test_what_is_not_there_yet_is_not_kept(server: LicenseServer, name: str) -> None:
    answer = get(server, name)
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["code"] == "not_found"


def test_licenses_are_as_they_were(server: LicenseServer) -> None:
    for answer in (requests.get(f"{server.url}/health", timeout=5), requests.post(server.license_url, timeout=5)):
        assert answer.headers["Cache-Control"] == "no-store"
    assert get(server, "metadata/1.root.json", "POST").status_code == 405
    assert get(server, "metadata/1.root.json", "DELETE").status_code == 405


# ------------------------------------------------------------------------------------------------ what is not
@pytest.mark.parametrize(
    "path",
    [
        "", "metadata", "metadata/", "targets/", "targets/components", ".", "..", "settings.json",
        HIDDEN, "metadata/.2.root.json.part", "metadata/%2e2.root.json.part",
        "targets/out.json", "targets/away/key.json", "../key.json", "targets/../../key.json",
        "metadata/../settings.json", "targets//notes",
        "%2e%2e/key.json", "targets/%2e%2e/%2e%2e/%2e%2e/key.json", "targets%2f..%2f..%2f..%2fkey.json",
        "targets/..%5c..%5ckey.json", "targets//../../key.json", "/{home}/key.json", "{home}/key.json",
        "%2f{home}/key.json", "targets/{home}/key.json", "targets/%2f{home}/key.json", "targets/%00", "targets/a%00b",
        "targets/notes%00.json", "targets/" + "x" * 300, "targets/" + "x/" * 3000, "targets/%ff%fe", "targets/notes/",
        "targets/notes/.", "targets/./notes", "metadata/%c0%ae%c0%ae/settings.json",
    ],
)  # fmt: skip
def test_nothing_else_is_there(server: LicenseServer, home: Path, path: str) -> None:
    path = path.format(home=str(home).lstrip("/"))
    for target in (f"/components/{path}", f"{server.components_url}{path}"):
        answer = exchange(server, f"GET {target} HTTP/1.0\r\n\r\n".encode())
        status = answer.split(b" ", 2)[1]
        assert status == b"404", answer[:200]
        for inside in ("HIDDEN", "NOTES", "1.root.json", "ab12"):
            assert inside.encode() not in answer


# ------------------------------------------------------------------------------------------------ publication
@contextmanager
def shown_in_turn(shown: Path, trees: list[Path]) -> Iterator[None]:
    ending = threading.Event()

    def swap() -> None:
        while not ending.wait(0.001):
            trees.append(trees.pop(0))
            show(shown, trees[0])

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def test_a_publication_is_seen_by_the_next_request_and_never_in_half(tmp_path: Path) -> None:
    shown = tmp_path / "repository"
    bodies = {"one": b"1" * 70_000, "two": b"2" * 7}
    for name, body in bodies.items():
        write_tree(tmp_path / name, {"metadata/timestamp.json": name.encode(), "targets/a/it.zip": body})
    show(shown, tmp_path / "one")
    with LicenseServer(components=shown) as server:
        old = get(server, "metadata/timestamp.json")
        show(shown, tmp_path / "two")
        new = get(server, "metadata/timestamp.json", If_None_Match=old.headers["ETag"])
        assert (old.content, new.content) == (b"one", b"two")
        assert get(server, "targets/a/it.zip").content == bodies["two"]
        with shown_in_turn(shown, [tmp_path / "two", tmp_path / "one"]):
            answers = [get(server, "targets/a/it.zip") for _ in range(150)]
        assert {answer.content for answer in answers} == set(bodies.values())
        assert all(answer.headers["Content-Length"] == str(len(answer.content)) for answer in answers)
        shown.unlink()
        # Ours to mend: told as a 404, it would say that there is no newer root.
        assert get(server, "metadata/2.root.json").status_code == 500


def test_a_folder_where_nothing_is_published_is_refused_at_the_start(tmp_path: Path, home: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="no published components"):
        updates(home)
    with (
        pytest.raises(LicenseServerUnreachableError) as caught,
        LicenseServer(components=tmp_path),
    ):
        pass
    assert "no published components" in caught.value.seen
    assert "Traceback" not in caught.value.seen


def test_a_relative_folder_is_that_of_whoever_gave_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(home)
    starting = LicenseServer(components="repository")
    monkeypatch.chdir(tmp_path)
    with starting as server:
        assert get(server, "targets/notes").content == b"NOTES"


def test_the_command_serves_components_too(home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "player.cli", "serve", "--port", "0", "--store", str(tmp_path / "keys.db")]
    with subprocess.Popen(
        [*command, "--components", str(home / "repository")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("license server: ").strip()
        try:
            assert requests.get(f"{url}/components/targets/notes", timeout=5).content == b"NOTES"
        finally:
            process.terminate()
    wrong = subprocess.run(
        [*command, "--components", str(home)], capture_output=True, text=True, timeout=20, check=False
    )
    assert wrong.returncode == 2
    assert "no published components" in wrong.stderr
    assert "Traceback" not in wrong.stderr
