"""The device key's file: made once, whole, for its user alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drm.errors import StorageError
from drm.launch.device_key import home_folder, open_device_key


def content(descriptor: int) -> bytes:
    try:
        return os.pread(descriptor, 100, 0)
    finally:
        os.close(descriptor)


def test_it_is_made_once_and_then_opened(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    first = content(open_device_key(home))
    assert len(first) == 32
    assert content(open_device_key(home)) == first
    assert [path.name for path in home.iterdir()] == ["device.key"]
    assert (home / "device.key").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
    assert content(open_device_key(tmp_path / "other")) != first


def test_the_descriptor_cannot_write_and_is_not_inherited(tmp_path: Path) -> None:
    descriptor = open_device_key(tmp_path)
    try:
        assert not os.get_inheritable(descriptor)
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(descriptor, b"x")
    finally:
        os.close(descriptor)


def test_many_processes_at_once_get_one_key(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from drm.launch.device_key import open_device_key\n"
        "sys.stdin.read(); print(os.read(open_device_key(Path(sys.argv[1])), 99).hex())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "home")]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    for process in running:
        assert process.stdin is not None
        process.stdin.close()
    keys = set()
    for process in running:
        assert process.stdout is not None
        keys.add(process.stdout.read())
        process.stdout.close()
        assert process.wait(10) == 0
    assert len(keys) == 1
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["device.key"]


def test_what_is_no_key_of_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    path.write_bytes(bytes(31))
    path.chmod(0o600)
    with pytest.raises(StorageError, match="31 bytes"):
        open_device_key(tmp_path)
    path.write_bytes(bytes(32))
    path.chmod(0o640)
    with pytest.raises(StorageError, match="mode 640") as raised:
        open_device_key(tmp_path)
    assert raised.value.remedy == f"chmod 600 {path}"
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError, match="not a plain file"):
        open_device_key(tmp_path)
    path.rmdir()
    (tmp_path / "elsewhere").write_bytes(bytes(32))
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="cannot be opened"):
        open_device_key(tmp_path)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(StorageError, match="not a plain file"):  # and no wait for a writer
        open_device_key(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    os.close(open_device_key(tmp_path))
    os.chown(tmp_path / "device.key", 12345, 12345)
    with pytest.raises(StorageError, match="belongs to user id 12345"):
        open_device_key(tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        open_device_key(tmp_path / "file" / "home")


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARKEY_HOME", str(tmp_path))
    assert home_folder() == tmp_path
    os.close(open_device_key())
    assert (tmp_path / "device.key").exists()
    monkeypatch.delenv("CLEARKEY_HOME")
    assert home_folder().name == "clearkey"
