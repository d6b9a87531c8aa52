"""The keys that the store holds: found by any notation, made, imported, revoked. A key itself is shown elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from drm.errors import DRMError
from drm.keyfile.formats import parse_keys_file
from drm.keys import KeyId
from license_server.pages.admission import guarded
from license_server.pages.wording import named
from license_server.store.audit import record_admin_action
from license_server.store.keys import KeyRow, Place
from license_server.store.names import check_content, check_track
from license_server.store.opening import Store

__all__ = ["add_key_list", "found_rows", "key_id_of", "write_down"]

_SHOWN: Final = 200  # rows in one page
_MOST_TRACKS: Final = 8


def found_rows(rows: Sequence[KeyRow], query: str) -> list[KeyRow]:
    """The rows whose KID, in any notation, or content, track or KEK the query names or is part of."""
    wanted = query.strip()
    if not wanted:
        return list(rows)
    try:
        kid = KeyId.parse(wanted)
    except DRMError:
        part = wanted.lower()
        return [row for row in rows if any(part in word for word in _words(row))]
    return [row for row in rows if row.kid == kid]


def _words(row: KeyRow) -> list[str]:
    fields = (row.kid.hex, str(row.kid), row.place.content, row.place.track, row.kek_id)
    return [word.lower() for word in fields if word]


def write_down(store: Store, code: str, kids: Iterable[KeyId], content: str = "") -> None:
    """Write down what was done in a page, before it is said that it is done."""
    who = f"administrator: content {content}" if content else "administrator"
    record_admin_action(store.engine, "pages", code, who, kids, client=request.remote_addr or "")


def key_id_of(text: str) -> KeyId:
    """The key id in a path. Raises NotFound."""
    try:
        return KeyId.parse(text)
    except DRMError:
        raise NotFound from None


def add_key_list(blueprint: Blueprint, store: Store) -> None:
    """Add the list and the forms that change it."""

    @blueprint.get("/keys")
    @guarded
    def keys() -> str:
        query = request.args.get("q", "")
        rows = store.keys.rows()
        matching = found_rows(rows, query)
        contents = sorted({row.place.content for row in rows if row.place.content})
        return render_template(
            "keys.html", query=query, rows=matching[:_SHOWN], found=len(matching), held=len(rows), contents=contents
        )

    @blueprint.post("/keys/new")
    @guarded
    def make_keys() -> AnyResponse:
        content = request.form.get("content", "").strip()
        tracks = request.form.get("tracks", "").replace(",", " ").split()[:_MOST_TRACKS]
        try:
            if content:
                check_content(content)
            for track in tracks:
                check_track(track)
            named: list[str | None] = [*tracks] or [None]
            kids = store.keys.make([Place(content or None, track) for track in named])
        except DRMError as error:
            return _refused(error.what)
        write_down(store, "keys_generated", kids, content)
        _say(f"{len(kids)} made")
        return redirect(url_for("pages.keys", q=content or kids[0].hex), 303)

    @blueprint.post("/keys/import")
    @guarded
    def import_keys() -> AnyResponse:
        try:
            imported = parse_keys_file(request.form.get("keys", "").encode())
            new = store.keys.add(imported)
        except DRMError as error:
            return _refused(error.what)
        write_down(store, "keys_imported", imported)
        _say(f"{new} new, {len(imported) - new} held already")
        return redirect(url_for("pages.keys"), 303)

    @blueprint.post("/keys/period")
    @guarded
    def next_period() -> AnyResponse:
        content = request.form.get("content", "")
        try:
            rows = store.contents.next_period(content)
        except DRMError as error:
            return _refused(error.what)
        write_down(store, "content_rotated", [row.kid for row in rows], content)
        _say(Markup("{} made for the next crypto period of {}").format(len(rows), named(content)))
        return redirect(url_for("pages.keys", q=content), 303)


def _refused(what: str) -> AnyResponse:
    flash(what, "bad")
    return redirect(url_for("pages.keys"), 303)


def _say(what: str) -> None:
    flash(what, "ok")
