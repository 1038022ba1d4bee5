"""One login opens the platform: everything that users meet at the gateway."""

from __future__ import annotations

import re
import socket
import ssl

import httpx
import pytest

from tests.e2e.environment import GATEWAY, TLS
from tests.e2e.whole.platform import Platform

pytestmark = pytest.mark.e2e


def test_engine_registry_and_gateway_agree_that_all_services_are_well(platform: Platform) -> None:
    status = platform.status()
    assert (status["healthy"], status["total"]) == (32, 32)
    published = set(platform.services)
    assert len(published) == 20
    for service in status["services"]:
        assert (service["well"], service["health"], service["discovery"]) == (True, "healthy", "passing"), service
        assert service["gateway"] == ("HEALTHY" if service["name"] in published else None), service


def test_one_login_opens_every_service(platform: Platform) -> None:
    for name, entry in platform.services.items():
        answer = platform.ask("admin", "GET", f"{entry.routes[0].path}/ready")
        assert (answer.status_code, answer.json().get("service")) == (200, name), answer.text
        assert {one["status"] for one in answer.json()["dependencies"].values()} == {"up"}


def test_a_route_takes_the_role_that_it_asks_for(platform: Platform) -> None:
    operators = {"nags-monitor", "users", "scheduler", "audit"}
    assert {name for name, entry in platform.services.items() if entry.routes[0].auth == "operator"} == operators
    for user, refused in (("ann", operators), ("olga", set())):
        answers = {
            name: platform.ask(user, "GET", f"{entry.routes[0].path}/health").status_code
            for name, entry in platform.services.items()
        }
        assert {name for name, status in answers.items() if status == 403} == refused
        assert {status for name, status in answers.items() if name not in refused} == {200}
    who = platform.ask("olga", "GET", "/api/v1/files/whoami").json()
    assert (who["username"], set(who["groups"])) == ("role-operator", {"operator", "user"})


def test_without_a_token_or_with_a_bad_one_only_the_login_is_open(platform: Platform) -> None:
    good = platform.token_of("admin")["Authorization"]
    head, body, signature = good.split(".")
    forged = f"{head}.{body}.{signature[:20]}{'A' if signature[20] != 'A' else 'B'}{signature[21:]}"
    for name, entry in platform.services.items():
        path, headers = f"{entry.routes[0].path}/health", {"Authorization": forged}
        nothing, bad = platform.http.get(path).status_code, platform.http.get(path, headers=headers).status_code
        assert (nothing, bad) == ((200, 200) if name == "auth" else (401, 401)), name
    invented = {"X-Consumer-Username": "role-admin", "X-Consumer-Groups": "admin,operator,user"}
    assert platform.http.get("/api/v1/audit/entries", headers=invented).status_code == 401
    assert platform.ask("ann", "GET", "/api/v1/files/whoami", headers=invented).json()["groups"] == ["user"]


def test_the_certificate_is_of_the_platforms_own_authority(platform: Platform) -> None:
    address = ("localhost", platform.offset + TLS)
    with (
        socket.create_connection(address) as plain,
        platform.trust.wrap_socket(plain, server_hostname="localhost") as s,
    ):
        certificate, version = s.getpeercert() or {}, s.version()
    assert ("DNS", "localhost") in certificate["subjectAltName"]
    assert version == "TLSv1.3"
    with (
        socket.create_connection(address) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost"),
    ):
        pass
    plainly = httpx.get(f"http://localhost:{platform.offset + GATEWAY}/api/v1/auth/health", trust_env=False)
    assert plainly.status_code == 200, "an environment of developers redirects nobody"


def test_the_page_of_apis_lists_every_service(platform: Platform) -> None:
    page = platform.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    listed = dict(re.findall(r'"name": "([a-z-]+)", "path": "([^"]+)"', page.text))
    assert listed == {name: entry.routes[0].path for name, entry in platform.services.items()}
    for name, path in listed.items():
        assert platform.ask("admin", "GET", f"{path}/openapi.json").json()["info"]["title"] == name
