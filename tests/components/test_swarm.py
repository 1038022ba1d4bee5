"""What a workload becomes in a swarm, seen without any plugin."""

from __future__ import annotations

import base64
from typing import Any

import pulumi
import pytest

from components import swarm
from components._contract import Contract
from components._exposure import exposure
from components._naming import versioned
from components.network import Overlay
from components.swarm import Relay, SwarmEngine
from components.workload import Port, WorkloadArgs, WorkloadSpec
from infra import images
from tests.components.recorder import Recorder, declare

SERVICE, SECRET = "docker:index/service:Service", "docker:index/secret:Secret"
CONTAINER, VOLUME = "docker:index/container:Container", "docker:index/volume:Volume"
CONTRACT = Contract(
    name="server",
    uid=999,
    gid=998,
    entrypoint=(),
    command=("server",),
    environment={"MODE": "fast"},
    tmpfs={"/tmp": "mode=1777", "/run/server": "uid=999,gid=998,mode=0750", "/lib/unpacked": "mode=1777,exec"},
    health=("server", "ping"),
    stop_signal="SIGINT",
)


def spec(**changes: Any) -> WorkloadSpec:
    return WorkloadSpec(**{"stack": "prod", "name": "server", "contract": CONTRACT, "memory_mib": 64, **changes})


def run(*specs: WorkloadSpec, files: dict[str, str] | None = None, image: str = "sha256:1") -> Recorder:
    def program() -> None:
        engine = SwarmEngine(relay=Relay(image="sha256:relay", contract=images.contract("relay")))
        for one in specs:
            args = WorkloadArgs(image=image, network="network-id", files=files or {})
            engine.run(one.name, one, args, pulumi.ResourceOptions())

    return declare(program, stack="prod")


def service(recorder: Recorder, name: str = "server") -> dict[str, Any]:
    return recorder.one(f"{name}-server").inputs


def container(recorder: Recorder, name: str = "server") -> dict[str, Any]:
    return service(recorder, name)["taskSpec"]["containerSpec"]


