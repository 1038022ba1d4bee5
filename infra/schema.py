"""What is generated from the models: the configuration reference and the JSON Schemas for editors.

Pure functions from models to text; ``python -m infra.schema`` writes their files, a test tells when they are stale.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from components._limits import MINIMUM_MEMORY_MIB
from infra import catalog
from infra.entry import Alerts, Breaker, Gateway, Health, RateLimit, Route, Scale, Service
from infra.receivers import Mail, Receiver, Slack, Webhook
from infra.settings import (
    NAMESPACE,
    ROOT,
    AlertSettings,
    Client,
    Leases,
    ServiceSettings,
    Settings,
    Upstream,
    User,
)

DRAFT = "https://json-schema.org/draft/2020-12/schema"
COMMAND = ".venv/bin/python -m infra.schema"
REFERENCE = "docs/configuration.md"
SERVICES_SCHEMA = "docs/schemas/services.schema.json"
SETTINGS_SCHEMA = "docs/schemas/settings.schema.json"
#: JSON's types in the words of the reference.
TYPES = {
    "string": "text",
    "integer": "number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
}
#: A value's bound in JSON Schema, and how it reads with the bound in place of `{}`.
BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "pattern": "matches `{}`",
}
#: The one key of the catalogue that is no service.
VERSION = {"type": "integer", "minimum": 1, "description": "The form of this file; see docs/upgrades.md."}
#: What `pulumi config set` may write in quotes, by its type.
QUOTED = {"integer": r"^\d+$", "boolean": "^(true|false)$"}
#: Environment variables that people may set; the ones the verbs set for Pulumi are printed by `./nexus env`.
VARIABLES: Mapping[str, str] = {
    "NEXUS_SOURCE": "`upstream` or `local`: as `--source`, but not remembered.",
    "NEXUS_PYTHON": "The Python that `.venv` is made with. Default: the first of 3.11 or later that is found.",
    "NEXUS_MIN_DISK_BYTES": "Free disk space, in bytes, below which nothing is started.",
    "NEXUS_REGISTRY_PROBE": "URL asked to learn whether an image registry can be reached.",
    "NEXUS_DOWNLOADS_PROBE": "URL asked to learn whether Pulumi's downloads can be reached.",
    "NEXUS_PULUMI_DOWNLOADS": "Base URL of a mirror of Pulumi's downloads.",
    "NEXUS_HISTORY_URL": "Where the history of updates is kept, `file://...` or `s3://...`. Default: beside the state.",
    "NEXUS_ROLLBACK_TO": "Set by `rollback` for the run of the version that it brings back: the update that had it.",
    "PULUMI_BACKEND_URL": "Where the state is kept. Default: `.nexus/state` in the project.",
    "PULUMI_CONFIG_PASSPHRASE": "The passphrase that secrets in the state are encrypted with.",
    "PULUMI_CONFIG_PASSPHRASE_FILE": "A file with it. Default: `.nexus/passphrase`, made once with mode 0600.",
    "DOCKER_HOST": "The Docker engine. Default: the engine of this machine.",
    "XDG_CACHE_HOME": "Compiled programs and downloads are kept in `nexus/` under it. Default: `~/.cache`.",
}
INTRODUCTION = f"""\
# Configuration reference

<!-- Generated from the models in infra/ by `{COMMAND}`; do not edit. -->

An environment is a stack with a settings file, `Pulumi.<stack>.yaml`. What the platform consists of is the catalogue,
`infra/services.yaml`, the same for all environments. Both are checked before any resource is touched; an error names
the file, the field, its value, the rule and what to do.

Editors with a YAML language server complete and check both files: `infra/services.yaml` names its schema in its first
line; for a settings file, add `# yaml-language-server: $schema={SETTINGS_SCHEMA}`.
"""
MEMORY = """\
### Least memory by kind

Below this a server fails to start or is killed for lack of memory, so a smaller `memory` is refused.

