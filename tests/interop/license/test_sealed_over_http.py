"""Sealed licenses through the real server: individualization, levels, replay, and what a stranger gets."""

import os
import subprocess
import sys

import pytest

from drm.app.rights.license_exchange import AnswerKind, exchange, individualize
from drm.errors import KeyMissingError, LicenseMalformedError, LicenseRefusedError
from drm.license.clearkey import encode_license_request
from drm.license.sealed import SealedRequest, make_registration, verify_registration
from drm.rights.policy import Action
from license_server.process import LicenseServer
from tests.interop.license.conftest import AUDIO, EXPIRED, KEYS, LEVEL_TWO, POLICIES, SEALED_ONLY, UNKNOWN, VIDEO


class Device:
    """A worker's half and an application's half, as far as licenses go."""

    def __init__(self, server: LicenseServer) -> None:
        self.key = os.urandom(32)
        self.server = server
        self.id = verify_registration(make_registration(self.key)).device_id

    def register(self) -> "Device":
        individualize(f"{self.server.url}/individualize", make_registration(self.key))
        return self

    def request(self, *kids, level=2) -> SealedRequest:
        return SealedRequest.make(self.key, kids, {"level": level}, {"ita": "00" * 32})

    def send(self, request: SealedRequest, *kids):
        return exchange(self.server.license_url, encode_license_request(kids, pmp=request.jws))

    def license(self, *kids, level=2):
        request = self.request(*kids, level=level)
        answer = self.send(request, *kids)
        assert answer.kind is AnswerKind.SEALED
        return request.open(answer.body)


@pytest.fixture
def device(server):
    return Device(server).register()


def refused(code, call, *arguments, **options):
    with pytest.raises(LicenseRefusedError) as raised:
        call(*arguments, **options)
    assert f"({code})" in raised.value.what
    return raised.value


def test_a_stranger_registers_and_asks_again(server):
    device = Device(server)
    request = device.request(VIDEO, AUDIO)
    answer = device.send(request, VIDEO, AUDIO)
    assert answer.kind is AnswerKind.NEEDS_INDIVIDUALIZATION
    assert answer.individualize_url == f"{server.url}/individualize"
    individualize(answer.individualize_url, make_registration(device.key))
    opened = request.open(device.send(request, VIDEO, AUDIO).body)
    assert opened.keys == {kid: KEYS[kid] for kid in (VIDEO, AUDIO)}
    assert Action.SNAPSHOT in opened.policy.actions  # what a plain license grants, a sealed one grants too


def test_the_policy_travels_in_the_seal(device):
    opened = device.license(SEALED_ONLY)
    assert opened.keys == {SEALED_ONLY: KEYS[SEALED_ONLY]}
    assert opened.policy == POLICIES[SEALED_ONLY]


def test_several_keys_get_the_strictest_of_their_policies(device):
    opened = device.license(VIDEO, SEALED_ONLY)
    assert opened.policy == POLICIES[SEALED_ONLY]


def test_the_answer_holds_no_key_that_can_be_read(device):
    request = device.request(VIDEO)
    answer = device.send(request, VIDEO)
    secret = KEYS[VIDEO].secret
    from base64 import b64encode, urlsafe_b64encode

    for form in (secret, secret.hex().encode(), b64encode(secret)[:22], urlsafe_b64encode(secret)[:22]):
        assert form not in answer.body


def test_an_answer_opens_for_the_request_alone(device):
    answer = device.send(device.request(VIDEO), VIDEO)
    with pytest.raises(LicenseMalformedError, match="another recipient"):
        device.request(VIDEO).open(answer.body)


def test_a_request_is_answered_once(device):
    request = device.request(VIDEO)
    device.send(request, VIDEO)
    refused("request_replayed", device.send, request, VIDEO)


def test_a_refused_request_does_not_use_up_its_nonce(server):
    device = Device(server)
    request = device.request(VIDEO)
    for _ in range(2):
        assert device.send(request, VIDEO).kind is AnswerKind.NEEDS_INDIVIDUALIZATION
    device.register()
    assert device.send(request, VIDEO).kind is AnswerKind.SEALED


def test_a_request_signed_over_other_kids(device):
    refused("request_malformed", device.send, device.request(VIDEO), AUDIO)


def test_an_altered_request(device):
    request = device.request(VIDEO)
    head, payload, signature = request.jws.split(".")
    request.jws = f"{head}.{payload[:-8]}AAAAAAAA.{signature}"
    refused("request_malformed", device.send, request, VIDEO)


def test_unknown_and_expired_keys(device):
    with pytest.raises(KeyMissingError) as raised:
        device.send(device.request(VIDEO, UNKNOWN), VIDEO, UNKNOWN)
    assert raised.value.kids == (str(UNKNOWN),)
    refused("license_expired", device.send, device.request(EXPIRED), EXPIRED)


def test_a_level_counts_only_for_an_enrolled_device(tmp_path):
    store = tmp_path / "keys.db"
    command = [sys.executable, "-m", "player.cli", "keys", "devices", "--store", str(store)]
    with LicenseServer(keys=KEYS, policies=POLICIES, store=store) as server:
        device = Device(server).register()
        error = refused("level_too_low", device.send, device.request(LEVEL_TWO), LEVEL_TWO)
        assert "the word of the device alone" in error.seen
        assert f"device={device.id} level=2 self-asserted" in server.log()
        run = subprocess.run([*command, "--enrol", device.id[:9]], capture_output=True, text=True, check=True)
        assert f"{device.id}  enrolled  level 0" in run.stdout
        assert device.license(LEVEL_TWO).policy.min_level == 2
        refused("level_too_low", device.send, device.request(LEVEL_TWO, level=1), LEVEL_TWO)
        # Registering again must not take the enrolment away, nor give one.
        device.register()
        assert device.license(LEVEL_TWO).keys == {LEVEL_TWO: KEYS[LEVEL_TWO]}
        run = subprocess.run([*command, "--remove", device.id], capture_output=True, text=True, check=True)
        assert device.id not in run.stdout
        assert device.send(device.request(VIDEO), VIDEO).kind is AnswerKind.NEEDS_INDIVIDUALIZATION


def test_a_server_that_takes_enrolled_devices_only(tmp_path):
    store = tmp_path / "keys.db"
    with LicenseServer(keys=KEYS, store=store, enrolled_only=True) as server:
        device = Device(server)
        refused("device_refused", device.send, device.request(VIDEO), VIDEO)
        refused("device_refused", device.register)
        refused("device_refused", device.send, device.request(VIDEO), VIDEO)
        command = [sys.executable, "-m", "player.cli", "keys", "devices", "--store", str(store), "--enrol", device.id]
        subprocess.run(command, capture_output=True, check=True)
        assert device.license(VIDEO).keys == {VIDEO: KEYS[VIDEO]}
        device.register()
        assert device.license(VIDEO, level=1).keys == {VIDEO: KEYS[VIDEO]}


def test_a_clock_that_is_off_is_named():
    with LicenseServer(keys=KEYS, freshness=-1) as server:  # no request is fresh enough
        device = Device(server)
        error = refused("request_stale", device.register)
        assert "compare the clocks" in error.seen
        refused("request_stale", device.send, device.request(VIDEO), VIDEO)
