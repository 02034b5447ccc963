"""The lasting name of this member: use it, leave by it, and notice when another process took it.

Invariant: once the name is taken, it stays taken until the process ends. Joining again would take it back.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer

from bridge.kafka.aiokafka_patches.static_member import guard_name
from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_liveness import Lease
from bridge.kafka.leaving import leave_group
from bridge.kafka.membership import Membership
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()


class MemberName:
    """The name in the group, ``kafka.group_instance_id`` or its default; None for a dynamic member."""

    def __init__(self, options: KafkaOptions, membership: Membership, lease: Lease) -> None:
        """``lease`` ends when another process takes the name."""
        self.value = membership.instance_id
        self.taken = False
        self._in_use = False
        self._options = options
        self._group = membership.group
        self._lease = lease
        self._throttle = Throttle()

    def guard(self, consumer: AIOKafkaConsumer, is_current: Callable[[], bool]) -> None:
        """Let a started consumer use the name. What it learns counts while ``is_current`` returns True."""

        def taken() -> None:
            if is_current():
                self.note_taken()

        if self.value is not None:
            guard_name(consumer, self.value, taken)
            self._in_use = True

    async def leave(self, member_id: str) -> None:
        """Leave the group by the name, unless another process has it; a dynamic member has left already.

        ``member_id``: the last one that the coordinator gave; empty before the first.
        """
        leaves, self._in_use = self._in_use and not self.taken, False
        if leaves and self.value is not None:
            await leave_group(self._options, self._group, member_id, self.value)

    def note_taken(self) -> None:
        """Note that another process has joined under the name."""
        self.taken = True
        self._lease.end()

    def log_taken(self) -> None:
        """Log it, at most once per minute."""
        if self._throttle.allows():
            _log.error(
                events.SOURCE_FENCED,
                group=self._group,
                member=self.value,
                cause="another process has joined the group under this name, kafka.group_instance_id",
                remedy="give each process its own name or remove the setting, then restart this one;"
                " until then it delivers nothing",
            )
