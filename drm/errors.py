"""What can go wrong, as one tree. `code` is how an error crosses the process boundary.

DRMError                          E-UNEXPECTED          exit 1
├── InvalidArgumentError          E-USAGE               2   the caller's words are off
│   ├── UnsupportedSchemeError    E-UNSUPPORTED-SCHEME  2   nothing opens URLs of this scheme
│   └── ExclusiveFlagsError       E-RESOLVER-FLAGS      2   a source and a byte stream at once
├── MediaError                    E-MEDIA               3
│   ├── MalformedMediaError       E-MEDIA-MALFORMED     3   found at a box path and an offset
│   ├── TruncatedMediaError       E-MEDIA-TRUNCATED     3   the file ends before what it announces
│   ├── UnsupportedMediaError     E-MEDIA-UNSUPPORTED   3   named, with the next step
│   ├── NothingReachedError       E-MEDIA-NOTHING       3   tracks, and not one sample in them
│   ├── MemoryLimitError          E-MEDIA-MEMORY        3   more memory than the worker may use
│   ├── StalledMediaError         E-MEDIA-STALLED       3   much computing, and no progress
│   └── KeyNotJudgedError         E-KEY-NOT-JUDGED      3   whether a key is right, the samples do not tell
├── MediaUnreachableError         E-MEDIA-UNREACHABLE   3   the bytes do not come
│   └── SegmentMissingError       E-SEGMENT-MISSING     3   a manifest lists it
├── MediaChangedError             E-MEDIA-CHANGED       3   another file than the one that was begun
├── KeysFileError                 E-KEYS-FILE           3   names the line, never the key
├── StorageError                  E-STORAGE             3   a file of ours is not what it must be
│   ├── DiskFullError             E-STORAGE-FULL        3
│   └── StoreBusyError            E-STORAGE-BUSY        3   another process updates
├── KeyMissingError               E-KEY-MISSING         4   remedy: give the key of that KID
├── KeyWrongError                 E-KEY-WRONG           5   remedy: check the key
├── PolicyError                   E-POLICY              6
│   ├── OutputNotAllowedError     E-POLICY-OUTPUT       6   remedy: another sink
│   ├── UnsupportedActionError    E-POLICY-ACTION       6
│   ├── IncorrectRightsError      E-POLICY-RIGHTS       6   the license says what no rule means
│   └── LicenseExpiredError       E-LICENSE-EXPIRED     6   remedy: a new license
├── TrustError                    E-TRUST               7
│   ├── UnlistedFileError         E-TRUST-UNLISTED      7   no manifest lists the file
│   ├── AlteredFileError          E-TRUST-ALTERED       7   not the bytes that the manifest lists
│   ├── DuplicateFileError        E-TRUST-DUPLICATE     7   the same member, name or class id twice
│   ├── WrongNamespaceError       E-TRUST-NAMESPACE     7   a file outside the component's own folder
│   ├── ShadowingError            E-TRUST-SHADOW        7   a file in the place of a platform module
│   ├── RestartRequiredError      E-TRUST-RESTART       7   another version of it runs in this process
│   ├── UnknownComponentError     E-COMPONENT-UNKNOWN   7   no component has this class id
│   ├── UpdateTamperedError       E-TRUST-TAMPERED      7   not the bytes, or not the signers, that it must be
│   ├── UpdateTooLargeError       E-TRUST-TOO-LARGE     7   longer than what was signed
│   └── signed metadata, the revocation list and what they say of components: drm/trust/errors.py
├── LicenseError                  E-LICENSE             8
│   ├── LicenseServerUnreachableError E-LICENSE-UNREACHABLE 8
│   ├── LicenseRefusedError       E-LICENSE-REFUSED     8   the server said no
│   └── LicenseMalformedError     E-LICENSE-MALFORMED   8   the answer is not a license
├── UpdateError                   E-UPDATE              8   no update came; what came was not found wrong
│   ├── UpdateUnreachableError    E-UPDATE-UNREACHABLE  8
│   ├── UpdateTimeoutError        E-UPDATE-TIMEOUT      8   silent, or slower than it may be
│   ├── UpdateCancelledError      E-UPDATE-CANCELLED    8
│   ├── UpdateHttpError           E-UPDATE-HTTP         8   carries the status
│   └── UpdateTruncatedError      E-UPDATE-TRUNCATED    8   the answer ends early
├── IsolationError                E-ISOLATION           9   names the missing layer
├── AuthorityError                E-AUTHORITY           2   publishers only
│   ├── SigningKeyMissingError    E-AUTHORITY-KEY       4
│   └── PassphraseError           E-AUTHORITY-PASSPHRASE 5
├── PMPProcessDiedError           E-PMP-DIED            1
├── WireError                     E-WIRE                1   the other process broke the protocol
├── ManagerBlocksError            E-MANAGER-BLOCKS      1   the application's manager does not return
├── NotBackError                  E-NOT-BACK            1   nor does a source, a sink or a loader
├── NotAvailableError             E-NOT-AVAILABLE       1   an enabler has nothing of the kind
├── PolicyChangedError            E-POLICY-CHANGED      1   outputs must apply policies first
└── SessionError                  E-SESSION             1   a command in the wrong state
    ├── SessionShutdownError      E-SESSION-SHUTDOWN    1
    ├── InvalidRequestError       E-SESSION-REQUEST     1
    │   └── CreationCancelledError E-CREATION-CANCELLED 130
    ├── NoEventsAvailableError    E-SESSION-NO-EVENTS   1
    ├── MultipleBeginError        E-SESSION-MULTIPLE-BEGIN 1
    ├── MultipleSubscribersError  E-SESSION-MULTIPLE-SUBSCRIBERS 1
    ├── TopologyError             E-TOPOLOGY            1
    ├── ClockError                E-CLOCK               1
    ├── RateError                 E-RATE                1
    ├── UnsupportedServiceError   E-SERVICE             1
    ├── InterfaceError            E-INTERFACE           1
    ├── NotRemotableError         E-NOT-REMOTABLE       1
    ├── NotProtectedError         E-NOT-PROTECTED       1
    └── EnableRequiredError       E-ENABLE-REQUIRED     8   rights first; carries the enabler
        ├── LicenseRequiredError          E-LICENSE-REQUIRED
        └── IndividualizationRequiredError E-INDIVIDUALIZE

The tree is the mapping of `MFError` onto Python: synchronous failures raise, and a failed event raises the
same class from `raise_for_status()`. Every class that has a code stands here or in drm/trust/errors.py, which both
processes load: a code that one of them does not know would reach it as E-UNEXPECTED.

The first paragraph of a class's docstring says what it means, and `advice` what to do: `clearkey explain` and
docs/reference/errors.md print both.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, TypedDict

import msgspec

from drm.hresult import HResult, name_of
from drm.readable import readable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from drm.rights.output_policy import OutputPolicy

__all__ = [
    "AlteredFileError", "AuthorityError", "ClockError", "CreationCancelledError", "DRMError", "DiskFullError",
    "DuplicateFileError", "EnableRequiredError", "ErrorRecord", "ExclusiveFlagsError", "ExitCode",
    "IncorrectRightsError", "IndividualizationRequiredError", "InterfaceError", "InvalidArgumentError",
    "InvalidRequestError", "IsolationError", "KeyMissingError", "KeyNotJudgedError", "KeyWrongError",
    "KeysFileError", "LicenseError", "LicenseExpiredError", "LicenseMalformedError", "LicenseRefusedError",
    "LicenseRequiredError", "LicenseServerUnreachableError", "MalformedMediaError", "ManagerBlocksError",
    "MediaChangedError", "MediaError", "MediaUnreachableError", "MemoryLimitError", "MultipleBeginError",
    "MultipleSubscribersError", "NoEventsAvailableError", "NotAvailableError", "NotBackError", "NotProtectedError",
    "NotRemotableError", "NothingReachedError", "OutputNotAllowedError", "PMPProcessDiedError", "PassphraseError",
    "PolicyChangedError", "PolicyError", "RateError", "RestartRequiredError", "SegmentMissingError", "SessionError",
    "SessionShutdownError", "ShadowingError", "SigningKeyMissingError", "StalledMediaError", "StorageError",
    "StoreBusyError", "TopologyError", "TruncatedMediaError", "TrustError", "UnknownComponentError",
    "UnlistedFileError", "UnsupportedActionError", "UnsupportedMediaError", "UnsupportedSchemeError",
    "UnsupportedServiceError", "UpdateCancelledError", "UpdateError", "UpdateHttpError", "UpdateTamperedError",
    "UpdateTimeoutError", "UpdateTooLargeError", "UpdateTruncatedError", "UpdateUnreachableError", "WireError",
    "WrongNamespaceError", "error_classes", "error_from_record",
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
    COMPONENT_NOT_TRUSTED = 7
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


class _Facts(TypedDict, total=False):
    """What `DRMError` takes by name: for classes below that take more."""

    where: str
    seen: str
    maybe: str
    remedy: str
    kids: tuple[str, ...]
    hresult: int | None


_BY_CODE: Final[dict[str, type[DRMError]]] = {}
"""Every class of the tree that has a code of its own."""


class DRMError(Exception):
    """What no other class of the tree names: mostly a fault of clearkey itself, or of the system below it.

    The root of the tree, so `except DRMError` catches all of it. It says what went wrong, where, what was seen, what it
    may be, and what to try. `kids` names the key ids that the error is about, in UUID form; they are public.
    """

    code: ClassVar[str] = "E-UNEXPECTED"
    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED
    default_hresult: ClassVar[int] = HResult.E_FAIL
    advice: ClassVar[str] = (
        "Run the command once more with CLEARKEY_TRACEBACK=1 in the environment, and report what it shows together "
        "with what `clearkey doctor` says of the machine."
    )

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
        what, where, seen, maybe, remedy = map(readable, (self.what, self.where, self.seen, self.maybe, self.remedy))
        return ErrorRecord(self.code, self.hresult, what, where, seen, maybe, remedy, self.kids)

    def to_dict(self) -> dict[str, object]:
        """Return the error for JSON output."""
        return {
            "code": self.code,
            "hresult": f"0x{self.hresult:08X}",
            "hresult_name": name_of(self.hresult),
            "what": readable(self.what),
            "where": readable(self.where),
            "seen": readable(self.seen),
            "maybe": readable(self.maybe),
            "try": readable(self.remedy),
            "kids": list(map(readable, self.kids)),
        }

    def render(self) -> str:
        """Return the paragraph that a user reads: one line each for what, where, seen, maybe, try."""
        lines = [f"error: {readable(self.what)}  [{self.code}]"]
        parts = (("where", self.where), ("seen", self.seen), ("maybe", self.maybe), ("try", self.remedy))
        lines += [f"  {label:<5}  {readable(text)}" for label, text in parts if text]
        return "\n".join(lines)


# ------------------------------------------------------------------------------------------------ what was asked
class InvalidArgumentError(
    DRMError, ValueError, code="E-USAGE", exit_code=ExitCode.USAGE, hresult=HResult.E_INVALIDARG
):
    """The caller's words are off: an option, a key notation, an argument out of range."""

    advice = "Correct what the message names. `clearkey VERB --help` lists a verb's options and what each takes."


