"""What the application does for a license: POST what the worker made, and relay what came back. Application only.

A sealed license is opaque here. Something before a server that takes the sealed form may refuse a request because of
its member `pmp`, or of its size: such a request is made once more without it.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urljoin, urlsplit

import msgspec

from drm.app.http.post import USUAL_LIMITS, HttpAnswer, Limits, ask_options, post
from drm.app.http.urls import shown_url
from drm.errors import (
    DRMError,
    InvalidArgumentError,
    KeyMissingError,
    LicenseMalformedError,
    LicenseRefusedError,
)
from drm.hresult import HResult
from drm.keys import KeyId
from drm.license.clearkey import decode_kid
from drm.readable import readable

__all__ = ["Answer", "AnswerKind", "exchange", "individualize", "without_pmp"]

_LICENSE_PATH: Final = "/license"  # of our own server
_HINT: Final = 5.0  # seconds that looking for a better URL may take
_SEALED_TYPE: Final = "application/jose"
_OUR_PROBLEMS: Final = "urn:clearkey:problem:"
_TOOK_OFFENCE: Final = frozenset({400, 406, 413, 415, 422})
_SHOWN: Final = 300  # characters of a server's words
_FINAL: Final = HResult.MF_E_LICENSE_INCORRECT_RIGHTS  # its word, which asking again by another way does not change


class AnswerKind(enum.Enum):
    """What the server gave."""

    SEALED = "sealed"  # a license that only the worker opens
    PLAIN = "plain"  # JSON, to be read as a JWK Set by the worker
    NEEDS_INDIVIDUALIZATION = "needs individualization"


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer. `body` may hold keys and is not shown; `individualize_url` is set for that kind alone.

    `offence` is the status with which the sealed form was refused before; 0: it was not.
    """

    kind: AnswerKind
    body: bytes = field(default=b"", repr=False)
    individualize_url: str = ""
    offence: int = 0


class _Problem(msgspec.Struct, frozen=True):
    """Problem details, RFC 9457, with the members that our server adds."""

    type: str = "about:blank"
    title: str = ""
    detail: str = ""
    code: str = ""
    kids: tuple[str, ...] = ()
    individualize: str = ""


def exchange(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    cacert: str | None = None,
    cancel: threading.Event | None = None,
    limits: Limits = USUAL_LIMITS,
    or_plain: bool = True,
) -> Answer:
    """Send a license request and return what came back; `limits` holds for each of at most three requests.

    `or_plain`: where `pmp` seems to be what was refused, ask once more without it. That is not so where our own server
    says why it refuses: or anybody on the way could turn a sealed request into a plain one with a word of its own.

    Raises:
        LicenseServerUnreachableError: no whole answer came.
        LicenseRefusedError: a refusal, a failure of the server, or a redirection.
        LicenseMalformedError: an answer that cannot be a license.
        KeyMissingError: the server says that it does not hold the keys.
        InvalidArgumentError: the URL, a header or the CA file.
    """
    answer = post(url, body, headers=headers, cacert=cacert, cancel=cancel, limits=limits)
    problem = _problem(answer)
    offence = 0
    if or_plain and answer.status in _TOOK_OFFENCE and not problem.type.startswith(_OUR_PROBLEMS):
        plain = without_pmp(body)
        if plain != body:
            offence = answer.status
            answer = post(url, plain, headers=headers, cacert=cacert, cancel=cancel, limits=limits)
            problem = _problem(answer)
    if answer.status == 200:
        return _license(answer, url, offence)
    if answer.status == 403 and problem.code == "individualization_required" and problem.individualize:
        return Answer(AnswerKind.NEEDS_INDIVIDUALIZATION, b"", _same_origin(url, problem.individualize))
    error = _refusal(answer, problem, url)
    if answer.status in {404, 405} and isinstance(error, LicenseRefusedError):
        error.remedy = _likely_url(url, headers, cacert, cancel, limits)
    raise error


def individualize(
    url: str,
    registration: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    cacert: str | None = None,
    cancel: threading.Event | None = None,
    limits: Limits = USUAL_LIMITS,
) -> None:
    """Register the device key with the server: `registration` is what the worker made. Raises as `exchange`."""
    typed = {"Content-Type": _SEALED_TYPE, **(headers or {})}
    answer = post(url, registration, headers=typed, cacert=cacert, cancel=cancel, limits=limits)
    if not 200 <= answer.status < 300:
        raise _refusal(answer, _problem(answer), url)


