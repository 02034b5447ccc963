"""Run the demo: start broker, receivers and bridge, publish the events, and check every promise.

The bridge is the real one, in a separate process; broker and receivers run in this process. The demo removes
its files, except the folder of a demo that failed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path

from bridge.demo.broker import Broker
from bridge.demo.process import (
    GROUP,
    OWN_TOPICS,
    PARKED_TOPIC,
    READERS_TOPICS,
    BridgeProcess,
    new_secret,
)
from bridge.demo.receiver import Receiver, Webhook
from bridge.demo.samples import CRM, ORDERS_TOPIC, SHOP, TOPICS, Answer, samples
from bridge.demo.services import SLACK, ZAPIER, Services
from bridge.demo.table import Screen
from bridge.demo.tally import Outcome, Tally
from bridge.errors import HookferryError

_DEADLINE_S = 60.0
_GAP_S = 0.1
_LOOK_S = 0.1
_RHYTHM = "the embedded broker hands out records every 50 ms"
_QUICK_START = "docs/tutorial/quick-start.md"
_SIGNED = (CRM, SHOP)
_ENDPOINTS = (*_SIGNED, SLACK, ZAPIER)


class Ending(Enum):
    """How a demo ended."""

    KEPT = auto()
    """Every promise of the summary was kept."""
    BROKEN = auto()
    STOPPED = auto()
    """It was stopped before everything was checked."""


def show(*, keep: bool) -> Ending:
    """Run the demo; ``keep`` stays up after the summary until Ctrl-C.

    Raises ``HookferryError`` if a part does not start.
    """
    return asyncio.run(_until_stopped(keep))


def how_to_go_on(*, keeps: bool, made: bool, documented: bool) -> list[str]:
    """Return what to type next, for a user who typed `make demo` (``made``) or `hookferry demo`.

    ``documented``: the current folder is a checkout with the documentation.
    """
    hookferry = ".venv/bin/hookferry" if made else "hookferry"
    steps = [(f"{hookferry} check FILE", "lists every mistake in your configuration")]
    if documented:
        steps.append((_QUICK_START, "explains how to use your Kafka and your receiver"))
    if not keeps:
        again = "make demo KEEP=1" if made else "hookferry demo --keep"
        steps.insert(0, (again, "keeps running, so that you can publish more events"))
    return [f"{'' if row else 'Next:':<5} {typed:<31} {why}" for row, (typed, why) in enumerate(steps)]


async def _until_stopped(keep: bool) -> Ending:
    demo = asyncio.create_task(_Demo(Screen()).run(keep=keep), name="demo")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, _cancel_once(demo))
    try:
        return Ending.KEPT if await demo else Ending.BROKEN
    except asyncio.CancelledError:
        return Ending.STOPPED


def _cancel_once(task: asyncio.Task[bool]) -> Callable[[], None]:
    """Return a callback that cancels only once: a second Ctrl-C must not interrupt the clean-up."""

    def cancel() -> None:
        if not task.cancelling():
            task.cancel()

    return cancel


class _Demo:
    """One run of the demo."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._samples = samples()
        self._tally = Tally(self._samples)
        self._services = Services(self._screen.message)
        self._began = time.monotonic()

    async def run(self, *, keep: bool) -> bool:
        """Run all steps; return True if every promise was kept. Cleans up in any case."""
        screen, secrets = self._screen, {endpoint: new_secret() for endpoint in _SIGNED}
        broker = await asyncio.to_thread(Broker, (*TOPICS, *OWN_TOPICS, *(READERS_TOPICS if keep else ())))
        receiver = Receiver(secrets, self._answer, self._services.add_to)
        await receiver.start()
        bridge = BridgeProcess(broker.address, receiver.origin, secrets)
        good = failed = False
        try:
            good = await self._play(broker, receiver, bridge, keep=keep)
            if good and keep:
                self._how_to_go_on(broker, receiver, bridge)
                await bridge.wait()
                screen.say(f"The bridge ended unexpectedly; its log: {bridge.log}", "red")
                good = False
            failed = not good
            return good
        except asyncio.CancelledError:
            screen.say("Stopping.", "dim")
            if good:
                return True
            raise
        except Exception:
            failed = True
            raise
        finally:
            await bridge.stop()
            await receiver.stop()
            if not failed or not bridge.log.exists():
                bridge.remove_files()

    async def _play(self, broker: Broker, receiver: Receiver, bridge: BridgeProcess, *, keep: bool) -> bool:
        screen = self._screen
        screen.step("Broker", f"{broker.address}, embedded, in memory (librdkafka's mock cluster)")
        screen.step("Receiver", f"{receiver.origin}/crm and /shop; it verifies every signature")
        screen.step("Services", "a simulated Slack channel and Zap; they refuse what the real ones refuse")
        screen.config("bridge.yaml, the complete configuration of the bridge", bridge.config)
        try:
            async with asyncio.timeout(_DEADLINE_S):
                await bridge.start()
                command = f"hookferry run --console -c {bridge.config_file}"
                screen.step("Bridge", f"ready after {self._age_s:.1f} s: {command}")
                screen.step("Console", f"{bridge.console}, what was sent, and what is parked and why")
                screen.say()
                screen.headings()
                await self._publish(broker)
                outcome = await self._settled(broker, bridge)
        except TimeoutError:
            screen.say(f"Not finished after {_DEADLINE_S:.0f} s.", "bold red")
            outcome = await self._look(broker, bridge)
        except HookferryError:
            self._show_log(bridge)
            raise
        return self._sum_up(bridge, outcome, keep=keep)

    @property
    def _age_s(self) -> float:
        return time.monotonic() - self._began

    def _answer(self, webhook: Webhook) -> Answer:
        row = self._tally.arrived(webhook)
        self._screen.row(row)
        return row.answer

    async def _publish(self, broker: Broker) -> None:
        """Publish all samples, slowly enough to watch."""
        for sample in self._samples:
            self._tally.published(sample, time.monotonic())
            await asyncio.to_thread(broker.publish, sample)
            await asyncio.sleep(_GAP_S)

    async def _settled(self, broker: Broker, bridge: BridgeProcess) -> Outcome:
        """Return when every webhook got its last answer and every cursor is at the end."""
        while True:
            bridge.must_run()
            if self._tally.complete and self._services.complete:
                outcome = await self._look(broker, bridge)
                if outcome.cursors_at_end:
                    return outcome
            await asyncio.sleep(_LOOK_S)

    async def _look(self, broker: Broker, bridge: BridgeProcess) -> Outcome:
        ends = await asyncio.to_thread(broker.ends)
        return Outcome(
            duplicates=await bridge.records("duplicate"),
            parked=await asyncio.to_thread(broker.parked, PARKED_TOPIC),
            log_ends={place: end for place, end in ends.items() if place[0] in TOPICS},
            cursors={
                endpoint: await asyncio.to_thread(broker.committed, f"{GROUP}.{endpoint}")
                for endpoint in _ENDPOINTS
            },
        )

    def _sum_up(self, bridge: BridgeProcess, outcome: Outcome, *, keep: bool) -> bool:
        checks = self._tally.checks(outcome)
        checks.insert(-1, self._services.check())
        good = all(check.kept for check in checks)
        usual_ms, longest_ms, row = self._tally.latency_ms()
        reason = f" ({row.webhook.entity}, which waited for a retry)" if row else ""
        facts = [
            ("latency", f"{usual_ms:.0f} ms (median), {longest_ms:.0f} ms at most{reason}; {_RHYTHM}"),
            ("took", f"{self._age_s:.1f} s in total, {len(self._samples)} records published"),
        ]
        self._screen.say()
        self._screen.summary(checks, outcome.parked, facts)
        if good:
            for line in how_to_go_on(
                keeps=keep, made="MAKELEVEL" in os.environ, documented=Path(_QUICK_START).exists()
            ):
                self._screen.say(line)
        else:
            self._show_log(bridge)
        return good

    def _show_log(self, bridge: BridgeProcess) -> None:
        self._screen.say(f"The last lines of the bridge log, {bridge.log}:", "bold")
        for line in bridge.log_tail():
            self._screen.say(f"  {line}")
        self._screen.say(f"Its files are kept in {bridge.folder}; delete them when you are done.")

    def _how_to_go_on(self, broker: Broker, receiver: Receiver, bridge: BridgeProcess) -> None:
        screen = self._screen
        screen.say()
        screen.say("The demo keeps running and shows what arrives. In another terminal:", "bold")
        command = f"{sys.executable} -m bridge.demo.publish {broker.address}"
        screen.say(f"  publish   {command} A-20 order.placed")
        screen.say(f"            (any entity and event type; publishes JSON to topic {ORDERS_TOPIC})")
        screen.say(f"  console   {bridge.console}/parked (read why an order is parked, and send it again)")
        screen.say(f"  metrics   curl {bridge.admin}/metrics")
        screen.say(f"  receiver  {receiver.origin}/shop (answers 200 to every webhook)")
        screen.say(f"  files     {bridge.folder} (configuration, log, state; deleted at the end)")
        screen.say("Ctrl-C ends it.", "bold")
        screen.say()
        screen.headings()
