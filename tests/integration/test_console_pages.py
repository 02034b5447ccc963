"""The console on real Kafka: a parked order is found in a browser, understood, and sent again."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.support.bridge_process import BridgeProcess
from tests.support.chromium import chromium, tab
from tests.support.kafka import RealKafka
from tests.support.parked_orders import order, topic_and_config, wait_parked
from tests.support.ports import free_port
from tests.support.raw_records import publish
from tests.support.receiver import Receiver
from tests.support.watch import logged, wait_until

Bridges = Callable[..., BridgeProcess]


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def test_a_person_finds_a_parked_order_reads_why_and_sends_it_again_while_the_console_may_die(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, tmp_path: Path
) -> None:
    with chromium() as browser:
        topic, config = topic_and_config(kafka, receiver, "pages")
        port = free_port()
        config["console"] = {"port": port, "folder": str(tmp_path / "console")}
        receiver.control("/shop", status=422)
        bridge = bridges(config, options=["--console"]).start()
        publish(kafka, topic, [order("4711", 1, note="<script>alert(1)</script>"), order("4712", 1, 1)])
        wait_parked(bridge, 2)
        receiver.control("/shop", status=200)
        wait_until(lambda: is_ready(port), "the console has read the topics", 60)
        origin = f"http://127.0.0.1:{port}"
        with tab(browser) as (page, errors):

            def shows(path: str, text: str) -> bool:
                page.goto(origin + path)
                return text in page.inner_text("main")

            wait_until(
                lambda: shows("/parked?entity=4711", "status 422"), "the order is parked in the console"
            )
            page.click("[data-open]")
            assert "status 422" in page.inner_text(".notice")
            assert "<script>alert(1)</script>" in page.inner_text("main")
            page.fill("#why-redrive", "the shop accepts it now")
            page.click("button:text-is('Send again')")
            page.wait_for_selector("#note")
            receiver.wait_for("/shop", accepted=1)
            wait_until(lambda: shows("/event?id=4711-1", "delivered"), "the delivery is in the history")
            assert page.locator(".timeline > li").count() == 2
            wait_until(lambda: shows("/audit", "the shop accepts it now"), "the audit has the reason")
            assert shows("/parked", "4712"), "the other one is still parked"

            first = logged(bridge, "console.launched")[-1]["pid"]
            os.kill(first, signal.SIGKILL)
            wait_until(lambda: len(logged(bridge, "console.launched")) == 2, "the console is started again")
            assert bridge.is_ready()
            wait_until(lambda: is_ready(port), "the console serves again", 60)
            assert shows("/event?id=4711-1", "delivered")
            assert errors == []
        second = logged(bridge, "console.launched")[-1]["pid"]
        assert bridge.terminate() == 0
        assert not Path(f"/proc/{second}").exists()
