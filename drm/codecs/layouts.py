"""Which bytes of a sample are protected, by codec: the one place that knows all bindings of Common Encryption.

A binding is loaded when a track needs it, so that encrypting H.264 does not pay for reading AV1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from drm.errors import UnsupportedMediaError
from drm.isobmff.reader import printable
from drm.isobmff.sample_entry import SampleEntry
from drm.media import Scheme, Subsample

__all__ = ["SampleLayout", "layout_for"]


class SampleLayout(Protocol):
    """Finds the protected ranges of one track's samples.

    Headers may depend on samples before: ask for every sample of the track in decode order, those too that are to
    stay clear (a clear lead), and throw the answer away.
    """

    def subsamples(self, sample: memoryview) -> tuple[Subsample, ...]:
        """Return (clear, protected) pairs that cover the sample; at least one.

        How many of them can be written is another's to say: it depends on the IV.

        Raises:
            MalformedMediaError: the sample breaks its codec's syntax.
            UnsupportedMediaError: it uses syntax that is not encrypted here.
        """
        ...


def _avc(config: bytes, scheme: Scheme) -> SampleLayout:
    from drm.codecs.avc.layout import AvcLayout  # noqa: PLC0415 - loaded when needed

    return AvcLayout(config, scheme)


def _hevc(config: bytes, scheme: Scheme) -> SampleLayout:
    from drm.codecs.hevc.layout import HevcLayout  # noqa: PLC0415 - loaded when needed

    return HevcLayout(config, scheme)


def _av1(config: bytes, scheme: Scheme) -> SampleLayout:
    from drm.codecs.av1.layout import Av1Layout  # noqa: PLC0415 - loaded when needed

    return Av1Layout(config, scheme)


def _vp9(config: bytes, scheme: Scheme) -> SampleLayout:  # noqa: ARG001 - frames tell all, for any scheme
    from drm.codecs.vp9 import Vp9Layout  # noqa: PLC0415 - loaded when needed

    return Vp9Layout()


def _vp8(config: bytes, scheme: Scheme) -> SampleLayout:  # noqa: ARG001 - frames tell all, for any scheme
    from drm.codecs.vp8 import Vp8Layout  # noqa: PLC0415 - loaded when needed

    return Vp8Layout()


# By format of the sample entry: the box with the codec's configuration, and the binding.
_BINDINGS: Final[dict[str, tuple[str, Callable[[bytes, Scheme], SampleLayout]]]] = {
    "avc1": ("avcC", _avc),
    "avc3": ("avcC", _avc),
    "av01": ("av1C", _av1),
    "vp08": ("vpcC", _vp8),
    "vp09": ("vpcC", _vp9),
    "hvc1": ("hvcC", _hevc),
    "hev1": ("hvcC", _hevc),
    "dvh1": ("hvcC", _hevc),
    "dvhe": ("hvcC", _hevc),
    "dva1": ("avcC", _avc),
    "dvav": ("avcC", _avc),
}
# Video that has no binding of its own and is protected whole, as any sample may be (ISO/IEC 23001-7, clause 9.4).
_WHOLE: Final = frozenset({"mp4v", "mjpg", "jpeg"})


def layout_for(entry: SampleEntry, scheme: Scheme) -> SampleLayout | None:
    """Return what finds the protected ranges of samples of `entry`; None where a sample is protected whole.

    Whole are sound and text, and video of formats that Common Encryption says nothing about.

    Raises:
        UnsupportedMediaError: video of a format that has a binding, and none here; names it.
        MalformedMediaError: the codec's configuration is missing or broken.
    """
    binding = _BINDINGS.get(entry.format)
    if binding is not None:
        name, make = binding
        config = entry.boxes.get(name)
        if config is None:
            raise UnsupportedMediaError(
                f"{printable(entry.format)} video lacks the {name} box, which tells how to read its samples",
                remedy="package it again, or encode it anew: no program can read samples without that box",
            )
        return make(config, scheme)
    if entry.format in _WHOLE or not (entry.width or entry.height):
        return None
    raise UnsupportedMediaError(
        f"{printable(entry.format)} video is not encrypted here", remedy=f"encode as one of {', '.join(_BINDINGS)}"
    )
