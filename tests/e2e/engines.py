"""Several Docker engines on one machine: each with a network namespace and files of its own, on one bridge."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import DockerException

#: Its own mount namespace keeps /run/docker apart, where engines would meet; its own UTS namespace gives it a name.
START = """\
hostname {name} && mkdir -p /run/docker && mount -t tmpfs none /run/docker && sysctl -qw net.ipv4.ip_forward=1
exec dockerd --host unix://{folder}/docker.sock --data-root {folder}/data --exec-root /run/docker \\
  --pidfile {folder}/docker.pid --bridge none
"""
START_SECONDS, STOP_SECONDS = 60, 60


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@dataclass
class Machine:
    """One of them: its name, its address on the bridge, where its files are."""

    name: str
    address: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    client: docker.DockerClient | None = None

    @property
    def socket(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def engine(self) -> docker.DockerClient:
        assert self.client is not None, f"{self.name} was not started"
        return self.client

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        script = START.format(name=self.name, folder=self.folder)
        inside = ["nsenter", f"--net=/run/netns/{self.name}", "unshare", "--mount", "--uts", "--propagation", "private"]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen([*inside, "sh", "-ec", script], stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while self.client is None:
            with suppress(DockerException):
                self.client = docker.DockerClient(self.socket, timeout=120)
                self.client.ping()
                return
            self.client = None
            assert self.process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.2)

    def stop(self) -> None:
        if self.client:
            self.client.close()
            self.client = None
        if self.process:
            with suppress(FileNotFoundError):
                os.kill(int((self.folder / "docker.pid").read_text()), 15)
            self.process.wait(STOP_SECONDS)


@dataclass
class Machines:
    """The bridge, in a namespace of its own too (the host's packet filter would stop it), and what is plugged in."""

    key: str
    folder: Path
    number: int = 3
    all: list[Machine] = field(default_factory=list)

    @property
    def hub(self) -> str:
        return f"{self.key}-hub"

    def start(self) -> None:
        ip("netns", "add", self.hub)
        ip("-n", self.hub, "link", "add", "br0", "type", "bridge")
        ip("-n", self.hub, "link", "set", "br0", "up")
        for number in range(1, self.number + 1):
            machine = Machine(f"{self.key}-{number}", f"10.99.0.{number}", self.folder / str(number))
            self.all.append(machine)
            ip("netns", "add", machine.name)
            ip(
                "-n",
                machine.name,
                "link",
                "add",
                "eth0",
                "type",
                "veth",
                "peer",
                "name",
                f"v{number}",
                "netns",
                self.hub,
            )
            ip("-n", self.hub, "link", "set", f"v{number}", "master", "br0", "up")
            for device in ("lo", "eth0"):
                ip("-n", machine.name, "link", "set", device, "up")
            ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", "eth0")
            machine.start()

    def stop(self) -> None:
        for machine in reversed(self.all):
            machine.stop()
        for name in (*(machine.name for machine in self.all), self.hub):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
