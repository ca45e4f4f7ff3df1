"""A load generator that costs little: requests as ready bytes over kept-alive connections on this machine."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import quantiles
from urllib.parse import urlsplit


@dataclass
class Measured:
    """What a load met with; latencies in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Successful requests per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: int) -> float:
        """Milliseconds that so many percent of the requests stayed below."""
        return quantiles(self.latencies, n=100)[percent - 1] * 1000


class Connection:
    """One kept-alive HTTP connection; a request is bytes, an answer is status, headers and body."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> "Connection":
        """Connect to a service on this machine."""
        where = urlsplit(url)
        assert where.hostname in ("127.0.0.1", "localhost"), "only this machine is ever put under load"
        return cls(*await asyncio.open_connection(where.hostname, where.port))

    async def send(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send, and read the whole answer."""
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return int(status.split(" ")[1]), headers, body

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def request(
    method: str, path: str, token: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """A request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Authorization: Bearer {token}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def closed_loop(
    url: str, make: Callable[[int], bytes], *, connections: int, seconds: float
) -> Measured:
    """Each connection sends its next request as soon as the last one is answered."""
    measured = Measured()
    started = time.perf_counter()
    number = iter(range(10**9))

    async def client() -> None:
        connection = await Connection.open(url)
        while time.perf_counter() - started < seconds:
            sent = time.perf_counter()
            status, _, body = await connection.send(make(next(number)))
            if 200 <= status < 300:
                measured.latencies.append(time.perf_counter() - sent)
            else:
                measured.failures.append(f"{status} {body[:200]!r}")
        connection.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    measured.seconds = time.perf_counter() - started
    return measured
