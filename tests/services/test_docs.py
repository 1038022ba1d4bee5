"""The page about the service names everything a person can set or ask for."""

from __future__ import annotations

import re

from services.common.settings import PREFIX, PostgresSettings, RedisSettings, Settings
from tests.services import servers

PAGE = (servers.ROOT / "docs" / "reference-service.md").read_text()


def rows() -> dict[str, str]:
    return dict(re.findall(r"^\| `(NEXUS_\w+)` \| `?([^|`]*?)`? \|", PAGE, flags=re.M))


def test_every_setting_is_documented_with_its_default_and_no_other_is():
    expected = {}
    for prefix, model in (
        (PREFIX, Settings),
        (f"{PREFIX}POSTGRES_", PostgresSettings),
        (f"{PREFIX}REDIS_", RedisSettings),
    ):
        for name, field in model.model_fields.items():
            expected[prefix + name.upper()] = None if field.is_required() else str(field.default or "0")
    for group in ("NEXUS_POSTGRES", "NEXUS_REDIS"):
        del expected[group]
    documented = rows()
    assert set(documented) == set(expected)
    for name, default in expected.items():
        if default is not None and documented[name] != "none":
            assert documented[name] == default, name


def test_every_endpoint_and_metric_is_documented(steady):
    import httpx

    paths = httpx.get(steady.url + "/openapi.json").json()["paths"]
    assert all(f"{path}" in PAGE for path in paths)
    families = re.findall(r"^# TYPE (\w+)", httpx.get(steady.url + "/metrics").text, flags=re.M)
    own = {name for name in families if name.startswith(("http_", "nexus_")) and not name.endswith("_created")}
    assert own
    assert [name for name in own if f"`{name}" not in PAGE] == []
