"""The proxy does to connections what the faults say it does."""

import asyncio

import pytest

from stack.ports import HOST, free
from tests.chaos.proxy import Proxy


async def test_a_stalled_connection_goes_on_when_healed_and_a_cut_one_is_gone() -> None:
    port, target = free(2)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, HOST, target)
    async with server, Proxy(port, target).running() as proxy:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        proxy.stall()
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(3), 0.2)
        proxy.heal()
        assert await asyncio.wait_for(reader.readexactly(3), 2) == b"two"
        proxy.cut()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 2)
        writer.close()
        reader, writer = await asyncio.open_connection(HOST, port)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 2)
        writer.close()
