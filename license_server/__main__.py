"""The process that `LicenseServer` starts: read its settings, serve, end with the parent."""

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
from license_server.process import ProcessSettings
from license_server.rules import ServerRules
from license_server.serving.log import log_to_stderr
from license_server.serving.serve import Settings, serve
from license_server.serving.tls import make_certificate
from license_server.store.audit import AuditMode


def main() -> int:
    """Serve as these settings say; return the exit code."""
    log_to_stderr(logging.INFO)
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=ProcessSettings)
    try:
        return serve(_serve_settings(settings), _announce)
    except DRMError as error:
        sys.stderr.write(error.render() + "\n")
        return error.exit_code


def _serve_settings(settings: ProcessSettings) -> Settings:
    keys = parse_keys_file(settings.keys.encode()) if settings.keys else {}
    if settings.keys_file is not None:
        with Path(settings.keys_file).open("rb") as file:
            keys |= parse_keys_file(file.read(MAX_KEYS_FILE + 1))
    return Settings(
        host=settings.host,
        port=settings.port,
        store=settings.store,
        kek_file=Path(settings.kek_file) if settings.kek_file else None,
        keys=keys,
        policies={KeyId.parse(kid): policy for kid, policy in settings.policies.items()},
        rules=ServerRules(
            devices=DeviceRules(enrolled_only=settings.enrolled_only, freshness=settings.freshness),
            components=Path(settings.components) if settings.components else None,
            tokens=parse_token_keys(settings.tokens.encode()) if settings.tokens else None,
            audience=settings.audience,
            limit=Limit.parse(settings.rate_limit) if settings.rate_limit else None,
            audit=AuditMode(settings.audit),
            has_faults=settings.faults,
            trust_proxy=settings.trust_proxy,
        ),
        parent=settings.parent,
        workers=settings.workers,
        certificate=make_certificate(settings.host) if settings.tls else None,
        is_debug=settings.debug,
    )


def _announce(url: str) -> None:
    sys.stdout.write(f"license server: {url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
