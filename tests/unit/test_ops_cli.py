"""The command line as it is documented."""

import re

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


@pytest.mark.parametrize("verb", ["up", "preview", "status"])
def test_a_stack_without_settings_is_refused_with_the_list_of_those_that_have_some(verb):
    result = invoke(verb, "no-such-stack")
    assert result.exit_code == BAD_INPUT
    shown = result.stderr
    assert "Pulumi.no-such-stack.yaml" in shown
    assert "dev" in shown and "what to do:" in shown
