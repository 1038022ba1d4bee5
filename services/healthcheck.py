"""The container's health check: ``python -m services.healthcheck [/path]``; exit code 0 when the answer is 200.

It runs every few seconds for ever, so it loads next to nothing: a bare socket instead of an HTTP library, which would
cost twice the time of the interpreter's own start.
"""

import os
import sys
from _socket import socket  # the C module alone: `socket` would load as much again as the interpreter itself

#: Seconds; above the 2 s that `/ready` may take.
TIMEOUT = 3.0


def main() -> int:
    """Ask the service on this machine and say what it answered when that is not 200."""
    path = sys.argv[1] if len(sys.argv) > 1 else "/health"
    port = int(os.environ.get("NEXUS_PORT", "8000"))
    try:
        connection = socket()
        connection.settimeout(TIMEOUT)
        connection.connect(("127.0.0.1", port))
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
        answer = connection.recv(4096)
    except OSError as error:
        sys.stdout.write(f"{path}: {error}\n")
        return 1
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].split()[1:2]
    if status == [b"200"]:
        return 0
    sys.stdout.write(f"{path}: {b' '.join(status).decode()} {body[:500].decode(errors='replace')}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
