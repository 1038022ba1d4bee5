"""The binary as a process: settings, health, status, version."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx

from tests.standins.gateway import Gateway, free_port


def test_the_node_describes_itself_as_a_stand_in(kong: Gateway) -> None:
    node = kong.admin.get("/")
    assert node.headers["server"] == "kong/3.9.1"
    assert (node.json()["version"], node.json()["stand_in"]) == ("3.9.1", True)
    status = kong.admin.get("/status").json()
    assert status["database"] == {"reachable": True}
    assert kong.command("version").stdout == "3.9.1 (stand-in)\n"


def test_health_tells_whether_the_server_answers(kong: Gateway, kong_binary: Path, tmp_path: Path) -> None:
    assert kong.command("health").returncode == 0
    stopped = Gateway(kong_binary, tmp_path)
    answer = stopped.command("health")
    assert (answer.returncode, "Kong is not running at" in answer.stderr) == (1, True)
    stopped.close()


def test_a_hung_server_is_not_healthy(kong_binary: Path, tmp_path: Path) -> None:
    gateway = Gateway(kong_binary, tmp_path).start()
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGSTOP)
    assert gateway.command("health").returncode == 1
    gateway.process.send_signal(signal.SIGCONT)
    assert gateway.command("health").returncode == 0
    gateway.close()


def test_bad_settings_are_refused_and_unknown_ones_reported(kong_binary: Path, tmp_path: Path) -> None:
    for settings, word in (
        ({"KONG_DATABASE": "oracle"}, "database"),
        ({"KONG_PROXY_LISTEN": "nonsense"}, "proxy_listen"),
        ({"KONG_TRUSTED_IPS": "1.2.3.400"}, "trusted_ips"),
        ({"KONG_PG_PASSWORD": "a", "KONG_PG_PASSWORD_FILE": "/b"}, "exclusive"),
    ):
        gateway = Gateway(kong_binary, tmp_path, **settings)
        answer = gateway.command("docker-start")
        gateway.close()
        assert (answer.returncode, word in answer.stderr) == (1, True), answer.stderr
    noisy = Gateway(kong_binary, tmp_path, KONG_COLOUR="red", KONG_NGINX_WORKER_PROCESSES="2").start()
    assert "unknown setting ignored: KONG_COLOUR" in noisy.log.read_text()
    assert "WORKER" not in noisy.log.read_text()
    assert noisy.stop() == 0
    noisy.close()


def test_status_is_served_apart(kong_binary: Path, tmp_path: Path) -> None:
    port = free_port()
    gateway = Gateway(kong_binary, tmp_path, KONG_STATUS_LISTEN=f"127.0.0.1:{port}").start()
    assert httpx.get(f"http://127.0.0.1:{port}/status").json()["database"] == {"reachable": True}
    assert httpx.get(f"http://127.0.0.1:{port}/status/ready").status_code == 200
    assert httpx.get(f"http://127.0.0.1:{port}/services").status_code == 404
    gateway.close()
