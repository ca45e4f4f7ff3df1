"""A real Apache Kafka: one broker in KRaft mode, its own ports, its data kept between runs."""

import asyncio
import base64
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from stack.jars import KAFKA, jars
from stack.java import find as find_java
from stack.ports import HOST
from stack.process import Failed, Process, run_once
from stack.trouble import Trouble

# Quick to start and small: one compiler, one collector thread; a broker for one machine needs no more.
JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")


async def server(
    directory: Path,
    *,
    port: int,
    controller_port: int,
    advertised_port: int | None = None,
    say: Callable[[str], None] = print,
) -> Process:
    """The broker, its jars fetched and its storage formatted, not yet started.

    `advertised_port` is where clients are told to connect, when something stands in between.
    """
    java = await find_java()
    classpath = f"{await jars(java, say)}/*"
    home = directory / "kafka"
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "server.properties"
    chosen = properties(home / "data", port, controller_port, advertised_port or port)
    settings.write_text("".join(f"{name}={value}\n" for name, value in chosen.items()))
    log4j = f"-Dlog4j2.configurationFile={KAFKA / 'log4j2.properties'}"
    run = [str(java), *JVM, log4j, "-cp", classpath]
    if not (home / "data" / "meta.properties").exists():
        await _format([*run, "kafka.tools.StorageTool"], settings)

    async def ready() -> None:
        await answers(f"{HOST}:{port}")

    return Process(
        name="kafka",
        command=[*run, "kafka.Kafka", str(settings)],
        log=directory / "log" / "kafka.log",
        ready=ready,
        ports=(port, controller_port),
        stop_within=3.0,
    )


def properties(data: Path, port: int, controller_port: int, advertised_port: int) -> Mapping[str, str]:
    """The broker's settings."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{advertised_port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # A killed broker cannot register again before its old session has run out: 9 s by default.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "log.cleaner.dedupe.buffer.size": "16777216",
    }


async def answers(bootstrap: str) -> None:
    """Raise until a broker answers a metadata request and knows itself as part of the cluster."""
    host, _, port = bootstrap.split(",")[0].rpartition(":")
    _, writer = await asyncio.open_connection(
        host, int(port)
    )  # aiokafka logs an error for a refused connection
    writer.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=4000)
    try:
        await admin.start()
        if not (await admin.describe_cluster())["brokers"]:
            raise ConnectionError("no broker is registered yet")
    finally:
        await admin.close()


async def _format(tool: list[str], settings: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    try:
        await run_once(
            [*tool, "format", f"--cluster-id={cluster}", "-c", str(settings)]
        )  # it may begin with -
    except Failed as failure:
        raise Trouble(
            f"Kafka could not prepare its storage; make clean removes it. It said:\n{failure.output}"
        ) from failure
