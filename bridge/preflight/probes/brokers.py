"""Try the brokers: connection, topics and their settings, rights, transactions, the groups, and the clock.

Invariant: nothing is written, created or joined.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping

from bridge.errors import CommitError, HookferryError, KafkaUnavailable
from bridge.kafka.client import KafkaOptions
from bridge.kafka.rights import Rights, may_use_transactions, read_rights
from bridge.kafka.session import AdminSession
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topic_setup import AGAIN_CONFIGS, ATTEMPTS_CONFIGS, CONTROL_CONFIGS, PARKED_CONFIGS
from bridge.preflight.probes.finding import Finding, failed, ok, skipped, warning
from bridge.settings import Settings
from bridge.wiring.endpoints import holding_endpoints
from bridge.wiring.kafka import again_topic, attempts_topic, build_kafka_options, control_topic, parked_topic
from bridge.wiring.topics import build_selection

_AHEAD_MS = 5000
_ALTER = "kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name"


async def probe_brokers(settings: Settings) -> list[Finding]:
    """Return what the brokers answer. If none does, that is the only finding."""
    servers = ", ".join(settings.kafka.bootstrap_servers)
    try:
        options = build_kafka_options(settings.kafka)
        async with AdminSession(options) as visit:
            found = [ok("brokers", f"{servers}: cluster {await visit.cluster_id() or 'without an id'}")]
            names = await visit.topics()
            found += [finding async for finding in _Topics(settings, visit, names).findings()]
            found += await _groups(settings, visit)
            found += await _clock(settings, options, visit, names)
    except HookferryError as exc:
        return [failed("brokers", str(exc))]
    try:
        rights = await read_rights(options, [*_sources(settings, names), *_internal(settings)])
    except KafkaUnavailable as exc:
        return [*found, failed("rights", str(exc))]
    return [*found, *judge_rights(settings, rights, names), await probe_transactions(settings, options)]


async def probe_transactions(settings: Settings, options: KafkaOptions) -> Finding:
    """Return whether re-sends can write their transactions. The bridge itself needs none."""
    prefix = f"{settings.group}.resend."
    try:
        allowed = await may_use_transactions(options, f"{prefix}doctor")
    except KafkaUnavailable as exc:
        remedy = (
            "run it again in a minute; a cluster of fewer than three brokers needs"
            " transaction.state.log.replication.factor=1"
        )
        return warning("transactions", f"re-sends need transactions: {str(exc).partition('; ')[0]}", remedy)
    if allowed:
        return ok("transactions", f"this login may describe the transactional ids {prefix}* of re-sends")
    text = f"this login may not use transactional ids, and re-sends write with {prefix}*"
    return warning("transactions", text, f"grant WRITE and DESCRIBE on ids with the prefix {prefix}")


def _sources(settings: Settings, names: Collection[str]) -> list[str]:
    return sorted(build_selection(settings).select(names))


def _internal(settings: Settings) -> tuple[str, ...]:
    topics = parked_topic(settings), again_topic(settings), attempts_topic(settings)
    return *topics, control_topic(settings.group)


class _Topics:
    """The topics of one group: do they exist, and do their settings fit."""

    def __init__(self, settings: Settings, visit: AdminSession, names: Collection[str]) -> None:
        self._settings = settings
        self._visit = visit
        self._names = names

    async def findings(self) -> AsyncIterator[Finding]:
        selection, settings = build_selection(self._settings), self._settings
        for name in sorted(set(selection.names) - set(self._names)):
            text = f"{name} does not exist, or this login may not see it; the bridge waits for it"
            yield failed("topics", text, "create it, correct `topics` of the source, or grant DESCRIBE")
        for pattern in selection.awaited(self._names):
            text = f"no topic matches {pattern}"
            yield warning("topics", text, "none needed if it is created later; else correct the pattern")
        counts = await self._visit.partition_counts(_sources(settings, self._names))
        for name, count in counts.items():
            yield ok("topics", f"{name} has {count} partition{'s' if count > 1 else ''}")
        for name in _internal(settings):
            if name in self._names:
                async for finding in self._internal(name, max(counts.values(), default=0)):
                    yield finding
            elif settings.kafka.create_topics:
                yield ok("topics", f"{name} does not exist yet; the bridge creates it at its start")
            else:
                yield failed(
                    "topics", f"{name} does not exist and kafka.create_topics is false", _by_hand(name)
                )

    async def _internal(self, name: str, most: int) -> AsyncIterator[Finding]:
        settings = self._settings
        try:
            configs = await self._visit.configs(name)
        except KafkaUnavailable as exc:
            yield skipped("topics", f"the settings of {name} cannot be read: {exc}")
            return
        wrong = [*judge_configs(settings, name, configs)]
        if name == again_topic(settings):
            count = (await self._visit.partition_counts([name])).get(name, 0)
            if count < most:
                text = f"{name} has {count} partitions, and the largest source topic has {most}"
                wrong.append(warning("topics", text, "restart a bridge: it adds them at its start"))
        for finding in wrong or [ok("topics", f"{name} has the settings that it needs")]:
            yield finding


def _by_hand(name: str) -> str:
    configs = {"control": CONTROL_CONFIGS, "again": AGAIN_CONFIGS, "attempts": ATTEMPTS_CONFIGS}
    chosen = configs.get(name.rpartition(".")[2], PARKED_CONFIGS)
    words = "".join(f" --config {key}={value}" for key, value in chosen.items())
    return f"create it: kafka-topics.sh --bootstrap-server … --create --topic {name}{words}"


def judge_configs(settings: Settings, name: str, configs: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is wrong with the settings of an internal topic."""
    policy = configs.get("cleanup.policy", "")
    if name == control_topic(settings.group):
        if policy and policy != "compact":
            text = f"{name} has cleanup.policy {policy}: an endpoint that is off is on again later"
            yield failed("topics", text, f"{_ALTER} {name} --add-config cleanup.policy=compact")
        return
    is_history = name == attempts_topic(settings)
    if "compact" in policy:
        text = f"{name} has cleanup.policy {policy}, which deletes {'attempts' if is_history else 'events'}"
        yield failed("topics", text, f"{_ALTER} {name} --add-config cleanup.policy=delete")
    retention = configs.get("retention.ms") or "-1"
    if name == parked_topic(settings) and retention != "-1":
        text = f"{name} has retention.ms {retention}: dead letters that are older are deleted"
        remedy = f"{_ALTER} {name} --add-config retention.ms=-1"
        yield (failed if holding_endpoints(settings) else warning)("topics", text, remedy)
    wanted_ms = str(int(settings.history.retention_s * 1000))
    if is_history and (kept := configs.get("retention.ms")) not in (None, "", wanted_ms):
        text = f"{name} has retention.ms {kept}, and history.retention_s is {wanted_ms} ms"
        yield warning("topics", text, f"{_ALTER} {name} --add-config retention.ms={wanted_ms}")
    limit = configs.get("max.message.bytes", "")
    wanted = (ATTEMPTS_CONFIGS if is_history else AGAIN_CONFIGS)["max.message.bytes"]
    if limit.isdecimal() and int(limit) < int(wanted):
        what = "attempts are kept without their bodies" if is_history else "events wait"
        text = f"{name} has max.message.bytes {limit}: larger {what}"
        yield warning("topics", text, f"{_ALTER} {name} --add-config max.message.bytes={wanted}")


