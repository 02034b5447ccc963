"""Cost of removing secrets from the reason of a failed attempt; an attempt that succeeds is not searched.

    python -m tests.bench.scrub [--rounds N]

CPU time of this process in microseconds per attempt, the best of five rounds, with 10 and with 500 secrets in
force.
"""

from __future__ import annotations

import argparse

from bridge.core.verdict import judge
from bridge.model import Response
from bridge.pipeline.shown_reason import without_secrets
from bridge.telemetry.scrub import in_force
from bridge.telemetry.secret_forms import Secret
from tests.bench.cpu import cpu_us

ANSWERS = {
    "an empty answer": Response(503, (), b""),
    "a short answer": Response(400, (), b'{"error": "no such loan", "code": 17}'),
    "an HTML page of 4 kB": Response(502, (), b"<p>upstream&nbsp;is away</p>\n" * 140),
    "a page that repeats a secret": Response(401, (), b"you sent Bearer 000007-secret-of-an-endpoint to us"),
}


def main() -> None:
    """Print one line per answer and number of secrets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2_000)
    rounds = parser.parse_args().rounds
    for secrets in (10, 500):
        in_force.learn(Secret(f"{number:06x}-secret-of-an-endpoint") for number in range(secrets))
        for name, answer in ANSWERS.items():
            judgement = judge(answer)
            cost_us = cpu_us(lambda a=answer, j=judgement: without_secrets(j, a, judge), rounds)  # type: ignore[misc]
            print(f"{name:<32} {secrets:>4} secrets  {cost_us:7.1f} µs")


if __name__ == "__main__":
    main()