class UnsupportedSchemeError(
    InvalidArgumentError, code="E-UNSUPPORTED-SCHEME", hresult=HResult.MF_E_UNSUPPORTED_SCHEME
):
    """Nothing here opens URLs of this scheme."""

    advice = (
        "Give a path, or a URL that begins with file:, http:// or https://. Download the file if it lies elsewhere."
    )


class ExclusiveFlagsError(
    InvalidArgumentError,
    code="E-RESOLVER-FLAGS",
    hresult=HResult.MF_E_SOURCERESOLVER_MUTUALLY_EXCLUSIVE_FLAGS,
):
    """A media source and a byte stream were asked for at once."""

    advice = "Ask the source resolver for one of them: ResolutionFlags.MEDIA_SOURCE or ResolutionFlags.BYTE_STREAM."


# ------------------------------------------------------------------------------------------------ media
class MediaError(
    DRMError, code="E-MEDIA", exit_code=ExitCode.MALFORMED_INPUT, hresult=HResult.MF_E_INVALID_FILE_FORMAT
):
    """The input cannot be read as what it claims to be."""

    advice = (
        "`clearkey inspect FILE` shows what is read of the file, and where it stops. Compare the file with its "
        "original, or package it again."
    )


class MalformedMediaError(MediaError, code="E-MEDIA-MALFORMED"):
    """A box, an element or a value breaks the format; `where` names its path and the offset."""

    advice = (
        "Look at that place with `clearkey inspect FILE --boxes`. Compare the file's size and hash with the "
        "original's; if they are equal, the packager wrote it so: package it again, or report the file to the "
        "packager."
    )


