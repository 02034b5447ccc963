"""Plan and request moves of an endpoint's own cursor: ``rewind`` and ``skip-to``. For command and console.

    plan = await plan_move(settings, MoveRequest("crm", is_back=True, to=at_ms))
    await request_move(settings, plan, by="ann at ops")
    left = await pending_moves(settings, plan)           # empty once the bridges have applied it

Invariant: a plan changes nothing, and a partition whose cursor is already beyond the target is left out.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from bridge.core import completion_map
from bridge.core.changes import Change
from bridge.core.completion_map import Completion
from bridge.core.dedupe import Stretch
from bridge.core.moves import PREFIX, Move, Moves
from bridge.core.routing import Router
from bridge.errors import ConfigError, KafkaUnavailable, RecordsDeleted
from bridge.kafka.client import KafkaOptions
from bridge.kafka.control_reader import ControlReader
from bridge.kafka.session import AdminSession
from bridge.kafka.side_reader import SideReader
from bridge.model import Committed, Partition, Record
from bridge.settings import Settings
from bridge.settings.names import require_known
from bridge.wiring.audit import audit_record, now, write_control
from bridge.wiring.counting import DEFAULT_SCAN, Selected, count_selected
from bridge.wiring.endpoints import build_subscription
from bridge.wiring.kafka import again_topic, build_kafka_options, control_topic

Target = Literal["beginning", "end"] | int | Mapping[Partition, int]
"""Where to: a name, an instant (Unix milliseconds), or offsets of some partitions."""


class MoveRequest(NamedTuple):
    """Where the cursor of an endpoint is to go on. ``is_back``: a rewind; otherwise a skip."""

    endpoint: str
    is_back: bool
    to: Target


class MovePlan(NamedTuple):
    """What a move would do, by partition: the present offset and the new one.

    ``selected`` are the events that are sent again, or not any more; None if they were not counted.
    """

    request: MoveRequest
    places: Mapping[Partition, tuple[int, int]]
    selected: Selected | None
    notes: tuple[str, ...]

    @property
    def offsets(self) -> int:
        """Return how many offsets lie between the present places and the new ones."""
        return sum(abs(new - now) for now, new in self.places.values())


async def plan_move(
    settings: Settings,
    request: MoveRequest,
    *,
    scan: int = DEFAULT_SCAN,
    begin: Callable[[int], None] = lambda offsets: None,
    step: Callable[[int], None] = lambda records: None,
) -> MovePlan:
    """Return the plan. ``scan``: count the events of so many records at most; 0: do not count.

    Raises ``ConfigError`` for a request that cannot be carried out, and ``KafkaUnavailable``.
    """
    require_known("there is no endpoint", request.endpoint, settings.endpoints, "the endpoints are")
    done, bounds, targets = await _look(settings, request)
    notes: list[str] = []
    places: dict[Partition, tuple[int, int]] = {}
    for partition, target in sorted(targets.items()):
        first, log_end = bounds[partition]
        new, now = min(max(target, first), log_end), done[partition].offset
        if target < first and isinstance(request.to, Mapping):
            notes.append(f"{partition} begins at offset {first}: retention deleted what was before it")
        if (new < now) if request.is_back else (new > now):
            places[partition] = now, new
        else:
            notes.append(
                f"{partition} stays at {now}: that is not {'after' if request.is_back else 'before'} {new}"
            )
    selected = None
    if scan and places:
        stretches = {each: Stretch(*sorted(place)) for each, place in places.items()}
        router = Router({request.endpoint: build_subscription(settings.endpoints[request.endpoint])})
        begin(min(scan, sum(end - start for start, end in stretches.values())))
        left_out = _settled(done) if not request.is_back else _never
        selected = await count_selected(
            settings, router, stretches, scan=scan, is_settled=left_out, step=step
        )
    return MovePlan(request, places, selected, tuple(notes))


async def request_move(
    settings: Settings, plan: MovePlan, *, by: str, reason: str = "", key: str = ""
) -> list[Move]:
    """Write the moves and the record of who made them; running bridges apply them within a second.

    Without a running bridge they wait, and the next one that gets the partition applies them.
    """
    at, request = now(), plan.request
    id = secrets.token_hex(4)
    moves = [
        Move(id, request.endpoint, partition, request.is_back, new, at, by)
        for partition, (_, new) in plan.places.items()
    ]
    counted = "" if plan.selected is None else f"{plan.selected.events} events, "
    places = ", ".join(f"{partition} {now} to {new}" for partition, (now, new) in plan.places.items())
    action = "rewind" if request.is_back else "skip-to"
    change = Change(at, by, action, request.endpoint, reason, f"{counted}{places}", key)
    records = {move.key: move.to_bytes() for move in moves}
    await write_control(settings, by, {**audit_record(change), **records})
    return moves


async def pending_moves(settings: Settings, moves: list[Move]) -> list[Move]:
    """Return those of these moves that no bridge has applied yet. Raises ``KafkaUnavailable``."""
    options = build_kafka_options(settings.kafka)
    waiting = {move.key for move in (await read_moves(options, control_topic(settings.group))).all()}
    return [move for move in moves if move.key in waiting]


async def read_moves(options: KafkaOptions, topic: str) -> Moves:
    """Read the moves that wait in the control topic. Raises ``KafkaUnavailable``."""
    moves = Moves()

    def apply(record: Record) -> None:
        if record.key is not None and record.key.startswith(PREFIX):
            moves.apply(record)

    try:
        async with ControlReader(SideReader(options), topic, apply, None) as reader:
            await reader.read_to_end()
    except RecordsDeleted as exc:
        raise KafkaUnavailable(f"records of topic {topic!r} were deleted meanwhile; try again") from exc
    return moves


async def _look(
    settings: Settings, request: MoveRequest
) -> tuple[dict[Partition, Completion], dict[Partition, tuple[int, int]], dict[Partition, int]]:
    """Return the endpoint's cursors, the bounds of their logs, and where each of them is to go."""
    options = build_kafka_options(settings.kafka)
    async with AdminSession(options) as session:
        committed = await session.committed(f"{settings.group}.{request.endpoint}")
        ends = await session.log_ends({partition.topic for partition in committed})
    again = again_topic(settings)
    done = {
        partition: _decoded(at)
        for partition, at in committed.items()
        if partition.topic != again and partition in ends
    }
    if not done:
        raise ConfigError([f"{request.endpoint} has no cursor yet: no bridge has committed one"])
    partitions = list(done)
    async with SideReader(options) as reader:
        begins = await reader.begins(partitions)
        bounds = {each: (begins[each], ends[each]) for each in partitions}
        targets = await _targets(reader, request, bounds)
    return done, bounds, targets


async def _targets(
    reader: SideReader, request: MoveRequest, bounds: Mapping[Partition, tuple[int, int]]
) -> dict[Partition, int]:
    to = request.to
    if isinstance(to, Mapping):
        known = {str(partition): partition for partition in bounds}
        for partition in to:
            what = f"endpoint {request.endpoint} has no cursor in"
            require_known(what, str(partition), known, "its cursors are in")
        return dict(to)
    if to == "beginning":
        return {partition: first for partition, (first, _) in bounds.items()}
    if to == "end":
        return {partition: log_end for partition, (_, log_end) in bounds.items()}
    offsets = await reader.offsets_at(list(bounds), max(0, to))
    return {partition: offsets.get(partition, log_end) for partition, (_, log_end) in bounds.items()}


def _decoded(at: Committed) -> Completion:
    try:
        return completion_map.decode(*at)
    except completion_map.DamagedMapError:
        return Completion(at.offset, at.offset)


def _settled(done: Mapping[Partition, Completion]) -> Callable[[Partition, int], bool]:
    return lambda partition, offset: done[partition].settled(offset)


def _never(partition: Partition, offset: int) -> bool:
    return False
