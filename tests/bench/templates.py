"""Cost of a body: a template of twenty fields, one of twenty-five with filters, and the standard body.

    python -m tests.bench.templates [--rounds N]

CPU time of this process in microseconds per event, the best of five rounds. Drift of the machine affects
all lines equally. The payload is decoded already: decoding costs the same for every kind of body.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import orjson

from bridge.model import Event, Url
from bridge.preflight.samples import sample
from bridge.rendering import StandardRenderer, to_json
from bridge.rendering.request import TargetTemplate, build_request_renderer
from bridge.rendering.template import TemplateBody
from tests.bench.cpu import cpu_us

FIELDS = (
    "type", "webhook_id", "time", "entity", "tenant", "data.id", "data.accountNo", "data.externalId",
    "data.clientId", "data.clientName", "data.loanProductName", "data.loanOfficerName", "data.principal",
    "data.approvedPrincipal", "data.netDisbursalAmount", "data.status.code", "data.status.value",
    "data.timeline.approvedOnDate", "data.timeline.approvedByUsername", "data.summary.currency.code",
)  # fmt: skip
PLAIN = "{" + ", ".join(f'"{name}": "{{{{ {name} }}}}"' for name in FIELDS) + "}"
RICH = (
    PLAIN.removesuffix("}")
    + """, "text": "{{ data.principal | money(data.summary.currency.code) }} to {{ data.clientName }}",
    "account": "{{ data.accountNo | mask }}, {{ data.timeline.approvedOnDate | date("long") }}",
    "officer": {{ data.loanOfficerName | json }} }"""
)


def lines(event: Event) -> dict[str, Callable[[], object]]:
    """Return the measured calls by name."""
    payload = event.payload()
    url = Url("https", "crm.test", 443, "/loans/hookferry-value-0-here")
    constant, templated = (
        StandardRenderer("POST", url),
        build_request_renderer("PUT", TargetTemplate(url, ("{{ data.id }}",))),
    )
    plain, rich = TemplateBody({}, PLAIN, "application/json"), TemplateBody({}, RICH, "application/json")
    values = {name: str(value)[:40] for name, value in orjson.loads(plain(event)[1]).items()}
    return {
        "orjson alone, the same twenty fields": lambda: orjson.dumps(values),
        "orjson alone, the whole payload": lambda: to_json(payload),
        "an endpoint without templates, body shared": lambda: constant.render(event),
        "a template of twenty fields": lambda: plain(event),
        "the same with five filters": lambda: rich(event),
        "a templated URL, standard body shared": lambda: templated.render(event),
    }


def main() -> None:
    """Print a line for each call."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3000)
    rounds = parser.parse_args().rounds
    for name, work in lines(sample("LoanApprovedBusinessEvent")).items():
        print(f"{cpu_us(work, rounds):7.1f} us  {name}")


if __name__ == "__main__":
    main()
