"""A Kafka for the tests: the one that `TEST_KAFKA_BOOTSTRAP_SERVERS` names, or a private broker.

The private one is a real broker (KRaft, one node) of the jars that `install.sh` puts into `.servers/kafka/libs`, run by
the machine's Java. Where there is none, what needs one is skipped, and the summary says so.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.servers.process import ServerProcess, free_port
from tests.servers.seen import tell

START_TIMEOUT_S = 60
CLUSTER_ID = "c3RhbXBlZGUtdGVzdHMtMQ"
MISSING = (
    "no Kafka: neither TEST_KAFKA_BOOTSTRAP_SERVERS nor Java with .servers/kafka (tests/servers/install.sh gets it)"
)
_ROOT = Path(__file__).parents[2]
_JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=100
log.cleaner.dedupe.buffer.size=16777216
"""
"""Short session times: with the defaults a broker that was killed is away for 15 s."""

SASL = (
    "sasl.enabled.mechanisms=PLAIN\nsasl.mechanism.inter.broker.protocol=PLAIN\n"
    "listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule"
    ' required username="admin" password="apw" user_admin="apw" user_shop="pw";\n'
)


def jars() -> Path | None:
    """The folder of the broker's jars, if it and a Java are there."""
    folder = Path(os.environ.get("TEST_KAFKA_JARS", _ROOT / ".servers" / "kafka" / "libs"))
    return folder if shutil.which("java") and any(folder.glob("kafka_*.jar")) else None


@dataclass
class KafkaProcess(ServerProcess):
    """A private broker. `kill` and `start` keep its folder and ports."""

    libs: Path
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="stampede-test-kafka-")))
    port: int = field(default_factory=free_port)
    controller_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    sasl: bool = False
    """Whether it asks for the password of `shop`, which is `pw`."""

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Until it serves."""
        properties = self.folder / "server.properties"
        if not properties.exists():
            text = PROPERTIES.format(**vars(self))
            properties.write_text(
                text.replace("PLAINTEXT", "SASL_PLAINTEXT").replace("R:SASL_", "R:") + SASL if self.sasl else text
            )
            self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)).wait(
                START_TIMEOUT_S
            )
        (self.folder / "log").write_bytes(b"")
        self.process = self._java("kafka.Kafka", str(properties))
        deadline = time.monotonic() + START_TIMEOUT_S
        while "Kafka Server started" not in (said := (self.folder / "log").read_text(errors="replace")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no Kafka: {said[-2000:]}")
            time.sleep(0.05)

    def version(self) -> str:
        """Such as Kafka 4.3.1."""
        (jar,) = self.libs.glob("kafka_*.jar")
        return "Kafka " + re.sub(r".*-|\.jar$", "", jar.name)

    def _java(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                ["java", "-Xmx256m", *_JAVA, "-Dlog4j2.level=INFO", "-cp", f"{self.libs}/*", program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )


@pytest.fixture(scope="session")
def kafka_servers(pytestconfig: pytest.Config) -> Iterator[str]:
    """`host:port` of a running broker, shared by the session's tests: topics and groups are new in each."""
    given = os.environ.get("TEST_KAFKA_BOOTSTRAP_SERVERS")
    if given:
        tell(pytestconfig, "kafka", "real, TEST_KAFKA_BOOTSTRAP_SERVERS")
        yield given
        return
    broker = _broker(pytestconfig)
    try:
        broker.start()
        tell(pytestconfig, "kafka", f"{broker.version()} (real, one node)")
        yield broker.servers
    finally:
        broker.close()


@pytest.fixture
def kafka_process(pytestconfig: pytest.Config) -> Iterator[KafkaProcess]:
    """A private broker of one test, which may kill it."""
    broker = _broker(pytestconfig)
    try:
        broker.start()
        tell(pytestconfig, "kafka", f"{broker.version()} (real, one node)")
        yield broker
    finally:
        broker.close()


@pytest.fixture
def guarded_kafka(pytestconfig: pytest.Config) -> Iterator[KafkaProcess]:
    """A private broker that asks for a password."""
    broker = _broker(pytestconfig)
    broker.sasl = True
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


def _broker(config: pytest.Config) -> KafkaProcess:
    libs = jars()
    if libs is None:
        tell(config, "kafka", f"skipped: {MISSING}")
        pytest.skip(MISSING)
    return KafkaProcess(libs)
