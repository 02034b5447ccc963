"""Apache Kafka itself, one combined broker and controller in a separate process, for tests and the bench.

``python -m tests.support.kafka start`` starts one for a developer and prints its address; ``stop`` ends it.
Tests use the ``kafka`` fixture instead.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from tests.support.kafka_jars import KAFKA_VERSION, KafkaMissing, cache_folder, class_path, java
from tests.support.ports import free_port
from tests.support.tls import TestAuthority

CLUSTER_ID = "hookferrytestcluster00"  # 22 characters: KRaft requires a base64 UUID
START_TIMEOUT_S = 60
TOOL_TIMEOUT_S = 60
SASL_USER = "hookferry"
SASL_PASSWORD = "hookferry-secret"
# C1 only: C2 does not pay off on two cores in a broker that runs for a minute
START_FLAGS = (
    "-XX:+UseSerialGC", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
    # Java verifies the code of each class that it loads: a quarter of the CPU of a start. These are Apache's.
    "-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote",
)  # fmt: skip
LOG4J = """\
log4j.rootLogger=INFO, file
log4j.appender.file=org.apache.log4j.FileAppender
log4j.appender.file.File={file}
log4j.appender.file.layout=org.apache.log4j.PatternLayout
log4j.appender.file.layout.ConversionPattern=[%d] %p %m (%c)%n
"""

LOG4J2 = """\
status = error
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d] %p %m (%c)%n
"""


class KafkaFailed(Exception):
    """The broker did not start, or one of its commands failed; the text names the log."""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One line of ``kafka-consumer-groups --describe``: next offset, end of the log, lag."""

    committed: int
    end: int
    lag: int


