"""How the server is, for people, balancers and Prometheus: `/health`, `/ready`, `/metrics`. Nothing here is secret."""

from __future__ import annotations

import logging
from typing import Final

from flask import Blueprint, Response
from sqlalchemy.exc import SQLAlchemyError

from drm.errors import DRMError
from license_server.metrics import MEDIA_TYPE, Metrics, exposition
from license_server.store.opening import Store

__all__ = ["Health", "health"]

logger = logging.getLogger(__name__)

_READY: Final = "ready"


class Health:
    """What a worker knows of its state. Ready means: the database answers, and the KEK opened a key of it."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self.store = store
        self.metrics = metrics
        self._is_opened = False

    def ready(self) -> str:
        """Return "ready", or what is amiss."""
        try:
            if not self._is_opened:
                self._is_opened = self.store.keys.open_one()
                return _READY if self._is_opened else "the store holds no key yet"
            self.store.epoch.read()
        except (DRMError, SQLAlchemyError) as error:
            logger.error("not ready: %s", error.what if isinstance(error, DRMError) else type(error).__name__)  # noqa: TRY400
            return "no key can be read from the store; the log says why"
        return _READY


def health(state: Health) -> Blueprint:
    """Return what serves the three."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/health")
    def alive() -> dict[str, object]:
        return {"status": "ok", "keys": state.store.keys.count()}

    @blueprint.get("/ready")
    def ready() -> tuple[dict[str, object], int]:
        readiness = state.ready()
        return {"status": readiness}, 200 if readiness == _READY else 503

    @blueprint.get("/metrics")
    def metrics() -> Response:
        return Response(exposition(state.metrics), content_type=MEDIA_TYPE)

    return blueprint
