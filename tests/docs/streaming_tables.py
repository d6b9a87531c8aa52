"""The limits of docs/reference/streaming.md, from the code that keeps them; the rest of the page is written."""

from __future__ import annotations

from drm import bounded_xml
from drm.app.streaming import read_ahead, segment_fetcher
from drm.streaming import mpd_presentation, mpd_timing
from drm.streaming.presentation import MOST_SEGMENTS
from drm.streaming.segment_index import MAX_INDEX

__all__ = ["with_limits"]

_BEGIN, _END = "<!-- limits -->\n", "<!-- end -->\n"


def with_limits(text: str) -> str:
    """The page with its table of limits."""
    head, begin, rest = text.partition(_BEGIN)
    _old, end, tail = rest.partition(_END)
    rows = [
        ("limit", ""),
        ("---", "---"),
        ("manifest, and with variables put in", _size(segment_fetcher.MAX_MANIFEST)),
        ("elements, depth", f"{bounded_xml._MAX_ELEMENTS:,}; {bounded_xml._MAX_DEPTH}"),
        ("renditions; segments of one in one period", f"{mpd_presentation._MOST_RENDITIONS:,}; {MOST_SEGMENTS:,}"),
        ("initialization segment; index", f"{_size(segment_fetcher.MAX_INITIALIZATION)}; {_size(MAX_INDEX)}"),
        ("segment", _size(segment_fetcher.MAX_SEGMENT)),
        ("durations", f"{mpd_timing._LONGEST // (366 * 86_400)} years"),
        (
            "tries of one request: after broken connections, short answers, 408, 429, 5xx",
            str(1 + len(segment_fetcher._WAITS)),
        ),
        ("segments of each rendition that are asked for ahead", str(read_ahead._AHEAD)),
    ]
    table = "".join(f"| {left} | {right} |\n" for left, right in rows)
    return f"{head}{begin}\n{table}\n{end}{tail}"


def _size(size: int) -> str:
    return f"{size >> 20} MiB"
