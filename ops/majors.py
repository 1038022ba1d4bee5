"""Before anything is touched: that no server is started on data of a major version that it cannot read."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from components._naming import physical
from infra import images, majors
from infra.settings import file_of
from ops import objects
from ops.errors import BAD_INPUT, Failure
from ops.inputs import Inputs

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    from infra.entry import Service


def check(chosen: Inputs, source: str) -> None:
    """Raise Failure for a jump that the table has no way for, or whose way is another one than an update."""
    for entry in chosen.services:
        server = majors.load().get(entry.kind)
        if server is None:
            continue
        with objects.connect() as client:
            found = of_data(client, chosen.stack, entry, server.file, source)
        if found is not None and found != (wanted := majors.of_image(entry.image, source)):
            raise refusal(chosen.stack, entry, server, found, wanted)


def refusal(stack: str, entry: Service, server: majors.Server, found: int, wanted: int | None) -> Failure:
    """What a person reads: the two versions, the rule, and the way there is."""
    edit = f"nexus:services.{entry.name}.image in {file_of(stack)}, or infra/images.yaml"
    back = f"to stay: an image of {entry.kind} {found} ({edit})"
    ways = ", ".join(str(major) for major in server.reachable(found)) or "no other"
    rule = f"a {entry.kind} reads data of its own major only; {found} can get to {ways} ({majors.FILE_NAME})"
    if wanted is None:
        what = (
            f"{entry.name}: its data is of {entry.kind} {found}, and the image {entry.image} does not say its version"
        )
        return Failure(what, rule, f"name it by a tag that begins with its version ({edit})", BAD_INPUT)
    what = f"{entry.name}: its data is of {entry.kind} {found}, the image is of {wanted}; nothing was touched"
    how = server.way(found, wanted)
    way = f"to change: docs/upgrades.md#{how}, step by step" if how else f"there is no way from {found} to {wanted}"
    return Failure(what, rule, f"{way}\n{back}", BAD_INPUT)


def of_data(client: DockerClient, stack: str, entry: Service, file: str, source: str) -> int | None:
    """The major that a service's data was made by; None when it has none yet."""
    from docker.errors import NotFound

    volume, mounted = physical(stack, f"{entry.name}-data"), images.contract(entry.kind).data
    with suppress(NotFound):
        client.volumes.get(volume)
        with holder(client, volume, str(mounted), reference(entry.image, source)) as container:
            return number(read(container, f"{mounted}/{file}"))
    return None


@contextmanager
def holder(client: DockerClient, volume: str, path: str, image: str) -> Iterator[Container]:
    """A container that has the volume: the server's own, running or not, or else one made for this, never started."""
    if there := client.containers.list(all=True, filters={"volume": volume}):
        yield there[0]
        return
    bind = {volume: {"bind": path, "mode": "ro"}}
    made = client.containers.create(image, network_mode="none", entrypoint="/", volumes=bind)
    try:
        yield made
    finally:
        made.remove(v=True)  # with the nameless volumes that its image asks for


def reference(image: str, source: str) -> str:
    """What the engine knows an image by."""
    return images.reference(image, source) if image in images.load() else image


def read(container: Container, path: str) -> str:
    """A file of a container, running or not; raises ``docker.errors.NotFound`` when it is not there."""
    chunks, _ = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        inside = archive.extractfile(archive.getmembers()[0])
        return inside.read().decode() if inside else ""


def number(text: str) -> int | None:
    """The major in a version file: ``15``, or ``9.6`` (whose majors were two numbers, and are none of the table)."""
    text = text.strip()
    return int(text.partition(".")[0]) if text.partition(".")[0].isdecimal() else None
