"""RabbitMQ as the platform runs it: from definitions, each service on a queue of its own, nothing accepted is lost."""

from __future__ import annotations

import time

import aio_pika
import aiormq
import httpx
import pytest

from components import rabbitmq
from infra import images
from tests.images import data
from tests.images.conftest import Under, packed

pytestmark = pytest.mark.engine
REFUSED = aiormq.exceptions.ChannelAccessRefused
WRITE = rf"^({rabbitmq.EVENTS}|{rabbitmq.DEAD.replace('.', '[.]')})$"


@pytest.fixture(scope="module")
def broker(engine, image):
    held = Under(engine)
    try:
        yield data.broker(held, image, "transform", "audit")
    finally:
        held.remove()


async def publish(address: str, *bodies: str, key: str = "event.created") -> None:
    """With confirms: it returns when the server has accepted all of them."""
    async with await aio_pika.connect(address) as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange(rabbitmq.EVENTS, ensure=False)
        for body in bodies:
            message = aio_pika.Message(body.encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await exchange.publish(message, key, timeout=20)


async def take(address: str, queue: str, count: int, within: float = 20) -> list[aio_pika.abc.AbstractIncomingMessage]:
    """Messages of a queue, acknowledged."""
    taken = []
    async with await aio_pika.connect(address) as connection:
        channel = await connection.channel()
        source = await channel.get_queue(queue, ensure=False)
        end = time.monotonic() + within
        while len(taken) < count:
            if message := await source.get(fail=False):
                await message.ack()
                taken.append(message)
            else:
                assert time.monotonic() < end, f"{len(taken)} of {count} came"
    return taken


def test_it_has_just_what_is_defined(broker, under):
    with broker.api() as api:
        assert [user["name"] for user in api.get("/users").json() if user["name"] == "guest"] == []
        assert {vhost["name"] for vhost in api.get("/vhosts").json()} == {rabbitmq.VHOST}
    listing = [
        "rabbitmqctl",
        "--quiet",
        "--no-table-headers",
        "list_queues",
        "-p",
        rabbitmq.VHOST,
        "name",
        "type",
        "policy",
    ]
    names = ("audit", "audit.dead", "transform", "transform.dead")
    said = under.ask(broker.server, listing)[1]
    assert sorted(line.split() for line in said.splitlines()) == [[name, "quorum", name] for name in names]
    with httpx.Client(base_url=f"http://127.0.0.1:{data.port_of(broker.server, 15672)}/api") as nobody:
        assert nobody.get("/users", auth=("guest", "guest")).status_code == 401


async def test_a_service_publishes_and_reads_its_own_queue_and_no_other(broker):
    user = broker.lend("v-transform", WRITE, "^transform$")
    await publish(user, "one")
    assert [m.body for m in await take(user, "transform", 1)] == [b"one"]
    with pytest.raises(REFUSED):
        await take(user, "audit", 1)
    async with await aio_pika.connect(user) as connection:
        with pytest.raises(REFUSED):
            await (await connection.channel()).declare_queue("its-own-idea", durable=True)
        channel = await connection.channel()
        with pytest.raises(REFUSED):
            await channel.default_exchange.publish(aio_pika.Message(b"past the exchange"), "audit", timeout=10)
    reader = broker.lend("v-audit", "^$", "^audit$")
    with pytest.raises(REFUSED):
        await publish(reader, "not allowed")
    assert [m.body for m in await take(reader, "audit", 1)] == [b"one"]


async def test_what_is_refused_or_keeps_failing_is_kept_aside_with_the_reason(broker):
    user = broker.lend("v-transform", WRITE, "^transform([.]dead)?$")
    await publish(user, "invalid", "poison")
    deliveries = 0
    async with await aio_pika.connect(user) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue("transform", ensure=False)
        end = time.monotonic() + 20
        while time.monotonic() < end and deliveries <= rabbitmq.DELIVERY_LIMIT:
            message = await queue.get(fail=False)
            if message and message.body == b"invalid":
                await message.reject(requeue=False)
            elif message:
                deliveries += 1
                await message.nack(requeue=True)
    assert deliveries == rabbitmq.DELIVERY_LIMIT + 1
    dead = {m.body: m.headers["x-death"][0] for m in await take(user, "transform.dead", 2)}
    assert {body: death["reason"] for body, death in dead.items()} == {
        b"invalid": "rejected",
        b"poison": "delivery_limit",
    }
    assert all(death["queue"] == "transform" for death in dead.values())


@pytest.mark.parametrize("end", ["restart", "kill"])
async def test_a_restart_loses_no_accepted_message_and_heals(broker, under, end):
    user = broker.lend("v-transform", WRITE, "^(transform|audit)$")
    with broker.api() as api:
        api.delete(f"/queues/{rabbitmq.VHOST}/transform/contents")
    await publish(user, *(f"{end}-{n}" for n in range(100)))
    if end == "kill":
        broker.server.kill()
        broker.server.start()
    else:
        broker.server.restart()
    # It is to be back within 30 s. How long that is depends on who else works on the machine; its own work does not.
    under.answers(broker.server, images.contract("rabbitmq").health, within=180)
    assert broker.server.stats(stream=False)["cpu_stats"]["cpu_usage"]["total_usage"] < 12e9
    bodies = [m.body.decode() for m in await take(broker.address("v-transform"), "transform", 100)]
    assert sorted(bodies) == sorted(f"{end}-{n}" for n in range(100))


async def test_another_queue_is_there_without_a_restart_and_what_was_stays(broker, under):
    user = broker.lend("v-transform", WRITE, "^(transform|users)$")
    with broker.api() as api:
        api.delete(f"/queues/{rabbitmq.VHOST}/transform/contents")
    await publish(user, "before")
    spec = broker.spec("transform", "audit", "users")
    files = {rabbitmq.DEFINITIONS: data.broker_files(spec)[rabbitmq.DEFINITIONS]}
    before = broker.server.attrs["State"]["StartedAt"]
    broker.server.put_archive("/run/secrets", packed(files, (999, 999)))
    assert under.ask(broker.server, rabbitmq.workload(spec).ready) == (0, "")
    await publish(user, "after")
    assert [m.body for m in await take(user, "transform", 2)] == [b"before", b"after"]
    assert [m.body for m in await take(user, "users", 1)] == [b"after"]
    broker.server.reload()
    assert broker.server.attrs["State"]["StartedAt"] == before or broker.server.attrs["RestartCount"] == 0


async def test_a_full_queue_refuses_instead_of_forgetting(broker):
    user = broker.lend("v-transform", WRITE, "^transform$")
    with broker.api() as api:
        api.delete(f"/queues/{rabbitmq.VHOST}/transform/contents")
        policy = api.get(f"/policies/{rabbitmq.VHOST}/transform").json()
        small = {**policy, "definition": {**policy["definition"], "max-length": 5}}
        assert api.put(f"/policies/{rabbitmq.VHOST}/transform", json=small).status_code == 204
        with pytest.raises(aio_pika.exceptions.DeliveryError):
            await publish(user, *(str(n) for n in range(50)))
        assert api.put(f"/policies/{rabbitmq.VHOST}/transform", json=policy).status_code == 204


def test_only_what_is_meant_for_others_listens_on_the_network(broker, under):
    listening = "cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\" {print $2}' | sort -u"
    sockets = [line.split(":") for line in under.ask(broker.server, ["sh", "-c", listening])[1].split()]
    loopback = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
    # 127.0.0.11 is where the engine answers names, on a port of its own choice.
    outward = {int(port, 16) for address, port in sockets if address not in {*loopback, "0B00007F"}}
    ports = images.contract("rabbitmq").ports
    assert outward == {port for name, port in ports.items() if name not in ("amqps", "management-tls")}, "without TLS"


def test_a_health_check_leaves_no_line_in_the_log(broker, under):
    before = len(broker.server.logs().splitlines())
    for _ in range(3):
        assert under.ask(broker.server, images.contract("rabbitmq").health)[0] == 0
    time.sleep(1)
    assert len(broker.server.logs().splitlines()) == before
