"""Map the exceptions of aiokafka and of sockets to the product's own, in one place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from bridge.errors import BrokerError, RecordTooLarge

ANSWER_TIMEOUT_S = 15.0
"""Limit for a query: aiokafka waits 40 s for some answers and without a limit for others."""
CHECK_BROKER = "check kafka.bootstrap_servers, kafka.tls, kafka.sasl and that the broker is up"
FOREIGN_ERRORS = (KafkaError, OSError)
"""What aiokafka raises for a failed request. ``TimeoutError`` is an ``OSError``."""


@asynccontextmanager
async def broker_call(
    action: str, *, timeout_s: float | None = None, remedy: str = CHECK_BROKER
) -> AsyncIterator[None]:
    """Run a request to the broker; raise ``BrokerError`` if it fails or exceeds ``timeout_s``.

    ``action`` completes the sentence "cannot …". Raises ``RecordTooLarge`` for a record that does not fit.
    """
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except (MessageSizeTooLargeError, RecordListTooLargeError) as exc:
        raise RecordTooLarge(action, "the record is too large", "raise its max.message.bytes") from exc
    except FOREIGN_ERRORS as exc:
        raise BrokerError(action, describe(exc, timeout_s), remedy) from exc


def describe(exc: BaseException, timeout_s: float | None = None) -> str:
    """Return the cause in words; aiokafka's own text begins with the name of its exception."""
    if isinstance(exc, TimeoutError) and not exc.args:
        limit = f" within {timeout_s:g} s" if timeout_s is not None else " in time"
        return f"the broker did not answer{limit}"
    return str(exc) or repr(exc)
