"""The license server's pages, full of what a store can hold: can everybody use them, and is every word whole?

Names are as bad as stores let them be: written from right to left, with characters that turn the text around, and long
without a place to break them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from drm.keys import ContentKey, KeyId
from drm.license.sealed import make_registration, verify_registration
from drm.rights.policy import Policy
from license_server.issuing.token_minting import make_signing_key
from license_server.store.audit import record_admin_action
from license_server.store.keys import Place
from license_server.store.opening import open_store
from license_server.store.wrapping import find_kek
from tests.browser.pages_server import FILM, PASSWORD, Running, pages_server
from tests.browser.players import axe_source
from tests.interop.command import Command
from tests.publisher import MARKED, Publisher

HEBREW = "סרט 7 (שני)"
TURNED = "\u202egnp.evil\u2066 סרט"
LONG = "film-" + "x" * 120
NAMES = {name: KeyId(bytes([number]) * 16) for number, name in enumerate((HEBREW, TURNED, LONG, "a film"), 1)}
KID = NAMES[HEBREW]
PAGES = ("overview", "keys", f"keys/{KID.hex}", "licenses", "watch", "path", "trust", "tools", "keys/nothing")
SIZES = ({"width": 360, "height": 740}, {"width": 1280, "height": 800})


@pytest.fixture(scope="module")
def running(clearkey: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("quality")
    publisher = Publisher()
    publisher.publish_marked()
    publisher.revoke(class_id=MARKED, below="0.9.0")
    publisher.revoke(sha256=(publisher.sha256(MARKED),))
    signing = make_signing_key(folder / "signing.json")
    (folder / "tokens.json").write_text(json.dumps({"keys": [signing.public()]}))
    (folder / "admin").write_text("t" * 40)
    options = (
        *("--components", publisher.home.trees.shown, "--tokens-file", folder / "tokens.json", "--faults"),
        *("--admin-token-file", folder / "admin", "--admin-signing-key", folder / "signing.json"),
        *("--admin-password-file", folder / "password"),
    )
    with pages_server(clearkey, folder, *options) as started:
        (started.catalogue / HEBREW).mkdir()
        (started.catalogue / HEBREW / "manifest.mpd").write_text("<MPD/>")
        with open_store(folder / "keys.db", find_kek(folder / "keys.db", None)) as store:
            places = {kid: Place(name, "HD", 3) for name, kid in NAMES.items()}
            store.keys.add({kid: ContentKey(b"q" * 16) for kid in places}, places=places)
            policy = Policy(expires=2_000_000_000, rental=86_400, hdcp=2, min_level=2, sealed_only=True)
            store.keys.set_policy(KID, policy)
            store.keys.revoke(NAMES["a film"])
            device = verify_registration(make_registration(bytes(range(32))))
            store.devices.register(device, 1_700_000_000)
            store.devices.enrol(device.device_id)
            for name, kid in NAMES.items():
                record_admin_action(store.engine, "admin", "content_policy_set", f"alice: content {name}", [kid])
        yield started


@pytest.fixture(scope="module")
def state(browser, running: Running):
    """The cookie of a session."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{running.url}/sign-in")
    page.fill("input[type=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{running.url}/overview")
    for _ in range(2):
        context.request.post(f"{running.url}/license", data=json.dumps({"kids": [KID.base64url]}))
    found = context.storage_state()
    context.close()
    return found


@pytest.fixture
def admin(browser, state):
    context = browser.new_context(storage_state=state)
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


def shown(page: Any, running: Running, name: str) -> None:
    """Open a page and wait for what its scripts fetch; in the page of tools, have every tool answer."""
    page.goto(f"{running.url}/{name}")
    if name == "licenses":
        page.wait_for_selector("#events tbody tr:nth-child(4)")
    if name == "tools":
        page.fill("textarea[name=manifest]", (running.catalogue / FILM.name / "manifest.mpd").read_text())
        page.click("button:has-text('Signal')")
        page.wait_for_selector("#signal pre")


