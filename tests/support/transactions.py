"""Publish outbox events in transactions of Kafka, with a library other than the product's."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Producer

from tests.support.produce import OutboxEvent, ProduceFailed

_TIMEOUT_S = 30


class TransactionalProducer:
    """A producer with one transaction at a time. A transaction that was begun is open until it is ended."""

    def __init__(self, bootstrap: str, transactional_id: str) -> None:
        """Fence any producer with the same id, and abort its open transaction."""
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "transactional.id": transactional_id,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "transaction.timeout.ms": 600_000,  # the broker must not end it during a test
                "log_level": 0,
            }
        )
        self._producer.init_transactions(_TIMEOUT_S)

    def begin(self, topic: str, events: Iterable[OutboxEvent]) -> None:
        """Begin a transaction and write events in it; return once the broker has them.

        Raises ``ProduceFailed`` and ``KafkaException``. A new producer with the same id then ends it.
        """
        self._producer.begin_transaction()
        for event in events:
            self._producer.produce(topic, event.value, event.key)
            self._producer.poll(0)
        if missing := self._producer.flush(_TIMEOUT_S):
            raise ProduceFailed(f"{missing} records of the transaction unsent")

    def end(self, *, commit: bool) -> None:
        """Commit or abort the open transaction. Raises ``KafkaException``."""
        if commit:
            self._producer.commit_transaction(_TIMEOUT_S)
        else:
            self._producer.abort_transaction(_TIMEOUT_S)