| kind | MiB |
| --- | --- |
"""


def configuration() -> str:
    """The configuration reference, as Markdown."""
    variables = table(("variable", "meaning"), ((f"`{name}`", text) for name, text in VARIABLES.items()))
    least = "".join(f"| `{kind}` | {mib} |\n" for kind, mib in MINIMUM_MEMORY_MIB.items())
    parts = (
        INTRODUCTION,
        section("## Settings of an environment: `Pulumi.<stack>.yaml`", Settings, under="config.", prefix=NAMESPACE),
        section("### A user", User, under="config.nexus:users.<name>."),
        section("### A client", Client, under="config.nexus:clients.<name>."),
        section("### Leases", Leases, under="config.nexus:leases."),
        section("### The AI upstream", Upstream, under="config.nexus:ai."),
        section("### A receiver of alerts", Receiver, under="config.nexus:receivers.<name>."),
        section("### A receiver's webhook", Webhook, under="config.nexus:receivers.<name>.webhook."),
        section("### A receiver's chat", Slack, under="config.nexus:receivers.<name>.slack."),
        section("### A receiver's mail", Mail, under="config.nexus:receivers.<name>.mail."),
        section("### One service's changes", ServiceSettings, under="config.nexus:services.<name>."),
        section("### Changes of its alerts", AlertSettings, under="config.nexus:services.<name>.alerts."),
        section("## The catalogue: `infra/services.yaml`", Service, under="<name>.", skip={"name"}),
        section("### A route", Route, under="<name>.routes[]."),
        section("### The gateway's treatment", Gateway, under="<name>.gateway."),
        section("### A rate limit", RateLimit, under="<name>.gateway.rate_limit."),
        section("### A circuit breaker", Breaker, under="<name>.gateway.breaker."),
        section("### A health check", Health, under="<name>.health."),
        section("### Limits of alerts", Alerts, under="<name>.alerts."),
        section("### Bounds of scaling", Scale, under="<name>.scale."),
        MEMORY + least,
        "## Images: `infra/images.yaml`\n\nVersions, upstream references and local recipes; the comments at its head "
        "explain each field. `./nexus images pin` writes digests into it.\n",
        f"## Environment variables\n\n{variables}",
    )
    return "\n".join(parts)


def section(heading: str, model: type[BaseModel], *, under: str, prefix: str = "", skip: Iterable[str] = ()) -> str:
    """A model as a heading, its docstring, and a table of its fields."""
    rows = ((f"`{prefix}{name}`", *row) for name, row in fields(model, set(skip)).items())
    about = f"{(model.__doc__ or '').strip().replace('``', '`')} Keys are under `{under.rstrip('.')}`."
    return f"{heading}\n\n{about}\n\n" + table(("key", "type", "default", "rule", "meaning"), rows)


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    head = list(titles)
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fields(model: type[BaseModel], skip: set[str]) -> dict[str, tuple[str, str, str, str]]:
    """Type, default, rule and description of each field, by the key it is written as."""
    described = model.model_json_schema(by_alias=True)
    rows = {}
    for name, field in model.model_fields.items():
        if name not in skip:
            key = field.alias or name
            value = plain(described["properties"][key])
            default = "required" if field.is_required() else shown(field.get_default(call_default_factory=True))
            rows[key] = (kind(value), default, rule(value), field.description or "")
    return rows


def plain(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A field's schema without the null that an optional one may also be."""
    others = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    return others[0] if others else schema


def kind(schema: Mapping[str, Any]) -> str:
    """The type in words."""
    if "$ref" in schema:
        return "mapping"
    if schema.get("format") == "ipvanyaddress":
        return "IP address"
    word = TYPES[schema["type"]]
    inner = schema.get("items") or schema.get("additionalProperties")
    return f"{word} of {kind(inner)}" if isinstance(inner, Mapping) and inner else word


def shown(value: object) -> str:
    """A default as it would be written; a dash for none, or for an empty list, mapping or text."""
    if isinstance(value, BaseModel):
        return "see below"
    if value is None or value in ("", (), {}):
        return "-"
    if isinstance(value, Mapping | tuple):
        return f"`{TypeAdapter(Any).dump_json(value, by_alias=True, exclude_defaults=True).decode()}`"
    return f"`{json.dumps(value) if isinstance(value, bool | int | float) else value}`"


def rule(schema: Mapping[str, Any]) -> str:
    """What a value must keep to, in words."""
    if choices := schema.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    inner = schema.get("additionalProperties") or {}
    bounds = inner if isinstance(inner, Mapping) and schema.get("type") == "object" else schema
    return ", ".join(text.format(bounds[name]) for name, text in BOUNDS.items() if name in bounds) or "-"


def services_schema() -> dict[str, Any]:
    """JSON Schema of ``infra/services.yaml``: entries by name, whose fields are those of the model but the name."""
    entry = Service.model_json_schema(by_alias=True)
    definitions = entry.pop("$defs")
    name = entry["properties"].pop("name")
    entry["required"].remove("name")
    return {
        "$schema": DRAFT,
        "title": "The catalogue of services",
        "type": "object",
        "propertyNames": {"pattern": name["pattern"]},
        "properties": {catalog.VERSION: VERSION},
        "additionalProperties": {"$ref": "#/$defs/Service"},
        "$defs": {**definitions, "Service": entry},
    }


def settings_schema() -> dict[str, Any]:
    """JSON Schema of ``Pulumi.<stack>.yaml``: the keys of this project; those of others are left alone."""
    model = Settings.model_json_schema(by_alias=True)
    own = {NAMESPACE + key: or_quoted(value) for key, value in model["properties"].items()}
    mistyped = {"pattern": f"^{NAMESPACE}", "not": {"enum": list(own)}}
    return {
        "$schema": DRAFT,
        "title": "Settings of one environment",
        "type": "object",
        "properties": {"config": {"type": "object", "properties": own, "propertyNames": {"not": mistyped}}},
        "$defs": {name: or_encrypted(definition) for name, definition in model["$defs"].items()},
    }


def or_encrypted(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """A secret may also be what `pulumi config set --secret` makes of it."""
    encrypted = {"type": "object", "required": ["secure"], "properties": {"secure": {"type": "string"}}}
    properties = {
        key: {"anyOf": [value, encrypted]} if plain(value).get("format") == "password" else value
        for key, value in definition.get("properties", {}).items()
    }
    return {**definition, "properties": properties} if properties else definition


def or_quoted(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A number, or true and false, may also be quoted: `pulumi config set` writes them so."""
    pattern = QUOTED.get(schema.get("type", ""))
    return {"anyOf": [schema, {"type": "string", "pattern": pattern}]} if pattern else schema


def document(schema: Mapping[str, Any]) -> str:
    """A schema as the text of its file."""
    return json.dumps(schema, indent=2) + "\n"


#: The generated files, relative to the project, and what makes each.
FILES: Mapping[str, Callable[[], str]] = {
    REFERENCE: configuration,
    SERVICES_SCHEMA: lambda: document(services_schema()),
    SETTINGS_SCHEMA: lambda: document(settings_schema()),
}


def main() -> None:
    """Write every generated file."""
    for name, make in FILES.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make())


if __name__ == "__main__":
    main()
