"""What the options of `clearkey serve` come to: its configuration file, the administrator's API, the web pages."""

from __future__ import annotations

import tomllib
from ipaddress import ip_address
from pathlib import Path

import click

from drm.errors import InvalidArgumentError
from license_server.admin.access import AdminRules, admin_tokens_of
from license_server.issuing.token_minting import read_signing_key
from license_server.pages.admission import PageRules, password_hash_of

__all__ = ["admin_rules", "is_this_machine", "page_rules", "read_config", "sign_in_url"]


def read_config(context: click.Context, _option: click.Parameter, path: Path | None) -> None:
    """Take a file's members, TOML by the names of the options, as defaults of the command. Raises InvalidArgumentError.

    Options win over the environment (CLEARKEY_SERVE_PORT and so on), the environment over the file, and the file over
    what is built in.
    """
    if path is None:
        return
    try:
        members = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidArgumentError(f"the configuration cannot be read: {error.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgumentError("the configuration is not TOML", where=str(path), seen=str(error)[:200]) from None
    names = {
        spelling.removeprefix("--"): option.name
        for option in context.command.params
        if isinstance(option, click.Option)
        for spelling in option.opts
        if spelling.startswith("--")
    }
    unknown = sorted(set(members) - names.keys())
    if unknown:
        raise InvalidArgumentError(
            f"the configuration names what is no option: {', '.join(unknown)[:200]}",
            where=str(path),
            remedy="its members are the long names of the options, as in `port = 8700`",
        )
    context.default_map = {**(context.default_map or {}), **{names[name] or name: members[name] for name in members}}


def admin_rules(token_file: Path | None, signing_key: Path | None) -> AdminRules | None:
    """How the API is set up; None: there is none. Raises InvalidArgumentError for files that cannot be taken."""
    if token_file is None:
        if signing_key is not None:
            raise InvalidArgumentError(
                "--admin-signing-key is for the administrator's API", remedy="give --admin-token-file too"
            )
        return None
    return AdminRules(
        tokens=admin_tokens_of(token_file),
        signing_key=None if signing_key is None else read_signing_key(signing_key),
    )


def page_rules(
    wanted: bool | None,
    host: str,
    password_file: Path | None,
    catalogue: Path | None,
    *,
    is_https: bool,
) -> PageRules | None:
    """How the pages are set up; None: there are none. Raises InvalidArgumentError for what contradicts itself."""
    asked_for = password_file is not None or catalogue is not None
    if wanted is False and asked_for:
        raise InvalidArgumentError("--no-pages goes with neither --admin-password-file nor --catalogue")
    if not (asked_for or (is_this_machine(host) if wanted is None else wanted)):
        return None
    return PageRules(
        password_hash=None if password_file is None else password_hash_of(password_file),
        catalogue=catalogue,
        is_https=is_https,
    )


def is_this_machine(host: str) -> bool:
    """Whether nobody else can reach an address to listen on."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def sign_in_url(url: str, pages: PageRules) -> str:
    """Where an administrator begins: with the link that opens one session, where no password does."""
    return f"{url}/overview" if pages.password_hash is not None else f"{url}/sign-in?token={pages.link_token}"
