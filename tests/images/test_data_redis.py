"""Redis as the platform runs it: each user on keys of its own, two passwords at a time, and what a restart keeps."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from components import redis
from infra import images
from tests.images import data
from tests.images.conftest import packed
from tests.standins.process import eventually

pytestmark = pytest.mark.engine

USERS = {"auth": ["new", "old"], "users": ["its-own"], "kong": ["rates"]}
INCREMENT = "local n = redis.call('incr', KEYS[1]); redis.call('expire', KEYS[1], ARGV[1]); return n - 1"


def ask(under, server, user, *words, password=""):
    login = ["--no-auth-warning", "--user", user, "--pass", password or USERS[user][0]]
    return under.ask(server, ["redis-cli", *login, *words])[1].strip()


def test_a_user_works_on_keys_of_its_own_and_learns_of_no_others(under, image):
    server = data.store(under, image, "store", USERS)
    assert ask(under, server, "auth", "set", "auth:session", "secret") == "OK"
    assert ask(under, server, "auth", "get", "auth:session", password="old") == "secret"
    assert "WRONGPASS" in ask(under, server, "auth", "ping", password="older")
    for words in (
        ("get", "auth:session"),
        ("set", "auth:session", "x"),
        ("del", "auth:session"),
        ("rename", "users:a", "auth:session"),
        ("eval", "return redis.call('get', KEYS[1])", "1", "auth:session"),
        ("publish", "auth:news", "x"),
        ("keys", "*"),
        ("scan", "0"),
        ("randomkey",),
        ("pubsub", "channels"),
        ("flushall",),
        ("script", "flush"),
        ("config", "get", "*"),
        ("acl", "list"),
        ("client", "list"),
    ):
        assert "NOPERM" in ask(under, server, "users", *words), words
    assert "can't access" in ask(under, server, "users", "eval", "return redis.call('get', 'auth:session')", "0")
    assert ask(under, server, "users", "incrby", "users:counter", "2") == "2"


def test_the_gateway_counts_and_does_nothing_else(under, image):
    server = data.store(under, image, "store", USERS)
    assert ask(under, server, "kong", "eval", INCREMENT, "1", "ratelimit:a", "60") == "0"
    assert ask(under, server, "kong", "eval", INCREMENT, "1", "ratelimit:a", "60") == "1"
    assert "redis_version" in ask(under, server, "kong", "info", "server")
    for words in (("get", "auth:session"), ("set", "ratelimit:a", "0"), ("del", "ratelimit:a"), ("keys", "*")):
        assert "NOPERM" in ask(under, server, "kong", *words), words


@pytest.mark.parametrize(("purpose", "kept"), [("store", "42"), ("cache", "")])
def test_a_killed_store_keeps_what_it_accepted_and_a_cache_begins_empty(under, image, purpose, kept):
    server = data.store(under, image, purpose, USERS)
    assert ask(under, server, "auth", "set", "auth:n", "42") == "OK"
    both = "redis.call('set', KEYS[1], ARGV[1]); return redis.call('set', KEYS[2], ARGV[1])"
    assert ask(under, server, "auth", "eval", both, "2", "auth:{s}1", "auth:{s}2", "42") == "OK"
    client = "redis-cli --no-auth-warning --user auth --pass new"
    whole = under.ask(server, ["sh", "-c", f"printf 'multi\nset auth:t 42\nincr auth:u\nexec\n' | {client}"])[1]
    assert whole.split()[-2:] == ["OK", "1"], whole
    started = time.monotonic()
    server.kill()
    server.start()
    under.answers(server, images.contract("redis").health, within=30)
    for key in ("n", "{s}1", "{s}2", "t"):
        assert ask(under, server, "auth", "get", f"auth:{key}") == kept, "a script's and a transaction's are kept, too"
    assert "NOAUTH" in under.ask(server, ["redis-cli", "get", "auth:n"])[1]
    assert "WRONGPASS" in ask(under, server, "default", "ping", password="x")
    assert time.monotonic() - started < 30


def test_a_store_whose_disk_takes_no_more_answers_readers_is_not_unhealthy_and_goes_on_once_it_can(under, image):
    server = data.store(under, image, "store", USERS)
    assert ask(under, server, "auth", "set", "auth:n", "1") == "OK"
    server.reload()
    (folder,) = (mount["Source"] for mount in server.attrs["Mounts"] if mount["Destination"] == "/data")
    (file,) = Path(folder, "appendonlydir").glob("*.incr.aof")  # on a disk that is full, or broken
    subprocess.run(["chattr", "+i", str(file)], check=True)
    try:
        eventually(lambda: "MISCONF" in ask(under, server, "auth", "set", "auth:n", "2"), 10)
        assert under.ask(server, redis.asked(images.contract("redis"), encrypted=False)[0])[0] == 0
        assert under.ask(server, images.contract("redis").health)[0] == 0
        assert ask(under, server, "auth", "get", "auth:n") == "2", "what it took before it knew"
    finally:
        subprocess.run(["chattr", "-i", str(file)], check=True)
    eventually(lambda: ask(under, server, "auth", "set", "auth:n", "3") == "OK", 10)
    server.kill()
    server.start()
    under.answers(server, images.contract("redis").health, within=30)
    assert ask(under, server, "auth", "get", "auth:n") == "3"


def test_another_user_is_known_without_a_restart(under, image):
    server = data.store(under, image, "store", {"auth": ["new"]})
    more = {"auth": ["newer", "new"], "users": ["its-own"]}
    text = redis.acl([redis.User(name=name) for name in more], more)
    server.put_archive("/run/secrets", packed({redis.USERS: text}, (999, 999)))
    assert under.ask(server, redis.asked(images.contract("redis"), encrypted=False)[1])[0] == 0
    assert ask(under, server, "users", "ping") == "PONG"
    assert {ask(under, server, "auth", "ping", password=word) for word in ("new", "newer")} == {"PONG"}


@pytest.mark.parametrize(("purpose", "refused"), [("store", True), ("cache", False)])
def test_a_full_cache_gives_up_the_oldest_and_a_full_store_refuses_what_never_expires(under, image, purpose, refused):
    server = data.store(under, image, purpose, USERS)
    fill = "x=$(printf %20000s | tr ' ' x); for i in $(seq 4000); do echo set users:$i $x; done"
    client = "redis-cli --no-auth-warning --user users --pass its-own"
    answers = under.ask(server, ["sh", "-c", f"({fill}) | {client} | cut -c 1-10 | sort | uniq -c"])[1]
    assert ("OOM" in answers) is refused, answers
    assert "OK" in answers
    assert ask(under, server, "users", "get", "users:4000")[:1] == ("" if refused else "x")
