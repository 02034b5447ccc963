"""A bridge with every kind of secret, in front of a receiver, a proxy and a registry that repeat requests.

Afterwards everything is searched that the bridge and the commands wrote: log, files, topics, pages, output.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from tests.support.bridge_process import BridgeProcess
from tests.support.canaries import find_canaries
from tests.support.canary_settings import ALL, ENVIRONMENT, endpoints
from tests.support.cli import hookferry
from tests.support.echo import Echo, EchoThread
from tests.support.kafka import RealKafka
from tests.support.raw_records import Raw, publish, read_messages
from tests.support.watch import SOON, ask, log_ends, logged, quick_config, wait_until

Bridges = Callable[..., BridgeProcess]
REGISTRY_PASSWORD = "cnry-registry-c1e28d4b67f3a9"
EVENTS = 4
WIDE_OPEN = ("sh", "-c", 'umask 000; exec "$0" "$@"')
"""Files are created with all rights, unless the bridge takes them away."""


def test_no_secret_is_written_anywhere(kafka: RealKafka, bridges: Bridges) -> None:
    topic, framed = kafka.fresh_topic("canary", partitions=1), kafka.fresh_topic("framed", partitions=1)
    receiver = Echo((400, 401, 403, 413, 422, 429, 500))
    receiver.by_path = {"/key": 410}
    with EchoThread(receiver) as port, EchoThread(Echo((407, 502))) as proxy_port:
        common = {"retry": SOON | {"max_attempts": 2}, "park_limit": "off",
                  "breaker": {"failures": 10_000, "window_s": 1}}  # fmt: skip
        config = quick_config(kafka, topic, endpoints(port, proxy_port, **common), "canary")
        registry = {"url": f"http://127.0.0.1:{port}/reg", "username": "agent", "password": REGISTRY_PASSWORD}
        config["sources"]["framed"] = {
            "topics": [framed], "format": "confluent", "id": "id", "type": "type", "registry": registry,
        }  # fmt: skip
        config["admin"] = {"host": "127.0.0.1"}
        bridge = bridges(
            config,
            environment=ENVIRONMENT | {"LC_ALL": "C.UTF-8"},
            launcher=("sh", "-c", 'umask 000; exec "$0" "$@"'),
        )
        bridge.start()
        values = [{"id": f"e{n}", "type": "T", "entity": f"e{n}", "payload": {}} for n in range(EVENTS)]
        publish(kafka, topic, [Raw(orjson.dumps(value), value["id"].encode()) for value in values])
        publish(kafka, framed, [Raw(b"\0\0\0\0\7rest", b"k")])
        parking = len(config["endpoints"]) - 1  # one is turned off
        wait_until(lambda: len(logged(bridge, "event.parked")) >= parking * EVENTS, "all are parked")
        wait_until(lambda: logged(bridge, "endpoint.turned_off"), "the receiver's 410 turned an endpoint off")
        wait_until(lambda: logged(bridge, "registry.failed"), "the registry's refusal is logged")
        written = {page: ask(bridge, page)[1].encode() for page in ("/metrics", "/limits", "/readyz")}
        written |= _commands(bridge)
        assert bridge.terminate() == 0
    state = Path(bridge.config["state_dir"])
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in state.iterdir()} == {0o600}
    written |= {file.name: file.read_bytes() for file in [*state.iterdir(), bridge.log]}
    for name in ("canary.parked", "canary.control", "canary.again", "canary.attempts"):
        messages = read_messages(kafka, name, sum(log_ends(kafka, name).values()))
        written[name] = repr([(one.key(), one.value(), one.headers()) for one in messages]).encode()
    assert b"***" in written["canary.parked"]
    assert b"***" in written["canary.control"]
    assert b"***" in written["canary.attempts"]
    for place, data in written.items():
        assert not find_canaries(data, [*ALL, REGISTRY_PASSWORD]), place


def _commands(bridge: BridgeProcess) -> dict[str, bytes]:
    """Return what the commands print, by command."""
    (first, *_) = _letters(_run(bridge, "parked", "list", "--json"))
    address = first["address"]
    sample = str(bridge.folder / "event.json")
    Path(sample).write_text('{"type": "T", "id": "e1", "data": {}}')
    commands = [
        ("check",), ("route", sample), ("endpoints", "list"), ("parked", "list", "--json"),
        ("parked", "show", address), ("send", "-e", "bearer", "-s", sample),
        ("send", "-e", "proxied", "-s", sample), ("render", "-e", "body", "-s", sample),
        ("history", "--bodies"),
    ]  # fmt: skip
    written = {" ".join(words): _run(bridge, *words).encode() for words in commands}
    bearer = next(
        letter["address"]
        for letter in _letters(written["parked list --json"].decode())
        if letter["endpoint"] == "bearer"
    )
    return written | {"redrive": _run(bridge, "parked", "redrive", bearer, "--yes").encode()}


def _letters(output: str) -> list[dict[str, Any]]:
    """Return the document that an output begins with; notes on standard error follow it."""
    letters: list[dict[str, Any]] = json.JSONDecoder().raw_decode(output)[0]
    return letters


def _run(bridge: BridgeProcess, *words: str) -> str:
    """Return what a command prints, errors included; a traceback fails the test."""
    done = hookferry(*words, "-c", str(bridge.file), env=ENVIRONMENT)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr
