"""The reason of a failed attempt without the secrets that an answer repeats.

Invariant: an answer is searched before it is cut to what a reason shows, so no part of a secret is left at
the cut. Deliveries have no reason and are never searched.
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.core.verdict import Judgement
from bridge.errors import TransportError
from bridge.model import Response
from bridge.telemetry.scrub import in_force, scrub

_SEARCHED_BYTES = 256
"""Of a body. A reason shows at most 200."""


def without_secrets(
    judgement: Judgement, answer: Response | TransportError, judge_again: Callable[[Response], Judgement]
) -> Judgement:
    """Return the judgement of an answer with a reason that may be logged, stored and parked.

    ``judge_again`` judges an answer without its secrets; only the reason of its judgement is used.
    """
    reason = judgement.reason
    if isinstance(answer, Response):
        body = in_force.head(answer.body, _SEARCHED_BYTES)
        if body != answer.body[:_SEARCHED_BYTES]:
            again = judge_again(answer._replace(body=body))
            if again.verdict is judgement.verdict:  # else the secret was a part of the word that decided
                reason = again.reason
    return judgement._replace(reason=scrub(reason))