class TruncatedMediaError(MediaError, code="E-MEDIA-TRUNCATED"):
    """The file ends before what it announces."""

    advice = (
        "Compare the file's size with the original's, and copy or download it again. While another program still "
        "writes it, wait until it is finished."
    )


class UnsupportedMediaError(MediaError, code="E-MEDIA-UNSUPPORTED", hresult=HResult.MF_E_UNSUPPORTED_BYTESTREAM_TYPE):
    """A format, scheme or codec that is not read; the message names it and the next step."""

    advice = (
        "Convert or package the file as the message says: what is read is MP4 and WebM with the schemes of Common "
        "Encryption. `clearkey inspect FILE` shows what each track is."
    )


class NothingReachedError(MediaError, code="E-MEDIA-NOTHING"):
    """The file describes tracks, and no sample of any of them was reached, or nothing of them could be shown."""

    advice = (
        "Give the media segments too, behind their initialization segment, in the order of the manifest: INIT.mp4 "
        "SEGMENT1.m4s SEGMENT2.m4s. `clearkey inspect FILE` counts what is reached."
    )

    @classmethod
    def of(cls, where: str, *, what: str = "no sample of any track was reached", seen: str = "") -> NothingReachedError:
        """Return the error of a file, or of the files given as one, that hold nothing behind their head."""
        return cls(
            what,
            where=where,
            seen=seen,
            maybe="an initialization segment without its media segments, or segments before it",
            remedy="give the media segments behind the initialization segment: INIT.mp4 SEGMENT.m4s …",
        )


class MemoryLimitError(MediaError, code="E-MEDIA-MEMORY", hresult=HResult.E_OUTOFMEMORY):
    """To play it takes more memory than the worker may use. Small files can be made to ask for any amount."""

    advice = (
        "If you know the file and its pictures really are that large, give the worker more with `clearkey play "
        "--worker-memory MIB` (in a program: SessionConfiguration.worker_memory). Otherwise leave the file alone."
    )


