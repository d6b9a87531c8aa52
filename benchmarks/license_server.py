"""The license server beside what Flask itself can do: on the same server, in turn, with everything switched on.

A worker of the real server answers two things: Flask's smallest view ("hello"), and the view of `/license`, which
verifies a token (remembered), counts against a rate limit, unwraps two of 10,000 keys, counts metrics, queues an audit
row and sets the headers for pages. Server and load have a processor each, where there are two. Then the view is asked
of one worker and of two.

    python -m benchmarks.license_server [--rounds N] [--seconds S]
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask

from benchmarks.license_load import Load, load, request
from benchmarks.results import Ratio
from drm.keyfile.formats import parse_keys_file
from drm.keys import KeyId
from license_server.issuing.rate_limits import Limit
from license_server.issuing.token_keys import parse_token_keys
from license_server.rules import ServerRules
from license_server.serving.serve import Settings, serve

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["main", "run"]

ROUNDS = 7
SECONDS = 1.0  # of each run
KEYS = 10_000
TOKENS: Final = 256
_SERVE: Final = "--serve"
_ORIGIN: Final = "Origin: http://localhost:8101"


def run(rounds: int | None = None, seconds: float | None = None) -> list[Ratio]:
    """Measure, printing a line for each claim; without anything, ROUNDS of SECONDS each."""
    rounds, seconds = rounds or ROUNDS, seconds or SECONDS
    signer = Ed25519PrivateKey.generate()
    kids = [KeyId(secrets.token_bytes(16)) for _ in range(KEYS)]
    asked = {
        "hello": [request("/hello", b"hello")],
        "view": _requests("/license", kids, signer),
    }
    with tempfile.TemporaryDirectory(prefix="clearkey-bench-") as folder:
        place = Path(folder)
        (place / "keys").write_text("".join(f"{kid.hex}:{secrets.token_hex(16)}\n" for kid in kids))
        (place / "tokens").write_text(json.dumps({"keys": [_public(signer)]}))
        with _server(place, workers=1, is_pinned=True) as port, _on_another_processor():
            ratios = _beside_hello(port, asked, rounds, seconds)
        with _server(place, workers=1) as one, _server(place, workers=2) as two:
            ratios.append(_two_workers(one, two, asked["view"], rounds, seconds))
    for ratio in ratios:
        print(ratio.line(), flush=True)
    return ratios


def _beside_hello(port: int, asked: dict[str, list[bytes]], rounds: int, seconds: float) -> list[Ratio]:
    for requests in asked.values():
        load(port, requests, seconds)  # caches fill, tokens are verified
    found: dict[str, list[Load]] = {name: [] for name in asked}
    for _ in range(rounds):
        for name, requests in asked.items():
            found[name].append(load(port, requests, seconds))

    def middle(name: str, what: str, base: str = "hello") -> float:
        return statistics.median(
            float(getattr(ours, what) / getattr(theirs, what))
            for ours, theirs in zip(found[name], found[base], strict=True)
        )

    told = {name: Load(*map(statistics.median, zip(*runs, strict=True))) for name, runs in found.items()}
    detail = ", ".join(
        f"{name} {each.rate:.0f}/s p50 {each.p50:.2f} p99 {each.p99:.2f} ms" for name, each in told.items()
    )
    figures: dict[str, object] = {name: [each._asdict() for each in runs] for name, runs in found.items()}
    return [
        Ratio("license view / Flask hello", middle("view", "rate"), 0.5, "at least", detail, figures),
        Ratio("p99 of the license view / Flask hello", middle("view", "p99"), 2.0, "at most", "", {}),
    ]


def _two_workers(one: int, two: int, requests: list[bytes], rounds: int, seconds: float) -> Ratio:
    for port in (one, two, two):
        load(port, requests, seconds)
    pairs = [(load(one, requests, seconds).rate, load(two, requests, seconds).rate) for _ in range(rounds)]
    ratio = statistics.median(double / single for single, double in pairs)
    return Ratio("license view, two workers / one", ratio, 1.25, "at least", "the load shares their processors", {})


def _requests(path: str, kids: list[KeyId], signer: Ed25519PrivateKey) -> list[bytes]:
    tokens = [_token(signer, number) for number in range(TOKENS)]
    found = []
    for number in range(8 * TOKENS):
        pair = [secrets.choice(kids).base64url for _ in range(2)]
        body = json.dumps({"kids": pair, "type": "temporary"}, separators=(",", ":")).encode()
        found.append(request(path, body, _ORIGIN, f"Authorization: Bearer {tokens[number % TOKENS]}"))
    return found


def _token(signer: Ed25519PrivateKey, number: int) -> str:
    claims = {"exp": time.time() + 3600, "kids": "*", "sub": f"viewer {number}"}
    signed = f"{_b64(json.dumps({'alg': 'EdDSA', 'kid': 'bench'}).encode())}.{_b64(json.dumps(claims).encode())}"
    return f"{signed}.{_b64(signer.sign(signed.encode()))}"


def _public(signer: Ed25519PrivateKey) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "kid": "bench", "x": _b64(signer.public_key().public_bytes_raw())}


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# ------------------------------------------------------------------------------------------------ the server
@contextlib.contextmanager
def _server(place: Path, workers: int, *, is_pinned: bool = False) -> Iterator[int]:
    """Start it, and end it; yields its port."""
    processors = sorted(os.sched_getaffinity(0))
    words = [sys.executable, "-m", "benchmarks.license_server", _SERVE, str(place), str(workers)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        if is_pinned and len(processors) > 1:
            os.sched_setaffinity(process.pid, processors[:1])  # before its workers are forked
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the license server did not start")
        yield int(line.rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def _on_another_processor() -> Iterator[None]:
    processors = os.sched_getaffinity(0)
    if len(processors) > 1:
        os.sched_setaffinity(0, set(sorted(processors)[1:]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, processors)


def _serve(place: Path, workers: int) -> int:
    """The real server, with Flask's smallest view beside it."""
    rules = ServerRules(
        tokens=parse_token_keys((place / "tokens").read_bytes()), limit=Limit(attempts=2000, seconds=10)
    )
    keys = parse_keys_file((place / "keys").read_bytes())
    settings = Settings(port=0, keys=keys, rules=rules, workers=workers, front=_with_hello)
    return serve(settings, lambda url: print(url, flush=True))


def _with_hello(app: WSGIApplication) -> WSGIApplication:
    hello = Flask("hello")
    hello.post("/hello")(lambda: "hello")

    def dispatch(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return (hello if environ["PATH_INFO"] == "/hello" else app)(environ, start_response)

    return dispatch


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; exit 1 when a bar is missed."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == [_SERVE]:
        return _serve(Path(words[1]), int(words[2]))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.license_server", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each turn (default: %(default)s)")
    options = parser.parse_args(words)
    return int(not all(ratio.is_met for ratio in run(options.rounds, options.seconds)))


if __name__ == "__main__":
    sys.exit(main())