# ------------------------------------------------------------------------------------------------ for everybody
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", [*PAGES, "sign-in"])
def test_axe_finds_nothing(name: str, admin, page, running: Running) -> None:
    """In both colour schemes, on a small screen and on a large one."""
    source = axe_source()
    seen = page if name == "sign-in" else admin
    shown(seen, running, name)
    seen.evaluate(source)
    found = []
    for size in SIZES:
        seen.set_viewport_size(size)
        for scheme in ("light", "dark"):
            seen.emulate_media(color_scheme=scheme)
            said = seen.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']}))")
            assert len(said["passes"]) > 10, "axe looked at nothing"
            found += [
                (size["width"], scheme, rule["id"], rule["impact"], node["html"][:150], node["failureSummary"][:200])
                for rule in said["violations"]
                for node in rule["nodes"]
            ]
    assert found == []


# ------------------------------------------------------------------------------------------------ words
BROKEN = """() => {
  const found = [];
  for (const cell of document.querySelectorAll("th, td, dt, button, .chip, nav a, label, h1, h2, h3, legend")) {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode());) {
      const isName = node.parentElement.closest("bdi"); // one of any length has to go somewhere
      for (const { 0: word, index } of node.data.matchAll(isName ? /[^\\s-]+/g : /[\\p{L}\\p{N}.,:;()]+/gu)) {
        const range = document.createRange();
        range.setStart(node, index);
        range.setEnd(node, index + word.length);
        const boxes = [...range.getClientRects()].filter((box) => box.width > 0);
        const lines = new Set(boxes.map((box) => Math.round(box.top)));
        if (word.length <= (isName ? 12 : 24) && lines.size > 1) found.push(word);
      }
    }
  }
  return found;
}"""


@pytest.mark.parametrize("name", PAGES)
def test_no_word_is_broken_and_nothing_sticks_out(name: str, admin, running: Running) -> None:
    shown(admin, running, name)
    for width in (1280, 1024, 800, 360):
        admin.set_viewport_size({"width": width, "height": 800})
        assert admin.evaluate(BROKEN) == [], width
        assert admin.evaluate("document.documentElement.scrollWidth") <= width
        assert admin.evaluate("(main => main.scrollWidth - main.clientWidth)(document.querySelector('main'))") == 0, (
            width
        )


# ------------------------------------------------------------------------------------------------ names
LOOSE = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const around = node.parentElement;
    if (/[\\u202a-\\u202e\\u2066-\\u2069]/.test(node.data)) found.push(`turned: ${node.data}`);
    if (/\\p{Script=Hebrew}/u.test(node.data) && !around.closest("bdi, [dir=auto]")
        && getComputedStyle(around).unicodeBidi !== "isolate") found.push(`loose: ${node.data}`);
  }
  return found;
}"""


@pytest.mark.parametrize("name", [f"keys?q={HEBREW}", *PAGES[1:7]])
def test_a_name_turns_nothing_round_beside_it(name: str, admin, running: Running) -> None:
    shown(admin, running, name)
    text = admin.locator("main").inner_text()
    if name.startswith("keys") or name == "licenses":
        assert HEBREW in text, "the name is not on this page, so nothing was looked at"
    if name in ("keys", "licenses"):
        assert "\\u202egnp.evil" in text, "what turns text around is told by its number"
    assert admin.evaluate(LOOSE) == []


def test_what_is_said_of_a_name_isolates_it(admin, running: Running) -> None:
    admin.goto(f"{running.url}/keys")
    admin.select_option("select[name=content]", HEBREW)
    admin.click("button:has-text('Rotate')")
    admin.wait_for_selector(".note bdi bdi")
    assert admin.locator(".note bdi bdi").inner_text() == HEBREW
    assert admin.evaluate(LOOSE) == []
    admin.select_option("select[name=content]", TURNED)  # as it is in the store, and not as it is shown
    admin.click("button:has-text('Rotate')")
    admin.wait_for_selector(".note:has-text('gnp.evil')")
    assert admin.locator(".note.bad").count() == 0


# ------------------------------------------------------------------------------------------------ what to do
def test_the_trust_page_names_the_commands_for_what_it_cannot_do(admin, running: Running) -> None:
    admin.goto(f"{running.url}/trust")
    said = admin.locator("td code").all_inner_texts()
    assert f"clearkey authority revoke {MARKED} --version 1.0.0 --reason flaw" not in said, (
        "it is revoked, and not listed"
    )
    assert sum(line.startswith("clearkey authority revoke ") for line in said) > 3
    assert sum(line.startswith("clearkey authority unrevoke ") for line in said) == 2
    assert "clearkey authority tick" in said
