"""The stored request of an event that is sent again as it was, as text: in ``<group>.again`` and in letters.

Invariant: ``read_stored(write_stored(stored)) == stored``, and what was not written so is refused: no text of
a topic puts a line break into a request.
"""

from __future__ import annotations

import json
import re
from typing import Any

from bridge.core import ordering_key
from bridge.model import StoredRequest

_METHOD = re.compile(r"[A-Z]{1,20}")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE = re.compile(rb"[^\x00\r\n]*")


def write_stored(stored: StoredRequest) -> str:
    """Return a stored request as one line of JSON in ASCII."""
    facts: dict[str, Any] = stored._asdict()
    facts["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in stored.headers]
    facts["lane"] = None if stored.lane is None else ordering_key.encode_lane(stored.lane)
    return json.dumps(facts, separators=(",", ":"))


def read_stored(text: str) -> StoredRequest:
    """Return the stored request in a text. Raises ``ValueError``."""
    try:
        facts = json.loads(text)
        lane = facts["lane"]
        stored = StoredRequest(
            method=facts["method"],
            url=facts["url"],
            headers=tuple(
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in facts["headers"]
            ),
            id=facts["id"],
            type=facts["type"],
            time=facts["time"],
            entity=facts["entity"],
            tenant=facts["tenant"],
            lane=None if lane is None else ordering_key.decode_lane(lane),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise ValueError(f"it is no stored request: {exc!r}") from exc
    _check(stored)
    return stored


def _check(stored: StoredRequest) -> None:
    """Raise ``ValueError`` for parts that no request may have."""
    texts = (stored.method, stored.url, stored.id, stored.type, stored.time)
    optional = (stored.entity, stored.tenant)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("it is no stored request: a part is no text")
    if not all(text is None or isinstance(text, str) for text in optional):
        raise ValueError("it is no stored request: entity or tenant is no text")
    if not _METHOD.fullmatch(stored.method):
        raise ValueError("its method is none of HTTP")
    for name, value in stored.headers:
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            raise ValueError("one of its headers is none of HTTP")
