"""Settings files are refused with the file, the field, the value, the rule and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra import settings
from infra.errors import ConfigError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  nexus:portOffset: 100\n")
    return tmp_path


def test_a_stack_file_is_read_with_its_defaults(project: Path) -> None:
    loaded = settings.load("dev")
    assert (loaded.port_offset, str(loaded.bind), loaded.images) == (100, "127.0.0.1", "auto")


def test_a_stack_without_a_file_is_told_which_stacks_have_one(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"Pulumi\.prd\.yaml.*no settings file[\s\S]*Stacks with one: dev"):
        settings.load("prd")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("config:\n  nexus:imges: auto\n", "config.nexus:imges"),
        ("config:\n  nexus:images: sometimes\n", "config.nexus:images"),
        ("config:\n  nexus:bind: everywhere\n", "config.nexus:bind"),
        ("config:\n  nexus:portOffset: -5\n", "config.nexus:portOffset"),
        ("config:\n  nexus:services: {redis: {memory: 0}}\n", "config.nexus:services.redis.memory"),
        ("config:\n  nexus:services: {redis: {mem: 5}}\n", "config.nexus:services.redis.mem"),
        ("config: [\n", "line 2"),
    ],
)
def test_a_wrong_setting_names_file_and_field(project: Path, text: str, field: str) -> None:
    (project / "Pulumi.dev.yaml").write_text(text)
    with pytest.raises(ConfigError) as failure:
        settings.load("dev")
    assert failure.value.file == "Pulumi.dev.yaml"
    assert failure.value.field == field
    assert failure.value.remedy


@pytest.mark.parametrize("name", ["Dev", "1dev", "", "dev_1", "a" * 25, "dev/../x"])
def test_a_stack_name_that_cannot_be_part_of_a_docker_name_is_refused(project: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="stack name"):
        settings.load(name)


def test_keys_of_other_namespaces_are_left_to_their_owners() -> None:
    assert settings.parse({"docker:host": "unix:///x", "nexus:portOffset": 1}, "f").port_offset == 1


def test_the_engine_hands_over_text_and_structured_values_as_json() -> None:
    assert settings.decode('{"a": 1}') == {"a": 1}
    assert settings.decode("127.0.0.1") == "127.0.0.1"
    assert settings.decode("20000") == 20000


def test_the_source_of_a_run_overrides_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.SOURCE_VARIABLE, "local")
    assert settings.Settings(images="upstream").source == "local"
    monkeypatch.delenv(settings.SOURCE_VARIABLE)
    assert settings.Settings(images="local").source == "local"
    assert settings.Settings().source == "upstream"


def test_both_environments_of_the_project_have_valid_settings() -> None:
    from infra import catalog

    for stack in ("dev", "prod"):
        assert catalog.load(settings.load(stack), stack).enabled


HOOK = {"webhook": {"url": "https://hook.example.com/a"}}
MAIL = {"to": ["ops@example.com"], "sender": "nexus@example.com", "server": "mail.example.com:587"}


@pytest.mark.parametrize(
    ("receiver", "field", "rule"),
    [
        ({"severities": ["critical"]}, "", "tells nobody"),
        ({**HOOK, "severities": []}, ".severities", "at least 1"),
        ({**HOOK, "severities": ["info"]}, ".severities.0", "'critical' or 'warning'"),
        ({"webhook": {"url": "hook.example.com"}}, ".webhook.url", "pattern"),
        ({"slack": {"channel": "#ops"}}, ".slack.url", "is required"),
        ({"mail": {**MAIL, "server": "mail.example.com"}}, ".mail.server", "pattern"),
        ({"mail": {**MAIL, "to": ["ops"]}}, ".mail.to.0", "pattern"),
        ({"mail": {**MAIL, "user": "nexus"}}, ".mail", "belong together"),
        ({"mail": {**MAIL, "password": "abc"}}, ".mail", "belong together"),
        ({"pager": {}}, ".pager", "no such setting"),
    ],
)
def test_a_receiver_that_cannot_be_told_is_refused(receiver: dict, field: str, rule: str) -> None:
    with pytest.raises(ConfigError) as failure:
        settings.parse({"nexus:receivers": {"team": receiver}}, "Pulumi.dev.yaml")
    assert failure.value.field == f"config.nexus:receivers.team{field}"
    assert rule in failure.value.rule and failure.value.remedy


def test_an_error_shows_no_secret_beside_what_is_wrong() -> None:
    wrong = {"nexus:receivers": {"team": {"mail": {**MAIL, "password": "hidden-one"}}}}
    other = {"nexus:ai": {"key": "hidden-two"}, "nexus:apiKeys": {"shop": "nobody"}}
    for values in (wrong, other):
        with pytest.raises(ConfigError) as failure:
            settings.parse(values, "Pulumi.dev.yaml")
        assert "hidden" not in str(failure.value)


def test_a_receivers_secret_is_encrypted_in_the_file_and_in_the_clear_for_the_program_alone() -> None:
    def secret(value: object) -> str:
        parsed = settings.parse({"nexus:receivers": {"team": {"slack": {"url": value}}}}, "Pulumi.dev.yaml")
        slack = parsed.receivers["team"].slack
        assert slack and "https://" not in repr(parsed)
        return slack.url.get_secret_value()

    assert secret({"secure": "v1:abc"}) == ""
    assert secret("https://chat.example.com/hook") == "https://chat.example.com/hook"
