"""The keeper against a real Vault: bootstrap, restarts, kills, losses; and what it must never show."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from components.vault import KEEPER_ALIVE
from tests.hanging import hang
from tests.images import vault
from tests.images.vault import TOKEN, Pair, become_root, says, status, unseal_key

pytestmark = pytest.mark.engine
STACK = {"X-Vault-Token": TOKEN}


@pytest.fixture
def made(engine, image):
    with vault.pair(engine, image("vault")) as pair:
        yield pair


def bootstrapped(made: Pair) -> None:
    """The stack's token works, both audit devices are on, and no root token is left."""
    own = made.vault.get("auth/token/lookup-self", headers=STACK).json()["data"]
    assert (own["policies"], own["orphan"], own["period"]) == (["nexus-stack"], True, 768 * 3600)
    keeper = made.containers[-1]
    root = become_root(made, unseal_key(keeper))
    assert [token["policies"] for token in vault.tokens(made, root)] == [["nexus-stack"]]
    assert set(made.vault.get("sys/audit", headers=root).json()["data"]) == {"file/", "stdout/"}
    made.vault.post("auth/token/revoke-self", headers=root)


class Watcher(threading.Thread):
    """Collects arguments and environment of all processes in a container while it runs."""

    def __init__(self, container: Any) -> None:
        super().__init__(daemon=True)
        self.container, self.seen, self.done = container, set[str](), threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.02):
            for process in self.container.top(ps_args="axeww -o pid,args")["Processes"] or []:
                self.seen.add(" ".join(process[1:]))


def test_a_new_vault_is_initialised_unsealed_and_given_the_stacks_token_and_nothing_shows_a_secret(made):
    server = made.server()
    keeper = made.keeper()
    watcher = Watcher(keeper)
    watcher.start()
    assert says(keeper, "ready", 60) < 30
    watcher.done.set()
    watcher.join()
    bootstrapped(made)

    key = unseal_key(keeper)
    assert keeper.exec_run(["stat", "-c", "%a %u", "/vault/file/unseal-key"])[1] == b"400 100\n"
    assert keeper.exec_run(["ls", "/vault/file"])[1].split() == [b"bootstrapped", b"in-use", b"unseal-key"]
    assert any("generate-root" in argv for argv in watcher.seen), watcher.seen
    keeper.reload()
    server.reload()
    shown = [*watcher.seen, str(keeper.attrs), str(server.attrs), keeper.logs().decode(), server.logs().decode()]
    for secret in (key, TOKEN, "hvs."):
        assert not [text for text in shown if secret in text], "a secret is shown"
    assert b'"path":"auth/token/create-orphan"' in server.logs(), "the device on the container's output has no lines"
    assert server.exec_run(["grep", "-c", "create-orphan", "/vault/file/audit/audit.log"])[0] == 0
    assert keeper.exec_run(["sh", "-c", "ls -A /tmp/keeper/.vault-token"])[0] != 0, "a token is left in memory"


def test_a_restarted_vault_is_unsealed_within_ten_seconds(made):
    server = made.server()
    keeper = made.keeper()
    says(keeper, "ready", 60)
    server.restart(timeout=10)
    start = time.monotonic()
    while made_health(made) != 200:
        assert time.monotonic() - start < 10, vault.state(keeper)
        time.sleep(0.05)
    says(keeper, "ready", 10)


def made_health(made: Pair) -> int:
    try:
        return made.vault.get("sys/health").status_code
    except Exception:
        return 0


def test_a_keeper_killed_at_any_moment_goes_on_where_it_was(made):
    made.server()
    keeper = made.keeper()
    chance = random.Random(4)  # moments, not secrets
    for _ in range(10):
        time.sleep(chance.uniform(0.2, 1.6))
        keeper.kill()
        keeper.start()
    says(keeper, "ready", 60)
    bootstrapped(made)


