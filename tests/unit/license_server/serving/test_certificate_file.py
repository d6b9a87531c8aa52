"""The certificate of `serve --tls`: a client trusts the server by its file, and the way to that file is said."""

import signal
from pathlib import Path

import pytest
import requests

from tests.interop.command import Command


@pytest.mark.parametrize("is_saved", [True, False])
def test_a_client_trusts_the_server_by_the_file(tmp_path: Path, is_saved: bool) -> None:
    clearkey, file = Command(tmp_path / "home"), tmp_path / "ca.pem"
    (tmp_path / "keys").write_text("00112233445566778899aabbccddeeff:112233445566778899aabbccddeeff00")
    more = ("--tls-save", file) if is_saved else ()
    process = clearkey.start("serve", "--port", 0, "--tls", "--no-pages", "--keys-file", tmp_path / "keys", *more)
    try:
        url = process.stdout.readline().removeprefix("license server: ").strip()
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{url}/health", timeout=5)
        if is_saved:
            assert requests.get(f"{url}/health", timeout=5, verify=str(file)).status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
    assert "certificate SHA-256: " in said
    assert ("--tls-save" in said) is not is_saved
    assert file.exists() is is_saved


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    ran = Command(tmp_path / "home")("serve", "--port", 0, "--tls", "--tls-save", tmp_path / "nowhere" / "ca.pem")
    assert ran.code == 2
    assert "nowhere" in ran.err
