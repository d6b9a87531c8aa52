"""Remedies for media files: other containers, files that are spoilt, and what cannot be encrypted or packaged."""

from __future__ import annotations

from tests.interop.remedies.case import AUDIO, KID, ONE, VIDEO, Cases

case = Cases()
_ENCRYPT = f"clearkey encrypt %s -o out.mp4 --key {ONE}"
_PLAYS = f"clearkey play out.mp4 --key {ONE} --compare %s"
_ANEW = "write the file anew: ffmpeg -i IN -c copy OUT.mp4"
_FFMPEG = "ffmpeg -v error -i %s -c copy new.mp4"
_FOLLOWED = (_FFMPEG % "bad.mp4", _ENCRYPT % "new.mp4", _PLAYS % "new.mp4")

# ------------------------------------------------------------------------------------------------ no MP4
_TO_MP4 = ("put it into MP4 first, for example: ffmpeg -i INPUT -c copy output.mp4; without -c copy where MP4 does not "
           "hold the codec")  # fmt: skip
_SINE, _BARS = "-f lavfi -i sine=d=1", "-f lavfi -i testsrc2=s=64x64:d=1"
for name, made in (("in.ts", f"{_BARS} {_SINE} -c:v libx264 -c:a aac"), ("in.flv", f"{_BARS} -c:v libx264"),
                   ("in.mp3", _SINE), ("in.ogg", f"{_SINE} -c:a libvorbis"), ("in.aac", _SINE),
                   ("in.mkv", f"{_BARS} -c:v libx264"), ("in.webm", f"{_BARS} -c:v libvpx-vp9")):  # fmt: skip
    case(3, _ENCRYPT % name, _TO_MP4, f"ffmpeg -v error -i {name} -c copy output.mp4", _ENCRYPT % "output.mp4",
         before=(f"ffmpeg -v error {made} {name}",))  # fmt: skip
for name, made in (("in.wav", _SINE), ("in.flac", _SINE), ("in.ogv", f"{_BARS} -c:v libtheora"),
                   ("in.webm", f"{_BARS} -c:v libvpx")):  # fmt: skip
    case(3, _ENCRYPT % name, _TO_MP4, f"! ffmpeg -v error -i {name} -c copy output.mp4",
         f"ffmpeg -v error -y -i {name} output.mp4", _ENCRYPT % "output.mp4",
         before=(f"ffmpeg -v error {made} {name}",))  # fmt: skip
for content, words in (
    ("", "check that the download or the packager has finished"),
    ("<html>", "perhaps a server's error page was saved: open it and see, then download again"),
    ("{}", "give the media file; keys go to --keys-file"),
    ("PK\\003\\004", "unpack it first"),
    ("%%PDF", "give the media file"),
    ("\\000\\000\\000\\000\\000\\000\\000\\000\\000", "the download was reserved and never written: fetch it again"),
    ("hello world", "check that this is the media file"),
):  # fmt: skip
    case(3, "clearkey digest in.mp4 --keys-file one.keys", words,
         "clearkey digest init.mp4 segment.m4s --keys-file one.keys", before=(f"printf '{content}' > in.mp4",),
         path="drm/isobmff/container.py")  # fmt: skip

for content, words in (("<MPD", "give the initialization segment and the media segments it lists"),
                       ("#EXTM3U", "give the initialization segment and the media segments that it lists")):  # fmt: skip
    case(3, "clearkey decrypt in.mp4 -o out.mp4 --keys-file one.keys", words,
         "clearkey decrypt init.mp4 segment.m4s -o out.mp4 --keys-file one.keys",
         before=(f"printf '{content}' > in.mp4",), path="drm/isobmff/container.py")  # fmt: skip

# ------------------------------------------------------------------------------------------------ segments
case(3, "clearkey digest segment.m4s --keys-file one.keys",
     "give the initialization segment first, then the media segments: INIT.mp4 SEGMENT.m4s …",
     "clearkey digest init.mp4 segment.m4s --keys-file one.keys")  # fmt: skip
case(3, "clearkey digest init.mp4 --keys-file one.keys",
     "give the media segments behind the initialization segment: INIT.mp4 SEGMENT.m4s …",
     "clearkey digest init.mp4 segment.m4s --keys-file one.keys")  # fmt: skip
case(3, _ENCRYPT % "clear_segment.m4s",
     "give a whole file: media segments are encrypted together with their initialization segment",
     _ENCRYPT % "fragments.mp4", before=("$SPOIL tail fragments.mp4 clear_segment.m4s",))  # fmt: skip
case(3, "clearkey decrypt $FIELD/second_moov/CC2.mp4 -o out.mp4 --keys-file $FIELD/second_moov/keys.txt",
     "give each initialization segment with its own media segments: INIT.mp4 SEGMENT.m4s …",
     *(f"cd $FIELD/second_moov && clearkey digest cc_i{n}.mp4 cc_s{x}.m4s --keys-file keys.txt"
       for n, x in ((1, "A"), (2, "B"))))  # fmt: skip
