"""A repository of components made with python-tuf alone, of which every number, key and byte can be wrong.

Nothing of our publisher takes part: what a client makes of a repository is tried against the format, not against us.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

__all__ = ["ALL", "ENDLESS", "Repository", "serving"]

ALL = ("root", "targets", "components", "revocations", "snapshot", "timestamp")
ENDLESS = b"endless"  # in the place of a file: the server sends for ever
_DELEGATED = {"components": "components/*/*", "revocations": "revocations.json"}
_EXPIRY = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)


@dataclass
class _Role:
    signed: Signed
    signers: list[CryptoSigner]


class Repository:
    """What it serves is in `files`, by path; tests change what they like before and after `publish`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.roles: dict[str, _Role] = {
            "root": _Role(Root(expires=_EXPIRY, consistent_snapshot=True), []),
            "targets": _Role(Targets(expires=_EXPIRY), []),
            "components": _Role(Targets(expires=_EXPIRY), []),
            "revocations": _Role(Targets(expires=_EXPIRY), []),
            "snapshot": _Role(Snapshot(expires=_EXPIRY, meta={}), []),
            "timestamp": _Role(Timestamp(expires=_EXPIRY), []),
        }
        for role in self.roles.values():
            role.signed.version = 0
        delegated = {
            name: DelegatedRole(name, [], 1, terminating=True, paths=[path]) for name, path in _DELEGATED.items()
        }
        self.targets.delegations = Delegations({}, delegated)
        for role in ALL:
            self.add_key(role)
        self.set_list(1)
        self.publish(*ALL)
        self.pin = self.files["metadata/1.root.json"]

    # ------------------------------------------------------------------------------------------------ what is in it
    @property
    def root(self) -> Root:
        signed = self.roles["root"].signed
        assert isinstance(signed, Root)
        return signed

    @property
    def targets(self) -> Targets:
        signed = self.roles["targets"].signed
        assert isinstance(signed, Targets)
        return signed

    @property
    def snapshot(self) -> Snapshot:
        signed = self.roles["snapshot"].signed
        assert isinstance(signed, Snapshot)
        return signed

    @property
    def timestamp(self) -> Timestamp:
        signed = self.roles["timestamp"].signed
        assert isinstance(signed, Timestamp)
        return signed

    def delegator(self, role: str) -> Root | Targets:
        """Who says which keys a role has."""
        return self.targets if role in _DELEGATED else self.root

    def threshold(self, role: str, value: int) -> None:
        """Change how many keys must sign for a role."""
        self.delegator(role).get_delegated_role(role).threshold = value

    def add_key(self, role: str, signer: CryptoSigner | None = None) -> CryptoSigner:
        """Give a role one more key, which signs for it from now on."""
        signer = signer or CryptoSigner.generate_ed25519()
        self.delegator(role).add_key(signer.public_key, role)
        self.roles[role].signers.append(signer)
        return signer

    def rotate(self, role: str) -> None:
        """Exchange all keys of a role for one new one."""
        for key_id in list(self.delegator(role).get_delegated_role(role).keyids):
            self.delegator(role).revoke_key(key_id, role)
        self.roles[role].signers.clear()
        self.add_key(role)

    def set_list(self, number: int) -> None:
        """Make the revocation list an empty one of this number."""
        issued = datetime.now(UTC).replace(microsecond=0).isoformat()
        data = json.dumps({"format": 1, "version": number, "issued": issued, "entries": []}).encode()
        target = TargetFile.from_data("revocations.json", data, ["sha256"])
        signed = self.roles["revocations"].signed
        assert isinstance(signed, Targets)
        signed.targets = {"revocations.json": target}
        self.files[f"targets/{target.get_prefixed_paths()[0]}"] = data

    # --------------------------------------------------------------------------------------------------- publishing
    def publish(self, *roles: str, twist: Callable[[str, Signed], None] | None = None) -> None:
        """Sign the next version of these roles, each before what names it; `twist` changes it just before."""
        for role in sorted(roles, key=ALL.index):
            held = self.roles[role]
            held.signed.version += 1
            url_version = held.signed.version
            if twist is not None:
                twist(role, held.signed)
            metadata: Metadata[Signed] = Metadata(held.signed)
            for signer in held.signers:
                metadata.sign(signer, append=True)
            data = metadata.to_bytes()
            name = "timestamp.json" if role == "timestamp" else f"{url_version}.{role}.json"
            self.files[f"metadata/{name}"] = data
            named = MetaFile.from_data(url_version, data, ["sha256"])
            if role == "snapshot":
                self.timestamp.snapshot_meta = named
            elif role not in ("root", "timestamp"):
                self.snapshot.meta[f"{role}.json"] = named

    def update(self, *, number: int) -> None:
        """Publish a new list, and all that carries it."""
        self.set_list(number)
        self.publish("revocations", "snapshot", "timestamp")

    def set_expiry(self, role: str, days: float) -> None:
        self.roles[role].signed.expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)

    def rewrite(self, name: str, change: Callable[[dict[str, object]], None]) -> None:
        """Change a published metadata file as JSON, signatures and all."""
        document = json.loads(self.files[f"metadata/{name}"])
        change(document)
        self.files[f"metadata/{name}"] = json.dumps(document).encode()


@contextmanager
def serving(repository: Repository) -> Iterator[str]:
    """Serve it and give its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            repository.asked[path] += 1
            data = repository.files.get(path)
            if data is None:
                self.send_error(404)
                return
            self.send_response(200)
            if data != ENDLESS:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            try:
                for piece in itertools.repeat(bytes(1 << 16)) if data == ENDLESS else (data,):
                    self.wfile.write(piece)
            except OSError:
                pass  # the client has had enough

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
