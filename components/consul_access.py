"""What others may do in Consul: tokens with policies of their own, and the monitor that runs the checks."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_consul as consul
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._limits import minimum_memory
from components.consul import Consul
from components.workload import ServerArgs, WorkloadArgs, WorkloadSpec

MONITOR_MEMORY_MIB = 48
TOKEN = "consul-token"  # noqa: S105  the file's name
#: What the monitor needs (consul-esm, Consul ACL Policies): it writes the checks of all nodes, is a service itself, and
#: elects one of its instances by a session and a key.
MONITOR_RULES = """
agent_prefix "" { policy = "read" }
key_prefix "consul-esm/" { policy = "write" }
node_prefix "" { policy = "write" }
service_prefix "" { policy = "write" }
session_prefix "" { policy = "write" }
"""
#: What Vault needs to make tokens for others, and nothing else (Vault, Consul secrets engine).
ISSUER_RULES = 'acl = "write"\n'
#: What a reader of metrics and of the whole catalogue needs.
READER_RULES = """
agent_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
service_prefix "" { policy = "read" }
"""


def policy_name(service: str) -> str:
    """The name of a service's policy."""
    return f"service-{service}"


def service_rules(service: str) -> str:
    """A service finds all others, and writes its own entry and its own keys."""
    return f"""
service "{service}" {{ policy = "write" }}
service_prefix "" {{ policy = "read" }}
node_prefix "" {{ policy = "read" }}
key_prefix "services/{service}/" {{ policy = "write" }}
"""


class ConsulToken(pulumi.ComponentResource):
    """A token with a policy of its own, both called ``name``. The provider comes with ``opts``.

    ``secret`` is what its holder shows; Consul chose it.
    """

    secret: pulumi.Output[str]

    def __init__(self, name: str, rules: str, registry: Consul, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("nexus:index:ConsulToken", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=registry.running.data)
        policy = consul.AclPolicy(f"{name}-policy", name=name, rules=rules, opts=child)
        token = consul.AclToken(f"{name}-token", description=name, policies=[policy.name], opts=child)
        # Asked only while Consul can be asked: a preview in which it is replaced knows neither address nor token.
        asked = pulumi.Output.all(token.accessor_id, registry.address, registry.token)
        found = consul.get_acl_token_secret_id_output(
            accessor_id=asked.apply(lambda known: str(known[0])), opts=pulumi.InvokeOutputOptions(parent=self)
        )
        self.secret = pulumi.Output.secret(found.secret_id)
        self.register_outputs({"policy": policy.name})


class MonitorSpec(BaseModel):
    """How the monitor runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "consul-esm"
    memory_mib: int = Field(default=MONITOR_MEMORY_MIB, ge=minimum_memory("consul-esm"))
    stand_in: bool = False


@dataclass(frozen=True, kw_only=True)
class MonitorArgs(ServerArgs):
    """What the monitor is made from, and the Consul whose checks it runs."""

    registry: Consul


class ConsulMonitor(pulumi.ComponentResource):
    """The external monitor with its token. The provider comes with ``opts``."""

    def __init__(
        self, name: str, spec: MonitorSpec, args: MonitorArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:ConsulMonitor", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        token = ConsulToken(f"{name}-access", MONITOR_RULES, args.registry, child)
        moved = pulumi.ResourceOptions(parent=self, aliases=[pulumi.Alias(parent=args.registry)])
        args.engine.run(
            name,
            monitor(spec, args.registry.internal),
            WorkloadArgs(image=args.image, network=args.network, files={TOKEN: token.secret}),
            moved,
        )
        self.register_outputs({})


def monitor(spec: MonitorSpec, address: str) -> WorkloadSpec:
    """The monitor as a workload; it waits for Consul by itself."""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        kind="helper",
        stand_in=spec.stand_in,
        contract=spec.contract,
        env={
            "CONSUL_HTTP_ADDR": f"http://{address}",
            "CONSUL_HTTP_TOKEN_FILE": spec.contract.secret(TOKEN),
        },
        memory_mib=spec.memory_mib,
    )