def test_a_vault_whose_key_was_lost_before_it_held_anything_starts_over(made):
    made.server()
    while not status(made):
        time.sleep(0.1)
    made.vault.put("sys/init", json={"secret_shares": 1, "secret_threshold": 1})
    keeper = made.keeper()
    says(keeper, "has no key for it", 20)
    says(keeper, "ready", 60)
    bootstrapped(made)


def without_a_seal(made: Pair) -> bool:
    return made.vault.get("sys/seal-status").status_code == 500


def without_a_key_ring(made: Pair) -> bool:
    """However often it is tried."""
    return not status(made)["initialized"] and not any(initialised(made) for _ in range(5) if not time.sleep(0.3))


def once_it_says_so(made: Pair) -> None:
    """For some 50 ms, after a second in which it answers nobody."""
    while not without_a_seal(made) and not status(made).get("initialized"):
        pass


def early(_: Pair) -> None:
    time.sleep(random.uniform(0.05, 1))


@pytest.mark.parametrize(("moment", "half"), [(once_it_says_so, without_a_seal), (early, without_a_key_ring)])
def test_a_vault_that_was_killed_while_it_was_being_initialised_starts_over(made, moment, half):
    server = half_made(made, moment, half)
    began = time.monotonic()
    keeper = made.keeper()
    says(keeper, "ready", 60)
    assert time.monotonic() - began < 30
    assert b"starting over" in server.logs()
    bootstrapped(made)


def half_made(made: Pair, moment: Callable[[Pair], None], half: Callable[[Pair], bool]) -> Any:
    """A Vault that was killed at the right moment: one after the other, until one was."""
    for _ in range(40):
        server = made.server()
        while not status(made):
            time.sleep(0.1)
        server.reload()
        asking = threading.Thread(target=initialised, args=(made,), daemon=True)
        asking.start()
        moment(made)
        os.kill(server.attrs["State"]["Pid"], signal.SIGKILL)
        asking.join()
        time.sleep(0.5)
        while made_health(made) == 0:
            time.sleep(0.1)
        if half(made):
            return server
        made.lose(server, "vault-data")
    pytest.fail("never killed in the middle")


def initialised(made: Pair) -> bool:
    """Whether somebody could initialise it, who then loses the key."""
    asked = {"secret_shares": 1, "secret_threshold": 1}
    with suppress(httpx.HTTPError):
        return httpx.put(f"{made.vault.base_url}sys/init", json=asked, timeout=10).is_success
    return False


def test_a_vault_that_holds_something_never_starts_over_and_the_keeper_names_what_is_missing(made):
    server = made.server()
    keeper = made.keeper()
    says(keeper, "ready", 60)
    key = unseal_key(keeper)
    made.lose(keeper, "vault-keeper-data")
    server.restart(timeout=10)
    keeper = made.keeper()
    says(keeper, f"volume nexus-{made.key}-vault-keeper-data has no key for it", 20)
    time.sleep(vault.PATIENCE + 7)
    assert status(made)["initialized"] is True
    made.vault.put("sys/unseal", json={"key": key})
    assert status(made)["sealed"] is False, "the old key still opens it"
    says(keeper, "from its backup", 20)


def test_a_keeper_does_not_throw_away_the_key_of_a_vault_that_was_lost(made):
    server = made.server()
    keeper = made.keeper()
    says(keeper, "ready", 60)
    key = unseal_key(keeper)
    made.lose(server, "vault-data")
    made.server()
    says(keeper, f"Restore volume nexus-{made.key}-vault-data", 30)
    assert unseal_key(keeper) == key
    assert status(made)["initialized"] is False


