"""The command line as it is documented."""

import importlib
import re
from unittest.mock import create_autospec

import pytest
import typer
from typer.testing import CliRunner

from ops import cli
from ops.errors import BAD_INPUT, MEANINGS
from ops.paths import ROOT

DOCUMENT = (ROOT / "docs" / "cli.md").read_text()
ROOT_COMMAND = typer.main.get_command(cli.app)
COMMANDS = {name: command for name, command in ROOT_COMMAND.commands.items() if name != "images"} | {
    f"images {name}": command for name, command in ROOT_COMMAND.commands["images"].commands.items()
}


def invoke(*arguments):
    return CliRunner().invoke(cli.app, list(arguments))


def test_help_lists_every_verb_and_every_exit_code():
    shown = invoke("--help").output
    for name in ROOT_COMMAND.commands:
        assert re.search(rf"^\s+{name}\b", shown, re.MULTILINE)
    for code, meaning in MEANINGS.items():
        assert f"{code} {meaning}" in " ".join(shown.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_and_option_is_documented(name):
    assert f"`{name}" in DOCUMENT
    for parameter in COMMANDS[name].params:
        for option in [*parameter.opts, *parameter.secondary_opts]:
            if option.startswith("--") and option != "--help":
                assert option in DOCUMENT, f"{name} {option}"


def test_every_exit_code_is_documented():
    for code, meaning in MEANINGS.items():
        assert f"| {code} | {meaning} |" in DOCUMENT


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_explains_itself_without_doing_anything(name):
    result = invoke(*name.split(), "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_a_wrong_option_is_wrong_usage():
    assert invoke("status", "dev", "--nope").exit_code == BAD_INPUT
    assert invoke("up").exit_code == BAD_INPUT
    assert invoke("up", "dev", "--source", "elsewhere").exit_code == BAD_INPUT


def test_how_often_is_said_only_where_something_is_watched():
    refused = invoke("status", "dev", "--every", "2")
    assert refused.exit_code == BAD_INPUT and "--watch" in refused.stderr
    assert invoke("status", "dev", "--watch", "--every", "0").exit_code == BAD_INPUT


@pytest.mark.parametrize(
    ("arguments", "module", "expected"),
    [
        ("status dev", "status", {"stack": "dev", "as_json": False}),
        ("status dev --watch --json", "watch", {"stack": "dev", "every": 5, "as_json": True}),
        ("status dev --watch --every 2", "watch", {"stack": "dev", "every": 2, "as_json": False}),
        ("open dev", "open", {"stack": "dev", "service": "docs"}),
        ("open dev grafana", "open", {"stack": "dev", "service": "grafana"}),
        ("trace dev abc", "trace", {"stack": "dev", "id": "abc", "since": "1h", "as_json": False}),
        (
            "logs dev",
            "logs",
            {"stack": "dev", "services": [], "follow": False, "since": None, "tail": None, "level": None,
             "as_json": False, "grep": ""},
        ),
        (
            "logs dev a b -f --since 2h --tail 5 --level error --json --grep x",
            "logs",
            {"stack": "dev", "services": ["a", "b"], "follow": True, "since": "2h", "tail": 5, "level": "error",
             "as_json": True, "grep": "x"},
        ),
    ],
)  # fmt: skip
def test_what_is_asked_for_reaches_the_verb(monkeypatch, arguments, module, expected):
    verb = importlib.import_module(f"ops.{module}")
    asked = create_autospec(verb.run, return_value=0)
    monkeypatch.setattr(verb, "run", asked)
    assert invoke(*arguments.split()).exit_code == 0
    asked.assert_called_once_with(**expected)


@pytest.mark.parametrize("verb", ["up", "preview", "status"])
def test_a_stack_without_settings_is_refused_with_the_list_of_those_that_have_some(verb):
    result = invoke(verb, "no-such-stack")
    assert result.exit_code == BAD_INPUT
    shown = result.stderr
    assert "Pulumi.no-such-stack.yaml" in shown
    assert "dev" in shown and "what to do:" in shown
