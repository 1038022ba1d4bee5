"""The catalogue: the 32 services, one entry each, from which everything else about them follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from components._limits import minimum_memory
from infra import alerts, images, versions
from infra.entry import Entry, Service
from infra.errors import ConfigError, first_problem
from infra.settings import Settings, file_of

FILE = Path(__file__).parent / "services.yaml"
FILE_NAME = "infra/services.yaml"
(VERSION,) = versions.CATALOGUE.place


class Catalog(Entry):
    """All entries in the order of the file, after the environment's changes."""

    services: tuple[Service, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Service]:
        """Entries by name."""
        return {service.name: service for service in self.services}

    @property
    def enabled(self) -> tuple[Service, ...]:
        """The entries this environment runs."""
        return tuple(service for service in self.services if service.enabled)


class _UniqueKeys(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain YAML keeps the last of two equal keys; here the second service of a name would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise ConfigError(
                    FILE_NAME, key.value, key.value, f"is there twice (line {line})", "Rename or remove one of the two."
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(settings: Settings | None = None, stack: str = "", text: str | None = None) -> Catalog:
    """The catalogue as an environment runs it; raises ConfigError for anything the platform can't be built from."""
    settings = settings or Settings()
    entries = yaml.load(text if text is not None else FILE.read_text(), _UniqueKeys) or {}  # noqa: S506
    versions.CATALOGUE.check(versions.CATALOGUE.of(entries), FILE_NAME)
    entries.pop(VERSION, None)
    services = []
    for name, entry in entries.items():
        try:
            services.append(Service.model_validate({"name": name, **entry}))
        except ValidationError as error:
            raise first_problem(error, FILE_NAME, prefix=f"{name}.") from None
    changed = apply(services, settings, file_of(stack) if stack else "Pulumi.<stack>.yaml")
    check(changed, stack)
    _check_issuer(changed, settings, stack)
    return Catalog(services=tuple(changed))


def apply(services: Iterable[Service], settings: Settings, file: str) -> list[Service]:
    """The entries with the environment's changes and port offset."""
    services = list(services)
    known = {service.name for service in services}
    for name in settings.services:
        if name not in known:
            raise ConfigError(
                file, f"nexus:services.{name}", name, "is not in the catalogue", f"Known: {', '.join(sorted(known))}."
            )
    changed = []
    for service in services:
        override = settings.services.get(service.name)
        update = override.model_dump(exclude_none=True) if override else {}
        if "alerts" in update:
            update["alerts"] = service.alerts.model_copy(update=update["alerts"])
        update["port"] = update.get("port", service.port) + settings.port_offset
        update["extra_ports"] = {role: port + settings.port_offset for role, port in service.extra_ports.items()}
        changed.append(service.model_copy(update=update))
    return changed


def check(services: list[Service], stack: str) -> None:
    """The rules that one entry alone cannot break."""
    edit = f"{FILE_NAME} or nexus:services in {file_of(stack or '<stack>')}"
    _check_ports(services, edit)
    _check_routes(services)
    _check_needs(services, edit)
    _check_events(services)
    _check_replicas(services, edit)
    _check_alerts(services, edit)
    for service in services:
        least = minimum_memory(service.kind)
        if service.memory < least:
            raise ConfigError(
                edit,
                f"{service.name}.memory",
                service.memory,
                f"a {service.kind} needs at least {least} MiB",
                "Raise it.",
            )
        _check_image(service, edit)


def _check_issuer(services: list[Service], settings: Settings, stack: str) -> None:
    if settings.tls_data and not any(service.enabled for service in services if service.kind == "vault"):
        file = file_of(stack or "<stack>")
        rule = "needs vault, which issues the certificates"
        raise ConfigError(file, "nexus:tlsData", "true", rule, "Enable vault, or set it to false.")


def _check_image(service: Service, edit: str) -> None:
    if service.image in images.load() or service.kind != "service":
        return
    try:
        images.check_reference(service.image)
    except ValueError as error:
        remedy = "Correct it, or name an image of infra/images.yaml."
        raise ConfigError(edit, f"{service.name}.image", service.image, str(error), remedy) from None


def _check_ports(services: list[Service], edit: str) -> None:
    taken: dict[int, str] = {}
    for service in services:
        for role, port in service.ports.items():
            field = f"{service.name}.{'port' if role == 'main' else 'extra_ports.' + role}"
            if not 1000 <= port <= 65535:
                raise ConfigError(edit, field, port, "host ports are 1000-65535", "Lower the port or nexus:portOffset.")
            if port in taken:
                raise ConfigError(edit, field, port, f"is the port of {taken[port]} already", "Choose a free port.")
            taken[port] = field


def _check_routes(services: list[Service]) -> None:
    claimed: dict[str, str] = {}
    for service in services:
        for index, route in enumerate(service.routes):
            field = f"{service.name}.routes.{index}.path"
            if not route.path.startswith("/"):
                raise ConfigError(FILE_NAME, field, route.path, "must start with a slash", f"Write /{route.path}.")
            if route.path.rstrip("/") in claimed:
                owner = claimed[route.path.rstrip("/")]
                raise ConfigError(
                    FILE_NAME, field, route.path, f"is claimed by {owner} already", "Choose another path."
                )
            claimed[route.path.rstrip("/")] = field


def _check_events(services: list[Service]) -> None:
    for service in services:
        for field, topics in (("publishes", service.publishes), ("consumes", service.consumes)):
            if topics and "rabbitmq" not in service.needs:
                remedy = "Add rabbitmq to its needs."
                raise ConfigError(
                    FILE_NAME, f"{service.name}.{field}", ", ".join(topics), "is sent over rabbitmq", remedy
                )
        for topic in service.publishes:
            if set(topic) & set("*#"):
                rule = "what is sent has a topic without wildcards"
                raise ConfigError(FILE_NAME, f"{service.name}.publishes", topic, rule, "Name the topic.")


def _check_replicas(services: list[Service], edit: str) -> None:
    for service in services:
        least, most = service.scale.least, service.scale.most
        if service.data and service.replicas > 1:
            rule, remedy = "what holds data runs once: replicas would not share it", "Set 1."
            raise ConfigError(edit, f"{service.name}.replicas", service.replicas, rule, remedy)
        if not least <= service.replicas <= most:
            rule = f"its scale allows {least} to {most}"
            raise ConfigError(edit, f"{service.name}.replicas", service.replicas, rule, f"Choose {least} to {most}.")


def _check_alerts(services: list[Service], edit: str) -> None:
    known = alerts.names(services)
    for service in services:
        field = f"{service.name}.alerts"
        for name in service.alerts.silenced:
            if name not in known:
                remedy = f"Known: {', '.join(sorted(known))}."
                raise ConfigError(edit, f"{field}.silenced", name, "is no alert of the platform", remedy)
        limits = sorted(service.alerts.model_fields_set - {"silenced"})
        if limits and service.kind != "service":
            value, rule = getattr(service.alerts, limits[0]), "a server's alerts have no limits to set"
            raise ConfigError(edit, f"{field}.{limits[0]}", value, rule, "Remove it; a server's can be silenced.")
        if "queue" in limits and not service.consumes:
            rule = "it consumes no events, so it has no queue"
            raise ConfigError(edit, f"{field}.queue", service.alerts.queue, rule, "Remove it.")


def _check_needs(services: list[Service], edit: str) -> None:
    by_name = {service.name: service for service in services}
    for service in services:
        for need in service.needs:
            field = f"{service.name}.needs"
            if need not in by_name:
                known = ", ".join(sorted(by_name))
                raise ConfigError(FILE_NAME, field, need, "is not a service of the catalogue", f"Known: {known}.")
        for other in service.runs_with if service.enabled else ():
            if other not in by_name or not by_name[other].enabled:
                remedy = f"Enable {other} or disable {service.name}."
                raise ConfigError(edit, f"{service.name}.needs", other, "is not enabled", remedy)
    for service in services:
        cycle = _cycle(service.name, by_name, ())
        if cycle:
            raise ConfigError(
                FILE_NAME,
                f"{cycle[0]}.needs",
                " -> ".join(cycle),
                "services need each other in a circle",
                "Remove one.",
            )


def _cycle(name: str, by_name: Mapping[str, Service], path: tuple[str, ...]) -> tuple[str, ...] | None:
    """The circle that following ``needs`` from ``name`` runs into, if any."""
    if name in path:
        return (*path[path.index(name) :], name)
    for need in by_name[name].needs:
        found = _cycle(need, by_name, (*path, name))
        if found:
            return found
    return None
