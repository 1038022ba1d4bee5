"""Engines, two services alike, and two that have more. Where Vault is, its token and lease times are the test's."""

import pulumi
import pulumi_vault

from components._consul_rules import policy_name
from components.certificates import Certificates, CertificatesArgs, CertificatesSpec
from components.identity import BrokerAccess, Identity, IdentityArgs, IdentitySpec
from components.vault_engines import EnginesArgs, EnginesSpec, VaultEngines

config = pulumi.Config("identities")
provider = pulumi_vault.Provider(
    "vault", address=config.require("vault"), token=config.require("token"), skip_child_token=True
)
opts = pulumi.ResourceOptions(providers=[provider])
engines = VaultEngines(
    "vault-engines",
    EnginesSpec(
        stack="test",
        postgres="postgres:5432",
        rabbitmq="http://rabbitmq:15672",
        consul="consul:8500",
        lease_ttl=config.require_int("ttl"),
    ),
    EnginesArgs(
        postgres_password=config.require_secret("postgres"),
        rabbitmq_password=config.require_secret("rabbitmq"),
        consul_token=config.require_secret("consul"),
    ),
    opts,
)
certificates = Certificates(
    "certificates",
    CertificatesSpec(stack="test", gateway_names=("localhost", "nexus.example"), servers=("postgres",), server_ttl=600),
    CertificatesArgs(),
    opts,
)


def identity(spec: IdentitySpec, **entries: dict[str, str]) -> None:
    made = Identity(f"{spec.service}-identity", spec, IdentityArgs(engines=engines, entries=entries), opts)
    pulumi.export(spec.service, made.secret_id)


for name in ("alpha", "beta"):
    identity(
        IdentitySpec(
            service=name,
            database_owner=name,
            broker=BrokerAccess(vhost="nexus", write="^events$", read=f"^{name}$"),
            consul_policies=(policy_name(name),),
            encrypts=True,
        ),
        redis={"username": name, "password": f"of-{name}"},
    )
identity(IdentitySpec(service="auth", policies=("auth",), signs=True))
identity(IdentitySpec(service="gateway-agent", policies=("gateway-agent",)))
pulumi.export("root", certificates.root)
pulumi.export("postgres", certificates.servers["postgres"].certificate)
