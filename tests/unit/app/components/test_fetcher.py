"""The fetcher under python-tuf's client: what it takes, and what it calls that which it does not."""

import socket
import ssl
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError

from drm.app.components.fetcher import (
    ComponentFetcher,
    FetchLimits,
    FetchRefusedError,
    FetchTruncatedError,
    FetchUnreachableError,
)
from drm.errors import InvalidArgumentError
from tests.unit.app.components.raw_server import BODY, Answer, Server, ended_within, flood, head, raw, then, whole

USUAL = FetchLimits(connect=2.0, gap=2.0, total=5.0)
MAX = 1000


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


@pytest.fixture
def fetcher(tmp_path: Path) -> Iterator[ComponentFetcher]:
    with ComponentFetcher(tmp_path, limits=USUAL) as made:
        yield made


# ------------------------------------------------------------------------------------------------ what is taken
def test_a_file_comes_with_its_progress_and_the_servers_time(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    with ComponentFetcher(tmp_path, limits=USUAL, progress=lambda *told: seen.append(told)) as fetcher:
        assert fetcher.download_bytes(server.url, len(BODY)) == BODY
        assert (fetcher.requests, fetcher.server_date) == (1, datetime(2026, 3, 3, 4, 5, 6, tzinfo=UTC))
    assert seen[-1] == (server.url, len(BODY), len(BODY))
    sent = server.heads[0].lower()
    assert b"\r\naccept-encoding: identity\r\n" in sent
    assert b"authorization" not in sent


@pytest.mark.parametrize(
    "answer",
    [
        raw(head(length=None) + BODY),
        raw(head("200 OK", None, "Transfer-Encoding: chunked") + b"64\r\n" + BODY + b"\r\n0\r\n\r\n"),
        raw(head() + BODY + b"and what nobody asked for"),
        then(head(), lambda peer: peer.drip(BODY, 0.001)),
        whole(BODY, "200 OK", "Content-Encoding: identity"),
    ],
    ids=["to its end", "chunked", "more than announced", "in pieces", "named identity"],
)
def test_a_body_is_taken_however_it_is_framed(server: Server, fetcher: ComponentFetcher, answer: Answer) -> None:
    server.answers = [answer]
    assert fetcher.download_bytes(server.url, MAX) == BODY
    assert b"".join(fetcher.fetch(server.url)) == BODY


@pytest.mark.parametrize("date", ["Date: yesterday", "Date: Tue, 99 Mar 2026 04:05:06 +9999999999", "X: y"])
def test_a_date_that_is_none_is_no_failure(server: Server, fetcher: ComponentFetcher, date: str) -> None:
    server.answers = [raw(f"HTTP/1.1 200 OK\r\n{date}\r\nContent-Length: 0\r\n\r\n".encode())]
    assert fetcher.download_bytes(server.url, MAX) == b""
    assert fetcher.server_date is None


def test_one_connection_serves_many_requests_refusals_too(server: Server, fetcher: ComponentFetcher) -> None:
    server.answers = [whole(b"none", "404 Not Found", stays=True), whole(stays=True)]
    with pytest.raises(DownloadHTTPError):
        fetcher.download_bytes(server.url, MAX)
    for _ in range(3):
        assert fetcher.download_bytes(server.url, MAX) == BODY
    assert (len(server.heads), server.connections) == (4, 1)


def test_an_old_connection_that_the_server_closes_is_no_failure(server: Server, fetcher: ComponentFetcher) -> None:
    # It closes when the next request is there: the client cannot have seen it before.
    server.answers = [whole(stays=True), lambda peer: None, whole(), lambda peer: None]
    for _ in range(2):
        assert fetcher.download_bytes(server.url, MAX) == BODY
    with pytest.raises(FetchUnreachableError):  # nor the other extreme: asking for ever
        fetcher.download_bytes(server.url, MAX)
    assert len(server.heads) <= 5


def test_cookies_are_not_kept(server: Server, fetcher: ComponentFetcher) -> None:
    server.answers = [whole(BODY, "200 OK", "Set-Cookie: id=1; Path=/")]
    for _ in range(2):
        fetcher.download_bytes(server.url, MAX)
    assert b"cookie" not in server.heads[1].lower()


def test_a_busy_server_is_asked_again(server: Server, fetcher: ComponentFetcher) -> None:
    # The second refusal never ends: it must not be read.
    busy = then(head("503 Service Unavailable", 1 << 40), lambda peer: peer.sleep(5))
    server.answers = [whole(b"", "502 Bad Gateway"), busy, whole()]
    began = time.monotonic()
    assert fetcher.download_bytes(server.url, MAX) == BODY
    assert time.monotonic() - began < 1.5
    assert fetcher.requests == len(server.heads) == 3


# ------------------------------------------------------------------------------------------------ what is not
@pytest.mark.parametrize("status", [204, 206, 400, 403, 404, 429, 500, 503])
def test_a_status_is_told(server: Server, fetcher: ComponentFetcher, status: int) -> None:
    server.answers = [whole(b"", f"{status} Word", "Retry-After: 7")]
    with pytest.raises(DownloadHTTPError, match=f"HTTP {status} .*again in 7 seconds") as caught:
        fetcher.download_bytes(server.url, MAX)
    assert caught.value.status_code == status
    assert fetcher.requests == (3 if status == 503 else 1)
    assert "hidden" not in str(caught.value)


def test_a_time_to_ask_again_may_be_a_date(server: Server, fetcher: ComponentFetcher) -> None:
    server.answers = [whole(b"", "429 Slow", "Retry-After: Tue, 03 Mar 2026 05:00:00 GMT")]
    with pytest.raises(DownloadHTTPError, match="again after 2026-03-03 05:00:00 UTC"):
        fetcher.download_bytes(server.url, MAX)


NUL_BOMB = zlib.compress(bytes(16 << 20))
STAYS_OPEN = FetchLimits(connect=2.0, gap=30.0, total=30.0)

FAULTS: dict[str, tuple[Answer, type[DownloadError], str]] = {
    "redirect": (
        whole(b"", "302 Found", "Location: http://127.0.0.1:1/x?t=hidden"), FetchRefusedError, "redirects"),
    "no answer": (lambda peer: None, FetchUnreachableError, "broke off"),
    "reset at once": (lambda peer: peer.reset(), FetchUnreachableError, "broke off"),
    "not HTTP": (raw(b"SSH-2.0-OpenSSH_9.9\r\n"), FetchUnreachableError, "broke off"),
    "a head without end": (
        flood(b"", b"X" * 65536), FetchUnreachableError, "broke off"),
    "a thousand headers": (raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000), FetchUnreachableError, "broke off"),
    "compressed": (whole(NUL_BOMB, "200 OK", "Content-Encoding: deflate"), FetchRefusedError, "compressed"),
    "short": (raw(head() + BODY[:40]), FetchTruncatedError, "after 40 of 100 bytes"),
    "short chunk": (
        raw(head("200 OK", None, "Transfer-Encoding: chunked") + b"64\r\n" + BODY[:40]),
        FetchTruncatedError, "ends early, after"),
    "no chunk": (
        raw(head("200 OK", None, "Transfer-Encoding: chunked") + b"zz\r\n" + BODY),
        FetchTruncatedError, "ends early"),
    "reset inside": (
        then(head() + BODY[:40], lambda peer: peer.sleep(0.1) and peer.reset()), FetchTruncatedError, "of 100 bytes"),
    "announced too long": (
        then(head("200 OK", MAX + 1), lambda peer: peer.sleep(30)), DownloadLengthMismatchError, "1001 bytes"),
    "too long": (raw(head(length=None) + bytes(MAX + 1)), DownloadLengthMismatchError, "longer than its 1000"),
    "endless": (
        flood(head(length=None), bytes(65536)), DownloadLengthMismatchError, "longer than its 1000"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_its_name_and_costs_little(server: Server, tmp_path: Path, fault: str) -> None:
    answer, kind, words = FAULTS[fault]
    server.answers = [answer]
    with ComponentFetcher(tmp_path, limits=STAYS_OPEN) as fetcher:
        tracemalloc.start()
        began = time.monotonic()
        try:
            with pytest.raises(kind, match=words) as caught:
                fetcher.download_bytes(server.url, MAX)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert time.monotonic() - began < 2
        assert fetcher.requests == 1, "it was asked again"
    assert peak < 3 << 20
    assert isinstance(caught.value, DownloadError)
    assert not isinstance(caught.value, OSError)
    assert "hidden" not in str(caught.value)
    assert ended_within(1)
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_is_asked_three_times(tmp_path: Path, fetcher: ComponentFetcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"http://127.0.0.1:{held.getsockname()[1]}/x"
    with pytest.raises(FetchUnreachableError, match="Connection refused"):
        fetcher.download_bytes(url, MAX)
    assert fetcher.requests == 3


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://", "x", "http://[::1/", "http://a b/", "http://x:99999/"]
)
def test_a_url_that_is_none_is_refused(fetcher: ComponentFetcher, url: str) -> None:
    with pytest.raises(FetchRefusedError):
        fetcher.download_bytes(url, MAX)


def test_a_ca_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="CA file"):
        ComponentFetcher(tmp_path, cacert=str(tmp_path / "none.pem"))


def self_signed(folder: Path) -> Path:
    """A certificate of this machine, with its key, made for this run."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(certificate.public_bytes(form[0]) + key.private_bytes(*form))
    return folder / "both.pem"


def test_a_certificate_counts_when_its_authority_was_named(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    with Server(tls=context) as server:
        with (
            ComponentFetcher(tmp_path, limits=USUAL) as stranger,
            pytest.raises(FetchUnreachableError, match="no trusted connection"),
        ):
            stranger.download_bytes(server.url, MAX)
        with ComponentFetcher(tmp_path, limits=USUAL, cacert=str(tmp_path / "both.pem")) as fetcher:
            assert fetcher.download_bytes(server.url, MAX) == BODY


def test_a_server_without_tls_is_unreachable_by_https(server: Server, fetcher: ComponentFetcher) -> None:
    with pytest.raises(FetchUnreachableError):
        fetcher.download_bytes(server.url.replace("http:", "https:"), MAX)


# ------------------------------------------------------------------------------------------------ environment, disk
def test_no_proxy_stands_between_processes_of_one_machine(
    server: Server, fetcher: ComponentFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for host in ("127.0.0.1", "localhost"):
        assert fetcher.download_bytes(f"http://{host}:{server.port}/x", MAX) == BODY


def test_elsewhere_the_users_proxy_counts_and_no_password_of_a_file(
    server: Server, fetcher: ComponentFetcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine components.invalid login me password hidden\n")
    (tmp_path / "netrc").chmod(0o600)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert fetcher.download_bytes("http://components.invalid/x", MAX) == BODY
    assert server.heads[0].startswith(b"GET http://components.invalid/x ")
    assert b"authorization" not in server.heads[0].lower()


def test_files_lie_in_the_scratch_folder_and_nowhere_else(
    server: Server, fetcher: ComponentFetcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    with fetcher.download_file(server.url, MAX) as file:
        assert file.read() == BODY
        assert Path(f"/proc/self/fd/{file.fileno()}").readlink().is_relative_to(tmp_path)
    assert not list(tmp_path.iterdir())


DISK_THAT_TAKES_LITTLE = """
import resource, sys
from pathlib import Path
from tuf.api.exceptions import DownloadError
from drm.app.components.fetcher import ComponentFetcher
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with ComponentFetcher(Path(sys.argv[1])) as fetcher:
        fetcher.download_bytes(sys.argv[2], 1 << 20)
except OSError as error:
    sys.exit(f"{error.strerror}, {isinstance(error, DownloadError)}")
"""


@pytest.mark.parametrize("size", [5000, 500_000])  # found at the end, when buffers are written, and in the middle
def test_a_disk_that_takes_no_more_is_no_fault_of_the_network(server: Server, tmp_path: Path, size: int) -> None:
    server.answers = [whole(bytes(size))]
    command = [sys.executable, "-W", "error", "-c", DISK_THAT_TAKES_LITTLE, str(tmp_path), server.url]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert run.stderr.splitlines() == ["File too large, False"]
