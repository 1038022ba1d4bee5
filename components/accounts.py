"""Who may come in: people, applications and holders of API keys; what they show is made once and kept in Vault."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._resources import GeneratedSecret, passwords, rotated
from components.identity import entry
from components.vault_engines import VaultEngines


class User(BaseModel):
    """A person."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: tuple[str, ...]
    email: str = ""


class Client(BaseModel):
    """An application that signs people in, or itself: then it has a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grants: tuple[str, ...] = ("authorization_code", "refresh_token")
    roles: tuple[str, ...] = ()
    confidential: bool = False


class AccountsSpec(BaseModel):
    """All of them by name; known at plan time. The generations count rotations, of passwords and of API keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: Mapping[str, User] = Field(default_factory=dict)
    clients: Mapping[str, Client] = Field(default_factory=dict)
    api_keys: tuple[str, ...] = ()
    generation: int = Field(default=0, ge=0)
    key_generation: int = Field(default=0, ge=0)


@dataclass(frozen=True, kw_only=True)
class AccountsArgs:
    """Vault, where each password is written for whoever may read it, and the volume all of that is kept in."""

    engines: VaultEngines
    store: pulumi.Resource | None = None


class Accounts(pulumi.ComponentResource):
    """The accounts. The provider comes with ``opts``.

    ``seed`` is what the identity provider reads; ``passwords`` has those of the users, ``api_keys`` the keys, by name.
    All are secrets.
    """

    seed: pulumi.Output[dict[str, str]]
    passwords: pulumi.Output[dict[str, str]]
    api_keys: dict[str, pulumi.Output[str]]

    def __init__(
        self, name: str, spec: AccountsSpec, args: AccountsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Accounts", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        inside = pulumi.ResourceOptions(parent=self, deleted_with=args.store)
        users = {user: rotated(f"{name}-user-{user}-password", spec.generation, own) for user in spec.users}
        secret = [client for client, given in spec.clients.items() if given.confidential]
        clients = {client: rotated(f"{name}-client-{client}-secret", spec.generation, own) for client in secret}
        keys = {key: rotated(f"{name}-api-key-{key}", spec.key_generation, own, length=48) for key in spec.api_keys}
        for kind, made in (("users", users), ("clients", clients), ("api-keys", keys)):
            _write(f"{name}-{kind}", kind, made, args.engines, inside)
        self.api_keys = {key: secret.value for key, secret in keys.items()}
        self.passwords = pulumi.Output.secret(passwords(users))
        self.seed = pulumi.Output.secret(
            pulumi.Output.all(passwords(users), passwords(clients)).apply(lambda known: seed(spec, *known))
        )
        self.register_outputs({"users": sorted(users), "clients": sorted(spec.clients)})


def _write(
    name: str,
    kind: str,
    made: Mapping[str, GeneratedSecret],
    engines: VaultEngines,
    opts: pulumi.ResourceOptions,
) -> None:
    for account, secret in made.items():
        values = secret.value.apply(lambda known, account=account: {"name": account, "password": known})
        entry(f"{name}-{account}", f"{kind}/{account}", values, engines, opts)


def seed(spec: AccountsSpec, users: Mapping[str, str], clients: Mapping[str, str]) -> dict[str, str]:
    """The accounts as the identity provider's entry in Vault has them: two JSON lists."""
    people: list[dict[str, Any]] = [
        {"username": name, "password": users[name], "roles": list(user.roles), "email": user.email}
        for name, user in spec.users.items()
    ]
    applications = [
        {
            "id": name,
            "redirect_uris": list(client.redirect_uris),
            "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
            "grants": list(client.grants),
            "roles": list(client.roles),
            **({"secret": clients[name]} if name in clients else {}),
        }
        for name, client in spec.clients.items()
    ]
    return {"users": json.dumps(people), "clients": json.dumps(applications)}
