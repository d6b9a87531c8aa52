"""What the served component repository says, as its clients verify it; and the path that protects a film.

The tree is verified anew when its timestamp changed, with the clients' own verifier.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from flask import Blueprint, render_template

from drm.errors import DRMError
from license_server.pages.admission import guarded
from license_server.store.devices import DeviceRow
from license_server.store.opening import Store
from license_server.store.schema import audit

if TYPE_CHECKING:
    from drm.trust.verifier import VerifiedTrust

__all__ = ["Published", "add_trust", "published_in"]

_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Published:
    """A repository as it is now: verified, or why not."""

    trust: VerifiedTrust | None
    trouble: str = ""

    def days_left(self, role: str) -> float:
        """Until the metadata of a role expires."""
        assert self.trust is not None
        return (self.trust.expiries[role] - datetime.now(UTC)).total_seconds() / _DAY


def published_in(repository: Path) -> Published:
    """Verify a published tree."""
    from drm.trust.authority.published import check_published  # noqa: PLC0415 - 200 ms that only these pages need

    try:
        return Published(check_published(repository))
    except DRMError as error:
        return Published(None, error.what)
    except OSError as error:
        return Published(None, error.strerror or "the repository cannot be read")


def add_trust(blueprint: Blueprint, store: Store, repository: Path | None) -> None:
    """Add both pages."""
    known: list[tuple[bytes, Published]] = []

    def published() -> Published | None:
        if repository is None:
            return None
        try:
            stamp = (repository / "metadata" / "timestamp.json").read_bytes()
        except OSError as error:
            return Published(None, error.strerror or "the repository cannot be read")
        if not known or known[0][0] != stamp:
            known[:] = [(stamp, published_in(repository))]
        return known[0][1]

    @blueprint.get("/trust")
    @guarded
    def trust() -> str:
        return render_template("trust.html", published=published())

    @blueprint.get("/path")
    @guarded
    def path() -> str:
        devices = store.devices.rows()
        return render_template(
            "path.html",
            published=published(),
            devices=sorted(devices, key=lambda row: row.last_seen or row.registered_at, reverse=True)[:50],
            levels=_levels(devices),
            answers=_answers(store.engine),
        )


def _levels(devices: list[DeviceRow]) -> list[tuple[int | None, int]]:
    counted = Counter(device.claimed_level for device in devices if device.revoked_at is None)
    return sorted(counted.items(), key=lambda item: -1 if item[0] is None else item[0])


def _answers(engine: sa.Engine) -> Counter[str]:
    """How licenses of the last day went: sealed for a worker, plain, or refused."""
    query = (
        sa.select(audit.c.code, sa.func.count().label("number"))
        .where((audit.c.at >= time.time() - _DAY) & (audit.c.action == "license"))
        .group_by(audit.c.code)
    )
    answers = Counter[str]()
    with engine.connect() as connection:
        for row in connection.execute(query):
            answers[row.code if row.code in ("sealed", "issued") else "refused"] += row.number
    return answers
