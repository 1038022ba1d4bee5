"""The Python language host under the real engine: what a program does, prints and fails with."""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import subprocess
import time
from pathlib import Path

import psutil

from tests.toolchain.conftest import Project

DYNAMIC = """
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Provider(ResourceProvider):
    def create(self, props):
        return CreateResult("made", {"doubled": props["number"] * 2})

class Doubled(Resource):
    doubled: pulumi.Output[int]
    def __init__(self, name, number):
        super().__init__(Provider(), name, {"number": number, "doubled": None})

pulumi.export("doubled", Doubled("two", 21).doubled)
"""


def test_a_program_gets_its_project_stack_and_configuration_and_its_outputs_are_kept(project: Project) -> None:
    project.write(
        "import pulumi, sys\n"
        "config = pulumi.Config()\n"
        "pulumi.export('where', [pulumi.get_project(), pulumi.get_stack(), pulumi.runtime.is_dry_run()])\n"
        "pulumi.export('plain', config.require('plain'))\n"
        "pulumi.export('hidden', config.require_secret('hidden'))\n"
        "pulumi.export('folder', [sys.path[0], sys.argv[0]])\n"
    )
    project.ok("config", "set", "-s", "test", "plain", "visible")
    project.ok("config", "set", "-s", "test", "--secret", "hidden", "not to be seen")
    shown = project.ok("up", "--yes", "-s", "test", "--skip-preview")
    outputs = json.loads(project.ok("stack", "output", "-s", "test", "--json", "--show-secrets"))
    assert outputs["where"] == ["toolchain", "test", False]
    assert (outputs["plain"], outputs["hidden"]) == ("visible", "not to be seen")
    assert outputs["folder"] == [str(project.folder), str(project.folder)]
    assert "not to be seen" not in shown + json.dumps(project.state())


def test_modules_beside_the_program_are_imported_even_when_they_are_called_like_the_hosts(project: Project) -> None:
    for name in ("environment", "program", "server", "host"):
        (project.folder / f"{name}.py").write_text("NAME = 'the program has a module of this name too'\n")
    project.write("import pulumi, environment, program, server, host\npulumi.export('name', host.NAME + server.NAME)\n")
    project.ok("up", "--yes", "-s", "test", "--skip-preview")
    assert "too" in project.ok("stack", "output", "-s", "test", "name")


def test_what_a_program_prints_and_logs_is_shown(project: Project) -> None:
    project.write("import pulumi\nprint('printed line')\npulumi.warn('a warning')\n")
    shown = project.ok("preview", "-s", "test")
    assert "printed line" in shown
    assert "warning: a warning" in shown


def test_an_exception_is_shown_once_from_the_programs_first_frame_on(project: Project) -> None:
    (project.folder / "deeper.py").write_text("def fail():\n    raise LookupError('no such thing')\n")
    project.write("import deeper\n\ndeeper.fail()\n")
    run = project.pulumi("preview", "-s", "test")
    text = run.stdout + run.stderr
    assert run.returncode != 0
    assert text.count("LookupError: no such thing") == 1
    assert '__main__.py", line 3' in text
    assert 'deeper.py", line 2' in text
    assert "program.py" not in text and "runpy" not in text and "site-packages" not in text


def test_an_exception_in_an_apply_is_shown_with_its_line(project: Project) -> None:
    project.write("import pulumi\npulumi.Output.from_input(1).apply(lambda one: one / 0)\n")
    run = project.pulumi("preview", "-s", "test")
    assert run.returncode != 0
    assert "ZeroDivisionError" in run.stdout + run.stderr
    assert '__main__.py", line 2' in run.stdout + run.stderr


def test_a_run_error_is_shown_without_a_traceback(project: Project) -> None:
    project.write("import pulumi\nraise pulumi.RunError('port 99999 is outside 1-65535')\n")
    run = project.pulumi("preview", "-s", "test")
    assert run.returncode != 0
    assert "error: port 99999 is outside 1-65535" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_a_syntax_error_and_a_missing_program_are_failures_that_name_the_file(project: Project) -> None:
    project.write("import pulumi\nif True\n    pass\n")
    run = project.pulumi("preview", "-s", "test")
    assert run.returncode != 0
    assert '__main__.py", line 2' in run.stdout + run.stderr
    (project.folder / "__main__.py").unlink()
    run = project.pulumi("preview", "-s", "test")
    assert run.returncode != 0
    assert "__main__.py" in run.stdout + run.stderr


def test_an_exit_with_a_code_fails_and_without_one_does_not(project: Project) -> None:
    project.write("import sys\nsys.exit(0)\n")
    project.ok("preview", "-s", "test")
    project.write("import sys\nsys.exit('the reason')\n")
    run = project.pulumi("preview", "-s", "test")
    assert run.returncode != 0
    assert "the reason" in run.stdout + run.stderr


def test_a_dynamic_provider_runs(project: Project) -> None:
    project.write(DYNAMIC)
    project.ok("up", "--yes", "-s", "test", "--skip-preview")
    assert project.ok("stack", "output", "-s", "test", "doubled").strip() == "42"
    assert "2 unchanged" in project.ok("up", "--yes", "-s", "test", "--skip-preview")


