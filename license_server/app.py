"""The Flask application: HTTP and nothing else. Views parse, ask and answer."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flask import Flask, Response, request, url_for
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from drm.clearkey import MAX_MESSAGE
from drm.errors import DRMError
from license_server.cors import Cors
from license_server.licenses import Decision, DeviceRules, issue, register
from license_server.problems import PROBLEM_TYPE, ProblemError
from license_server.store import Store
from license_server.updates import updates

__all__ = ["ServerRules", "create_app"]

logger = logging.getLogger(__name__)

_CODES: Final[dict[type[HTTPException], str]] = {
    MethodNotAllowed: "method_not_allowed",
    NotFound: "not_found",
    RequestEntityTooLarge: "request_too_large",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRules:
    """How a server is set up, beside what its store holds."""

    devices: DeviceRules = field(default_factory=DeviceRules)
    cors: Cors = field(default_factory=Cors)
    components: Path | None = None  # a published component repository to serve too


def create_app(store: Store, rules: ServerRules | None = None) -> Flask:
    """Make the application that serves `store`.

    Raises:
        InvalidArgumentError: nothing is published where `rules` say that components are.
    """
    rules = rules or ServerRules()
    app = Flask("license_server", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_MESSAGE + 1  # one more, so that a cut body is told from a whole one
    rules.cors.install(app)
    app.after_request(_no_store)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(Exception, _failure)
    if rules.components is not None:
        app.register_blueprint(updates(rules.components))

    @app.post("/license")
    def license_() -> Response:
        # The raw body, whatever its media type says: most players send none (EME names none).
        return _answer(issue(_body(), store.keys, store.devices, rules.devices, time.time()))

    @app.post("/individualize")
    def individualize() -> Response:
        return _answer(register(_body(), store.devices, rules.devices, time.time()))

    @app.get("/health")
    def health() -> dict[str, object]:
        return {"status": "ok", "keys": store.keys.count()}

    @app.get("/")
    def home() -> Response:
        where = url_for("license_", _external=True)
        return Response(
            f"This is a Clear Key license server.\n\nPOST license requests to {where}\n"
            'They look like this: {"kids": ["<base64url key id>"], "type": "temporary"}\n',
            mimetype="text/plain",
        )

    return app


def _body() -> bytes:
    # Of a body without a length, Flask gives what fits, and says nothing of the rest.
    body = request.get_data(cache=False)
    if len(body) > MAX_MESSAGE:
        raise RequestEntityTooLarge
    return body


def _answer(decision: Decision) -> Response:
    logger.info(
        "%s %s%s%s%s",
        decision.status,
        decision.code,
        "".join(f" kid={kid}" for kid in decision.kids),
        f" device={decision.device_id}" if decision.device_id else "",
        f" level={decision.level}" if decision.level else "",
    )
    return Response(decision.body, decision.status, content_type=decision.media_type)


def _no_store(response: Response) -> Response:
    # RFC 9111 5.2.2.5: keys are no thing to keep, nor is a refusal. Only components say otherwise of themselves.
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _http_problem(error: HTTPException) -> Response:
    """Turn what Flask refuses into a problem document; its headers, as Allow, stay."""
    response = Response(content_type=PROBLEM_TYPE)
    plain = error.get_response()
    status = plain.status_code
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "request_malformed")
    detail = f"at most {MAX_MESSAGE} bytes" if code == "request_too_large" else (error.description or "")
    response.status_code = status
    response.data = ProblemError(status, code, detail).body()
    if allow := plain.headers.get("Allow"):
        response.headers["Allow"] = allow
    return response


def _failure(error: Exception) -> Response:
    # Our own errors say in words what is wrong, and hold no secret; of others, the place is logged.
    if isinstance(error, DRMError):
        logger.error("%s", error.render())
    else:
        logger.error("unexpected %s", type(error).__name__, exc_info=error)
    problem = ProblemError(500, "server_error", "the server could not answer; its log says why")
    return Response(problem.body(), 500, content_type=PROBLEM_TYPE)
