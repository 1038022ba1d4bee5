"""Runs inside a service's container, with that service's identity and place in the network, as a break-in would.

Standard input is not used and nothing is given: what is found is what the service has. Prints one JSON object: what
was tried, and ``allowed`` or how it was refused.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg
import httpx
import redis.asyncio as redis

OWN, OTHER = os.environ["NEXUS_SERVICE"], "audit"
VAULT, CONSUL = os.environ["NEXUS_VAULT_ADDRESS"], os.environ["NEXUS_CONSUL_ADDRESS"]
found: dict[str, str] = {}


async def attempt(what: str, work: Callable[[], Awaitable[Any]]) -> Any:
    """Try something and note how it ended."""
    try:
        result = await asyncio.wait_for(work(), 20)
    except Exception as error:  # whatever refuses, in its own words
        found[what] = f"{type(error).__name__}: {error}"[:200]
        return None
    found[what] = "allowed"
    return result


async def ask(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    """A request that fails unless it is answered with success."""
    answer = await client.request(method, path, json=body)
    if not answer.is_success:
        raise PermissionError(answer.status_code)
    return answer.json() if answer.content else {}


async def vault() -> tuple[httpx.AsyncClient, dict[str, Any]]:
    """Log in and try what the policy is about; returns the client and the credentials it was lent."""
    client = httpx.AsyncClient(base_url=f"{VAULT}/v1/", trust_env=False, timeout=20)
    secret_id = Path(os.environ["NEXUS_VAULT_SECRET_ID_FILE"]).read_text().strip()

    async def login(role: str) -> str:
        answer = await ask(client, "POST", "auth/approle/login", {"role_id": role, "secret_id": secret_id})
        return answer["auth"]["client_token"]

    await attempt("vault: login as another", lambda: login(OTHER))
    client.headers["X-Vault-Token"] = await attempt("vault: login as itself", lambda: login(OWN))
    lent: dict[str, Any] = {}
    for name, path in {"redis": "secret/data/services/{}/redis", "postgres": "database/creds/{}",
                       "rabbitmq": "rabbitmq/creds/{}", "consul": "consul/creds/{}"}.items():  # fmt: skip
        for whose, service in (("own", OWN), ("another's", OTHER)):
            at = path.format(service)
            answer = await attempt(f"vault: {whose} {name}", lambda at=at: ask(client, "GET", at))
            if whose == "own" and answer:
                lent[name] = answer["data"]["data"] if name == "redis" else answer["data"]
    for role in ("gateway", "server"):
        path, body = f"pki_int/issue/{role}", {"common_name": OWN}
        await attempt(f"vault: a {role}'s certificate", lambda p=path, b=body: ask(client, "POST", p, b))
    for what, method, path in (
        ("upstream's key", "GET", "secret/data/services/ai/upstream"),
        ("a user's password", "GET", "secret/data/users/admin"),
        ("names of secrets", "LIST", "secret/metadata/services"),
        ("signing of tokens", "PUT", "transit/sign/auth-signing"),
        ("policies", "GET", "sys/policies/acl/service"),
        ("making of tokens", "POST", "auth/token/create"),
    ):
        await attempt(f"vault: {what}", lambda m=method, p=path: ask(client, m, p, {"input": "YQ=="}))
    return client, lent


async def postgres(login: dict[str, str]) -> None:
    """The pooler and the server behind it; other databases, other roles."""

    async def query(host: str, port: int, database: str, sql: str) -> None:
        connection = await asyncpg.connect(
            host=host, port=port, database=database, user=login["username"], password=login["password"], timeout=15,
            statement_cache_size=0,
        )  # fmt: skip
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    pool, own = (os.environ["NEXUS_POSTGRES_HOST"], int(os.environ["NEXUS_POSTGRES_PORT"])), OWN
    for what, where, database, sql in (
        ("own table", pool, own, "select count(*) from events"),
        ("another's database", pool, OTHER, "select 1"),
        ("another's database, past the pooler", ("postgres", 5432), OTHER, "select 1"),
        ("the gateway's database", pool, "kong", "select 1"),
        ("the server's own database", ("postgres", 5432), "postgres", "select 1"),
        ("passwords", pool, own, "select rolpassword from pg_authid"),
        ("another's role", pool, own, f'set role "{OTHER}"'),
        ("a new role", pool, own, "create role intruder"),
        ("files of the server", pool, own, "copy events from '/etc/passwd'"),
        ("programs on the server", pool, own, "copy events to program 'true'"),
    ):
        await attempt(f"postgres: {what}", lambda w=where, d=database, s=sql: query(*w, d, s))


async def cache(login: dict[str, str]) -> None:
    """Keys of others, and commands that reach all keys."""
    kept = {"username": login["username"], "password": login["password"], "protocol": 2, "socket_timeout": 5}
    for host in (os.environ["NEXUS_REDIS_HOST"], "redis"):
        client = redis.Redis(host=host, **kept)
        for what, command in (
            ("own key", ("SET", f"{OWN}:probe", "1", "EX", "5")),
            ("another's key", ("GET", "search:events:generation")),
            ("all keys", ("KEYS", "*")),
            ("emptying it", ("FLUSHALL",)),
            ("its settings", ("CONFIG", "GET", "*")),
            ("its users", ("ACL", "LIST")),
        ):
            await attempt(f"{host}: {what}", lambda c=client, k=command: c.execute_command(*k))
        await client.aclose()


async def broker(login: dict[str, str]) -> None:
    """Queues and exchanges of others; each refusal closes the channel, so each try has its own connection."""

    async def use(vhost: str, work: Callable[[Any], Awaitable[Any]]) -> None:
        connection = await aio_pika.connect(
            host=os.environ["NEXUS_RABBITMQ_HOST"], port=int(os.environ["NEXUS_RABBITMQ_PORT"]),
            login=login["username"], password=login["password"], virtualhost=vhost,
        )  # fmt: skip
        async with connection:
            await work(await connection.channel())

    async def read(channel: Any, queue: str) -> None:
        await (await channel.get_queue(queue, ensure=False)).get(fail=False, no_ack=False)

    async def push(channel: Any, key: str) -> None:
        await channel.default_exchange.publish(aio_pika.Message(b"{}"), key)

    async def purge(channel: Any) -> None:
        await (await channel.get_queue(OTHER, ensure=False)).purge()

    vhost = os.environ["NEXUS_RABBITMQ_VHOST"]
    for what, where, work in (
        ("own queue", vhost, lambda channel: read(channel, OWN)),
        ("another's queue", vhost, lambda channel: read(channel, OTHER)),
        ("another's dead letters", vhost, lambda channel: read(channel, f"{OTHER}.dead")),
        ("emptying another's queue", vhost, purge),
        ("a message past the exchange", vhost, lambda channel: push(channel, OTHER)),
        ("a new queue", vhost, lambda channel: channel.declare_queue("intruder")),
        ("another virtual host", "/", lambda channel: channel.declare_queue("intruder")),
    ):
        await attempt(f"rabbitmq: {what}", lambda v=where, w=work: use(v, w))


async def registry(token: str) -> None:
    """Entries and keys of others."""
    async with httpx.AsyncClient(base_url=CONSUL, trust_env=False, headers={"X-Consul-Token": token}) as client:
        for what, method, path, body in (
            ("own key", "PUT", f"/v1/kv/services/{OWN}/probe", "1"),
            ("own key again", "DELETE", f"/v1/kv/services/{OWN}/probe", None),
            ("addresses of others", "GET", f"/v1/health/service/{OTHER}?passing", None),
            ("another's key", "PUT", f"/v1/kv/services/{OTHER}/probe", "1"),
            ("taking another's place", "PUT", "/v1/agent/service/register", {"Name": OTHER, "Address": "6.6.6.6"}),
            ("tokens", "GET", "/v1/acl/tokens", None),
            ("policies", "PUT", "/v1/acl/policy", {"Name": "intruder"}),
        ):
            await attempt(f"consul: {what}", lambda m=method, p=path, b=body: ask(client, m, p, b))


async def admin_apis() -> None:
    """What runs the platform, without a password."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        for what, url in (
            ("the gateway's Admin API", "http://kong:8001/services"),
            ("the broker's API", "http://rabbitmq:15672/api/users"),
            ("the registry's tokens", "http://consul:8500/v1/acl/tokens"),
        ):
            await attempt(f"open: {what}", lambda u=url: ask(client, "GET", u))


async def main() -> None:
    client, lent = await vault()
    await postgres(lent["postgres"])
    await cache(lent["redis"])
    await broker(lent["rabbitmq"])
    await registry(lent["consul"]["token"])
    await admin_apis()
    await attempt("vault: giving all back", lambda: ask(client, "POST", "auth/token/revoke-self"))
    await client.aclose()
    print(json.dumps(found))  # noqa: T201 - the report


asyncio.run(main())
