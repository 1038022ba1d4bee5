"""`open`: which page is where, and what is said of passwords."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from infra import catalog
from infra.settings import Settings
from ops import console, endpoints, inputs, objects, open, pages, status
from ops.errors import BAD_INPUT, UNHEALTHY, Failure
from ops.inputs import Inputs


@pytest.fixture
def chosen() -> Inputs:
    settings = Settings()
    return Inputs("dev", settings, catalog.load(settings, "dev"))


def container(entry: Any, *, published: bool = True) -> dict[str, Any]:
    ports = {f"{p}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(p)}] for p in entry.ports.values()}
    return {
        "Id": entry.name,
        "Name": f"/nexus-dev-{entry.name}",
        "State": {"Status": "running", "StartedAt": "2026-01-01T00:00:00Z", "Health": {"Status": "healthy"}},
        "Config": {"Image": "nexus/x:1", "Labels": {"nexus.service": entry.name, "nexus.kind": "service"}},
        "NetworkSettings": {"Ports": ports if published else {}},
    }


Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, chosen: Inputs, capsys: Any) -> Iterator[Run]:
    """Run the verb where all services run; what it prints, and what it says beside that."""
    found = [container(entry) for entry in chosen.services]

    @contextmanager
    def connect() -> Iterator[None]:
        yield None

    monkeypatch.setattr(inputs, "load", lambda _: chosen)
    monkeypatch.setattr(objects, "connect", connect)
    for name in open.SCREEN:
        monkeypatch.delenv(name, raising=False)

    def run(*service: str, of: list[dict[str, Any]] = found) -> tuple[str, str]:
        monkeypatch.setattr(objects, "inspect", lambda *_: of)
        assert open.run("dev", *service) == 0
        told = capsys.readouterr()
        return told.out.strip(), told.err

    for stream in (console.out, console.err):
        stream.cache_clear()
    yield run
    for stream in (console.out, console.err):
        stream.cache_clear()


@pytest.mark.parametrize(
    ("service", "address"),
    [
        ("docs", "https://localhost:4300/docs"),
        ("kong", "https://localhost:4300/docs"),
        ("grafana", "http://127.0.0.1:3700/"),
        ("kibana", "http://127.0.0.1:4000/"),
        ("prometheus", "http://127.0.0.1:3600/"),
        ("consul", "http://127.0.0.1:3000/ui/"),
        ("rabbitmq", "http://127.0.0.1:1350/"),
        ("vault", "http://127.0.0.1:3500/v1/sys/seal-status"),
        ("events", "http://127.0.0.1:2500/ready"),
    ],
)
def test_the_address_of_a_page_is_made_from_what_is_published(run: Run, service: str, address: str) -> None:
    assert run(service)[0] == address


def test_the_front_door_is_the_default_and_the_one_that_up_ends_with(run: Run, chosen: Inputs) -> None:
    rows = [status.row(entry, container(entry), None) for entry in chosen.services]
    assert run()[0] == pages.front(rows) == "https://localhost:4300/docs"
    assert pages.front(row for row in rows if row.name != "kong") == ""


def test_how_to_get_a_password_is_said_and_never_the_password(run: Run) -> None:
    assert "pulumi stack output passwords --show-secrets --stack dev" in run("docs")[1]
    assert "docker exec nexus-dev-grafana cat /run/secrets/admin-password" in run("grafana")[1]
    assert "docker exec nexus-dev-consul cat /run/secrets/reader.token" in run("consul")[1]
    assert run("prometheus")[1] == ""


@pytest.mark.parametrize(("screen", "opened"), [("DISPLAY", True), ("WAYLAND_DISPLAY", True), ("", False)])
def test_a_browser_is_opened_only_where_there_is_a_screen(
    run: Run, monkeypatch: pytest.MonkeyPatch, screen: str, opened: bool
) -> None:
    addresses: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: not addresses.append(address))
    if screen:
        monkeypatch.setenv(screen, ":0")
    printed, told = run("grafana")
    assert addresses == ([printed] if opened else []) and "no browser" not in told


def test_a_browser_that_does_not_start_is_said_and_the_address_is_there(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    printed, told = run("grafana")
    assert printed and "no browser could be started" in told


def test_every_kind_that_speaks_http_has_a_page_and_the_others_say_that_they_have_none(
    run: Run, chosen: Inputs
) -> None:
    assert set(pages.PAGES) == endpoints.HTTP_KINDS | {"rabbitmq"}
    for service in ("postgres", "redis", "logstash"):
        with pytest.raises(Failure, match=f"{service} has no page") as refused:
            run(service)
        assert refused.value.code == BAD_INPUT and "./nexus status dev" in refused.value.why


def test_an_unknown_service_is_refused_with_the_nearest_names_and_all_that_have_a_page(run: Run) -> None:
    with pytest.raises(Failure, match="no service 'grafanna'") as refused:
        run("grafanna")
    assert refused.value.why == "did you mean grafana?" and "docs" in refused.value.remedy
    assert refused.value.code == BAD_INPUT


def test_a_page_that_is_not_there_or_cannot_be_reached_is_a_failure(run: Run, chosen: Inputs) -> None:
    with pytest.raises(Failure, match="grafana is not there") as missing:
        run("grafana", of=[])
    hidden = [container(entry, published=False) for entry in chosen.services]
    with pytest.raises(Failure, match="events cannot be reached from this machine") as unpublished:
        run("events", of=hidden)
    assert {missing.value.code, unpublished.value.code} == {UNHEALTHY}


def test_without_the_gateway_there_is_no_front_door(run: Run, chosen: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = tuple(entry for entry in chosen.services if entry.name != "kong")
    smaller = Inputs("dev", chosen.settings, chosen.catalog.model_copy(update={"services": fewer}))
    monkeypatch.setattr(inputs, "load", lambda _: smaller)
    with pytest.raises(Failure, match="no service 'docs'"):
        run()
