"""The process that `LicenseServer` starts: read the orders, serve, end with the parent."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import msgspec

from drm.errors import DRMError
from drm.keyfile.formats import MAX_KEYS_FILE, parse_keys_file
from drm.keys import KeyId
from license_server.decisions import DeviceRules
from license_server.issuing.rate_limits import Limit
from license_server.issuing.token_keys import parse_token_keys
from license_server.orders import ProcessSettings
from license_server.rules import ServerRules
from license_server.serving.serve import Settings, serve
from license_server.serving.tls import make_certificate
from license_server.store.audit import AuditMode


def main() -> int:
    """Serve as ordered; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=ProcessSettings)
    try:
        return serve(_settings(orders), _announce)
    except DRMError as error:
        sys.stderr.write(error.render() + "\n")
        return error.exit_code


def _settings(orders: ProcessSettings) -> Settings:
    keys = parse_keys_file(orders.keys.encode()) if orders.keys else {}
    if orders.keys_file is not None:
        with Path(orders.keys_file).open("rb") as file:
            keys |= parse_keys_file(file.read(MAX_KEYS_FILE + 1))
    return Settings(
        host=orders.host,
        port=orders.port,
        store=orders.store,
        kek_file=Path(orders.kek_file) if orders.kek_file else None,
        keys=keys,
        policies={KeyId.parse(kid): policy for kid, policy in orders.policies.items()},
        rules=ServerRules(
            devices=DeviceRules(enrolled_only=orders.enrolled_only, freshness=orders.freshness),
            components=Path(orders.components) if orders.components else None,
            tokens=parse_token_keys(orders.tokens.encode()) if orders.tokens else None,
            audience=orders.audience,
            limit=Limit.parse(orders.rate_limit) if orders.rate_limit else None,
            audit=AuditMode(orders.audit),
            has_faults=orders.faults,
        ),
        parent=orders.parent,
        workers=orders.workers,
        certificate=make_certificate(orders.host) if orders.tls else None,
        is_debug=orders.debug,
    )


def _announce(url: str) -> None:
    sys.stdout.write(f"license server: {url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
