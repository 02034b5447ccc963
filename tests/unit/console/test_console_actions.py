"""What the console changes: each change once, with who and why in the audit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.console import actions as actions_module
from bridge.console.actions import StoreActions
from bridge.console.ports import Done, Who
from bridge.console.query import AttemptQuery
from bridge.console.store.control import ControlQueries
from bridge.console.store.sqlite import SqliteDatabase
from bridge.errors import ActionRefused, KafkaUnavailable
from bridge.model import Partition, Record
from bridge.settings import Settings
from bridge.wiring.audit import audit_record
from bridge.wiring.replay_plan import ReplayRequest
from tests.support.console_store import store_control
from tests.support.settings_example import VALID

ANN = Who("ann by API", "outage", "")


class Topic:
    """The control topic in memory: what is written to it is in the store at once."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database
        self.written = 0
        self.is_down = False

    async def write(self, settings: Any, who: str, records: dict[bytes, bytes | None]) -> None:
        if self.is_down:
            raise KafkaUnavailable("cannot write")
        for key, value in records.items():
            self.written += 1
            record = Record(Partition("g.control", 0), self.written, 0, key, value)
            await store_control(self.database, record)


class Jobs:
    """The part that starts re-sends: it counts them, and writes its own audit and the receipt.

    With ``is_killed``, the process ends after that, before anyone gets an answer.
    """

    def __init__(self, topic: Topic) -> None:
        self.started = 0
        self.is_killed = False
        self._topic = topic

    async def resend_all(self, *given: Any, **__: Any) -> Done:
        self.started += 1
        await asyncio.sleep(0)
        done = Done("begun", job=f"job-{self.started}")
        for change in given[-1](done):
            await self._topic.write(None, "", audit_record(change))
        if self.is_killed:
            raise asyncio.CancelledError
        return done

    resend = replay = set_state = resend_all


@pytest.fixture
async def topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Topic]:
    database = SqliteDatabase(tmp_path / "console.sqlite")
    topic = Topic(database)
    monkeypatch.setattr(actions_module, "write_control", topic.write)
    yield topic
    await database.close()


def build(topic: Topic) -> StoreActions:
    settings = Settings(**yaml.safe_load(VALID))
    return StoreActions(settings, topic.database, None, lambda _: None)  # type: ignore[arg-type]


def name_of(actions: StoreActions) -> str:
    return next(iter(actions._settings.endpoints))


async def audit(topic: Topic) -> list[tuple[str, str, str, str]]:
    page = await ControlQueries(topic.database).changes(None, 100)
    return [(row.by, row.action, row.subject, row.reason) for row in page.items]


async def test_a_switch_is_in_force_and_in_the_audit(topic: Topic) -> None:
    actions = build(topic)
    name = name_of(actions)
    done = await actions.switch_endpoint(name, False, ANN)
    assert done.message == f"{name} is off"
    await actions.switch_events("Loan*", name, False, ANN)
    endpoints, types = await ControlQueries(topic.database).states()
    assert not endpoints[name].on
    assert endpoints[name].reason == "outage"
    assert [str(off) for off in types.off()] == [f"Loan* for {name}"]
    assert await audit(topic) == [
        ("ann by API", "events off", f"Loan* for {name}", "outage"),
        ("ann by API", "endpoint off", name, "outage"),
    ]


@pytest.mark.parametrize("restart", [False, True])
async def test_a_repeated_key_gets_the_first_answer_and_changes_nothing(topic: Topic, restart: bool) -> None:
    actions = build(topic)
    name, keyed = name_of(actions), ANN._replace(key="k1")
    first = await actions.switch_endpoint(name, False, keyed)
    await actions.switch_endpoint(name, True, ANN)
    written = topic.written
    if restart:
        actions = build(topic)
    assert await actions.switch_endpoint(name, False, keyed) == first
    assert topic.written == written
    assert (await ControlQueries(topic.database).states())[0][name].on


@pytest.mark.parametrize("restart", [False, True])
async def test_a_key_of_another_change_is_refused(topic: Topic, restart: bool) -> None:
    actions = build(topic)
    name, keyed = name_of(actions), ANN._replace(key="k1")
    await actions.switch_endpoint(name, False, keyed)
    if restart:
        actions = build(topic)
    with pytest.raises(ActionRefused, match="another change"):
        await actions.switch_endpoint(name, True, keyed)
    other = keyed._replace(by="bob by API")
    assert (await actions.switch_endpoint(name, True, other)).message == f"{name} is on"


