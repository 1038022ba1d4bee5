"""Who may use the Admin API."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import httpx

from tests.ports import free_port
from tests.standins.gateway import Gateway


def test_the_admin_api_takes_a_password_and_a_new_one_at_once(kong_binary: Path, tmp_path: Path) -> None:
    users, status = tmp_path / "users", free_port()
    users.write_text("nexus:{PLAIN}first\n")
    gateway = Gateway(
        kong_binary,
        tmp_path,
        KONG_NGINX_ADMIN_AUTH_BASIC="kong",
        KONG_NGINX_ADMIN_AUTH_BASIC_USER_FILE=str(users),
        KONG_STATUS_LISTEN=f"127.0.0.1:{status}",
    )
    gateway.admin.auth = ("nexus", "first")
    try:
        gateway.start()
        for auth in (None, ("nexus", ""), ("nexus", "second"), ("other", "first"), ("", "")):
            answer = httpx.get(f"http://127.0.0.1:{gateway.admin_port}/services", auth=auth)
            assert (answer.status_code, "www-authenticate" in answer.headers) == (401, True), auth
        digest = base64.b64encode(hashlib.sha1(b"second").digest()).decode()
        users.write_text(f"nexus:{{SHA}}{digest}\n")
        assert gateway.admin.get("/services").status_code == 401
        gateway.admin.auth = ("nexus", "second")
        assert gateway.admin.get("/services").status_code == 200
        for path in ("/status", "/status/ready", "/metrics"):
            assert httpx.get(f"http://127.0.0.1:{status}{path}").status_code == 200
        assert httpx.get(f"http://127.0.0.1:{status}/services").status_code == 404
    finally:
        gateway.close()
