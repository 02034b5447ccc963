"""aiokafka's connections, mended where a broker that dies would leave a client waiting for ever.

Every client of the product gets these, for ``client.py`` imports this module. Edge floor.
"""

from __future__ import annotations

from typing import Any

import aiokafka.conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


class MendedConnection(AIOKafkaConnection):  # type: ignore[misc]
    """A write to a connection that was reset is an error of the connection (aiokafka 0.14, uvloop 0.23).

    Between the reset and the moment aiokafka hears of it the transport is closed already. asyncio's
    own loop warns of a write to it; uvloop raises ``RuntimeError``. aiokafka expects an ``OSError``, so
    whichever of its background tasks wrote came to its end, and nobody was told. Without the one for
    metadata, whoever asked for metadata waited for ever, the member of the group among them.
    """

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """aiokafka's: the answer, to be awaited. Raises ``KafkaConnectionError`` for any failure to write."""
        try:
            return super().send(request, expect_response)
        except RuntimeError as exc:
            self.close(reason=CloseReason.CONNECTION_BROKEN, exc=exc)
            raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {exc}") from exc


aiokafka.conn.AIOKafkaConnection = MendedConnection
