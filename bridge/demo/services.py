"""A Slack channel and a Zap as the demo's further receivers, and whether they showed what they should.

The services are simulated (``bridge/demo/receivers``); what each is to show is told here by fragments,
written out by hand, so that the demo does not compare the bridge with itself.
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
"""What must be shown where, each message by fragments of it."""


class Message(NamedTuple):
    """One message that a service showed, or the answer with which it refused a request."""

    service: str
    lines: tuple[str, ...]
    refused: str = ""


class Services:
    """Serves both, and keeps what they showed. ``told`` hears of each message as it is shown."""

    def __init__(self, told: Callable[[Message], None]) -> None:
        self._told = told
        self._simulators: dict[str, Simulator] = {
            _SLACK_PATH: Slack(_SLACK_PATH),
            _ZAPIER_PATH: Zapier(_ZAPIER_PATH),
        }
        self.messages: list[Message] = []

    def add_to(self, app: web.Application) -> None:
        """Take the requests to their paths."""
        app.router.add_post(_SLACK_PATH, self._post)
        app.router.add_post(_ZAPIER_PATH, self._post)

    async def _post(self, request: web.Request) -> web.Response:
        simulator = self._simulators[request.path]
        headers = {name.lower(): value for name, value in request.headers.items()}
        said = simulator.answer(request.path_qs, headers, await request.read(), time.monotonic())
        service = SLACK if request.path == _SLACK_PATH else ZAPIER
        taken = said.status == web.HTTPOk.status_code
        lines = _lines(service, simulator.shown[-1]) if taken else ()
        message = Message(service, lines, "" if taken else f"{said.status} {said.body}")
        self.messages.append(message)
        self._told(message)
        return web.Response(status=said.status, text=said.body, headers=said.headers)

    @property
    def complete(self) -> bool:
        """Whether as many messages were shown as should be."""
        return all(len(self._shown(service)) >= len(wanted) for service, wanted in WANTED.items())

    def check(self) -> Check:
        """Whether each message was shown, once, in words and nothing else."""
        counts, missing = [], []
        for service, wanted in WANTED.items():
            shown = self._shown(service)
            counts.append(f"{service} showed {len(shown)} of {len(wanted)}")
            missing += [fragments[0] for fragments in wanted if _count(shown, fragments) != 1]
            if len(shown) > len(wanted):
                missing.append(f"{len(shown) - len(wanted)} more than wanted in {service}")
        text = f"{', '.join(counts)}, each once, worded by its preset"
        return Check("messages", f"{text}; wrong: {', '.join(missing)}" if missing else text, not missing)

    def _shown(self, service: str) -> list[str]:
        return ["\n".join(one.lines) for one in self.messages if one.service == service and not one.refused]


def _count(shown: list[str], fragments: tuple[str, ...]) -> int:
    return sum(all(fragment in text for fragment in fragments) for text in shown)


def _lines(service: str, shown: str) -> tuple[str, ...]:
    """A message as lines: in Slack a label and its value stand in one; a Zap shows the summary first."""
    if service == SLACK:
        title, *rest = shown.replace("*", "").split("\n")
        pairs = [f"{label}: {value}" for label, value in zip(rest[:-1:2], rest[1:-1:2], strict=True)]
        return (title, *pairs, rest[-1])
    lines = shown.split("\n")
    summary = next((line for line in lines if line.startswith("summary: ")), "")
    return (summary.removeprefix("summary: "), *(line for line in lines if line != summary))
