"""The benchmark's receivers, in Python and in Go, judge order and repeats alike; the Go peer commits safely.

The Go parts are skipped where Go or its modules are missing: nothing is downloaded here.
"""

from __future__ import annotations

import http.client
import os
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.bench.compare import go_tools
from tests.bench.compare.go_tools import GoMissing, GoReceiver
from tests.bench.compare.judging import violations
from tests.support.receiver import Receiver
from tests.support.tls import TestAuthority, make_authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def go_receiver(tmp_path_factory: pytest.TempPathFactory, authority: TestAuthority) -> Iterator[GoReceiver]:
    try:
        program = go_tools.build(tmp_path_factory.mktemp("go"), offline=True)
    except GoMissing as reason:
        pytest.skip(f"{reason}; make bench downloads the modules")
    with GoReceiver(program, authority) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def python_receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(params=["python_receiver", "go_receiver"])
def receiver(request: pytest.FixtureRequest) -> Receiver:
    started: Receiver = request.getfixturevalue(request.param)
    started.reset()
    return started


def post(receiver: Receiver, webhook_id: str, entity: str, seq: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=60)
    body = orjson.dumps({"type": "t", "entity": entity, "data": {"entity": entity, "seq": seq}})
    try:
        connection.request("POST", "/a", body, {"webhook-id": webhook_id, "X-Other": "1"})
        return connection.getresponse().status
    finally:
        connection.close()


def judged(receiver: Receiver, events: int | None) -> dict[str, Any]:
    return violations(receiver.report("/a"), events)


def test_events_in_order_have_no_violation(receiver: Receiver) -> None:
    for seq in range(3):
        assert post(receiver, f"x{seq}", "x", seq) == 200
        assert post(receiver, f"y{seq}", "y", seq) == 200
    assert judged(receiver, 6) == {}
    assert receiver.count("/a") == {"distinct": 6, "accepted": 6, "requests": 6}


def test_an_event_that_is_missing_is_a_violation(receiver: Receiver) -> None:
    post(receiver, "x0", "x", 0)
    assert judged(receiver, 2) == {"accepted": 1, "distinct": 1}


def test_an_event_that_is_accepted_again_is_a_repeat(receiver: Receiver) -> None:
    post(receiver, "x0", "x", 0)
    post(receiver, "x0", "x", 0)
    assert judged(receiver, 1) == {"repeats": 1}


def test_the_same_event_with_another_id_is_found_by_its_number(receiver: Receiver) -> None:
    post(receiver, "x0", "x", 0)
    post(receiver, "other", "x", 0)
    assert judged(receiver, None) == {"inversions": 1}


def test_an_event_after_a_later_one_of_its_entity_is_an_inversion(receiver: Receiver) -> None:
    for seq in (0, 2, 1):
        post(receiver, f"x{seq}", "x", seq)
    post(receiver, "y0", "y", 0)
    assert judged(receiver, 4) == {"inversions": 1}


def test_a_refused_request_may_be_repeated_and_the_next_events_follow(receiver: Receiver) -> None:
    receiver.control("/a", status=503, every=2)
    assert [post(receiver, f"x{seq}", "x", seq) for seq in (0, 1, 1, 2, 2)] == [200, 503, 200, 503, 200]
    assert judged(receiver, 3) == {}


def test_an_event_that_overtakes_a_refused_one_is_an_inversion(receiver: Receiver) -> None:
    receiver.control("/a", status=503, every=2)
    assert [post(receiver, f"x{seq}", "x", seq) for seq in (0, 1, 2)] == [200, 503, 200]
    receiver.control("/a")
    post(receiver, "x1", "x", 1)
    assert judged(receiver, 3) == {"inversions": 1}


def test_two_requests_of_an_entity_at_once_overlap_and_those_of_two_entities_do_not(
    receiver: Receiver,
) -> None:
    receiver.control("/a", delay_ms=3_000)
    with ThreadPoolExecutor(3) as pool:
        sent = [pool.submit(post, receiver, "x0", "x", 0), pool.submit(post, receiver, "y0", "y", 0)]
        receiver.wait_for("/a", requests=2)
        assert judged(receiver, None) == {}
        sent.append(pool.submit(post, receiver, "x1", "x", 1))
        assert [one.result() for one in sent] == [200, 200, 200]
    assert receiver.report("/a")["most_in_flight"] == 3
    assert judged(receiver, 3) == {"overlaps": 1}


def test_the_first_request_is_kept_for_the_bare_loop(receiver: Receiver) -> None:
    post(receiver, "x0", "x", 0)
    record = receiver.records("/a")[0]
    assert record["headers"]["webhook-id"] == "x0"
    assert orjson.loads(record["body"])["data"] == {"entity": "x", "seq": 0}


def test_the_go_receiver_returns_when_each_event_arrived(go_receiver: GoReceiver) -> None:
    go_receiver.reset()
    post(go_receiver, "x0", "x", 0)
    post(go_receiver, "x1", "x", 1)
    arrivals = go_receiver.arrivals_ns("/a")
    assert list(arrivals) == [("x", 0), ("x", 1)]
    assert arrivals["x", 0] < arrivals["x", 1]


def test_the_go_receiver_serves_https(go_receiver: GoReceiver, authority: TestAuthority) -> None:
    context: ssl.SSLContext = authority.client_context()
    connection = http.client.HTTPSConnection("localhost", go_receiver.tls_port, context=context, timeout=60)
    connection.request("POST", "/tls", b"{}", {"webhook-id": "a"})
    assert connection.getresponse().status == 200
    connection.close()


def send_chunks(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/chunked", iter([b"{}"]), {"webhook-id": "a"})
    connection.getresponse()


def test_a_request_without_a_length_is_not_taken_for_an_empty_one(go_receiver: GoReceiver) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", go_receiver.port, timeout=60)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        send_chunks(connection)
    connection.close()


def test_the_go_peer_commits_only_what_is_delivered(go_receiver: GoReceiver, tmp_path: Path) -> None:
    done = subprocess.run(
        [go_tools.command(), "test", "."], cwd=go_tools.SOURCES, capture_output=True, text=True, timeout=250,
        check=False, env=os.environ | go_tools.OFFLINE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
