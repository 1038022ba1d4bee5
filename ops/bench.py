"""`nexus bench`: the same containers started by us and by plain Compose, in turns, on one machine, in one run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import yaml

from infra import catalog
from ops import bench_compose, bench_cpu, bench_report, console, objects
from ops.artifacts import Report
from ops.bench_report import ASKED
from ops.bench_sides import Composed, Ours, Side, sweep
from ops.errors import BAD_INPUT, Failure
from ops.paths import PRIVATE, ROOT

#: The servers that both sides start, with their helpers.
COMPARED = ("postgres", "redis", "consul", "kong")
#: First line of the settings file that is made here; only a file with it is overwritten or removed.
MARK = "# Made by `nexus bench`; removed when it is done."
PORT_OFFSET = 20_000
#: Seconds between the start and the idle window, so that start-up work is over.
SETTLE = 15


def run(arguments: list[str]) -> int:
    """Read the options, run, write and show the result."""
    parser = argparse.ArgumentParser(prog="./nexus bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times each side is started (3)")
    parser.add_argument("--idle", type=float, default=30, help="seconds of the idle window (30)")
    parser.add_argument("--stack", default="bench", help="name of the throw-away stack (bench)")
    parser.add_argument("--source", choices=("upstream", "local"), help="where images come from")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.idle <= 0:
        raise Failure("nothing to measure", "--rounds and --idle must be above 0", "./nexus bench --help", BAD_INPUT)
    found = bench(options.stack, options.rounds, console.say, idle=options.idle, source=options.source)
    bench_report.table(found)
    return 0


def bench(
    stack: str,
    rounds: int,
    report: Report,
    *,
    idle: float = 30,
    source: str | None = None,
    folder: Path = ROOT / "bench",
) -> dict[str, Any]:
    """Measure and write ``bench-<date>.json`` and ``.png``; returns the document (``bench_report.SCHEMA``).

    ``idle`` is the seconds of the idle window. Everything that was started is removed, also after a failure.
    """
    folder.mkdir(exist_ok=True)
    moment = datetime.now(UTC)
    target = folder / f"bench-{moment:%Y%m%d-%H%M%S}.json"
    with settings_file(stack), scratch() as private:
        ours = Ours(stack, target.with_suffix(".log"), source)
        sides: list[Side] = [ours]
        try:
            report("warming up: our side once, which also shows what Compose has to start")
            sweep()
            ours.down()
            ours.up()
            sides += copied(ours, private, report)
            ours.down()
            report("warming up: Compose once")
            sides[1].up()
            sides[1].down()
            runs = measured(sides, rounds, idle, report)
        finally:
            report("removing everything")
            for side in sides:
                with suppress(Failure):
                    side.down()
            sweep()
        names = sorted(yaml.safe_load((private / "compose.json").read_text())["services"])
    document = {
        "version": 1,
        "date": moment.isoformat(timespec="seconds"),
        "rounds": rounds,
        "idle_seconds": idle,
        "services": names,
        "machine": machine(),
        "runs": runs,
        "summary": bench_report.summary(runs),
        "notes": list(bench_report.NOTES),
    }
    target.write_text(json.dumps(document, indent=2) + "\n")
    bench_report.plot(document, target.with_suffix(".png"))
    report(f"written: {target} and {target.with_suffix('.png').name}")
    return document


def copied(ours: Ours, private: Path, report: Report) -> list[Side]:
    """The Compose sides, made from the containers that run now."""
    file = private / "compose.json"
    with objects.connect() as client:
        found = objects.inspect(client, ours.stack)
        files = private / "files"
        files.mkdir()
        bench_compose.copy_files(client, found, files)
        bench_compose.copy_databases(client, found, files)
    bench_compose.write(bench_compose.project(found, files), file)
    command = bench_compose.command(report)
    return [Composed(command, file, ours.log), Composed(command, file, ours.log, wait=False)]


def measured(sides: list[Side], rounds: int, idle: float, report: Report) -> list[dict[str, Any]]:
    """Every side once a round, each round in another order; idle CPU where starting differs in nothing else."""
    runs = []
    for number in range(1, rounds + 1):
        turn = (number - 1) % len(sides)
        for side in sides[turn:] + sides[:turn]:
            load = os.getloadavg()[0]
            seconds = timed(side.up)
            one = {"side": side.name, "round": number, "load": round(load, 2), "up_seconds": round(seconds, 2)}
            report(f"round {number} of {rounds}: {side.name} up in {seconds:.1f} s")
            if side.name != ASKED:
                time.sleep(SETTLE)
                with objects.connect() as client:
                    spent = bench_cpu.measure(client, side.containers(), idle)
                total = spent.containers if spent.total is None else spent.total
                one |= {"idle_cpu_percent": round(total, 2), "idle_containers_percent": round(spent.containers, 2)}
                report(f"round {number} of {rounds}: {side.name} idle at {total:.1f} % of a core")
            side.down()
            runs.append(one)
    return runs


def timed(work: Callable[[], None]) -> float:
    """Seconds that ``work`` takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    with objects.connect() as client:
        engine = client.version()["Version"]
        containers = len(client.api.containers())
    return {
        "cores": os.cpu_count(),
        "memory_mib": psutil.virtual_memory().total >> 20,
        "kernel": platform.release(),
        "engine": engine,
        "other_containers": containers,
    }


@contextmanager
def settings_file(stack: str) -> Iterator[Path]:
    """The throw-away stack's settings: those of dev on other ports, for the servers that Compose can start as they are.

    Services get their logins from Vault, which somebody has to set up first: nothing that Compose does. Raises Failure
    when the stack is someone's own.
    """
    path = ROOT / f"Pulumi.{stack}.yaml"
    if path.exists() and not path.read_text().startswith(MARK):
        raise Failure(
            f"{path.name} exists", "the benchmark makes and removes its stack", "choose another --stack", BAD_INPUT
        )
    document = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text()) or {}
    own = {key: value for key, value in (document.get("config") or {}).items() if key.startswith("nexus:")}
    left_out = {entry.name: {"enabled": False} for entry in catalog.load().services if entry.name not in COMPARED}
    own |= {"nexus:portOffset": PORT_OFFSET, "nexus:services": left_out}
    path.write_text(f"{MARK}\n{yaml.safe_dump({'config': own})}")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory that nobody else can look into: it holds copies of the stack's passwords."""
    PRIVATE.mkdir(mode=0o700, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="bench-", dir=PRIVATE))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
