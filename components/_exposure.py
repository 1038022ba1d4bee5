"""Where the ports of a swarm's service can be reached: Swarm itself publishes on all addresses of a node, or on none.

What is for everybody (bound to all addresses) is published by Swarm on the nodes that run the service, which keeps the
clients' addresses. What the program's own providers talk to gets a relay: a container on this engine, published on the
address that the settings name. Every other port stays on the platform's network.
"""

from __future__ import annotations

from typing import Literal

#: Services that resources are declared in, so that whoever runs the program has to reach them.
ADMINISTERED = frozenset({"consul", "kong", "vault"})
#: Bound to these, a port is for everybody.
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104

Exposure = Literal["published", "relayed", "internal"]


def exposure(service: str, bind: str) -> Exposure:
    """How a port of ``service`` that the settings bind to ``bind`` is reached from outside the platform's network."""
    if bind in EVERYWHERE:
        return "published"
    return "relayed" if service in ADMINISTERED else "internal"
