"""What others say, made fit for people: by itself, and from every source to every place that shows it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import pickle
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import flask
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from drm.app.http.post import HttpAnswer
from drm.app.rights import license_exchange
from drm.errors import DRMError, ErrorRecord, TrustError, error_from_record
from drm.launch.process import PMPProcess
from drm.license.clearkey import parse_jwk_set
from drm.readable import LIMIT, readable
from drm.rights.policy import parse_policy
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.trust.component_archive import pack_archive, read_component
from drm.wire.channel import Channel
from license_server.pages import blueprint
from player import progress
from player.guarded_output import GuardedText
from player.json_output import encode_json
from player.one_line import echo_line
from player.verbs import play
from player.verbs.components import show
from player.verbs.components.state import AuthorityState, ComponentRow, Components
from player.verbs.demo import report as demo_report
from tests.unit.hostile_words import EVIL, NAUGHTY, is_clean


# ------------------------------------------------------------------------------------------------ the function
@pytest.mark.parametrize(
    "text",
    [
        "plain", "Grüße aus Köln", "漢字とかな", "Привет, мир", "שלום", "مرحبا", "می\u200cخواهم", "क्\u200dष", "हिन्दी",  # noqa: RUF001
        "👩\u200d🚀 ❤\ufe0f", "e\u0301",
    ],
)  # fmt: skip
def test_every_language_stays_as_it_is(text: str) -> None:
    assert readable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\u202eb\x07\udc80", r"a\u202eb\x07\x80"),
        ("one\r\ntwo\u2028three", "one  two three"),
        ("1\u202f000\xa0km", "1 000 km"),
        ("pass\u200dword \u200c", r"pass\u200dword \u200c"),
        ("\U000e0041\u3164", r"\U000e0041\u3164"),
    ],
)
def test_what_acts_on_its_reader_is_told_by_number(text: str, shown: str) -> None:
    assert readable(text) == shown


def test_it_is_bounded_and_says_so() -> None:
    assert readable("x" * (LIMIT + 7)) == "x" * LIMIT + "… (7 more characters)"
    assert readable("x" * (LIMIT + 7), None) == "x" * (LIMIT + 7)


@given(st.text())
def test_no_text_comes_out_raw(text: str) -> None:
    for lines in (False, True):
        for char in readable(text, None, lines=lines):
            allowed = char.isprintable() or char in "\u200c\u200d" or (lines and char in "\n\t")
            assert allowed, repr(char)


# ------------------------------------------------------------------------------------------------ sources and places
def from_record() -> DRMError:
    """A worker's error record."""
    return error_from_record(ErrorRecord("E-MEDIA", 1, EVIL, EVIL, EVIL, EVIL, EVIL, (EVIL,)))


def from_own_text() -> DRMError:
    """Names and values of files, put into an error where they were found: keys files, licenses, manifests, media."""
    return DRMError(f"the file {EVIL} is off", where=EVIL, seen=EVIL, maybe=EVIL, remedy=EVIL, kids=(EVIL,))


def from_server(status: int, location: str = "") -> DRMError:
    body = json.dumps({"title": EVIL, "detail": EVIL, "code": EVIL, "type": "urn:clearkey:problem:" + EVIL}).encode()
    answer = HttpAnswer(status, "application/problem+json", body, location)
    return license_exchange._refusal(answer, license_exchange._problem(answer), "http://127.0.0.1/license")


def from_license() -> DRMError:
    """A license, as the worker reads it: keys, policy, and what is none of them."""
    for data in ({"keys": [{"kty": "oct", "kid": EVIL, "k": EVIL}]}, {EVIL: EVIL}, {"keys": EVIL, "type": EVIL}):
        with pytest.raises(DRMError) as found:
            parse_jwk_set(json.dumps(data).encode())
        assert is_clean(found.value.render())
    with pytest.raises(DRMError) as refused:
        parse_policy(json.dumps({EVIL: EVIL, "actions": [EVIL], "tracks": {EVIL: [EVIL]}}).encode())
    return refused.value


def from_component() -> DRMError:
    """A component's description."""
    text = json.dumps(EVIL.replace("\x7f", ""))
    description = f"name = {text}\nclass_id = {text}\nversion = {text}\napi = 1\nentry_point = {text}\n"
    with pytest.raises(DRMError) as refused:
        read_component(pack_archive({"component.toml": description.encode()}), EVIL)
    return refused.value


ERRORS: dict[str, Callable[[], DRMError]] = {
    "a worker's record": from_record,
    "a file's words": from_own_text,
    "a server's refusal": lambda: from_server(403),
    "a server's fault": lambda: from_server(500),
    "a server's redirection": lambda: from_server(302, EVIL),
    "a license": from_license,
    "a component": from_component,
}


def terminal(error: DRMError) -> str:
    return error.render()


def as_json(error: DRMError) -> str:
    return encode_json({"error": error.to_dict()}, indent=2)


def log(error: DRMError) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("tests.peer")
    logger.addHandler(handler)
    logger.error("%s", error.render())
    logger.removeHandler(handler)
    return stream.getvalue()


def page(error: DRMError) -> str:
    import jinja2

    environment = jinja2.Environment(autoescape=True, finalize=demo_report._finalized)
    return (
        environment.from_string("<p>{{ error.what }}</p><p>{{ error.seen }}</p>").render(error=error).replace("\n", "")
    )


def admin_page(error: DRMError) -> str:
    """What the license server's pages make of a name that somebody gave."""
    app = flask.Flask("license_server")
    app.jinja_env.finalize = blueprint._finalized
    with app.app_context():
        text = flask.render_template_string("<p>{{ error.what }}</p><p>{{ error.seen }}</p>", error=error)
    return text.replace("\n", "")


