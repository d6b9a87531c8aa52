"""Put the parts of one serving process together: store, rules, service, views and the fast path before them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
from license_server.web.fast_path import FastPath

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["Assembly", "assembled"]


@dataclass(frozen=True, slots=True)
class Assembly:
    """The same server twice: `views` is Flask alone, `fast` has the fast path in front."""

    views: WSGIApplication
    fast: WSGIApplication

    def whole(self) -> WSGIApplication:
        """What a worker answers with."""
        return self.fast


@contextmanager
def assembled(store: Store, rules: ServerRules, metrics: Metrics) -> Iterator[Assembly]:
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
    views = create_app(service, Health(store, metrics), rules)
    try:
        yield Assembly(views, FastPath(service, rules.cors, views))
    finally:
        audit.close()
