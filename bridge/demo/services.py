"""A simulated Slack channel and Zap as further receivers, and a check of the messages that they show.

The expected messages are written out by hand, so that the demo does not compare the bridge with itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web

from bridge.demo.receivers import Simulator
from bridge.demo.receivers.slack import Slack
from bridge.demo.receivers.zapier import Zapier
from bridge.demo.tally import Check

SLACK, ZAPIER = "slack", "zapier"
_SLACK_PATH = "/services/T0/B0/demo"
_ZAPIER_PATH = "/hooks/catch/1/demo/"
WANTED: dict[str, tuple[tuple[str, ...], ...]] = {
    SLACK: (
        ("✅ Loan approved", "KES 150,000.00", "Petra Yton", "000001001"),
        ("✅ Loan approved", "KES 150,000.00", "Petra Yton", "000001002"),
        ("✅ Savings deposit", "KES 250.00", "000002001"),
    ),
    ZAPIER: (
        ("Savings account activated: Petra Yton, account 000002001", "data__currencyCode: KES"),
        ("Savings deposit: KES 250.00, account 000002001", "data__amount: 250.00000000"),
        ("Savings withdrawal: KES 40.50, account 000002001", "data__amount: 40.50000000"),
    ),
}
"""The messages that each service must show, as fragments of their text."""


class Message(NamedTuple):
    """One message that a service showed, or the answer with which it refused a request."""

    service: str
    lines: tuple[str, ...]
    refused: str = ""


class Services:
    """Serves both, and keeps their messages. ``on_message`` is called with each message."""

    def __init__(self, on_message: Callable[[Message], None]) -> None:
        self._on_message = on_message
        self._simulators: dict[str, Simulator] = {
            _SLACK_PATH: Slack(_SLACK_PATH),
            _ZAPIER_PATH: Zapier(_ZAPIER_PATH),
        }
        self.messages: list[Message] = []

    def add_to(self, app: web.Application) -> None:
        """Add the paths of both services."""
        app.router.add_post(_SLACK_PATH, self._post)
        app.router.add_post(_ZAPIER_PATH, self._post)

    async def _post(self, request: web.Request) -> web.Response:
        simulator = self._simulators[request.path]
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = simulator.answer(request.path_qs, headers, await request.read(), time.monotonic())
        service = SLACK if request.path == _SLACK_PATH else ZAPIER
        taken = answer.status == web.HTTPOk.status_code
        lines = _lines(service, simulator.shown[-1]) if taken else ()
        message = Message(service, lines, "" if taken else f"{answer.status} {answer.body}")
        self.messages.append(message)
        self._on_message(message)
        return web.Response(status=answer.status, text=answer.body, headers=answer.headers)

    @property
    def complete(self) -> bool:
        """Return True if all expected messages were shown."""
        return all(len(self._shown(service)) >= len(wanted) for service, wanted in WANTED.items())

    def check(self) -> Check:
        """Check that each expected message was shown once, and no other."""
        counts, missing = [], []
        for service, wanted in WANTED.items():
            shown = self._shown(service)
            counts.append(f"{service} showed {len(shown)} of {len(wanted)}")
            missing += [fragments[0] for fragments in wanted if _count(shown, fragments) != 1]
            if len(shown) > len(wanted):
                missing.append(f"{len(shown) - len(wanted)} more than expected in {service}")
        text = f"{', '.join(counts)}, each once, in the text of its preset"
        return Check("messages", f"{text}; wrong: {', '.join(missing)}" if missing else text, not missing)

    def _shown(self, service: str) -> list[str]:
        return [
            "\n".join(message.lines)
            for message in self.messages
            if message.service == service and not message.refused
        ]


def _count(shown: list[str], fragments: tuple[str, ...]) -> int:
    return sum(all(fragment in text for fragment in fragments) for text in shown)


def _lines(service: str, shown: str) -> tuple[str, ...]:
    """Return a message as lines: for Slack, label and value joined; for a Zap, the summary first."""
    if service == SLACK:
        title, *rest = shown.replace("*", "").split("\n")
        pairs = [f"{label}: {value}" for label, value in zip(rest[:-1:2], rest[1:-1:2], strict=True)]
        return (title, *pairs, rest[-1])
    lines = shown.split("\n")
    summary = next((line for line in lines if line.startswith("summary: ")), "")
    return (summary.removeprefix("summary: "), *(line for line in lines if line != summary))
