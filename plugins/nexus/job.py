"""``nexus:index:Job``: a container run once, to its end, and again when an input changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from engine import connect
from kind import Field, Kind, Properties, between, plain
from pulumi.provider.experimental.property_value import PropertyValue
from standby import discard

if TYPE_CHECKING:
    from docker.models.containers import Container

#: What of the container's log an error shows.
TAIL_LINES = 30
#: Processes and threads at most.
PIDS = 128


class JobFailedError(Exception):
    """The container did not end with 0; the text says how it ended and what it logged last."""


class Job(Kind):
    """What depends on its id runs after it. The container leaves nothing behind, neither when it failed.

    Inputs: ``container`` (its name), ``labels``, ``image``, ``network``, ``user`` (``uid:gid``), ``command``, ``env``,
    ``volume`` and ``mount`` (files it reads, and where), ``tmpfs`` (paths it may write, with their mount options),
    ``memory`` in MiB, ``timeout`` in seconds, ``triggers`` (any change of them runs it again), ``masked`` (texts that
    no error may repeat).
    """

    fields: ClassVar = {
        "container": Field(str, required=True),
        "labels": Field(Mapping, required=True),
        "image": Field(str, required=True),
        "network": Field(str, required=True),
        "user": Field(str, required=True),
        "command": Field((list, tuple), required=True, check=lambda value: None if value else "must name a command"),
        "env": Field(Mapping),
        "volume": Field(str),
        "mount": Field(str),
        "tmpfs": Field(Mapping),
        "memory": Field(float, default=256.0, check=between(6, 1 << 20, "MiB")),
        "timeout": Field(float, default=300.0, compared=False, check=between(1, 3600, "seconds")),
        "triggers": Field(Mapping),
        "masked": Field((list, tuple), compared=False),
    }

    def create(self, inputs: Properties) -> Mapping[str, PropertyValue]:
        """Run it, and remove it."""
        run({name: plain(value) for name, value in inputs.items()})
        return {}

    def delete(self, state: Properties) -> None:
        """Remove what a killed run may have left."""
        with connect() as client:
            discard(client, str(plain(state["container"])))


def run(wanted: Mapping[str, Any]) -> None:
    """Run the container to its end; raises ``JobFailedError`` unless that is 0 and in time."""
    from requests.exceptions import ConnectionError as NoAnswerError  # noqa: PLC0415  Docker's client is made of it
    from requests.exceptions import ReadTimeout  # noqa: PLC0415

    timeout = wanted["timeout"]
    with connect(timeout + 10) as client:
        discard(client, wanted["container"])
        container = client.containers.create(wanted["image"], **settings(wanted))
        try:
            container.start()
            code = container.wait(timeout=timeout)["StatusCode"]
            if code != 0:
                raise JobFailedError(describe(container, f"ended with {code}", wanted))
        except (ReadTimeout, NoAnswerError) as error:
            raise JobFailedError(describe(container, f"had not ended after {timeout:g} s", wanted)) from error
        finally:
            discard(client, wanted["container"])


def settings(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The container, as hardened as any other of the platform."""
    volumes = {wanted["volume"]: {"bind": wanted["mount"], "mode": "ro"}} if wanted.get("volume") else {}
    memory = f"{int(wanted['memory'])}m"
    return {
        "name": wanted["container"],
        "labels": wanted["labels"],
        "command": wanted.get("command"),
        "environment": wanted.get("env") or {},
        "network": wanted["network"],
        "user": wanted["user"],
        "volumes": volumes,
        "tmpfs": wanted.get("tmpfs") or {},
        "mem_limit": memory,
        "memswap_limit": memory,
        "pids_limit": PIDS,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "restart_policy": {"Name": "no"},
        "log_config": {"type": "json-file", "config": {"max-size": "10m"}},
    }


def describe(container: Container, how: str, wanted: Mapping[str, Any]) -> str:
    """What a person needs to go on: how it ended and the end of its log, without what must not be repeated."""
    container.reload()
    if container.attrs["State"]["OOMKilled"]:
        how += f" (out of memory: its limit is {int(wanted['memory'])} MiB)"
    log = container.logs(tail=TAIL_LINES).decode(errors="replace").strip() or "(nothing)"
    command = " ".join(wanted["command"])[:200]
    text = f"container {container.name} {how}\nit was run with: {command}\nit said:\n{log}"
    for secret in wanted.get("masked") or ():
        if secret:
            text = text.replace(secret, "[secret]")
    return text
