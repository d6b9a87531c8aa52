"""Remedies for words on the command line and for keys files: what a user gets wrong most."""

from __future__ import annotations

from tests.interop.remedies.case import AUDIO, KID, ONE, VIDEO, WRONG, Cases

case = Cases()
KEY = ONE[33:]
_GPAC = f"""'<GPACDRM><CrypTrack trackID="1"><key KID="0x{KID}" value="0x{KEY}"/></CrypTrack></GPACDRM>'"""
_CPIX = (
    '\'<CPIX xmlns="urn:dashif:org:cpix" xmlns:p="urn:ietf:params:xml:ns:keyprov:pskc"><ContentKeyList>'
    f'<ContentKey kid="{KID[:8]}-{KID[8:12]}-{KID[12:16]}-{KID[16:20]}-{KID[20:]}"><Data><p:Secret>'
    "%s</p:Secret></Data></ContentKey></ContentKeyList></CPIX>'"
)
_PLAIN = "<p:PlainValue>ICAgICAgICAgICAgICAgIA==</p:PlainValue>"

# ------------------------------------------------------------------------------------------------ keys on the command line
case(2, "clearkey encrypt clear.mp4 -o out.mp4",
     "make one: clearkey keys new -o keys.json, then give --keys-file keys.json",
     "clearkey keys new -o keys.json", "clearkey encrypt clear.mp4 -o out.mp4 --keys-file keys.json",
     "clearkey keys check out.mp4 --keys-file keys.json")  # fmt: skip
case(2, f"clearkey encrypt clear.mp4 -o out.mp4 --key {VIDEO} --key {AUDIO}",
     "say it: --key video=KID:KEY --key audio=KID:KEY; or one after the other: --rotate",
     f"clearkey encrypt clear.mp4 -o out.mp4 --key video={VIDEO} --key audio={AUDIO}",
     f"clearkey encrypt clear.mp4 -o out.mp4 --key {VIDEO} --key {AUDIO} --rotate 2")  # fmt: skip
case(2, f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE} --rotate 2",
     "give two keys or more, in their order",
     f"clearkey encrypt clear.mp4 -o out.mp4 --key {VIDEO} --key {AUDIO} --rotate 2")  # fmt: skip
case(2, f"clearkey encrypt clear.mp4 -o out.mp4 --key label=video:key_id={KID}",
     "write label=video:key_id=KID:key=KEY, the label being video, audio, a track's number or nothing",
     *(f"clearkey encrypt clear.mp4 -o out.mp4 --key label={label}:key_id={KID}:key={KEY}"
       for label in ("video", "audio", "1", "")))  # fmt: skip
case(2, f"clearkey encrypt clear.mp4 -o out.mp4 --key {KID}",
     "each side may be {_NOTATIONS}", f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE}")  # fmt: skip
case(2, f"clearkey keys convert {KID[:30]}: --to hex",
     "give {what} as {_NOTATIONS}", f"clearkey keys convert {KID} --to hex")  # fmt: skip
case(2, "clearkey keys convert nothing --to hex",
     "give 32 hex digits, a UUID or 22 characters of base64url, or a file's name",
     f"clearkey keys convert {KID} --to hex", f"clearkey keys convert $(clearkey keys convert {KID} --to uuid) --to hex",
     f"clearkey keys convert $(clearkey keys convert {KID} --to base64url) --to hex",
     "clearkey keys convert one.keys --to lines")  # fmt: skip
case(2, f"clearkey keys convert {KID} --to kodi", "give KID:KEY, or a keys file",
     f"clearkey keys convert {ONE} --to kodi", "clearkey keys convert one.keys --to kodi")  # fmt: skip
case(2, f"clearkey keys convert 1:{KEY} --to jwk", "give KID:KEY", f"clearkey keys convert {ONE} --to jwk",
     path="player/verbs/keys/text.py")  # fmt: skip
case(2, f"clearkey decrypt one.mp4 -o out.mp4 --key 7:{KEY}",
     "give TRACK:KEY with the number that clearkey inspect shows, or KID:KEY",
     "clearkey inspect one.mp4 | grep -q 'track 1'", f"clearkey decrypt one.mp4 -o out.mp4 --key 1:{KEY}",
     f"clearkey decrypt one.mp4 -o out.mp4 --key {ONE}")  # fmt: skip
case(2, f"clearkey decrypt two.mp4 -o out.mp4 --key {KEY}", "give KID:KEY, or TRACK:KEY",
     f"clearkey decrypt two.mp4 -o out.mp4 --key {VIDEO} --key {AUDIO}",
     f"clearkey decrypt two.mp4 -o out.mp4 --key 1:{VIDEO[33:]} --key 2:{AUDIO[33:]}")  # fmt: skip
