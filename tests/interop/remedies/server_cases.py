"""Remedies for the key store, the license server and tokens."""

from __future__ import annotations

from tests.interop.remedies.case import AUDIO, KID, ONE, WRONG, Cases

case = Cases()
_STORE = "--store keys.db"
_IMPORTED = (f"clearkey keys import one.keys {_STORE}",)

# ------------------------------------------------------------------------------------------------ the store
case(2, f"clearkey keys import wrong.keys {_STORE}", "give --replace if the new keys are the right ones",
     f"clearkey keys import wrong.keys {_STORE} --replace",
     before=(*_IMPORTED, f"echo {WRONG} > wrong.keys"))  # fmt: skip
case(2, f"clearkey keys import one.keys {_STORE} --track HD", "name it with --content",
     f"clearkey keys import one.keys {_STORE} --track HD --content film",
     f"clearkey keys list {_STORE} | grep -q film")  # fmt: skip
case(4, f"clearkey keys remove {AUDIO[:32]} {_STORE}", "clearkey keys list", f"clearkey keys list {_STORE}",
     f"clearkey keys remove {KID} {_STORE}", before=_IMPORTED)  # fmt: skip
case(2, f"clearkey keys revoke {_STORE}", "give a KID, --content, --token or --device",
     f"clearkey keys revoke {KID} {_STORE}", before=_IMPORTED)  # fmt: skip
case(2, f"clearkey keys policy {KID} --actions watch {_STORE}", "give some of {', '.join(Action)}, or none",
     f"clearkey keys policy {KID} --actions play,snapshot,export {_STORE}",
     f"clearkey keys policy {KID} --actions none {_STORE}", before=_IMPORTED)  # fmt: skip
case(2, f"clearkey keys policy {KID} --expires tomorrow {_STORE}",
     "give +1h, +2d, seconds since the epoch, or 2027-01-31T12:00:00Z",
     *(f"clearkey keys policy {KID} --expires {each} {_STORE}" for each in ("+1h", "4000000000", "2037-01-31T12:00:00Z")),
     before=_IMPORTED)  # fmt: skip
case(4, f"clearkey keys rotate film {_STORE}", "name its tracks with --track",
     f"clearkey keys rotate film --track HD {_STORE}", before=_IMPORTED)  # fmt: skip
case(2, f"clearkey keys devices --enrol abcd {_STORE}", "clearkey keys devices lists them",
     f"clearkey keys devices {_STORE}", before=_IMPORTED)  # fmt: skip
case(3, f"clearkey keys list {_STORE} --kek-file other.kek", "name the right one with --kek-file or CLEARKEY_KEK",
     f"clearkey keys list {_STORE} --kek-file right.kek", f"CLEARKEY_KEK=$(base64 right.kek) clearkey keys list {_STORE}",
     path="license_server/store/keys.py",
     before=("head -c 32 /dev/urandom > right.kek; head -c 32 /dev/urandom > other.kek",
             f"clearkey keys import one.keys {_STORE} --kek-file right.kek"))  # fmt: skip
case(3, f"clearkey keys list {_STORE} --kek-file bad.kek", "give {_FORMS}",
     f"clearkey keys list {_STORE} --kek-file right.kek",
     before=("head -c 32 /dev/urandom > right.kek; echo short > bad.kek",
             f"clearkey keys import one.keys {_STORE} --kek-file right.kek"))  # fmt: skip
case(3, "clearkey keys list --store postgresql://nobody@127.0.0.1:9/none",
     "name one with --kek-file or {KEK_VARIABLE}: head -c 32 /dev/urandom > FILE makes it",
     "head -c 32 /dev/urandom > FILE", f"clearkey keys import one.keys {_STORE} --kek-file FILE")  # fmt: skip
case(2, f"CLEARKEY_KEK=$(base64 right.kek) clearkey keys rewrap {_STORE}",
     "put it into a file, and name that with --kek-file here and in `clearkey serve`",
     f"clearkey keys rewrap {_STORE} --kek-file right.kek", f"clearkey keys verify {_STORE} --kek-file right.kek",
     before=("head -c 32 /dev/urandom > right.kek",
             f"clearkey keys import one.keys {_STORE} --kek-file right.kek"))  # fmt: skip
