"""How a server is set up, beside what its store holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from license_server.admin.access import AdminRules
from license_server.cors import Cors
from license_server.decisions import DeviceRules
from license_server.issuing.rate_limits import Limit
from license_server.issuing.token_keys import TokenKeys
from license_server.packagers.signers import Signer
from license_server.pages.admission import PageRules
from license_server.store.audit import AuditMode

__all__ = ["ServerRules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRules:
    """Who gets licenses, who may read answers, and what is written down."""

    devices: DeviceRules = field(default_factory=DeviceRules)
    cors: Cors = field(default_factory=Cors)
    components: Path | None = None  # a published component repository to serve too
    tokens: TokenKeys | None = None  # None: nobody needs a token
    audience: str | None = None  # that tokens must name
    limit: Limit | None = None
    audit: AuditMode = AuditMode.QUEUED
    has_faults: bool = False
    trust_proxy: bool = False  # believe Forwarded and X-Forwarded-Proto: nobody but a proxy reaches this server
    pages: PageRules | None = None
    signers: Mapping[str, Signer] | None = None  # packagers that get keys; None: there is no key server
    admin: AdminRules | None = None  # None: there is no administrator's API
