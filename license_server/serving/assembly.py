"""Put the parts of one serving process together: store, rules, service, views."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from license_server.health import Health
from license_server.issuing.entitlements import Entitlements
from license_server.issuing.faults import Faults
from license_server.issuing.licenses import IssuingContext
from license_server.issuing.rate_limits import RateLimit
from license_server.issuing.service import LicenseService
from license_server.metrics import Metrics
from license_server.rules import ServerRules
from license_server.serving.app import create_app
from license_server.store.audit import Audit
from license_server.store.opening import Store

__all__ = ["assembled"]


@contextmanager
def assembled(store: Store, rules: ServerRules, metrics: Metrics) -> Iterator[Flask]:
    """Make what serves `store`, for the length of a `with` block; at its end the audit log is complete.

    It starts threads: call it in the process that serves. Raises InvalidArgumentError for rules that cannot be kept.
    """
    tokens = rules.tokens
    context = IssuingContext(
        keys=store.licenses,
        devices=store.devices,
        rules=rules.devices,
        entitlements=None if tokens is None else Entitlements(tokens, store.tokens, audience=rules.audience),
        limit=None if rules.limit is None else RateLimit(rules.limit),
    )
    audit = Audit(store.engine, rules.audit, metrics)
    service = LicenseService(context, audit=audit, metrics=metrics, faults=Faults() if rules.has_faults else None)
    try:
        yield create_app(service, Health(store, metrics), rules)
    finally:
        audit.close()
