"""The program's side of the local provider in ``plugins/nexus`` (see there for what each field means)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi


class GeneratedSecret(pulumi.CustomResource):
    """A random string made once; ``value`` is a secret output."""

    value: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        length: int = 32,
        keepers: Mapping[str, str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props: dict[str, Any] = {"length": length, "keepers": keepers, "value": None}
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["value"]))
        super().__init__("nexus:index:GeneratedSecret", name, props, opts)


def rotated(
    name: str, generation: int, opts: pulumi.ResourceOptions | None = None, length: int = 32
) -> GeneratedSecret:
    """A secret that is made anew when ``generation``, the number of its rotations, grows."""
    keepers = {"generation": str(generation)} if generation else None
    return GeneratedSecret(name, length=length, keepers=keepers, opts=opts)


def passwords(secrets: Mapping[str, GeneratedSecret]) -> pulumi.Output[dict[str, str]]:
    """The values of secrets by their keys, once all are known; also of none, for which ``Output.all`` gives a list."""
    return pulumi.Output.all(**{key: secret.value for key, secret in secrets.items()}).apply(dict)


class Files(pulumi.CustomResource):
    """A volume filled with files.

    ``volume`` is its name; ``digest`` changes with a file for which a container must be made again, ``revision`` with
    one of ``live``, which the server reads again when it is told to.
    """

    volume: pulumi.Output[str]
    digest: pulumi.Output[str]
    revision: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        volume: str,
        labels: Mapping[str, str],
        image: pulumi.Input[str],
        owner: str,
        files: Mapping[str, pulumi.Input[str]],
        live: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "volume": volume,
            "labels": labels,
            "image": image,
            "owner": owner,
            # each by itself, so that a preview knows of every file whether it will change
            "files": {file: pulumi.Output.secret(content) for file, content in files.items()},
            "live": list(live) or None,
            "digest": None,
            "revision": None,
        }
        super().__init__("nexus:index:Files", name, props, opts)


class Exec(pulumi.CustomResource):
    """A command run inside a container until it succeeds; run again when an input changes.

    ``containerId`` is another with another container: what has to be done anew then takes it as a trigger. With
    ``version``, the container is a task of the swarm's service of that name, once it runs in that version. Then the
    container that ``relieves`` names may go, which stood in for this one (``Trial``).
    """

    containerId: pulumi.Output[str]  # noqa: N815  the engine's name for it

    def __init__(
        self,
        name: str,
        *,
        container: pulumi.Input[str],
        container_id: pulumi.Input[str],
        command: Sequence[str],
        stdin: pulumi.Input[str] | None = None,
        triggers: Mapping[str, pulumi.Input[str]] | None = None,
        timeout: int = 120,
        pids: int | None = None,
        version: pulumi.Input[str] | None = None,
        relieves: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self._where = {"container": container, "container_id": container_id, "version": version}
        props = {
            "container": container,
            "containerId": container_id,
            "command": list(command),
            "stdin": stdin,
            "triggers": triggers,
            "timeout": timeout,
            "pids": pids,
            "version": version,
            "relieves": relieves,
        }
        super().__init__("nexus:index:Exec", name, props, opts)

    def further(
        self, name: str, command: Sequence[str], stdin: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> Exec:
        """Another command in the same container."""
        return Exec(name, **self._where, command=command, stdin=stdin, opts=opts)

    def after(self, value: pulumi.Input[str]) -> pulumi.Output[str]:
        """``value``, but known only once the command has succeeded: the way to make something wait for it."""
        return pulumi.Output.all(self.id, value).apply(lambda both: both[1])


class Job(pulumi.CustomResource):
    """A container run once, to its end; run again when an input changes. An error has the end of its log."""

    def __init__(
        self,
        name: str,
        *,
        container: str,
        labels: Mapping[str, str],
        image: pulumi.Input[str],
        network: pulumi.Input[str],
        user: str,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        volume: pulumi.Input[str] | None = None,
        mount: str | None = None,
        tmpfs: Mapping[str, str] | None = None,
        memory: int = 256,
        triggers: Mapping[str, pulumi.Input[str]] | None = None,
        masked: Sequence[pulumi.Input[str]] = (),
        timeout: int = 300,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "container": container,
            "labels": labels,
            "image": image,
            "network": network,
            "user": user,
            "command": list(command),
            "env": env,
            "volume": volume,
            "mount": mount,
            "tmpfs": tmpfs,
            "memory": memory,
            "triggers": triggers,
            "masked": [pulumi.Output.secret(value) for value in masked] or None,
            "timeout": timeout,
        }
        super().__init__("nexus:index:Job", name, props, opts)

    def after(self, value: pulumi.Input[str]) -> pulumi.Output[str]:
        """``value``, but known only once the container has ended well."""
        return pulumi.Output.all(self.id, value).apply(lambda both: both[1])


class Trial(pulumi.CustomResource):
    """A new version, run beside those that are ``running`` until its checks succeed; what replaces these waits.

    It stays, as one more of those who answer to the name ``joins``, until the last gate of theirs ``relieves`` it.
    """

    version: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        version: pulumi.Input[str],
        container: str,
        running: Sequence[str],
        joins: str,
        image: pulumi.Input[str],
        labels: Mapping[str, str],
        network: pulumi.Input[str],
        user: str,
        checks: Sequence[Sequence[str]],
        memory: int,
        command: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        volume: pulumi.Input[str] | None = None,
        mount: str | None = None,
        tmpfs: Mapping[str, str] | None = None,
        timeout: int = 120,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "version": version,
            "container": container,
            "running": list(running),
            "joins": joins,
            "image": image,
            "labels": labels,
            "network": network,
            "user": user,
            "checks": [list(check) for check in checks],
            "memory": memory,
            "command": list(command) or None,
            "env": env,
            "volume": volume,
            "mount": mount,
            "tmpfs": tmpfs,
            "timeout": timeout,
        }
        super().__init__("nexus:index:Trial", name, props, opts)
