"""Provider, agent and gateway at work: one login through TLS opens what the role may reach, and nothing else."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from components import gateway as declared
from tests import oidc
from tests.services import servers
from tests.services.auth import world as parts
from tests.services.gateway_agent.world import ROLES
from tests.standins.echo import Echo
from tests.standins.gateway import Gateway, free_port

PATH = "/api/v1/auth"
INCLUDES = {"admin": ("operator",), "operator": ("user",), "user": ()}


def publish(kong: Gateway, name: str, url: str, path: str, role: str | None) -> None:
    """A service and its route as the stack declares them."""
    service = kong.admin.put(f"/services/{name}", json={"url": url}).json()
    route = {"paths": [path], "strip_path": True, "service": {"id": service["id"]}}
    kong.admin.put(f"/routes/{name}", json=route).raise_for_status()
    if role:
        config = {"allow": [role], "hide_groups_header": False}
        kong.admin.post(f"/routes/{name}/plugins", json={"name": "acl", "config": config}).raise_for_status()


@pytest.fixture
def platform(vault, kong, world, make, tmp_path) -> Iterator[tuple[str, ssl.SSLContext, Gateway]]:
    """All of it behind one address: the address, and what it takes to trust it."""
    vault.role("auth", parts.POLICY)
    vault.put("services/auth/seed", parts.seed())
    anonymous = kong.admin.post("/consumers", json={"username": declared.ANONYMOUS}).json()
    tokens = declared.tokens(anonymous["id"])
    kong.admin.post("/plugins", json={"name": "jwt", "config": tokens}).raise_for_status()
    upstreams: list[Echo] = []
    for role in ROLES:
        for group in declared.included(role, INCLUDES):
            kong.admin.post(f"/consumers/role-{role}/acls", json={"group": group}).raise_for_status()
        upstreams.append(Echo(free_port(), role))
        publish(kong, f"for-{role}", f"http://{upstreams[-1].target}", f"/for-{role}", role)
    provider = parts.Provider(world.environment(path=PATH), tmp_path)
    address = f"https://localhost:{kong.tls_port}"
    provider.environment["NEXUS_PUBLIC_URL"] = address
    publish(kong, "auth", provider.url, PATH, None)
    make()
    provider.start()
    servers.eventually(lambda: provider.status("/ready") == 200, 20, "the provider is ready")
    servers.eventually(lambda: kong.admin.get("/certificates").json()["data"], 10, "the certificate is there")
    trusted = tmp_path / "ca.pem"
    trusted.write_text(httpx.get(f"{vault.url}/v1/pki_int/ca/pem").text)
    yield address, ssl.create_default_context(cafile=str(trusted)), kong
    provider.stop()
    for upstream in upstreams:
        upstream.close()


def reach(address: str, trust: ssl.SSLContext, headers: dict[str, str]) -> list[int]:
    """What the routes of user, operator and admin answer."""
    with httpx.Client(base_url=address, verify=trust, headers=headers) as client:
        return [client.get(f"/for-{role}").status_code for role in ("user", "operator", "admin")]


def test_one_login_opens_what_the_role_may_reach(platform):
    address, trust, _ = platform
    seen: dict[str, list[int]] = {}
    for name in (parts.USER, parts.OPERATOR, parts.ADMIN):
        client = oidc.Oidc(address + PATH, verify=trust)
        tokens = client.login(name, parts.PASSWORDS[name])
        seen[name] = reach(address, trust, tokens.bearer)
        assert reach(address, trust, {"Authorization": f"Bearer {tokens.id_token}"}) == [401, 401, 401]
        cookie = next(cookie for cookie in client.http.cookies.jar if cookie.name == "nexus_session")
        assert (cookie.secure, cookie.path) == (True, PATH)
        client.close()
    assert seen == {parts.USER: [200, 403, 403], parts.OPERATOR: [200, 200, 403], parts.ADMIN: [200, 200, 200]}


def test_without_a_good_token_nothing_opens(platform, vault):
    address, trust, _ = platform
    client = oidc.Oidc(address + PATH, verify=trust)
    token = client.login(parts.USER, parts.PASSWORDS[parts.USER]).access
    client.close()
    first, _, third = token.split(".")
    other = oidc.claims(token) | {"roles": ["admin"], "gw": oidc.claims(token)["gw"].replace("user", "admin")}
    forged = base64.urlsafe_b64encode(json.dumps(other).encode()).rstrip(b"=").decode()
    for bad in (f"{first}.{forged}.{third}", "x", token[:-8] + "AAAAAAAA"):
        assert set(reach(address, trust, {"Authorization": f"Bearer {bad}"})) <= {401, 403}
    assert set(reach(address, trust, {})) <= {401, 403}


def test_a_rotation_of_the_key_refuses_no_token_on_the_way(platform, vault):
    address, trust, _ = platform
    client = oidc.Oidc(address + PATH, verify=trust)
    tokens = client.login(parts.USER, parts.PASSWORDS[parts.USER])
    before = oidc.claims(tokens.access)["gw"]
    vault.rotate()

    def moved() -> bool:
        nonlocal tokens
        tokens = client.refresh(tokens)
        assert reach(address, trust, tokens.bearer) == [200, 403, 403], oidc.claims(tokens.access)["gw"]
        return oidc.claims(tokens.access)["gw"] != before

    servers.eventually(moved, 30, "tokens are signed with the new version")
    client.close()


def test_the_login_with_curl_works_as_it_is_written(platform, tmp_path):
    address, _, _ = platform
    text = (servers.ROOT / "docs/identity.md").read_text()
    script = text.partition("## A login with curl")[2].partition("```sh\n")[2].partition("```")[0]
    script = script.replace("https://localhost:4300", address)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        input=parts.PASSWORDS[parts.ADMIN] + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["preferred_username"] == parts.ADMIN
