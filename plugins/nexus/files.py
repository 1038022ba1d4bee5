"""``nexus:index:Files``: a Docker volume filled with files, for containers whose root is read-only."""

from __future__ import annotations

import hashlib
import io
import secrets
import tarfile
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from engine import connect
from kind import Field, Kind, Properties, known, plain
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.rpc import UNKNOWN

#: Where the volume is mounted in the container that is made to fill it, and never started.
MOUNT = "/files"
#: A label with a random value: an engine tells no volume from a later one of the same name.
FILLED = "nexus.filled"


class Files(Kind):
    """A volume of the same life as the resource, and its content.

    Inputs: ``volume`` (its name), ``labels``, ``image`` (any image the engine has: a volume is filled through a
    container), ``owner`` (``uid:gid``; the files are mode 0400), ``files`` (content by name), ``live`` (names of files
    that are read again without a restart). Outputs: ``digest`` of all other files, for what must be made again when one
    changes, and ``revision``, the same of the live ones.
    """

    fields: ClassVar = {
        "volume": Field(str, required=True, replaces=True),
        "labels": Field(Mapping, required=True, replaces=True),
        "image": Field(str, required=True, compared=False),
        "owner": Field(str, required=True),
        "files": Field(Mapping, required=True),
        "live": Field((list, tuple)),
    }

    def create(self, inputs: Properties) -> Mapping[str, PropertyValue]:
        """Make the volume, unless it is there already, and fill it."""
        wanted = {name: plain(value) for name, value in inputs.items()}
        labels = {**wanted["labels"], FILLED: secrets.token_hex(8)}
        with connect() as client:
            volume = client.volumes.create(wanted["volume"], labels=labels)  # one that is there keeps its labels
            fill(client, wanted)
        return {**self.planned(inputs, {}), "filled": PropertyValue(mark(volume))}

    def planned(self, inputs: Properties, state: Properties) -> Mapping[str, PropertyValue]:
        """A digest changes just when one of its files does."""
        files, live = plain(inputs["files"]), plain(inputs["live"]) if "live" in inputs else []
        if files == UNKNOWN:
            return dict.fromkeys(("digest", "revision"), PropertyValue(UNKNOWN))
        parts = {
            "digest": {name: content for name, content in files.items() if name not in live},
            "revision": {name: content for name, content in files.items() if name in live},
        }
        return {key: PropertyValue(digest(part) if known(part) else UNKNOWN) for key, part in parts.items()}

    def exists(self, state: Properties) -> bool:
        """Whether the volume is the one that was filled, and not an empty one made later under its name."""
        from docker.errors import NotFound  # noqa: PLC0415

        with connect() as client, suppress(NotFound):
            return mark(client.volumes.get(str(plain(state["volume"])))) == plain(state["filled"])
        return False

    def delete(self, state: Properties) -> None:
        """Remove the volume."""
        from docker.errors import NotFound  # noqa: PLC0415

        with connect() as client, suppress(NotFound):
            client.volumes.get(str(plain(state["volume"]))).remove()


def fill(client: Any, wanted: Mapping[str, Any]) -> None:
    """Copy the files into the volume, through a container that is never started."""
    from docker.errors import NotFound  # noqa: PLC0415

    name = f"{wanted['volume']}-filler"
    with suppress(NotFound):
        client.containers.get(name).remove(v=True)  # a killed run left it
    filler = client.containers.create(
        wanted["image"],
        name=name,
        labels=wanted["labels"],
        network_mode="none",
        entrypoint="/",
        volumes={wanted["volume"]: {"bind": MOUNT, "mode": "rw"}},
    )
    try:
        filler.put_archive(MOUNT, archive(wanted["files"], wanted["owner"]))
    finally:
        filler.remove(v=True)  # with the nameless volumes that its image asks for


def mark(volume: Any) -> str:
    """What tells this volume from another of the same name."""
    return ((volume.attrs or {}).get("Labels") or {}).get(FILLED, "")


def digest(files: dict[str, str]) -> str:
    """A digest of names and contents; of a random secret it tells nothing."""
    text = "\0".join(f"{name}\0{files[name]}" for name in sorted(files))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def archive(files: dict[str, str], owner: str) -> bytes:
    """The files as a tar archive, readable by their owner alone, with the time by which a server sees another one."""
    now = time.time()
    uid, gid = (int(part) for part in owner.split(":"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in sorted(files.items()):
            data = content.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid, entry.gid, entry.mtime = len(data), 0o400, uid, gid, now
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
