"""What can go wrong, as one tree. `code` is how an error crosses the process boundary.

DRMError                          E-UNEXPECTED          exit 1
├── InvalidArgumentError          E-USAGE               2   the caller's words are off
├── MediaError                    E-MEDIA               3
│   ├── MalformedMediaError       E-MEDIA-MALFORMED     3   found at a box path and an offset
│   ├── TruncatedMediaError       E-MEDIA-TRUNCATED     3   the file ends before what it announces
│   └── UnsupportedMediaError     E-MEDIA-UNSUPPORTED   3   named, with the next step
├── KeysFileError                 E-KEYS-FILE           3   names the line, never the key
├── StorageError                  E-STORAGE             3   a file of ours is not what it must be
├── KeyMissingError               E-KEY-MISSING         4   remedy: give the key of that KID
├── KeyWrongError                 E-KEY-WRONG           5   remedy: check the key
├── PolicyError                   E-POLICY              6
│   ├── OutputNotAllowedError     E-POLICY-OUTPUT       6   remedy: another sink
│   ├── UnsupportedActionError    E-POLICY-ACTION       6
│   └── LicenseExpiredError       E-LICENSE-EXPIRED     6   remedy: a new license
├── TrustError                    E-TRUST               7
│   ├── UnlistedFileError         E-TRUST-UNLISTED      7   no manifest lists the file
│   ├── AlteredFileError          E-TRUST-ALTERED       7   not the bytes that the manifest lists
│   ├── DuplicateFileError        E-TRUST-DUPLICATE     7   the same member, name or class id twice
│   ├── WrongNamespaceError       E-TRUST-NAMESPACE     7   a file outside the component's own folder
│   ├── ShadowingError            E-TRUST-SHADOW        7   a file in the place of a platform module
│   ├── RestartRequiredError      E-TRUST-RESTART       7   another version of it runs in this process
│   └── UnknownComponentError     E-COMPONENT-UNKNOWN   7   no component has this class id
├── LicenseError                  E-LICENSE             8
│   ├── LicenseServerUnreachableError E-LICENSE-UNREACHABLE 8
│   ├── LicenseRefusedError       E-LICENSE-REFUSED     8   the server said no
│   └── LicenseMalformedError     E-LICENSE-MALFORMED   8   the answer is not a license
├── IsolationError                E-ISOLATION           9   names the missing layer
├── PMPProcessDiedError           E-PMP-DIED            1
├── WireError                     E-WIRE                1   the other process broke the protocol
└── SessionError                  E-SESSION             1   a command in the wrong state
    ├── SessionShutdownError      E-SESSION-SHUTDOWN    1
    ├── InvalidRequestError       E-SESSION-REQUEST     1
    ├── NoEventsAvailableError    E-SESSION-NO-EVENTS   1
    ├── TopologyError             E-TOPOLOGY            1
    └── EnableRequiredError       E-ENABLE-REQUIRED     8   rights first; carries the enabler
        ├── LicenseRequiredError          E-LICENSE-REQUIRED
        └── IndividualizationRequiredError E-INDIVIDUALIZE

The tree is the mapping of `MFError` onto Python: synchronous failures raise, and a failed event raises the
same class from `raise_for_status()`.
"""

from __future__ import annotations

import enum
from typing import ClassVar, Final

import msgspec

from drm.hresult import HResult, name_of

__all__ = [
    "AlteredFileError", "DRMError", "DuplicateFileError", "EnableRequiredError", "ErrorRecord", "ExitCode",
    "IndividualizationRequiredError", "InvalidArgumentError", "InvalidRequestError", "IsolationError",
    "KeyMissingError", "KeyWrongError", "KeysFileError", "LicenseError", "LicenseExpiredError",
    "LicenseMalformedError", "LicenseRefusedError", "LicenseRequiredError", "LicenseServerUnreachableError",
    "MalformedMediaError", "MediaError", "NoEventsAvailableError", "OutputNotAllowedError", "PMPProcessDiedError",
    "PolicyError", "RestartRequiredError", "SessionError", "SessionShutdownError", "ShadowingError", "StorageError",
    "TopologyError", "TruncatedMediaError", "TrustError", "UnknownComponentError", "UnlistedFileError",
    "UnsupportedActionError", "UnsupportedMediaError", "WireError", "WrongNamespaceError", "error_from_record",
]  # fmt: skip


class ExitCode(enum.IntEnum):
    """What the `clearkey` command exits with."""

    GOOD = 0
    UNEXPECTED = 1
    USAGE = 2
    MALFORMED_INPUT = 3
    KEY_MISSING = 4
    KEY_WRONG = 5
    NOT_ALLOWED = 6
    COMPONENT_REVOKED = 7
    LICENSE_SERVER = 8
    ISOLATION = 9
    INTERRUPTED = 130


class ErrorRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An error as it crosses the process boundary: words and numbers, never a traceback or a secret."""

    code: str
    hresult: int
    what: str
    where: str = ""
    seen: str = ""
    maybe: str = ""
    remedy: str = ""
    kids: tuple[str, ...] = ()


_BY_CODE: Final[dict[str, type[DRMError]]] = {}
"""Every class of the tree that has a code of its own, wherever it is defined."""


class DRMError(Exception):
    """Root of the tree: what went wrong, where, what was seen, what it may be, what to try.

    `kids` names the key ids that the error is about, in UUID form; they are public.
    """

    code: ClassVar[str] = "E-UNEXPECTED"
    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED
    default_hresult: ClassVar[int] = HResult.E_FAIL

    def __init_subclass__(
        cls, *, code: str | None = None, exit_code: ExitCode | None = None, hresult: int | None = None
    ) -> None:
        if code is not None:
            cls.code = code
            _BY_CODE[code] = cls
        cls.exit_code = exit_code or cls.exit_code
        cls.default_hresult = hresult or cls.default_hresult

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        seen: str = "",
        maybe: str = "",
        remedy: str = "",
        kids: tuple[str, ...] = (),
        hresult: int | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.seen = seen
        self.maybe = maybe
        self.remedy = remedy
        self.kids = kids
        self.hresult = self.default_hresult if hresult is None else hresult

    def __reduce__(self) -> str:
        # Errors cross the boundary as an ErrorRecord; pickle has no part in this project.
        raise TypeError("an error crosses a process boundary as an ErrorRecord")

    def to_record(self) -> ErrorRecord:
        """Return the error as it goes over the wire; `error_from_record` is the way back."""
        return ErrorRecord(
            self.code, self.hresult, self.what, self.where, self.seen, self.maybe, self.remedy, self.kids
        )

    def to_dict(self) -> dict[str, object]:
        """Return the error for JSON output."""
        return {
            "code": self.code,
            "hresult": f"0x{self.hresult:08X}",
            "hresult_name": name_of(self.hresult),
            "what": self.what,
            "where": self.where,
            "seen": self.seen,
            "maybe": self.maybe,
            "try": self.remedy,
            "kids": list(self.kids),
        }

    def render(self) -> str:
        """Return the paragraph that a user reads: one line each for what, where, seen, maybe, try."""
        lines = [f"error: {self.what}  [{self.code}]"]
        parts = (("where", self.where), ("seen", self.seen), ("maybe", self.maybe), ("try", self.remedy))
        lines += [f"  {label:<5}  {text}" for label, text in parts if text]
        return "\n".join(lines)


class InvalidArgumentError(
    DRMError, ValueError, code="E-USAGE", exit_code=ExitCode.USAGE, hresult=HResult.E_INVALIDARG
):
    """The caller's words are off: an option, a key notation, an argument out of range."""


class MediaError(
    DRMError, code="E-MEDIA", exit_code=ExitCode.MALFORMED_INPUT, hresult=HResult.MF_E_INVALID_FILE_FORMAT
):
    """The input cannot be read as what it claims to be."""


class MalformedMediaError(MediaError, code="E-MEDIA-MALFORMED"):
    """A box or a value breaks the format; `where` names the box path and the offset."""


class TruncatedMediaError(MediaError, code="E-MEDIA-TRUNCATED"):
    """The file ends before what it announces."""


class UnsupportedMediaError(MediaError, code="E-MEDIA-UNSUPPORTED", hresult=HResult.MF_E_UNSUPPORTED_BYTESTREAM_TYPE):
    """A format, scheme or codec that is not read; the message names it and the next step."""


class KeysFileError(DRMError, code="E-KEYS-FILE", exit_code=ExitCode.MALFORMED_INPUT, hresult=HResult.E_INVALIDARG):
    """A keys file that cannot be read, or that contradicts itself. Names the line or entry, never a key."""


class StorageError(DRMError, code="E-STORAGE", exit_code=ExitCode.MALFORMED_INPUT, hresult=HResult.E_FAIL):
    """A file of ours is not what it must be: a key store of another version, a device key that others can read."""


class KeyMissingError(
    DRMError, code="E-KEY-MISSING", exit_code=ExitCode.KEY_MISSING, hresult=HResult.MF_E_LICENSE_INCORRECT_RIGHTS
):
    """No license or keys file holds the key of a KID that the media needs."""


class KeyWrongError(DRMError, code="E-KEY-WRONG", exit_code=ExitCode.KEY_WRONG, hresult=HResult.MF_E_INVALID_KEY):
    """The key given for a KID does not decrypt the media: what comes out does not decode."""


class PolicyError(DRMError, code="E-POLICY", exit_code=ExitCode.NOT_ALLOWED, hresult=HResult.MF_E_POLICY_UNSUPPORTED):
    """The license does not allow what was asked."""


class OutputNotAllowedError(PolicyError, code="E-POLICY-OUTPUT"):
    """An output asks for an action, or lacks a protection, that the license is about."""


class UnsupportedActionError(PolicyError, code="E-POLICY-ACTION", hresult=HResult.MF_E_ITA_UNSUPPORTED_ACTION):
    """The input trust authority refuses this action outright."""


class LicenseExpiredError(PolicyError, code="E-LICENSE-EXPIRED", hresult=HResult.MF_E_LICENSE_OUTOFDATE):
    """The license in use is past its end."""


