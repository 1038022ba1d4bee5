"""`nexus swarm`: make a swarm that other nodes can join, say how, join one, show its nodes."""

from __future__ import annotations

import ipaddress
import sys

from ops import console, engine, objects, swarm
from ops.errors import BAD_INPUT, Failure

#: What an address is followed by when it names no port.
PORT = swarm.PORT


def init(address: str) -> int:
    """Make a swarm at an address of this machine."""
    _address(address)
    engine.ensure(console.say)
    with objects.connect() as client:
        found = swarm.look(client)
        if found.active and not found.manager:
            raise swarm.worker(found)
        if found.active and found.address != address:
            # Docker would take another (--force-new-cluster), but its networks would not: nothing crosses nodes then
            raise Failure(
                f"this engine has a swarm at {found.address} already",
                "its address cannot be changed; services and secrets go with it, volumes stay",
                f"`docker swarm leave --force`, then `./nexus swarm init {address}`, then `up` for each of its stacks",
                BAD_INPUT,
            )
        if not found.active:
            swarm.initialise(client, address)
    console.write(
        f"a swarm of {found.nodes} node(s) at {address}:{PORT}; another machine joins with:\n  {_how(address)}"
    )
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
