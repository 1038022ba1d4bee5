"""The certificate authorities of Vault, and the certificates of the data servers.

Vault issues them during `up`, to the stack: a data server has no identity of its own in Vault. In the last third of its
life an `up` replaces a certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._resources import Exec
from components._tls import Tls
from components._vault_policies import GATEWAY_CERTIFICATE, ISSUING_CA, ROOT_CA, SERVER_CERTIFICATE
from components.vault import TRUSTED
from components.workload import Running

if TYPE_CHECKING:
    import pulumi_vault as vault

YEAR = 365 * 24 * 3600
ROOT_LIFE, ISSUING_LIFE = 10 * YEAR, 5 * YEAR
#: Keys of elliptic curves: made in milliseconds where RSA takes a second, and every client of today knows them.
KEY_TYPE, KEY_BITS = "ec", 256
#: Of a server's certificate's life, what is left of it when it is replaced: a third.
LEFT = 3
#: A client on the host reaches a published port by this name.
LOCAL = "localhost"
#: The component whose children these were.
FORMER_TYPE, FORMER = "nexus:index:VaultEngines", "vault-engines"


class CertificatesSpec(BaseModel):
    """Who gets certificates; known at plan time. Lives are in seconds; ``generation`` counts the servers' rotations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    gateway_names: tuple[str, ...] = Field(default=("localhost",), description="DNS names of the gateway's certificate")
    gateway_ttl: int = Field(default=30 * 24 * 3600, ge=60)
    servers: tuple[str, ...] = Field(default=(), description="the data servers' names; none: they listen in plain")
    server_ttl: int = Field(default=YEAR, ge=60)
    generation: int = Field(default=0, ge=0)


@dataclass(frozen=True, kw_only=True)
class CertificatesArgs:
    """The running Vault. Without, where it is not of this stack, it is not told whom it may trust."""

    server: Running | None = None


class Certificates(pulumi.ComponentResource):
    """A root authority, the issuing one below it, their roles. The authorities' keys never leave Vault.

    ``root`` is the root's certificate, ``servers`` has what each data server is given, ``trusted`` opens when Vault
    itself takes their certificates. Its provider comes with ``opts``.
    """

    root: pulumi.Output[str]
    servers: dict[str, Tls]
    trusted: Exec | None

    def __init__(
        self, name: str, spec: CertificatesSpec, args: CertificatesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Certificates", name, None, opts)
        self._name, self._store = name, args.server.data if args.server else None
        child = pulumi.ResourceOptions(parent=self)
        issuing, self.root = self._authorities(spec.stack)
        self._role(issuing, GATEWAY_CERTIFICATE, spec.gateway_names, spec.gateway_ttl, ip_addresses=True)
        self.servers, self.trusted = {}, None
        if spec.servers:
            role = self._role(issuing, SERVER_CERTIFICATE, (*spec.servers, LOCAL), spec.server_ttl, ip_addresses=False)
            self.servers = {server: self._issue(role, server, spec) for server in spec.servers}
        if spec.servers and args.server:
            store = f"mkdir -p {TRUSTED.rpartition('/')[0]} && cat > {TRUSTED}"
            self.trusted = args.server.tell(f"{name}-trusted", ("sh", "-c", store), self.root, child)
        self.register_outputs({"root": self.root})

    def _authorities(self, stack: str) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """The path of the issuing authority, known when it can issue, and the root's certificate."""
        import pulumi_vault as vault  # noqa: PLC0415  a provider's SDK takes a third of a second: only where it is used

        pki = vault.pkisecret
        issuing = self._mount(ISSUING_CA, ISSUING_LIFE)
        root = pki.SecretBackendRootCert(
            f"{self._name}-root",
            backend=self._mount(ROOT_CA, ROOT_LIFE),
            type="internal",
            common_name=f"nexus {stack} root",
            ttl=str(ROOT_LIFE),
            key_type=KEY_TYPE,
            key_bits=KEY_BITS,
            opts=self._child("root"),
        )
        request = pki.SecretBackendIntermediateCertRequest(
            f"{self._name}-issuing-request",
            backend=issuing,
            type="internal",
            common_name=f"nexus {stack} issuing",
            key_type=KEY_TYPE,
            key_bits=KEY_BITS,
            opts=self._child("issuing-request"),
        )
        signed = pki.SecretBackendRootSignIntermediate(
            f"{self._name}-issuing",
            backend=root.backend,
            csr=request.csr,
            common_name=f"nexus {stack} issuing",
            ttl=str(ISSUING_LIFE),
            opts=self._child("issuing"),
        )
        able = pki.SecretBackendIntermediateSetSigned(
            f"{self._name}-issuing-signed",
            backend=issuing,
            certificate=signed.certificate_bundle,
            opts=self._child("issuing-signed"),
        )
        return able.backend, root.certificate

    def _mount(self, path: str, life: int) -> pulumi.Output[str]:
        import pulumi_vault as vault  # noqa: PLC0415

        return vault.Mount(
            f"{self._name}-{path}", path=path, type="pki", max_lease_ttl_seconds=life, opts=self._child(path)
        ).path

    def _role(
        self, issuing: pulumi.Output[str], role: str, names: tuple[str, ...], life: int, *, ip_addresses: bool
    ) -> vault.pkisecret.SecretBackendRole:
        """Who may issue for it gets certificates for these names alone."""
        import pulumi_vault as vault  # noqa: PLC0415

        suffix = f"certificates-{role}"
        return vault.pkisecret.SecretBackendRole(
            f"{self._name}-{suffix}",
            backend=issuing,
            name=role,
            allowed_domains=list(names),
            allow_bare_domains=True,
            allow_subdomains=False,
            allow_localhost=False,
            allow_ip_sans=ip_addresses,
            key_type=KEY_TYPE,
            key_bits=KEY_BITS,
            ttl=str(life),
            max_ttl=str(life),
            # Those of the gateway are renewed all the time and never revoked: a list of all would only grow. A server's
            # is looked up by every refresh.
            no_store=role == GATEWAY_CERTIFICATE,
            opts=self._child(suffix),
        )

    def _issue(self, role: vault.pkisecret.SecretBackendRole, server: str, spec: CertificatesSpec) -> Tls:
        import pulumi_vault as vault  # noqa: PLC0415

        name = f"{self._name}-{server}"
        made = vault.pkisecret.SecretBackendCert(
            f"{name}.{spec.generation}" if spec.generation else name,
            backend=role.backend,
            name=role.name,
            common_name=server,
            alt_names=[LOCAL],
            ttl=str(spec.server_ttl),
            auto_renew=True,
            min_seconds_remaining=spec.server_ttl // LEFT,
            opts=pulumi.ResourceOptions(parent=self, deleted_with=self._store),
        )
        parts = (made.private_key, made.certificate, made.issuing_ca)
        pem = pulumi.Output.all(*parts).apply(lambda known: "".join(f"{part.strip()}\n" for part in known))
        return Tls(certificate=pulumi.Output.secret(pem), authority=self.root)

    def _child(self, suffix: str) -> pulumi.ResourceOptions:
        """Of what was a part of the engines before: the root would be made anew, and nobody would trust it."""
        before = pulumi.Alias(name=f"{FORMER}-{suffix}", parent=pulumi.create_urn(FORMER, FORMER_TYPE))
        return pulumi.ResourceOptions(parent=self, deleted_with=self._store, aliases=[before])
