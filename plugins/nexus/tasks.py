"""A Swarm service: whether its update has gone through, which of its tasks to ask, and what became of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

Task = dict[str, Any]
#: The label by which Swarm marks a task's container.
TASK_ID = "com.docker.swarm.task.id"
#: The label by which a service says which version of it this is.
VERSION = "nexus.version"
#: A service whose tasks have failed this often will not get well by waiting; Swarm remembers five of each replica.
HOPELESS_FAILURES = 4
FAILED = ("failed", "rejected")
#: States of an update, or of its being taken back, that will change by themselves; and those of a failed one.
UNDER_WAY = ("updating", "rollback_started")
TAKEN_BACK = ("paused", "rollback_paused", "rollback_completed")
#: What of a task differs from the service's own description without being another version of it.
SAME = ("ContainerSpec", "Resources", "RestartPolicy", "Placement", "LogDriver")


class NotRunningError(Exception):
    """Not all replicas of the service run yet; the text says what became of its last tasks."""


class HopelessError(NotRunningError):
    """And they will not: Swarm has taken the update back, or the tasks fail again and again."""


def container(client: DockerClient, service: str, version: str) -> Container | None:
    """The newest task's container, once all replicas run in this version and are healthy.

    None when all of them run on other nodes. Raises ``docker.errors.NotFound`` when there is no such service,
    ``NotRunningError`` while it does not run.
    """
    found = client.api.inspect_service(service)
    spec, tasks = found["Spec"], client.api.tasks(filters={"service": service})
    update = found.get("UpdateStatus") or {}
    current = [task for task in tasks if all(task["Spec"].get(part) == spec["TaskTemplate"].get(part) for part in SAME)]
    running = [task for task in current if task["DesiredState"] == task["Status"]["State"] == "running"]
    replicas = spec["Mode"].get("Replicated", {}).get("Replicas", 1)
    wanted = (spec.get("Labels") or {}).get(VERSION) == version
    if wanted and len(running) >= replicas and update.get("State") not in UNDER_WAY:
        return _newest(client, [task["ID"] for task in running])
    if update.get("State") in TAKEN_BACK:
        said = f"{update['State'].replace('_', ' ')}: {update.get('Message', '')}"
        raise HopelessError(f"the update of service {service} was taken back ({said}); {last(tasks)}")
    failures = sum(task["Status"]["State"] in FAILED for task in current)
    kind = HopelessError if failures >= HOPELESS_FAILURES * replicas else NotRunningError
    raise kind(f"{len(running)} of {replicas} replicas of service {service} run; {last(current)}")


def _newest(client: DockerClient, tasks: list[str]) -> Container | None:
    listed = client.api.containers(filters={"label": TASK_ID, "status": "running"})
    here = [item for item in listed if item["Labels"].get(TASK_ID) in tasks]
    return client.containers.get(max(here, key=lambda item: item["Created"])["Id"]) if here else None


def last(tasks: list[Task]) -> str:
    """What became of the last tasks, the newest first."""
    newest = sorted(tasks, key=lambda task: task["CreatedAt"], reverse=True)[:4]
    states = [f"{task['Status']['State']}: {task['Status'].get('Err') or task['Status']['Message']}" for task in newest]
    return f"its last tasks are {'; '.join(dict.fromkeys(states))}" if states else "it has no task yet"


def log(client: DockerClient, service: str, lines: int) -> str:
    """The end of the log of the service's last task that failed, or else of its last one, if it ran on this engine."""
    from docker.errors import APIError  # noqa: PLC0415

    tasks = [task for task in client.api.tasks(filters={"service": service}) if _identity(task)]
    ranked = sorted(tasks, key=lambda task: (task["Status"]["State"] in FAILED, task["CreatedAt"]))
    try:
        return client.api.logs(_identity(ranked[-1]), tail=lines).decode(errors="replace") if ranked else ""
    except APIError:
        return ""


def _identity(task: Task) -> str:
    return (task["Status"].get("ContainerStatus") or {}).get("ContainerID", "")
