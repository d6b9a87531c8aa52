"""The Flask application: HTTP and nothing else. Views parse, ask and answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Final

from flask import Flask, Response, redirect, request, url_for
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.wrappers import Response as AnyResponse

from drm.errors import DRMError
from drm.license.clearkey import FORMS_HEADER, MAX_MESSAGE, PLAIN_FORM, SEALED_FORM
from license_server.admin.blueprint import add_admin
from license_server.cors import CompleteResponse, Cors
from license_server.decisions import Decision, KeyRequest
from license_server.health import Health, health
from license_server.issuing.service import LicenseService
from license_server.packagers.key_server import packager_keys
from license_server.packagers.keys import StoredPackagerKeys
from license_server.problems import PROBLEM_TYPE, ProblemError
from license_server.rules import ServerRules
from license_server.web.signalling import signaller
from license_server.web.trusted_proxy import TrustedProxy
from license_server.web.updates import updates

__all__ = ["HTTP_CODES", "create_app"]

logger = logging.getLogger(__name__)

HTTP_CODES: Final[dict[type[HTTPException], str]] = {
    MethodNotAllowed: "method_not_allowed",
    NotFound: "not_found",
    RequestEntityTooLarge: "request_too_large",
}
"""The codes of what Flask refuses by itself; anything else of that kind is `request_malformed`."""

# A client learns of the sealed form before it asks for a key.
_LICENSE_OPTIONS: Final = (("Allow", "OPTIONS, POST"), (FORMS_HEADER, f"{PLAIN_FORM}, {SEALED_FORM}"))


def create_app(service: LicenseService, state: Health, rules: ServerRules | None = None) -> Flask:
    """Make the application whose views ask `service`; `state` says how the server is.

    Raises:
        InvalidArgumentError: nothing is published, or there is no folder, where `rules` say that something is.
    """
    rules = rules or ServerRules()
    app = Flask("license_server", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_MESSAGE + 1  # one more, so that a cut body is told from a whole one
    if rules.trust_proxy:
        app.wsgi_app = TrustedProxy(app.wsgi_app)  # type: ignore[method-assign]  # Flask's documented place for it
    rules.cors.install(app)
    app.after_request(_no_store)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(Exception, _failure)
    app.register_blueprint(health(state))
    app.register_blueprint(signaller())
    if rules.components is not None:
        app.register_blueprint(updates(rules.components))
    if rules.signers is not None:
        keys = StoredPackagerKeys(state.store.keys)
        app.register_blueprint(packager_keys(keys, rules.signers, service.answer))
    add_admin(app, state, rules)
    if rules.pages is not None:
        from license_server.pages.blueprint import add_pages  # noqa: PLC0415 - what a server without pages does not need

        add_pages(app, state, rules, rules.pages)

    @app.route("/license", methods=["POST", "OPTIONS"], provide_automatic_options=False)
    def license_() -> Response:
        if request.method == "OPTIONS":
            answer = Response(status=204, headers=_LICENSE_OPTIONS)
            del answer.headers["Content-Type"]
            return answer
        # The raw body, whatever its media type says: most players send none (EME names none).
        return _answer(service.license(_ask(_body())), rules.cors)

    @app.get("/hls/key/<kid>")
    def hls_key(kid: str) -> Response:
        return _answer(service.hls_key(kid, _ask(b"")), rules.cors)

    @app.post("/individualize")
    def individualize() -> Response:
        return _answer(service.register(_ask(_body())), rules.cors)

    @app.get("/")
    def home() -> AnyResponse:
        if rules.pages is not None and "text/html" in request.headers.get("Accept", ""):  # a browser, and not curl
            return redirect(url_for("pages.overview"), 303)
        where = url_for("license_", _external=True)
        return Response(
            f"This is a Clear Key license server.\n\nPOST license requests to {where}\n"
            'They look like this: {"kids": ["<base64url key id>"], "type": "temporary"}\n',
            mimetype="text/plain",
        )

    return app


def _ask(body: bytes) -> KeyRequest:
    environ = request.environ
    return KeyRequest(
        body, environ.get("HTTP_AUTHORIZATION", ""), environ.get("QUERY_STRING", ""), environ.get("REMOTE_ADDR", "")
    )


def _body() -> bytes:
    received = request.environ["wsgi.input"]
    if type(received) is BytesIO:  # the worker has waited for all of it
        return received.read(MAX_MESSAGE + 1)
    try:
        # Of a body without a length, Flask gives what fits, and says nothing of the rest.
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        return bytes(MAX_MESSAGE + 1)  # the service says no, as it does to every body of that size


def _answer(decision: Decision, cors: Cors) -> Response:
    headers = [
        ("Content-Type", decision.media_type),
        *decision.headers,
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if decision.cors:
        headers.append(("Vary", "Origin"))
        headers.extend(cors.answer(request.environ.get("HTTP_ORIGIN"), request.method))
    response = CompleteResponse(decision.body, decision.status, headers)
    if decision.pause:
        response.response = _in_pieces(decision.body, decision.pause)
    return response


def _in_pieces(body: bytes, pause: float) -> Iterator[bytes]:
    """Yield the body in two halves, with a pause between them: a fault that was asked for."""
    half = len(body) // 2
    yield body[:half]
    time.sleep(pause)
    yield body[half:]


def _no_store(response: Response) -> Response:
    if isinstance(response, CompleteResponse):
        return response
    # RFC 9111 5.2.2.5: keys are no thing to keep, nor is a refusal. Only components say otherwise of themselves.
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _http_problem(error: HTTPException) -> Response:
    """Turn what Flask refuses into a problem document; its headers, as Allow, stay."""
    response = Response(content_type=PROBLEM_TYPE)
    plain = error.get_response()
    status = plain.status_code
    code = next((code for kind, code in HTTP_CODES.items() if isinstance(error, kind)), "request_malformed")
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
