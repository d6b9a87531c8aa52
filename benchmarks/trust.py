"""What signed components cost: a session in a new worker, one in a worker that is there, and a look for news.

A worker tells what its imports and its verification took. Sessions in a kept worker are made in turn behind metadata
that was signed anew, which it verifies, and behind what it has seen: the difference is what verification costs.

    python -m benchmarks.trust              these figures alone
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.processes import median
from benchmarks.results import Ratio
from drm.app.components.fetcher import ComponentFetcher
from drm.app.components.installed import component_folders
from drm.app.components.store import ComponentStore
from drm.app.components.supply import ComponentSupply
from drm.app.components.trust import ComponentTrust
from drm.app.components.updater import update_components
from drm.app.server import PMPServer, create_pmp_server
from drm.app.session_proxy import SessionConfiguration, create_pmp_media_session
from drm.app.worker_configuration import WorkerConfiguration
from drm.trust.authority.create import create_authority
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.published import root_bytes
from drm.trust.authority.publishing import publish
from license_server.process import LicenseServer

__all__ = ["BARS", "COLD", "WARM", "run"]

BARS: Final = {"cold": 40.0, "warm": 5.0, "refresh": 3}  # ms, ms, requests
COLD = 7  # workers
WARM = 20  # sessions of each kind
_OF_TRUST: Final = ("import_trust", "warm_up_trust")  # laps of a worker's start that verification alone needs


def run() -> list[Ratio]:
    """Measure all three."""
    work = Path(tempfile.mkdtemp(prefix="clearkey-trust-", dir=_memory()))
    try:
        home = AuthorityHome(work / "authority", lambda _key: "", encrypted=False)
        create_authority(home, root_keys=1, root_threshold=1)
        publish(home, component_folders())
        with LicenseServer(components=home.trees.shown) as server:
            trust = ComponentTrust(
                root=root_bytes(home.trees.shown, 1), store=work / "store", repository=server.components_url
            )
            ComponentSupply(trust).update()
            return [_cold(trust), _warm(trust, home), _refresh(trust)]
    finally:
        shutil.rmtree(work)


def _cold(trust: ComponentTrust) -> Ratio:
    found = []
    for _ in range(COLD):
        with create_pmp_server(WorkerConfiguration(trust=trust)) as server:
            report = server.protection_report
            assert report.trust is not None
            found.append(sum(report.startup_ms[lap] for lap in _OF_TRUST) + report.trust.verify_ms)
    value = median(found)
    detail = f"ms of a new worker's start, {len(found)} workers, {min(found):.1f} to {max(found):.1f}"
    return Ratio("verified components, cold", value, BARS["cold"], "at most", detail, {"ms": found})


def _warm(trust: ComponentTrust, home: AuthorityHome) -> Ratio:
    behind_news: list[float] = []
    as_seen: list[float] = []
    verified: list[float] = []
    with create_pmp_server(WorkerConfiguration(trust=trust)) as server:
        for _ in range(WARM):
            with home.change(("sign anew",)) as repository:
                repository.finish(renew_snapshot=True)
            ComponentSupply(trust).update()
            behind_news.append(_created(server))
            report = server.protection_report.trust
            assert report is not None
            verified.append(report.verify_ms)
            as_seen.append(_created(server))
    value = median(behind_news) - median(as_seen)
    detail = (
        f"ms more for a session behind new metadata than behind what was seen ({median(behind_news):.1f} and "
        f"{median(as_seen):.1f} ms); the verification itself {median(verified):.1f} ms"
    )
    figures: dict[str, object] = {"behind_news": behind_news, "as_seen": as_seen, "verified": verified}
    return Ratio("verified components, warm", value, BARS["warm"], "at most", detail, figures)


def _created(server: PMPServer) -> float:
    began = time.perf_counter()
    session = create_pmp_media_session(configuration=SessionConfiguration(server_context=server))
    took = (time.perf_counter() - began) * 1000
    session.shutdown()
    return took


def _refresh(trust: ComponentTrust) -> Ratio:
    assert trust.root is not None
    assert trust.store is not None
    store = ComponentStore(trust.store)
    with ComponentFetcher(trust.store / "tmp") as fetcher:
        began = time.perf_counter()
        update_components(store, trust.root, trust.repository, fetcher)
        took = (time.perf_counter() - began) * 1000
        requests = fetcher.requests
    detail = f"requests when nothing is new, {took:.1f} ms"
    return Ratio("warm refresh of components", requests, BARS["refresh"], "at most", detail, {"ms": took})


def _memory() -> str | None:
    """In memory where there is one: the publisher waits for its disk, and is not what is measured."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder of our own within


if __name__ == "__main__":
    for ratio in run():
        print(ratio.line())