class TrustError(
    DRMError, code="E-TRUST", exit_code=ExitCode.COMPONENT_REVOKED, hresult=HResult.MF_E_SIGNATURE_VERIFICATION_FAILED
):
    """A component is not what a manifest vouches for.

    `enabler_activate` says how that is put right (ppEnablerActivate of MFCreatePMPMediaSession); None: by no enabler.
    """

    enabler_activate: object | None = None


class UnlistedFileError(TrustError, code="E-TRUST-UNLISTED"):
    """No manifest lists this file, so its code is not run."""


class AlteredFileError(TrustError, code="E-TRUST-ALTERED"):
    """The bytes differ from those that the manifest lists, so they are not run."""


class DuplicateFileError(TrustError, code="E-TRUST-DUPLICATE"):
    """A member, a component's name or a class id stands twice: which one is meant is nobody's to guess."""


class WrongNamespaceError(TrustError, code="E-TRUST-NAMESPACE"):
    """A component holds a file outside its own folder."""


class ShadowingError(TrustError, code="E-TRUST-SHADOW"):
    """A component's file would take the place of a module of the platform or of the standard library."""


class RestartRequiredError(TrustError, code="E-TRUST-RESTART", hresult=HResult.MF_E_PROCESS_RESTART_REQUIRED):
    """Another version of the component runs in this process already; a new process is needed."""


class UnknownComponentError(TrustError, code="E-COMPONENT-UNKNOWN", hresult=HResult.REGDB_E_CLASSNOTREG):
    """No trusted component has this class id."""


class LicenseError(
    DRMError, code="E-LICENSE", exit_code=ExitCode.LICENSE_SERVER, hresult=HResult.NS_E_DRM_LICENSE_NOTACQUIRED
):
    """The license server or its answer."""


class LicenseServerUnreachableError(LicenseError, code="E-LICENSE-UNREACHABLE"):
    """No answer came: refused, timed out, name unknown, certificate not trusted."""


class LicenseRefusedError(LicenseError, code="E-LICENSE-REFUSED"):
    """The server answered, and the answer is a refusal or a failure of its own."""


class LicenseMalformedError(LicenseError, code="E-LICENSE-MALFORMED"):
    """The answer is no license: not JSON, not a JWK Set, not sealed for this session."""


class IsolationError(DRMError, code="E-ISOLATION", exit_code=ExitCode.ISOLATION, hresult=HResult.MF_E_NON_PE_PROCESS):
    """The isolation that is demanded is not to be had here; the message names the missing layer."""


class PMPProcessDiedError(DRMError, code="E-PMP-DIED", hresult=HResult.RPC_E_SERVER_DIED):
    """The PMP worker ended while it was needed."""


class WireError(DRMError, code="E-WIRE", hresult=HResult.E_UNEXPECTED):
    """The process at the other end of the channel broke the protocol; the channel is closed."""


class SessionError(DRMError, code="E-SESSION", hresult=HResult.MF_E_INVALIDREQUEST):
    """A call on the session that its state does not allow."""


class SessionShutdownError(SessionError, code="E-SESSION-SHUTDOWN", hresult=HResult.MF_E_SHUTDOWN):
    """The object was shut down."""


class InvalidRequestError(SessionError, code="E-SESSION-REQUEST"):
    """Not in this state."""


class NoEventsAvailableError(SessionError, code="E-SESSION-NO-EVENTS", hresult=HResult.MF_E_NO_EVENTS_AVAILABLE):
    """The event queue is empty and the caller did not want to wait, or waited long enough."""


class TopologyError(SessionError, code="E-TOPOLOGY", hresult=HResult.MF_E_TOPO_CANNOT_CONNECT):
    """The topology cannot be resolved or is not complete."""


class EnableRequiredError(
    SessionError, code="E-ENABLE-REQUIRED", exit_code=ExitCode.LICENSE_SERVER, hresult=HResult.NS_E_LICENSE_REQUIRED
):
    """Rights must be obtained first. `enabler_activate` says how, or is None: then the answer is no."""

    def __init__(self, what: str, *, enabler_activate: object | None = None, seen: str = "") -> None:
        super().__init__(what, seen=seen)
        self.enabler_activate = enabler_activate


class LicenseRequiredError(EnableRequiredError, code="E-LICENSE-REQUIRED"):
    """IMFInputTrustAuthority::RequestAccess: a license must be obtained."""


class IndividualizationRequiredError(
    EnableRequiredError, code="E-INDIVIDUALIZE", hresult=HResult.NS_E_DRM_NEEDS_INDIVIDUALIZATION
):
    """IMFInputTrustAuthority::RequestAccess: the device key must be registered first."""


def error_from_record(record: ErrorRecord) -> DRMError:
    """Return the error that `record` stands for. The sender is not trusted: an unknown code is a plain DRMError."""
    kind = _BY_CODE.get(record.code, DRMError)
    if issubclass(kind, EnableRequiredError):
        return kind(record.what, seen=record.seen)
    return kind(
        record.what,
        where=record.where,
        seen=record.seen,
        maybe=record.maybe,
        remedy=record.remedy,
        kids=record.kids,
        hresult=record.hresult,
    )
