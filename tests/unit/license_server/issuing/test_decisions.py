"""What is decided over single requests, to the second and to the byte, in this process."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from drm.keys import ContentKey, KeyId
from drm.license.clearkey import MAX_MESSAGE, parse_jwk_set
from drm.license.sealed import SealedRequest, make_registration
from drm.rights.policy import Policy
from license_server.decisions import Decision, DeviceRules, HeldKey, KeyRequest, RequestFacts, refusal
from license_server.issuing.faults import Faults
from license_server.issuing.licenses import IssuingContext
from license_server.issuing.rate_limits import Limit, RateLimit
from license_server.issuing.registration import INDIVIDUALIZE
from license_server.issuing.service import LicenseService
from license_server.metrics import Counters
from license_server.problems import ProblemError
from license_server.store.audit import Audit, AuditMode, audit_rows
from license_server.store.keys import Place
from tests.unit.license_server.issuing.desk import AUDIO, DEVICE_KEY, KEYS, UNKNOWN, VIDEO, Desk, desk, problem

Make = Callable[..., Desk]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda **context: stack.enter_context(desk(tmp_path, monkeypatch, **context))


# ------------------------------------------------------------------------------------------------ what is said of them
def test_no_decision_request_or_key_prints_a_key_a_token_or_a_body() -> None:
    key = ContentKey(b"secret content 1")
    said = " ".join(
        repr(thing)
        for thing in (
            Decision(200, "application/json", b"body with " + key.secret, kids=(VIDEO,), headers=(("A", "b"),)),
            KeyRequest(b"body with " + key.secret, "Bearer secret.token", "token=secret.token", "192.0.2.7"),
            HeldKey(key, Policy(), "movie"),
        )
    )
    for form in ("secret", key.secret.hex(), "body", repr(list(key.secret)), "token"):
        assert form not in said
    assert repr(Decision(404, "text/html", b"", "key_unknown", (VIDEO,))) == (
        f"Decision(404, 'key_unknown', kids=({VIDEO!r},))"
    )
    assert repr(KeyRequest(client="192.0.2.7")) == "KeyRequest(client='192.0.2.7')"


def test_a_refusal_says_all_that_is_known_of_the_request() -> None:
    facts = RequestFacts((VIDEO,), "device", "1 enrolled", "somebody", "token id")
    made = refusal(ProblemError(403, "key_revoked", "words", kids=[VIDEO], headers=(("Retry-After", "1"),)), facts)
    assert (made.status, made.code, made.media_type) == (403, "key_revoked", "application/problem+json")
    assert json.loads(made.body)["kids"] == [VIDEO.base64url]
    assert (made.kids, made.device_id, made.level) == ((VIDEO,), "device", "1 enrolled")
    assert (made.subject, made.token_id, made.headers) == ("somebody", "token id", (("Retry-After", "1"),))


# ------------------------------------------------------------------------------------------------ plain licenses
def test_a_plain_license_has_the_keys_that_were_asked_for_and_no_others(make: Make) -> None:
    at = make()
    one, both = at.license(AUDIO), at.license(AUDIO, VIDEO)
    assert (one.status, one.media_type, one.code, one.kids) == (200, "application/json", "issued", (AUDIO,))
    assert parse_jwk_set(one.body) == {AUDIO: KEYS[AUDIO]}
    assert parse_jwk_set(both.body) == KEYS
    assert (one.cors, one.pause, one.headers) == (True, 0.0, ())


@pytest.mark.parametrize(("more", "code"), [(0, "issued"), (1, "request_too_large")])
def test_a_request_has_so_many_bytes_at_most(make: Make, more: int, code: str) -> None:
    body = json.dumps({"kids": [VIDEO.base64url]}).encode()
    decision = make().ask(body + b" " * (MAX_MESSAGE - len(body) + more))
    assert decision.code == code
    if more:
        assert (decision.status, problem(decision)["detail"]) == (413, f"at most {MAX_MESSAGE} bytes")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"kids":["\xff"]}', "request_malformed"),
        (b'{"kids":["dnZ2dnZ2dnZ2dnZ2dnZ2dg"],"more":"\xff"}', "request_malformed"),
        (b'{"kids":[]}', "request_malformed"),
        (b'{"kids":["dmR2"]}', "request_malformed"),
        (b'{"kids":["dnZ2dnZ2dnZ2dnZ2dnZ2dg"],"type":"persistent-license"}', "type_not_offered"),
        (b'{"kids":["dnZ2dnZ2dnZ2dnZ2dnZ2dg"],"pmp":"a.b.c"}', "request_malformed"),
    ],
)
def test_what_is_no_request_is_refused(make: Make, body: bytes, code: str) -> None:
    decision = make().ask(body)
    assert (decision.status, decision.code) == (400, code)
    assert problem(decision)["detail"]


def test_refusals_name_the_keys_that_they_are_about(make: Make) -> None:
    at = make()
    other = KeyId(b"o" * 16)
    at.store.keys.add({other: ContentKey(b"O" * 16)}, places={other: Place("movie", "HD")})
    unknown = at.license(VIDEO, UNKNOWN)
    assert (unknown.status, unknown.code) == (404, "key_unknown")
    assert problem(unknown)["detail"] == "no key is held for 1 of the 2 key ids asked for"
    assert problem(unknown)["kids"] == [UNKNOWN.base64url]
    at.store.keys.revoke(AUDIO)
    at.store.contents.revoke("movie")
    at.clock.advance(1)
    revoked = at.license(VIDEO, AUDIO, other)
    assert (revoked.status, revoked.code, problem(revoked)["kids"]) == (403, "key_revoked", [AUDIO.base64url])
    content = at.license(VIDEO, other)
    assert (content.status, content.code, problem(content)["kids"]) == (403, "content_revoked", [other.base64url])
    assert at.license(VIDEO).code == "issued"


def test_a_raw_key_is_sixteen_bytes_or_a_refusal(make: Make) -> None:
    at = make()
    found = at.service.hls_key(VIDEO.hex, KeyRequest())
    assert (found.status, found.media_type, found.body) == (200, "application/octet-stream", KEYS[VIDEO].secret)
    assert (found.code, found.kids) == ("issued", (VIDEO,))
    nowhere = at.service.hls_key("no key id", KeyRequest())
    assert (nowhere.status, nowhere.code) == (400, "request_malformed")
    assert at.service.hls_key(UNKNOWN.hex, KeyRequest()).code == "key_unknown"


@pytest.mark.parametrize(("seconds", "code"), [(99, "issued"), (100, "license_expired")])
def test_the_end_of_a_key_is_judged_by_the_servers_clock(make: Make, seconds: int, code: str) -> None:
    at = make()
    at.store.keys.set_policy(VIDEO, Policy(expires=int(at.clock.now) + 100))
    at.clock.advance(seconds)
    assert at.license(VIDEO).code == code


def test_a_change_is_in_force_within_a_second(make: Make) -> None:
    """By the clock of the worker: the bound that the documentation gives is shown here, and no wall clock is needed."""
    at = make()
    assert at.license(VIDEO).code == "issued"
    at.store.keys.revoke(VIDEO)
    at.clock.advance(0.99)
    assert at.license(VIDEO).code == "issued", "kept for as long as that: otherwise this shows no bound"
    at.clock.advance(0.01)
    assert at.license(VIDEO).code == "key_revoked"
    at.store.keys.revoke(VIDEO, restore=True)
    at.clock.advance(1)
    assert at.license(VIDEO).code == "issued"


def test_a_fault_of_the_server_is_an_answer_without_a_word_of_it(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    at = make()
    with at.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE content_keys SET wrapped = x'00'")
    broken = at.license(VIDEO)
    assert (broken.status, broken.code) == (500, "server_error")
    assert "does not unwrap" in caplog.text
    with at.store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE content_keys")
    at.clock.advance(1)
    at.store.engine.dispose()
    caplog.clear()
    assert at.service.license(KeyRequest(b'{"kids":["%b"]}' % UNKNOWN.base64url.encode())).code == "server_error"
    assert "unexpected OperationalError at " in caplog.text
    places = re.search(r"OperationalError at (.*)", caplog.text)
    assert places is not None
    assert re.fullmatch(r"\w+\.py:\d+( > \w+\.py:\d+){5}", places[1]), "the last six frames, each as file and line"
    assert "content_keys" not in caplog.text


def test_each_decision_is_logged_in_one_line(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "license_server.issuing.service")
    at = make()
    at.license(VIDEO, AUDIO)
    at.license(UNKNOWN)
    at.register()
    _, sealed = at.sealed()
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        f"200 issued kid={VIDEO} kid={AUDIO}",
        f"404 key_unknown kid={UNKNOWN}",
        f"200 registered device={sealed.device_id}",
        f"200 sealed kid={VIDEO} device={sealed.device_id} level=1 self-asserted",
    ]


def test_each_decision_is_counted_and_written_down_with_the_time_that_it_took(make: Make) -> None:
    at = make()
    metrics = Counters(0).part(0)

    class Slow:
        """A store that takes its time."""

        def get_many(self, kids: Sequence[KeyId]) -> object:
            at.clock.advance(0.25)
            return at.store.licenses.get_many(kids)

    office = IssuingContext(keys=Slow(), devices=at.store.devices)
    audit = Audit(at.store.engine, AuditMode.SYNC)
    service = LicenseService(office, audit=audit, metrics=metrics, faults=Faults())
    began = at.clock.now
    body = b'{"kids":["%b"]}' % VIDEO.base64url.encode()
    assert service.license(KeyRequest(body, client="192.0.2.7")).code == "issued"
    assert service.license(KeyRequest(body, query="fault=expired")).code == "license_expired"
    rows = audit_rows(at.store.engine)
    assert {(row.action, row.code, row.kids, row.microseconds) for row in rows} == {
        ("license", "issued", VIDEO.hex, 250_000),
        ("license", "license_expired", VIDEO.hex, 250_000),
    }
    (issued,) = (row for row in rows if row.code == "issued")
    assert (issued.at, issued.client) == (began, "192.0.2.7")
    assert set(metrics.requests()) == {("license", "issued", 1), ("license", "license_expired", 1)}
    assert [times.seconds for times in metrics.times() if times.action == "license"] == [0.5]


# ------------------------------------------------------------------------------------------------ sealed licenses
def test_a_device_registers_and_then_gets_a_sealed_license_with_its_policy(make: Make) -> None:
    at = make()
    at.store.keys.set_policy(VIDEO, Policy(sealed_only=True, hdcp=1))
    assert at.license(VIDEO).code == "sealed_required"
    _, unknown = at.sealed()
    assert (unknown.status, unknown.code) == (403, "individualization_required")
    assert problem(unknown)["individualize"] == INDIVIDUALIZE == "individualize"
    registered = at.register()
    assert (registered.status, registered.code, registered.media_type) == (200, "registered", "application/json")
    assert json.loads(registered.body) == {"device": registered.device_id}
    request, decision = at.sealed()
    assert (decision.status, decision.code, decision.level) == (200, "sealed", "1 self-asserted")
    assert (decision.kids, decision.device_id) == ((VIDEO,), registered.device_id)
    opened = request.open(decision.body)
    assert (opened.keys, opened.policy) == ({VIDEO: KEYS[VIDEO]}, Policy(sealed_only=True, hdcp=1))


def test_a_request_is_answered_once_and_over_its_own_key_ids(make: Make) -> None:
    at = make()
    at.register()
    request, first = at.sealed()
    assert first.code == "sealed"
    again = at.license(VIDEO, pmp=request.jws)
    assert (again.status, again.code) == (403, "request_replayed")
    assert problem(again)["detail"].endswith("make a new one")
    crossed = at.license(AUDIO, pmp=request.jws)
    assert (crossed.status, crossed.code) == (400, "request_malformed")
    assert "other key ids" in problem(crossed)["detail"]


@pytest.mark.parametrize("late", [-301, -300, 0, 300, 301])
def test_a_request_is_taken_for_five_minutes_either_way(make: Make, late: int) -> None:
    at = make()
    at.register()
    request = SealedRequest.make(DEVICE_KEY, [VIDEO], {"level": 1}, {})
    at.clock.advance(late)
    decision = at.license(VIDEO, pmp=request.jws)
    assert decision.code == ("sealed" if abs(late) <= 300 else "request_stale")
    if abs(late) > 300:
        assert decision.status == 403
        assert problem(decision)["detail"].startswith(f"the request was signed {late} seconds ago")
        assert "and 300 are allowed" in problem(decision)["detail"]


def test_a_replay_is_noticed_for_as_long_as_the_request_is_fresh(make: Make) -> None:
    at = make()
    at.register()
    request = SealedRequest.make(DEVICE_KEY, [VIDEO], {"level": 1}, {})
    at.clock.advance(-300)
    assert at.license(VIDEO, pmp=request.jws).code == "sealed"
    at.clock.advance(600)
    at.sealed()  # tidies away what is old
    assert at.license(VIDEO, pmp=request.jws).code == "request_replayed"


def test_a_nonce_is_forgotten_when_its_request_could_not_be_fresh_any_more(make: Make) -> None:
    at = make()
    at.register()
    at.sealed()
    for seconds, left in ((601, 2), (1, 2), (601, 2)):
        at.clock.advance(seconds)
        assert at.sealed()[1].code == "sealed"
        with at.store.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM nonces").scalar() == left, seconds


@pytest.mark.parametrize(
    ("rules", "level", "enrolled", "code"),
    [
        (Policy(min_level=2), 2, True, "sealed"),
        (Policy(min_level=2), 1, True, "level_too_low"),
        (Policy(min_level=2), 2, False, "level_too_low"),
        (Policy(expires=5), 2, True, "license_expired"),
        (Policy(not_before=1 << 37), 2, True, "license_not_yet_valid"),
        (Policy(actions=()), 2, True, "play_not_granted"),
    ],
)
def test_the_rules_of_a_key_are_kept_before_it_is_sealed(
    make: Make, rules: Policy, level: int, enrolled: bool, code: str
) -> None:
    at = make()
    device = at.register().device_id
    at.store.keys.set_policy(VIDEO, rules)
    if enrolled:
        at.store.devices.enrol(device)
    _, decision = at.sealed(level=level)
    assert (decision.code, decision.status) == (code, 200 if code == "sealed" else 403)


def test_only_enrolled_devices_when_the_operator_says_so(make: Make) -> None:
    at = make(rules=DeviceRules(enrolled_only=True))
    refused = at.register()
    assert (refused.status, refused.code) == (403, "device_refused")
    asked = at.sealed()[1]
    assert (asked.status, asked.code) == (403, "device_refused")
    at.store.devices.enrol(refused.device_id)
    assert at.register().code == "registered"
    _, decision = at.sealed(level=2)
    assert (decision.code, decision.level) == ("sealed", "2 enrolled")
    at.store.devices.revoke(refused.device_id)
    assert at.register().code == at.sealed()[1].code == "device_revoked"


def test_what_is_no_registration_is_refused(make: Make) -> None:
    at = make()
    refused = at.service.register(KeyRequest(b"a.b.c"))
    assert (refused.status, refused.code) == (400, "request_malformed")
    large = at.service.register(KeyRequest(b"x" * (MAX_MESSAGE + 1)))
    assert (large.status, large.code) == (413, "request_too_large")


def test_a_registration_is_fresh_too(make: Make) -> None:
    at = make()
    body = make_registration(DEVICE_KEY)
    at.clock.advance(301)
    assert at.service.register(KeyRequest(body)).code == "request_stale"


# ------------------------------------------------------------------------------------------------ rate limits
def test_a_limit_counts_by_client_and_by_title(make: Make) -> None:
    at = make(limit=RateLimit(Limit(8, 10)))
    other = KeyId(b"o" * 16)
    at.store.keys.add({other: ContentKey(b"O" * 16)}, places={other: Place("movie", "HD")})
    assert [at.license(VIDEO).status for _ in range(9)] == [200] * 8 + [429]
    assert at.license(VIDEO, client="there").status == 200
    assert at.license(other).status == 200
