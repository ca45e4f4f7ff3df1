"""A TCP proxy between the services and a server, which cuts and stalls connections when told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from stack.ports import HOST


class Proxy:
    """Forwards a port to another one of this machine. Cut: connections are reset. Stalled: nothing moves."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        """Listen until the block is left."""
        server = await asyncio.start_server(self._accept, HOST, self.port)
        try:
            yield self
        finally:
            server.close()
            self._reset_all()
            for task in list(self._tasks):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def cut(self) -> None:
        """Reset every connection, and every new one, until healed."""
        self._refusing = True
        self._reset_all()

    def stall(self) -> None:
        """Let nothing through in either direction until healed, as a network that loses every packet."""
        self._flowing.clear()

    def heal(self) -> None:
        """Let everything through again, also what was held back."""
        self._refusing = False
        self._flowing.set()

    def _reset_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = [writer]
        self._open.add(writer)
        try:
            await self._flowing.wait()
            if self._refusing:
                return
            far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
            mine.append(far_writer)
            self._open.add(far_writer)
            ways = [
                asyncio.create_task(self._pump(reader, far_writer)),
                asyncio.create_task(self._pump(far_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the server is away: so is the connection
        finally:
            for end in mine:
                self._open.discard(end)
                end.close()  # what was read is still written

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