class RealKafka:
    """One broker and its data, which survives ``stop`` and ``kill`` until ``close`` removes it.

    ``sasl=True`` adds a listener at ``sasl_bootstrap`` (SASL_PLAINTEXT; PLAIN, SCRAM-SHA-256,
    SCRAM-SHA-512) for ``SASL_USER``. ``tls`` adds one at ``tls_bootstrap`` (SSL, host
    name localhost), which requires a client certificate of the same authority.
    ``config`` overrides settings of the broker.
    """

    def __init__(
        self,
        *,
        sasl: bool = False,
        tls: TestAuthority | None = None,
        config: Mapping[str, object] | None = None,
    ) -> None:
        data = _formatted_data(sasl=sasl)
        self.folder = Path(tempfile.mkdtemp(prefix="hookferry-kafka-"))
        self.log = self.folder / "server.log"
        self.sasl = sasl
        self.tls = tls
        self.port, self.sasl_port, self.tls_port, controller = (free_port() for _ in range(4))
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.sasl_bootstrap = f"127.0.0.1:{self.sasl_port}"
        self.tls_bootstrap = f"localhost:{self.tls_port}"
        self.process: subprocess.Popen[bytes] | None = None
        self._topics = 0
        self._write_config(controller, config or {})
        shutil.copytree(data, self.folder / "data")
        atexit.register(self.close)

    def _write_config(self, controller: int, extra: Mapping[str, object]) -> None:
        listeners = [f"PLAINTEXT://127.0.0.1:{self.port}", f"CONTROLLER://127.0.0.1:{controller}"]
        settings: dict[str, object] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": (
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL"
            ),
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,  # with 50, every restart would load 50 logs
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "group.initial.rebalance.delay.ms": 0,
            "log.retention.hours": 168,
            # tests use short sessions, so that a killed member is removed soon
            "group.min.session.timeout.ms": 1000,
            # a killed broker can register again only after its old session has ended
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
        }
        if self.sasl:
            listeners.append(f"SASL_PLAINTEXT://127.0.0.1:{self.sasl_port}")
            plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
            scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
            prefix = "listener.name.sasl_plaintext"
            settings |= {
                "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
                f"{prefix}.plain.sasl.jaas.config": (f'{plain} required user_{SASL_USER}="{SASL_PASSWORD}";'),
                f"{prefix}.scram-sha-256.sasl.jaas.config": f"{scram} required;",
                f"{prefix}.scram-sha-512.sasl.jaas.config": f"{scram} required;",
            }
        if self.tls:
            listeners.append(f"SSL://localhost:{self.tls_port}")
            store = self.folder / "keystore.pem"
            store.write_text(self.tls.key_file.read_text() + self.tls.cert_file.read_text())
            settings |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": store,
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": self.tls.ca_file,
                "ssl.client.auth": "required",
            }
        settings |= {"listeners": ",".join(listeners)} | dict(extra)
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self.folder / "server.properties").write_text(text)
        (self.folder / "log4j.properties").write_text(LOG4J.format(file=self.log))
        (self.folder / "log4j2.properties").write_text(LOG4J2.format(file=self.log))

    def tool(self, main: str, *arguments: str) -> str:
        """Return the output of one of Kafka's command classes; raises ``KafkaFailed`` with the end of it."""
        return _run_tool(main, *arguments)

    def start(self) -> RealKafka:
        """Start the process; return when the broker is listed in its own metadata."""
        if self.process is not None:
            raise KafkaFailed("the broker is already running")
        command = _java("kafka.Kafka", str(self.folder / "server.properties"), heap="-Xmx768m")
        command[1:1] = [  # Kafka 4 logs through Log4j 2; each version ignores the property of the other
            f"-Dlog4j.configuration=file:{self.folder / 'log4j.properties'}",
            f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}",
        ]
        with (self.folder / "console.log").open("ab") as console:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self.process.poll() is not None:
                raise KafkaFailed(f"the broker ended with {self.process.returncode}: see {self.keep()}/*.log")
            if time.monotonic() > deadline:
                raise KafkaFailed(
                    f"the broker did not answer within {START_TIMEOUT_S} s: see {self.keep()}/*.log"
                )
            time.sleep(0.05)
        return self

    def _answers(self) -> bool:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)):
                return False
        try:
            return len(self.admin().list_topics(timeout=2).brokers) == 1
        except KafkaException:
            return False

    def _signal(self, number: int, timeout_s: float) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def stop(self, timeout_s: float = 20) -> None:
        """Stop the broker with SIGTERM; its data stays."""
        self._signal(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """Send SIGKILL, which resembles a machine failure to its clients. Its data stays."""
        self._signal(signal.SIGKILL, 10)

    def restart(self) -> None:
        """Start the broker on the same port and data; stop it first if it runs."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End the process and remove everything, including the logs."""
        atexit.unregister(self.close)
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self) -> Path:
        """End the process, keep its logs and data to diagnose a failed test, and return their folder."""
        atexit.unregister(self.close)
        self.kill()
        return self.folder

    def admin(self) -> AdminClient:
        """Return librdkafka's admin client, which is independent of the library that the product uses."""
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def create_topic(self, name: str, partitions: int = 4, **config: object) -> str:
        """Create a topic, wait for it, and return its name; ``retention_ms=1000`` sets ``retention.ms``."""
        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        admin = self.admin()
        admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(15)
        deadline = time.monotonic() + 15
        while True:  # the broker learns of it after the controller
            metadata = admin.list_topics(timeout=5).topics.get(name)
            if metadata and len(metadata.partitions) == partitions:
                return name
            if time.monotonic() > deadline:
                raise KafkaFailed(f"topic {name} did not appear: see {self.log}")
            time.sleep(0.02)

    def fresh_topic(self, prefix: str = "orders", partitions: int = 4, **config: object) -> str:
        """Create a topic that no other test of this broker uses."""
        self._topics += 1
        return self.create_topic(f"{prefix}.{self._topics}", partitions, **config)

    def partitions(self, topic: str) -> int:
        """Return the number of partitions of a topic."""
        return len(self.admin().list_topics(topic, timeout=10).topics[topic].partitions)

    def topic_config(self, name: str) -> dict[str, str]:
        """Return the settings of a topic."""
        resource = ConfigResource(ResourceType.TOPIC, name)
        admin = self.admin()  # its futures end when it is collected
        entries = admin.describe_configs([resource])[resource].result(15)
        return {key: entry.value for key, entry in entries.items()}

    def consumer_groups(self, group: str) -> dict[tuple[str, int], tuple[int, str]]:
        """Return the commits of a group: next offset and metadata by (topic, partition)."""
        # not with librdkafka's Python client, which reads past the end of the metadata string
        with ThreadPoolExecutor(1) as own_thread:  # a loop of the test may run in this thread
            return own_thread.submit(asyncio.run, _committed(self.bootstrap, group)).result(30)

    def describe_group(self, group: str) -> dict[tuple[str, int], GroupRow]:
        """Return the same from ``kafka-consumer-groups --describe``, like an operator; starts a JVM."""
        text = self.tool(
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
            "--bootstrap-server", self.bootstrap, "--describe", "--group", group,
        )  # fmt: skip
        rows = {}
        for line in text.splitlines():
            words = line.split()
            if len(words) >= 6 and words[0] == group and words[3].isdigit():
                rows[words[1], int(words[2])] = GroupRow(*map(int, words[3:6]))
        return rows

    def __enter__(self) -> RealKafka:
        return self if self.process else self.start()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
            return
        print(f"Kafka's logs are kept in {self.keep()}", file=sys.stderr)


