"""What the holders of Consul's tokens may do, in Consul's own language. Pure."""

from __future__ import annotations

#: What the monitor needs (consul-esm, Consul ACL Policies): it writes the checks of all nodes, is a service itself, and
#: elects one of its instances by a session and a key.
MONITOR = """
agent_prefix "" { policy = "read" }
key_prefix "consul-esm/" { policy = "write" }
node_prefix "" { policy = "write" }
service_prefix "" { policy = "write" }
session_prefix "" { policy = "write" }
"""
#: What Vault needs to make tokens for others, and nothing else (Vault, Consul secrets engine).
ISSUER = 'acl = "write"\n'
#: What a reader of metrics and of the whole catalogue needs.
READER = """
agent_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
service_prefix "" { policy = "read" }
"""


def policy_name(service: str) -> str:
    """The name of a service's policy."""
    return f"service-{service}"


def of_service(service: str) -> str:
    """A service finds all others, and writes its own entry and its own keys."""
    return f"""
service "{service}" {{ policy = "write" }}
service_prefix "" {{ policy = "read" }}
node_prefix "" {{ policy = "read" }}
key_prefix "services/{service}/" {{ policy = "write" }}
"""
