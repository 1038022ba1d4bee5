"""The compiled docker plugin under the real engines: a container's whole life, and no change where nothing changed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.client import DockerClient

from tests.toolchain.conftest import Project

pytestmark = pytest.mark.engine

SECRET = "s3cret-in-the-upload"
#: Does nothing until it is stopped; with an argument it is a successful health check.
SERVER = """package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "check" {
		return
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}
"""
PROGRAM = """
import pulumi, pulumi_docker as docker
name, image, key = {name!r}, {image!r}, pulumi.Config().require_secret("key")
network = docker.Network("network", name=name, labels=[docker.NetworkLabelArgs(label="nexus.stack", value="x")])
volume = docker.Volume("volume", name=name, labels=[docker.VolumeLabelArgs(label="nexus.stack", value="x")])
held = docker.RemoteImage("image", name=image, keep_locally=True)
server = docker.Container(
    "server",
    name=name,
    image=held.image_id,
    command=["/server"],
    user="1000:1000",
    hostname="server",
    envs=["KEY=value"],
    restart="unless-stopped",
    must_run=True,
    wait=True,
    wait_timeout=60,
    destroy_grace_seconds=5,
    stop_timeout=10,
    read_only=True,
    memory={memory},
    memory_swap={memory},
    cpu_shares=512,
    init=True,
    capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
    security_opts=["no-new-privileges:true"],
    tmpfs={{"/tmp": "rw,noexec,nosuid,size=16m"}},
    log_driver="json-file",
    log_opts={{"max-size": "10m", "max-file": "3"}},
    labels=[docker.ContainerLabelArgs(label=key, value=value) for key, value in {labels!r}.items()],
    networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=network.name, aliases=["server", "other"])],
    volumes=[docker.ContainerVolumeArgs(volume_name=volume.name, container_path="/data")],
    ports=[docker.ContainerPortArgs(internal=8080, external={port}, ip="127.0.0.1", protocol="tcp")],
    ulimits=[docker.ContainerUlimitArgs(name="nofile", soft=1024, hard=2048)],
    healthcheck=docker.ContainerHealthcheckArgs(
        tests=["CMD", "/server", "check"], interval="1s", timeout="2s", start_period="1s", retries=3
    ),
)
# An upload into a container with a read-only root is refused by the engine, so another one carries it to the volume.
carrier = docker.Container(
    "carrier",
    name=name + "-carrier",
    image=held.image_id,
    command=["/server"],
    start=False,
    must_run=False,
    memory=64,
    memory_swap=64,
    network_mode="none",
    log_driver="json-file",
    volumes=[docker.ContainerVolumeArgs(volume_name=volume.name, container_path="/data")],
    uploads=[docker.ContainerUploadArgs(file="/data/key", content=key, permissions="0444")],
)
pulumi.export("id", server.id)
pulumi.export("network_data", server.network_datas)
"""


@pytest.fixture(scope="session")
def client() -> Iterator[DockerClient]:
    made = docker.from_env()
    yield made
    made.close()


@pytest.fixture(scope="session")
def image(client: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image of one static program, so that nothing is pulled."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "main.go").write_text(SERVER)
    (folder / "go.mod").write_text("module server\n\ngo 1.26\n")
    subprocess.run(
        ["go", "build", "-trimpath", "-buildvcs=false", "-o", "server", "."],
        cwd=folder,
        check=True,
        env={**os.environ, "CGO_ENABLED": "0"},
    )
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(folder / "server", "server")
        for name in ("tmp", "data"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(entry)
    name = f"xtoolchain-{uuid.uuid4().hex[:8]}:1"
    repository, tag = name.split(":")
    client.api.import_image_from_data(archive.getvalue(), repository=repository, tag=tag)
    yield name
    client.images.remove(name, force=True)


@pytest.fixture
def slice_(project: Project, image: str, client: DockerClient) -> Iterator[Slice]:
    made = Slice(project, image, client)
    yield made
    project.pulumi("destroy", "--yes", "-s", "test", "--skip-preview")


class Slice:
    """Network, volume, image and one container with everything a service of the platform uses."""

    def __init__(self, project: Project, image: str, client: DockerClient) -> None:
        self.project, self.image, self.client = project, image, client
        self.name = f"xtoolchain-{uuid.uuid4().hex[:8]}"
        project.ok("config", "set", "-s", "test", "--secret", "key", SECRET)
        self.write()

    def write(self, *, memory: int = 64, labels: dict[str, str] | None = None) -> None:
        labels = labels or {"nexus.stack": "x", "nexus.service": "server"}
        port = 20000 + int(self.name[-4:], 16) % 10000
        text = PROGRAM.format(name=self.name, image=self.image, memory=memory, labels=labels, port=port)
        self.project.write(text)

    def up(self) -> dict[str, int]:
        events = self.project.ok("up", "--yes", "--skip-preview", "-s", "test", "--json").splitlines()
        summary = next(each for each in map(json.loads, events) if "summaryEvent" in each)
        return summary["summaryEvent"]["resourceChanges"]

    def preview(self, *flags: str) -> dict[str, int]:
        """Number of resources by what would happen to them; the details are in the message of a failed assertion."""
        document = json.loads(self.project.ok("preview", *flags, "-s", "test", "--json"))
        for step in document["steps"]:
            if step["op"] != "same":
                print(step["op"], step["urn"], json.dumps(step.get("detailedDiff")), step.get("diffReasons"))  # noqa: T201
        return document["changeSummary"]


def test_a_container_lives_and_nothing_changes_when_nothing_changed(slice_: Slice) -> None:
    slice_.up()
    container = slice_.client.containers.get(slice_.name)
    assert container.attrs["State"]["Health"]["Status"] == "healthy"
    assert slice_.preview("--diff") == {"same": 6}
    assert slice_.preview("--refresh") == {"same": 6}
    slice_.project.ok("refresh", "--yes", "-s", "test", "--skip-preview")
    assert slice_.preview() == {"same": 6}
    assert slice_.up() == {"same": 6}
    assert slice_.client.containers.get(slice_.name).id == container.id
    slice_.project.ok("destroy", "--yes", "-s", "test", "--skip-preview")
    assert not slice_.client.containers.list(all=True, filters={"name": slice_.name})
    assert not slice_.client.volumes.list(filters={"name": slice_.name})
    assert not slice_.client.networks.list(names=[slice_.name])


def test_a_secret_that_is_uploaded_is_in_no_output_and_only_as_ciphertext_in_the_state(slice_: Slice) -> None:
    preview = slice_.project.ok("preview", "-s", "test", "--diff", "--json")
    shown = slice_.project.ok("up", "--yes", "-s", "test", "--skip-preview", "--diff")
    slice_.project.ok("refresh", "--yes", "-s", "test", "--skip-preview")
    state = json.dumps(slice_.project.state())
    containers = [slice_.client.containers.get(slice_.name + suffix) for suffix in ("", "-carrier")]
    inspected = json.dumps([each.attrs for each in containers])
    assert SECRET.encode() in b"".join(containers[0].get_archive("/data/key")[0])
    for where in (preview, shown, state, inspected):
        assert SECRET not in where
    carrier = slice_.project.resources()["carrier"]
    assert carrier["inputs"]["uploads"]["ciphertext"]  # a set with a secret in it is one as a whole


def test_a_changed_label_replaces_the_container_the_old_one_first(slice_: Slice) -> None:
    slice_.up()
    before = slice_.client.containers.get(slice_.name).id
    slice_.write(labels={"nexus.stack": "x", "nexus.service": "renamed"})
    assert slice_.preview() == {"same": 5, "replace": 1}
    slice_.up()
    after = slice_.client.containers.get(slice_.name)
    assert after.id != before
    assert after.labels["nexus.service"] == "renamed"
    assert slice_.preview() == {"same": 6}


def test_changed_memory_updates_the_container_in_place(slice_: Slice) -> None:
    slice_.up()
    before = slice_.client.containers.get(slice_.name).id
    slice_.write(memory=96)
    assert slice_.preview() == {"same": 5, "update": 1}
    slice_.up()
    after = slice_.client.containers.get(slice_.name)
    assert after.id == before
    assert after.attrs["HostConfig"]["Memory"] == 96 * 1024**2
    assert slice_.preview() == {"same": 6}


def test_a_container_that_was_removed_by_hand_is_seen_by_a_refresh_and_made_again(slice_: Slice) -> None:
    slice_.up()
    slice_.client.containers.get(slice_.name).remove(force=True)
    slice_.project.ok("refresh", "--yes", "-s", "test", "--skip-preview")
    assert slice_.preview() == {"same": 5, "create": 1}
    slice_.up()
    assert slice_.client.containers.get(slice_.name).status == "running"


def test_an_unknown_image_fails_with_its_name(slice_: Slice, tmp_path: Path) -> None:
    slice_.project.write(
        f"import pulumi_docker as docker\ndocker.Container('server', name={slice_.name!r}, image='sha256:{'0' * 64}')\n"
    )
    run = slice_.project.pulumi("up", "--yes", "--skip-preview", "-s", "test")
    assert run.returncode != 0
    assert "0" * 64 in run.stdout + run.stderr
