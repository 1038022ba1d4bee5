"""TLS between client and gateway: leased certificates, and plain requests sent there."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.standins.entities import Make, route
from tests.standins.gateway import Gateway

LEASE = "3b1e9f0e-5b53-4d0b-9b64-0f6f8c1c7a01"


def issued(folder: Path, name: str) -> dict[str, str]:
    """A certificate for ``name`` by an authority of its own, whose certificate is in ``folder/ca``."""
    run = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    subprocess.run(
        [*run, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca"], cwd=folder, check=True, capture_output=True
    )
    subprocess.run(
        [*run, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
         "-addext", "basicConstraints=critical,CA:FALSE", "-CA", "ca", "-CAkey", "ca.key",
         "-keyout", "key", "-out", "cert"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return {"cert": (folder / "cert").read_text(), "key": (folder / "key").read_text()}


def serial(kong: Gateway, ca: Path, name: str) -> int:
    """The serial number of the certificate that the gateway shows for ``name``, verified against ``ca``."""
    context = ssl.create_default_context(cafile=str(ca))
    plain = socket.create_connection(("127.0.0.1", kong.tls_port), 5)
    with context.wrap_socket(plain, server_hostname=name) as wrapped:
        shown = wrapped.getpeercert()
        assert shown is not None
        return int(str(shown["serialNumber"]), 16)


def test_a_leased_certificate_is_used_and_replaced_under_its_own_id(kong: Gateway, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError):
        serial(kong, Path("/etc/ssl/certs/ca-certificates.crt"), "gateway.test")
    seen = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        body = {**issued(folder, "gateway.test"), "snis": ["gateway.test", "*"], "tags": ["lease"]}
        assert kong.admin.put(f"/certificates/{LEASE}", json=body).status_code == 200
        seen.append(serial(kong, folder / "ca", "gateway.test"))
    assert seen[0] != seen[1]
    assert [c["id"] for c in kong.admin.get("/certificates").json()["data"]] == [LEASE]
    assert len(kong.admin.get("/snis").json()["data"]) == 2


def test_a_route_for_https_alone_turns_plain_requests_away(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"), paths=["/upgrade"], protocols=["https"])
    route(kong, echo("b"), paths=["/moved"], protocols=["https"], https_redirect_status_code=308)
    refused = kong.proxy.get("/upgrade")
    assert (refused.status_code, refused.headers["upgrade"]) == (426, "TLS/1.2, HTTP/1.1")
    assert refused.json()["message"] == "Please use HTTPS protocol"
    moved = kong.proxy.get("/moved/x?y=1")
    assert (moved.status_code, moved.headers["location"]) == (308, "https://127.0.0.1/moved/x?y=1")
    with httpx.Client(base_url=f"https://127.0.0.1:{kong.tls_port}", verify=False) as client:
        assert client.get("/moved/x?y=1").status_code == 200


def test_an_included_redirect_sends_all_plain_requests_to_the_public_port(
    kong_binary: Path, tmp_path: Path, echo: Make
) -> None:
    snippet = tmp_path / "plain.conf"
    gateway = Gateway(kong_binary, tmp_path, KONG_NGINX_PROXY_INCLUDE=str(snippet))
    snippet.write_text(f"if ($scheme = http) {{ return 308 https://$host:{gateway.tls_port}$request_uri; }}\n")
    try:
        route(gateway.start(), echo("a"))
        moved = gateway.proxy.get("/x?y=1")
        assert moved.status_code == 308
        assert moved.headers["location"] == f"https://127.0.0.1:{gateway.tls_port}/x?y=1"
        assert httpx.get(moved.headers["location"], verify=False).json()["path"] == "/x?y=1"
    finally:
        gateway.close()
