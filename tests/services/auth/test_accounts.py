"""Managing users: administrators alone, with the rules that keep the platform usable."""

from __future__ import annotations

import httpx
import pytest

from tests.services.auth import world


@pytest.fixture
def admin(provider):
    tokens = provider.client().login(world.ADMIN, world.PASSWORDS[world.ADMIN])
    with httpx.Client(base_url=provider.url, headers=tokens.bearer, timeout=10) as client:
        yield client


@pytest.fixture
def someone(admin):
    made = admin.post("/users", json={"username": "Sam", "password": "a-P4ssword-of-sam", "roles": ["user"]})
    assert made.status_code == 201
    assert made.headers["location"].endswith(made.json()["id"])
    yield made.json()
    admin.delete(f"/users/{made.json()['id']}")


def key_of(admin: httpx.Client, name: str) -> str:
    return next(user["id"] for user in admin.get("/users").json() if user["username"] == name)


def test_a_user_lives_from_making_to_removal(provider, admin, someone):
    assert someone.items() >= {"username": "sam", "roles": ["user"], "active": True}.items()
    assert "password" not in str(someone)
    tokens = provider.client().login("SAM", "a-P4ssword-of-sam")
    where = f"/users/{someone['id']}"
    changed = admin.patch(where, json={"name": "Sam Ü.", "email": None, "roles": ["operator"]}).json()
    assert (changed["name"], changed["roles"]) == ("Sam Ü.", ["operator"])
    assert admin.get(where).json() == changed
    assert admin.delete(where).status_code == 204
    assert admin.get(where).status_code == 404
    assert httpx.get(f"{provider.url}/userinfo", headers=tokens.bearer).status_code == 401


def test_pages_follow_each_other(admin, someone):
    first = admin.get("/users", params={"limit": 2}).json()
    rest = admin.get("/users", params={"after": first[-1]["username"]}).json()
    names = [user["username"] for user in first + rest]
    assert names == sorted(names)
    assert {"sam", world.ADMIN, world.OPERATOR, world.USER} <= set(names)


@pytest.mark.parametrize(
    "change", [{"active": False}, {"password": "another-P4ssword-of-sam"}], ids=["deactivated", "new password"]
)
def test_who_is_deactivated_or_has_a_new_password_is_logged_out(provider, admin, someone, change):
    client = provider.client()
    tokens = client.login("sam", "a-P4ssword-of-sam")
    admin.patch(f"/users/{someone['id']}", json=change).raise_for_status()
    assert client.token(grant_type="refresh_token", refresh_token=tokens.refresh).status_code == 400
    assert "Sign in" in client.authorize(client.request()).text


def test_an_administrator_logs_a_user_out_everywhere(provider, admin, someone):
    client = provider.client()
    tokens = client.login("sam", "a-P4ssword-of-sam")
    assert admin.delete(f"/users/{someone['id']}/sessions").status_code == 204
    assert client.token(grant_type="refresh_token", refresh_token=tokens.refresh).status_code == 400
    assert client.login("sam", "a-P4ssword-of-sam").access


@pytest.mark.parametrize("name", [world.USER, world.OPERATOR])
def test_others_may_not(provider, admin, name):
    bearer = provider.client().login(name, world.PASSWORDS[name]).bearer
    key = key_of(admin, world.ADMIN)
    calls = [("GET", "/users"), ("POST", "/users"), ("GET", f"/users/{key}"), ("PATCH", f"/users/{key}")]
    calls += [("DELETE", f"/users/{key}"), ("POST", f"/users/{key}/unlock"), ("DELETE", f"/users/{key}/sessions")]
    for method, path in calls:
        body = {"username": "eve", "password": "a-P4ssword-of-eve"} if path == "/users" else {"roles": ["admin"]}
        content = body if method in ("POST", "PATCH") else None
        assert httpx.request(method, provider.url + path, json=content, headers=bearer).status_code == 403
        assert httpx.request(method, provider.url + path, json=content).status_code == 401


def test_an_application_with_the_role_alone_may_not_either(provider):
    robot = provider.client(client_id="robot", secret=world.ROBOT_SECRET)
    token = robot.token(grant_type="client_credentials").json()["access_token"]
    assert httpx.get(f"{provider.url}/users", headers={"Authorization": f"Bearer {token}"}).status_code == 403


@pytest.mark.parametrize("change", [{"active": False}, {"roles": ["operator"]}, None])
def test_the_last_administrator_cannot_be_lost(admin, change):
    where = f"/users/{key_of(admin, world.ADMIN)}"
    answer = admin.patch(where, json=change) if change else admin.delete(where)
    assert answer.status_code == 409
    assert admin.get("/users").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"username": "sam", "password": "Sh0rt-one"},
        {"username": "s p", "password": "a-P4ssword-of-sam"},
        {"username": "pat", "password": "a-P4ssword-of-pat", "roles": ["root"]},
        {"username": "pat", "password": "a-P4ssword-of-pat", "name": "\x00"},
        {"username": "pat", "password": "a-P4ssword-of-pat", "surprise": 1},
    ],
)
def test_a_wrong_user_is_refused_without_its_password_in_the_answer(admin, body):
    answer = admin.post("/users", json=body)
    assert answer.status_code == 422
    assert body["password"] not in answer.text


def test_a_name_is_taken_once_in_whatever_case(admin, someone):
    answer = admin.post("/users", json={"username": "SAM", "password": "a-P4ssword-of-sam"})
    assert answer.status_code == 409


def test_users_change_their_own_password_with_the_current_one(provider, admin, someone):
    client = provider.client()
    bearer = client.login("sam", "a-P4ssword-of-sam").bearer
    wrong = {"current": "not it", "new": "my-own-P4ssword"}
    assert httpx.put(f"{provider.url}/password", json=wrong, headers=bearer).status_code == 403
    right = {"current": "a-P4ssword-of-sam", "new": "my-own-P4ssword"}
    assert httpx.put(f"{provider.url}/password", json=right, headers=bearer).status_code == 204
    assert provider.client().login("sam", "my-own-P4ssword").access
    assert httpx.get(f"{provider.url}/userinfo", headers=bearer).status_code == 401