case(3, "clearkey pssh insert segment.m4s -o out.mp4", "give the initialization segment",
     "clearkey pssh insert init.mp4 -o out.mp4", "clearkey pssh show out.mp4", "cmp init.mp4 out.mp4")  # fmt: skip
case(2, "clearkey pssh insert clear.mp4 -o out.mp4", "give --kid",
     f"clearkey pssh insert clear.mp4 -o out.mp4 --kid {KID}", "clearkey pssh show out.mp4 | grep -q 10101010")  # fmt: skip
case(2, "clearkey pssh insert init.mp4 -o -", "give a name to -o", "clearkey pssh insert init.mp4 -o out.mp4",
     path="player/verbs/pssh/make.py")  # fmt: skip

# ------------------------------------------------------------------------------------------------ spoilt files
case(3, "clearkey decrypt bad.mp4 -o out.mp4 --keys-file one.keys", "compare the file's size with the original's",
     "test $(wc -c < bad.mp4) -lt $(wc -c < one.mp4)", "clearkey decrypt one.mp4 -o out.mp4 --keys-file one.keys",
     before=("$SPOIL cut one.mp4 bad.mp4",), path="drm/isobmff/box.py")  # fmt: skip
case(3, "clearkey decrypt bad.mp4 -o out.mp4 --keys-file one.keys",
     "package the file again, or join the segments with a tool that corrects offsets",
     f"{_ENCRYPT % 'clear.mp4'} && clearkey decrypt out.mp4 -o back.mp4 --keys-file one.keys",
     before=("$SPOIL outside one.mp4 bad.mp4",))  # fmt: skip
case(3, _ENCRYPT % "bad.mp4", _ANEW, *_FOLLOWED, path="drm/encrypting/sample_windows.py",
     before=("$SPOIL shared clear.mp4 bad.mp4",))  # fmt: skip
case(3, _ENCRYPT % "bad.mp4", _ANEW, *_FOLLOWED, path="drm/encrypting/file.py",
     before=("ffmpeg -v error -i clear.mp4 -c copy -movflags +frag_keyframe bad.mp4",))  # fmt: skip
case(3, _ENCRYPT % "bad.mp4", "write the file anew, and encrypt that: ffmpeg -i IN -c copy OUT.mp4", *_FOLLOWED,
     before=("$SPOIL second-movie fragments.mp4 bad.mp4",))  # fmt: skip
case(3, _ENCRYPT % "bad.mp4", "take it out: ffmpeg -i IN -c copy OUT.mp4", *_FOLLOWED,
     before=("$SPOIL auxiliary clear.mp4 bad.mp4",))  # fmt: skip
case(3, _ENCRYPT % "bad.mp4",
     "write the file without indices: ffmpeg -i IN -c copy -movflags +frag_keyframe+empty_moov+skip_trailer OUT",
     "ffmpeg -v error -i bad.mp4 -c copy -movflags +frag_keyframe+empty_moov+skip_trailer new.mp4",
     _ENCRYPT % "new.mp4", _PLAYS % "new.mp4",
     before=("ffmpeg -v error -i clear.mp4 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof+global_sidx index.mp4",
             "$SPOIL index-beside index.mp4 bad.mp4"))  # fmt: skip
case(3, _ENCRYPT % "bad.mp4",
     "package it again, or encode it anew: no program can read samples without that box",
     "! ffmpeg -v error -xerror -i bad.mp4 -f null -", "ffmpeg -v error -i clear.mp4 new.mp4", _ENCRYPT % "new.mp4",
     before=("$SPOIL no-configuration clear.mp4 bad.mp4",))  # fmt: skip
case(3, _ENCRYPT % "bad.mp4",
     "package it again, with the movie box (or the initialization segment) first",
     "! ffmpeg -v error -i bad.mp4 -c copy new.mp4", _ENCRYPT % "fragments.mp4",
     before=("$SPOIL movie-last fragments.mp4 bad.mp4",))  # fmt: skip
case(3, "clearkey decrypt $FIELD/unknown_scheme/N_scheme.mp4 -o out.mp4 --keys-file $FIELD/unknown_scheme/keys.txt",
     "package it again with scheme cenc or cbcs, or ask its packager which scheme this is",
     _ENCRYPT % "clear.mp4 --scheme cbcs", _ENCRYPT % "clear.mp4 --scheme cenc")  # fmt: skip
case(3, "clearkey keys check $FIELD/key_not_reached/F07.mp4 --keys-file $FIELD/key_not_reached/keys.txt",
     "compare with the clear original: clearkey digest of both", "clearkey digest clear.mp4 > a",
     "clearkey digest one.mp4 --keys-file one.keys > b",
     "test \"$(awk '{print $NF}' a)\" = \"$(awk '{print $NF}' b)\"")  # fmt: skip

