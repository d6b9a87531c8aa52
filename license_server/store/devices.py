"""Devices in the database: who registered, whom the operator vouches for, and which requests were answered."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from drm.errors import InvalidArgumentError
from drm.license.sealed import VerifiedDevice, VerifiedRequest
from license_server.problems import ProblemError
from license_server.store.schema import devices, next_epoch, nonces, upsert

__all__ = ["DeviceRow", "DeviceStore"]

_DEVICE_ID = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of a SHA-256


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """What is known of a device. Times are seconds since the epoch."""

    device_id: str
    registered_at: int
    enrolled_at: int | None
    last_seen: int | None
    claimed_level: int | None
    revoked_at: int | None = None


class DeviceStore:
    """Implements `DeviceSource`. Safe for several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def enrolled(self, device_id: str) -> bool | None:
        """Whether somebody vouched for this device; None if it never registered. Raises ProblemError: revoked."""
        query = sa.select(devices.c.enrolled_at, devices.c.revoked_at).where(devices.c.device_id == device_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is not None and row.revoked_at is not None:
            raise ProblemError(403, "device_revoked", "the operator revoked this device")
        return None if row is None else row.enrolled_at is not None

    def register(self, device: VerifiedDevice, now: float) -> None:
        """Remember a device; one that is known stays as it is."""
        row = upsert(self._engine, devices).values(
            device_id=device.device_id,
            jwk=msgspec.json.encode(device.device_jwk).decode(),
            registered_at=int(now),
            claimed_level=device.level,
        )
        known = row.on_conflict_do_update(index_elements=["device_id"], set_={"jwk": row.excluded.jwk})
        with self._engine.begin() as connection:
            connection.execute(known)

    def spend(self, request: VerifiedRequest, now: float, keep: float) -> bool:
        """Use up the request's nonce; False if it was used before. Nonces are forgotten once they are stale anyway."""
        spent = upsert(self._engine, nonces).values(
            device_id=request.device_id, nonce=request.nonce, until=int(request.issued_at + keep) + 1
        )
        seen = devices.update().where(devices.c.device_id == request.device_id)
        with self._engine.begin() as connection:
            connection.execute(nonces.delete().where(nonces.c.until < int(now)))
            statement = spent.on_conflict_do_nothing().returning(nonces.c.nonce)
            if connection.execute(statement).one_or_none() is None:
                return False
            connection.execute(seen.values(last_seen=int(now), claimed_level=request.level))
        return True

    def rows(self) -> list[DeviceRow]:
        """Return every device, the first registered first."""
        query = sa.select(
            devices.c.device_id,
            devices.c.registered_at,
            devices.c.enrolled_at,
            devices.c.last_seen,
            devices.c.claimed_level,
            devices.c.revoked_at,
        ).order_by(devices.c.registered_at, devices.c.device_id)
        with self._engine.connect() as connection:
            return [DeviceRow(*row) for row in connection.execute(query)]

    def enrol(self, text: str) -> str:
        """Vouch for a device and return its id: any whole id, or how the id of one registered device begins.

        Raises InvalidArgumentError.
        """
        # A whole id need not be registered: a server that takes enrolled devices only lets no other one register.
        device_id = text if _DEVICE_ID.fullmatch(text) else self._find(text)
        now = int(time.time())
        row = upsert(self._engine, devices).values(device_id=device_id, jwk="", registered_at=now, enrolled_at=now)
        with self._engine.begin() as connection:
            connection.execute(row.on_conflict_do_update(index_elements=["device_id"], set_={"enrolled_at": now}))
        return device_id

    def remove(self, prefix: str) -> str:
        """Forget the one device whose id begins with `prefix`; return its id. Raises InvalidArgumentError."""
        device_id = self._find(prefix)
        with self._engine.begin() as connection:
            connection.execute(devices.delete().where(devices.c.device_id == device_id))
        return device_id

    def revoke(self, text: str, *, restore: bool = False) -> str:
        """Give a device no licenses any more, or again, and return its id: as in `enrol`. Raises InvalidArgumentError.

        Unlike one that was removed, it cannot register again.
        """
        device_id = text if _DEVICE_ID.fullmatch(text) else self._find(text)
        now = int(time.time())
        at = None if restore else now
        row = upsert(self._engine, devices).values(device_id=device_id, jwk="", registered_at=now, revoked_at=at)
        with self._engine.begin() as connection:
            connection.execute(row.on_conflict_do_update(index_elements=["device_id"], set_={"revoked_at": at}))
            connection.execute(next_epoch())
        return device_id

    def _find(self, prefix: str) -> str:
        found = [row.device_id for row in self.rows() if row.device_id.startswith(prefix)]
        if len(found) != 1:
            raise InvalidArgumentError(
                f"{len(found) or 'no'} registered devices have an id that begins with {prefix[:64]!r}",
                remedy="clearkey keys devices lists them",
            )
        return found[0]
