"""Fakes of ``bridge.kafka.producer.DurableProducer``, for code that only writes records."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bridge.errors import BrokerError
from bridge.kafka.producer import NewRecord


def broker_error(cause: str = "the broker did not answer") -> BrokerError:
    """Return an error as the Kafka edge raises it."""
    return BrokerError("write to topic 'g'", cause, "check the broker")


class FakeProducer:
    """Keeps the records that were written; ``refuse`` returns the error of a record, or None."""

    def __init__(self, refuse: Callable[[NewRecord], BrokerError | None] = lambda record: None) -> None:
        self.refuse = refuse
        self.written: list[NewRecord] = []

    async def write(self, record: NewRecord) -> None:
        if error := self.refuse(record):
            raise error
        self.written.append(record)

    async def write_all(self, records: Sequence[NewRecord]) -> list[BrokerError | None]:
        errors = [self.refuse(record) for record in records]
        self.written += [record for record, error in zip(records, errors, strict=True) if error is None]
        return errors
