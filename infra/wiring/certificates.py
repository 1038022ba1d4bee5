"""The wiring of certificates: those of the data servers, where the environment encrypts, and who checks them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pulumi

from components._tls import AUTHORITY, Tls
from components.certificates import Certificates, CertificatesArgs, CertificatesSpec
from components.vault import Vault
from infra import images
from infra.entry import Service
from infra.platform import Platform

CERTIFICATES = "certificates"
#: Helpers that the entries of data servers bring along.
POOL, CACHE = "pgbouncer", "redis-cache"
#: The servers of each kind that holds data.
SERVERS = {"postgres": ("postgres", POOL), "redis": ("redis", CACHE), "rabbitmq": ("rabbitmq",)}
#: The names by which users on the host reach the gateway, whatever its public address is.
LOCAL_NAMES = ("localhost",)


def certificates(platform: Platform, server: Vault) -> Certificates:
    """The authorities in Vault, and a certificate for each data server of an environment that encrypts."""
    leases, kinds = platform.settings.leases, {entry.kind for entry in platform.catalog.enabled}
    spec = CertificatesSpec(
        stack=platform.stack,
        gateway_names=gateway_names(platform.public_url),
        gateway_ttl=leases.certificates,
        servers=tuple(name for kind, names in SERVERS.items() if kind in kinds for name in names)
        if platform.settings.tls_data
        else (),
        server_ttl=leases.server_certificates,
        generation=platform.rotation("certificates"),
    )
    options = pulumi.ResourceOptions(providers=[platform.vault_provider])
    return Certificates(CERTIFICATES, spec, CertificatesArgs(server=server.running), options)


def gateway_names(public_url: str) -> tuple[str, ...]:
    """The names in the gateway's certificate: of its public address, and of this host."""
    public = urlsplit(public_url).hostname
    return tuple(dict.fromkeys([*([public] if public else []), *LOCAL_NAMES]))


def tls(platform: Platform, server: str) -> Tls | None:
    """What a data server is given, where it encrypts."""
    return platform.find(CERTIFICATES, Certificates).servers[server] if platform.settings.tls_data else None


def trusted(platform: Platform, password: pulumi.Output[str]) -> pulumi.Output[str]:
    """A password of Vault's own, known once Vault takes the certificate of the server that it is for."""
    gate = platform.find(CERTIFICATES, Certificates).trusted
    return gate.after(password) if gate else password


def authority(platform: Platform, entry: Service) -> pulumi.Output[str] | None:
    """The root's certificate, for a service that needs a data server, where the environment encrypts."""
    if not platform.settings.tls_data or not SERVERS.keys() & set(entry.needs):
        return None
    return platform.find(CERTIFICATES, Certificates).root


def checked(platform: Platform, entry: Service) -> dict[str, str]:
    """What such a service is told of each data server: the file with the root's certificate."""
    return {"ca_file": images.contract(entry.kind).secret(AUTHORITY)} if platform.settings.tls_data else {}
