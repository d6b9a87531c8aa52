"""Remedies for manifests: what `clearkey signal` refuses, and what it says of each player."""

from __future__ import annotations

from tests.interop.remedies.case import AUDIO, ONE, Cases

case = Cases()
_URL = "--license-url https://licenses.example.test/license"
_PACKAGE = (f"clearkey package clear.mp4 -o package --key {ONE} {_URL}",)
_IN = "cd package &&"

case(2, f"{_IN} clearkey signal manifest.mpd",
     "give --license-url to rewrite the manifest, or --check to have it judged as it is",
     f"{_IN} clearkey signal manifest.mpd {_URL} -o new.mpd", f"{_IN} clearkey signal manifest.mpd --check",
     before=_PACKAGE)  # fmt: skip
case(2, f"{_IN} clearkey signal hlsjs.m3u8 {_URL}",
     "give -o, beside it: -o {Path(request.manifest).with_name('clearkey.m3u8')}",
     f"{_IN} clearkey signal hlsjs.m3u8 {_URL} -o clearkey.m3u8", before=_PACKAGE)  # fmt: skip
case(5, f"{_IN} clearkey signal manifest.mpd {_URL} -o new.mpd --kid {AUDIO[:32]}",
     "leave --kid out: the initialization segments tell the KID",
     f"{_IN} clearkey signal manifest.mpd {_URL} -o new.mpd", before=_PACKAGE)  # fmt: skip
case(2, f"{_IN} clearkey signal manifest.mpd {_URL} -o new.mpd --for hls.js", "take --for shaka or --for dash.js",
     *(f"{_IN} clearkey signal manifest.mpd {_URL} -o new.mpd --for {player}" for player in ("shaka", "dash.js")),
     before=_PACKAGE)  # fmt: skip
case(2, f"{_IN} clearkey signal hlsjs.m3u8 {_URL} -o new.m3u8 --for dash.js", "take --for shaka or --for hls.js",
     *(f"{_IN} clearkey signal hlsjs.m3u8 {_URL} -o new.m3u8 --for {player}" for player in ("shaka", "hls.js")),
     before=_PACKAGE, path="drm/manifests/rewrite_playlist.py")  # fmt: skip
case(3, f"{_IN} clearkey signal wide.mpd {_URL} -o new.mpd",
     "write it as UTF-8: iconv -f UTF-16 -t UTF-8, and say so in its first line",
     f"{_IN} iconv -f UTF-16 -t UTF-8 wide.mpd | sed '1s/UTF-16/UTF-8/' > narrow.mpd",
     f"{_IN} clearkey signal narrow.mpd {_URL} -o new.mpd",
     before=(*_PACKAGE, f"{_IN} sed '1s/UTF-8/UTF-16/I' manifest.mpd | iconv -f UTF-8 -t UTF-16 > wide.mpd"))  # fmt: skip
case(3, f"{_IN} clearkey signal bad.mpd {_URL} -o new.mpd", "remove the <!DOCTYPE …>",
     f"{_IN} sed 's/<!DOCTYPE MPD>//' bad.mpd > good.mpd", f"{_IN} clearkey signal good.mpd {_URL} -o new.mpd",
     before=(*_PACKAGE, f"{_IN} sed '0,/<MPD/s//<!DOCTYPE MPD><MPD/' manifest.mpd > bad.mpd"))  # fmt: skip
