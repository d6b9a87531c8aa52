"""The API as a part of the application: every route behind the same door, none of them for pages of other sites."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from drm.errors import DRMError, InvalidArgumentError, KeyMissingError, KeysFileError
from drm.keyfile.formats import MAX_KEYS_FILE
from drm.keys import KeyId
from license_server.admin.access import AdminAccess
from license_server.admin.clients import CLIENT_ROUTES
from license_server.admin.contents import CONTENT_ROUTES
from license_server.admin.keys import KEY_ROUTES
from license_server.admin.openapi import CONFIRM_HEADER, openapi_document
from license_server.admin.operation import OPERATION_ROUTES
from license_server.admin.route import AdminRequest, Route
from license_server.cors import NO_CORS
from license_server.health import Health
from license_server.problems import PROBLEM_TYPE, ProblemError
from license_server.rules import ServerRules

__all__ = ["BASE", "ROUTES", "add_admin"]

BASE: Final = "/api/admin/v1"
ROUTES: Final = (*KEY_ROUTES, *CONTENT_ROUTES, *CLIENT_ROUTES, *OPERATION_ROUTES)

_DOCUMENT: Final = "/openapi.json"
_MAX_BODY: Final = MAX_KEYS_FILE


def add_admin(app: Flask, state: Health, rules: ServerRules) -> None:
    """Add the API to `app`; where no token is configured, only the words that say so."""

    @app.after_request
    def keep_pages_out(response: Response) -> Response:
        if request.path.startswith(f"{BASE}/"):
            response.headers[NO_CORS] = "1"
        return response

    if rules.admin is None:
        app.register_blueprint(_closed())
        return
    access = AdminAccess(rules.admin)
    blueprint = Blueprint("admin", __name__, url_prefix=BASE)

    @blueprint.errorhandler(ProblemError)
    def refused(problem: ProblemError) -> Response:
        return Response(problem.body(), problem.status, problem.headers, content_type=PROBLEM_TYPE)

    def view(route: Route) -> Callable[..., Response]:
        def answered(**parts: str) -> Response:
            # Before anything else is looked at, the body included.
            who = access.admit(request.headers.get("Authorization", ""), request.remote_addr or "")
            admin_request = AdminRequest(state, rules, who, request.remote_addr or "")
            if route.confirm and request.headers.get(CONFIRM_HEADER) != route.confirm:
                raise ProblemError(
                    428, "confirmation_required", f"send the header {CONFIRM_HEADER}: {route.confirm} if you mean it"
                )
            return _answered(route, admin_request, parts)

        return answered

    for route in ROUTES:
        blueprint.add_url_rule(
            route.path.replace("{", "<").replace("}", ">"),
            route.name,
            view(route),
            methods=[route.method],
            provide_automatic_options=False,
        )
    document = msgspec.json.encode(openapi_document(ROUTES, BASE))

    @blueprint.get(_DOCUMENT, provide_automatic_options=False)
    def openapi() -> Response:
        access.admit(request.headers.get("Authorization", ""), request.remote_addr or "")
        return Response(document, content_type="application/json")

    app.register_blueprint(blueprint)


def _closed() -> Blueprint:
    """Return what answers where there is no API."""
    blueprint = Blueprint("admin", __name__, url_prefix=BASE)

    @blueprint.route("/<path:_path>", methods=["GET", "POST", "PUT"], provide_automatic_options=False)
    def nothing(_path: str) -> Response:
        problem = ProblemError(
            404,
            "admin_not_set_up",
            "start the server with --admin-token-file FILE or CLEARKEY_ADMIN_TOKEN_FILE, a file with a long random"
            " token, and send that as Authorization: Bearer",
        )
        return Response(problem.body(), problem.status, content_type=PROBLEM_TYPE)

    return blueprint


def _answered(route: Route, admin_request: AdminRequest, parts: dict[str, str]) -> Response:
    arguments: dict[str, object] = dict(parts)
    try:
        if route.query is not None:
            arguments["query"] = msgspec.convert(request.args.to_dict(), route.query, strict=False)
        if route.body is not None:
            arguments["body"] = msgspec.json.decode(_body(), type=route.body)
        answer = route.handle(admin_request, **arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # The library's words name the member and its type; of what was sent, they repeat the names of choices alone.
        words = str(error) if isinstance(error, msgspec.DecodeError) else "the body is not JSON in UTF-8"
        raise ProblemError(400, "request_malformed", words) from None
    except KeyMissingError as error:
        kids = [KeyId.parse(kid) for kid in error.kids]
        raise ProblemError(404, "key_unknown", error.what, kids=kids) from None
    except (InvalidArgumentError, KeysFileError) as error:
        raise ProblemError(400, "request_malformed", _sentence(error)) from None
    data = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
    return Response(data, route.status, content_type="application/json")


def _body() -> bytes:
    request.max_content_length = _MAX_BODY + 1
    try:
        data = request.get_data(cache=False)
    except RequestEntityTooLarge:
        data = bytes(_MAX_BODY + 1)
    if len(data) > _MAX_BODY:
        raise ProblemError(413, "request_too_large", f"at most {_MAX_BODY} bytes")
    return data


def _sentence(error: DRMError) -> str:
    return "; ".join(part for part in (error.what, error.where, error.maybe, error.remedy) if part)