def _license(answer: HttpAnswer, url: str, offence: int) -> Answer:
    start = answer.body.lstrip()[:1]
    if answer.media_type == _SEALED_TYPE:
        return Answer(AnswerKind.SEALED, answer.body, offence=offence)
    if start == b"{":  # whatever its media type: EME does not ask for one
        return Answer(AnswerKind.PLAIN, answer.body, offence=offence)
    seen = {b"": "it is empty", b"<": "it begins like HTML or XML", b"[": "it is a JSON array"}
    raise LicenseMalformedError(
        "the answer is not a license",
        where=shown_url(url),
        seen=seen.get(start, f"{len(answer.body)} bytes that are not JSON"),
        maybe="the URL is not a Clear Key license endpoint, or it answers with a page",
        hresult=_FINAL,
    )


def _refusal(answer: HttpAnswer, problem: _Problem, url: str) -> DRMError:
    where = shown_url(url)
    if 300 <= answer.status < 400:
        return LicenseRefusedError(
            f"the license server redirects the request (status {answer.status}), which is not followed",
            where=where,
            seen=f"to {readable(answer.location, _SHOWN)}" if answer.location else "without saying where to",
            maybe="a login page, or a move from http to https",
            remedy="give that URL as --license-url if it is the right one",
            hresult=_FINAL,
        )
    # The words of a problem document are shown, the rest of a body never: it might hold a key.
    words = readable(": ".join(part for part in (problem.title, problem.detail) if part), _SHOWN)
    code = f" ({readable(problem.code, _SHOWN)})" if problem.code else ""
    if answer.status == 404 and (kids := _kids(problem)):
        return KeyMissingError(
            f"the license server has no key for {', '.join(str(kid) for kid in kids)}",
            where=where,
            seen=words,
            maybe="the key was never imported there, or the KID's byte order was changed on the way",
            remedy="clearkey keys list --store PATH shows what the server holds",
            kids=tuple(str(kid) for kid in kids),
        )
    failed = "failed" if answer.status >= 500 else "refused the request"
    return LicenseRefusedError(
        f"the license server {failed} with status {answer.status}{code}",
        where=where,
        seen=words,
        maybe="the URL is not that of the license endpoint" if answer.status in {404, 405} else "",
        remedy="give the token with --header 'Authorization: Bearer ...'" if answer.status == 401 else "",
        hresult=None if answer.status >= 500 else _FINAL,
    )


def _kids(problem: _Problem) -> list[KeyId]:
    try:
        return [decode_kid(kid) for kid in problem.kids]
    except InvalidArgumentError:
        return []


def _problem(answer: HttpAnswer) -> _Problem:
    if answer.status < 400 or "json" not in answer.media_type:
        return _Problem()
    try:
        return msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Problem()


def without_pmp(body: bytes) -> bytes:
    """Return a license request as EME has it, without the member that asks for the sealed form.

    What has none, or is no request, is returned as it is.
    """
    try:
        request = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    return msgspec.json.encode(request) if request.pop("pmp", None) is not None else body


def _likely_url(
    url: str,
    headers: Mapping[str, str] | None,
    cacert: str | None,
    cancel: threading.Event | None,
    limits: Limits,
) -> str:
    """What to try where nothing answers license requests: below `url`, or at the root of its server, one may be."""
    asked, limits = urlsplit(url), replace(limits, total=min(limits.total, _HINT))
    for path in dict.fromkeys((f"{asked.path.rstrip('/')}{_LICENSE_PATH}", _LICENSE_PATH)):
        likely = asked._replace(path=path, fragment="").geturl()
        try:
            if (
                path != asked.path
                and ask_options(likely, headers=headers, cacert=cacert, cancel=cancel, limits=limits).forms
            ):
                return f"--license-url {shown_url(likely)}: a license server answers there"
        except DRMError:
            break
    return "" if asked.path.strip("/") else f"give the whole URL; that of `clearkey serve` ends in {_LICENSE_PATH}"


def _same_origin(url: str, reference: str) -> str:
    target = urljoin(url, reference)
    if urlsplit(target)[:2] != urlsplit(url)[:2]:
        # Or a license server could have this machine POST to any other one.
        raise LicenseMalformedError(
            "the license server sends the device registration to another server",
            where=shown_url(target),
            hresult=_FINAL,
        )
    return target
