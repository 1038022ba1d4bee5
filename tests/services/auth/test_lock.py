"""Guessing passwords: it is slow, it is written down, and it does not tell which names exist."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests import oidc
from tests.services.auth import world


@pytest.fixture
def guess(own):
    """Try a password in a browser of its own; the answer's status."""

    def attempt(name: str, password: str, address: str = "198.51.100.7") -> httpx.Response:
        browser = own.client()
        browser.http.headers["X-Forwarded-For"] = f"203.0.113.1, {address}"
        return browser.sign_in(browser.authorize(browser.request()), name, password)

    return attempt


def test_guessing_an_account_waits_longer_and_longer_whoever_it_comes_from(own, guess):
    answers = [guess(world.USER, f"wrong {number}", f"198.51.100.{number}").status_code for number in range(5)]
    assert answers == [401] * 5
    locked = guess(world.USER, world.PASSWORDS[world.USER])
    assert (locked.status_code, locked.headers["retry-after"]) == (429, "1")
    waits = []
    for _ in range(3):
        time.sleep(int(guess(world.USER, "x").headers.get("retry-after", 0)) + 0.1)
        assert guess(world.USER, "wrong").status_code == 401
        waits.append(int(guess(world.USER, "wrong").headers["retry-after"]))
    assert waits == [2, 4, 8]
    assert {line["locked"] for line in own.audited("login") if line["outcome"] == "locked"} == {"account"}


def test_the_right_password_after_the_wait_starts_the_count_anew(guess):
    for _ in range(6):
        guess(world.USER, "wrong")
    time.sleep(1.1)
    assert guess(world.USER, world.PASSWORDS[world.USER]).status_code == 303
    assert [guess(world.USER, "wrong").status_code for _ in range(4)] == [401] * 4


def test_many_guesses_at_once_gain_nothing(guess):
    with ThreadPoolExecutor(12) as pool:
        answers = [answer.status_code for answer in pool.map(lambda n: guess(world.USER, f"w{n}"), range(24))]
    assert answers.count(401) <= 6
    assert set(answers) == {401, 429}


def test_one_address_that_tries_many_names_is_slowed_down_too(world, tmp_path):
    from tests.services.auth.world import PASSWORDS, USER, Provider

    lock = {"account_free": 50, "address_free": 3, "first": 1, "longest": 60}
    provider = Provider(world.environment(lock=lock), tmp_path).begin()
    try:

        def attempt(name: str, password: str, address: str) -> int:
            browser = provider.client()
            browser.http.headers["X-Forwarded-For"] = address
            return browser.sign_in(browser.authorize(browser.request()), name, password).status_code

        assert [attempt(f"name{n}", "wrong", "203.0.113.9") for n in range(4)] == [401, 401, 401, 429]
        assert attempt(USER, PASSWORDS[USER], "203.0.113.10") == 303
    finally:
        provider.stop()


def test_a_name_that_does_not_exist_is_answered_and_timed_like_one_that_does(own, guess):
    def timed(name: str) -> tuple[float, httpx.Response]:
        started = time.perf_counter()
        answer = guess(name, "wrong")
        return time.perf_counter() - started, answer

    known = [timed(name) for name in (world.USER, world.OPERATOR, world.ADMIN)]
    unknown = [timed(f"nobody{number}") for number in range(3)]
    assert {answer.status_code for _, answer in known + unknown} == {401}
    text = "The user name or the password is not right."
    assert all(text in answer.text for _, answer in known + unknown)
    fastest = min(seconds for seconds, _ in known), min(seconds for seconds, _ in unknown)
    assert max(fastest) < 3 * min(fastest)


def test_what_was_typed_as_a_name_is_not_logged_unless_it_is_one(own, guess):
    guess("my-secret-password", "uma")
    guess(world.USER, "wrong")
    assert "my-secret-password" not in own.output
    assert (
        own.audited("login")[-1] | {"user": world.USER, "outcome": "refused", "address": "198.51.100.7"}
        == (own.audited("login")[-1])
    )


def test_an_administrator_can_end_the_wait(own, guess):
    for _ in range(6):
        guess(world.USER, "wrong")
    admin = own.client().login(world.ADMIN, world.PASSWORDS[world.ADMIN])
    users = httpx.get(f"{own.url}/users", headers=admin.bearer).json()
    key = next(user["id"] for user in users if user["username"] == world.USER)
    assert httpx.post(f"{own.url}/users/{key}/unlock", headers=admin.bearer).status_code == 204
    assert guess(world.USER, world.PASSWORDS[world.USER]).status_code == 303


def test_codes_and_tokens_are_not_counted_as_guesses(own, guess):
    client = own.client()
    for _ in range(8):
        assert client.token(grant_type="refresh_token", refresh_token="made up").status_code == 400
    assert isinstance(client.login(world.USER, world.PASSWORDS[world.USER]), oidc.Tokens)
