"""The relay in its image and under its contract, before a real server on the network."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hanging import hang

pytestmark = pytest.mark.engine
#: Answers with what it was sent, once the sender has said that it has no more to say; over and over.
ECHO = (
    "import socketserver as s\n"
    "class E(s.StreamRequestHandler):\n"
    "    def handle(self): self.wfile.write(b'got ' + self.rfile.read())\n"
    "s.ThreadingTCPServer(('', 9000), E).serve_forever()"
)


@pytest.fixture
def echo(under: Any, image: Any) -> Iterator[Any]:
    server = under.client.containers.run(
        image("python"), ["python3", "-c", ECHO], detach=True, init=True, network=under.key, name=f"{under.key}-echo"
    )
    under.network.disconnect(server)
    under.network.connect(server, aliases=["echo"])
    yield server
    server.remove(force=True)


def relay(under: Any, image: Any) -> Any:
    rules = ["8001=echo:9000", "8002=nobody:9000"]
    started = under.run(
        "relay", image("relay"), rules, ports={"8001/tcp": ("127.0.0.1", 0), "8002/tcp": ("127.0.0.1", 0)}
    )
    under.answers(started, ["python3", "-SE", "/opt/relay/relay.py", "check"])
    started.reload()
    return started


def ask(container: Any, port: int, text: bytes) -> bytes:
    host = container.attrs["NetworkSettings"]["Ports"][f"{port}/tcp"][0]["HostPort"]
    with socket.create_connection(("127.0.0.1", int(host)), timeout=10) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def eventually(container: Any, text: bytes) -> bytes:
    """The server may be a moment behind the relay."""
    end = time.monotonic() + 20
    while not (answer := _asked(container, text)) and time.monotonic() < end:
        time.sleep(0.1)
    return answer


def _asked(container: Any, text: bytes) -> bytes:
    try:
        return ask(container, 8001, text)
    except ConnectionError:
        return b""


def test_both_directions_are_passed_on_to_their_ends(under: Any, image: Any, echo: Any) -> None:
    started = relay(under, image)
    assert eventually(started, b"hello") == b"got hello"
    large = bytes(range(256)) * 20_000
    assert ask(started, 8001, large) == b"got " + large


def test_a_server_that_comes_back_elsewhere_is_found_again_and_one_that_is_away_breaks_only_its_connection(
    under: Any, image: Any, echo: Any
) -> None:
    started = relay(under, image)
    assert eventually(started, b"one") == b"got one"
    assert ask(started, 8002, b"") == b""
    assert "cannot reach" in started.logs().decode()
    echo.stop(timeout=1)
    assert _asked(started, b"two") == b""
    holder = under.client.containers.run(image("python"), ["sleep", "60"], detach=True, network=under.key)
    try:
        echo.start()  # its address is another one now
        assert eventually(started, b"three") == b"got three"
    finally:
        holder.remove(force=True)


def test_a_relay_that_hangs_does_not_answer_its_health_check(under: Any, image: Any) -> None:
    started = relay(under, image)
    hang(started)
    assert under.ask(started, ["python3", "-SE", "/opt/relay/relay.py", "check"])[0] != 0
