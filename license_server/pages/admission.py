"""Who may see the administrator's pages: a password or a one-time link opens a session, and forms carry its token.

A session is a signed cookie, so that every worker knows it; the key is made at the start, and sessions end with it. One
that was signed out of is remembered in the store until it would have ended: a copy of its cookie opens nothing.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import Final, ParamSpec
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, current_app, g, redirect, render_template, request, session, url_for
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response as AnyResponse

from drm.errors import InvalidArgumentError
from license_server.issuing.rate_limits import Limit, RateLimit
from license_server.pages.return_path import return_path
from license_server.problems import ProblemError
from license_server.store.opening import Store
from license_server.store.tokens import TokenStore

__all__ = ["PageRules", "add_sign_in", "guarded", "install_sessions", "is_admin", "password_hash_of"]

_LEAST_PASSWORD: Final = 8  # characters
_MAX_PASSWORD_FILE: Final = 4096
_SESSION: Final = timedelta(hours=8)
_TRIES: Final = Limit(10, 60)
_LEDGER: Final = "clearkey.tokens"  # where the application keeps what knows of ended sessions

P = ParamSpec("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRules:
    """How the pages are set up. Make it before workers are forked: they share its secrets."""

    password_hash: str | None = field(default=None, repr=False)  # None: the one-time link alone opens a session
    link_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    cookie_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    catalogue: Path | None = None  # a folder of packaged films
    is_https: bool = False


def password_hash_of(path: Path) -> str:
    """Hash the password that is the first line of a file. Raises InvalidArgumentError for one too short."""
    with path.open("rb") as file:
        text = file.read(_MAX_PASSWORD_FILE).decode(errors="replace").partition("\n")[0].strip()
    if len(text) < _LEAST_PASSWORD:
        raise InvalidArgumentError(
            f"the administrator's password has fewer than {_LEAST_PASSWORD} characters", where=str(path)
        )
    return generate_password_hash(text)


def install_sessions(app: Flask, rules: PageRules, store: Store) -> None:
    """Let `app` know sessions, and which of them were ended."""
    app.extensions[_LEDGER] = store.tokens
    app.secret_key = rules.cookie_key
    app.config.update(
        SESSION_COOKIE_NAME="clearkey_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=rules.is_https,
        PERMANENT_SESSION_LIFETIME=_SESSION,
    )


def is_admin() -> bool:
    """Whether this request comes from a session that was opened, not too long ago, and not ended."""
    if "is_admin" not in g:
        tokens: TokenStore = current_app.extensions[_LEDGER]
        name, is_young = session.get("name", ""), float(session.get("until", 0)) > time.time()
        g.is_admin = bool(name) and is_young and not tokens.is_spent(_end_of(name))
    return bool(g.is_admin)


def _end_of(name: str) -> str:
    """How the end of a session stands among the tokens that were used."""
    return f"sign-out {name}"


def guarded(view: Callable[P, AnyResponse | str]) -> Callable[P, AnyResponse | str]:
    """Show `view` to an administrator alone; whoever changes something must also have the session's token.

    A page of another site can make a browser send the cookie, but cannot know the token.
    """

    @wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> AnyResponse | str:
        if not is_admin():
            if request.path.startswith("/api/"):
                return Response("sign in first\n", 401, mimetype="text/plain")
            return redirect(url_for("pages.sign_in", next=request.path), 303)
        if request.method == "POST":
            said = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
            if not hmac.compare_digest(said.encode(), str(session["csrf"]).encode()):
                return Response("this form is not from a page of this session\n", 403, mimetype="text/plain")
        return view(*args, **kwargs)

    return checked


def add_sign_in(blueprint: Blueprint, store: Store, rules: PageRules) -> None:
    """Add the views that open and end sessions."""
    tries = RateLimit(_TRIES)

    @blueprint.get("/sign-in")
    def sign_in() -> AnyResponse | str:
        if is_admin():
            return redirect(url_for("pages.overview"), 303)
        token = request.args.get("token", "")
        return render_template("sign_in.html", token=token, has_password=rules.password_hash is not None)

    @blueprint.post("/sign-in")
    def open_session() -> AnyResponse | tuple[str, int]:
        try:
            tries.count(request.remote_addr or "", "sign-in")
        except ProblemError:
            return _refused("Too many attempts: wait a minute.", 429)
        if not _is_same_origin():
            return _refused("The form was sent from a page of another site.", 403)
        if token := request.form.get("token", ""):
            if not _is_link(token):
                return _refused("This link was used before, or is not of this run of the server.", 403)
        elif rules.password_hash is None or not check_password_hash(
            rules.password_hash, request.form.get("password", "")[:1024]
        ):
            return _refused("That is not the password.", 403)
        session.clear()
        session.permanent = True
        session["until"] = time.time() + _SESSION.total_seconds()
        session["csrf"] = secrets.token_urlsafe(24)
        session["name"] = secrets.token_urlsafe(24)
        return redirect(return_path(request.form.get("next", "")) or url_for("pages.overview"), 303)

    @blueprint.post("/sign-out")
    @guarded
    def sign_out() -> AnyResponse:
        store.tokens.spend(_end_of(session["name"]), float(session["until"]))
        session.clear()
        return redirect(url_for("pages.sign_in"), 303)

    def _is_link(token: str) -> bool:
        if not hmac.compare_digest(token.encode(), rules.link_token.encode()):
            return False
        name = sha256(token.encode()).hexdigest()  # all workers see it in the store, where it is no secret
        return store.tokens.spend(f"sign-in {name}", time.time() + 10 * 365 * 86_400)

    def _refused(why: str, status: int) -> tuple[str, int]:
        has_password = rules.password_hash is not None
        return render_template("sign_in.html", token="", has_password=has_password, error=why), status


def _is_same_origin() -> bool:
    """Sign-in has no session yet, so it goes by what browsers say of where a form stands."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host
