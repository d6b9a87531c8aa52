"""License servers with something wrong in them: programs that are written in a test, each a process of its own."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drm.keys import ContentKey, KeyId

__all__ = ["BODY", "KID", "children", "running"]

KID, KEY = KeyId(bytes.fromhex("000102030405060708090a0b0c0d0e0f")), ContentKey(b"Zq" * 8)
BODY = b'{"kids":["%b"]}' % KID.base64url.encode()

_PROGRAM = """\
import logging, os, resource, signal, sys, threading, time
from drm.keys import ContentKey, KeyId
from license_server.serving.serve import Settings, serve
logging.basicConfig(level=logging.INFO)
def front(app):
    return app
{faulty}
keys = {{KeyId(bytes.fromhex({kid!r})): ContentKey.parse({key!r})}}
sys.exit(serve(Settings(port=0, keys=keys, front=front, workers={workers}), lambda url: print(url, flush=True)))
"""


@contextmanager
def running(faulty: str, log: Path, workers: int = 1) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server with these lines in its program; yield the process, and its URL, or nothing when it did not start.

    They may define `front(app)`, which makes what answers in each worker, and runs in its main thread.
    """
    program = _PROGRAM.format(faulty=textwrap.dedent(faulty), kid=KID.hex, key=KEY.secret.hex(), workers=workers)
    with (
        log.open("w") as err,
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=err, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.terminate()


def children(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
