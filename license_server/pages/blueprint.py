"""The pages as a part of the application: one blueprint for people, one for media."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Flask, Response, render_template, request, session
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from drm.readable import readable
from license_server.cors import NO_CORS
from license_server.health import Health
from license_server.pages.admission import PageRules, add_sign_in, install_sessions, is_admin
from license_server.pages.events import add_events
from license_server.pages.key_list import add_key_list
from license_server.pages.key_page import add_key_page
from license_server.pages.media import media
from license_server.pages.overview import add_overview
from license_server.pages.token_maker import TokenMaker
from license_server.pages.tools import add_tools
from license_server.pages.trust import add_trust
from license_server.pages.watch import add_watch
from license_server.pages.wording import FILTERS
from license_server.rules import ServerRules
from license_server.store.audit import AuditMode

__all__ = ["add_pages"]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:;"
    " connect-src {connect}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A film's manifest names its own license server, which need not be this one.
_WATCH: Final = _POLICY.format(connect="'self' http: https:")
_OTHER: Final = _POLICY.format(connect="'self'")
_ASSETS_AGE: Final = 3600  # seconds


def add_pages(app: Flask, state: Health, rules: ServerRules, pages: PageRules) -> None:
    """Add the pages to `app`. Raises InvalidArgumentError: there is no such catalogue."""
    install_sessions(app, pages, state.store)
    blueprint = Blueprint("pages", __name__, template_folder="templates")
    is_recorded = rules.audit is not AuditMode.OFF
    add_sign_in(blueprint, state.store, pages)
    add_overview(blueprint, state, is_recorded=is_recorded)
    add_key_list(blueprint, state.store)
    add_key_page(blueprint, state.store, pages)
    add_events(blueprint, state.store, is_recorded=is_recorded)
    add_watch(blueprint, pages.catalogue, has_faults=rules.has_faults)
    add_trust(blueprint, state.store, rules.components)
    add_tools(blueprint, rules.tokens, TokenMaker.of(rules, state.store))

    @blueprint.after_request
    def harden(response: Response) -> Response:
        # No page elsewhere may read these: the session's cookie goes along from other ports of this host.
        response.headers[NO_CORS] = "1"
        response.headers["Content-Security-Policy"] = _WATCH if request.path == "/watch" else _OTHER
        response.headers["Referrer-Policy"] = "same-origin"  # with none, browsers say "null" where a form is from
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response

    @blueprint.errorhandler(HTTPException)
    def trouble(error: HTTPException) -> tuple[str, int]:
        return render_template("trouble.html", error=error), error.code or 500

    @blueprint.context_processor
    def common() -> dict[str, object]:
        return {"is_admin": is_admin(), "csrf": session.get("csrf", ""), "here": request.endpoint or ""}

    for name, function in FILTERS.items():
        app.jinja_env.filters[name] = function
    assets = Blueprint("assets", __name__, static_folder="static", static_url_path="/assets")
    assets.after_request(_keep)
    app.jinja_env.finalize = _finalized
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_blueprint(assets)
    app.register_blueprint(blueprint)
    if pages.catalogue is not None:
        app.register_blueprint(media(pages.catalogue))


def _keep(response: Response) -> Response:
    response.headers["Cache-Control"] = f"public, max-age={_ASSETS_AGE}"
    return response


def _finalized(value: object) -> object:
    # Names of devices, contents and files are anybody's words; the template's own markup is ours. What somebody typed
    # or is to copy goes back as it is: templates escape that themselves (|e), which makes it markup.
    return readable(value, None, lines=True) if isinstance(value, str) and not isinstance(value, Markup) else value
