"""What a rollback cannot undo. Each has a name, by which `--accept` acknowledges it; nothing is touched before that."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from infra.protection import HOLDING_DATA
from infra.settings import NAMESPACE
from ops import git, objects, recording
from ops.records import Record

if TYPE_CHECKING:
    from docker import DockerClient

    from ops.changes import Change

#: How the settings file says what its secrets are encrypted with: that is the stack's, whatever version runs.
ENCRYPTION = ("encryptionsalt", "secretsprovider", "encryptedkey")


@dataclass(frozen=True)
class Obstacle:
    """Something that stays as it is now, or is lost; ``name`` is what `--accept` takes."""

    name: str
    says: str


class Backups(Protocol):
    """Who can bring data back together with a version."""

    def of(self, record: Record) -> str | None:
        """The backup of the data as an update left it, by its name; None when there is none."""
        ...


class NoBackups:
    """Data is not backed up yet: what is gone is gone."""

    def of(self, record: Record) -> str | None:
        """There is none."""
        return None


def uncommitted(target: Record) -> Iterator[Obstacle]:
    """Of a version that was never committed as it ran, only the commit can be had again."""
    if target.dirty:
        yield Obstacle(
            "uncommitted",
            f"update {target.number} ran with changes that were not committed ({git.shortened(target.dirty)}): "
            "they are lost, its commit alone can be brought back",
        )


def migrated(target: Record, later: Sequence[Record], backups: Backups) -> Iterator[Obstacle]:
    """Schemas only go forward."""
    for name, services in newer_revisions(target, later).items():
        history, revision = name.split(":")[1:]
        backup = backups.of(target)
        data = f"backup {backup} has the data from before it" if backup else "there is no backup from before it"
        yield Obstacle(
            name,
            f"revision {revision} of the schema {history!r} ({', '.join(services)}) may have been applied since, and "
            f"is not taken back ({data}): the older version would run on the newer schema",
        )


def newer_revisions(target: Record, later: Sequence[Record]) -> dict[str, list[str]]:
    """Revisions that a later version brought and the target does not know: ``migration:items:0002`` and whose it is."""
    found: dict[str, list[str]] = {}
    for record in later:
        for service, schema in record.schemas.items():
            known = target.schemas.get(service)
            for revision in schema.revisions if known else ():
                if known and revision not in known.revisions:
                    owners = found.setdefault(f"migration:{schema.history}:{revision}", [])
                    owners += [] if service in owners else [service]
    return found


def rotated(target: Record, later: Sequence[Record]) -> Iterator[Obstacle]:
    """A secret that was made anew stays so: who holds the old one is refused."""
    before = rotations(target)
    for what, number in newest_rotations(later).items():
        if number > before.get(what, 0):
            yield Obstacle(
                f"rotation:{what}",
                f"{what} was rotated since: it keeps what it has now, the old one does not come back",
            )


def rotations(record: Record) -> dict[str, int]:
    """How often each was rotated, by a record's settings."""
    return dict((config(record.settings).get(f"{NAMESPACE}rotations")) or {})


def newest_rotations(later: Iterable[Record]) -> dict[str, int]:
    """The highest count of each."""
    found: dict[str, int] = {}
    for record in later:
        for what, number in rotations(record).items():
            found[what] = max(number, found.get(what, 0))
    return found


def deleted(target: Record, volumes: Mapping[str, str], backups: Backups) -> Iterator[Obstacle]:
    """Volumes that were removed since, or made again empty."""
    for name, made in target.volumes.items():
        if volumes.get(name) != made:
            backup = backups.of(target)
            data = f"backup {backup} has it" if backup else "there is no backup of it"
            now = "is gone" if name not in volumes else "is another one now"
            yield Obstacle(f"data:{name}", f"the volume {name} {now}: the data of then was deleted ({data})")


def deleting(changes: Iterable[Change]) -> Iterator[Obstacle]:
    """Volumes that the rollback itself would remove."""
    for change in changes:
        if change.type in HOLDING_DATA and change.op in ("delete", "replace"):
            yield Obstacle(f"delete:{change.name}", f"the volume {change.name} would be removed with its data")


def moved(target: Record, identity: Callable[[str], str | None]) -> Iterator[Obstacle]:
    """References that mean another image than they did; one that is not here is pulled or built again."""
    for reference, then in target.images.items():
        now = identity(reference)
        if now and then and now != then:
            yield Obstacle(f"image:{reference}", f"{reference} means {now[:19]} now, and meant {then[:19]} then")


def find(target: Record, later: Sequence[Record], changes: Sequence[Change], backups: Backups) -> list[Obstacle]:
    """All of them. Nothing is touched."""
    with objects.connect() as client:
        return [
            *uncommitted(target),
            *migrated(target, later, backups),
            *rotated(target, later),
            *deleted(target, recording.made(list(target.volumes)), backups),
            *deleting(changes),
            *moved(target, lambda reference: image_id(client, reference)),
        ]


def image_id(client: DockerClient, reference: str) -> str | None:
    """What a reference means on this engine; None when it has no such image."""
    from docker.errors import ImageNotFound

    try:
        return client.api.inspect_image(reference)["Id"]
    except ImageNotFound:
        return None


def config(text: str) -> Mapping[str, Any]:
    """The settings of a settings file."""
    import yaml

    return (yaml.safe_load(text) or {}).get("config") or {}


def settings(target: Record, now: str, later: Sequence[Record], accepted: Collection[str]) -> str:
    """The target's settings as they can be used today: with today's encryption, rotations, and accepted revisions."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    document, present = yaml.load(target.settings) or {}, yaml.load(now) or {}
    before = yaml.load(target.settings) or {}
    for key in ENCRYPTION:
        if key in present:
            document[key] = present[key]
        else:
            document.pop(key, None)
    own = document.setdefault("config", {})
    counted = {what: count for what, count in newest_rotations(later).items() if count > rotations(target).get(what, 0)}
    if counted:
        own[f"{NAMESPACE}rotations"] = {**rotations(target), **counted}
    for name, services in newer_revisions(target, later).items():
        for service in services if name in accepted else ():
            entry = own.setdefault(f"{NAMESPACE}services", {}).setdefault(service, {})
            entry["acknowledged"] = sorted({*entry.get("acknowledged", ()), name.rsplit(":", 1)[-1]})
    if document == before:
        return target.settings
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def other_passphrase(target: Record, now: str) -> bool:
    """Whether the settings have secrets that were encrypted otherwise than the stack's are today."""
    import yaml

    then, present = yaml.safe_load(target.settings) or {}, yaml.safe_load(now) or {}
    return "secure:" in target.settings and any(then.get(key) != present.get(key) for key in ENCRYPTION)