class StalledMediaError(MediaError, code="E-MEDIA-STALLED"):
    """The worker computed for minutes and came no further, and was ended."""

    advice = (
        "The file is damaged, or made to keep a decoder busy: compare it with its original. If a machine really is "
        "that slow, raise SessionConfiguration.cpu_limit."
    )


class KeyNotJudgedError(MediaError, code="E-KEY-NOT-JUDGED"):
    """A key that the samples name was not found right, nor wrong: no sample of it could be judged.

    Its samples may begin where no decoder can begin, be of a codec whose decoder takes noise without a word, or have no
    protected byte.
    """

    advice = (
        "Check with a file, or a longer part of it, in which a key frame is encrypted under this key. To compare with "
        "what went into the packager, `clearkey digest` tells whether the decrypted bytes are the same."
    )


class MediaUnreachableError(
    DRMError, code="E-MEDIA-UNREACHABLE", exit_code=ExitCode.MALFORMED_INPUT, hresult=HResult.MF_E_NOT_AVAILABLE
):
    """The bytes of the media do not come: the server is not reached, refuses, stalls or breaks off."""

    advice = (
        "Open the URL with another program, as in `curl -I URL`: the address, the server or the network is off. The "
        "server must send the file as it is and should take range requests; or download the file and play that."
    )


class SegmentMissingError(MediaUnreachableError, code="E-SEGMENT-MISSING"):
    """A manifest lists a segment, and there is none."""

    advice = (
        "The manifest and its segments are not of one making, or a segment was deleted or not uploaded: the message "
        "says which. Package again, or take the segment out of the manifest. A local manifest reads files below its "
        "own folder."
    )


class MediaChangedError(
    DRMError, code="E-MEDIA-CHANGED", exit_code=ExitCode.MALFORMED_INPUT, hresult=HResult.MF_E_INVALID_STREAM_DATA
):
    """The file became another one while it was read: what comes would not belong to what came."""

    advice = (
        "Begin again from its start. If it happens each time, the server has several versions of the file (its ETag or "
        "its size changes), or the file is still being written."
    )


# ------------------------------------------------------------------------------------------------ files of ours
class KeysFileError(DRMError, code="E-KEYS-FILE", exit_code=ExitCode.MALFORMED_INPUT, hresult=HResult.E_INVALIDARG):
    """A keys file that cannot be read, or that contradicts itself. Names the line or entry, never a key."""

    advice = (
        "Correct the line or entry that is named. A keys file is a JWK Set, a JSON map of KID to key, lines of "
        "KID:KEY, or GPAC's XML; `clearkey keys new -o keys.json` writes one to compare with."
    )


class StorageError(DRMError, code="E-STORAGE", exit_code=ExitCode.MALFORMED_INPUT, hresult=HResult.E_FAIL):
    """A file of ours is not what it must be: a key store of another version, a device key that others can read."""

    advice = (
        "Do with the file that is named what the message says. Check its owner and its rights (`ls -l`) and that the "
        "disk takes more; a key store of an older version is brought up to date by `clearkey keys migrate`."
    )


class DiskFullError(StorageError, code="E-STORAGE-FULL", hresult=HResult.ERROR_DISK_FULL):
    """There is no room left where components are stored."""

    advice = "Make room, then run `clearkey components update`. What was installed before goes on working."


class StoreBusyError(StorageError, code="E-STORAGE-BUSY", hresult=HResult.ERROR_BUSY):
    """Another process is changing the stored components, and did not end within the time that there was."""

    advice = "Wait until the other `clearkey` has ended, then try again. Whoever holds the lock is shown by `lslocks`."


# ------------------------------------------------------------------------------------------------ keys
class KeyMissingError(
    DRMError, code="E-KEY-MISSING", exit_code=ExitCode.KEY_MISSING, hresult=HResult.MF_E_LICENSE_INCORRECT_RIGHTS
):
    """No license or keys file holds the key of a KID that the media needs."""

    advice = (
        "Give the key of the KID that is named: `--key KID:KEY`, a line in the file of `--keys-file`, or "
        "`--license-url` of a server that has it. `clearkey inspect FILE` lists the KIDs of a file, `clearkey keys "
        "list` those of a store. A KID of the same digits in another order is one that took a GUID's byte order."
    )


class KeyWrongError(DRMError, code="E-KEY-WRONG", exit_code=ExitCode.KEY_WRONG, hresult=HResult.MF_E_INVALID_KEY):
    """The key given for a KID does not decrypt the media: what comes out does not decode."""

    advice = (
        "`clearkey keys check FILE --key KID:KEY` says what is wrong with it: KID and key swapped, bytes reversed, the "
        "key of another track. If the key is right, the file's scheme may be read in another way: see `--dialect` of "
        "`clearkey play`."
    )


# ------------------------------------------------------------------------------------------------ policy
class PolicyError(DRMError, code="E-POLICY", exit_code=ExitCode.NOT_ALLOWED, hresult=HResult.MF_E_POLICY_UNSUPPORTED):
    """The license does not allow what was asked."""

    advice = "Ask for less, or have the license server grant it: its policies are in docs/how-to/license-server.md."


