"""The pytest plugin: fixtures for those who must prove that packager, license server and player work together.

pytest loads it wherever clearkey is installed (entry point `clearkey`; `-p no:clearkey` leaves it out). Every import
of ours stands inside the fixture that needs it, so that a run which uses none pays nothing.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from drm.app.session_proxy import MediaSessionProxy
    from drm.errors import DRMError
    from license_server.process import LicenseServer
    from player.testing.assertions import Keys, Played
    from player.testing.fixture_server import FixtureServer
    from sample_content.small import SmallSample

# ruff: noqa: PLC0415 - see above

__all__ = [
    "assert_plays", "clearkey_keys", "clearkey_server", "clearkey_servers", "encrypted_sample", "pmp_session",
    "pytest_addoption",
]  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what pytest.ini and pyproject.toml may say."""
    parser.addini("clearkey_keys_file", "keys file whose keys `clearkey_server` knows, from the rootdir", default="")
    parser.addini("clearkey_min_level", "isolation level (1 to 3) that every worker of a test must have", default="1")


@pytest.fixture(scope="session")
def clearkey_keys(pytestconfig: pytest.Config) -> Keys:
    """The keys that `clearkey_server` knows: those of `clearkey_keys_file`. Override it to give others.

    A dict of KIDs and keys in any notation, or the path of a keys file.
    """
    name = pytestconfig.getini("clearkey_keys_file")
    return pytestconfig.rootpath / name if name else {}


@pytest.fixture(scope="session")
def clearkey_server(clearkey_keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FixtureServer]:
    """A real license server in a process of its own, for the whole run: `.license_url`, `.url`, `.add_key(KID, KEY)`.

    It knows `clearkey_keys` and the keys of every `encrypted_sample`.
    """
    from drm.media import Scheme
    from player.testing.assertions import content_keys
    from player.testing.fixture_server import FixtureServer
    from sample_content.small import small_sample_keys

    folder = tmp_path_factory.mktemp("clearkey-server")
    with contextlib.ExitStack() as running:
        running.callback(shutil.rmtree, folder, ignore_errors=True)  # no key outlives the run, wrapped or not
        with _failing_in_full():
            known = {kid: key for scheme in Scheme for kid, key in small_sample_keys(scheme).items()}
            server = running.enter_context(FixtureServer(folder, known | content_keys(clearkey_keys)))
        yield server


@pytest.fixture
def clearkey_servers() -> Iterator[Callable[..., LicenseServer]]:
    """Start servers of the test's own: `clearkey_servers(keys={kid: key}, policies=…)`. They end with the test.

    It takes the arguments of `license_server.process.LicenseServer`, and `keys` in any notation too.
    """
    from license_server.process import LicenseServer
    from player.testing.assertions import content_keys

    with contextlib.ExitStack() as running:

        def start(*, keys: Keys | None = None, **arguments: Any) -> LicenseServer:  # noqa: ANN401 - LicenseServer's
            __tracebackhide__ = True
            if keys is not None:
                arguments["keys"] = content_keys(keys)
            return running.enter_context(LicenseServer(**arguments))

        yield start


@pytest.fixture(scope="session")
def encrypted_sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SmallSample:
    """A real MP4 of two seconds, made on the spot: `.path`, `.clear`, `.keys`, `.scheme`, `.video_frames`.

    Encrypted with cenc; `@pytest.mark.parametrize("encrypted_sample", ["cenc", "cbcs"], indirect=True)` chooses.
    """
    from drm.media import Scheme
    from sample_content.small import make_small_sample

    return make_small_sample(tmp_path_factory.mktemp("clearkey-sample"), Scheme(getattr(request, "param", "cenc")))


@pytest.fixture
def pmp_session(pytestconfig: pytest.Config) -> Iterator[Callable[..., MediaSessionProxy]]:
    """Make Media Sessions, each in a locked-down worker: `pmp_session(license_url=…)`. They end with the test.

    Rights come from `keys` or `license_url`; the rest are attributes of `drm.app.session_proxy.SessionConfiguration`.
    Where the machine does not give the isolation, the test fails with the reason: it is not skipped.
    """
    from drm.app.session_proxy import SessionConfiguration, create_pmp_media_session
    from player.options import component_trust
    from player.testing.assertions import rights_from

    with contextlib.ExitStack() as running:

        def make(
            *,
            keys: Keys | None = None,
            license_url: str | None = None,
            license_form: str = "auto",
            **attributes: Any,  # noqa: ANN401
        ) -> MediaSessionProxy:
            __tracebackhide__ = True
            attributes.setdefault("min_level", _min_level(pytestconfig))
            with _failing_in_full():
                if keys is not None or license_url:
                    attributes["content_protection_manager"] = rights_from(keys, license_url, form=license_form)
                attributes.setdefault("trust", component_trust())
                session = create_pmp_media_session(configuration=SessionConfiguration(**attributes))
            return running.enter_context(session)

        yield make


@pytest.fixture
def assert_plays(pytestconfig: pytest.Config) -> Callable[..., Played]:
    """`assert_plays(path, keys=… or license_url=…, frames=…, compare=…)`: see `player.testing.assertions.assert_plays`.

    `clearkey_min_level` is its level, unless the test gives one.
    """
    from player.testing.assertions import assert_plays as plays

    return functools.partial(plays, min_level=_min_level(pytestconfig))


def _min_level(config: pytest.Config) -> int:
    text = str(config.getini("clearkey_min_level"))
    if text not in {"1", "2", "3"}:
        raise pytest.UsageError(f"clearkey_min_level is 1, 2 or 3, not {text!r}")
    return int(text)


@contextlib.contextmanager
def _failing_in_full() -> Iterator[None]:
    """Fail with the paragraph that the `clearkey` command would print, when what a test stands on is not to be had."""
    from drm.errors import InvalidArgumentError, IsolationError, KeysFileError, LicenseServerUnreachableError

    __tracebackhide__ = True
    failure: DRMError | None = None
    try:
        yield
    except (InvalidArgumentError, IsolationError, KeysFileError, LicenseServerUnreachableError) as error:
        failure = error
    if failure is not None:
        pytest.fail(failure.render(), pytrace=False)
