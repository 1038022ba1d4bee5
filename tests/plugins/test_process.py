"""The plugin as a process: its names, its versions, its start and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from tests.plugins import driver

#: Seconds from start to the first answer; the Python alternative needs 0.35 of CPU for its imports alone.
STARTS_WITHIN = 0.5


@pytest.mark.parametrize("package", ["kong", "consul", "vault"])
def test_it_reports_the_version_that_the_sdk_asks_for(package: str, binaries: dict[str, Path]) -> None:
    wanted = json.loads(resources.files(f"pulumi_{package}").joinpath("pulumi-plugin.json").read_text())["version"]
    with driver.started(binaries[package]) as stub:
        assert stub.GetPluginInfo(empty_pb2.Empty()).version == wanted
        schema = json.loads(stub.GetSchema(provider_pb2.GetSchemaRequest()).schema)
    assert schema["name"] == package
    said = subprocess.run([binaries[package], "-version"], capture_output=True, text=True, check=True).stdout
    assert said.strip() == wanted


def test_called_by_another_name_it_says_which_names_it_has(tmp_path: Path, binaries: dict[str, Path]) -> None:
    wrong = tmp_path / "pulumi-resource-redis"
    wrong.symlink_to(binaries["vault"].resolve())
    done = subprocess.run([wrong], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pulumi-resource-kong" in done.stderr


def test_it_starts_fast(binaries: dict[str, Path]) -> None:
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        with driver.started(binaries["vault"]) as stub:
            stub.GetPluginInfo(empty_pb2.Empty())
            took.append(time.perf_counter() - begun)
    assert min(took) < STARTS_WITHIN


def test_it_ends_when_the_engine_that_started_it_was_killed(binaries: dict[str, Path]) -> None:
    program = "import subprocess, sys, time\np = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)\n"
    program += "p.stdout.readline()\nprint(p.pid, flush=True)\ntime.sleep(60)"
    engine = subprocess.Popen(
        [sys.executable, "-c", program, str(binaries["vault"])], stdout=subprocess.PIPE, text=True
    )
    with engine:
        assert engine.stdout
        plugin = int(engine.stdout.readline())
        engine.send_signal(signal.SIGKILL)
    until = time.monotonic() + 10
    while _alive(plugin):
        assert time.monotonic() < until, "the plugin outlives its engine"
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
