"""Requests to real servers that lead elsewhere: what goes along, and what does not."""

import ssl
import threading
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from drm.app.http.byte_stream import HttpByteStream
from drm.app.http.exchange import Answer, Failure, HttpClient, LeftTlsError
from drm.errors import MediaUnreachableError
from license_server.serving.tls import make_certificate

PRIVATE = {"Authorization": "Bearer hidden", "X-Token": "hidden", "Cookie": "id=hidden"}


class Server(ThreadingHTTPServer):
    """Answers as its `leads` say: a path to a target; every other path has the body `here`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.leads: dict[str, str] = {}
        self.endless = False  # the bodies of redirects
        self.seen: list[tuple[str, Message]] = []
        self.ports: set[int] = set()  # of clients: one for each connection
        self.released = threading.Event()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        """Nothing to be read in a test's output."""

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers))
        self.server.ports.add(self.client_address[1])
        target = self.server.leads.get(self.path)
        self.send_response(302 if target else 200)
        if target:
            self.send_header("Location", target)
            self.send_header("Set-Cookie", "step=one")
        body = b"" if target else b"here"
        self.send_header("Content-Length", "1000000000" if target and self.server.endless else str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if target and self.server.endless:
            self.wfile.write(b"and on")
            self.server.released.wait(60)


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    """Two origins of one machine."""
    made = Server(), Server()
    for server in made:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    for server in made:
        server.released.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def client() -> Iterator[HttpClient]:
    made = HttpClient(connect=5, gap=5, redirects=5)
    yield made
    made.close()


def body(answer: Answer) -> bytes:
    return b"".join(answer.pieces())


# ------------------------------------------------------------------------------------------------ what goes along
def test_what_was_given_for_one_origin_does_not_go_to_another(servers, client) -> None:
    ours, foreign = servers
    ours.leads = {"/": "/step", "/step": f"{foreign.origin}/"}
    foreign.leads = {"/": f"{ours.origin}/back"}
    answer = client.get(f"{ours.origin}/", {"Range": "bytes=0-"}, PRIVATE)
    assert (answer.url, body(answer)) == (f"{ours.origin}/back", b"here")
    (_, first), (_, same), (_, back) = ours.seen
    ((_, other),) = foreign.seen
    for headers in (first, same):
        assert {name: headers[name] for name in ("Authorization", "X-Token")} == {
            name: PRIVATE[name] for name in ("Authorization", "X-Token")
        }
    for headers in (other, back):  # and who was sent back by another may have been sent to anything
        assert not [name for name, value in headers.items() if "hidden" in value], headers
    assert {headers["Range"] for headers in (first, same, other, back)} == {"bytes=0-"}
    assert {headers["Accept-Encoding"] for headers in (first, same, other, back)} == {"identity"}


def test_so_it_is_for_media(servers) -> None:
    ours, foreign = servers
    ours.leads = {"/film": f"{foreign.origin}/film"}
    with HttpByteStream(f"{ours.origin}/film", headers=PRIVATE) as stream:
        assert stream.read_at(0, 10) == b"here"
    assert ours.seen[0][1]["X-Token"] == "hidden"
    assert not [value for _, headers in foreign.seen for value in headers.values() if "hidden" in value]


def test_the_user_of_a_url_goes_to_its_origin_alone(servers, client) -> None:
    ours, foreign = servers
    ours.leads = {"/": "/step", "/step": f"{foreign.origin}/"}
    client.get(ours.origin.replace("//", "//me:secret@") + "/", {})
    assert [headers["Authorization"] for _, headers in ours.seen] == ["Basic bWU6c2VjcmV0"] * 2
    assert [headers["Authorization"] for _, headers in foreign.seen] == [None]


def test_files_with_passwords_are_not_read(servers, client, tmp_path, monkeypatch) -> None:
    (tmp_path / "netrc").write_text("default login me password other\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr("drm.app.http.exchange.is_loopback", lambda _: False)  # then the environment counts
    monkeypatch.setenv("NO_PROXY", "*")
    ours, foreign = servers
    ours.leads = {"/": f"{foreign.origin}/"}
    client.get(f"{ours.origin}/", {}, {"Authorization": "Bearer hidden"})
    assert [headers["Authorization"] for _, headers in ours.seen + foreign.seen] == ["Bearer hidden", None]


# ------------------------------------------------------------------------------------------------ redirects
def test_the_body_of_a_redirect_is_not_waited_for(servers, client) -> None:
    ours, _ = servers
    ours.leads, ours.endless = {"/": "/end"}, True
    assert body(client.get(f"{ours.origin}/", {})) == b"here"


def test_from_https_to_http_nothing_is_sent(servers) -> None:
    ours, foreign = servers
    certificate = make_certificate("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    ours.socket = context.wrap_socket(ours.socket, server_side=True)
    ours.leads = {"/": "/step", "/step": f"{foreign.origin}/film?token=hidden"}
    url = ours.origin.replace("http:", "https:")
    client = HttpClient(connect=5, gap=5, redirects=5, trust=str(certificate.chain))
    assert body(client.get(f"{url}/end", {})) == b"here"
    with pytest.raises(LeftTlsError):
        client.get(f"{url}/", {})
    client.close()
    with pytest.raises(MediaUnreachableError, match="from https to http") as refused:
        HttpByteStream(f"{url}/", cacert=str(certificate.chain)).open()
    assert refused.value.where == f"{foreign.origin}/film?...=..."
    assert foreign.seen == []


@pytest.mark.parametrize("endless", [False, True])
def test_where_none_are_followed_they_are_answers(servers, endless: bool) -> None:
    ours, _ = servers
    ours.leads, ours.endless = {"/": "/end"}, endless
    client = HttpClient(connect=5, gap=5)
    answer = client.get(f"{ours.origin}/", {})
    assert (answer.status, answer.target, len(ours.seen)) == (302, f"{ours.origin}/end", 1)
    client.close()


def test_more_than_were_allowed_are_a_failure_of_their_own(servers, client) -> None:
    ours, _ = servers
    ours.leads = {f"/{number}": f"/{number + 1}" for number in range(6)}
    assert body(client.get(f"{ours.origin}/1", {})) == b"here"  # five
    with pytest.raises(Exception) as failed:  # of whatever kind requests raises
        client.get(f"{ours.origin}/0", {})
    assert client.failure(failed.value) == (Failure.REDIRECTS, "the server redirects more than 5 times")


def test_one_connection_serves_a_row_of_redirects(servers, client) -> None:
    """And a cookie that one sets is there for the next."""
    ours, _ = servers
    ours.leads = {"/": "/step", "/step": "/end"}
    client.get(f"{ours.origin}/", {})
    assert [headers["Cookie"] for _, headers in ours.seen] == [None, "step=one", "step=one"]
    assert len(ours.ports) == 1


def test_the_head_has_a_limit_of_its_own(servers) -> None:
    ours, _ = servers
    ours.leads = {"/": "/"}  # for ever
    client = HttpClient(connect=5, gap=5, head=0.2, redirects=1_000_000)
    with pytest.raises(Exception) as failed:
        client.get(f"{ours.origin}/", {})
    assert client.failure(failed.value) == (Failure.LATE, "the server did not answer within 0.2 seconds")
    client.close()
