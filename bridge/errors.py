"""Every exception that this product raises on purpose.

    HookferryError
    ├── ConfigError          a user's mistake in the settings: where, what, and how to fix it
    ├── DecodeError          a record that does not have the format of its source
    ├── SchemaNeeded         a record whose schema is not loaded yet: load it and decode again
    ├── RegistryUnavailable  a schema registry that does not answer
    ├── FilterError          an event whose values do not fit an endpoint's filter
    ├── RenderError          an event that cannot be rendered as a request for one endpoint
    ├── TransportError       an attempt without an answer (``TransportFault`` lists the kinds)
    ├── TokenUnavailable     a token server that issued no access token
    ├── ParkError            the dead-letter topic did not accept a record
    ├── ParkDeferred         a record is too large for it; the write is tried again later
    ├── CommitError          the broker did not accept a commit
    │   └── PlaceLostError   and never will: this process is no longer a member of the group
    ├── KafkaUnavailable     the broker, or a topic that must exist, cannot be used
    │   └── BrokerError        a request to the broker failed; a later try may succeed
    │       ├── RecordTooLarge   the topic does not accept a record of this size
    │       └── ClientFailed     the client library raised what it never should: replace the client
    ├── ActionRefused        an operator's action that cannot be done, with its remedy
    ├── BadCursor            a page's cursor that the console did not issue
    ├── StoreUnavailable     the console's store cannot be read or written
    │   └── RowsRefused        it cannot contain a value of these rows
    └── RecordsDeleted       retention deleted the records at a position before they were read

What a receiver answers is a ``Verdict``, never an exception.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from enum import StrEnum

from bridge.model import Damage, Partition, Record


class HookferryError(Exception):
    """The base class. Its text is written for a person and needs no traceback."""

    remedy: str = ""
    """What to do about it, if that is known where it was raised."""


class ConfigError(HookferryError):
    """One or more mistakes in the settings, each one line ``file:line:column: …``."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class DecodeError(HookferryError):
    """A record that cannot be decoded: the ``place`` in it, the ``cause``, and the ``remedy``."""

    def __init__(self, place: str, cause: str, remedy: str) -> None:
        super().__init__(f"{place}: {cause}; {remedy}")
        self.place = place
        self.cause = cause
        self.remedy = remedy


def unreadable(record: Record, damage: Damage) -> DecodeError:
    """Return the error of a record that could not be read from the log."""
    return DecodeError(record.place, damage.cause, damage.remedy)


class Tombstone(DecodeError):
    """A record that contains no event because its value is null, by the rules of its ``source``'s format."""

    def __init__(self, place: str, source: str) -> None:
        super().__init__(
            place,
            "the record has no value (a tombstone)",
            "a tombstone holds no event; do not write tombstones to this topic",
        )
        self.source = source


class SchemaNeeded(HookferryError):
    """A record names a schema by a key that the decoder has not loaded yet.

    This is no fault of the record: the reader loads ``key`` from the registry of ``source``, and
    decodes the record again.
    """

    def __init__(self, source: str, key: Hashable) -> None:
        super().__init__(f"source {source!r} needs the schema with {key}")
        self.source = source
        self.key = key


class RegistryUnavailable(HookferryError):
    """A schema registry did not answer. The request is repeated until it does; no record is parked."""


class FilterError(HookferryError):
    """An event that a filter cannot evaluate: its record's ``place``, the ``cause``, and the ``remedy``."""

    def __init__(self, place: str, cause: str, remedy: str) -> None:
        super().__init__(f"{place}: {cause}; {remedy}")
        self.place = place
        self.cause = cause
        self.remedy = remedy


class RenderError(HookferryError):
    """An event that cannot be rendered as a request for an endpoint."""


class TransportFault(StrEnum):
    """Why there was no answer. The set is bounded: it labels metrics and history rows."""

    CONNECT = "connect"
    REFUSED_ADDRESS = "refused_address"
    TLS = "tls"
    TIMEOUT = "timeout"
    READ = "read"
    PROTOCOL = "protocol"
    WITHHELD = "withheld"
    """The request was not sent: the group may have assigned the partition to another process."""
    TOKEN = "token"  # noqa: S105 - the name of a fault
    """The request was not sent, or its token was refused: there is no valid access token for it."""


class TransportError(HookferryError):
    """An attempt without an answer. ``detail`` may name the host, never a path or a body."""

    def __init__(self, fault: TransportFault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class TokenUnavailable(HookferryError):
    """A token server issued no access token. The text contains cause and remedy, and no secret.

    ``retry_after_s`` is the pause that the server requested.
    """

    def __init__(self, cause: str, remedy: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy
        self.retry_after_s = retry_after_s


class ParkError(HookferryError):
    """The dead-letter topic did not accept a record. The record's offset must not be committed."""

    def __init__(self, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.remedy = remedy


class ParkDeferred(HookferryError):
    """The dead-letter topic accepts a record only after an operator acted; it is tried again later."""


class CommitError(HookferryError):
    """The broker refused a commit or did not answer. The next commit includes it."""


class PlaceLostError(CommitError):
    """This process is no longer a member of the group, and must not commit for it any more."""


class KafkaUnavailable(HookferryError):
    """The broker cannot be reached, or a topic that must exist does not."""


class BrokerError(KafkaUnavailable):
    """A request to the broker failed or was not answered in time; a later try may succeed.

    Raised only by ``bridge.kafka``, which maps the client library's exceptions to it.
    """

    def __init__(self, action: str, cause: str, remedy: str) -> None:
        """``action`` completes the sentence "cannot …"."""
        super().__init__(f"cannot {action}: {cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy


class RecordTooLarge(BrokerError):
    """The topic does not accept a record of this size before an operator raises its limit."""


class RequestUnknown(BrokerError):
    """The broker has no version of a request that this release can send: it is too old, or too new."""


class ClientFailed(BrokerError):
    """A client raised an exception that is not one of its own: it is replaced, and the call repeated."""


class RecordsDeleted(HookferryError):
    """Retention deleted records before they were read. ``positions``: the next offset by partition."""

    def __init__(self, positions: dict[Partition, int]) -> None:
        places = ", ".join(f"{partition}@{offset}" for partition, offset in positions.items())
        super().__init__(
            f"the log does not contain {places} any more: retention deleted the records, or the topic was"
            " recreated; try again"
        )
        self.positions = positions


class ActionRefused(HookferryError):
    """An operator's action that cannot be done: the ``place``, the ``cause``, and the ``remedy``."""

    def __init__(self, place: str, cause: str, remedy: str) -> None:
        super().__init__(f"{place}: {cause}; {remedy}")
        self.place = place
        self.cause = cause
        self.remedy = remedy


class BadCursor(HookferryError):
    """A cursor of a page that the console did not issue, or that belongs to another list."""


class StoreUnavailable(HookferryError):
    """The console's store cannot be read or written: the ``place``, the ``cause``, and the ``remedy``."""

    def __init__(self, place: str, cause: str, remedy: str) -> None:
        super().__init__(f"{place}: {cause}; {remedy}")
        self.place = place
        self.cause = cause
        self.remedy = remedy


class RowsRefused(StoreUnavailable):
    """A database cannot contain a value of these rows; the others are not written either."""


def forget_frames(error: Exception) -> None:
    """Keep the error alone: its traceback and its cause would keep decoded data while it waits."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