def server_log(error: DRMError) -> str:
    """Standard error of `python -m license_server` and `clearkey serve`: the record quotes what raised it."""
    code = (
        "import logging, sys, pickle\n"
        "from license_server.serving.log import log_to_stderr\n"
        "log_to_stderr(logging.INFO)\n"
        "for text in pickle.load(sys.stdin.buffer):\n"
        "    logging.getLogger('server').warning('%s', text)\n"
        "    try:\n        raise ValueError(text)\n"
        "    except ValueError as fault:\n        logging.exception(fault)\n"
    )
    words = pickle.dumps([error.what, error.seen, EVIL])
    run = subprocess.run([sys.executable, "-c", code], input=words, capture_output=True, timeout=60, check=True,
                         env=os.environ | {"PYTHONIOENCODING": "utf-8"})  # fmt: skip
    text = run.stderr.decode()
    assert text.count("WARNING") == 3
    assert r"\x1b]52" in text
    return text


def verbose(error: DRMError) -> str:
    """The events of `play -v`."""
    said = {name: getattr(error, name) for name in ("what", "seen", "maybe")} | {EVIL: EVIL}
    stream = io.StringIO()
    with contextlib.redirect_stderr(stream):
        play._show(MediaEvent(E.ERROR, error.hresult, said))
    return stream.getvalue()


def bar(error: DRMError) -> str:
    """A progress bar on a terminal, which rich draws past the guard. What it is for is another's word."""
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as screen, pytest.MonkeyPatch.context() as patch:  # noqa: PTH123
        patch.setattr(sys, "stderr", screen)
        patch.setattr(sys, "__stderr__", screen)
        patch.setattr(progress, "_PATIENCE", 0)
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "500")
        with progress.Progress(quiet=False, what=error.what) as drawn:
            drawn.show(1, 2)
            drawn.name(f"[bold]{EVIL}")
            drawn.show(3, 0)
            drawn._bar.refresh()  # type: ignore[union-attr]  # it was drawn
    said = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while more := os.read(ours, 1 << 16):
            said += more
    os.close(ours)
    text = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", said.decode())  # what rich itself says to the terminal
    assert r"\x1b]52" in text
    assert "[bold]" in text
    return text.replace("\r", "")


PLACES = (terminal, as_json, log, page, admin_page, server_log, verbose, bar)


@pytest.mark.parametrize("place", PLACES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("source", ERRORS)
def test_an_error_with_others_words_is_clean_everywhere(source: str, place: Callable[[DRMError], str]) -> None:
    assert is_clean(place(ERRORS[source]()))


def test_the_words_of_a_record_are_clean_before_anybody_logs_them() -> None:
    error = from_record()
    for text in (error.what, error.where, error.seen, error.maybe, error.remedy, str(error), *error.kids):
        assert is_clean(text, lines=1)


def test_json_keeps_the_value_that_it_escapes() -> None:
    text = encode_json({"name": EVIL + "\U000e0041", EVIL: 1})
    assert is_clean(text, lines=1)
    assert json.loads(text) == {"name": EVIL + "\U000e0041", EVIL: 1}


def test_a_workers_last_line_is_clean() -> None:
    process = PMPProcess.__new__(PMPProcess)  # no worker: only what one has said
    process._stderr = ("first\n" + EVIL.replace("\r\n", " ").replace("\u2028", " ") + "\n").encode()
    assert is_clean(process._last_line(), lines=1)
    assert r"\x1b]52" in process._last_line()


def test_the_guard_lets_nothing_out_but_our_own_styles() -> None:
    raw = io.BytesIO()
    guard = GuardedText(raw, encoding="utf-8", write_through=True)
    said = f"\x1b[1mbold\x1b[0m {EVIL}\n"
    assert guard.write(said) == len(said)
    text = raw.getvalue().decode()
    assert text.startswith("\x1b[1mbold\x1b[0m ")
    assert not any(char in text.removeprefix("\x1b[1mbold\x1b[0m ") for char in NAUGHTY), text


def test_a_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    echo_line(f"note: {EVIL}", err=True)
    assert is_clean(capsys.readouterr().err, lines=1)


@pytest.mark.parametrize("verb", ["list", "verify"])
@pytest.mark.parametrize("words", [[], ["--json"]], ids=["text", "json"])
def test_a_list_of_components_says_nothing_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, verb: str, words: list[str]
) -> None:
    """Names, versions, reasons and renewals are those of whoever signed them."""
    row = ComponentRow(name=EVIL, version=EVIL, class_id=EVIL, sha256=EVIL, signer=EVIL, state=EVIL, reason=EVIL,
                       update=EVIL, is_needed=True)  # fmt: skip
    when = datetime(2026, 1, 1, tzinfo=UTC)
    authority = AuthorityState(origin=EVIL, root=EVIL, is_pinned=False, versions={EVIL: 1}, revocation_list=1,
                               issued=when, signed=when, freshness=EVIL, expires=when, revoked=(EVIL,))  # fmt: skip
    found = Components(rows=(row,), authorities=(authority,), faults=(TrustError(EVIL, seen=EVIL),))
    monkeypatch.setattr(show, "look_at_components", lambda _trust: found)
    run = CliRunner().invoke(show.COMMANDS[verb], words, standalone_mode=False)
    text = run.output
    assert r"\x1b]52" in text or r"\u001b]52" in text
    assert is_clean(text)


def test_a_channel_says_what_it_got_in_words_that_are_clean() -> None:
    """A message whose decoding fails quotes what came."""
    import socket

    from drm.errors import WireError

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.send(b"\x81\xa1\x1b\xa1\x07")
        channel: Channel = Channel(ours, dict[str, int])
        with pytest.raises(WireError) as refused:
            channel.receive()
        assert is_clean(refused.value.render())
