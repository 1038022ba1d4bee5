"""The schemas of the services' databases, brought up to date before a service starts."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._connections import PostgresConnection
from components._contract import Contract
from components._labels import labels
from components._naming import physical
from components._resources import Files, Job
from components._tls import AUTHORITY, client_files

PASSWORD_FILE = "migrator-password"  # noqa: S105  the file's name
#: Alembic, SQLAlchemy and a few connections: 75 MiB, measured.
MEMORY_MIB = 160


class Target(BaseModel):
    """A database: the role its tables belong to, the history of its schema, and the revisions that may lose data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str
    owner: str
    history: str
    acknowledged: tuple[str, ...] = ()


class MigrationsSpec(BaseModel):
    """What is brought up to date; known at plan time. ``contract`` is that of the image with the histories."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "migrations"
    targets: tuple[Target, ...] = Field(min_length=1)
    timeout: int = Field(default=300, ge=1, le=3600)


@dataclass(frozen=True, kw_only=True)
class MigrationsArgs:
    """What the run is made from. ``login`` may become every owner; ``server`` is the volume the data is in."""

    image: pulumi.Input[str]
    network: pulumi.Input[str]
    login: PostgresConnection
    #: Known once the databases exist; another value is another set of databases.
    ready: pulumi.Input[str]


class Migrations(pulumi.ComponentResource):
    """A run of all histories, once; again when one of them, a database or the image changes.

    ``done.after(value)`` is known once every schema is as the services of this version want it.
    """

    done: Job

    def __init__(
        self, name: str, spec: MigrationsSpec, args: MigrationsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Migrations", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        own = labels(spec.stack, spec.name, kind="helper")
        files = Files(
            f"{name}-files",
            volume=physical(spec.stack, f"{spec.name}-files"),
            labels=own,
            image=args.image,
            owner=spec.contract.user,
            files={PASSWORD_FILE: args.login.password, **client_files(args.login.authority)},
            opts=child,
        )
        self.done = Job(
            f"{name}-run",
            container=physical(spec.stack, spec.name),
            labels=own,
            image=args.image,
            network=args.network,
            user=spec.contract.user,
            command=("python", "-m", "services.migrations"),
            env=environment(spec, args.login),
            volume=files.volume,
            mount=spec.contract.secrets,
            tmpfs=spec.contract.tmpfs,
            memory=MEMORY_MIB,
            triggers={"databases": args.ready},
            masked=(args.login.password,),
            timeout=spec.timeout,
            opts=child,
        )
        self.register_outputs({"databases": len(spec.targets)})


def environment(spec: MigrationsSpec, login: PostgresConnection) -> dict[str, str]:
    """What the run is told."""
    checked = {"NEXUS_POSTGRES_CA_FILE": spec.contract.secret(AUTHORITY)} if login.authority is not None else {}
    return {
        **checked,
        "NEXUS_MIGRATIONS": json.dumps([target.model_dump(mode="json") for target in spec.targets]),
        "NEXUS_POSTGRES_HOST": login.host,
        "NEXUS_POSTGRES_PORT": str(login.port),
        "NEXUS_POSTGRES_USER": login.user,
        "NEXUS_POSTGRES_PASSWORD_FILE": spec.contract.secret(PASSWORD_FILE),
    }