case(3, f"clearkey keys list {_STORE}",
     "put the file back, or name the right key with --kek-file or {KEK_VARIABLE}",
     f"clearkey keys list {_STORE} --kek-file away", f"mv away keys.db.kek; clearkey keys list {_STORE}",
     before=(*_IMPORTED, "mv keys.db.kek away"))  # fmt: skip

# ------------------------------------------------------------------------------------------------ the server
case(2, "clearkey serve --port ${PORT:-$(echo URL | sed 's/.*://')} --keys-file one.keys", "--port 0 takes a free port",
     "timeout -s INT 5 clearkey serve --port 0 --keys-file one.keys | grep -q 'license server: http'",
     server="--keys-file one.keys")  # fmt: skip
case(2, "clearkey serve --port 0 --keys-file one.keys --rate-limit 1/10",
     "give ATTEMPTS/SECONDS as 8/10, with {LEAST} attempts or more: players try that often",
     "timeout -s INT 5 clearkey serve --port 0 --keys-file one.keys --rate-limit 8/10 | grep -q 'license server: http'")  # fmt: skip
case(2, "clearkey serve --port 0 --keys-file one.keys --admin-token-file token", "openssl rand -hex 32 > {path}",
     "openssl rand -hex 32 > token",
     "timeout -s INT 5 clearkey serve --port 0 --keys-file one.keys --admin-token-file token | grep -q 'license server'",
     before=("echo short > token",))  # fmt: skip
case(2, "clearkey serve --config serve.toml", "its members are the long names of the options, as in `port = 8700`",
     "printf 'port = 0\\nkeys-file = \"one.keys\"\\n' > serve.toml",
     "timeout -s INT 5 clearkey serve --config serve.toml | grep -q 'license server: http'",
     before=("echo 'ports = 8700' > serve.toml",))  # fmt: skip
case(2, "clearkey keys token --signing-key key.jwk --policy sealed", 'as in {"sealed_only": true}',
     "clearkey keys token --signing-key key.jwk --policy '{\"sealed_only\": true}'")  # fmt: skip
case(8, "clearkey play one.mp4 --license-url URL/license", "give the token with --header 'Authorization: Bearer ...'",
     "clearkey play one.mp4 --license-url URL/license --header \"Authorization: Bearer $(cat token)\"",
     before=("clearkey keys token --signing-key key.jwk --verifying-key tokens.jwks > token",),
     server="--keys-file one.keys --tokens-file tokens.jwks")  # fmt: skip
case(8, "clearkey play one.mp4 --license-url URL", "--license-url {shown_url(likely)}: a license server answers there",
     "clearkey play one.mp4 --license-url URL/license", server="--keys-file one.keys")  # fmt: skip
case(4, "clearkey play one.mp4 --license-url URL/license", "clearkey keys list --store PATH shows what the server holds",
     "clearkey keys list --store other.db | grep -q 50505050",
     before=(f"echo {AUDIO} > other.keys; clearkey keys import other.keys --store other.db",),
     server="--store other.db")  # fmt: skip
case(2, "clearkey play one.mp4 --license-url licenses.example.test", "give it as https://host/path",
     "clearkey play one.mp4 --license-url URL/license", server="--keys-file one.keys",
     path="drm/app/http/post.py")  # fmt: skip
case(6, "clearkey play one.mp4 --license-url URL/license --snapshot sheet.png",
     "leave that output out, or have the license server grant it: `clearkey keys policy KID --actions {wanted}` "
     "(docs/how-to/license-server.md)",
     "clearkey play one.mp4 --license-url URL/license",
     before=(*_IMPORTED, f"clearkey keys policy {KID} --actions play {_STORE}"), server=_STORE)  # fmt: skip
case(2, f"clearkey keys convert {ONE[:31]} --to hex",
     "give 32 hex digits, a UUID or 22 characters of base64url, or a file's name", f"clearkey keys convert {KID} --to hex")  # fmt: skip
