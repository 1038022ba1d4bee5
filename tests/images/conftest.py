"""Real engine, real images: containers are started exactly as the components start them, under the image's contract."""

from __future__ import annotations

import io
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import docker
import pytest

from infra import images
from ops import image_builder

LABEL = "nexus.test"


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    client = docker.from_env(timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="session")
def image() -> Callable[[str], str]:
    """The reference of a local image, built first if it is missing."""

    def present(name: str) -> str:
        image_builder.ensure([name], images.LOCAL, lambda _: None)
        return images.reference(name, images.LOCAL)

    return present


class Under:
    """Starts containers under contracts, on a network of their own, and removes what it made."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.key = f"nexus-test-{uuid.uuid4().hex[:8]}"
        self.network = client.networks.create(self.key, labels={LABEL: "images"})
        self.containers: list[Any] = []
        self.volumes: list[Any] = []

    def volume(self) -> str:
        made = self.client.volumes.create(f"{self.key}-{len(self.volumes)}", labels={LABEL: "images"})
        self.volumes.append(made)
        return made.name

    def run(
        self,
        name: str,
        reference: str,
        options: Sequence[str] = (),
        *,
        command: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        data: str = "",
        user: str = "",
        ports: Mapping[str, Any] | None = None,
    ) -> Any:
        """A container of ``name`` as the contract has it; ``files`` land in the secrets' path before it starts."""
        contract = images.contract(name)
        mounts = {self.volume(): {"bind": contract.secrets, "mode": "rw"}} if files else {}
        if contract.data:
            mounts[data or self.volume()] = {"bind": contract.data, "mode": "rw"}
        container = self.client.containers.create(
            reference,
            list(command) or [*contract.command, *options],
            name=f"{self.key}-{name}-{len(self.containers)}",
            hostname=name,
            user=user or contract.user,
            environment={**contract.environment, **(env or {})},
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            tmpfs=dict(contract.tmpfs),
            volumes=mounts,
            ports=dict(ports or {}),
            network=self.key,
            mem_limit="384m",
            labels={LABEL: "images"},
        )
        self.containers.append(container)
        self.network.disconnect(container)
        self.network.connect(container, aliases=[name])
        if files:
            container.put_archive(contract.secrets, packed(files, (contract.uid, contract.gid)))
        container.start()
        return container

    def answers(self, container: Any, argv: Sequence[str], within: float = 60) -> None:
        """Waits until ``argv`` ends with 0 inside the container."""
        end = time.monotonic() + within
        while True:
            code, output = self.ask(container, argv)
            if code == 0:
                return
            container.reload()
            if time.monotonic() > end or container.status == "exited":
                logs = container.logs(tail=25).decode()
                pytest.fail(f"{container.name} is not healthy: {output}\n{logs}")
            time.sleep(0.1)

    def ask(self, container: Any, argv: Sequence[str], **options: Any) -> tuple[int | None, str]:
        try:
            code, output = container.exec_run(list(argv), **options)
        except docker.errors.APIError as error:  # not running
            return None, str(error)
        return code, output.decode()

    def remove(self) -> None:
        for container in self.containers:
            container.remove(force=True, v=True)
        for volume in self.volumes:
            volume.remove(force=True)
        self.network.remove()


@pytest.fixture
def under(engine: Any) -> Iterator[Under]:
    made = Under(engine)
    yield made
    made.remove()


def packed(files: Mapping[str, str], owner: tuple[int, int] | None = None) -> bytes:
    """A tar archive of files: for everyone, or, as a volume of secrets has them, for their owner alone."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o400 if owner else 0o444, len(text.encode())
            entry.uid, entry.gid = owner or (0, 0)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return archive.getvalue()
