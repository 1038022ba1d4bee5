"""A service's place in Consul: each instance with the HTTP check that the external monitor runs, and its policy."""

from __future__ import annotations

from typing import Literal

import pulumi
import pulumi_consul as consul
from pydantic import BaseModel, ConfigDict, Field

from components import _consul_rules as rules
from components._connections import Endpoint
from components._health import duration
from components._naming import physical
from components.workload import instance

#: What the monitor looks for on a node: it is not an agent's, and its checks are the monitor's to run (consul-esm).
EXTERNAL = {"external-node": "true", "external-probe": "false"}


#: Never, as far as anybody waits: the entry is the stack's to remove. The default of 30 s would drop a service whose
#: container was stopped for a minute, and nobody would list it again.
KEEP_FAILING = duration(365 * 24 * 3600)


class RegistrationSpec(BaseModel):
    """How a service is listed; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    scheme: Literal["http", "tcp"] = "http"
    health_path: str = Field(default="/health", pattern="^/", description="of http; tcp only connects")
    identity: bool = Field(default=True, description="has tokens of its own, and so a policy")
    interval: int = Field(default=10, ge=1, le=3600)
    timeout: int = Field(default=3, ge=1, le=600)


class Registration(pulumi.ComponentResource):
    """One service in Consul: a node an instance, so that each is found, and lost, by itself. The policy of its tokens
    has the name that ``policy_name`` says. The provider comes with ``opts``.

    ``store`` is where Consul keeps it: when that goes away with the stack, the entry need not be deleted by itself,
    which could not be done either once Consul is down.
    """

    def __init__(
        self,
        name: str,
        spec: RegistrationSpec,
        endpoint: Endpoint,
        store: pulumi.Resource | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("nexus:index:Registration", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=store)
        for number, host in enumerate(endpoint.instances, 1):
            resource = instance(name, number)
            node = consul.Node(
                f"{resource}-node", name=physical(spec.stack, host), address=host, meta=EXTERNAL, opts=child
            )
            consul.Service(
                f"{resource}-registration",
                name=endpoint.name,
                node=node.name,
                address=host,
                port=endpoint.port,
                checks=[check(spec, endpoint, host)],
                opts=child,
            )
        if spec.identity:
            consul.AclPolicy(
                f"{name}-policy",
                name=rules.policy_name(endpoint.name),
                rules=rules.of_service(endpoint.name),
                opts=child,
            )
        self.register_outputs({"instances": list(endpoint.instances)})


def check(spec: RegistrationSpec, endpoint: Endpoint, host: str) -> consul.ServiceCheckArgs:
    """The liveness check of one instance."""
    address = f"{host}:{endpoint.port}"
    http = spec.scheme == "http"
    return consul.ServiceCheckArgs(
        check_id=f"{endpoint.name}-health",
        name=f"{endpoint.name} answers {spec.health_path}" if http else f"{endpoint.name} takes connections",
        http=f"http://{address}{spec.health_path}" if http else None,
        tcp=None if http else address,
        interval=duration(spec.interval),
        timeout=duration(spec.timeout),
        deregister_critical_service_after=KEEP_FAILING,
    )
