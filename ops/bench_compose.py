"""A Compose project with the same containers as a running stack, read back from the engine's description of them."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components._labels import SERVICE
from ops import artifacts
from ops.artifacts import Report

if TYPE_CHECKING:
    from docker import DockerClient

#: Where a workload finds its passwords and its configuration (`components/_contract.py`).
FILES = "/run/secrets"
#: Where a database server finds scripts for its first start (`infra/contracts.yaml`), and our folder of them.
INIT, DATABASES = "/docker-entrypoint-initdb.d", "databases"
ROLES = ["pg_dumpall", "--username=postgres", "--globals-only"]
#: The server has the superuser already; each database needs its owner.
OWNED = [
    "psql",
    "--username=postgres",
    "-tAc",
    """
SELECT format('CREATE DATABASE %I OWNER %I;', datname, pg_get_userbyid(datdba))
FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'""",
]
NETWORK = "bench"
#: Settings that are copied as they are: key of the Compose file, section and key of the engine's description.
SAME = (
    ("image", "Config", "Image"),
    ("entrypoint", "Config", "Entrypoint"),
    ("command", "Config", "Cmd"),
    ("environment", "Config", "Env"),
    ("user", "Config", "User"),
    ("hostname", "Config", "Hostname"),
    ("working_dir", "Config", "WorkingDir"),
    ("stop_signal", "Config", "StopSignal"),
    ("mem_limit", "HostConfig", "Memory"),
    ("memswap_limit", "HostConfig", "MemorySwap"),
    ("pids_limit", "HostConfig", "PidsLimit"),
    ("cap_add", "HostConfig", "CapAdd"),
    ("cap_drop", "HostConfig", "CapDrop"),
    ("read_only", "HostConfig", "ReadonlyRootfs"),
    ("security_opt", "HostConfig", "SecurityOpt"),
    ("init", "HostConfig", "Init"),
)


def project(containers: Iterable[Mapping[str, Any]], files: Path) -> dict[str, Any]:
    """Build the Compose document for containers as ``docker inspect`` describes them.

    Data volumes become fresh named volumes. The files a workload is given (passwords, configuration) are mounted from
    ``files/<service>``: Compose has nothing to create and copy there, which is in its favour.
    """
    services = {one["Config"]["Labels"][SERVICE]: one for one in containers}
    built = {name: service(name, one, files) for name, one in sorted(services.items())}
    volumes = {mount["source"]: {} for one in built.values() for mount in one["volumes"] if mount["type"] == "volume"}
    return escaped({"services": built, "networks": {NETWORK: {}}, "volumes": volumes})


def service(name: str, container: Mapping[str, Any], files: Path) -> dict[str, Any]:
    """One service of the document."""
    host, config = container["HostConfig"], container["Config"]
    found = {key: container[section].get(field) for key, section, field in SAME}
    entry = {key: value for key, value in found.items() if value not in (None, "", [], 0, False)}
    restart = host.get("RestartPolicy") or {}
    entry |= {
        "healthcheck": healthcheck(config.get("Healthcheck") or {}),
        "restart": restart.get("Name") or "no",
        "logging": {"driver": host["LogConfig"]["Type"], "options": host["LogConfig"].get("Config") or {}},
        "tmpfs": [f"{path}:{options}".rstrip(":") for path, options in (host.get("Tmpfs") or {}).items()],
        "labels": {key: value for key, value in (config.get("Labels") or {}).items() if not key.startswith("nexus.")},
        "ports": ports(host.get("PortBindings") or {}),
        "networks": {NETWORK: {"aliases": [name]}},
        "volumes": [mount_of(name, mount, files) for mount in container.get("Mounts") or []],
    }
    if (scripts := files / DATABASES / name).is_dir():
        entry["volumes"].append({"type": "bind", "source": str(scripts), "target": INIT, "read_only": True})
    return entry


def healthcheck(check: Mapping[str, Any]) -> dict[str, Any]:
    """The check with the same times, which the engine gives in nanoseconds."""
    if not check.get("Test"):
        return {"disable": True}
    times = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod"}
    found = {key: f"{check[field] // 1_000_000}ms" for key, field in times.items() if check.get(field)}
    retries = {"retries": check["Retries"]} if check.get("Retries") else {}
    return {"test": check["Test"], **found, **retries}


def ports(bindings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Published ports on the same addresses."""
    result = []
    for inner, outer in sorted(bindings.items()):
        number, _, protocol = inner.partition("/")
        result += [
            {"target": int(number), "published": one["HostPort"], "host_ip": one["HostIp"], "protocol": protocol}
            for one in outer or []
        ]
    return result


def mount_of(name: str, mount: Mapping[str, Any], files: Path) -> dict[str, Any]:
    """A mount: the workload's files from ``files``, a path of the host as it is, anything else as a fresh volume."""
    target = mount["Destination"]
    if target == FILES:
        return {"type": "bind", "source": str(files / name), "target": target, "read_only": True}
    if mount["Type"] == "bind":
        return {"type": "bind", "source": mount["Source"], "target": target}
    return {"type": "volume", "source": f"{name}{target.replace('/', '-')}", "target": target}


def escaped(value: Any) -> Any:
    """The value with every ``$`` doubled, as Compose would take it for a variable."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    return [escaped(item) for item in value] if isinstance(value, list) else value


def copy_files(client: DockerClient, containers: Iterable[Mapping[str, Any]], to: Path) -> None:
    """Copy what the containers have in FILES into ``to/<service>``; ``to`` must be closed to other users."""
    for container in containers:
        if not any(mount["Destination"] == FILES for mount in container.get("Mounts") or []):
            continue
        stream, _ = client.api.get_archive(container["Id"], FILES)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            folder = to / container["Config"]["Labels"][SERVICE]
            folder.mkdir(mode=0o755)
            for member in archive.getmembers():
                content = archive.extractfile(member) if member.isfile() else None
                if content:
                    target = folder / Path(member.name).name
                    target.write_bytes(content.read())
                    target.chmod(0o444)


def copy_databases(client: DockerClient, containers: Iterable[Mapping[str, Any]], to: Path) -> None:
    """Write a script that makes the stack's roles and databases, for the first start of Compose's PostgreSQL."""
    for container in containers:
        name = container["Config"]["Labels"][SERVICE]
        if name == "postgres":
            server = client.containers.get(container["Id"])
            answers: list[Any] = [server.exec_run(ask).output for ask in (ROLES, OWNED)]
            roles, owned = (answer.decode() for answer in answers)
            roles = roles.replace("CREATE ROLE postgres;\n", "")
            folder = to / DATABASES / name
            folder.mkdir(mode=0o755, parents=True)
            (folder / "databases.sql").write_text(roles + owned)


def command(report: Report) -> list[str]:
    """Compose as it is started here: the engine's plugin when it is installed, else the one that is built."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    return [str(artifacts.build("docker-compose", report))]


def write(document: Mapping[str, Any], path: Path) -> None:
    """Write the document; JSON is YAML."""
    path.write_text(json.dumps(document, indent=2))