case(2, f"clearkey decrypt one.mp4 -o out.mp4 --key label=:key_id={KID}:word={KEY}",
     "write label=NAME:key_id=KID:key=KEY, and a comma before the next label",
     f"clearkey decrypt two.mp4 -o out.mp4 --key label=A:key_id={VIDEO[:32]}:key={VIDEO[33:]},"
     f"label=B:key_id={AUDIO[:32]}:key={AUDIO[33:]}")  # fmt: skip
case(2, f"clearkey decrypt one.mp4 -o out.mp4 --key label=:key_id={KID}",
     "write label=NAME:key_id=KID:key=KEY; the label may be empty",
     f"clearkey decrypt one.mp4 -o out.mp4 --key label=:key_id={KID}:key={KEY}")  # fmt: skip
case(2, f"clearkey play one.mp4 --key {ONE} --license-url http://127.0.0.1:9/license", "leave one of them out",
     f"clearkey play one.mp4 --key {ONE}", path="player/verbs/play.py")  # fmt: skip
case(2, f"clearkey trace one.mp4 --key {ONE} --license-url http://127.0.0.1:9/license", "leave one of them out",
     f"clearkey trace one.mp4 --key {ONE} --seconds 0.1", path="player/verbs/trace/__init__.py")  # fmt: skip
case(2, "clearkey play one.mp4 --sealed --plain --license-url URL/license", "leave one of them out",
     "clearkey play one.mp4 --sealed --license-url URL/license", "clearkey play one.mp4 --plain --license-url URL/license",
     server="--keys-file one.keys", path="player/license_form_option.py")  # fmt: skip
case(4, "clearkey decrypt two.mp4 -o out.mp4 --key " + VIDEO,
     "add --key {key_id}:KEY, or a line with this KID to --keys-file",
     f"clearkey decrypt two.mp4 -o out.mp4 --key {VIDEO} --key {AUDIO}",
     f"echo {VIDEO} > new.keys; echo {AUDIO} >> new.keys; clearkey decrypt two.mp4 -o out.mp4 --keys-file new.keys",
     path="drm/decrypting/mp4.py")  # fmt: skip
case(4, "clearkey digest two.mp4 --key " + VIDEO,
     "add --key {key_id}:KEY, or a line with this KID to --keys-file",
     f"clearkey digest two.mp4 --key {VIDEO} --key {AUDIO}", path="player/digests.py")  # fmt: skip
case(4, "clearkey play one.mp4", "--key KID:KEY, --keys-file FILE or --license-url URL",
     f"clearkey play one.mp4 --key {ONE}", "clearkey play one.mp4 --keys-file one.keys",
     "clearkey play one.mp4 --license-url URL/license", server="--keys-file one.keys")  # fmt: skip
case(4, f"clearkey play two.mp4 --key {VIDEO}", "--key {missing[0]}:KEY",
     f"clearkey play two.mp4 --key {VIDEO} --key {AUDIO}")  # fmt: skip
case(5, f"clearkey play one.mp4 --key {WRONG}", "clearkey keys check FILE --keys-file KEYS",
     "clearkey keys check one.mp4 --keys-file one.keys", "! clearkey keys check one.mp4 --keys-file wrong.keys",
     path="drm/session/key_check.py", before=(f"echo {WRONG} > wrong.keys",))  # fmt: skip

# ------------------------------------------------------------------------------------------------ keys files
_FORMS = ("a keys file is a JWK Set {\"keys\": [...]}, a JSON map {\"KID\": \"KEY\"}, lines KID:KEY, a CSV table, GPAC's "
          "XML or CPIX, or the settings of Shaka Player, dash.js or Kodi")  # fmt: skip
case(3, "clearkey keys check one.mp4 --keys-file empty.keys", _FORMS,
     *(f"clearkey keys convert {ONE} --to {form} > good.keys && clearkey keys check one.mp4 --keys-file good.keys"
       for form in ("jwk", "lines", "csv", "gpac", "cpix", "shaka-player", "dash.js", "kodi")),
     f"""echo '{{"{KID}": "{KEY}"}}' > good.keys; clearkey keys check one.mp4 --keys-file good.keys""",
     before=(": > empty.keys",))  # fmt: skip
case(3, "clearkey keys check one.mp4 --keys-file bad.keys",
     'a content key has "kty": "oct", a `kid` and a `k`',
     "clearkey keys check one.mp4 --keys-file good.keys",
     before=("""echo '{"keys": [{"kty": "RSA", "kid": "EBAQEBAQEBAQEBAQEBAQEA", "k": "ICAgICAgICAgICAgICAgIA"}]}' > bad.keys""",
             "sed s/RSA/oct/ bad.keys > good.keys"))  # fmt: skip
