"""The page about the service names everything a person can set or ask for."""

from __future__ import annotations

import re

import httpx
import pytest

from services.common.settings import GROUPS, PREFIX, Settings
from services.reference.app import ROLES, create_app
from tests.services import servers

PAGE = (servers.ROOT / "docs" / "reference-service.md").read_text()


def rows() -> dict[str, str]:
    return dict(re.findall(r"^\| `(NEXUS_\w+)` \| `?([^|`]*?)`? \|", PAGE, flags=re.M))


def test_every_setting_is_documented_with_its_default_and_no_other_is():
    models = {PREFIX: Settings, **{f"{PREFIX}{name}_".upper(): model for name, model in GROUPS.items()}}
    expected = {
        prefix + name.upper(): None if field.is_required() else str(field.default or "none")
        for prefix, model in models.items()
        for name, field in model.model_fields.items()
        if not (model is Settings and name in GROUPS)
    } | {"NEXUS_REDIS_DATABASE": "0"}
    documented = rows()
    assert set(documented) == set(expected)
    for name, default in expected.items():
        if default is not None:
            assert documented[name] == default, name


@pytest.mark.parametrize("role", ROLES)
def test_every_endpoint_of_every_role_is_documented(role, tmp_path):
    (tmp_path / "file").write_text("x")
    file = str(tmp_path / "file")
    server = {"host": "none", "password_file": file}
    app = create_app(
        Settings.model_validate(
            {
                **{"service": "one", "stack": "test", "role": role, "postgres": server, "redis": server},
                **{"rabbitmq": {**server, "queue": "one"}, "consul": {"address": "http://none"}},
                **{"vault": {"address": "http://none", "secret_id_file": file}, "ai": {"url": "http://none"}},
            }
        )
    )
    paths = app.openapi()["paths"]
    assert len(paths) > 6
    for path, methods in paths.items():
        for method in methods:
            assert f"`{method.upper()} {path}" in PAGE, f"{method} {path}"


def test_every_metric_is_documented(steady):
    families = re.findall(r"^# TYPE (\w+)", httpx.get(steady.url + "/metrics").text, flags=re.M)
    own = {name for name in families if name.startswith(("http_", "nexus_")) and not name.endswith("_created")}
    assert own
    assert [name for name in own if f"`{name}" not in PAGE] == []
