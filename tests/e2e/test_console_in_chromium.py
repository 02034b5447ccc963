"""The console's pages in a real Chromium, over a fake console: all pages, both themes, a phone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.wiring.replay_plan import ReplayRequest
from tests.support.chromium import chromium, tab
from tests.support.console_fake import NOW_S
from tests.support.console_pages import FakeLogins, ServedPages, served

PAGES = (
    "/", "/endpoints/crm", "/search?status=5xx", "/live", "/event?id=evt-4", "/event?id=evt-5", "/resend",
    "/resend?endpoint=crm", "/parked", "/parked?text=nothing&entity=0", "/parked/one?address=0:1", "/jobs",
    "/jobs/rs-1", "/replay?endpoint=crm&from=2h", "/switches", "/schemas", "/configuration", "/audit",
)  # fmt: skip
PICTURES = Path(__file__).parents[2] / "docs" / "how-to" / "pictures"
PICTURED = {
    "overview": ("/", 640),
    "endpoint": ("/endpoints/crm", 760),
    "event": ("/event?id=evt-2", 860),
    "search": ("/search?status=5xx", 640),
    "parked": ("/parked", 640),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def console() -> Iterator[ServedPages]:
    with served() as pages:
        yield pages


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 375)])
def test_every_page_can_be_read_by_everyone_and_keeps_its_policy(browser, console, scheme, width):
    faults = {}
    with tab(browser, scheme=scheme, width=width) as (page, errors), served(FakeLogins()) as locked:
        for path in PAGES:
            page.goto(console.origin + path)
            faults[path] = [*faults_of(page), *errors]
            errors.clear()
        page.goto(locked.origin + "/")
        assert page.url.endswith("/login?next=%2F")
        faults["login"] = faults_of(page)
    assert {path: found for path, found in faults.items() if found} == {}


def faults_of(page: Any) -> list[str]:
    from tests.support.chromium import CHECKS

    return list(page.evaluate(CHECKS))


def test_the_checks_find_what_they_are_for(browser, console):
    """A page with planted faults: otherwise the test above could pass without looking."""
    with tab(browser) as (page, errors):
        page.goto(console.origin + "/audit")
        page.evaluate(
            """() => {
                const main = document.querySelector("main");
                const add = (tag, more = {}) => main.append(Object.assign(document.createElement(tag), more));
                add("button"); add("input"); add("h1", { textContent: "two" }); add("section");
                add("p", { textContent: "pale" }); main.lastChild.style.color = "rgb(200, 200, 200)";
                add("p", { textContent: "wide" }); main.lastChild.style.width = "3000px";
                add("b", { id: "main" });
                add("script", { textContent: "window.planted = 1" });
                main.insertAdjacentHTML("beforeend", '<i style="color: red">x</i>');
            }"""
        )
        faults = "\n".join(faults_of(page))
        for fault in (
            "no name: <button",
            "no name: <input",
            "2 elements h1",
            "landmark",
            "contrast",
            "wider",
            "id twice",
        ):
            assert fault in faults
        page.wait_for_function("() => true")
        assert page.evaluate("() => window.planted") is None
        assert any("script-src" in error for error in errors)
        assert any("style-src" in error for error in errors)
        errors.clear()


def test_the_keyboard_is_enough(browser, console):
    with tab(browser) as (page, _):
        page.goto(console.origin + "/parked")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "find"
        page.keyboard.type("j?")
        assert page.input_value("#find") == "j?"
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        assert page.locator("dialog#keys").is_visible()
        page.keyboard.press("Escape")
        for key in "jjk":
            page.keyboard.press(key)
        assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 1
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("x")
        assert page.locator("[data-chosen]").inner_text() == "1 selected"
        page.keyboard.press("Enter")
        page.wait_for_url("**/parked/one?address=*")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"


def test_a_parked_event_is_read_and_sent_again(browser, console):
    with tab(browser) as (page, _):
        page.goto(console.origin + "/")
        page.click("text=Parked >> nth=0")
        page.click("tbody tr:nth-child(2) [data-open]")
        assert "status 422: amount is missing" in page.inner_text("main")
        page.fill("#why-redrive", "amount added")
        page.click("button:text-is('Send again')")
        assert "redrive: 0:1" in page.inner_text("#note")
    ((action, addresses, who),) = console.fake.done
    assert (action, addresses, who.by, who.why) == ("redrive", ("0:1",), "local", "amount added")


def test_a_form_that_is_clicked_twice_is_one_action(browser, console):
    with tab(browser) as (page, _):
        page.goto(console.origin + "/parked/one?address=0:1")
        page.dblclick("button:text-is('Send again')")
        page.wait_for_url("**/parked")
    assert len({who.key for _, _, who in console.fake.done}) == 1


def test_all_parked_events_of_a_page_are_discarded_after_a_question_and_with_a_reason(browser, console):
    with tab(browser) as (page, _):
        page.goto(console.origin + "/parked")
        page.check("[data-all]")
        assert page.locator("[data-chosen]").inner_text() == "12 selected"
        page.click("text=Discard selected")
        page.click("text=Discard for good")
        assert page.inner_text("h1") == "Discard 12 events?"
        assert console.fake.done == []
        page.fill("#why-parked", "test data")
        page.click("text=Discard for good")
        page.wait_for_url("**/parked")
    assert [(action, len(given)) for action, given, _ in console.fake.done] == [("discard", 12)]


def test_an_event_is_re_sent_with_a_new_id_from_its_page(browser, console):
    with tab(browser) as (page, _):
        page.goto(console.origin + "/find?q=msg_000004")
        page.click("text=Re-send this event")
        page.check("text=With a new webhook-id")
        page.fill("#why-resend", "lost by the CRM")
        page.click("button:has-text('Re-send to')")
        page.wait_for_selector("#note")
    ((action, given, who),) = console.fake.done
    assert (action, given[1:], who.why) == ("resend", (False, True), "lost by the CRM")


def test_a_request_is_copied_as_a_command(browser, console):
    with tab(browser, permissions=["clipboard-read", "clipboard-write"]) as (page, _):
        page.goto(console.origin + "/event?id=evt-4")
        page.click("text=Copy as curl")
        page.wait_for_selector("button:text-is('Copied')")
        copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl --request POST 'https://")
    assert "webhook-id: msg_000004" in copied


def test_a_bulk_re_send_counts_before_it_starts(browser, console):
    with tab(browser) as (page, errors):
        page.goto(console.origin + "/resend")
        page.select_option("#f-endpoint", "crm")
        page.click("text=Count them")
        page.fill("#bulk-rate", "20")
        page.fill("#why-bulk", "outage")
        page.click("button:has-text('Re-send 40 events')")
        page.wait_for_selector("text=There is no such job yet")
        errors.clear()  # Chromium reports the status 404
    ((action, given, _),) = console.fake.done
    assert (action, given[0].endpoint, given[-1]) == ("resend_all", "crm", 20.0)


def test_a_replay_is_counted_and_then_started_with_the_same_times(browser, console):
    with tab(browser) as (page, errors):
        page.goto(console.origin + "/replay")
        page.select_option("#r-endpoint", "ledger")
        page.fill("#r-from", "2h")
        page.click("text=Count them")
        assert "Send 40 events, of 1,200 offsets" in page.inner_text("main")
        assert "retention deleted 3 records" in page.inner_text("main")
        page.fill("#why-replay", "new ledger")
        page.click("text=Start the replay")
        page.wait_for_selector("text=There is no such job yet")
        errors.clear()  # Chromium reports the status 404
    ((action, given, who),) = console.fake.done
    wanted = ReplayRequest("ledger", round(NOW_S - 7200) * 1000)
    assert (action, given, who.why) == ("replay", (wanted,), "new ledger")


def test_the_choice_of_the_theme_is_kept(browser, console):
    with tab(browser) as (page, _):
        page.goto(console.origin + "/search?status=5xx")
        page.click("button:text-is('Dark')")
        assert page.url.endswith("/search?status=5xx")
        page.goto(console.origin + "/audit")
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_the_live_tail_shows_what_is_new_and_can_be_paused(browser, console):
    newest = console.fake.rows[-1]
    with tab(browser) as (page, _):
        page.goto(console.origin + "/live")
        console.fake.rows.append(replace(newest, id="0:9999:0", event_id="evt-new", entity="<b>new</b>"))
        page.wait_for_selector("tr.fresh:has-text('<b>new</b>')")
        page.click("text=Pause")
        console.fake.rows.append(replace(newest, id="0:10000:0", event_id="evt-newer"))
        page.wait_for_timeout(2500)
        assert "evt-newer" not in page.inner_text("#tail")
        page.click("text=Resume")
        page.wait_for_selector("text=evt-newer")


def test_a_reader_logs_in_sees_everything_and_no_button(browser):
    with served(FakeLogins()) as locked, tab(browser) as (page, errors):
        page.goto(locked.origin + "/parked/one?address=0:1")
        page.fill("#token", "wrong")
        page.press("#token", "Enter")
        page.wait_for_selector("text=This token is not valid here")
        errors.clear()  # Chromium reports the status 401
        page.fill("#token", "read-token")
        page.press("#token", "Enter")
        page.wait_for_url("**/parked/one?address=0:1")
        assert "rob" in page.inner_text(".who")
        assert page.locator("main button:visible:not([data-copy])").count() == 0
        page.click("text=Log out")
        page.wait_for_url("**/login")


def test_on_a_phone_the_menu_opens_and_a_table_keeps_its_roles(browser, console):
    with tab(browser, width=375) as (page, _):
        page.goto(console.origin + "/search")
        assert not page.locator("nav").first.is_visible()
        page.click("text=Menu")
        assert page.locator("nav").first.is_visible()
        assert page.get_by_role("table", name="Attempts that match").get_by_role("cell").count() > 50
        assert page.locator("td[data-label=Verdict]").first.is_visible()


def test_everything_works_without_a_script(browser, console):
    with tab(browser, width=375, java_script_enabled=False) as (page, _):
        page.goto(console.origin + "/parked")
        assert page.locator("nav").first.is_visible()
        page.check("tbody input >> nth=0")
        page.click("text=Send selected again")
        page.click("button:text-is('Send again')")
        page.wait_for_selector("#note")
    assert [action for action, _, _ in console.fake.done] == ["redrive"]


@pytest.mark.parametrize("name", PICTURED)
def test_the_pictures_of_the_documentation_are_those_pages(browser, console, name, tmp_path):
    """With PICTURES set, it writes the files that docs/how-to/console.md shows: `make pictures`."""
    path, height = PICTURED[name]
    folder = PICTURES if os.environ.get("PICTURES") else tmp_path
    with tab(browser) as (page, _):
        page.set_viewport_size({"width": 1200, "height": height})
        page.goto(console.origin + path)
        page.wait_for_timeout(100)
        page.screenshot(path=str(folder / f"{name}.png"))
    assert 20_000 < (folder / f"{name}.png").stat().st_size < 150_000
    assert (PICTURES / f"{name}.png").exists()
