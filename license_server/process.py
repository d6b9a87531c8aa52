"""A license server in a process of its own, for the length of a `with` block: for tests, demos and programs."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final, Self

import msgspec

from drm.errors import InvalidArgumentError, LicenseServerUnreachableError
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_jwk_set
from drm.rights.policy import Policy

__all__ = ["LicenseServer", "ProcessSettings"]

# This very package, wherever it lies, but behind the standard library; and nothing from the current folder.
_START_CODE: Final = (
    "import runpy, sys; sys.path.append(sys.argv.pop()); runpy.run_module('license_server', run_name='__main__')"
)
_START: Final = 20.0  # seconds until the server must have said where it is
_STOP: Final = 5.0  # seconds until it is killed


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the process is told that `LicenseServer` starts: JSON through a pipe, so keys are in no argument or file.

    `keys` is the text of a keys file, or empty; `policies` go by KID in hex.
    """

    host: str
    port: int
    keys: str
    keys_file: str | None
    store: str | None
    kek_file: str | None
    policies: dict[str, Policy]
    enrolled_only: bool
    freshness: float
    components: str | None
    workers: int
    tokens: str  # the text of a JWK Set of verifying keys, or empty
    audience: str | None
    rate_limit: str | None
    audit: str
    faults: bool
    debug: bool
    tls: bool
    trust_proxy: bool
    parent: int


class LicenseServer:
    """A running license server. `url` is its base, `license_url` the endpoint.

    Keys given as `keys` travel through a pipe: they are in no argument, environment or file. With `keys_file` this
    process does not read them at all. Without `store` the store is temporary. `components` is a published component
    repository, which is served too. The rest are the options of `clearkey serve`: `tokens` is the text of a JWK Set,
    `rate_limit` is ATTEMPTS/SECONDS, and `tls` shows a certificate that is made for this run.
    """

    def __init__(
        self,
        *,
        keys: Mapping[KeyId, ContentKey] | None = None,
        keys_file: Path | str | None = None,
        store: Path | str | None = None,
        kek_file: Path | str | None = None,
        policies: Mapping[KeyId, Policy] | None = None,
        enrolled_only: bool = False,
        freshness: float = 300.0,
        components: Path | str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        workers: int = 1,
        tokens: str = "",
        audience: str | None = None,
        rate_limit: str | None = None,
        audit: str = "queued",
        faults: bool = False,
        debug: bool = False,
        tls: bool = False,
        trust_proxy: bool = False,
    ) -> None:
        if not (keys or keys_file or store or components):
            raise InvalidArgumentError("a license server needs keys, a keys file, a store or components")
        self._settings = ProcessSettings(
            host=host,
            port=port,
            keys=encode_jwk_set(keys).decode() if keys else "",
            keys_file=str(Path(keys_file).absolute()) if keys_file else None,
            store=_place(store),
            kek_file=str(Path(kek_file).absolute()) if kek_file else None,
            policies={kid.hex: policy for kid, policy in (policies or {}).items()},
            enrolled_only=enrolled_only,
            freshness=freshness,
            components=str(Path(components).absolute()) if components else None,
            workers=workers,
            tokens=tokens,
            audience=audience,
            rate_limit=rate_limit,
            audit=audit,
            faults=faults,
            debug=debug,
            tls=tls,
            trust_proxy=trust_proxy,
            parent=os.getpid(),
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self.url = ""

    @property
    def license_url(self) -> str:
        """Where license requests are POSTed."""
        return f"{self.url}/license"

    @property
    def components_url(self) -> str:
        """The base of the component repository: `metadata/` and `targets/` are below it. It ends with a slash."""
        return f"{self.url}/components/"

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        """Start it. Raises LicenseServerUnreachableError when it does not come up."""
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603 - our own module, by this very interpreter
            [sys.executable, "-P", "-c", _START_CODE, str(Path(__file__).resolve().parent.parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # an interrupt at the terminal is for us: we end it
        )
        try:
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(msgspec.json.encode(self._settings))
                self._process.stdin.close()
            except BrokenPipeError:
                pass  # it died at once; its log says why
            self.url = self._announced()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop it."""
        self.stop()

    def stop(self) -> int | None:
        """End the server and return its exit code; nothing happens if it has ended."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        try:
            code = process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        for stream in (process.stdin, process.stdout, self._log):
            if stream is not None:
                stream.close()
        return code

    def log(self) -> str:
        """Return what the running server has written to its log so far."""
        assert self._log is not None
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def _announced(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line, ends = b"", time.monotonic() + _START
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, ends - time.monotonic())):
                    raise LicenseServerUnreachableError(f"the license server did not start within {_START:g} seconds")
                chunk = os.read(self._process.stdout.fileno(), 4096)
                if not chunk:
                    raise LicenseServerUnreachableError(
                        "the license server did not start", seen=self.log().strip()[-2000:]
                    )
                line += chunk
        return line.decode().removeprefix("license server: ").strip()


def _place(store: Path | str | None) -> str | None:
    if not store:
        return None
    if isinstance(store, str):
        from license_server.store.engines import is_url  # noqa: PLC0415 - loads the database's library

        if is_url(store):
            return store
    return str(Path(store).absolute())
