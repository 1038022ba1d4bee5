"""The major version of a server's data, read from a real engine's volume."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Iterator

import docker
import pytest

from infra import catalog, images
from ops import image_builder, majors

pytestmark = pytest.mark.engine
FOLDER = "/var/lib/postgresql/data"
ENTRY = catalog.load().by_name["postgres"]


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    made = docker.from_env()
    image_builder.ensure(["postgres"], "local", lambda _: None)
    yield made
    made.close()


@pytest.fixture
def stack(client: docker.DockerClient) -> Iterator[str]:
    """A stack with a volume, and nothing in it."""
    name = f"x{uuid.uuid4().hex[:8]}"
    volume = client.volumes.create(f"nexus-{name}-postgres-data")
    yield name
    for left in client.containers.list(all=True, filters={"volume": volume.name}):
        left.remove(force=True, v=True)
    volume.remove()


def server(client: docker.DockerClient, stack: str):
    volume = f"nexus-{stack}-postgres-data"
    image = images.reference("postgres", "local")
    return client.containers.create(image, ["sleep", "60"], entrypoint=[], volumes={volume: {"bind": FOLDER}})


def put(container, version: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("PG_VERSION")
        entry.size = len(version)
        tar.addfile(entry, io.BytesIO(version.encode()))
    container.put_archive(FOLDER, buffer.getvalue())


def seen(client: docker.DockerClient, stack: str) -> int | None:
    return majors.of_data(client, stack, ENTRY, "PG_VERSION", "local")


def test_data_is_asked_for_its_major_whether_its_server_runs_is_stopped_or_is_gone(client, stack):
    container = server(client, stack)
    put(container, "16\n")
    assert seen(client, stack) == 16
    container.start()
    assert seen(client, stack) == 16
    container.remove(force=True, v=True)
    assert seen(client, stack) == 16
    assert not client.containers.list(all=True, filters={"volume": f"nexus-{stack}-postgres-data"})


def test_an_empty_volume_and_none_at_all_have_no_major(client, stack):
    assert seen(client, stack) is None
    assert seen(client, f"{stack}-other") is None


def test_what_initdb_writes_is_the_major_of_the_image(client, stack):
    """The table's file is the one that the server's own program makes."""
    image, volume = images.reference("postgres", "local"), f"nexus-{stack}-postgres-data"
    make = "chown 999:999 . && exec setpriv --reuid=999 --regid=999 --clear-groups initdb -D . >/dev/null"
    client.containers.run(
        image, ["sh", "-c", f"export PATH=/usr/lib/postgresql/15/bin:$PATH; {make}"], entrypoint=[], user="0",
        working_dir=FOLDER, volumes={volume: {"bind": FOLDER}}, remove=True,
    )  # fmt: skip
    assert seen(client, stack) == 15
