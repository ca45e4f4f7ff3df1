"""A worker's own health: whether it lives, and whether it can do its work."""

import asyncio

import httpx

from shared.cli import build_probe


async def test_a_worker_without_its_database_is_alive_and_not_ready(bus_url: str) -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    worker = asyncio.create_task(work())
    nobody = "postgresql://nobody@127.0.0.1:9/nothing"
    answers = {}
    for name, url in (("with", bus_url), ("without", nobody)):
        transport = httpx.ASGITransport(app=build_probe(worker, url))
        async with httpx.AsyncClient(transport=transport, base_url="http://worker") as http:
            paths = ("/health/live", "/health/ready")
            answers[name] = [(await http.get(path)).status_code for path in paths]
    worker.cancel()
    assert answers == {"with": [200, 200], "without": [200, 503]}
