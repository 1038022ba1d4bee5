"""`nexus swarm`: make a swarm that other nodes can join, say how, join one, show its nodes."""

from __future__ import annotations

import ipaddress
import sys

from ops import console, engine, objects, swarm
from ops.errors import BAD_INPUT, Failure

#: What an address is followed by when it names no port.
PORT = swarm.PORT


def init(address: str) -> int:
    """Make a swarm at an address of this machine, or give the one-node swarm that is here another address.

    The engine's networks keep the old address until it is restarted: nothing would cross nodes before.
    """
    _address(address)
    engine.ensure(console.say)
    with objects.connect() as client:
        found = swarm.look(client)
        if found.active and found.address == address:
            console.write(f"there is a swarm at {address}: {found.nodes} nodes")
            return 0
        if found.active and not found.manager:
            raise swarm.worker(found)
        if found.nodes > 1:
            raise Failure(
                f"the swarm has {found.nodes} nodes and is at {found.address}",
                "they know it by that address; only a swarm of one node can be given another",
                "drain and remove the other nodes first: `docker node update --availability drain`, `docker node rm`",
                BAD_INPUT,
            )
        swarm.initialise(client, address)
    console.write(f"a swarm of one node at {address}:{PORT}")
    if found.active:
        console.write("restart the Docker engine once, so that its networks move as well: systemctl restart docker")
    console.write(f"another machine joins with:\n  {_how(address)}")
    return 0


def token(manager: bool) -> int:
    """Print the token by which nodes join; it is a secret, so nothing else is printed with it."""
    with objects.connect() as client:
        found = swarm.look(client)
        if not found.manager:
            raise swarm.worker(found)
        if ipaddress.ip_address(found.address).is_loopback:
            raise Failure(
                "no other machine can reach this swarm",
                f"it is at {found.address}",
                "give it an address that they can reach first: `./nexus swarm init ADDRESS`",
                BAD_INPUT,
            )
        client.swarm.reload()
        console.write(client.swarm.attrs["JoinTokens"]["Manager" if manager else "Worker"])
    return 0


def join(address: str) -> int:
    """Make this engine a node of the swarm at ``address``, with the token from standard input."""
    from docker.errors import APIError

    host, _, port = address.partition(":")
    _address(host)
    given = sys.stdin.readline().strip()
    if not given:
        raise Failure("no token was given", "it is read from standard input", _how(host), BAD_INPUT)
    engine.ensure(console.say)
    with objects.connect(timeout=60) as client:
        try:
            client.swarm.join([f"{host}:{port or PORT}"], given)
        except APIError as error:
            raise Failure(
                f"this engine could not join the swarm at {host}",
                error.explanation or str(error),
                "TCP 2377 and 7946, UDP 7946 and 4789, and IP protocol 50 must be open between nodes; an engine that "
                "is in a swarm already leaves it with `docker swarm leave`",
            ) from None
        console.write(f"joined; node {swarm.look(client).node}")
    return 0


def nodes() -> int:
    """Print the nodes: name, state, role, and the stacks whose data they keep."""
    with objects.connect() as client:
        found = swarm.look(client)
        if not found.active:
            console.write("this engine is in no swarm; `./nexus swarm init ADDRESS` makes one")
            return 0
        if not found.manager:
            raise swarm.worker(found)
        for node in client.nodes.list():
            described, spec = node.attrs["Description"], node.attrs["Spec"]
            prefix = swarm.data_node("")
            kept = ", ".join(key.removeprefix(prefix) for key in spec.get("Labels", {}) if key.startswith(prefix))
            state = f"{node.attrs['Status']['State']}, {spec['Availability']}"
            keeps = f", keeps the data of {kept}" if kept else ""
            console.write(f"{described['Hostname']:<20} {spec['Role']:<8} {state}{keeps}")
    return 0


def _address(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise Failure(
            f"{text!r} is not an IP address", "nodes find each other by addresses", "`ip address` lists them", BAD_INPUT
        ) from None


def _how(address: str) -> str:
    return f"./nexus swarm token | ssh OTHER 'cd nexus && ./nexus swarm join {address}'"
