"""A program that a copy of the package runs: `packaged.py CALL`, where CALL is JSON. Prints what came of it, as JSON.

{}                          make a session, and say what its report says
{"film": F, "rules": {…}}   set a topology on F too, under a license with these rules, and say its status
{"then": FILE, …}           hand the session's worker this snapshot too, past everything of ours
{"update": true}            renew from where the package says
{"own": [FOLDER, …]}, {"root": FILE}, {"store": FOLDER}, {"development": true}: as SessionConfiguration has them
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

import drm
from drm.app.components.supply import ComponentSupply
from drm.app.components.trust import ComponentTrust
from drm.app.session_configuration import SessionConfiguration
from drm.app.session_proxy import create_pmp_media_session
from drm.app.worker_link import WorkerLink
from drm.errors import TrustError
from drm.keys import ContentKey, KeyId
from drm.rights.policy import Policy
from drm.session.events import MediaEventType as E
from drm.session.services import Service
from drm.wire import messages as wire
from drm.wire.ring import sealed_memfd

KEY_ID, KEY = KeyId(bytes(range(100, 116))), ContentKey(bytes(range(50, 66)))


def main(call: dict[str, Any]) -> dict[str, Any]:
    from tests.conformance.pmp_media_session.trusted_world import RenewingManager

    root, store = call.get("root"), call.get("store")
    trust = ComponentTrust(
        root=Path(root).read_bytes() if root else None,
        store=Path(store) if store else None,
        development=call.get("development", False),
    )
    answer: dict[str, Any] = {"package": str(Path(drm.__file__ or "").parent.parent)}
    if call.get("update"):
        ComponentSupply(trust).update()
        return answer
    manager = RenewingManager(
        {KEY_ID: KEY}, msgspec.convert({"actions": ["play", "hash"], **call.get("rules", {})}, Policy)
    )
    told = SessionConfiguration(
        content_protection_manager=manager,
        trust=trust,
        components=tuple(map(Path, call.get("own", ()))),
    )
    try:
        session = create_pmp_media_session(configuration=told)
    except TrustError as error:
        activate = error.enabler_activate
        kind = activate.activate_object().get_enable_type().name if activate else None  # type: ignore[attr-defined]
        return answer | {"refused": error.hresult, "enabler": kind, "what": error.what}
    with session:
        report = session.protection_report.trust
        assert report is not None
        answer |= msgspec.to_builtins(report)
        answer["versions"] = {component.name: component.version for component in report.components}
        if then := call.get("then"):
            answer["then"] = _hand_over(session.get_service(Service.PMP_SERVER_CONTEXT).link, Path(then).read_bytes())
        if film := call.get("film"):
            from tests.conformance.mfcreatemediasession.world import Stage

            at = Stage(session, Path(film))
            session.set_topology(at.topology())
            answer["status"] = at.outcome(E.SESSION_TOPOLOGY_SET)
            at.close()
    return answer


def _hand_over(link: WorkerLink, snapshot: bytes) -> int:
    fd = sealed_memfd("components", snapshot)
    try:
        link.call(lambda call: wire.LoadTrust(call, len(snapshot)), [fd])
    except TrustError as error:
        return error.hresult
    finally:
        os.close(fd)
    return 0


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
