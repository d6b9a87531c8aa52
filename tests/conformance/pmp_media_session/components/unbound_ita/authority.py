"""Grants access to everything, and fails when access is bound: the action is to be cancelled then."""

import uuid

from drm.errors import InvalidArgumentError
from drm.rights.enablers import LicensePath
from drm.rights.output_policy import OutputPolicy
from drm.rights.policy import Action, Policy

__all__ = ["UnboundAuthority"]


class _Decrypter:
    is_rehearsal = False

    def decrypt_into(self, source: memoryview, crypto: object, target: memoryview) -> None:
        raise AssertionError("a decrypter whose access was never bound")

    def policy_set(self, policy_id: int) -> None:
        raise AssertionError("enabled, though access was never bound")


class UnboundAuthority:
    key_ids = ()
    license_path = LicensePath.NONE

    def load(self, stream: bytes) -> None:
        pass

    def request_access(self, action: Action) -> None:
        pass

    def get_policy(self, action: Action) -> OutputPolicy:
        return OutputPolicy(action, Policy(actions=(Action.PLAY, Action.HASH)), uuid.UUID(int=1))

    def get_decrypter(self) -> _Decrypter:
        return _Decrypter()

    def bind_access(self, params: object) -> None:
        raise InvalidArgumentError("this authority binds nothing")

    def shutdown(self) -> None:
        pass