case(3, "clearkey keys check one.mp4 --keys-file bad.keys",
     "columns are {', '.join(sorted(_COLUMNS))}: remove the others",
     "cut -d, -f1,2 bad.keys > good.csv; clearkey keys check one.mp4 --keys-file good.csv",
     before=(f"printf 'kid,key,colour\\n{KID},{KEY},blue\\n' > bad.keys",))  # fmt: skip
case(3, "clearkey keys check one.mp4 --keys-file bad.keys",
     "write {_ADDON}drm_legacy={_CLEARKEY}|KID:KEY",
     f"printf '#KODIPROP:inputstream.adaptive.drm_legacy=org.w3.clearkey|{ONE}\\n' > good.keys",
     "clearkey keys check one.mp4 --keys-file good.keys",
     before=("printf '#KODIPROP:inputstream.adaptive.license_type=org.w3.clearkey\\n"
             "#KODIPROP:inputstream.adaptive.license_key=https://example.test\\n' > bad.keys",))  # fmt: skip
case(3, "clearkey keys check one.mp4 --keys-file bad.keys",
     "give GPAC's <GPACDRM>, or a <CPIX> in the namespace {CPIX}",
     f"echo {_GPAC} > good.keys; clearkey keys check one.mp4 --keys-file good.keys",
     f"echo {_CPIX % _PLAIN} > good.keys; clearkey keys check one.mp4 --keys-file good.keys",
     before=("echo '<keys/>' > bad.keys",))  # fmt: skip
case(3, "clearkey keys check one.mp4 --keys-file bad.keys",
     'remove random="true" where the file does hold the keys',
     """sed 's/ random="true"//' bad.keys > good.keys; clearkey keys check one.mp4 --keys-file good.keys""",
     before=(f"""echo {_GPAC} | sed 's/trackID="1"/trackID="1" random="true"/' > bad.keys""",))  # fmt: skip
case(3, "clearkey keys check one.mp4 --keys-file bad.keys",
     'write <key KID="0x…" value="0x…"/>, or IsEncrypted="0"',
     f"echo {_GPAC} > good.keys; clearkey keys check one.mp4 --keys-file good.keys",
     f"""echo {_GPAC} | sed 's|</GPAC|<CrypTrack trackID="2" IsEncrypted="0"/></GPAC|' > good.keys; """
     "clearkey keys check one.mp4 --keys-file good.keys",
     before=("""echo '<GPACDRM><CrypTrack trackID="1"/></GPACDRM>' > bad.keys""",))  # fmt: skip
case(3, "clearkey keys check one.mp4 --keys-file bad.keys",
     'write <key KID="0x…" value="0x…"/>',
     f"echo {_GPAC} > good.keys; clearkey keys check one.mp4 --keys-file good.keys",
     before=(f"""echo '<GPACDRM><CrypTrack trackID="1"><key KID="0x{KID}"/></CrypTrack></GPACDRM>' > bad.keys""",))  # fmt: skip
case(3, "clearkey keys check one.mp4 --keys-file bad.keys", "there is {known}",
     f"echo {_GPAC} > good.keys; clearkey keys check one.mp4 --keys-file good.keys",
     before=("""echo '<GPACDRM><CrypTrack trackID="1"><film/></CrypTrack></GPACDRM>' > bad.keys""",))  # fmt: skip
case(3, "clearkey keys check one.mp4 --keys-file bad.keys",
     "a ContentKey has one PlainValue in the namespace {PSKC}",
     f"echo {_CPIX % _PLAIN} > good.keys; clearkey keys check one.mp4 --keys-file good.keys",
     before=(f"echo {_CPIX % ''} > bad.keys",))  # fmt: skip
case(3, "clearkey keys check one.mp4 --keys-file bad.keys",
     "ask for the document with pskc:PlainValue, or decrypt it with the recipient's private key",
     f"echo {_CPIX % _PLAIN} > good.keys; clearkey keys check one.mp4 --keys-file good.keys",
     before=(f"echo {_CPIX % '<p:EncryptedValue/>'} > bad.keys",))  # fmt: skip

# ------------------------------------------------------------------------------------------------ what is to be written
case(2, f"clearkey encrypt clear.mp4 --key {ONE}", "name it with --output, or give --in-place",
     f"clearkey encrypt clear.mp4 --key {ONE} --output out.mp4", "cp clear.mp4 mine.mp4",
     f"clearkey encrypt mine.mp4 --key {ONE} --in-place", "cmp mine.mp4 mine.mp4",
     path="player/verbs/encrypt.py")  # fmt: skip
case(2, f"clearkey encrypt clear.mp4 --in-place -o out.mp4 --key {ONE}", "leave -o out",
     "cp clear.mp4 mine.mp4", f"clearkey encrypt mine.mp4 --in-place --key {ONE}")  # fmt: skip
