"""Finding an engine, starting one where that is allowed, and what is said where it is not."""

from __future__ import annotations

import http.server
import os
import shutil
import signal
import socketserver
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from ops import debian, engine
from ops.errors import MACHINE, Failure


@pytest.fixture
def answering(tmp_path_factory):
    """An engine's socket that answers /version and /info with what it is given."""
    started = []

    def serve(version):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b'{"ApiVersion": "1.41", "ServerVersion": "%s", "DockerRootDir": "/d"}' % version.encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self):
                return "test"

            def log_message(self, *_): ...

        path = tempfile.mkdtemp() + "/docker.sock"
        server = socketserver.ThreadingUnixStreamServer(path, Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append((server, path))
        return f"unix://{path}"

    yield serve
    for server, path in started:
        server.shutdown()
        server.server_close()
        shutil.rmtree(Path(path).parent)


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "25.0.3", "28.2.2-rc.1"])
def test_an_engine_that_answers_is_taken(answering, version):
    assert engine.probe(answering(version)).version == version


@pytest.mark.parametrize("version", ["19.03.15", "1.13.1", ""])
def test_an_engine_that_is_too_old_is_refused_and_no_other_is_started(answering, version, monkeypatch):
    monkeypatch.setattr(engine, "SOCKET", answering(version))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine, "start", lambda *_: pytest.fail("started a second engine"))
    with pytest.raises(Failure, match=r"too old: .*\n.*20\.10 or later") as failed:
        engine.ensure(lambda _: None)
    assert failed.value.code == MACHINE


@pytest.fixture
def down(monkeypatch, tmp_path):
    """No engine at the usual place; what would be done about it is recorded."""
    done = []
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine, "SOCKET", f"unix://{tmp_path}/none.sock")
    monkeypatch.setattr(debian, "install", lambda packages, report: done.append(("install", packages)))
    monkeypatch.setattr(engine, "start", lambda report: done.append(("start",)))
    monkeypatch.setattr(debian, "is_root_on_debian", lambda: True)
    monkeypatch.setattr(engine.shutil, "which", lambda name: f"/usr/sbin/{name}")
    return done


def test_root_on_debian_starts_the_engine_that_is_installed(down):
    engine.ensure(lambda _: None)
    assert down == [("start",)]


def test_root_on_debian_installs_the_engine_that_is_missing(down, monkeypatch):
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)
    engine.ensure(lambda _: None)
    assert down == [("install", ["docker.io", "iptables"]), ("start",)]


@pytest.mark.parametrize(
    ("installed", "remedy"), [(True, "sudo systemctl start docker"), (False, "sudo apt-get install docker.io iptables")]
)
def test_anybody_else_is_told_what_to_do(down, monkeypatch, installed, remedy):
    monkeypatch.setattr(debian, "is_root_on_debian", lambda: False)
    monkeypatch.setattr(engine.shutil, "which", lambda name: "/usr/sbin/dockerd" if installed else None)
    with pytest.raises(Failure, match="does not answer") as failed:
        engine.ensure(lambda _: None)
    assert failed.value.why == "No such file or directory"
    assert remedy in failed.value.remedy
    assert down == []


def test_an_engine_elsewhere_is_never_started_from_here(down, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(Failure, match=r"tcp://127\.0\.0\.1:1 does not answer") as failed:
        engine.ensure(lambda _: None)
    assert failed.value.why == "Connection refused"
    assert "unset DOCKER_HOST" in failed.value.remedy
    assert down == []


def test_a_socket_that_belongs_to_others_says_which_group(down, monkeypatch):
    def refused(address):
        raise engine.unreachable("PermissionError(13, 'Permission denied')", address)

    monkeypatch.setattr(engine, "probe", refused)
    with pytest.raises(Failure, match=r"no permission.*\n.*\n.*usermod -aG docker"):
        engine.ensure(lambda _: None)
    assert down == []


@pytest.fixture
def daemon():
    """A second engine with every path of its own, stopped by its process id.

    In a network namespace of its own as well: an engine without a bridge begins with removing ``docker0``, and that one
    belongs to the machine's engine.
    """
    root = Path(tempfile.mkdtemp(prefix="nexus-engine-", dir="/var/tmp"))
    own = ("--data-root", f"{root}/data", "--exec-root", f"{root}/exec")
    yield engine.Daemon(
        command=("unshare", "--net", "dockerd", *own, "--bridge=none", "--iptables=false", "--ip-masq=false"),
        run=root / "run",
        address=f"unix://{root}/docker.sock",
    )
    pidfile = root / "run/dockerd.pid"
    if pidfile.exists():
        pid = int(pidfile.read_text())
        os.kill(pid, signal.SIGTERM)
        for _ in range(200):
            try:
                os.waitpid(pid, os.WNOHANG)
                os.kill(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                break
            time.sleep(0.05)
    for mount in [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]:
        if mount.startswith(str(root)):
            subprocess.run(["umount", mount], check=False)
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.engine
def test_an_engine_is_started_detached_with_its_log_and_answers(daemon):
    lines: list[str] = []
    info = engine.start(lines.append, daemon, managed=False)
    assert info.address == daemon.address
    assert info.root.startswith("/var/tmp/nexus-engine-")
    assert lines[0] == "starting the Docker engine"
    pid = int((daemon.run / "dockerd.pid").read_text())
    assert os.getsid(pid) != os.getsid(0), "it would end with this terminal"
    assert (daemon.run / "dockerd.log").stat().st_size > 0
    assert daemon.run.stat().st_mode & 0o077 == 0
    assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


@pytest.mark.engine
def test_an_engine_that_cannot_start_shows_the_end_of_its_log(daemon):
    broken = engine.Daemon((*daemon.command, "--default-ulimit=nonsense"), daemon.run, daemon.address)
    with pytest.raises(Failure, match="did not start") as failed:
        engine.start(lambda _: None, broken, managed=False)
    assert "nonsense" in failed.value.why
    assert "dockerd.log" in failed.value.remedy


@pytest.mark.engine
def test_an_engine_that_was_started_here_is_known_by_its_id_and_can_be_stopped(daemon):
    assert engine.started(daemon) is None
    engine.start(lambda _: None, daemon, managed=False)
    process = engine.started(daemon)
    assert process == int((daemon.run / "dockerd.pid").read_text())
    engine.stop(process)
    assert engine.started(daemon) is None
    with pytest.raises(Failure):
        engine.probe(daemon.address)
