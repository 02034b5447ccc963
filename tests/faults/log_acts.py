"""The faults of the log: partitions are added, transactions end without their records, offsets expire."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack

from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import NewPartitions

from tests.faults.names import FIRST_POISONED, FIRST_TRANSACTION, GROUP, TOPIC
from tests.faults.plan import Fault
from tests.faults.producer import event_value
from tests.faults.stage import Stage
from tests.faults.truth import Truth
from tests.support.kafka import KafkaFailed
from tests.support.record_batches import BAD_NAME, RawBatch, RawRecord, produce_batches

MOST_PARTITIONS = 10
RECORDS = 40
COMMITTED = "commit"
TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
_transactions = iter(range(FIRST_TRANSACTION, FIRST_POISONED))
_poisoned = iter(range(FIRST_POISONED, 1 << 30))
_one_expiry = threading.Lock()
"""Two expiries at once would wait for each other's pods."""


def add_partition(stage: Stage) -> None:
    """Add a partition to the topic, and let the producer write to it as soon as it exists."""
    admin = stage.kafka.admin()
    count = len(admin.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions)
    if count >= MOST_PARTITIONS:
        return
    admin.create_partitions([NewPartitions(TOPIC, count + 1)])[TOPIC].result(15)
    stage.ledger.note(f"partition {count} added")
    stage.publisher.use_partition(count)


def write_transaction(stage: Stage, fault: Fault) -> None:
    """Write records of one entity in a transaction, keep it open for a while, then commit or abort it."""
    chance = random.Random(f"{fault.at_s} transaction")
    entity = next(_transactions)
    producer = Producer(
        {"bootstrap.servers": stage.kafka.bootstrap, "transactional.id": f"faults-{entity}",
         "transaction.timeout.ms": 15_000, "log_level": 0}
    )  # fmt: skip
    numbers = producer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    partition = chance.choice(sorted(numbers))
    try:
        producer.init_transactions(30)
        producer.begin_transaction()
        for seq in range(RECORDS):
            name = f"e{entity}"
            producer.produce(TOPIC, event_value(chance, seq, name, seq), name.encode(), partition)
        producer.flush(10)
        stage.cut.wait(fault.for_s)
        if fault.extra != COMMITTED:
            producer.abort_transaction(30)
            stage.ledger.note(f"transaction of e{entity} in partition {partition} aborted")
            return
        producer.commit_transaction(30)
    except (
        KafkaException
    ) as problem:  # the broker is killed at the same time; the broker ends it by its timeout
        stage.ledger.note(f"transaction of e{entity} was not ended: {problem}")
        return
    stage.ledger.note(f"transaction of e{entity} in partition {partition} committed")
    stage.committed_transactions[entity] = RECORDS


def write_poison(stage: Stage, fault: Fault) -> None:
    """Write events with a header name that is not UTF-8: clients fail at it, and each must be parked."""
    chance = random.Random(f"{fault.at_s} poison")
    numbers = stage.kafka.admin().list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    for partition in sorted(numbers):
        name = f"e{next(_poisoned)}"
        record = RawRecord(event_value(chance, 0, name, 0), name.encode(), headers=[(BAD_NAME, b"x")])
        try:
            produce_batches(stage.kafka.bootstrap, TOPIC, RawBatch(0, [record]).pack(), partition=partition)
        except (KafkaError, OSError, TimeoutError) as problem:  # the broker is killed at the same time
            stage.ledger.note(f"poison was not written to partition {partition}: {problem}")
    stage.ledger.note("poisonous header names written")


def expire_offsets(stage: Stage, fault: Fault) -> None:
    """While no pod runs, delete what an endpoint has committed for one partition."""
    endpoint = fault.target.removeprefix("/")
    with _one_expiry, ExitStack() as held:
        for pod in stage.pods:
            held.enter_context(pod.lock)
        running = [pod for pod in stage.pods if pod.wanted]
        for pod in running:
            pod.kill("killed, to let offsets expire")
        with stage.broker_lock:
            partitions = [number for about, number in stage.kafka.consumer_groups(f"{GROUP}.{endpoint}")
                          if about == TOPIC]  # fmt: skip
            if partitions:
                partition = random.Random(f"{fault.at_s} expiry").choice(sorted(partitions))
                _delete_offsets(stage, endpoint, partition)
        for pod in running:
            if not stage.cut.is_set():
                pod.start()


def _delete_offsets(stage: Stage, endpoint: str, partition: int) -> None:
    try:
        stage.kafka.tool(
            TOOL, "--bootstrap-server", stage.kafka.bootstrap, "--delete-offsets",
            "--group", f"{GROUP}.{endpoint}", "--topic", f"{TOPIC}:{partition}",
        )  # fmt: skip
    except KafkaFailed as problem:
        stage.ledger.note(f"the offsets could not be deleted: {problem}")
        return
    at_ns = stage.ledger.note(f"offset of {endpoint} in partition {partition} deleted")
    stage.ledger.expired.append((at_ns, endpoint, partition))


def miscounted(truth: Truth, sent: int, transactions: Mapping[int, int]) -> list[str]:
    """Return the defects of the harness itself: events that it wrote and that are not in the log."""
    found = Counter(key >> 32 for key in truth.places)
    of_transactions = sum(
        count for entity, count in found.items() if FIRST_TRANSACTION <= entity < FIRST_POISONED
    )
    problems = [
        f"HARNESS: transaction of e{entity} was committed, but has {found[entity]} of {count} events"
        for entity, count in transactions.items()
        if found[entity] != count
    ]
    if len(truth.places) - of_transactions != sent:
        problems.append(f"HARNESS: {sent} events sent, {len(truth.places) - of_transactions} in the log")
    return problems
