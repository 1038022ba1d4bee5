"""The benchmark's parts that need no engine: the Compose document, the figures, the settings file, the result."""

from __future__ import annotations

import copy
import io
import json
import tarfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

from ops import bench, bench_compose, bench_cpu, bench_report
from ops.bench_report import ASKED, COMPOSE, OURS
from ops.errors import Failure

SAMPLE = {
    "Id": "c0ffee",
    "Name": "/nexus-bench-postgres",
    "Config": {
        "Image": "nexus/postgres:15-abc",
        "Entrypoint": None,
        "Cmd": ["postgres", "-c", "cluster_name=$HOME"],
        "Env": ["PGDATA=/var/lib/postgresql/data", "PRICE=5$"],
        "User": "999:999",
        "Hostname": "postgres",
        "WorkingDir": "",
        "StopSignal": "SIGINT",
        "Labels": {"nexus.stack": "bench", "nexus.service": "postgres", "nexus.kind": "service", "team": "data"},
        "Healthcheck": {
            "Test": ["CMD", "pg_isready", "-q"],
            "Interval": 10_000_000_000,
            "Timeout": 5_000_000_000,
            "StartPeriod": 30_000_000_000,
            "Retries": 3,
        },
    },
    "HostConfig": {
        "Memory": 402653184,
        "MemorySwap": 402653184,
        "PidsLimit": None,
        "CapAdd": None,
        "CapDrop": ["ALL"],
        "ReadonlyRootfs": True,
        "SecurityOpt": ["no-new-privileges"],
        "Init": None,
        "Tmpfs": {"/tmp": "rw,nosuid,nodev", "/run/postgresql": ""},
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        "PortBindings": {"5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": "21100"}]},
    },
    "Mounts": [
        {"Type": "volume", "Name": "nexus-bench-postgres-data", "Destination": "/var/lib/postgresql/data"},
        {"Type": "volume", "Name": "nexus-bench-postgres-files", "Destination": "/run/secrets"},
    ],
}


def test_the_compose_document_describes_the_same_container(tmp_path):
    document = bench_compose.project([SAMPLE], tmp_path)
    assert document["services"]["postgres"] == {
        "image": "nexus/postgres:15-abc",
        "command": ["postgres", "-c", "cluster_name=$$HOME"],
        "environment": ["PGDATA=/var/lib/postgresql/data", "PRICE=5$$"],
        "user": "999:999",
        "hostname": "postgres",
        "stop_signal": "SIGINT",
        "mem_limit": 402653184,
        "memswap_limit": 402653184,
        "cap_drop": ["ALL"],
        "read_only": True,
        "security_opt": ["no-new-privileges"],
        "healthcheck": {
            "test": ["CMD", "pg_isready", "-q"],
            "interval": "10000ms",
            "timeout": "5000ms",
            "start_period": "30000ms",
            "retries": 3,
        },
        "restart": "unless-stopped",
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
        "tmpfs": ["/tmp:rw,nosuid,nodev", "/run/postgresql"],
        "labels": {"team": "data"},
        "ports": [{"target": 5432, "published": "21100", "host_ip": "127.0.0.1", "protocol": "tcp"}],
        "networks": {"bench": {"aliases": ["postgres"]}},
        "volumes": [
            {"type": "volume", "source": "postgres-var-lib-postgresql-data", "target": "/var/lib/postgresql/data"},
            {"type": "bind", "source": str(tmp_path / "postgres"), "target": "/run/secrets", "read_only": True},
        ],
    }
    assert document["volumes"] == {"postgres-var-lib-postgresql-data": {}}
    assert document["networks"] == {"bench": {}}


def test_the_compose_document_never_carries_the_stacks_labels(tmp_path):
    """With them, the verbs would take Compose's containers for the stack's own, and remove them."""
    assert "nexus.stack" not in json.dumps(bench_compose.project([SAMPLE], tmp_path))


def test_a_container_without_check_ports_or_mounts_stays_without(tmp_path):
    bare = copy.deepcopy(SAMPLE)
    bare["Config"]["Healthcheck"] = None
    bare["HostConfig"] |= {"PortBindings": None, "Tmpfs": None, "RestartPolicy": {"Name": ""}}
    bare["Mounts"] = []
    service = bench_compose.service("postgres", bare, tmp_path)
    assert service["healthcheck"] == {"disable": True}
    assert (service["ports"], service["volumes"], service["tmpfs"], service["restart"]) == ([], [], [], "no")


def test_a_workloads_files_are_copied_readable_for_any_user_and_nothing_else_is(tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        folder = tarfile.TarInfo("secrets")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name in ("secrets/password", "secrets/../../escape"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"pw\n"))
    client = SimpleNamespace(api=SimpleNamespace(get_archive=lambda *_: (iter([stream.getvalue()]), {})))
    bench_compose.copy_files(client, [SAMPLE], tmp_path)
    made = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert made == ["postgres/escape", "postgres/password"]
    assert (tmp_path / "postgres" / "password").stat().st_mode & 0o777 == 0o444


