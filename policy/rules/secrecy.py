"""Secrets are encrypted in the state, and never in a container's environment, which anybody reads by `inspect`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from policy.model import UNKNOWN, Resource, Rule, Secret, bare
from policy.workload import WORKLOADS, workload

#: Properties that hold a secret, by type; `*` stands for every key.
SECRET_PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "nexus:index:Files": ("files.*",),
    "docker:index/secret:Secret": ("data",),
    "kong:index/consumerKeyAuth:ConsumerKeyAuth": ("key",),
    "kong:index/consumerBasicAuth:ConsumerBasicAuth": ("password",),
    "kong:index/consumerJwtAuth:ConsumerJwtAuth": ("secret",),
    "kong:index/certificate:Certificate": ("privateKey",),
    "vault:kv/secretV2:SecretV2": ("dataJson",),
    "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId": ("secretId",),
    "vault:database/secretBackendConnection:SecretBackendConnection": ("postgresql.password",),
    "vault:rabbitMq/secretBackend:SecretBackend": ("password",),
    "vault:consul/secretBackend:SecretBackend": ("token",),
    "consul:index/aclToken:AclToken": ("secretId",),
    "pulumi:providers:kong": ("kongAdminPassword", "kongAdminToken", "kongApiKey"),
    "pulumi:providers:consul": ("token", "httpAuth"),
    "pulumi:providers:vault": ("token",),
}
#: A plugin's settings are one text: its keys that hold a secret.
PLUGIN, SETTINGS = "kong:index/plugin:Plugin", "configJson"
SECRET_KEY = re.compile(r"(^|[_-])(password|passwd|secret|token|api_?key|private_?key|credentials?)$", re.IGNORECASE)
#: An environment variable's name that says so, unless it only says where the secret is, or for how long.
SECRET_NAME = re.compile(
    r"PASSW(OR)?D|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY", re.IGNORECASE
)
ABOUT = re.compile(r"_(FILE|PATH|DIR|URL|TTL|SECONDS|TIMEOUT|NAME|HEADER)$", re.IGNORECASE)
WITH_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)


def encrypted(resource: Resource) -> Iterator[str]:
    """What is known to be a secret is marked as one."""
    for path in SECRET_PROPERTIES.get(resource.type, ()):
        for found in unmarked(resource.properties, path.split(".")):
            yield f"{found} is a secret and would be readable in the state"
    if resource.type == PLUGIN and isinstance(text := resource.properties.get(SETTINGS), str):
        for key in keys_of(json.loads(text)):
            yield f"{SETTINGS} has {key}, a secret that would be readable in the state"


def unmarked(value: Any, path: list[str], at: str = "") -> Iterator[str]:
    """The paths of values that are there, known and not secret."""
    if isinstance(value, Secret) or value is UNKNOWN or value in (None, ""):
        return
    if not path:
        yield at
    elif isinstance(value, Mapping):
        for key in value if path[0] == "*" else [path[0]]:
            yield from unmarked(value.get(key), path[1:], f"{at}.{key}" if at else key)


def keys_of(value: Any) -> Iterator[str]:
    """The keys, at any depth, that are called like a secret and hold a text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, str) and inner and SECRET_KEY.search(key):
                yield key
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


def environment(resource: Resource) -> Iterator[str]:
    """No variable is a secret, is called like one, or is an address with a password."""
    for name, value in workload(resource).environment.items():
        text = bare(value)
        if isinstance(value, Secret):
            yield f"the environment variable {name} is a secret"
        elif not isinstance(text, str) or not text:
            continue
        elif SECRET_NAME.search(name) and not ABOUT.search(name):
            yield f"the environment variable {name} looks like a secret"
        elif WITH_PASSWORD.search(text):
            yield f"the environment variable {name} has an address with a password in it"


RULES = (
    Rule(
        name="secrets-encrypted",
        description="What is known to be a secret is marked as one, so that the state keeps it encrypted.",
        remedy="Make the value with pulumi.Output.secret in the component, or set it by `pulumi config set --secret`.",
        severity="critical",
        types=frozenset({*SECRET_PROPERTIES, PLUGIN}),
        check=encrypted,
    ),
    Rule(
        name="no-secret-in-environment",
        description="No container has a secret in its environment.",
        remedy="Give it as a file: `files` of the component's workload, and a variable NAME_FILE that says where "
        "(docs/adr/0006-secrets-as-files.md).",
        severity="critical",
        types=WORKLOADS,
        check=environment,
    ),
)
