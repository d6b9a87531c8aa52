"""`clearkey keys policy` and `devices`: under which rules keys are issued, and whose word counts."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

import click
import msgspec

from drm.errors import InvalidArgumentError
from drm.keys import KeyId
from drm.media import TrackType
from drm.rights.policy import Action, Policy
from license_server.policies import DEFAULT_POLICY
from license_server.store.names import canonical_name
from license_server.store.opening import Store
from player.json_output import encode_json
from player.one_line import echo_line
from player.verbs.keys.store_options import store_options
from player.verbs.keys.written_down import write_down

__all__ = ["COMMANDS"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command("policy")
@click.argument("kids", metavar="[KID]...", nargs=-1)
@click.option("--content", "contents", metavar="NAME", multiple=True, help="Rules for all keys of a content.")
@click.option("--actions", metavar="A,B", help="What is granted: play, snapshot, hash, extract; or 'none'.")
@click.option("--not-before", metavar="TIME", help="+30m, +1h, +2d, seconds since the epoch, or 2027-01-31T12:00:00Z.")
@click.option("--expires", metavar="TIME", help="The same; from then on no license is issued or valid.")
@click.option("--min-level", type=click.IntRange(0, 3), help="Isolation level of the worker.")
@click.option("--sealed-only/--plain-too", default=None, help="Refuse every license that is not sealed for a worker.")
@click.option("--hdcp", type=click.IntRange(0, 2), help="Of digital outputs: 0 nothing, 1 any HDCP, 2 type 1.")
@click.option("--cgms-a", type=click.IntRange(0, 6), help="Of analog TV outputs: 1-3 as best it can, 4-6 without fail.")
@click.option("--digital-only/--analog-too", default=None, help="Refuse analog outputs.")
@click.option("--constrict", metavar="PIXELS", help="Scale pictures down to so many pixels; 'yes' is 520,000, or 'no'.")
@click.option("--play-duration", type=click.IntRange(min=1), help="Seconds from the first sample that is played.")
@click.option("--rental", type=click.IntRange(min=1), help="Seconds from the moment at which the license arrives.")
@click.option("--renew-before", type=click.IntRange(min=1), help="Seconds before the end: the player asks anew then.")
@click.option("--min-revocation-list", type=click.IntRange(0), help="Version that the worker's list must have.")
@click.option("--max-revocation-age", type=click.IntRange(1), help="Seconds since a server last confirmed the list.")
@click.option("--test-signed/--no-test-signed", default=None, help="Take or refuse components of a development root.")
@click.option("--stale/--no-stale", default=None, help="Take or refuse a revocation list that is past its end.")
@click.option("--reset", is_flag=True, help="Go back to the default rules (all actions) first.")
@click.option("--tracks", metavar="KIND", help="Of a KID: the kinds of tracks it is for: video, audio; or 'any'.")
@store_options
def _policy(
    kids: tuple[str, ...],
    contents: tuple[str, ...],
    *,
    actions: str | None,
    not_before: str | None,
    expires: str | None,
    min_level: int | None,
    sealed_only: bool | None,
    hdcp: int | None,
    cgms_a: int | None,
    digital_only: bool | None,
    constrict: str | None,
    play_duration: int | None,
    rental: int | None,
    renew_before: int | None,
    min_revocation_list: int | None,
    max_revocation_age: int | None,
    test_signed: bool | None,
    stale: bool | None,
    reset: bool,
    tracks: str | None,
    store: Store,
) -> None:
    """Set the rules of these KIDs or contents; what no option names stays as it is. Without options, show them.

    A key keeps those of its content as well as its own. Rules that only a worker can keep make a license sealed: it
    grants `extract` then only if --actions says so.
    """
    if not kids and not contents:
        raise InvalidArgumentError("no KID and no content is named")
    if tracks is not None and contents:
        raise InvalidArgumentError("--tracks is about keys", remedy="name the KIDs in place of the content")
    changes: dict[str, object] = {
        "actions": _actions(actions) if actions is not None else None,
        "not_before": _moment(not_before) if not_before is not None else None,
        "expires": _moment(expires) if expires is not None else None,
        "min_level": min_level,
        "sealed_only": sealed_only,
        "hdcp": hdcp,
        "cgms_a": cgms_a,
        "digital_only": None if digital_only is None else int(digital_only),
        "constrict": _pixels(constrict) if constrict is not None else None,
        "play_duration": play_duration,
        "rental": rental,
        "renew_before": renew_before,
        "min_revocation_list": min_revocation_list,
        "max_revocation_age": max_revocation_age,
        "allow_test_signed": test_signed,
        "allow_stale": stale,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    ruled = {row.content: row.policy for row in store.contents.rows()}
    for content in contents:
        policy = None if reset else ruled.get(canonical_name(content))
        if given:
            policy = _changed(policy or DEFAULT_POLICY, given)
        if given or reset:
            store.contents.set_policy(content, policy)
            write_down(store, "content_policy_set", content=content)
        echo_line(f"{content}  {msgspec.json.encode(policy).decode() if policy is not None else 'no rules'}")
    held = {row.kid: row.policy for row in store.keys.rows()}
    for kid in [KeyId.parse(text) for text in kids]:
        policy = None if reset else held.get(kid)
        if tracks is not None:
            given["tracks"] = _kinds(kid, tracks)
        if given:
            policy = _changed(policy or DEFAULT_POLICY, given)
        if given or reset or kid not in held:
            store.keys.set_policy(kid, policy)  # raises for a KID that is not held
            write_down(store, "key_policy_set", [kid])
        click.echo(f"{kid}  {msgspec.json.encode(policy).decode() if policy is not None else 'default rules'}")
        if policy is not None and not policy.needs_worker:
            click.echo(
                "note: a client that asks for a plain license gets the key without its rules;"
                " --sealed-only refuses such clients",
                err=True,
            )


@click.command("devices")
@click.option(
    "--enrol", metavar="ID", multiple=True, help="Vouch for a device: a whole id, or how a listed one begins."
)
@click.option("--remove", metavar="ID", multiple=True, help="Forget a device.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_options
def _devices(enrol: tuple[str, ...], remove: tuple[str, ...], *, as_json: bool, store: Store) -> None:
    """List the devices that registered. What an enrolled one reports of its isolation counts; else it does not."""
    for text in enrol:
        device_id = store.devices.enrol(text)
        write_down(store, "device_enrolled", device_id=device_id)
        click.echo(f"enrolled {device_id}", err=True)
    for text in remove:
        device_id = store.devices.remove(text)
        write_down(store, "device_removed", device_id=device_id)
        click.echo(f"removed {device_id}", err=True)
    rows = store.devices.rows()
    if as_json:
        shown = [asdict(row) for row in rows]
        click.echo(encode_json({"schema": "clearkey.devices", "version": 1, "devices": shown}, indent=2))
        return
    for row in rows:
        level = "no level yet" if row.claimed_level is None else f"level {row.claimed_level}"
        word = "enrolled" if row.enrolled_at is not None else "self-asserted"
        word = "revoked" if row.revoked_at is not None else word
        echo_line(f"{row.device_id}  {word}  {level}  registered {_utc(row.registered_at)}")
    click.echo(f"{len(rows)} devices", err=True)


def _changed(policy: Policy, given: Mapping[str, object]) -> Policy:
    """`policy` with what was given; one that is sealed from now on lends nothing out unless that was given as well."""
    changed = msgspec.structs.replace(policy, **given)
    if changed.needs_worker and not policy.needs_worker and "actions" not in given:
        kept = tuple(action for action in changed.actions if action is not Action.EXTRACT)
        changed = msgspec.structs.replace(changed, actions=kept)
    return changed


def _kinds(kid: KeyId, text: str) -> dict[str, tuple[TrackType, ...]]:
    try:
        kinds = tuple(dict.fromkeys(TrackType(word.strip()) for word in text.split(",") if text != "any"))
    except ValueError:
        raise InvalidArgumentError(
            "a kind of track is not known", seen=repr(text[:64]), remedy="give video, audio, both, or any"
        ) from None
    return {str(kid): kinds} if kinds else {}


def _actions(text: str) -> tuple[Action, ...]:
    if text == "none":
        return ()
    try:
        return tuple(dict.fromkeys(Action(word.strip()) for word in text.split(",")))
    except ValueError:
        raise InvalidArgumentError(
            "an action is not known", seen=repr(text[:64]), remedy=f"give some of {', '.join(Action)}, or none"
        ) from None


def _pixels(text: str) -> int | bool:
    if text in ("yes", "no"):
        return text == "yes"
    if re.fullmatch(r"\d{2,9}", text) and int(text) >= 16:
        return int(text)
    raise InvalidArgumentError("pictures are scaled down to 16 pixels or more", seen=repr(text[:64]))


def _moment(text: str) -> int:
    if match := re.fullmatch(r"\+(\d{1,6})([smhd])", text):
        return int(time.time()) + int(match.group(1)) * _UNITS[match.group(2)]
    if re.fullmatch(r"\d{1,11}", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgumentError(
            f"{text[:64]!r} is not a time", remedy="give +1h, +2d, seconds since the epoch, or 2027-01-31T12:00:00Z"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _utc(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment))


COMMANDS: Final = {"policy": _policy, "devices": _devices}
