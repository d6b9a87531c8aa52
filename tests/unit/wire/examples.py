"""One example or more of every message of both directions. A new message fails a test until it stands here."""

from __future__ import annotations

from typing import get_args
from uuid import UUID

from drm.errors import ErrorRecord
from drm.keys import KeyId
from drm.media import Edit, Protection, Sample, SampleCrypto, Scheme, StreamDescriptor, TrackInfo, TrackType
from drm.protection import ComponentState, ProtectionReport, TrustReport
from drm.rights.enablers import EnablerActivate, EnableType, LicensePath
from drm.wire import messages as wire

KEY_ID = KeyId(bytes(range(16)))
CLASS_ID = UUID("11111111-2222-3333-4444-555555555555")
ERROR = ErrorRecord("E-KEY-MISSING", 0xC00D7148, "no key", "track 1", "nothing", "no", "give it", (str(KEY_ID),))
TRACK = TrackInfo(
    1, TrackType.VIDEO, "avc1", 90_000, 1000, "h264", b"\x01config", 1920, 1080, 0, 0, "und", 7, (Edit(5, -1),),
    (Protection(Scheme.CBCS, KEY_ID, 0, bytes(16), 1, 9), None), (b"\x01config", b""),
)  # fmt: skip
STREAM = StreamDescriptor(TRACK, (KEY_ID,))
CRYPTO = SampleCrypto(KEY_ID, Scheme.CENC, b"\xff" * 8, ((5, 100), (0, 16)))
SAMPLE = Sample(1, 2**40, -3, 512, True, 4096, 121, 2, CRYPTO)
REPORT = ProtectionReport(
    level=2, layers={"seccomp": "yes"}, landlock_abi=4, kernel="6.1", machine="x86_64", filter_sha256="00",
    untraced=True, userns_owner="initial", threads=1, started=1.5, nonce="aa", versions={"av": "18.1"},
    startup_ms={"python": 10.0},
)  # fmt: skip

TRUST = TrustReport("trusted", 7, "fresh", (ComponentState("ita", "1.0", str(CLASS_ID), "00", "aa", "trusted"),), 2.5)
FULL = wire.FullTopology(9, (wire.TopologyNode(1, wire.NodeKind.OUTPUT, (2,), 0, CLASS_ID),))

FROM_APP = [
    wire.DeviceKey(), wire.LoadComponents(1, 100), wire.LoadTrust(1, 100, are_warmed=True),
    wire.CreateSession(1, 1, wire.SessionSpec(("piff",), True, CLASS_ID, None)),
    wire.LockProcess(1), wire.LockProcess(2, unlock=True),
    wire.CreateObject(2, 1, CLASS_ID, b"stream", "Sink"),
    wire.ActivateClass(2, 1, "clearkey-ita", b"stream", "InputTrustAuthority"),
    wire.ReleaseObject(1, 1),
    wire.SetTopology(
        1,
        wire.TopologySpec(
            9, (wire.BranchSpec(STREAM, 4, (0, 1)),), (wire.SinkSpec(CLASS_ID, b"{}", 0), wire.SinkSpec(CLASS_ID, b"")),
        )
    ),
    wire.SetTopology(1, None, 4, 9), wire.ClearTopologies(1),
    wire.Start(1), wire.Start(1, 5, "segment offset", 9), wire.Pause(1), wire.Stop(1), wire.SetRate(1, 0.5),
    wire.Close(1), wire.Query(3, 1, "time"), wire.Shutdown(4, 1), wire.Exit(), wire.Ping(7),
    wire.AttachRing(1, 9, 1, 4096),
    wire.Samples(1, 9, 1, 1, (SAMPLE, Sample(1, 0, 0, 1, False, 0, 0)), end=False),
    wire.Samples(1, 9, 1, 1, (), end=True),
    wire.SourceStarted(1, 9, 1),
    wire.SourceTold(1, 9, 1, ERROR),
    wire.SourceFailed(1, 9, 1, ERROR),
    wire.EnablerAnswer(1, 1, LicensePath.SEALED, b"answer", 6),
    wire.EnablerFailed(1, 1, ERROR),
    wire.CreateSource(1, 1, 2, wire.ByteStreamSpec(1, "a.mp4", 30, (10, 20))),
    wire.CreateSource(1, 2, 2, wire.ByteStreamSpec(2, "http://a/b", 30, (), True)),
    wire.CancelCreation(1, 1), wire.ReleaseRemoteSource(1, 5),
    wire.BytesRead(1, 2, 1), wire.BytesRead(1, 2, 1, ERROR),
]  # fmt: skip
FROM_WORKER = [
    wire.Ready(REPORT),
    wire.TrustChanged(TRUST),
    wire.Returned(1),
    wire.Returned(2, wire.RemoteObject(1, CLASS_ID), {"ita": "00"}),
    wire.Returned(2, digests={"ita": "00"}, trust=TRUST),
    wire.Raised(3, ERROR),
    wire.Raised(3, ERROR, EnablerActivate(EnableType.UPDATE_UNTRUSTED_COMPONENT, (), b"{}")),
    wire.Event(1, 101, 0, {"topology": 1, "seconds": 0.5, "note": "ü"}),
    wire.Event(1, 1, 0xC00D36B2, {}, ERROR, FULL),
    wire.ClockChanged(1, wire.ClockChange.START, 5, 1.0),
    wire.SelectStreams(1, 9, 1, (1, 2), 5),
    wire.NeedSamples(1, 9, 1, 1, 32, 0),
    wire.TellSource(1, 9, 1, wire.SourceState.PAUSED),
    wire.ReleaseSource(1, 9),
    wire.BeginEnableContent(1, 1, EnablerActivate(EnableType.LICENSE_ACQUISITION, (KEY_ID,), b"{}"), 9),
    wire.CancelEnabler(1, 1),
    wire.SourceCreated(1, 1, 5, (STREAM,), 6, 80_000_000, ("odd",)),
    wire.SourceNotCreated(1, 1, ERROR),
    wire.ReadBytes(1, 2, 1, 0, 4096, 3),
    wire.ByteStreamClosed(1, 2),
]


def kinds(union: object) -> set[type]:
    return set(get_args(union))