class OutputNotAllowedError(PolicyError, code="E-POLICY-OUTPUT"):
    """An output asks for an action, or lacks a protection, that the license is about."""

    advice = (
        "Leave that output out (`--framemd5` and `--compare` ask for `hash`, `--snapshot` for `snapshot`), take one "
        "that has the protection, or have the license server grant it: `clearkey keys policy KID --actions "
        "play,hash`. If an isolation level is demanded, `clearkey doctor` says what is missing for it."
    )


class UnsupportedActionError(PolicyError, code="E-POLICY-ACTION", hresult=HResult.MF_E_ITA_UNSUPPORTED_ACTION):
    """The input trust authority refuses this action outright."""

    advice = "No license grants it: connect the stream to an output that plays it instead."


class IncorrectRightsError(PolicyError, code="E-POLICY-RIGHTS", hresult=HResult.MF_E_LICENSE_INCORRECT_RIGHTS):
    """The license says something that no rule of ours means."""

    advice = (
        "Have the license server issue it again. docs/how-to/license-server.md lists the rules and the values that "
        "each takes; a newer server may know more of them than this player."
    )


class LicenseExpiredError(PolicyError, code="E-LICENSE-EXPIRED", hresult=HResult.MF_E_LICENSE_OUTOFDATE):
    """The license in use is past its end."""

    advice = (
        "Ask the license server for a new one: play again with `--license-url`. If it comes expired, compare the "
        "clocks of the two machines."
    )


# ------------------------------------------------------------------------------------------------ trust
class TrustError(
    DRMError,
    code="E-TRUST",
    exit_code=ExitCode.COMPONENT_NOT_TRUSTED,
    hresult=HResult.MF_E_SIGNATURE_VERIFICATION_FAILED,
):
    """A component is not what a manifest vouches for.

    `enabler_activate` says how that is put right (ppEnablerActivate of MFCreatePMPMediaSession); None: by no enabler.
    """

    advice = (
        "`clearkey components verify` names each component and its fault, `clearkey components update` fetches what is "
        "published now. The publisher of a component of your own signs it again with `clearkey authority sign`."
    )
    enabler_activate: object | None = None


class UnlistedFileError(TrustError, code="E-TRUST-UNLISTED"):
    """No manifest lists this file, so its code is not run."""

    advice = (
        "Import only what lies in the component's own folder, and sign and publish the component again with all of its "
        "files: `clearkey authority sign FOLDER`, `clearkey authority publish`."
    )


class AlteredFileError(TrustError, code="E-TRUST-ALTERED"):
    """The bytes differ from those that the manifest lists, so they are not run."""

    advice = (
        "`clearkey components update` fetches the bytes that were signed. If they were changed on purpose, raise the "
        "component's version, sign and publish it: one version is one content."
    )


class DuplicateFileError(TrustError, code="E-TRUST-DUPLICATE"):
    """A member, a component's name or a class id stands twice: which one is meant is nobody's to guess."""

    advice = (
        "Take one of the two away. A component of your own gets a name and a class id of its own: `python -c 'import "
        "uuid; print(uuid.uuid4())'` makes one."
    )


class WrongNamespaceError(TrustError, code="E-TRUST-NAMESPACE"):
    """A component holds a file outside its own folder."""

    advice = (
        "Move the file into the component's folder, or into a component of its own; then sign and publish it again."
    )


class ShadowingError(TrustError, code="E-TRUST-SHADOW"):
    """A component's file would take the place of a module of the platform or of the standard library."""

    advice = "Give the file another name, then sign and publish the component again."


class RestartRequiredError(TrustError, code="E-TRUST-RESTART", hresult=HResult.MF_E_PROCESS_RESTART_REQUIRED):
    """Another version of the component runs in this process already; a new process is needed."""

    advice = "Shut the session and its worker down, and make the session in a new worker: run the program again."


class UnknownComponentError(TrustError, code="E-COMPONENT-UNKNOWN", hresult=HResult.REGDB_E_CLASSNOTREG):
    """No trusted component has this class id."""

    advice = (
        "`clearkey components list` shows the components that there are. A component of your own is named in "
        "`SessionConfiguration(components=...)`, and its class id stands in its component.toml."
    )


class UpdateTamperedError(TrustError, code="E-TRUST-TAMPERED"):
    """What came is not what was signed, or not signed by who must sign it. It was not installed."""

    advice = (
        "Try again from another network: a proxy may have changed it. If it comes so everywhere, the update server is "
        "not to be trusted: tell the publisher, and compare the root file with the one that the publisher exports."
    )


class UpdateTooLargeError(TrustError, code="E-TRUST-TOO-LARGE", hresult=HResult.ERROR_FILE_TOO_LARGE):
    """What came is longer than what was signed, or than anything of its kind may be. It was not read to its end."""

    advice = (
        "Check the URL of the updates: another server may answer there. If it is the right one, tell the publisher."
    )