# ------------------------------------------------------------------------------------------------ not to be encrypted
case(3, _ENCRYPT % "one.mp4", "give the clear original", _ENCRYPT % "clear.mp4")
case(3, _ENCRYPT % "in.mp4", "encode as one of {', '.join(_BINDINGS)}",
     "ffmpeg -v error -y -i in.mp4 -c:v libx264 new.mp4", _ENCRYPT % "new.mp4",
     before=(f"ffmpeg -v error {_BARS} -c:v ffv1 -f mov -strict -2 in.mp4",))  # fmt: skip

# ------------------------------------------------------------------------------------------------ packages
_PACKAGE = f"clearkey package %s -o package --key {ONE} --license-url https://licenses.example.test/license"
case(3, _PACKAGE % "one.mp4",
     "package the clear file, or clearkey decrypt it first; clearkey signal mends manifests alone",
     _PACKAGE % "clear.mp4", f"clearkey decrypt one.mp4 -o open.mp4 --key {ONE}", _PACKAGE % "open.mp4")  # fmt: skip
case(2, f"clearkey package clear.mp4 -o package --key {ONE}",
     "give --license-url, where players will ask for licenses: that of clearkey serve ends in /license",
     f"clearkey package clear.mp4 -o package --key {ONE} --license-url URL/license",
     "curl -sf -X OPTIONS URL/license", server="--keys-file one.keys")  # fmt: skip
case(2, f"clearkey package clear.mp4 -o package --clear --key {ONE}", "give one of the two",
     "clearkey package clear.mp4 -o package --clear", _PACKAGE % "clear.mp4")  # fmt: skip
case(2, "clearkey package clear.mp4 -o package --clear --segment-seconds 0.01", "give --segment-seconds 4",
     "clearkey package clear.mp4 -o package --clear --segment-seconds 4")  # fmt: skip
case(2, f"{_PACKAGE % 'clear.mp4'} --pssh none",
     "have the pssh put in, or make playlists for Shaka Player alone: --hls-for shaka",
     f"{_PACKAGE % 'clear.mp4'} --pssh common", f"{_PACKAGE % 'clear.mp4'} --pssh none --hls-for shaka")  # fmt: skip
case(2, f"clearkey package clear.mp4 -o package --key {ONE} --license-url licenses.example.test",
     "give it whole, as players will ask for it: https://licenses.example.test/license",
     _PACKAGE % "clear.mp4")  # fmt: skip
case(3, "clearkey package $FIELD/package_edits/EDc.mp4 -o package --clear",
     "apply the edits first, which encodes anew: ffmpeg -i IN OUT.mp4",
     "ffmpeg -v error -i $FIELD/package_edits/EDc.mp4 new.mp4", "clearkey package new.mp4 -o package --clear")  # fmt: skip
case(3, "clearkey package bad.mp4 -o package --clear", _ANEW, _FFMPEG % "bad.mp4",
     "clearkey package new.mp4 -o package --clear", path="drm/packaging/segments.py",
     before=("$SPOIL gap fragments.mp4 bad.mp4",))  # fmt: skip

# ------------------------------------------------------------------------------------------------ pssh boxes
case(2, f"clearkey pssh make --kid {KID} --hex --raw", "give one of them",
     f"clearkey pssh make --kid {KID} --hex", f"clearkey pssh make --kid {KID} --raw > raw",
     f"clearkey pssh make --kid {KID} -o box", "clearkey pssh show box")  # fmt: skip
case(2, f"clearkey pssh make --kid {KID} --version 0", "leave --version out, or give --data",
     f"clearkey pssh make --kid {KID}", f"clearkey pssh make --kid {KID} --version 0 --data 00")  # fmt: skip
case(2, f"clearkey pssh make --kid {KID} --system playready --scheme cens", "give cenc or cbcs",
     f"clearkey pssh make --kid {KID} --system playready --scheme cenc",
     f"clearkey pssh make --kid {KID} --system playready --scheme cbcs")  # fmt: skip
case(2, "clearkey pssh show nothing.mp4", "give a file, base64 or hex of pssh boxes, or - for standard input",
     "clearkey pssh show one.mp4", f"clearkey pssh show $(clearkey pssh make --kid {KID})",
     f"clearkey pssh show $(clearkey pssh make --kid {KID} --hex)",
     f"clearkey pssh make --kid {KID} --raw | clearkey pssh show -")  # fmt: skip
case(3, "clearkey pssh show 0011223344556677", "give whole boxes, which begin with their size and the letters pssh",
     f"clearkey pssh show $(clearkey pssh make --kid {KID} --hex)")  # fmt: skip
case(3, "clearkey pssh show AAAAA", "copy it whole", f"clearkey pssh show $(clearkey pssh make --kid {KID})")
case(2, f"clearkey encrypt clear.mp4 -o out.mp4 --key {VIDEO} --clear subtitles",
     "name tracks as video, audio or by number: clearkey inspect shows them",
     "clearkey inspect clear.mp4 | grep -q 'track 1'",
     f"clearkey encrypt clear.mp4 -o out.mp4 --key {VIDEO} --clear audio",
     f"clearkey encrypt clear.mp4 -o out.mp4 --key {AUDIO} --clear 1")  # fmt: skip