async def _groups(settings: Settings, visit: AdminSession) -> list[Finding]:
    """Read the offsets of the member group and of each endpoint, and the members."""
    for group in (settings.group, *(f"{settings.group}.{name}" for name in settings.endpoints)):
        try:
            await visit.offsets.fetch(group, None)
        except CommitError as exc:
            remedy = f"grant READ on groups that begin with {settings.group!r}, and check the broker"
            return [failed("groups", f"the offsets of {group} cannot be read: {exc}", remedy)]
    found = [ok("groups", f"the offsets of {len(settings.endpoints)} endpoints can be read")]
    try:
        members = await visit.members(settings.group)
    except KafkaUnavailable as exc:
        return [*found, skipped("groups", f"the members cannot be read: {exc}")]
    running = ", ".join(members) or "none: no bridge runs"
    return [*found, ok("groups", f"members of {settings.group}: {running}")]


async def _clock(
    settings: Settings, options: KafkaOptions, visit: AdminSession, names: Collection[str]
) -> list[Finding]:
    """Look for records whose timestamps are ahead of this machine's clock."""
    topics = [*_sources(settings, names), *(name for name in _internal(settings) if name in names)]
    partitions = list(await visit.log_ends(topics))
    if not partitions:
        return [skipped("clock", "there is no topic to compare with")]
    async with SideReader(options) as reader:
        ahead = await reader.offsets_at(partitions, int(time.time() * 1000) + _AHEAD_MS)
    if not ahead:
        return [ok("clock", "no record has a timestamp ahead of this machine's clock")]
    places = ", ".join(f"{partition}@{offset}" for partition, offset in sorted(ahead.items())[:3])
    text = f"records are more than {_AHEAD_MS // 1000} s ahead of this machine's clock ({places})"
    return [warning("clock", text, "compare this clock and those of brokers and producers with NTP")]


def judge_rights(settings: Settings, rights: Rights | None, names: Collection[str]) -> Iterator[Finding]:
    """Yield the operations that the login lacks."""
    if rights is None:
        yield skipped("rights", "this broker does not report the rights of a login (Kafka 2.8 and later do)")
        return
    needed: dict[str, tuple[str, ...]] = dict.fromkeys(_sources(settings, names), ("read", "describe"))
    needed |= dict.fromkeys(_internal(settings), ("read", "write"))
    needed[attempts_topic(settings)] = ("write", "describe")
    lacking = False
    for name, operations in needed.items():
        facts = rights.topics.get(name)
        if name in rights.denied or (facts is not None and facts.rights is not None):
            has = facts.rights if facts is not None and facts.rights is not None else frozenset[str]()
            missing = [operation.upper() for operation in operations if operation not in has]
            if missing:
                lacking = True
                yield failed("rights", f"this login lacks {', '.join(missing)} on topic {name}", "grant it")
        if facts is not None and facts.least_replicas == 1 and rights.brokers > 1:
            text = f"topic {name} has one copy: it is lost with its broker"
            yield warning("topics", text, "raise its replication factor")
    if settings.kafka.create_topics and rights.cluster is not None and "create" not in rights.cluster:
        absent = [name for name in _internal(settings) if name not in names]
        if absent:
            lacking = True
            text = f"this login may not create topics, and {', '.join(absent)} do not exist"
            yield failed("rights", text, "grant CREATE on the cluster, or create them by hand")
    if not lacking:
        yield ok("rights", f"this login has all rights on {len(needed)} topics as the broker reports them")
