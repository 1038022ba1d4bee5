"""Run inside the platform's network, in a service's container: how each data server answers each kind of client.

Prints a JSON object: server, kind of client, "accepted" or why not.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys

ROOT = "/run/secrets/root.pem"
#: What a client of PostgreSQL says before TLS (postgresql.org, Message Formats, SSLRequest).
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
#: What a client says that does not encrypt, and how an answer that lets it go on begins.
START = b"user\0health\0database\0health\0\0"
SPOKEN = {
    "postgres": (struct.pack("!ii", 8 + len(START), 196608) + START, b"R"),
    "pgbouncer": (struct.pack("!ii", 8 + len(START), 196608) + START, b"R"),
    "redis": (b"AUTH health none\r\n", b"+"),
    "redis-cache": (b"AUTH health none\r\n", b"+"),
    "rabbitmq": (b"AMQP\0\0\x09\x01", b"\x01"),
    "management": (b"GET / HTTP/1.0\r\n\r\n", b"H"),
}
PORTS = {"postgres": 5432, "pgbouncer": 6432, "redis": 6379, "redis-cache": 6379, "rabbitmq": 5671, "management": 15671}
CLOSED = {"rabbitmq": 5672, "management": 15672}


def connect(server: str, port: int) -> socket.socket:
    return socket.create_connection(("rabbitmq" if server == "management" else server, port), 5)


def encrypted(server: str, trust: ssl.SSLContext, name: str) -> str:
    with connect(server, PORTS[server]) as plain:
        if server in ("postgres", "pgbouncer"):
            plain.sendall(SSL_REQUEST)
            if plain.recv(1) != b"S":
                return "offers no TLS"
        try:
            with trust.wrap_socket(plain, server_hostname=name) as wrapped:
                said, expected = SPOKEN[server]
                wrapped.sendall(said)
                return "accepted" if wrapped.recv(1) == expected else "answers something else"
        except ssl.SSLCertVerificationError as error:
            return error.verify_message


def unencrypted(server: str, port: int) -> str:
    try:
        with connect(server, port) as plain:
            said, expected = SPOKEN[server]
            plain.sendall(said)
            return "accepted" if plain.recv(1) == expected else "refused"
    except ConnectionError as error:
        return f"refused: {type(error).__name__}"


def main() -> None:
    own, others = ssl.create_default_context(cafile=ROOT), ssl.create_default_context()
    found = {}
    for server, port in PORTS.items():
        host = "rabbitmq" if server == "management" else server
        found[server] = {
            "trusting the root": encrypted(server, own, host),
            "trusting others": encrypted(server, others, host),
            "expecting another name": encrypted(server, own, "elsewhere"),
            "in plain": unencrypted(server, port),
        }
        if server in CLOSED:
            found[server]["in plain, where it was"] = unencrypted(server, CLOSED[server])
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
