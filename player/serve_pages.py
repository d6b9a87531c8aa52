"""What `clearkey serve` is told about the web pages."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from drm.errors import InvalidArgumentError
from license_server.pages.admission import PageRules, password_hash_of

__all__ = ["is_this_machine", "page_rules", "sign_in_url"]


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
