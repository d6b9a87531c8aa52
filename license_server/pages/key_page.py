"""One key: where it belongs, what may be copied of it, and, as a second step that is written down, the key itself."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.security import check_password_hash
from werkzeug.wrappers import Response as AnyResponse

from drm.errors import KeyMissingError
from drm.keys import KeyId
from drm.manifests.forms import CK_NAMESPACE, Player, clearkey_lines, default_kid_lines, hls_key_line
from drm.manifests.key_ids import CENC_NAMESPACE
from drm.media import Scheme
from license_server.issuing.licenses import raw_key
from license_server.pages.admission import PageRules, guarded
from license_server.pages.key_list import key_id_of, write_down
from license_server.store.keys import KeyRow
from license_server.store.opening import Store

__all__ = ["add_key_page"]

_HIDDEN = "KEY"


def add_key_page(blueprint: Blueprint, store: Store, rules: PageRules) -> None:
    """Add the page of a key and what can be done to it."""

    @blueprint.get("/keys/<kid>")
    @guarded
    def key(kid: str) -> str:
        return _page(key_id_of(kid))

    @blueprint.post("/keys/<kid>/revoke")
    @guarded
    def revoke(kid: str) -> AnyResponse:
        key_id = key_id_of(kid)
        is_restored = request.form.get("restore") == "1"
        try:
            store.keys.revoke(key_id, restore=is_restored)
        except KeyMissingError:
            raise NotFound from None
        write_down(store, "key_restored" if is_restored else "key_revoked", [key_id])
        flash("issued again" if is_restored else "not issued any more", "ok")
        return redirect(url_for("pages.key", kid=key_id.hex), 303)

    @blueprint.post("/keys/<kid>/show")
    @guarded
    def show(kid: str) -> AnyResponse | str:
        """The second step: what was typed must be right, and is asked for each time."""
        key_id = key_id_of(kid)
        typed = request.form.get("confirm", "")[:1024]
        if rules.password_hash is not None:
            is_right = check_password_hash(rules.password_hash, typed)
        else:
            is_right = typed.strip().lower() == key_id.hex[-6:]
        if not is_right:
            write_down(store, "key_not_shown", [key_id])
            flash("that was not it: the key is not shown", "bad")
            return redirect(url_for("pages.key", kid=key_id.hex), 303)
        held = store.keys.get_many([key_id]).get(key_id)
        if held is None:
            raise NotFound
        write_down(store, "key_shown", [key_id])
        return _page(key_id, raw_key(held.key).hex())

    def _page(key_id: KeyId, shown: str = "") -> str:
        row = next((row for row in store.keys.rows() if row.kid == key_id), None)
        if row is None:
            raise NotFound
        where = url_for("license_", _external=True)
        return render_template(
            "key.html", row=row, shown=shown, has_password=rules.password_hash is not None,
            copies=_copies(row, where, shown or _HIDDEN),
        )  # fmt: skip


def _copies(row: KeyRow, license_url: str, key: str) -> list[tuple[str, str]]:
    """The key in the words of others, ready to be pasted: what it is for, and the text."""
    kid = row.kid
    mpd = [  # it is pasted into MPDs that may declare neither prefix
        *default_kid_lines(Scheme.CENC, kid, declared=f' xmlns:cenc="{CENC_NAMESPACE}"'),
        *clearkey_lines(license_url, declared=f' xmlns:clearkey="{CK_NAMESPACE}"'),
    ]
    return [
        ("clearkey package", f"--key {kid}:{key}"),
        ("Shaka Packager", f"--enable_raw_key_encryption --keys label=:key_id={kid.hex}:key={key}"),
        ("Shaka Player", f"player.configure('drm.clearKeys', {{'{kid.hex}': '{key}'}});"),
        ("MPD", "\n".join(mpd)),
        ("HLS for hls.js", hls_key_line(Player.HLSJS, Scheme.CBCS, kid, license_url)),
        ("HLS for Shaka Player", hls_key_line(Player.SHAKA, Scheme.CBCS, kid, license_url)),
    ]
