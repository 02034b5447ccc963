"""Which attempts are selected. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bridge.history.attempt import Attempt, Kept

NO_ANSWER = "none"
"""The status of an attempt that had no answer, on the command line."""
_STATUS = re.compile(r"[1-9][0-9x]{2}")


@dataclass(frozen=True, slots=True)
class AttemptFilter:
    """Which attempts are selected; a field that is None selects all.

    ``event`` is the id of an event or its ``webhook-id``. ``type`` is a pattern, as in ``events`` of an
    endpoint. ``status`` is a number, a class such as ``5xx``, or ``none``. ``text`` is a part of the reason,
    URL, headers or bodies, in any case. ``since_ms`` and ``until_ms`` bound when the request was sent.
    """

    endpoint: str | None = None
    event: str | None = None
    type: str | None = None
    entity: str | None = None
    tenant: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    status: str | None = None
    verdict: str | None = None
    text: str | None = None

    def matches(self, kept: Kept) -> bool:
        """Return True if the attempt is selected."""
        attempt = kept.attempt
        return (
            (self.endpoint is None or self.endpoint == kept.endpoint)
            and (self.event is None or self.event in (attempt.event_id, attempt.webhook_id))
            and (self.entity is None or self.entity == attempt.entity)
            and (self.tenant is None or self.tenant == attempt.tenant)
            and (self.verdict is None or self.verdict == attempt.verdict)
            and (self.since_ms is None or attempt.sent_s * 1000 >= self.since_ms)
            and (self.until_ms is None or attempt.sent_s * 1000 < self.until_ms)
            and (self.type is None or fnmatchcase(attempt.type, self.type))
            and (self.status is None or _has_status(attempt, self.status))
            and (self.text is None or _contains(attempt, self.text))
        )


def check_status(text: str) -> str:
    """Return a status as ``AttemptFilter`` takes it. Raises ``ValueError``."""
    status = text.lower()
    if status != NO_ANSWER and not _STATUS.fullmatch(status):
        raise ValueError(f"{text!r} is no status; write 503, 5xx, or {NO_ANSWER} for no answer")
    return status


def _has_status(attempt: Attempt, wanted: str) -> bool:
    if attempt.status is None or wanted == NO_ANSWER:
        return attempt.status is None and wanted == NO_ANSWER
    return all(want in ("x", digit) for want, digit in zip(wanted, str(attempt.status), strict=False))


def _contains(attempt: Attempt, text: str) -> bool:
    wanted = text.casefold()
    if wanted in attempt.reason.casefold() or wanted in attempt.url.casefold():
        return True
    parts = (attempt.headers, attempt.body, attempt.answer_headers, attempt.answer_body)
    return any(wanted in part.decode("utf-8", "replace").casefold() for part in parts if part)
