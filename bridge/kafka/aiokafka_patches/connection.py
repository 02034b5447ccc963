"""Turn a write to a closed uvloop transport into an error that aiokafka handles.

Upstream: https://github.com/aio-libs/aiokafka/issues/1038 (open; seen with aiokafka 0.14 and uvloop 0.23).
Remove this when ``AIOKafkaConnection.send`` raises ``KafkaConnectionError`` for it.
``bridge/kafka/client.py`` imports this module, so every client of the product has the patch.
"""

from __future__ import annotations

from typing import Any

import aiokafka.conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


class PatchedConnection(AIOKafkaConnection):  # type: ignore[misc] # aiokafka has no type information
    """Raises ``KafkaConnectionError`` for a write to a connection that was reset.

    The transport is closed at the reset; aiokafka notices the reset a moment later. A write in
    between is only a warning in asyncio's own loop, but uvloop raises ``RuntimeError``. aiokafka
    catches ``OSError`` alone, so the background task that wrote ends silently. If the metadata task
    dies, every caller that needs metadata waits forever, including the group member.
    """

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """Send a request and return the future of its answer. Raises ``KafkaConnectionError``."""
        try:
            return super().send(request, expect_response)
        except NotImplementedError:  # also a RuntimeError: the broker has no version of this request
            raise
        except RuntimeError as exc:
            self.close(reason=CloseReason.CONNECTION_BROKEN, exc=exc)
            raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {exc}") from exc


aiokafka.conn.AIOKafkaConnection = PatchedConnection
