"""Vault: where secrets, identities and certificates come from. A keeper beside it initialises and unseals it."""

from __future__ import annotations

from pathlib import Path

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._limits import minimum_memory
from components._naming import physical
from components._resources import rotated
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

KEEPER_MEMORY_MIB = 128
#: Vault's own cluster traffic; of one node with itself, but raft wants it named.
CLUSTER_PORT = 8201
#: The default of 5 is for slow machines and makes the election after a start take 5 to 10 s (Vault, raft storage).
RAFT_MULTIPLIER = 1
#: Seconds that a Vault which never held anything may stay sealed before it starts over. The keeper needs one or two, on
#: a busy machine ten; who is cut off too early begins once more.
PATIENCE = 30
#: Of the limit, what Go's garbage collector aims at; the rest is the program's own pages (go.dev, GC guide).
GO_MEMORY_SHARE = 0.8
HERE = Path(__file__).parent
#: The root certificate by which Vault, as their client, checks data servers. On its volume: Vault reads it once, before
#: it asks the first of them (Go, crypto/x509, SystemCertPool), which may be right after an unseal.
TRUSTED = "/vault/file/trusted/root.pem"
CONFIG, SERVER = "vault.hcl", "vault_server.sh"
KEEPER, POLICY, TOKEN = "vault_keeper.sh", "stack-policy.hcl", "stack-token"
POLICY_SOURCE = "vault_stack_policy.hcl"
#: The keeper's last word; and whether it still turns, as it writes down until when it need not be heard.
KEEPER_READY = "grep -qx ready /tmp/state || { cat /tmp/state; exit 1; }"
KEEPER_ALIVE = 'cat /tmp/state; read -r until < /tmp/alive && [ "$(date +%s)" -le "$until" ]'


class VaultSpec(BaseModel):
    """How Vault runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "vault"
    memory_mib: int = Field(ge=minimum_memory("vault"))
    cpus: float = Field(default=0, ge=0)
    port: Port
    generation: int = Field(default=0, ge=0, description="rotations of the stack's token")
    trusting: bool = Field(default=False, description="checks servers' certificates by `TRUSTED` as well")

    @property
    def keeper(self) -> str:
        """The keeper's name."""
        return f"{self.name}-keeper"

    @property
    def internal(self) -> str:
        """Where others on the platform's network reach it."""
        return f"http://{self.name}:{self.contract.ports['http']}"


class Vault(pulumi.ComponentResource):
    """The server and its keeper. ``address`` and ``token`` are known once the keeper has made the token."""

    address: pulumi.Output[str]
    token: pulumi.Output[str]
    internal: str
    running: Running
    keeper: Running

    def __init__(
        self, name: str, spec: VaultSpec, args: ServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Vault", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        token = rotated(f"{name}-stack-token", spec.generation, child)
        server_files = {CONFIG: configuration(spec), SERVER: (HERE / SERVER).read_text()}
        self.running = args.engine.run(
            name, workload(spec), WorkloadArgs(image=args.image, network=args.network, files=server_files), child
        )
        keeper_files = {
            KEEPER: (HERE / KEEPER).read_text(),
            POLICY: (HERE / POLICY_SOURCE).read_text(),
            TOKEN: token.value,
        }
        self.keeper = args.engine.run(
            f"{name}-keeper",
            keeper(spec),
            WorkloadArgs(image=args.image, network=args.network, files=keeper_files),
            child,
        )
        self.internal = spec.internal
        address = f"http://{reachable(spec.port.bind)}:{spec.port.host}"
        # in a swarm the port is a relay's, which may come after the keeper has done its work
        self.address = self.keeper.ready.after(self.running.ready.after(address))
        self.token = pulumi.Output.secret(self.keeper.ready.after(token.value))
        self.register_outputs({"address": self.address, "host": self.running.host})


def configuration(spec: VaultSpec) -> str:
    """``vault.hcl``. Metrics need no token: they name no secret, and only the platform's network reaches them."""
    port = spec.contract.ports["http"]
    return f"""\
ui = false
disable_mlock = true
log_level = "warn"
api_addr = "{spec.internal}"
cluster_addr = "https://{spec.name}:{CLUSTER_PORT}"

listener "tcp" {{
  address = "0.0.0.0:{port}"
  tls_disable = true
  telemetry {{
    unauthenticated_metrics_access = true
  }}
}}

storage "raft" {{
  path = "{spec.contract.data}/raft"
  node_id = "{spec.name}"
  performance_multiplier = {RAFT_MULTIPLIER}
}}

# Services log in, and are refused, until their roles exist: five refusals would lock them out for a quarter of an hour.
# Nobody guesses a secret id, which is random.
user_lockout "approle" {{
  disable_lockout = "true"
}}

telemetry {{
  prometheus_retention_time = "1h"
  disable_hostname = true
}}
"""


def workload(spec: VaultSpec) -> WorkloadSpec:
    """The server as a workload."""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        command=("sh", spec.contract.secret(SERVER), spec.contract.secret(CONFIG), str(PATIENCE)),
        env={
            "GOMEMLIMIT": f"{int(spec.memory_mib * GO_MEMORY_SHARE)}MiB",
            **({"SSL_CERT_DIR": TRUSTED.rpartition("/")[0]} if spec.trusting else {}),
        },
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
    )


def keeper(spec: VaultSpec) -> WorkloadSpec:
    """The keeper as a workload; its data volume holds the unseal key and nothing else does."""
    volumes = (physical(spec.stack, f"{name}-data") for name in (spec.keeper, spec.name))
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.keeper,
        kind="helper",
        contract=spec.contract,
        command=("sh", spec.contract.secret(KEEPER), spec.internal, *volumes),
        memory_mib=KEEPER_MEMORY_MIB,
        health=("sh", "-c", KEEPER_READY),
        alive=("sh", "-c", KEEPER_ALIVE),
        ready_timeout=300,  # it waits for Vault, and on a busy machine its client takes seconds for each question
    )
