"""Instants, numbers, JSON and commands as the pages show them."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

from bridge.console.event_views import AttemptDetail
from bridge.console.pages import words
from bridge.console.pages.bodies import curl, pretty
from bridge.console.pages.rendering import spark
from bridge.console.state_views import Point
from tests.support.console_fake import FakeConsole

NOW_S = 1_782_734_400.0  # 2026-06-29T12:00:00Z


@pytest.mark.parametrize(
    ("at_s", "text"),
    [
        (NOW_S, "now"),
        (NOW_S - 12.4, "12 s ago"),
        (NOW_S - 89, "89 s ago"),
        (NOW_S - 90, "2 min ago"),
        (NOW_S - 3600 * 5, "5 h ago"),
        (NOW_S - 86400 * 3, "3 d ago"),
        (NOW_S + 30, "in 30 s"),
    ],
)
def test_a_relative_time_has_the_unit_that_suits_it(at_s, text):
    assert words.relative(at_s, NOW_S) == text


@pytest.mark.parametrize(
    ("at_s", "text"),
    [
        (NOW_S, "2026-06-29 12:00:00.000 UTC"),
        (NOW_S + 0.0015, "2026-06-29 12:00:00.002 UTC"),
        (NOW_S - 0.0004, "2026-06-29 12:00:00.000 UTC"),
        (-1.0, "1970-01-01 00:00:00.000 UTC"),
        (1e18, "9999-01-01 00:00:00.000 UTC"),
    ],
)
def test_an_exact_time_is_in_utc_to_the_millisecond_for_every_number(at_s, text):
    assert words.exact(at_s) == text


@pytest.mark.parametrize(
    ("text", "at_s"),
    [
        ("", None),
        ("  ", None),
        ("2h", NOW_S - 7200),
        ("30 m", NOW_S - 1800),
        ("7d", NOW_S - 7 * 86400),
        ("2026-06-29", NOW_S - 12 * 3600),
        ("2026-06-29T12:00", NOW_S),
        ("2026-06-29 12:00:00", NOW_S),
        ("2026-06-29T14:00:00+02:00", NOW_S),
    ],
)
def test_a_time_is_read_as_a_person_types_it(text, at_s):
    assert words.instant_s(text, NOW_S) == at_s


@pytest.mark.parametrize("text", ["yesterday", "2h ago", "2026-13-01", "12:00", "٢h", "-1h", "29.06.2026"])
def test_a_text_that_is_no_time_is_a_mistake_with_examples(text):
    with pytest.raises(words.NoInstant, match="2h or 7d"):
        words.instant_s(text, NOW_S)


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.9999, "99.9 %"), (0.97, "97.0 %"), (0.0001, "0.1 %"), (0.0, "0 %")],
)
def test_a_success_rate_is_100_percent_only_if_nothing_failed(share, text):
    assert words.percent(share) == text


def test_json_is_indented_and_nothing_else_of_it_changes():
    numbers = '"amount":5000.00,"big":123456789012345678901234567890'
    text = f'{{{numbers},"a":"\\u00e9 {{[,:","a":[],"b":{{}},"c":[1,{{"d":null}}]}}'
    shown = pretty(text)
    assert shown is not None
    assert '"amount": 5000.00' in shown
    assert "123456789012345678901234567890" in shown
    assert '"\\u00e9 {[,:"' in shown
    assert shown.count('"a"') == 2
    assert '"b": {}' in shown
    assert json.loads(shown) == json.loads(text)


@pytest.mark.parametrize(
    "text", ["", None, "loan=1", "<b>", '{"a":', "[" * 100 + "]" * 100, "[" * 100_000, '"a"', "12"]
)
def test_what_is_no_json_document_is_shown_as_it_is(text):
    assert pretty(text) is None


async def detail() -> AttemptDetail:
    fake = FakeConsole()
    found = await fake.attempt(fake.rows[0].id)
    assert found is not None
    return found


async def test_the_command_of_curl_sends_the_same_request_whatever_the_data():
    body = 'it\'s $(reboot) `id` \\ \n {"a": 1}'
    nasty = replace(
        await detail(),
        url="https://crm.example/a?b='; rm -rf ~ #",
        headers=[("x-note", "it's; $HOME")],
        body=body,
    )
    command = shlex.split(curl(nasty).replace("\\\n", " ", 2))
    assert command[:4] == ["curl", "--request", "POST", nasty.url]
    assert "x-note: it's; $HOME" in command
    assert command[-1] == body


async def test_the_command_of_curl_does_not_call_a_readable_body_compressed():
    headers = [("content-type", "application/json"), ("Content-Encoding", "gzip")]
    shown = curl(replace(await detail(), headers=headers, body='{"a": 1}'))
    assert "content-type: application/json" in shown
    assert "gzip" not in shown


async def test_a_body_that_begins_with_an_at_sign_is_no_file_of_curl():
    assert "--data-raw" in curl(replace(await detail(), body="@/etc/passwd"))


def test_a_sparkline_needs_two_points_and_survives_zeros():
    assert spark([]) == ""
    assert spark([Point(1.0, 5, 5)]) == ""
    assert spark([Point(1.0, 0, 0), Point(61.0, 0, 0)]) == "0.0,25.0 120.0,25.0"
    assert spark([Point(1.0, 0, 0), Point(61.0, 4, 4)]) == "0.0,25.0 120.0,1.0"