# ------------------------------------------------------------------------------------------------ license servers
class LicenseError(
    DRMError, code="E-LICENSE", exit_code=ExitCode.LICENSE_SERVER, hresult=HResult.NS_E_DRM_LICENSE_NOTACQUIRED
):
    """No license came of what the license server was asked."""

    advice = (
        "Try the same file with `--key KID:KEY`: if that plays, the fault is between here and the license server. "
        "`clearkey trace FILE --license-url URL` shows where the license exchange ends."
    )


class LicenseServerUnreachableError(LicenseError, code="E-LICENSE-UNREACHABLE"):
    """No answer came: refused, timed out, name unknown, certificate not trusted."""

    advice = (
        "Check that the server runs and that `--license-url` names its host, port and path: that of `clearkey serve` "
        "ends in /license. A certificate of your own authority is given with `--cacert`."
    )


class LicenseRefusedError(LicenseError, code="E-LICENSE-REFUSED"):
    """The server answered, and the answer is a refusal or a failure of its own."""

    advice = (
        "Its reason is in the message. 401 and 403 want a token (`--header 'Authorization: Bearer ...'`), 404 another "
        "path, 429 a pause; of a 5xx the server's own log says more. `clearkey keys list --store PATH` shows what it "
        "has."
    )


class LicenseMalformedError(LicenseError, code="E-LICENSE-MALFORMED"):
    """The answer is no license: not JSON, not a JWK Set, not sealed for this session."""

    advice = (
        "Check that `--license-url` names the license server and no web page. A Clear Key server answers with the JWK "
        'Set of EME; look at the answer with `curl -d \'{"kids": ["KID"], "type": "temporary"}\' URL`.'
    )


# ------------------------------------------------------------------------------------------------ updates of components
class UpdateError(DRMError, code="E-UPDATE", exit_code=ExitCode.LICENSE_SERVER):
    """Components could not be updated; nothing that was offered was found wrong."""

    advice = "Run `clearkey components update` later. What is installed and not revoked goes on working."


class UpdateUnreachableError(UpdateError, code="E-UPDATE-UNREACHABLE", hresult=HResult.ERROR_INTERNET_CANNOT_CONNECT):
    """No connection to the update server, or none through a proxy."""

    advice = (
        "Check the address (`--url`, CLEARKEY_COMPONENTS_URL), the network and the proxy's settings, then run "
        "`clearkey components update`. What is installed and not revoked goes on working."
    )


class UpdateTimeoutError(UpdateError, code="E-UPDATE-TIMEOUT", hresult=HResult.ERROR_TIMEOUT):
    """The server sent nothing for too long, or less than it must within the time that there is."""

    advice = (
        "Run `clearkey components update` later, or from a faster network. What is installed and not revoked goes on "
        "working."
    )


class UpdateCancelledError(UpdateError, code="E-UPDATE-CANCELLED", hresult=HResult.ERROR_CANCELLED):
    """The update was cancelled by whoever asked for it."""

    advice = "Nothing was changed. Run `clearkey components update` when it suits."


_HTTP: Final = 0x80190000  # winerror.h, FACILITY_HTTP: the HTTP status is the low word


class UpdateHttpError(UpdateError, code="E-UPDATE-HTTP", hresult=_HTTP):
    """The update server answered with a status that is no success; it is the low word of the HRESULT."""

    advice = (
        "404 means that the URL is not the one that metadata/ and targets/ are below (`--url`, "
        "CLEARKEY_COMPONENTS_URL), or that something is not published yet; 5xx that the server is at fault: try later."
    )

    @property
    def status(self) -> int:
        """The HTTP status, or 0 when the HRESULT holds none."""
        return self.hresult & 0xFFFF if self.hresult & 0xFFFF0000 == _HTTP else 0

    @classmethod
    def of_status(
        cls, status: int, what: str, *, where: str = "", maybe: str = "", remedy: str = ""
    ) -> UpdateHttpError:
        """Return the error of an HTTP status, in whose HRESULT the status stands."""
        return cls(what, where=where, maybe=maybe, remedy=remedy, hresult=_HTTP | status & 0xFFFF)


class UpdateTruncatedError(UpdateError, code="E-UPDATE-TRUNCATED", hresult=HResult.ERROR_INTERNET_CONNECTION_ABORTED):
    """The update server's answer ended before what it announced."""

    advice = (
        "Run `clearkey components update` again: the connection broke. What is installed and not revoked goes on "
        "working."
    )


# ------------------------------------------------------------------------------------------------ processes
class IsolationError(DRMError, code="E-ISOLATION", exit_code=ExitCode.ISOLATION, hresult=HResult.MF_E_NON_PE_PROCESS):
    """The isolation that is demanded is not to be had here; the message names the missing layer."""

    advice = (
        "`clearkey doctor` starts a worker, shows each layer, and says what a missing one needs of the machine or of "
        "the container. `--min-level` says how much is demanded."
    )


class PMPProcessDiedError(DRMError, code="E-PMP-DIED", hresult=HResult.RPC_E_SERVER_DIED):
    """The PMP worker ended while it was needed."""

    advice = (
        "Play again. If it ends each time with one file, report that file; if with all, `clearkey doctor` says whether "
        "a worker can run here, and the system's log (`dmesg`) whether memory ran out."
    )


