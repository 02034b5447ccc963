"""Attempts are followed in order, each once; a developer gets the request without what is masked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bridge.errors import HookferryError, RecordsDeleted, TransportError, TransportFault
from bridge.history.attempt import AttemptId, Kept
from bridge.model import Batch, Partition, Record, Request, Response
from bridge.resend.follow import AttemptFollower
from bridge.resend.forward import Forwarder, forward_target, to_request
from bridge.settings import Settings
from bridge.wiring.resend import build_forwarder
from tests.support.attempts import attempt_at, batch_record
from tests.support.path import Plan, settings_of
from tests.support.receiver import Receiver

PARTITION = Partition("g.attempts", 0)


class FakeReader:
    """One partition of the history, from ``first`` on; a record is read at a time."""

    def __init__(self, records: Sequence[Record], first: int = 0) -> None:
        self.records = list(records)
        self.first = first

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return {PARTITION: len(self.records)}

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return {PARTITION: self.first}

    async def offsets_at(self, partitions: Sequence[Partition], timestamp_ms: int) -> dict[Partition, int]:
        return {PARTITION: 0}

    async def read_from(
        self, positions: Mapping[Partition, int], timeout_s: float
    ) -> tuple[list[Batch], dict[Partition, int]]:
        await asyncio.sleep(0)
        at = positions[PARTITION]
        if at < self.first:
            raise RecordsDeleted(dict(positions))
        found = self.records[at : at + 1]
        return [(PARTITION, found)] if found else [], {PARTITION: at + len(found)}


async def followed(reader: FakeReader, since_ms: int | None, more: Sequence[Record] = ()) -> list[str]:
    """Return the events that are followed until nothing more comes; ``more`` are written meanwhile."""
    found: list[str] = []
    quiet = 0
    follower = AttemptFollower(reader, "g.attempts", 1)  # type: ignore[arg-type] # only what it calls
    async for attempts in follower.attempts("crm", since_ms):
        if not found and not quiet:
            reader.records += more
        found += [kept.attempt.event_id for kept in attempts]
        quiet = 0 if attempts else quiet + 1
        if quiet == 3:
            return found
    raise AssertionError


RECORDS = [
    batch_record(0, attempt_at(1), attempt_at(2)),
    batch_record(1, attempt_at(3), endpoint="bank"),
    batch_record(1, attempt_at(4)),
    batch_record(1, attempt_at(4))._replace(offset=3),
]


async def test_attempts_are_followed_from_now_on_or_since_an_instant_each_once() -> None:
    later = [batch_record(9, attempt_at(9))._replace(offset=4)]
    assert await followed(FakeReader(RECORDS), None, later) == ["id-9"]
    assert await followed(FakeReader(RECORDS), 1_700_000_002_000, later) == ["id-2", "id-4", "id-9"]


async def test_a_follower_that_is_slower_than_the_retention_goes_on_at_the_first_record() -> None:
    assert await followed(FakeReader(RECORDS, first=2), 0) == ["id-4"]


def kept(**facts: Any) -> Kept:
    return Kept(AttemptId(0, 1, 0), "crm", attempt_at(1, **facts))


def test_the_request_has_the_headers_of_the_attempt_without_masked_ones() -> None:
    url = forward_target("http://localhost:3000/hooks")
    lines = b"content-type: application/json\nX-Key: ***\nwebhook-signature: v1,abc"
    request = to_request(kept(headers=lines, method="PUT", body=b"\x00\xff"), url)
    assert request == Request(
        "PUT",
        url,
        ((b"content-type", b"application/json"), (b"webhook-signature", b"v1,abc")),
        b"\x00\xff",
    )


@pytest.mark.parametrize(
    "url", ["http://crm.test", "http://10.0.0.7:3000", "localhost:3000", "ftp://localhost"]
)
def test_a_target_that_would_get_events_in_clear_over_a_network_is_refused(url: str) -> None:
    with pytest.raises(HookferryError, match="--forward"):
        forward_target(url)


@pytest.mark.parametrize(
    "url", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8", "https://dev.test"]
)
def test_this_machine_and_https_are_accepted(url: str) -> None:
    assert forward_target(url).host


class FakeTransport:
    def __init__(self, answer: Response | TransportError) -> None:
        self.answer = answer

    async def send(self, request: Request, timeout_s: float) -> Response:
        if isinstance(self.answer, TransportError):
            raise self.answer
        return self.answer

    async def close(self) -> None:
        return


async def test_what_became_of_a_forwarded_attempt_is_reported() -> None:
    url = forward_target("http://localhost:3000")
    good = Forwarder(url, FakeTransport(Response(204, (), b"")))
    assert (await good.forward(kept()))[:2] == (204, "")
    assert "masked" in (await good.forward(kept(body_masked=True))).note
    assert "not kept" in (await good.forward(kept(body=None))).failure
    bad = Forwarder(url, FakeTransport(TransportError(TransportFault.CONNECT, "localhost refused")))
    assert (await bad.forward(kept())).failure == "connect: localhost refused"


async def test_this_machine_is_allowed_and_other_private_addresses_only_by_the_configuration() -> None:
    settings: Settings = settings_of({"crm": Plan()})
    with Receiver() as receiver:
        forwarder = build_forwarder(settings, forward_target(receiver.url("/dev")))
        body = b'{"entity": "e1", "seq": 1}'
        assert (await forwarder.forward(kept(body=body))).status == 200
        await forwarder.close()
    elsewhere = build_forwarder(settings, forward_target("https://10.1.2.3"))
    assert "refused_address" in (await elsewhere.forward(kept())).failure
    await elsewhere.close()
