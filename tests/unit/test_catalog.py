"""The catalogue refuses what a platform cannot be built from, and says which file and field to edit."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infra import catalog
from infra.errors import ConfigError
from infra.settings import ServiceSettings, Settings

MINIMAL = {
    "consul": {"group": "platform", "kind": "consul", "port": 3000, "image": "consul", "memory": 128, "enabled": True},
    "vault": {"group": "platform", "kind": "vault", "port": 3500, "image": "vault", "memory": 256, "enabled": True},
    "kong": {"group": "platform", "kind": "kong", "port": 3100, "image": "kong", "memory": 256, "enabled": True},
    "store": {"group": "data", "kind": "postgres", "port": 1100, "image": "postgres", "memory": 256, "enabled": True},
    "app": {"group": "application", "port": 8000, "needs": ["store"], "routes": [{"path": "/a"}], "enabled": True},
}


def edited(**changes: dict) -> str:
    entries = {name: {**entry, **changes.get(name, {})} for name, entry in MINIMAL.items()}
    entries |= {name: entry for name, entry in changes.items() if name not in MINIMAL}
    return yaml.safe_dump(entries, sort_keys=False)


def test_the_platform_has_32_services_with_ports_of_their_own() -> None:
    services = catalog.load().services
    assert len(services) == 32
    assert len({service.port for service in services}) == 32
    assert sum(service.kind == "service" for service in services) == 20
    ports = {service.name: service.port for service in services}
    fixed = {"postgres": 1100, "redis": 1200, "rabbitmq": 1300, "consul": 3000, "kong": 3100, "nexus-backend": 8000}
    assert fixed.items() <= ports.items()
    assert all(1000 <= port <= 4500 and port % 100 == 0 for name, port in ports.items() if name != "nexus-backend")


def test_all_of_them_are_enabled() -> None:
    loaded = catalog.load()
    assert loaded.enabled == loaded.services


BAD = [
    ({"app": {"colour": "red"}}, "app.colour", "no such setting"),
    ({"app": {"port": 999}}, "app.port", "greater than or equal to 1000"),
    ({"app": {"port": 70000}}, "app.port", "less than or equal to 65535"),
    ({"app": {"port": 1100}}, "app.port", "is the port of store.port already"),
    ({"app": {"extra_ports": {"tls": 1100}}}, "app.extra_ports.tls", "is the port of store.port already"),
    ({"app": {"needs": ["stor"]}}, "app.needs", "is not a service of the catalogue"),
    ({"app": {"needs": ["app"]}}, "app.needs", "need each other in a circle"),
    ({"store": {"needs": ["app"]}}, "store.needs", "need each other in a circle"),
    ({"store": {"enabled": False}}, "app.needs", "is not enabled"),
    ({"consul": {"enabled": False}}, "app.needs", "is not enabled"),
    ({"kong": {"enabled": False}}, "app.needs", "is not enabled"),
    ({"vault": {"enabled": False}}, "app.needs", "is not enabled"),
    ({"app": {"routes": [{"path": "a"}]}}, "app.routes.0.path", "must start with a slash"),
    ({"store": {"routes": [{"path": "/a/"}]}}, "app.routes.0.path", "is claimed by store.routes.0.path already"),
    ({"app": {"health": {"interval": 0}}}, "app.health.interval", "greater than or equal to 1"),
    ({"store": {"memory": 16}}, "store.memory", "needs at least 128 MiB"),
    ({"app": {"image": "Not An Image"}}, "app.image", "malformed image reference"),
    ({"app": {"image": "repo/name:tag@sha256:123"}}, "app.image", "malformed image reference"),
    ({"app": {"port": None}}, "app.port", "valid integer"),
    ({"app": {"image": "repo/name"}}, "app.image", "names no version"),
    ({"Bad Name": {"group": "data", "port": 1200}}, "Bad Name.name", "should match pattern"),
    ({"third": {"port": 1200}}, "third.group", "is required"),
]


@pytest.mark.parametrize(("changes", "field", "rule"), BAD, ids=[f"{field}: {rule}"[:60] for _, field, rule in BAD])
def test_a_wrong_entry_is_refused_with_its_field_and_the_rule(changes: dict, field: str, rule: str) -> None:
    with pytest.raises(ConfigError) as failure:
        catalog.load(text=edited(**changes))
    assert failure.value.field == field
    assert rule in failure.value.rule
    assert "infra/services.yaml" in failure.value.file
    assert failure.value.remedy


def test_a_service_named_twice_is_refused_instead_of_the_second_winning() -> None:
    text = edited() + "app:\n  group: application\n  port: 8100\n"
    with pytest.raises(ConfigError, match=r"app.*is there twice \(line \d+\)"):
        catalog.load(text=text)


def test_an_environment_changes_entries_and_moves_every_port() -> None:
    settings = Settings(port_offset=20000, services={"app": ServiceSettings(memory=512, enabled=False)})
    loaded = catalog.load(settings, "prod", text=edited())
    app = loaded.by_name["app"]
    assert (app.port, app.memory, app.enabled) == (28000, 512, False)
    assert loaded.by_name["store"].port == 21100


def test_an_offset_that_leaves_the_port_range_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"65536|host ports are 1000-65535"):
        catalog.load(Settings(port_offset=57000, services={"app": ServiceSettings(port=9000)}), "x", text=edited())


def test_settings_for_a_service_that_is_not_there_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"nexus:services\.ap .*is not in the catalogue"):
        catalog.load(Settings(services={"ap": ServiceSettings(memory=100)}), "dev", text=edited())


@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=6, unique=True))
def test_a_circle_of_any_length_is_named_from_start_to_end(names: list[str]) -> None:
    entries = {
        name: {"group": "application", "port": 2000 + 100 * i, "enabled": False, "needs": [names[(i + 1) % len(names)]]}
        for i, name in enumerate(names)
    }
    with pytest.raises(ConfigError) as failure:
        catalog.load(text=yaml.safe_dump(entries, sort_keys=False))
    circle = str(failure.value.value).split(" -> ")
    assert circle[0] == circle[-1] and set(circle) == set(names)