class WireError(DRMError, code="E-WIRE", hresult=HResult.E_UNEXPECTED):
    """The process at the other end of the channel broke the protocol; the channel is closed."""

    advice = (
        "Application and worker must come from one installation of clearkey: install it anew if files of two versions "
        "lie there. A component that writes to descriptors which are not its own does this, too. Else report it."
    )


class ManagerBlocksError(DRMError, code="E-MANAGER-BLOCKS"):
    """A content protection manager does not return from a call that must not block."""

    advice = (
        "Let `begin_enable_content` start its work on a thread of the manager's own and return; the callback says when "
        "it is done. docs/tutorial/own-components.md shows one."
    )


# ------------------------------------------------------------------------------------------------ authorities
class AuthorityError(DRMError, code="E-AUTHORITY", exit_code=ExitCode.USAGE):
    """What was asked cannot be published, or the authority's folder is not what it must be. Nothing was changed."""

    advice = (
        "`clearkey authority status` shows roles, keys and what is published; docs/how-to/publish-components.md has "
        "the order of the steps."
    )


class NotBackError(DRMError, code="E-NOT-BACK", hresult=HResult.ERROR_TIMEOUT):
    """A media source, a sink or a topology loader did not come back from a call of the session's."""

    advice = (
        "What it waits for does not come: a server, a lock, a pipe. The session goes on without it. "
        "`SessionConfiguration.answer_limit` is the time that it has."
    )


class SigningKeyMissingError(AuthorityError, code="E-AUTHORITY-KEY", exit_code=ExitCode.KEY_MISSING):
    """Too few of a role's signing keys are here to reach its threshold."""

    advice = "Name the folder where the missing keys are with `--keys`; bring the medium on which they are kept."


class PassphraseError(AuthorityError, code="E-AUTHORITY-PASSPHRASE", exit_code=ExitCode.KEY_WRONG):
    """The passphrase does not open a signing key, or there is none."""

    advice = "Set CLEARKEY_AUTHORITY_PASSPHRASE in the environment, or type it where it is asked for."


# ------------------------------------------------------------------------------------------------ rights
class NotAvailableError(DRMError, code="E-NOT-AVAILABLE", hresult=HResult.MF_E_NOT_AVAILABLE):
    """A content enabler has nothing of the kind to offer: no URL, or no data."""

    advice = (
        "Ask the enabler what it is (`get_enable_type`, `is_automatic_supported`) before asking for its URL, its data "
        "or its automatic way; a license server's URL is the application's to give."
    )


class PolicyChangedError(DRMError, code="E-POLICY-CHANGED", hresult=HResult.MF_E_INVALIDREQUEST):
    """The decrypter halts: outputs must apply `policies` first, one for each action, each with an id of its own.

    It goes on when `Decrypter.policy_set` was called with every id. `policies` stay in the worker: they are empty when
    the error crossed a process boundary.
    """

    advice = (
        "The session does this by itself. A session core of your own hands each policy to the outputs, and calls "
        "`Decrypter.policy_set` with its id."
    )

    def __init__(self, what: str, policies: tuple[OutputPolicy, ...] = (), **facts: Unpack[_Facts]) -> None:
        super().__init__(what, **facts)
        self.policies = policies


# ------------------------------------------------------------------------------------------------ sessions
class SessionError(DRMError, code="E-SESSION", hresult=HResult.MF_E_INVALIDREQUEST):
    """A call on the session that its state does not allow."""

    advice = (
        "Wait for the event that ends the command before (docs/reference/events.md) and call again. `clearkey trace "
        "FILE` shows the order in which a session that works does things."
    )


class SessionShutdownError(SessionError, code="E-SESSION-SHUTDOWN", hresult=HResult.MF_E_SHUTDOWN):
    """The object was shut down."""

    advice = "Make a new session, or a new source: what was shut down does nothing any more."


class InvalidRequestError(SessionError, code="E-SESSION-REQUEST"):
    """The call is not allowed in the state that the object is in."""

    advice = "Call it in the state that the message asks for: docs/reference/session.md says of each method which."


class CreationCancelledError(
    InvalidRequestError,
    code="E-CREATION-CANCELLED",
    exit_code=ExitCode.INTERRUPTED,
    hresult=HResult.MF_E_OPERATION_CANCELLED,
):
    """A source's creation was cancelled (IMFSourceResolver::CancelObjectCreation), or what it was for has ended."""

    advice = "Nothing was made. Begin the creation again if it is still wanted."


class NoEventsAvailableError(SessionError, code="E-SESSION-NO-EVENTS", hresult=HResult.MF_E_NO_EVENTS_AVAILABLE):
    """The event queue is empty and the caller did not want to wait, or waited long enough."""

    advice = "Wait longer (`get_event(timeout=...)`), or let `events()` wait for each."