def _java(main: str, *arguments: str, heap: str = "-Xmx256m") -> list[str]:
    return [java(), heap, *START_FLAGS, "-cp", class_path(), main, *arguments]


def _run_tool(main: str, *arguments: str) -> str:
    done = subprocess.run(
        _java(main, *arguments), capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise KafkaFailed(f"{main} {' '.join(arguments)}: {(done.stderr or done.stdout).strip()[-1000:]}")
    return done.stdout


@cache
def _formatted_data(*, sasl: bool) -> Path:
    """Return a folder as a new broker finds it: a second of CPU, once for all brokers of this process.

    It contains the ids of cluster and node, the versions of Kafka's features and the SCRAM passwords.
    """
    folder = Path(tempfile.mkdtemp(prefix="hookferry-kafka-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings = {
        "process.roles": "broker,controller", "node.id": 1, "log.dirs": folder / "data",
        "listeners": "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2",
        "controller.quorum.voters": "1@127.0.0.1:2", "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }  # fmt: skip
    file = folder / "server.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    scram = []
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512") if sasl else ():
        scram += ["--add-scram", f"{mechanism}=[name={SASL_USER},password={SASL_PASSWORD}]"]
    _run_tool("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(file), *scram)
    return folder / "data"


async def _committed(bootstrap: str, group: str) -> dict[tuple[str, int], tuple[int, str]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        commits = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return {(at.topic, at.partition): (e.offset, e.metadata) for at, e in commits.items() if e.offset >= 0}


def _developer(command: str) -> int:
    note = cache_folder() / "developer.json"
    if command == "start":
        broker = RealKafka(sasl=True).start()
        atexit.unregister(broker.close)
        assert broker.process is not None
        note.write_text(json.dumps({"pid": broker.process.pid, "folder": str(broker.folder)}))
        print(broker.bootstrap)
        print(f"SASL: {broker.sasl_bootstrap}, logs: {broker.folder}", file=sys.stderr)
        broker.process.returncode = 0  # it keeps running; without this, Popen warns about it
        return 0
    if not note.exists():
        print("no broker was started here", file=sys.stderr)
        return 1
    state = json.loads(note.read_text())
    arguments = Path(f"/proc/{state['pid']}/cmdline")
    if arguments.exists() and state["folder"].encode() in arguments.read_bytes():
        os.kill(state["pid"], signal.SIGKILL)
    shutil.rmtree(state["folder"], ignore_errors=True)
    note.unlink()
    return 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["start"], ["stop"]):
        sys.exit(f"usage: python -m tests.support.kafka start|stop   (Apache Kafka {KAFKA_VERSION})")
    try:
        sys.exit(_developer(sys.argv[1]))
    except (KafkaMissing, KafkaFailed) as problem:
        sys.exit(str(problem))
