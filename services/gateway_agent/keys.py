"""The gateway's credentials for tokens: one for each role and each version of the signing key that counts."""

from __future__ import annotations

import logging
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from services.gateway_agent.http import RefusedError, Server
from services.gateway_agent.vault import Vault

log = logging.getLogger(__name__)

KEY = "/transit/keys/auth-signing"
#: Entries with this tag are the agent's own, and it alone removes them.
TAG = "nexus-gateway-agent"
PAGE = 1000


class NotDeclaredError(Exception):
    """The gateway does not have the role's consumer yet; the stack makes it."""


def stable_id(name: str) -> str:
    """The id of an entry of the agent's: the same each time, so that writing it again changes nothing."""
    return str(uuid5(NAMESPACE_URL, f"nexus-gateway-agent/{name}"))


def wanted(role: str, versions: dict[str, dict[str, Any]]) -> dict[str, str]:
    """A role's credentials: what a token names in its claim ``gw``, and the public key."""
    return {f"{role}:v{number}": version["public_key"].strip() for number, version in versions.items()}


def synchronise(vault: Vault, kong: Server, roles: tuple[str, ...]) -> int:
    """Bring the credentials to what Vault has; the number of changes.

    Raises ``NotDeclaredError``, ``RefusedError`` and ``AwayError``.
    """
    versions = vault.call("GET", KEY)["data"]["keys"]
    return sum(_role(kong, role, wanted(role, versions)) for role in roles)


def _role(kong: Server, role: str, keys: dict[str, str]) -> int:
    path, changes = f"/consumers/role-{role}/jwt", 0
    try:
        found = kong.call("GET", f"{path}?size={PAGE}")["data"]
    except RefusedError as error:
        if error.status == 404:
            raise NotDeclaredError(f"the gateway has no consumer role-{role} yet") from None
        raise
    for key, public in keys.items():
        same = [entry for entry in found if entry["key"] == key]
        if any(
            (entry.get("rsa_public_key") or "").strip() == public and entry["algorithm"] == "RS256" for entry in same
        ):
            continue
        for entry in same:  # of another stack's past: its key would be in the way
            if entry["id"] != stable_id(key):
                kong.call("DELETE", f"{path}/{entry['id']}")
        entry = {"key": key, "algorithm": "RS256", "rsa_public_key": public, "tags": [TAG]}
        kong.call("PUT", f"{path}/{stable_id(key)}", entry)
        log.info("the gateway takes tokens of %s", key)
        changes += 1
    # Only now: until the new ones are there, the old ones are all there is.
    for entry in found:
        if TAG in (entry.get("tags") or ()) and entry["key"] not in keys:
            kong.call("DELETE", f"{path}/{entry['id']}")
            log.info("the gateway takes no tokens of %s any more", entry["key"])
            changes += 1
    return changes
