"""Vault's policies for those who log in: one for all services, told apart by the name of their AppRole role."""

from __future__ import annotations

from collections.abc import Mapping

#: The mounts' paths, as services and agents know them.
KV, DATABASE, RABBITMQ, CONSUL, TRANSIT = "secret", "database", "rabbitmq", "consul", "transit"
ROOT_CA, ISSUING_CA, APPROLE = "pki", "pki_int", "approle"
#: The role of ``ISSUING_CA`` for each of the two kinds of certificates.
SERVER_CERTIFICATE, GATEWAY_CERTIFICATE = "server", "gateway"
SIGNING_KEY = "auth-signing"
SERVICE_POLICY = "service"

#: Policies of their own, beside ``SERVICE_POLICY``: who signs tokens, and who checks them at the gateway.
EXTRA: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "auth": {
        f"{TRANSIT}/sign/{SIGNING_KEY}": ("update",),
        f"{TRANSIT}/sign/{SIGNING_KEY}/*": ("update",),
        f"{TRANSIT}/keys/{SIGNING_KEY}": ("read",),
    },
    "gateway-agent": {
        f"{ISSUING_CA}/issue/{GATEWAY_CERTIFICATE}": ("update",),
        f"{TRANSIT}/keys/{SIGNING_KEY}": ("read",),
    },
}


def role_name(accessor: str) -> str:
    """What Vault replaces, in a policy, by the caller's own role of the AppRole method."""
    return f"{{{{identity.entity.aliases.{accessor}.metadata.role_name}}}}"


def service_rules(accessor: str) -> dict[str, tuple[str, ...]]:
    """What a service may do, by path: with what has its own name, and nothing else."""
    name = role_name(accessor)
    return {
        f"{KV}/data/services/{name}": ("read",),
        f"{KV}/data/services/{name}/*": ("read",),
        f"{DATABASE}/creds/{name}": ("read",),
        f"{RABBITMQ}/creds/{name}": ("read",),
        f"{CONSUL}/creds/{name}": ("read",),
        f"{TRANSIT}/encrypt/{name}": ("update",),
        f"{TRANSIT}/decrypt/{name}": ("update",),
        # A lease is known by its id alone, to nobody but its owner: no path can say whose it is.
        "sys/leases/renew": ("update",),
        "sys/leases/revoke": ("update",),
        "auth/token/lookup-self": ("read",),
        "auth/token/renew-self": ("update",),
        "auth/token/revoke-self": ("update",),
    }


def document(rules: Mapping[str, tuple[str, ...]]) -> str:
    """Rules as Vault reads them."""
    lines = (
        f'path "{path}" {{ capabilities = [{", ".join(f"{chr(34)}{verb}{chr(34)}" for verb in verbs)}] }}'
        for path, verbs in rules.items()
    )
    return "\n".join([*lines, ""])