case(2, f"clearkey encrypt clear.mp4 -o - --key {ONE}", "give a name to -o",
     f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE}", path="player/quick/encrypt_run.py")  # fmt: skip
case(2, f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE} --key {AUDIO} --rotate 0",
     "say after how many seconds the key changes",
     f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE} --key {AUDIO} --rotate 2.5")  # fmt: skip
case(2, f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE} --scheme cbcs --pattern one:nine",
     "write the blocks that are encrypted and those that stay clear: 1:9",
     f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE} --scheme cbcs --pattern 1:9")  # fmt: skip
case(2, f"cat clear.mp4 | clearkey encrypt /dev/stdin -o out.mp4 --key {ONE}",
     "write what comes out of a pipe to a file first",
     f"cat clear.mp4 > file.mp4; clearkey encrypt file.mp4 -o out.mp4 --key {ONE}")  # fmt: skip
case(2, f"clearkey encrypt clear.mp4 -o clear.mp4 --key {ONE}",
     "give -o another name; encrypt and decrypt replace their input with --in-place",
     f"clearkey encrypt clear.mp4 -o other.mp4 --key {ONE}",
     f"cp clear.mp4 mine.mp4; clearkey encrypt mine.mp4 --in-place --key {ONE}",
     f"clearkey decrypt mine.mp4 --in-place --key {ONE}")  # fmt: skip
case(2, f"clearkey encrypt http://127.0.0.1:9/film.mp4 -o out.mp4 --key {ONE}",
     "curl -fLO URL, then clearkey {verb} FILE; play, inspect, digest, keys check and pssh read URLs",
     "curl -sfLO file://$PWD/near/film.mp4", f"clearkey encrypt film.mp4 -o out.mp4 --key {ONE}",
     before=("mkdir near; cp clear.mp4 near/film.mp4",))  # fmt: skip
case(2, f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE} --scheme cenc --iv-size 0",
     "leave the size of IVs out, or take cbcs", f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE} --scheme cenc",
     f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE} --iv-size 0 --scheme cbcs")  # fmt: skip
case(2, f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE} --scheme cenc --pattern 1:9",
     "take cens or cbcs for patterns",
     *(f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE} --scheme {scheme} --pattern 1:9"
       for scheme in ("cens", "cbcs")))  # fmt: skip
case(2, f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE} --scheme cbcs --pattern 16:9",
     "each is at most 15, and the first at least 1: 1:9 is usual",
     *(f"clearkey encrypt clear.mp4 -o out.mp4 --key {ONE} --scheme cbcs --pattern {each}"
       for each in ("15:15", "1:0", "1:9")))  # fmt: skip
case(2, f"clearkey decrypt one.mp4 --key {ONE}", "name it with --output, or give --in-place",
     f"clearkey decrypt one.mp4 --key {ONE} --output out.mp4",
     f"cp one.mp4 mine.mp4; clearkey decrypt mine.mp4 --key {ONE} --in-place", path="player/verbs/decrypt.py")  # fmt: skip
case(2, f"clearkey decrypt one.mp4 -o out.mp4 --in-place --key {ONE}", "leave it out, or -o",
     f"clearkey decrypt one.mp4 -o out.mp4 --key {ONE}",
     f"cp one.mp4 mine.mp4; clearkey decrypt mine.mp4 --in-place --key {ONE}")  # fmt: skip
case(2, f"clearkey decrypt one.mp4 -o - --key {ONE}", "give a name to -o",
     f"clearkey decrypt one.mp4 -o out.mp4 --key {ONE}", path="player/verbs/decrypt.py")  # fmt: skip
case(2, "clearkey inspect one.mp4 --svg - >&-", "give a file instead of -", "clearkey inspect one.mp4 --svg map.svg >&-",
     "test -s map.svg")  # fmt: skip
case(2, "clearkey play http://127.0.0.1:9/a.mp4 clear.mp4", "download the segments, or give one whole file",
     "clearkey play clear.mp4")  # fmt: skip
case(2, "clearkey play ftp://127.0.0.1/a.mp4", "give a path, or a URL of http or https", "clearkey play clear.mp4")
case(2, "clearkey inspect .", "give a regular file", "clearkey inspect clear.mp4")

# ------------------------------------------------------------------------------------------------ explain
case(2, "clearkey explain E-KEY-WRNG", "clearkey explain {codes[0]}", "clearkey explain E-KEY-WRONG")
case(2, "clearkey explain zzzzzz", "clearkey explain, which lists all codes",
     "clearkey explain | grep -q E-KEY-WRONG")  # fmt: skip
case(2, "clearkey explain 0x8007000d",
     "give the code that stands in brackets behind the error's message, as in `clearkey explain E-RATE`",
     "clearkey explain E-RATE")  # fmt: skip