def test_a_task_is_hardened_limited_checked_and_logs_little() -> None:
    task = service(run(spec(cpus=0.5)))["taskSpec"]
    inside = task["containerSpec"]
    assert inside["readOnly"] is True and inside["capDrops"] == ["ALL"] and inside["user"] == "999:998"
    assert task["resources"]["limits"] == {"memoryBytes": 64 * 2**20, "nanoCpus": 500_000_000}
    assert task["logDriver"] == {"name": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
    assert inside["healthcheck"]["tests"] == ["CMD", "server", "ping"] and inside["healthcheck"]["interval"] == "5s"
    assert inside["healthcheck"]["retries"] == 4, "asked twice as often, it is given up after the same 20 s"
    assert (inside["stopSignal"], inside["stopGracePeriod"]) == ("SIGINT", "30s")


def test_a_busy_machine_is_no_reason_to_replace_what_is_slow_or_still_starting() -> None:
    check = container(run(spec(ready_timeout=300)))["healthcheck"]
    assert (check["timeout"], check["startPeriod"]) == ("20s", "5m"), "`up` waits as long"


def test_what_is_not_yet_well_but_alive_is_reached_by_whoever_makes_it_well() -> None:
    inside = container(run(spec(alive=("server", "answers"))))
    assert inside["healthcheck"]["tests"] == ["CMD", "server", "answers"]
    assert run(spec(alive=("server", "answers"))).one("server-ready").inputs["command"] == ["server", "ping"]


def test_the_command_takes_the_place_of_the_images_own_and_not_of_its_entrypoint() -> None:
    inside = container(run(spec(command=("server", "--fast"), env={"A": "b"})))
    assert inside["args"] == ["server", "--fast"] and "commands" not in inside
    assert inside["env"] == {"A": "b", "MODE": "fast"}


def test_a_file_is_a_secret_named_by_its_content_that_its_owner_alone_can_read() -> None:
    recorder = run(spec(), files={"password": "correct-horse"})
    (secret,) = recorder.of(SECRET)
    assert base64.b64decode(secret.inputs["data"]) == b"correct-horse"
    assert "correct-horse" not in str(service(recorder))
    (mounted,) = container(recorder)["secrets"]
    assert mounted == {
        "secretId": "server-file-password-id",
        "secretName": secret.inputs["name"],
        "fileName": "/run/secrets/password",
        "fileUid": "999",
        "fileGid": "998",
        "fileMode": 0o400,
    }
    other = run(spec(), files={"password": "battery-staple"}).of(SECRET)[0]
    assert other.inputs["name"] != secret.inputs["name"], "a secret cannot be changed: another content is another one"


def test_a_name_with_a_digest_is_as_long_as_swarm_takes_it() -> None:
    longest = versioned("s" * 24, "n" * 40, "0" * 12)
    assert len(longest) == 64 and longest.endswith("-000000000000")


def test_a_tmpfs_with_an_owner_or_programs_is_a_volume_in_memory_as_swarm_knows_neither() -> None:
    mounts = {mount["target"]: mount for mount in container(run(spec()))["mounts"]}
    assert mounts["/tmp"] == {"type": "tmpfs", "target": "/tmp", "tmpfsOptions": {"mode": 0o777}}
    options = {path: mounts[path]["volumeOptions"]["driverOptions"] for path in ("/run/server", "/lib/unpacked")}
    assert options["/run/server"]["o"] == "nosuid,nodev,noexec,uid=999,gid=998,mode=0750"
    assert options["/lib/unpacked"] == {"type": "tmpfs", "device": "tmpfs", "o": "nosuid,nodev,mode=1777"}


def test_what_keeps_data_stays_with_its_volume_and_stops_before_it_starts_again() -> None:
    recorder = run(spec(contract=CONTRACT.model_copy(update={"data": "/data"})))
    assert recorder.of(VOLUME)[0].inputs["name"] == "nexus-prod-server-data"
    assert {"type": "volume", "source": "nexus-prod-server-data", "target": "/data"} in container(recorder)["mounts"]
    assert service(recorder)["taskSpec"]["placement"]["constraints"] == ["node.labels.nexus.data.prod==true"]
    assert service(recorder)["updateConfig"]["order"] == "stop-first"


def test_what_keeps_no_data_runs_anywhere_and_is_updated_without_a_gap() -> None:
    found = service(run(spec(replicas=3)))
    assert found["mode"]["replicated"]["replicas"] == 3
    assert not found["taskSpec"]["placement"].get("constraints")
    assert found["updateConfig"]["order"] == "start-first"
    assert (found["updateConfig"]["failureAction"], found["rollbackConfig"]["failureAction"]) == ("rollback", "pause")
    assert found["endpointSpec"]["mode"] == "dnsrr"
    assert container(run(spec(replicas=3)))["hostname"] == "server-{{.Task.Slot}}"


@pytest.mark.parametrize(
    ("name", "bind", "expected"),
    [
        ("kong", "0.0.0.0", "published"),
        ("kong", "::", "published"),
        ("kong", "127.0.0.1", "relayed"),
        ("postgres", "127.0.0.1", "internal"),
        ("nexus-backend", "10.0.0.5", "internal"),
    ],
)
def test_a_port_is_published_relayed_or_kept_inside(name: str, bind: str, expected: str) -> None:
    assert exposure(name, bind) == expected


def test_swarm_publishes_what_is_for_everybody_and_the_relay_what_is_administered() -> None:
    ports = (Port(container=8000, host=24200, bind="0.0.0.0"), Port(container=8001, host=23100))
    recorder = run(spec(name="kong", ports=ports), spec(name="postgres", ports=(Port(container=5432, host=21100),)))
    (published,) = service(recorder, "kong")["endpointSpec"]["ports"]
    assert published == {"targetPort": 8000, "publishedPort": 24200, "publishMode": "host", "protocol": "tcp"}
    assert service(recorder, "kong")["updateConfig"]["order"] == "stop-first", "a host port has one owner"
    (relay,) = recorder.of(CONTAINER)
    assert relay.inputs["ports"] == [{"internal": 8001, "external": 23100, "ip": "127.0.0.1"}]
    assert relay.inputs["command"] == ["8001=kong:8001"]
    assert not service(recorder, "postgres")["endpointSpec"].get("ports")


def test_who_waits_for_a_relayed_server_waits_for_its_relay() -> None:
    urns: dict[str, Any] = {}

    def program() -> None:
        engine = SwarmEngine(relay=Relay(image="sha256:relay", contract=images.contract("relay")))
        args = WorkloadArgs(image="sha256:1", network="network-id")
        for name in ("kong", "postgres"):
            one = spec(name=name, ports=(Port(container=8001, host=8001),))
            engine.run(name, one, args, pulumi.ResourceOptions()).ready.urn.apply(
                lambda urn, key=name: urns.update({key: urn.rsplit("::", 1)[-1]})
            )

    declare(program, stack="prod")
    assert urns == {"kong": "kong-relay-ready", "postgres": "postgres-ready"}


def versions(recorder: Recorder) -> tuple[str, str, str]:
    gate = recorder.one("server-ready").inputs
    labels = {label["label"]: label["value"] for label in service(recorder)["labels"]}
    return gate["version"], labels["nexus.version"], gate["containerId"]


def test_the_gate_waits_for_the_version_that_the_service_is_marked_with() -> None:
    first = versions(run(spec(), files={"a": "1"}))
    assert first[0] == first[1] and first[2] == f"server-server-id-{first[0]}"
    assert first == versions(run(spec(), files={"a": "1"}))
    changed = [
        versions(run(spec(), files={"a": "2"})),
        versions(run(spec(memory_mib=65), files={"a": "1"})),
        versions(run(spec(), files={"a": "1"}, image="sha256:2")),
    ]
    assert len({first[0], *(version[0] for version in changed)}) == 4


def test_a_gate_is_as_patient_as_an_update_of_one_replica_after_the_other_needs() -> None:
    assert swarm.patience(spec(replicas=3, ready_timeout=60)) == 240


def test_the_network_spans_nodes_encrypted_and_lets_containers_in() -> None:
    recorder = declare(lambda: Overlay("network", "prod"), stack="prod")
    network = recorder.one("network-overlay").inputs
    assert (network["name"], network["driver"], network["attachable"]) == ("nexus-prod", "overlay", True)
    assert network["options"] == {"encrypted": ""}
