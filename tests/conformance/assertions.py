"""What the Media Session and the PMP interfaces must do: one numbered assertion for each rule that a test can hold.

Each names the page of Microsoft's documentation that states it, or that the rule belongs to, and how it is known:

D   that page documents it
S   the code of one of Microsoft's samples does it (protectedplayback, storecdm)
W   observed on Windows by the conformance tests of the Wine project
I   the order or the detail is that of Wine's implementation alone
C   no source says it: our own choice

A test of assertion NNN is a function `test_mf_NNN_what_it_says` anywhere below this folder.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["ASSERTIONS", "Assertion"]


class Assertion(NamedTuple):
    """One rule."""

    number: int
    title: str
    document: str  # Microsoft's page
    known: str  # letters as above

    @property
    def name(self) -> str:
        """Its id."""
        return f"MF-{self.number:03}"


_PMP, _PATH = "MFCreatePMPMediaSession", "PMP Media Session"
_LOCAL, _SERVER = "MFCreateMediaSession", "IMFPMPServer"
_SESSION, _EVENTS, _CLOCK = "IMFMediaSession", "IMFMediaEventGenerator", "IMFPresentationClock"
_TOPOLOGY, _HOST = "IMFMediaSession::SetTopology", "IMFPMPHost"
_ITA, _OTA = "IMFInputTrustAuthority", "IMFOutputTrustAuthority"
_MANAGER, _ENABLER = "IMFContentProtectionManager", "IMFContentEnabler"
_STATUS, _CONTROL = "MF_TOPOSTATUS", "How to Control Presentation States"

# fmt: off
_ROWS: Final = (
    # ---------------------------------------------------------------- creation and attributes
    (1, "A PMP session is a proxy: its worker is another process, and with sound components there is no enabler",
     _PMP, "D"),
    (2, "A PMP session is made without any configuration", _PMP, "D"),
    (3, "A topology loader that nobody registered is no failure: the session's own is used", _LOCAL, "WI"),
    (4, "The nil GUID as quality manager means none; no attribute means the default one", _LOCAL, "DW"),
    (5, "A session in the application's process refuses a protected stream and plays a clear one", _LOCAL, "D"),
    (6, "A PMP session plays clear content, in a protected and in an unprotected process",
     "MFPMPSESSION_CREATION_FLAGS",
     "D"),
    (8, "A presentation requires the protected environment if any of its streams is protected",
     "MFRequireProtectedEnvironment", "DW"),
    (10, "A fresh session gives its rate control on request, and is no attribute store", _LOCAL, "W"),
    (11, "An unknown service is refused with MF_E_UNSUPPORTED_SERVICE", "IMFGetService::GetService", "SC"),
    # ---------------------------------------------------------------- events
    (12, "An empty queue read without waiting gives MF_E_NO_EVENTS_AVAILABLE", _EVENTS, "W"),
    (13, "A wait for an event without a callback is E_INVALIDARG, before and after shutdown", _EVENTS, "W"),
    (14, "The same callback with the same state, twice: the second says that it waits already", _EVENTS, "W"),
    (15, "The same callback with another state is MF_E_MULTIPLE_BEGIN", _EVENTS, "W"),
    (16, "Another callback while one waits is MF_E_MULTIPLE_SUBSCRIBERS", _EVENTS, "W"),
    (18, "After shutdown nothing can be read, waited for or queued: MF_E_SHUTDOWN", _EVENTS, "W"),
    (19, "Events come out in the order in which they went in, the same objects", _EVENTS, "W"),
    # ---------------------------------------------------------------- without a topology
    (21, "Start without a topology succeeds as a call; its event is MF_E_INVALIDREQUEST and carries nothing", _SESSION,
     "W"),
    (22, "Stop without a topology ends in an event with MF_E_INVALIDREQUEST", _SESSION, "W"),
    (24, "Topologies are cleared twice in a row, and both events are S_OK", _SESSION, "W"),
    (25, "A fresh session closes with S_OK", _SESSION, "W"),
    # ---------------------------------------------------------------- topologies
    (26, "A source node without a source is refused at once; no event, and its sinks are left alone", _TOPOLOGY, "W"),
    (27, "A stream that is not selected is refused at once: MF_E_TOPO_STREAM_DESCRIPTOR_NOT_SELECTED", _TOPOLOGY, "W"),
    (28, "A topology without nodes is E_INVALIDARG at once", _TOPOLOGY, "I"),
    (29, "Without resolution the event carries the very topology that was set", "MFSESSION_SETTOPOLOGY_FLAGS", "W"),
    (30, "With resolution the event carries another object: the full topology", "MESessionTopologySet", "WD"),
    (32, "The first topology gives 101, 112, 110 and 111 with READY, in this order", _TOPOLOGY, "I"),
    (33, "The statuses of one topology rise; SINK_SWITCHED never comes for the first", _STATUS, "D"),
    (34, "Of two queued topologies the second may be READY before the first has ENDED", _STATUS, "D"),
    (35, "CLEAR_CURRENT without a topology gives 101 with S_OK and nothing in it; the next one is loaded",
     "MFSESSION_SETTOPOLOGY_FLAGS", "D"),
    (37, "IMMEDIATE without a topology changes nothing", "MFSESSION_SETTOPOLOGY_FLAGS", "D"),
    (38, "Clearing topologies while one plays drops those that wait; the current one goes on",
     "IMFMediaSession::ClearTopologies", "D"),
    (39, "The full topology is found as the current one or by its id while it waits, and not once it is over",
     "IMFMediaSession::GetFullTopology", "D"),
    (40, "An output node of a PMP session holds an activation object; a live sink is refused", "Creating Output Nodes",
     "DC"),
    # ---------------------------------------------------------------- start, seek, pause, stop
    (43, "The first start gives 111 with STARTED_SOURCE, then 103 with a presentation time offset", "MESessionStarted",
     "DI"),
    (44, "PAUSE is a capability only if every source can; 110 tells the new flags and the changed ones, or stays away",
     "MESessionCapabilitiesChanged", "DI"),
    (45, "A seek while playing gives 103 with S_OK, and the clock reads the new position",
     "IMFMediaSession::Start", "W"),
    (50, "A source that cannot seek has no SEEK capability; the seek ends with the source's own error",
     "IMFMediaSession::Start", "W"),
    (52, "A source that fails to start gives 103 with its own error", "IMFMediaSession::Start", "W"),
    (53, "Pause while stopped with a topology ends in MF_E_SESSION_PAUSEWHILESTOPPED", "IMFMediaSession::Pause", "DI"),
    (54, "After a pause a start goes on from there; after a stop, from the beginning", _CONTROL, "D"),
    (55, "The natural end gives 211, then 111 with ENDED, then 107 and no 105; PAUSE is gone", "MESessionEnded", "DI"),
    (58, "Positions are integers of 100 ns; anything else is E_INVALIDARG, and none keeps the position",
     "IMFMediaSession::Start", "DC"),
    # ---------------------------------------------------------------- close, shutdown
    (59, "Close while playing gives no 105; 106 with S_OK is the last event ever", "IMFMediaSession::Close", "DI"),
    (60, "After close the clock, the full topology and the capabilities can be asked for; clearing topologies fails "
     "in its event", "IMFMediaSession::Close", "DW"),
    (62, "Shutdown is silent; afterwards every call is MF_E_SHUTDOWN, a second shutdown too",
     "IMFMediaSession::Shutdown",
     "WD"),
    (64, "The clock tells of its shutdown once the session was shut down, and not before", "IMFShutdown", "W"),
    # ---------------------------------------------------------------- clock
    (68, "A clock without a time source refuses everything with MF_E_CLOCK_NO_TIME_SOURCE", _CLOCK, "W"),
    (69, "A clock cannot stop or pause twice, nor pause while stopped; it may be started while it runs", _CLOCK, "W"),
    (70, "The same state sink cannot be added twice, and may be removed twice", _CLOCK, "W"),
    (71, "A thinned rate is refused; the rates 0 and 0.5 are accepted", "IMFRateControl", "W"),
    (72, "There is a clock right after creation; until the first start it has no time source",
     "IMFMediaSession::GetClock", "W"),
    (73, "A timer for a moment that has passed fires at once", "IMFTimer::SetTimer", "W"),
    # ---------------------------------------------------------------- host, server, remote source
    (74, "A source that is a PMP client is given its host once, before its trust authorities are asked for; another "
     "is not touched", _PATH, "D"),
    (75, "An object made with a stream has loaded it before it is returned; a failed load is the call's failure", _HOST,
     "D"),
    (76, "An unknown class is REGDB_E_CLASSNOTREG, a class without the interface E_NOINTERFACE", _HOST, "C"),
    (77, "A protected process refuses an unsigned class without importing it; an unprotected one makes it",
     "Activation Objects", "D"),
    (80, "A locked process ends about three seconds after its last session, an unlocked one at once", _SERVER, "D"),
    (82, "In remote source mode the resolver lives in the worker and has asynchronous methods only", _PATH, "DC"),
    (83, "A resolver refuses both kinds of object at once, and a scheme that it does not know",
     "IMFSourceResolver", "D"),
    # ---------------------------------------------------------------- revocation
    (86, "A revoked component makes creation fail with MF_E_COMPONENT_REVOKED and the activation of an enabler", _PMP,
     "DS"),
    (87, "The enabler of a revoked component names it, why, and both hashes, and a trusted URL", _ENABLER, "D"),
    (88, "The enabler fetches and installs the update, and the next creation succeeds", _ENABLER, "D"),
    (90, "A revocation list that is too old, or older than one seen before, is refused", "IMFOutputPolicy", "SD"),
    (92, "An enabler with nothing to offer has neither URL nor data: MF_E_NOT_AVAILABLE", _ENABLER, "DS"),
    # ---------------------------------------------------------------- rights
    (93, "Missing rights: 114, the manager is asked once with the pending topology, 115, then access is asked again, "
     "and 101 is S_OK", _MANAGER, "D"),
    (95, "A manager that never calls back leaves the session responsive: close gives 106", _MANAGER, "C"),
    (97, "Automatic enabling gives progress and completion; a license that was not acquired leads to the manual way, "
     "once", "MEEnablerCompleted", "DS"),
    (98, "The manual way sends nothing to a URL that is not trusted", "MF_URL_TRUST_STATUS", "DS"),
    (100, "Monitoring when all keys are there tells that nothing is to be done, and no event comes", _ENABLER, "D"),
    (101, "A cancelled enabler completes once, with a cancel status, and the session ends with an error",
     _ENABLER, "D"),
    (102, "With a valid license there is nothing to enable, and the manager is not asked", _MANAGER, "D"),
    # ---------------------------------------------------------------- trust authorities
    (105, "Each decrypter is another object, and gives nothing before it is enabled", _ITA, "DS"),
    (106, "A clear stream has no decrypter (MF_E_NOT_PROTECTED), and plays without one", _ITA, "D"),
    (107, "Access without a license asks for one, with a license it is granted, and COPY is no action of ours", _ITA,
     "DS"),
    (109, "Access is bound with version 0 only; a failure to bind cancels the action", _ITA, "DS"),
    (111, "After its shutdown an authority refuses everything, and its decrypters are dead", _ITA, "S"),
    (113, "Policies and schemas of one authority share one originator, also after a change; two authorities differ",
     "IMFOutputPolicy", "D"),
    (114, "HDCP of type 1 on an output with plain HDCP is refused; HDCP of any version gives one schema of value 1",
     "IMFOutputPolicy", "S"),
    (115, "While an output is still to set the policy, no sample reaches it", _OTA, "D"),
    (117, "An output that cannot follow a changed policy ends playback: 120 with MF_E_POLICY_UNSUPPORTED",
     "MEPolicyError", "D"),
    (119, "A schema of best effort that fails is ignored, and the one to fail over to is applied", "IMFOutputSchema",
     "D"),
    # ---------------------------------------------------------------- samples
    (123, "A map of subsamples with an empty pair, or longer than its sample, is refused; a shorter one leaves the "
     "rest clear", "Protected Media Path", "S"),
    (124, "A pattern of one number is refused; without a scheme it is AES-CTR; without any key id there is no key",
     "Protected Media Path", "S"),
    # ---------------------------------------------------------------- the next file
    (126, "What is set after the end is played alone by the next start, and is ready when its turn comes; without "
     "another one, a start plays the ended one again", _TOPOLOGY, "DC"),
    (127, "What is set after a stop waits for the one that was stopped", _TOPOLOGY, "D"),
    (128, "IMMEDIATE while playing stops what plays and plays the new one at once, with a clock that begins anew",
     _TOPOLOGY, "D"),
    (129, "IMMEDIATE in a pause changes nothing before the next start, which plays the new one from its beginning",
     _TOPOLOGY, "I"),
    (130, "IMMEDIATE with a topology that cannot be resolved takes nothing away", _TOPOLOGY, "C"),
    (131, "MEEndOfPresentation comes when the source is done, with frames in flight; what is set then goes on where it "
     "ends", "MEEndOfPresentation", "D"),
    (132, "Topologies are set in any order, and again: after an end, a failure, a clear, and while they wait or play",
     _TOPOLOGY, "W"),
    (133, "The offset of a presentation is its time minus the source's, its start a time of the clock",
     "MF_EVENT_PRESENTATION_TIME_OFFSET", "D"),
    (134, "A seek that the source refuses fails with the source's error, and what plays goes on", _SESSION, "W"),
    (135, "A missing decoder, a stream or presentation that there is not, and a loader's own mistake have codes of "
     "their own", _TOPOLOGY, "D"),
    (136, "Flags, time formats and server contexts that nobody knows are refused, and arguments are looked at before "
     "the shutdown", _SESSION, "DW"),
    (137, "What is demanded of a server context is met or refused", _PMP, "C"),
    # ---------------------------------------------------------------- rights that end
    (138, "A license is renewed ahead of its end, while playback goes on", _ITA, "C"),
    (139, "A license that ends without another one stops playback with MF_E_LICENSE_OUTOFDATE; a start goes on from "
     "there once there is one", _ITA, "SC"),
    (140, "A right that ended is asked for anew, in mid-play, at a start and by another topology", _ITA, "DC"),
    # ---------------------------------------------------------------- objects of the application
    (160, "Whatever class a source raises, the event that waits for it has it: 103 for a start, MEError in mid-play",
     "MEError", "DC"),
    (161, "A source that does not come back holds its event up for a stated time, and the session closes all the same",
     _SESSION, "C"),
    (162, "A source is told of pause, stop and the end; what it raises at that is the status of the session's event",
     "IMFMediaSource", "DC"),
    (163, "MESinkInvalidated is forwarded with the output node; the topology has ENDED, and the next one is ready",
     "MESinkInvalidated", "DC"),
    (164, "MERendererEvent is forwarded to the application; it holds a few numbers, and nothing else",
     "MERendererEvent", "DC"),
    (165, "The clock of either kind of session has state sinks, timers, properties and a shutdown status", _CLOCK, "D"),
    # ---------------------------------------------------------------- what COM programs are used to
    (166, "An activation object gives the interface that it is asked for, the same object until that is shut down or "
     "detached; any other interface is E_NOINTERFACE", "IMFActivate", "D"),
    (167, "An enabler that brings nothing is asked once more at most", _MANAGER, "C"),
    (168, "A lock holds the process whose only session was dropped without a shutdown", _SERVER, "DC"),
    (169, "However many events nobody reads, no outcome is lost", _EVENTS, "C"),
    (170, "A program can ask whether its thread is inside a callback, where blocking calls are refused", _PMP, "DC"),
)
# fmt: on

ASSERTIONS: Final = {row[0]: Assertion(*row) for row in _ROWS}
"""Every assertion, by its number."""
