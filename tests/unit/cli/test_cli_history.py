"""How attempts are shown: columns, JSON, request and answer as they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.cli.history_output import document, instant, page, table
from bridge.errors import ConfigError
from bridge.history.attempt import AttemptId, Kept, Later
from bridge.history.encoding import COLUMNS
from bridge.history.reader import Found
from bridge.history.selection import AttemptFilter
from tests.support.attempts import attempt_at


def kept(**facts: Any) -> Kept:
    return Kept(AttemptId(3, 1042, 17), "crm", attempt_at(1, **facts))


REFUSED = kept(
    status=503, verdict="again", reason="status 503: late", later=Later(1_700_000_061.5), attempt=2,
    answer_headers=b"location: /late\nserver: x", answer_body=b"busy late",
)  # fmt: skip


def test_a_table_has_one_line_per_attempt_with_its_id() -> None:
    heading, first, second = table([kept(), REFUSED], 200)
    assert heading.split() == [
        "ATTEMPT", "SENT", "AT", "ENDPOINT", "TYPE", "ENTITY", "TRY", "STATUS", "VERDICT", "MS", "WHY"
    ]  # fmt: skip
    assert first.split() == [
        "3:1042:17", "2023-11-14T22:13:21.000Z", "crm", "LoanApproved", "e1", "1", "200", "delivered", "250"
    ]  # fmt: skip
    assert second.endswith("status 503: late")


def test_control_characters_of_events_and_answers_do_not_reach_the_terminal() -> None:
    strange = kept(entity="e\x1b[2J", reason="a\nb", answer_body=b"x\x1b]0;t\x07", headers=b"a: \x1b[1m")
    for lines in (table([strange], 200), page(strange)):
        assert not any("\x1b" in line or "\n" in line for line in lines)


def test_json_has_every_fact_of_an_attempt() -> None:
    shown = document(REFUSED, bodies=True)
    assert shown["id"] == "3:1042:17"
    assert shown["next_attempt_at"] == "2023-11-14T22:14:21.500Z"
    assert shown["answer_headers"] == [["location", "/late"], ["server", "x"]]
    assert (shown["request_body"], shown["answer_body"]) == ("{}", "busy late")
    flat = {*shown, *(f"from.{name}" for name in shown["from"])}
    renamed = {
        "sent_s": "sent_at", "answered_s": "answered_at", "topic": "from.topic", "next_s": "next_attempt_at",
        "partition": "from.partition", "offset": "from.offset", "event_index": "from.index",
        "appended_ms": "from.timestamp", "headers": "request_headers", "body": "request_body",
    }  # fmt: skip
    for_resends = {"own_headers", "origin_ms", "lane"}
    assert {renamed.get(name, name) for name in COLUMNS} - for_resends <= flat


def test_json_without_bodies_has_neither_headers_nor_bodies() -> None:
    parts = {"request_headers", "request_body", "answer_headers", "answer_body"}
    assert not parts & document(REFUSED, bodies=False).keys()


def test_a_body_that_is_no_text_is_shown_exactly() -> None:
    assert document(kept(body=b"\xff\x00"), bodies=True)["request_body_base64"] == "/wA="
    assert "hex:ff00" in list(page(kept(body=b"\xff\x00")))


def test_a_page_shows_request_and_answer() -> None:
    text = "\n".join(page(REFUSED))
    assert "attempt     3:1042:17, try 2" in text
    assert "POST https://crm.test:443/***\ncontent-type: application/json\n\n{}" in text
    assert "status 503\nlocation: /late\nserver: x\n\nbusy late" in text
    assert "next try    2023-11-14T22:14:21.500Z" in text


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"body": None, "body_bytes": 9}, "(9 bytes, not kept: see history.bodies)"),
        ({"body": None, "body_bytes": 9, "body_sha256": "ab"}, "(9 bytes, not kept; SHA-256 ab)"),
        ({"status": None, "verdict": "again", "answer_headers": None, "answer_body": None}, "no answer"),
        ({"again_id": "a1", "origin": "orders-3@5"}, "sent again  by request a1, first read from orders-3@5"),
        (
            {"event_index": 2},
            "came from   orders-3@17 (event 2 of its record), written 2023-11-14T22:13:20.000Z",
        ),
    ],
)
def test_a_page_says_what_an_attempt_does_not_have(facts: dict[str, Any], shown: str) -> None:
    assert shown in list(page(kept(**facts)))


def test_an_instant_that_no_calendar_has_is_shown_as_a_number() -> None:
    assert instant(1e300) == "1e+300 s"
    assert instant(None) is None


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--status", "abc"], "'abc' is no status; write 503, 5xx, or none"),
        (["show", "12"], "'12' is not the id of an attempt, such as 3:1042:17"),
        (["--limit", "0"], "0 is not in the range"),
        (["--since", "yesterday"], "'yesterday' is not an instant"),
        (["--verdict", "delivred"], "'delivred' is not one of"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(words: list[str], problem: str) -> None:
    result = CliRunner().invoke(cli, ["history", *words])
    assert result.exit_code == 2
    assert problem in result.output


class FakeStore:
    """A history with these attempts."""

    def __init__(self, *attempts: Kept) -> None:
        self._attempts = list(attempts)

    async def __aenter__(self) -> FakeStore:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def newest(self, wanted: AttemptFilter, limit: int, *, bodies: bool) -> Found:
        return Found([kept for kept in self._attempts if wanted.endpoint in (None, kept.endpoint)])

    async def fetch(self, attempt: AttemptId) -> Kept | None:
        return next((kept for kept in self._attempts if kept.id == attempt), None)


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    (tmp_path / "bridge.yaml").write_text("""\
kafka: {bootstrap_servers: ["127.0.0.1:1"]}
sources: {orders: {topics: [orders], format: json, id: id, type: type}}
endpoints: {shop: {url: "https://shop.example.com/"}}
""")
    monkeypatch.setattr("bridge.wiring.kafka.build_history_store", lambda _: FakeStore(kept(), REFUSED))

    def run(*words: str, form: str = "table") -> Result:
        config = str(tmp_path / "bridge.yaml")
        return CliRunner().invoke(cli, ["-c", config, "-o", form, "history", *words])

    return run


def test_json_and_yaml_are_one_list_of_attempts_or_one_attempt(history: Callable[..., Result]) -> None:
    for words, ids in (([], ["3:1042:17"] * 2), (["show", "3:1042:17"], "3:1042:17")):
        shown = json.loads(history(*words, form="json").stdout)
        assert shown == yaml.safe_load(history(*words, form="yaml").stdout)
        assert ([one["id"] for one in shown] if isinstance(shown, list) else shown["id"]) == ids


def test_nothing_is_cut_in_a_pipe(history: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    long = kept(reason="x" * 500, type="T" * 100)
    monkeypatch.setattr("bridge.wiring.kafka.build_history_store", lambda _: FakeStore(long))
    assert "x" * 500 in history().stdout
    assert "T" * 100 in history().stdout
    assert max(map(len, table([long], 100))) < 300


def test_a_misspelt_endpoint_is_an_error_and_a_removed_one_is_found(history: Callable[..., Result]) -> None:
    refused = history("-e", "shpo")
    assert isinstance(refused.exception, ConfigError)
    assert 'there is no endpoint "shpo"; did you mean "shop"?' in str(refused.exception)
    assert history("-e", "crm").stdout.count("3:1042:17") == 2, "it was removed from the configuration"
    assert (history("-e", "shop").exit_code, history("-e", "shop").stdout) == (0, "")
