"""`clearkey serve`: options over the environment, the environment over the file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

PAIR = "000102030405060708090a0b0c0d0e0f:5a715a715a715a715a715a715a715a71\n"


def serve(tmp_path: Path, *options: str, config: str = "", **environment: str) -> subprocess.Popen[str]:
    (tmp_path / "keys").write_text(PAIR)
    (tmp_path / "serve.toml").write_text(config)
    command = [sys.executable, "-m", "player.cli", "serve", "--config", str(tmp_path / "serve.toml"), *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def test_each_place_wins_over_the_one_below(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(PAIR)
    config = (
        f'port = 1\nkeys-file = "{tmp_path / "keys"}"\nfaults = false\naudience = "file"\n'
        'allow-origin = ["http://file.example"]\n'
    )
    process = serve(tmp_path, "--port", "0", config=config, CLEARKEY_SERVE_PORT="x", CLEARKEY_SERVE_FAULTS="1")
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("license server: ").strip()
    body = '{"kids":["AAECAwQFBgcICQoLDA0ODw"]}'
    page = {"Origin": "http://file.example"}
    try:
        answer = requests.post(f"{url}/license?fault=html", data=body, headers=page, timeout=5)
        assert answer.headers["Content-Type"].startswith("text/html")  # from the environment
        assert answer.headers["Access-Control-Allow-Origin"] == "http://file.example"  # from the file
        answer = requests.post(f"{url}/license", data=body, headers={"Origin": "http://other.example"}, timeout=5)
        assert "Access-Control-Allow-Origin" not in answer.headers
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.parametrize(
    ("config", "words"),
    [("prot = 1\n", "no option: prot"), ("port = \n", "not TOML"), ('port = "many"\n', "--port")],
)
def test_a_file_that_says_nonsense_is_refused(tmp_path: Path, config: str, words: str) -> None:
    process = serve(tmp_path, config=config)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 2
    assert words in err
    assert "Traceback" not in err
