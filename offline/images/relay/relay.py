"""Passes TCP connections on: ``relay.py 8001=kong:8001 ...`` listens on 8001 and connects to kong:8001.

The name is looked up for every connection, as a service's tasks have other addresses after an update, and each of its
addresses is tried: one may have stopped a moment ago. ``relay.py check`` is its health check: it is answered by the
relay itself, as a connection alone is made by the kernel, also to a process that hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys

#: Seconds to reach one of the addresses behind a name.
CONNECT_TIMEOUT = 3.0
#: Where the health check is answered: a Unix socket in the kernel's own namespace, as no path can be written here.
ALIVE = "\0relay"
#: Of what is read at once; two of these are held per connection.
CHUNK = 65536


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, until its end, which is passed on as well: the other direction may have more to say."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def reach(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to any of the addresses behind a name; raises OSError when none of them answers."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    problem: Exception = OSError(f"{host} has no address")
    for family, _, _, _, address in found:
        try:
            return await asyncio.wait_for(asyncio.open_connection(address[0], port, family=family), CONNECT_TIMEOUT)
        except (OSError, TimeoutError) as error:
            problem = error
    raise OSError(f"{host}:{port}: {problem}")


async def serve(host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection from beginning to end. A side that breaks off ends it; nothing else is lost with it."""
    with contextlib.closing(writer):
        try:
            there, back = await reach(host, port)
        except OSError as error:
            sys.stderr.write(f"cannot reach {error}\n")
            return
        with contextlib.closing(back), contextlib.suppress(OSError):
            await asyncio.gather(pump(reader, back), pump(there, writer))


async def listen(rules: list[str]) -> None:
    """Listen for every rule until asked to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    for rule in rules:
        port, _, target = rule.partition("=")
        host, _, there = target.rpartition(":")
        await asyncio.start_server(lambda r, w, h=host, p=int(there): serve(h, p, r, w), "0.0.0.0", int(port))  # noqa: S104
    await asyncio.start_unix_server(answer, ALIVE)  # last: who is answered may use all ports
    await stop.wait()


async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that the loop turns."""
    with contextlib.closing(writer), contextlib.suppress(OSError):
        writer.write(b".")
        await writer.drain()


def check() -> None:
    """Ends with an error unless the relay answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(ALIVE)
        if connection.recv(1) != b".":
            sys.exit(1)


if __name__ == "__main__":
    if sys.argv[1] == "check":
        check()
    else:
        asyncio.run(listen(sys.argv[1:]))
