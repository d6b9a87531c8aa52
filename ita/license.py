"""License requests and answers, as the input trust authority makes and reads them. Worker only."""

from __future__ import annotations

from collections.abc import Sequence

from drm.errors import KeyMissingError
from drm.keys import KeyId
from drm.license.clearkey import encode_license_request, parse_jwk_set
from drm.license.sealed import SealedRequest
from drm.rights.authorities import ProtectedEnvironment
from drm.rights.enablers import LicensePath
from drm.rights.policy import PLAIN_LICENSE_POLICY
from ita.key_ring import KeyRing, License

__all__ = ["PendingLicense"]


class PendingLicense:
    """One request, and what its answer must be."""

    def __init__(self, key_ids: Sequence[KeyId], environment: ProtectedEnvironment) -> None:
        """Make the request: EME Clear Key, with the member that asks for the sealed form when there is a device key."""
        self.key_ids = tuple(key_ids)
        self._sealed: SealedRequest | None = None
        report = environment.report()  # raises when a tracer has come: no key is asked for in any form then
        if environment.device_key is not None:
            self._sealed = SealedRequest.make(
                environment.device_key, self.key_ids, report, environment.component_digests()
            )
        self.body = encode_license_request(self.key_ids, pmp=self._sealed.jws if self._sealed else None)

    def accept(self, answer: bytes, path: LicensePath, ring: KeyRing) -> LicensePath:
        """Put the keys of `answer` on the ring and return how they really came.

        `path` is the application's word, and is believed only where it says less than `sealed`.

        Raises:
            LicenseMalformedError: not a license, or not sealed for this request.
            KeyMissingError: a license without a key that was asked for.
        """
        if path is LicensePath.SEALED and self._sealed is not None:
            license_ = self._sealed.open(answer)
            keys, policy = license_.keys, license_.policy
        else:
            path = LicensePath.LOCAL if path is LicensePath.LOCAL else LicensePath.CLEAR
            keys, policy = parse_jwk_set(answer), PLAIN_LICENSE_POLICY
        missing = tuple(key_id for key_id in self.key_ids if key_id not in keys)
        if missing:
            raise _no_key(missing, tuple(keys), path)
        ring.add(keys, License(policy, path))
        return path


def _no_key(missing: tuple[KeyId, ...], brought: tuple[KeyId, ...], path: LicensePath) -> KeyMissingError:
    names = ", ".join(str(kid) for kid in missing)
    giver = "keys were given for" if path is LicensePath.LOCAL else "the license has"
    maybe = ""
    for kid in missing:
        if kid.byte_reversed in brought:
            maybe = f"byte order: a key for {kid.byte_reversed} is there; write that KID as guid-le:{kid.byte_reversed}"
    held = ", ".join(str(kid) for kid in brought) or "no KID at all"
    return KeyMissingError(
        f"no key for KID {names}",
        seen=f"{giver} {held}",
        maybe=maybe,
        remedy=f"--key {missing[0]}:KEY"
        if path is LicensePath.LOCAL
        else "have the license server issue this KID: clearkey keys import, or another --license-url",
        kids=tuple(str(kid) for kid in missing),
    )
