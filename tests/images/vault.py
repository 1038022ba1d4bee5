"""A real Vault and its keeper, run as the component declares them, and what a test asks Vault directly."""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from components import vault
from components.workload import Port, WorkloadSpec
from infra import images
from tests.images.conftest import LABEL, packed
from tests.ports import free_port

TOKEN = "stack-token-of-a-test-0123456789"
PATIENCE = 10  # seconds, instead of a minute


class Pair:
    """Vault and keeper with a volume each, on a network of their own. ``port`` is Vault's on the loopback."""

    def __init__(self, client: Any, image: str) -> None:
        self.client, self.image = client, image
        self.key = f"nexus-test-{uuid.uuid4().hex[:8]}"
        self.spec = vault.VaultSpec(
            stack=self.key,
            contract=images.contract("vault"),
            memory_mib=256,
            port=Port(container=8200, host=free_port()),
        )
        self.network = client.networks.create(self.key, labels={LABEL: "images"})
        self.containers: list[Any] = []
        self.volumes: dict[str, Any] = {}
        self.vault = httpx.Client(base_url=f"http://127.0.0.1:{self.spec.port.host}/v1/", timeout=10)

    def volume(self, name: str) -> Any:
        if name not in self.volumes:
            self.volumes[name] = self.client.volumes.create(f"{self.key}-{name}", labels={LABEL: "images"})
        return self.volumes[name]

    def start(self, spec: WorkloadSpec, files: Mapping[str, str], command: tuple[str, ...]) -> Any:
        """A container of a workload as the engine makes it, with its files in place."""
        contract, data = spec.contract, self.volume(f"{spec.name}-data")
        secrets = self.volume(f"{spec.name}-files-{len(self.containers)}")
        container = self.client.containers.create(
            self.image,
            list(command),
            name=f"{self.key}-{spec.name}-{len(self.containers)}",
            hostname=spec.name,
            user=contract.user,
            environment={**contract.environment, **spec.env},
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            tmpfs=dict(contract.tmpfs),
            volumes={
                data.name: {"bind": contract.data, "mode": "rw"},
                secrets.name: {"bind": contract.secrets, "mode": "rw"},
            },
            ports={f"{p.container}/tcp": (p.bind, p.host) for p in spec.ports},
            network=self.key,
            mem_limit=f"{spec.memory_mib}m",
            memswap_limit=f"{spec.memory_mib}m",
            restart_policy={"Name": "unless-stopped"},
            labels={LABEL: "images"},
        )
        self.containers.append(container)
        self.network.disconnect(container)
        self.network.connect(container, aliases=[spec.name])
        container.put_archive(contract.secrets, packed(files, (contract.uid, contract.gid)))
        container.start()
        return container

    def server(self) -> Any:
        spec = vault.workload(self.spec)
        files = {vault.CONFIG: vault.configuration(self.spec), vault.SERVER: (vault.HERE / vault.SERVER).read_text()}
        return self.start(spec, files, (*spec.command[:-1], str(PATIENCE)))

    def keeper(self, policy: str = "", token: str = TOKEN) -> Any:
        files = {
            vault.KEEPER: (vault.HERE / vault.KEEPER).read_text(),
            vault.POLICY: policy or (vault.HERE / vault.POLICY_SOURCE).read_text(),
            vault.TOKEN: token,
        }
        spec = vault.keeper(self.spec)
        return self.start(spec, files, spec.command)

    def lose(self, container: Any, volume: str = "") -> None:
        """Remove a container, and the volume of that name."""
        container.remove(force=True, v=True)
        self.containers.remove(container)
        if volume:
            self.volumes.pop(volume).remove()

    def remove(self) -> None:
        self.vault.close()
        for container in self.containers:
            container.remove(force=True, v=True)
        for volume in self.volumes.values():
            volume.remove(force=True)
        self.network.remove()


@contextmanager
def pair(client: Any, image: str) -> Iterator[Pair]:
    made = Pair(client, image)
    try:
        yield made
    finally:
        made.remove()


def state(keeper: Any) -> str:
    """What the keeper's health check says."""
    code, output = keeper.exec_run(["sh", "-c", vault.KEEPER_READY])
    return "ready" if code == 0 else output.decode()


def says(keeper: Any, text: str, within: float) -> float:
    """Seconds until the keeper says ``text``."""
    start = time.monotonic()
    last = ""
    while time.monotonic() - start < within:
        if re.search(rf"\b{re.escape(text)}\b", last := state(keeper)):
            return time.monotonic() - start
        time.sleep(0.1)
    raise AssertionError(f"the keeper says {last!r}\n{keeper.logs().decode()[-2000:]}")


def status(made: Pair) -> dict[str, Any]:
    """Vault's seal status; empty while it does not answer."""
    try:
        return made.vault.get("sys/seal-status").json()
    except httpx.TransportError:
        return {}


def unseal_key(keeper: Any) -> str:
    """The key that the keeper stores. A busy engine may lose what a short command says, so it is asked again."""
    for _ in range(5):
        if said := keeper.exec_run(["cat", "/vault/file/unseal-key"])[1].decode().strip():
            return said
    raise AssertionError("the keeper stores no key")


def become_root(made: Pair, key: str) -> dict[str, str]:
    """The header of a new root token, made with the unseal key."""
    made.vault.delete("sys/generate-root/attempt")
    begun = made.vault.put("sys/generate-root/attempt", json={}).json()
    done = made.vault.put("sys/generate-root/update", json={"key": key, "nonce": begun["nonce"]}).json()
    masked = base64.b64decode(done["encoded_token"] + "==")
    return {"X-Vault-Token": "".join(chr(a ^ ord(b)) for a, b in zip(masked, begun["otp"], strict=True))}


def tokens(made: Pair, root: dict[str, str]) -> list[dict[str, Any]]:
    """All tokens there are, except the one that asks."""
    own = made.vault.get("auth/token/lookup-self", headers=root).json()["data"]["accessor"]
    listed = made.vault.request("LIST", "auth/token/accessors", headers=root).json()["data"]["keys"]
    return [
        made.vault.post("auth/token/lookup-accessor", headers=root, json={"accessor": each}).json()["data"]
        for each in listed
        if each != own
    ]
