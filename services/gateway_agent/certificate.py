"""The gateway's certificate: issued by Vault, renewed at two thirds of its life, or when its issuer or names change."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import time
from typing import Any

from services.gateway_agent.http import RefusedError, Server
from services.gateway_agent.keys import TAG, stable_id
from services.gateway_agent.vault import Vault

log = logging.getLogger(__name__)

ISSUE = "/pki_int/issue/gateway"
PATH = f"/certificates/{stable_id('certificate')}"
#: The name that stands for all: a client that asks for another name gets this certificate, and sees which it is.
EVERY = "*"
RENEW_AT = 2 / 3


def synchronise(vault: Vault, kong: Server, names: tuple[str, ...], now: float | None = None) -> bool:
    """Have a certificate at the gateway that is good for a while; whether it is a new one.

    Raises ``RefusedError`` and ``AwayError``.
    """
    if not names:
        return False
    moment = time.time() if now is None else now
    origin = _origin(vault.authority(), names)
    try:
        if _is_good(kong.call("GET", PATH), origin, moment):
            return False
    except RefusedError as error:
        if error.status != 404:
            raise
    issued = vault.call("POST", ISSUE, _request(names))["data"]
    expires = int(issued["expiration"])
    chain = issued.get("ca_chain") or [issued["issuing_ca"]]
    certificate = {
        "cert": "\n".join(part.strip() for part in (issued["certificate"], *chain)),
        "key": issued["private_key"],
        "snis": [EVERY, *(name for name in names if not _is_address(name))],
        # What the certificate says of itself, to be read without taking it apart.
        "tags": [TAG, f"origin:{origin}", f"renew:{int(moment + (expires - moment) * RENEW_AT)}"],
    }
    kong.call("PUT", PATH, certificate)
    log.info("the gateway has a new certificate for %s, for %d s", ", ".join(names), expires - moment)
    return True


def _is_good(entry: dict[str, Any], origin: str, now: float) -> bool:
    facts = dict(tag.split(":", 1) for tag in entry.get("tags") or () if ":" in tag)
    return facts.get("origin") == origin and now < int(facts.get("renew", 0))


def _origin(authority: str, names: tuple[str, ...]) -> str:
    """What the certificate follows from; another issuer or other names make it another."""
    return hashlib.sha256("\n".join([authority.strip(), *names]).encode()).hexdigest()


def _request(names: tuple[str, ...]) -> dict[str, str]:
    addresses = [name for name in names if _is_address(name)]
    hosts = [name for name in names if not _is_address(name)]
    return {
        **({"common_name": hosts[0]} if hosts else {}),
        "alt_names": ",".join(hosts[1:]),
        "ip_sans": ",".join(addresses),
    }


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
