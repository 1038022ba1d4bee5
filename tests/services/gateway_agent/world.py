"""The agent as a process, between a real Vault and the gateway."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.services import servers
from tests.services.auth import world as parts
from tests.standins.gateway import Gateway

ROLES = ("admin", "operator", "user")
NAMES = ("gateway.example.org", "localhost", "127.0.0.1")
LIFE = 12
PASSWORD = "password-of-the-admin-api"


def authority(vault: parts.Vault) -> None:
    """A new authority and its role, in place of whatever was there."""
    vault.call("DELETE", "sys/mounts/pki_int")
    vault.call("POST", "sys/mounts/pki_int", {"type": "pki", "config": {"max_lease_ttl": "87600h"}})
    vault.call("POST", "pki_int/root/generate/internal", {"common_name": "tests", "ttl": "8760h", "key_type": "ec"})
    role = {"allowed_domains": list(NAMES[:2]), "allow_bare_domains": True, "allow_localhost": False}
    role |= {"allow_ip_sans": True, "key_type": "ec", "ttl": f"{LIFE}s", "no_store": True}
    vault.call("POST", "pki_int/roles/gateway", {**role, "not_before_duration": "1s"})


def consumers(gateway: Gateway) -> None:
    for role in ROLES:
        gateway.admin.post("/consumers", json={"username": f"role-{role}"}).raise_for_status()


class Agent:
    """One process of the agent."""

    def __init__(self, vault: parts.Vault, kong: Gateway, directory: Path) -> None:
        self.log = directory / "agent.log"
        secret = directory / "secret-id"
        secret.write_text(parts.SECRET_ID)
        self.password = directory / "kong-password"
        self.password.write_text(PASSWORD)
        self.environment = {
            "PATH": os.environ["PATH"],
            "NEXUS_SERVICE": "gateway-agent",
            "NEXUS_VAULT_ADDRESS": vault.url,
            "NEXUS_VAULT_SECRET_ID_FILE": str(secret),
            "NEXUS_KONG_ADDRESS": str(kong.admin.base_url),
            "NEXUS_KONG_USER": "nexus",
            "NEXUS_KONG_PASSWORD_FILE": str(self.password),
            "NEXUS_SETTINGS": json.dumps({"roles": ROLES, "names": NAMES, "poll": 0.3}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Agent:
        with self.log.open("ab") as log:
            command = [sys.executable, "-SE", "-m", "services.gateway_agent"]
            self.process = subprocess.Popen(command, env=self.environment, cwd=servers.ROOT, stdout=log, stderr=log)
        return self

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(10)

    @property
    def output(self) -> str:
        return self.log.read_text()


def held(kong: Gateway) -> dict[str, Any]:
    """The gateway's credentials by key."""
    return {entry["key"]: entry for entry in kong.admin.get("/jwts").json()["data"]}


def expected(vault: parts.Vault) -> set[str]:
    versions = vault.call("GET", f"transit/keys/{parts.KEY}")["data"]["keys"]
    return {f"{role}:v{version}" for role in ROLES for version in versions}


def certificate(kong: Gateway, name: str = "localhost") -> x509.Certificate:
    """What the gateway shows to a client that asks for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", kong.tls_port), 5) as plain,
        context.wrap_socket(plain, server_hostname=name) as wrapped,
    ):
        return x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b"")


def issuer(cert: x509.Certificate) -> str:
    return cert.issuer.rfc4514_string()