async def test_two_requests_with_one_key_at_once_start_one_job(topic: Topic) -> None:
    actions, jobs = build(topic), Jobs(topic)
    actions._jobs = jobs  # type: ignore[assignment]
    keyed = ANN._replace(key="k1")
    query = AttemptQuery(endpoint="crm")
    first, second = await asyncio.gather(actions.resend_all(query, keyed), actions.resend_all(query, keyed))
    assert first == second
    assert jobs.started == 1
    again = build(topic)
    again._jobs = jobs  # type: ignore[assignment]
    assert await again.resend_all(query, keyed) == first
    assert jobs.started == 1
    assert await audit(topic) == [], "the part that starts jobs writes the audit, and answers are not listed"
    with pytest.raises(ActionRefused, match="another change"):
        await again.resend_all(AttemptQuery(endpoint="other"), keyed)


async def test_a_key_of_a_start_with_other_options_is_refused(topic: Topic) -> None:
    actions = build(topic)
    actions._jobs = Jobs(topic)  # type: ignore[assignment]
    query, request = AttemptQuery(endpoint="crm"), ReplayRequest("crm", 0)
    starts: tuple[tuple[Callable[[Who], Awaitable[Done]], Callable[[Who], Awaitable[Done]]], ...] = (
        (
            lambda who: actions.replay(request, who),
            lambda who: actions.replay(request._replace(types=("Loan*",)), who),
        ),
        (
            lambda who: actions.resend_all(query, who),
            lambda who: actions.resend_all(query, who, rate_per_s=5.0),
        ),
        (
            lambda who: actions.resend("0:1:2", who),
            lambda who: actions.resend("0:1:2", who, new_id=True),
        ),
    )
    for number, (start, other) in enumerate(starts):
        keyed = ANN._replace(key=f"k{number}")
        assert await start(keyed) == await start(keyed)
        with pytest.raises(ActionRefused, match="another change"):
            await other(keyed)


STARTS: dict[str, Callable[[StoreActions, Who], Awaitable[Done]]] = {
    "one": lambda actions, who: actions.resend("0:1:2", who, new_id=True),
    "many": lambda actions, who: actions.resend_all(AttemptQuery(endpoint="crm"), who, rate_per_s=5.0),
    "replay": lambda actions, who: actions.replay(ReplayRequest("crm", 0, types=("Loan*",)), who),
    "cancel": lambda actions, who: actions.cancel_job("job-1", who),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
async def test_a_console_that_is_killed_before_it_answers_does_nothing_twice(
    topic: Topic, start: Callable[[StoreActions, Who], Awaitable[Done]]
) -> None:
    actions, jobs = build(topic), Jobs(topic)
    actions._jobs = jobs  # type: ignore[assignment]
    keyed, jobs.is_killed = ANN._replace(key="k1"), True
    with pytest.raises(asyncio.CancelledError):
        await start(actions, keyed)
    again = build(topic)
    again._jobs = jobs  # type: ignore[assignment]
    assert await start(again, keyed) == Done("begun", job="job-1")
    assert jobs.started == 1
    with pytest.raises(ActionRefused, match="another change"):
        await again.switch_endpoint(name_of(again), False, keyed)


async def test_what_failed_can_be_tried_again_with_the_same_key(topic: Topic) -> None:
    actions = build(topic)
    name, keyed = name_of(actions), ANN._replace(key="k1")
    topic.is_down = True
    with pytest.raises(KafkaUnavailable):
        await actions.switch_endpoint(name, False, keyed)
    topic.is_down = False
    assert (await actions.switch_endpoint(name, False, keyed)).message == f"{name} is off"


async def test_what_does_not_exist_is_refused_with_a_remedy(topic: Topic) -> None:
    actions = build(topic)
    for attempt in (
        actions.switch_endpoint("nobody", False, ANN),
        actions.switch_events("Loan*", "nobody", False, ANN),
        actions.switch_events("!Loan*", "*", False, ANN),
        actions.switch_events("L" * 400, "*", False, ANN),
        actions.redrive(["x"], ANN),
        actions.discard(["1:x"], ANN),
        actions.pause_job("none", ANN),
        actions.resend("none", ANN),
    ):
        with pytest.raises(ActionRefused) as error:
            await attempt
        assert error.value.remedy
    assert topic.written == 0