def test_a_revoked_stack_token_and_a_changed_policy_are_made_good(made):
    made.server()
    keeper = made.keeper()
    says(keeper, "ready", 60)
    root = become_root(made, unseal_key(keeper))
    made.vault.post("auth/token/revoke", headers=root, json={"token": TOKEN})
    assert made.vault.get("auth/token/lookup-self", headers=STACK).status_code == 403
    made.lose(keeper)
    policy = 'path "auth/token/*" { capabilities = ["read", "update"] }\n'
    keeper = made.keeper(policy)
    says(keeper, "ready", 30)
    assert made.vault.get("sys/policies/acl/nexus-stack", headers=root).status_code == 403, "the test's root is gone"
    bootstrapped(made)
    root = become_root(made, unseal_key(keeper))
    assert made.vault.get("sys/policies/acl/nexus-stack", headers=root).json()["data"]["policy"] == policy


def test_a_rotated_stack_token_takes_the_place_of_the_one_before(made):
    made.server()
    keeper = made.keeper()
    says(keeper, "ready", 60)
    made.lose(keeper)
    says(made.keeper(token="another-token-of-the-stack-98765"), "ready", 30)
    new = {"X-Vault-Token": "another-token-of-the-stack-98765"}
    assert made.vault.get("auth/token/lookup-self", headers=new).json()["data"]["policies"] == ["nexus-stack"]
    assert made.vault.get("auth/token/lookup-self", headers=STACK).status_code == 403
    root = become_root(made, unseal_key(made.containers[-1]))
    assert len(vault.tokens(made, root)) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        ("GET", "sys/mounts", None, 200),
        ("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}, 204),
        ("POST", "secret/data/services/x/y", {"data": {"a": "b"}}, 200),
        ("GET", "secret/data/services/x/y", None, 403),
        ("LIST", "secret/metadata/services", None, 403),
        ("POST", "sys/mounts/transit", {"type": "transit"}, 204),
        ("POST", "transit/keys/x", {}, 200),
        ("POST", "transit/encrypt/x", {"plaintext": "YQ=="}, 403),
        ("POST", "transit/decrypt/x", {"ciphertext": "vault:v1:x"}, 403),
        ("GET", "transit/export/encryption-key/x", None, 403),
        ("POST", "sys/mounts/database", {"type": "database"}, 204),
        ("GET", "database/creds/x", None, 403),
        ("PUT", "sys/leases/revoke-prefix/database/creds", {}, 204),
        ("PUT", "sys/leases/revoke-prefix/auth/approle", {}, 403),
        ("POST", "pki_int/issue/gateway", {"common_name": "x"}, 403),
        ("PUT", "sys/policies/acl/service", {"policy": 'path "x" { capabilities = ["read"] }'}, 204),
        ("PUT", "sys/policies/acl/nexus-stack", {"policy": 'path "*" { capabilities = ["sudo"] }'}, 403),
        ("POST", "auth/token/create", {"policies": ["root"]}, 403),
        ("GET", "sys/audit", None, 403),
        ("PUT", "sys/seal", None, 403),
        ("PUT", "sys/rotate", None, 403),
        ("GET", "sys/storage/raft/snapshot", None, 403),
    ],
)
def test_the_stacks_token_may_declare_and_write_but_not_read_or_use(method, path, body, answer, prepared):
    assert prepared.vault.request(method, path, headers=STACK, json=body).status_code == answer


@pytest.fixture(scope="module")
def prepared(engine, image):
    with vault.pair(engine, image("vault")) as pair:
        pair.server()
        says(pair.keeper(), "ready", 60)
        yield pair


def test_the_metrics_need_no_token(prepared):
    text = prepared.vault.get("sys/metrics", params={"format": "prometheus"}).text
    assert re.search(r"^vault_core_unsealed(\{[^}]*\})? 1$", text, re.MULTILINE), text


def test_a_keeper_without_vault_works_as_far_as_it_can_and_one_that_hangs_is_found(made):
    keeper = made.keeper()
    says(keeper, "does not answer", 20)
    for _ in range(12):  # through the 5 s of a question and the pauses, which grow
        assert keeper.exec_run(["sh", "-c", KEEPER_ALIVE])[0] == 0
        time.sleep(1)
    hang(keeper)
    time.sleep(12)
    assert keeper.exec_run(["sh", "-c", KEEPER_ALIVE])[0] != 0
