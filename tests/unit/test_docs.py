"""The documents say what the code does: generated files are fresh, options are described, links lead somewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import typer
import yaml
from pydantic import BaseModel

from infra import catalog, entry, images, receivers, schema, settings
from ops import graph, graph_svg, rotate
from ops.cli import app
from ops.errors import MEANINGS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
IDS = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
MODELS = (
    *(settings.Settings, settings.ServiceSettings, settings.User, settings.Client, settings.Leases, settings.Upstream),
    *(receivers.Receiver, receivers.Webhook, receivers.Slack, receivers.Mail, settings.AlertSettings),
    *(entry.Service, entry.Route, entry.Gateway, entry.RateLimit, entry.Breaker, entry.Health, entry.Scale),
    entry.Alerts,
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
#: Paths of one machine, and words of work that is not done.
MACHINE = re.compile(r"(?<![\w.~])/(?:home|root|work|tmp|Users)/|\bTODO\b|\bFIXME\b|\bXXX\b")
#: Hosts that readers do not have: private addresses, names without a dot but those of the platform's services.
PRIVATE = re.compile(r"localhost\.|[^.]+$|10\.|172\.|192\.168\.|.*\.(?:internal|local|lan|corp|intranet|home)$")
HERE = {"127.0.0.1", "localhost"}


def load(name: str) -> dict[str, Any]:
    return json.loads((ROOT / name).read_text())


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


COMMANDS = dict(commands(typer.main.get_command(app)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", schema.FILES)
def test_generated_files_are_fresh(name: str) -> None:
    assert (ROOT / name).read_text() == schema.FILES[name](), f"stale: run `{schema.COMMAND}` and commit {name}"


@pytest.mark.parametrize(
    ("name", "draw"), [("platform.svg", graph_svg.svg), ("platform.mmd", graph.mermaid)], ids=["svg", "mermaid"]
)
def test_the_pictures_of_the_platform_are_fresh(name: str, draw: Callable[[graph.Graph], str]) -> None:
    form = {"platform.svg": "svg", "platform.mmd": "mermaid"}[name]
    command = f"./nexus graph dev --no-health --format {form} --output docs/images/{name}"
    drawn = draw(graph.graph("dev", catalog.load()))
    assert (ROOT / "docs/images" / name).read_text() == drawn, f"stale: run `{command}` and commit it"


@pytest.mark.parametrize("model", MODELS)
def test_every_field_says_what_it_is(model: type[BaseModel]) -> None:
    silent = [name for name, field in model.model_fields.items() if not field.description]
    assert set(silent) <= {"name"}, "a service's name is its key in the file; every other field needs a description"


@pytest.mark.parametrize("model", MODELS)
def test_every_field_is_in_the_reference(model: type[BaseModel]) -> None:
    text = (ROOT / schema.REFERENCE).read_text()
    prefix = settings.NAMESPACE if model is settings.Settings else ""
    for name, field in model.model_fields.items():
        assert name == "name" or f"| `{prefix}{field.alias or name}` |" in text, name


@pytest.mark.parametrize("name", [schema.SERVICES_SCHEMA, schema.SETTINGS_SCHEMA])
def test_schemas_are_valid(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(load(name))


def test_the_catalogue_fits_its_schema_and_names_it() -> None:
    text = catalog.FILE.read_text()
    jsonschema.validate(yaml.safe_load(text), load(schema.SERVICES_SCHEMA))
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named and (catalog.FILE.parent / named[1]).resolve() == ROOT / schema.SERVICES_SCHEMA


def test_the_settings_files_fit_their_schema() -> None:
    for path in ROOT.glob("Pulumi.*.yaml"):
        jsonschema.validate(yaml.safe_load(path.read_text()) or {}, load(schema.SETTINGS_SCHEMA))


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        ({"nexus:portOfset": 1}, "portOfset"),
        ({"nexus:portOffset": -1}, "-1"),
        ({"nexus:images": "somewhere"}, "somewhere"),
        ({"nexus:services": {"redis": {"memroy": 1}}}, "memroy"),
    ],
)
def test_the_schema_refuses_what_the_program_refuses(config: dict[str, Any], wrong: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match=wrong):
        jsonschema.validate({"config": config}, load(schema.SETTINGS_SCHEMA))
    with pytest.raises(Exception, match=r"Pulumi\.dev\.yaml"):
        settings.parse(config, "Pulumi.dev.yaml")


def test_a_number_or_truth_may_be_quoted_as_pulumi_writes_it() -> None:
    config = {"nexus:portOffset": "10000", "nexus:protect": "false"}
    jsonschema.validate({"config": config}, load(schema.SETTINGS_SCHEMA))
    parsed = settings.parse(config, "Pulumi.dev.yaml")
    assert (parsed.port_offset, parsed.protect) == (10000, False)


def test_a_secret_may_be_encrypted_as_pulumi_writes_it() -> None:
    settings_schema = load(schema.SETTINGS_SCHEMA)
    jsonschema.validate({"config": {"nexus:ai": {"key": {"secure": "v1:abc"}}}}, settings_schema)
    hook = {"url": "https://hook.example.com", "token": {"secure": "v1:abc"}}
    told = {"webhook": hook, "slack": {"url": {"secure": "v1:abc"}}}
    jsonschema.validate({"config": {"nexus:receivers": {"team": told}}}, settings_schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"config": {"nexus:ai": {"url": {"secure": "v1:abc"}}}}, settings_schema)


def test_the_schema_leaves_keys_of_other_namespaces_alone() -> None:
    jsonschema.validate(
        {"config": {"docker:host": "ssh://there"}, "encryptionsalt": "v1:"}, load(schema.SETTINGS_SCHEMA)
    )


def test_the_catalogue_schema_refuses_an_unknown_field() -> None:
    with pytest.raises(jsonschema.ValidationError, match="portt"):
        jsonschema.validate({"users": {"group": "data", "port": 1000, "portt": 1}}, load(schema.SERVICES_SCHEMA))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_verb_is_described(name: str) -> None:
    text = (ROOT / "docs/cli.md").read_text()
    assert f"`{name}" in text, f"docs/cli.md does not describe `{name}`"
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option):
            missing = [option for option in (*parameter.opts, *parameter.secondary_opts) if option not in text]
            assert not missing, f"docs/cli.md does not describe {missing} of `{name}`"


@pytest.mark.parametrize("what", rotate.WHAT)
def test_everything_that_can_be_rotated_is_described(what: str) -> None:
    assert f"| `{what}` |" in (ROOT / "docs/cli.md").read_text()


def test_every_exception_from_the_hardening_is_listed_with_its_reason_and_no_other_is() -> None:
    contracts = yaml.safe_load((ROOT / "infra/contracts.yaml").read_text())["contracts"]
    known = {
        f"| `{name}` | `{exception}` | {reason} |"
        for name, row in contracts.items()
        for exception, reason in row.get("exceptions", {}).items()
    }
    section = (ROOT / "docs/platform.md").read_text().partition("## Hardening")[2].partition("\n## ")[0]
    assert {line for line in section.splitlines() if line.startswith("| `")} == known


@pytest.mark.parametrize("code", MEANINGS)
def test_every_exit_code_is_described(code: int) -> None:
    assert f"| {code} | {MEANINGS[code]}" in (ROOT / "docs/cli.md").read_text()


def test_environment_variables_that_people_may_set_are_described() -> None:
    read = {
        name
        for folder in ("ops", "infra")
        for path in (ROOT / folder).glob("*.py")
        for name in re.findall(r"\bNEXUS_[A-Z_]+\b", path.read_text())
    }
    read |= set(re.findall(r"\bNEXUS_[A-Z_]+\b", (ROOT / "nexus").read_text()))
    assert read - set(schema.VARIABLES) == set(), "describe them in infra/schema.py"
    assert {name for name in schema.VARIABLES if name.startswith("NEXUS_")} - read == set(), "nothing reads them"


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_links_lead_to_something(path: Path) -> None:
    for link in LINK.findall(path.read_text()):
        if not re.match(r"[a-z]+:|#", link):
            target = path.parent / link.split("#")[0]
            assert target.exists(), f"{path.name}: {link}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_a_link_into_a_document_names_a_heading_of_it(path: Path) -> None:
    for link in LINK.findall(path.read_text()):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        if anchor and target.suffix == ".md" and not re.match(r"[a-z]+:", link):
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{path.name}: {link}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_a_document_is_about_the_project_and_not_about_a_machine(path: Path) -> None:
    text = path.read_text()
    assert not MACHINE.findall(text)
    hosts = {host.split(":")[0] for host in re.findall(r"https?://([^/\s)`\"'>]+)", text)}
    known = HERE | {service.name for service in catalog.load().services}
    assert not [host for host in hosts - known if PRIVATE.match(host)]


def test_the_login_to_source_is_the_one_that_is_explained() -> None:
    explained = (ROOT / "docs/identity.md").read_text().partition("## A login with curl")[2]
    assert explained.partition("```sh\n")[2].partition("```")[0] == (ROOT / "docs/login.sh").read_text()


def test_the_map_of_the_documents_has_every_document() -> None:
    """Itself, or by the list of alerts, which has their pages."""
    index, alerts = ROOT / "docs/index.md", ROOT / "docs/alerts.md"
    linked = {
        (page.parent / link.split("#")[0]).resolve()
        for page in (index, alerts)
        for link in LINK.findall(page.read_text())
    }
    for path in (ROOT / "docs").rglob("*.md"):
        assert path == index or path in linked, f"docs/index.md has no link to {path.relative_to(ROOT / 'docs')}"


def test_the_reading_of_a_project_starts_with_its_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "./nexus up dev" in text and "./nexus test" in text


def test_the_readme_says_which_images_are_stand_ins() -> None:
    rows = {row.split("`")[1]: row for row in (ROOT / "README.md").read_text().splitlines() if row.startswith("| `")}
    for image in images.load().values():
        if image.upstream and image.name != "python":
            assert ("stand-in" in rows[image.name]) == image.stand_in, image.name


def test_the_documents_name_the_ports_of_what_runs() -> None:
    text = (ROOT / "README.md").read_text()
    for service in catalog.load().enabled:
        assert f"`{service.name}`" in text and all(str(port) in text for port in service.ports.values()), service.name
