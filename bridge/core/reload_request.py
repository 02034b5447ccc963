"""A request to all pods to reload their configuration, and their answers, as records of ``<group>.control``.

Pure. Invariant: the request has one key, and each pod has one, so the topic keeps the last of each. Texts
contain no secret: they are scrubbed where they are written.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import orjson

REQUEST_KEY: Final = b"reload/request"
_ANSWERS: Final = "reload/answer/"
ANSWER_PREFIX: Final = _ANSWERS.encode()
_TEXT_CHARS: Final = 2000


class DamagedReloadError(ValueError):
    """A record of the control topic that is neither a request nor an answer of this format."""


class ReloadRequest(NamedTuple):
    """A request to reload: an id that no other has, and who made it."""

    id: str
    by: str = ""

    def to_bytes(self) -> bytes:
        """Return the value of its record."""
        return orjson.dumps(self._asdict())


class ReloadAnswer(NamedTuple):
    """What came of a request in one pod.

    ``outcome`` is a word of ``bridge.app.reloading.Outcome``; ``hash`` identifies the configuration that is
    in force then. ``error`` is why another one is not, or empty.
    """

    pod: str
    request: str
    outcome: str
    hash: str
    error: str = ""

    def to_bytes(self) -> bytes:
        """Return the value of its record."""
        return orjson.dumps(self._replace(error=self.error[:_TEXT_CHARS])._asdict())

    @property
    def key(self) -> bytes:
        """Return the key of its record."""
        return f"{_ANSWERS}{self.pod}".encode()


def read_request(value: bytes | None) -> ReloadRequest:
    """Return the request in a record's value. Raises ``DamagedReloadError``."""
    return ReloadRequest(**_fields(value, ReloadRequest._fields))


def read_answer(value: bytes | None) -> ReloadAnswer:
    """Return the answer in a record's value. Raises ``DamagedReloadError``."""
    return ReloadAnswer(**_fields(value, ReloadAnswer._fields))


def _fields(value: bytes | None, names: tuple[str, ...]) -> dict[str, str]:
    try:
        document = orjson.loads(value or b"")
        fields = {name: str(document[name]) for name in names if name in document}
        if not fields.get("id", fields.get("request", "")):
            raise DamagedReloadError("it has no id")
    except (ValueError, TypeError, KeyError) as exc:
        raise DamagedReloadError("it is no record of this release") from exc
    return fields
