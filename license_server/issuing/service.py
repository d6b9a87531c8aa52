"""One request, from the bytes to the answer: decided, spoilt if a fault was asked for, counted, and written down.

Both faces of the server, the Flask view and the plain WSGI callable, ask here; neither adds anything of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from drm.errors import DRMError
from drm.license.clearkey import MAX_MESSAGE
from license_server.decisions import Decision, KeyRequest
from license_server.issuing.faults import Faults
from license_server.issuing.licenses import IssuingContext, issue, issue_raw
from license_server.issuing.registration import register
from license_server.metrics import Metrics
from license_server.problems import PROBLEM_TYPE, ProblemError
from license_server.store.audit import Audit

__all__ = ["LicenseService", "problem_decision"]

logger = logging.getLogger(__name__)

_FAILED: Final = ProblemError(500, "server_error", "the server could not answer; its log says why")
_TOO_LARGE: Final = ProblemError(413, "request_too_large", f"at most {MAX_MESSAGE} bytes")


class LicenseService:
    """Answers requests for keys. Safe for several threads; it never raises."""

    def __init__(
        self,
        context: IssuingContext,
        *,
        audit: Audit | None = None,
        metrics: Metrics | None = None,
        faults: Faults | None = None,
    ) -> None:
        self._context = context
        self._audit = audit
        self._metrics = metrics
        self._faults = faults

    def license(self, ask: KeyRequest) -> Decision:
        """POST /license. A body that is longer than what is read by one byte or more is too large."""
        return self.answer("license", ask, lambda now: issue(_whole(ask), self._context, now))

    def hls_key(self, kid: str, ask: KeyRequest) -> Decision:
        """GET /hls/key/KID."""
        return self.answer("hls_key", ask, lambda now: issue_raw(kid, ask, self._context, now))

    def register(self, ask: KeyRequest) -> Decision:
        """POST /individualize."""
        context = self._context
        return self.answer("individualize", ask, lambda now: register(_whole(ask), context.devices, context.rules, now))

    def answer(self, action: str, ask: KeyRequest, decide: Callable[[float], Decision]) -> Decision:
        """Answer with what `decide` decides at this moment, and count and write it down as `action`."""
        began, now = time.perf_counter(), time.time()
        try:
            try:
                decision = decide(now)
            except ProblemError as problem:
                decision = problem_decision(problem)
            if self._faults is not None:
                decision = self._faults.spoil(ask.query, decision)
            if self._audit is not None:
                self._audit.record(action, ask.client, decision, now, time.perf_counter() - began)
        except Exception as error:  # noqa: BLE001 - a fault of ours is an answer like any other, and is logged
            decision = _failed(error)
        if self._metrics is not None:
            self._metrics.count(action, decision.code, time.perf_counter() - began)
        if logger.isEnabledFor(logging.INFO):
            _log(decision)
        return decision


def problem_decision(problem: ProblemError) -> Decision:
    """Return a refusal of which nothing more is known."""
    return Decision(problem.status, PROBLEM_TYPE, problem.body(), problem.code, headers=problem.headers)


def _whole(ask: KeyRequest) -> KeyRequest:
    if len(ask.body) > MAX_MESSAGE:
        raise _TOO_LARGE
    return ask


def _failed(error: Exception) -> Decision:
    # Our own errors say in words what is wrong, and hold no secret; of others, the place is logged and not the words.
    if isinstance(error, DRMError):
        logger.error("%s", error.render())
    else:
        logger.error("unexpected %s at %s", type(error).__name__, _place(error))
    return problem_decision(_FAILED)


def _place(error: Exception) -> str:
    frame, places = error.__traceback__, []
    while frame is not None:
        places.append(f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}")
        frame = frame.tb_next
    return " > ".join(places[-6:])


def _log(decision: Decision) -> None:
    logger.info(
        "%s %s%s%s%s",
        decision.status,
        decision.code,
        "".join(f" kid={kid}" for kid in decision.kids),
        f" device={decision.device_id}" if decision.device_id else "",
        f" level={decision.level}" if decision.level else "",
    )
