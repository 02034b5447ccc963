"""Take back the sequence numbers of a batch that the broker refused.

Upstream: no issue found. aiokafka 0.14 counts the records of a batch when it sends the batch. A refused
batch leaves a gap: the broker refuses every later batch of that partition as out of order, until the
process ends. Remove this when ``SendProduceReqHandler`` does not count refused batches.
``bridge/kafka/producer.py`` imports this module.
"""

from __future__ import annotations

from typing import Any

import aiokafka.producer.sender
from aiokafka.errors import (
    BrokerResponseError,
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    OutOfOrderSequenceNumber,
)
from aiokafka.producer.sender import SendProduceReqHandler

_LOST_COUNT = (DuplicateSequenceNumber, InvalidProducerEpoch, OutOfOrderSequenceNumber)
"""After these the broker expects another number than this producer has: a new producer must follow."""


class PatchedHandler(SendProduceReqHandler):  # type: ignore[misc] # aiokafka has no type information
    """Corrects the count before the next batch of the partition is sent: one is in flight at a time."""

    def handle_response(self, response: Any) -> None:
        """Handle an answer to a produce request; the batches that it refused are not counted."""
        super().handle_response(response)
        counter = self._sender._txn_manager
        if counter is None:
            return
        for partition, batch in self._batches.items():
            if batch.future.done() and is_refused(batch.future.exception()):
                counter.increment_sequence_number(partition, -batch.record_count)


def is_refused(error: BaseException | None) -> bool:
    """Return True if the broker checked the batch and did not append it."""
    return isinstance(error, BrokerResponseError) and not has_lost_count(error)


def has_lost_count(error: BaseException | None) -> bool:
    """Return True if the broker accepts nothing more of this producer."""
    return isinstance(error, _LOST_COUNT)


aiokafka.producer.sender.SendProduceReqHandler = PatchedHandler