class MultipleBeginError(SessionError, code="E-SESSION-MULTIPLE-BEGIN", hresult=HResult.MF_E_MULTIPLE_BEGIN):
    """This callback waits for an event already, with another state."""

    advice = "Call `end_get_event` in the callback before `begin_get_event` is called once more."


class MultipleSubscribersError(
    SessionError, code="E-SESSION-MULTIPLE-SUBSCRIBERS", hresult=HResult.MF_E_MULTIPLE_SUBSCRIBERS
):
    """Another callback waits for an event already."""

    advice = (
        "Take events in one place of the program, and hand them on from there: a queue has one subscriber at a time."
    )


class TopologyError(SessionError, code="E-TOPOLOGY", hresult=HResult.MF_E_TOPO_CANNOT_CONNECT):
    """The topology cannot be resolved or is not complete."""

    advice = (
        "Connect each selected stream of the source to a sink that takes its kind, by `Topology.connect`; `clearkey "
        "inspect FILE` shows the streams, and docs/reference/topology.md what a topology may hold."
    )


class ClockError(SessionError, code="E-CLOCK", hresult=HResult.MF_E_CLOCK_NO_TIME_SOURCE):
    """The clock has no time source, or is in that state already."""

    advice = "Ask the clock after SESSION_STARTED; `PresentationClock.get_state` says whether it runs."


class RateError(SessionError, code="E-RATE", hresult=HResult.MF_E_REVERSE_UNSUPPORTED):
    """A playback rate that is not supported."""

    advice = "Give a rate of 0 (scrubbing) or more, without thinning; `RateControl.is_rate_supported` says which are."


class UnsupportedServiceError(SessionError, code="E-SERVICE", hresult=HResult.MF_E_UNSUPPORTED_SERVICE):
    """The session has no such service."""

    advice = (
        "docs/reference/session.md lists the services. Those of a worker are there in sessions of "
        "`create_pmp_media_session` alone."
    )


class InterfaceError(SessionError, code="E-INTERFACE", hresult=HResult.E_NOINTERFACE):
    """An object does not keep the protocol that is asked for."""

    advice = "Ask for one that it keeps: docs/reference/session.md and docs/reference/pmp.md name them."


class NotRemotableError(SessionError, code="E-NOT-REMOTABLE", hresult=HResult.E_NOTIMPL):
    """A synchronous call of an object that lives in another process."""

    advice = "Use the begin and end form of the call, or await it in a coroutine (docs/reference/remote-source.md)."


class NotProtectedError(SessionError, code="E-NOT-PROTECTED", hresult=HResult.MF_E_NOT_PROTECTED):
    """The stream is not encrypted, so there is no decrypter for it: the path goes on without one."""

    advice = "Nothing: the session takes it as its answer. `clearkey inspect FILE` shows which tracks are encrypted."


class EnableRequiredError(
    SessionError, code="E-ENABLE-REQUIRED", exit_code=ExitCode.LICENSE_SERVER, hresult=HResult.NS_E_LICENSE_REQUIRED
):
    """Rights must be obtained first. `enabler_activate` says how, or is None: then the answer is no."""

    advice = (
        "Give the session a content protection manager (`LicenseManager`, `LocalKeysManager`); on the command line, "
        "`--key`, `--keys-file` or `--license-url`."
    )

    def __init__(self, what: str, *, enabler_activate: object | None = None, **facts: Unpack[_Facts]) -> None:
        super().__init__(what, **facts)
        self.enabler_activate = enabler_activate


class LicenseRequiredError(EnableRequiredError, code="E-LICENSE-REQUIRED"):
    """A license must be obtained first (IMFInputTrustAuthority::RequestAccess)."""

    advice = (
        "Give `--license-url`, `--key` or `--keys-file`; in a program, a content protection manager that gets licenses."
    )


class IndividualizationRequiredError(
    EnableRequiredError, code="E-INDIVIDUALIZE", hresult=HResult.NS_E_DRM_NEEDS_INDIVIDUALIZATION
):
    """The device key must be registered with the license server first (IMFInputTrustAuthority::RequestAccess)."""

    advice = (
        "`LicenseManager` and `clearkey play --license-url URL` register it by themselves. The server lists and "
        "refuses devices: `clearkey keys devices`."
    )


# ------------------------------------------------------------------------------------------------ by code
def error_classes() -> Mapping[str, type[DRMError]]:
    """Return the classes of the tree by code: those of this module, and those of drm.trust.errors once it is loaded."""
    return MappingProxyType({DRMError.code: DRMError, **_BY_CODE})


def error_from_record(record: ErrorRecord) -> DRMError:
    """Return the error that `record` stands for.

    The sender is not trusted: an unknown code is a plain DRMError, and its words are made readable here, for whoever
    logs them.
    """
    kind = _BY_CODE.get(record.code, DRMError)
    return kind(
        readable(record.what),
        where=readable(record.where),
        seen=readable(record.seen),
        maybe=readable(record.maybe),
        remedy=readable(record.remedy),
        kids=tuple(map(readable, record.kids)),
        hresult=record.hresult,
    )