RUNS = [
    {"side": OURS, "round": 1, "load": 0.2, "up_seconds": 9.0, "idle_cpu_percent": 5.0, "idle_containers_percent": 2.0},
    {"side": OURS, "round": 2, "up_seconds": 12.0, "idle_cpu_percent": 7.0},
    {"side": OURS, "round": 3, "up_seconds": 10.0, "idle_cpu_percent": 6.0},
    {"side": COMPOSE, "round": 1, "up_seconds": 8.0, "idle_cpu_percent": 5.0},
    {"side": COMPOSE, "round": 2, "up_seconds": 7.0, "idle_cpu_percent": 5.0},
    {"side": COMPOSE, "round": 3, "up_seconds": 30.0, "idle_cpu_percent": 5.5},
    {"side": ASKED, "round": 1, "up_seconds": 4.0},
]


def test_the_ratio_is_our_median_over_composes():
    found = bench_report.summary(RUNS)
    assert found["up_seconds"]["sides"][OURS] == {"median": 10.0, "min": 9.0, "max": 12.0}
    assert found["up_seconds"]["sides"][COMPOSE]["median"] == 8.0
    assert (found["up_seconds"]["ratio"], found["up_seconds"]["met"]) == (1.25, False)
    assert (found["idle_cpu_percent"]["ratio"], found["idle_cpu_percent"]["met"]) == (1.2, False)
    assert ASKED not in found["idle_cpu_percent"]["sides"]


@pytest.mark.parametrize("runs", [RUNS[:1], [RUNS[0], {"side": COMPOSE, "round": 1, "up_seconds": 0.0}]])
def test_without_a_figure_of_compose_there_is_no_ratio(runs):
    found = bench_report.summary(runs)["up_seconds"]
    assert (found["ratio"], found["met"]) == (None, None)


def document() -> dict:
    return {
        "version": 1,
        "date": "2026-01-01T00:00:00+00:00",
        "rounds": 3,
        "idle_seconds": 30,
        "services": ["postgres", "redis"],
        "machine": {"cores": 2},
        "runs": RUNS,
        "summary": bench_report.summary(RUNS),
        "notes": list(bench_report.NOTES),
    }


def test_the_document_follows_its_schema():
    jsonschema.Draft202012Validator.check_schema(bench_report.SCHEMA)
    jsonschema.validate(document(), bench_report.SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            document() | {"runs": [{"side": "other", "round": 1, "up_seconds": 1}]}, bench_report.SCHEMA
        )


def test_the_table_and_the_plot_show_the_ratio(tmp_path, capsys):
    bench_report.table(document())
    shown = capsys.readouterr().out
    assert "1.25" in shown
    assert "docker compose up --wait" in shown
    assert bench_report.NOTES[0] in shown
    bench_report.plot(document(), tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


class RecordingSide:
    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self._calls = name, calls

    def up(self) -> None:
        self._calls.append(f"{self.name} up")

    def down(self) -> None:
        self._calls.append(f"{self.name} down")

    def containers(self) -> list[str]:
        return [self.name]


def test_the_sides_take_turns_and_each_round_begins_with_another(monkeypatch):
    calls: list[str] = []
    monkeypatch.setattr(bench, "SETTLE", 0)
    monkeypatch.setattr(bench_cpu, "measure", lambda *_: bench_cpu.Idle(containers=2.0, total=5.0))
    monkeypatch.setattr(bench.objects, "connect", nullcontext)
    sides = [RecordingSide(name, calls) for name in (OURS, COMPOSE, ASKED)]
    runs = bench.measured(sides, 2, 1, lambda _: None)
    ours, compose, asked = ([f"{name} up", f"{name} down"] for name in (OURS, COMPOSE, ASKED))
    assert calls == [*ours, *compose, *asked, *compose, *asked, *ours]
    assert [run["side"] for run in runs] == [OURS, COMPOSE, ASKED, COMPOSE, ASKED, OURS]
    assert runs[0]["idle_cpu_percent"] == 5.0
    assert "idle_cpu_percent" not in runs[2]


def test_the_throw_away_settings_are_devs_on_other_ports_and_are_removed(monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    dev = "config:\n  nexus:images: auto\n  other:key: x\nencryptionsalt: v1:abc\n"
    (tmp_path / "Pulumi.dev.yaml").write_text(dev)
    with bench.settings_file("bench") as path:
        text = path.read_text()
        assert "nexus:portOffset: 20000" in text
        assert "nexus:images: auto" in text
        assert "encryptionsalt" not in text
    assert not (tmp_path / "Pulumi.bench.yaml").exists()


def test_a_stack_of_someones_own_is_never_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    own = tmp_path / "Pulumi.prod.yaml"
    own.write_text("config: {}\n")
    with pytest.raises(Failure, match="exists"), bench.settings_file("prod"):
        pass
    assert own.read_text() == "config: {}\n"


def test_the_copies_of_passwords_are_closed_to_others_and_removed(monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "PRIVATE", tmp_path)
    with bench.scratch() as path:
        assert path.stat().st_mode & 0o077 == 0
    assert not Path(path).exists()


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--idle", "0"]])
def test_nothing_to_measure_is_refused(arguments):
    with pytest.raises(Failure, match="nothing to measure"):
        bench.run(arguments)


def test_a_failed_command_shows_its_last_lines(tmp_path):
    from ops import bench_sides

    with pytest.raises(Failure) as failure:
        bench_sides.call(["sh", "-c", "echo out of luck; exit 7"], tmp_path / "log")
    assert "exit code 7" in failure.value.what
    assert "out of luck" in failure.value.why