def test_about_names_the_interpreter_and_the_packages(project: Project) -> None:
    project.write("")
    about = json.loads(project.ok("about", "--json", "-s", "test"))
    packages = {each["name"].replace("_", "-"): each["version"] for each in about["dependencies"]}
    assert packages["pulumi-docker"] == "5.2.0"
    assert about["runtime"]["language"] == "python"
    plugins = {each["name"]: each["version"] for each in about["plugins"]}
    assert plugins["docker"] == "5.2.0"


def test_a_small_preview_is_fast_and_silent_about_the_toolchain(project: Project) -> None:
    project.write("import pulumi\nfor n in range(5):\n    pulumi.ComponentResource('test:index:Thing', f'thing{n}')\n")
    project.ok("preview", "-s", "test")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = project.ok("preview", "-s", "test")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "warning" not in shown
    assert "6 to create" in shown
    # Seconds of processor time, as a busy machine stretches all others: 1.0 measured, and about four with the official
    # host, which starts a second interpreter.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


def test_an_interrupt_ends_the_run_quietly_and_leaves_no_process(project: Project) -> None:
    run, host = _slow_run(project)
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=30)
    assert "Traceback" not in output
    _gone(host)


def test_the_host_ends_when_its_engine_is_killed(project: Project) -> None:
    run, host = _slow_run(project)
    run.kill()
    run.communicate(timeout=30)
    _gone(host)


def _slow_run(project: Project, *options: str) -> tuple[subprocess.Popen[str], psutil.Process]:
    """An update whose program waits, and its language host."""
    project.write("import os, time\nopen('started', 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    started = project.folder / "started"
    command = [str(project.toolchain.pulumi), "up", "--yes", "--skip-preview", "-s", "test", "--non-interactive"]
    command += options
    run = subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    return run, psutil.Process(int(_content(started)))


def _content(file: Path) -> str:
    for _ in range(300):
        if file.exists() and (text := file.read_text()):
            return text
        time.sleep(0.1)
    raise AssertionError(f"{file} was not written")


def _gone(process: psutil.Process) -> None:
    process.wait(timeout=15)
    assert not process.is_running()


PACK = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

class Pack(analyzer_pb2_grpc.AnalyzerServicer):
    def Handshake(self, request, context):
        return analyzer_pb2.AnalyzerHandshakeResponse()
    def ConfigureStack(self, request, context):
        return analyzer_pb2.AnalyzerStackConfigureResponse()
    def Configure(self, request, context):
        return empty_pb2.Empty()
    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version="1.0.0")
    def GetAnalyzerInfo(self, request, context):
        return analyzer_pb2.AnalyzerInfo(name="pack", version="1.0.0")
    def Remediate(self, request, context):
        return analyzer_pb2.RemediateResponse()
    def AnalyzeStack(self, request, context):
        return analyzer_pb2.AnalyzeResponse()
    def Analyze(self, request, context):
        found = analyzer_pb2.AnalyzeDiagnostic(
            policyName="never", policyPackName="pack", message="never in " + os.path.basename(os.getcwd()),
            enforcementLevel=analyzer_pb2.MANDATORY, urn=request.urn)
        return analyzer_pb2.AnalyzeResponse(diagnostics=[found] if request.name == "two" else [])

open("started", "w").write(str(os.getpid()))
print("said by the pack", file=sys.stderr)
server = grpc.server(ThreadPoolExecutor(2))
analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Pack(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""


def _pack(project: Project, program: str = PACK) -> Path:
    folder = project.folder / "pack"
    folder.mkdir()
    (folder / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (folder / "__main__.py").write_text(program)
    return folder


def test_a_policy_pack_stops_a_preview_and_an_update_before_the_resource_is_touched(project: Project) -> None:
    project.write(DYNAMIC)
    pack = _pack(project)
    for command in (["preview"], ["up", "--yes", "--skip-preview"]):
        done = project.pulumi(*command, "-s", "test", "--policy-pack", str(pack))
        assert done.returncode != 0
        assert "never in pack" in done.stdout and "said by the pack" in done.stdout + done.stderr
    assert "two" not in project.resources()
    _gone_id(int(_content(pack / "started")))


def test_a_policy_pack_that_cannot_start_says_why(project: Project) -> None:
    project.write(DYNAMIC)
    done = project.pulumi("preview", "-s", "test", "--policy-pack", str(_pack(project, "raise SystemExit('no rules')")))
    assert done.returncode != 0 and "no rules" in done.stdout + done.stderr


def test_a_policy_pack_ends_when_the_engine_is_killed(project: Project) -> None:
    pack = _pack(project)
    run, host = _slow_run(project, "--policy-pack", str(pack))
    identity = int(_content(pack / "started"))
    run.kill()
    run.communicate(timeout=30)
    _gone(host)
    _gone_id(identity)


def _gone_id(identity: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        _gone(psutil.Process(identity))
