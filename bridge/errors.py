"""Every exception this product raises on purpose.

    HookferryError
    ├── ConfigError        a user's mistake in settings: where, what, how to mend it
    ├── DecodeError        a record that is not what its source says it should be
    ├── SchemaNeeded       a record whose schema is not known yet: learn it and decode again
    ├── RegistryUnavailable  a schema registry that does not answer, or not now
    ├── FilterError        an event whose values do not fit an endpoint's filter
    ├── RenderError        an event that cannot become a request for one endpoint
    ├── TransportError     an attempt that got no answer (kind: connect, tls, timeout, read, refused)
    ├── ParkError          the dead-letter topic did not take a record
    ├── CommitError        the broker did not take a commit
    │   └── PlaceLostError   and never will: the group has moved on without this process
    ├── KafkaUnavailable   the broker, or a topic that must exist, cannot be used
    │   └── BrokerError        a request to the broker failed; a later try may succeed
    │       └── RecordTooLarge   the topic or the producer does not accept a record of this size
    └── RecordsDeleted     retention deleted the records at a position before they were read

What a *receiver* does is never an exception but a ``Verdict``. Bottom floor, pure.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from enum import StrEnum

from bridge.model import Partition


class HookferryError(Exception):
    """Base of all: its text is written for a person and needs no traceback."""


class ConfigError(HookferryError):
    """One or more mistakes in the settings, each a full line ``file:line:column: …``."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class DecodeError(HookferryError):
    """A record that cannot be decoded: ``place`` in it, ``cause``, and ``remedy`` for a person."""

    def __init__(self, place: str, cause: str, remedy: str) -> None:
        super().__init__(f"{place}: {cause}; {remedy}")
        self.place = place
        self.cause = cause
        self.remedy = remedy


class SchemaNeeded(HookferryError):
    """A record names a schema by a key that the decoder does not know yet.

    No fault of the record: whoever reads has the registry of ``source`` learn ``key``, and decodes again.
    """

    def __init__(self, source: str, key: Hashable) -> None:
        super().__init__(f"source {source!r} needs the schema with {key}")
        self.source = source
        self.key = key


class RegistryUnavailable(HookferryError):
    """A schema registry gave no answer about a schema. Asked again until it does; nothing is parked."""


class FilterError(HookferryError):
    """An event that a filter cannot judge: ``place`` of its record, ``cause``, ``remedy`` for a person."""

    def __init__(self, place: str, cause: str, remedy: str) -> None:
        super().__init__(f"{place}: {cause}; {remedy}")
        self.place = place
        self.cause = cause
        self.remedy = remedy


class RenderError(HookferryError):
    """An event that cannot be turned into a request for an endpoint."""


class TransportFault(StrEnum):
    """Why there was no answer; a bounded set, for it labels metrics and history."""

    CONNECT = "connect"
    REFUSED_ADDRESS = "refused_address"
    TLS = "tls"
    TIMEOUT = "timeout"
    READ = "read"
    PROTOCOL = "protocol"
    WITHHELD = "withheld"
    """It was not sent: this process may have lost its place in the group meanwhile."""


class TransportError(HookferryError):
    """An attempt without an answer. ``detail`` names hosts at most, never paths or bodies."""

    def __init__(self, fault: TransportFault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class ParkError(HookferryError):
    """The dead-letter topic did not take a record; its offset must not move."""


class CommitError(HookferryError):
    """The broker refused or missed a commit; it is tried again with the next one."""


class PlaceLostError(CommitError):
    """The group has moved on without this process, which must not commit for it any more."""


class KafkaUnavailable(HookferryError):
    """The broker cannot be reached, or something that must exist there does not."""


class BrokerError(KafkaUnavailable):
    """A request to the broker failed or was not answered in time; a later try may succeed.

    Raised only by ``bridge.kafka``, which maps the client library's exceptions to it.
    """

    def __init__(self, action: str, cause: str, remedy: str) -> None:
        """``action`` completes the sentence "cannot …"."""
        super().__init__(f"cannot {action}: {cause}; {remedy}")
        self.cause = cause


class RecordTooLarge(BrokerError):
    """The topic or the producer does not accept a record of this size; no later try succeeds."""


class RecordsDeleted(HookferryError):
    """Retention deleted the records at these positions (partition: next offset) before they were read."""

    def __init__(self, positions: dict[Partition, int]) -> None:
        super().__init__(str(positions))
        self.positions = positions
