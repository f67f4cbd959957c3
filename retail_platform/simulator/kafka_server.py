"""A Kafka server of one node for demo and tests: a process of its own, stopped by its own id.

Here belongs its configuration and its life. What is written to it is in `events`; its jars are in
`kafka_jars`.
"""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.simulator.kafka_jars import how_to_add, java, kafka_folder

START_SECONDS = 90
STOP_SECONDS = 20
POLL_SECONDS = 0.05
_JAVA_OPTIONS = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
)
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "num.network.threads": "1",
    "num.io.threads": "2",
    "auto.create.topics.enable": "false",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.cleaner.threads": "1",
    "log.cleaner.backoff.ms": "500",
    # The demo's messages are stamped in the past, which retention must not mistake for their age.
    "log.retention.ms": "-1",
    "log.message.timestamp.after.max.ms": str(2**62),
}


class KafkaServer:
    """One server; its data folder outlives it, so that a second start goes on from there.

    Args:
        folder: Data, configuration and log of the server.
        port: Port of the server; 0 takes a free one, which restarts keep.
        settings: Further settings of the broker, such as another listener.

    Raises:
        PermanentFailure: Java or Kafka's jars are not on this machine.
    """

    def __init__(
        self, folder: Path, *, port: int = 0, settings: Mapping[str, str] | None = None
    ) -> None:
        kafka = kafka_folder()
        if kafka is None:
            raise PermanentFailure(f"Kafka is not on this machine: {how_to_add()}.")
        self.kafka = kafka
        self.folder = folder
        self.port = port or free_port()
        self.settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers of its plain listener."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Starts the process, and does not wait until it answers: see :meth:`wait`."""
        data = self.folder / "data"
        if not data.exists():
            shutil.copytree(self.kafka / "formatted", data)
        configuration = self.folder / "server.properties"
        lines = [f"{name}={value}" for name, value in self._configuration(data).items()]
        configuration.write_text("\n".join(lines) + "\n", "utf-8")
        # Not even a killed parent leaves the server behind, where the system can see to that. TERM
        # would not do: a shell's background jobs ignore SIGINT, Dagster makes of SIGTERM what
        # SIGINT is, and children inherit it.
        kept = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        command = [*kept, str(java()), *_JAVA_OPTIONS, "-cp", f"{self.kafka / 'lib'}/*"]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "kafka.Kafka", str(configuration)],
                stdout=log,
                stderr=log,
                # Ctrl-C is for the process that started it, which stops it in its own order.
                start_new_session=True,
            )
        return self

    def wait(self) -> Self:
        """Returns when the server answers.

        Raises:
            PermanentFailure: it ended.
            TransientFailure: it does not answer in time.
        """
        assert self._process is not None, "started"
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if self._process.poll() is not None:
                raise PermanentFailure(
                    f"Kafka ended while starting. Its last lines ({self.folder.name}/server.log): "
                    f"{self._last_lines()}"
                )
            if time.monotonic() > deadline:
                self.kill()
                raise TransientFailure(
                    f"Kafka did not answer within {START_SECONDS} s: {self._last_lines()}"
                )
            time.sleep(POLL_SECONDS)
        return self

    def stop(self) -> None:
        """Ends the process in order; a server that is not running stays so."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Ends the process at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self.start().wait()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _configuration(self, data: Path) -> dict[str, str]:
        # The controller's port is only its own: a new one each time is as good.
        controller = f"127.0.0.1:{free_port()}"
        plain = f"PLAINTEXT://127.0.0.1:{self.port}"
        own = {
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"{plain},CONTROLLER://{controller}",
            "advertised.listeners": plain,
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(data),
        }
        merged = {**_SETTINGS, **own}
        for name, value in self.settings.items():
            # Further listeners stand beside the plain one.
            added = name in own and name != "log.dirs"
            merged[name] = f"{merged[name]},{value}" if added else value
        return merged

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _last_lines(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")[-1500:]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
